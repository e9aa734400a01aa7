//! Titles, bodies and comments in GitHub's Markdown.

use serde_json::{Value as Json, json};
use tripline_alert::{Digest, Message};

use super::config::Plan;
use super::destination::LABEL;
use crate::facts::{self, cut, plain};
use crate::ticket::mark;

/// The longest title, and the longest body of an issue or comment (characters).
const TITLE: usize = 256;
const BODY: usize = 65_536;

/// A new issue of an alert.
pub fn issue(plan: &Plan, message: &Message) -> Json {
    written(plan, &title(plan, message), &body(plan, message), &plan.assignees)
}

/// A new issue of alerts that were held back.
pub fn digest(plan: &Plan, held: &Digest, id: &str) -> Json {
    let (title, lines) = facts::digest(held);
    written(plan, &cut(&title, TITLE), &news(&lines, id, (0, 0)), &[])
}

fn written(plan: &Plan, title: &str, body: &str, assignees: &[String]) -> Json {
    let mut labels = vec![LABEL.to_string()];
    labels.extend(plan.labels.iter().cloned());
    json!({ "title": title, "body": body, "labels": labels, "assignees": assignees })
}

/// The title of an issue, which has no markup.
pub fn title(plan: &Plan, message: &Message) -> String {
    cut(&plain(&plan.wording.of(message, &|text| text.to_string()).title), TITLE)
}

/// The body of an issue.
fn body(plan: &Plan, message: &Message) -> String {
    let words = plan.wording.of(message, &markdown);
    let mut lines = Vec::new();
    lines.extend(words.link.map(|link| format!("<{link}>")));
    lines.extend(words.body);
    lines.extend(words.facts.iter().map(|(name, value)| format!("**{}**: {value}", markdown(name))));
    let found = message.alert.evidence.iter().rev().map(|one| format!("- {}", markdown(&facts::evidence(one))));
    lines.push(found.collect::<Vec<_>>().join("\n"));
    ended(&lines.join("\n\n"), &message.alert.id, message.alert.numbers)
}

/// A comment with news.
pub fn news(lines: &[String], id: &str, upto: (u64, u64)) -> String {
    let lines: Vec<String> = lines.iter().map(|line| format!("- {}", markdown(line))).collect();
    ended(&lines.join("\n"), id, upto)
}

/// A text with the mark that it is ours at its end, which is not shown.
fn ended(text: &str, id: &str, upto: (u64, u64)) -> String {
    let end = format!("\n\n<!-- {} -->", mark(id, upto));
    cut(text, BODY - end.len()) + &end
}

/// What parts a text without being shown: services look for mentions and addresses in what is left of Markdown, where a
/// character reference is a character again.
const APART: &str = "<!-- -->";

/// A text that is only shown: no markup, no HTML, no mentions of people, no links to other issues or to addresses.
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        let (before, after) = text.split_at(at);
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.extend(["@", APART]),
            '#' => out.extend(["\\#", APART]),
            ':' if after.starts_with("://") => out.extend([":", APART]),
            '.' if before.ends_with(['w', 'W']) => out.extend([".", APART]),
            '\n' => out.push_str("<br>"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '+' | '-' | '!' | '|' | '~' | '$' | '=' => {
                out.extend(['\\', c]);
            }
            c => out.push(c),
        }
    }
    out
}
