//! Titles, bodies and comments in GitHub's Markdown.

use tripline_alert::{Digest, Message};

use super::config::Plan;
use crate::facts::{self, cut, plain};
use crate::ticket::mark;

/// The longest title, and the longest body of an issue or comment (characters).
pub const TITLE: usize = 256;
const BODY: usize = 65_536;

/// The title of an issue, which has no markup.
pub fn title(plan: &Plan, message: &Message) -> String {
    cut(&plain(&plan.wording.of(message, &|text| text.to_string()).title), TITLE)
}

/// The body of an issue.
pub fn body(plan: &Plan, message: &Message) -> String {
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

/// The body of an issue for alerts that were held back.
pub fn digest(digest: &Digest, id: &str) -> String {
    news(&facts::digest(digest).1, id, (0, 0))
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
