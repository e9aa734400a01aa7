//! Summaries, descriptions and comments: in Atlassian's document format for Cloud, in wiki markup for Data Center.

use serde_json::{Map, Value as Json, json};
use tripline_alert::{Digest, Message};
use tripline_event::format_date;

use super::config::Plan;
use crate::facts::{self, cut, plain};
use crate::ticket::mark;

/// The longest summary, and the longest text of a description or comment (Jira's limits of fields, in characters).
const SUMMARY: usize = 255;
const TEXT: usize = 32_767;
/// What is kept of a text: markup and marks need room.
const ROOM: usize = 24_000;

/// A text: paragraphs of lines, and lists.
#[derive(Default)]
pub struct Page(Vec<Block>);

enum Block {
    /// A name in bold, if any, and a text.
    Line(Option<String>, String),
    /// Points of a list.
    Points(Vec<String>),
    /// An address.
    Link(String),
}

impl Page {
    /// An alert as it is.
    pub fn alert(plan: &Plan, message: &Message) -> Self {
        let escape = |text: &str| if plan.cloud { text.to_string() } else { wiki(text) };
        let words = plan.wording.of(message, &escape);
        let mut page = Page::default();
        page.0.extend(words.link.map(Block::Link));
        page.0.extend(words.body.map(|body| Block::Line(None, body)));
        page.0.extend(words.facts.into_iter().map(|(name, value)| Block::Line(Some(name), value)));
        page.0.push(Block::Points(
            message.alert.evidence.iter().rev().map(|one| escape(&facts::evidence(one))).collect(),
        ));
        page.end(plan, &mark(&message.alert.id, message.alert.numbers))
    }

    /// Lines of news.
    pub fn news(plan: &Plan, lines: &[String], id: &str, upto: (u64, u64)) -> Self {
        let lines = lines.iter().map(|line| if plan.cloud { line.clone() } else { wiki(line) });
        Page(vec![Block::Points(lines.collect())]).end(plan, &mark(id, upto))
    }

    fn end(mut self, plan: &Plan, mark: &str) -> Self {
        self.0.push(Block::Line(None, if plan.cloud { mark.to_string() } else { wiki(mark) }));
        self
    }

    /// As Jira takes it. What does not fit is left out before the mark at the end.
    pub fn written(mut self, plan: &Plan) -> Json {
        let last = self.0.pop();
        let mut left = ROOM;
        let mut fits = |text: String| {
            let text = cut(&text, left);
            left = left.saturating_sub(text.encode_utf16().count());
            text
        };
        let blocks = self.0.into_iter().map(|block| match block {
            Block::Line(name, text) => Block::Line(name, fits(text)),
            Block::Points(points) => Block::Points(points.into_iter().map(&mut fits).collect()),
            link @ Block::Link(_) => link,
        });
        let blocks: Vec<Block> = blocks.chain(last).collect();
        if plan.cloud { document(&blocks) } else { Json::from(cut(&markup(&blocks), TEXT)) }
    }
}

fn document(blocks: &[Block]) -> Json {
    let paragraph = |content: Vec<Json>| json!({ "type": "paragraph", "content": content });
    let mut content = Vec::new();
    for block in blocks {
        match block {
            Block::Line(name, text) => {
                let mut inline = Vec::new();
                if let Some(name) = name {
                    inline
                        .push(json!({ "type": "text", "text": format!("{name}: "), "marks": [{ "type": "strong" }] }));
                }
                inline.extend(inlines(text));
                content.push(paragraph(inline));
            }
            Block::Points(points) => {
                let items: Vec<Json> = points
                    .iter()
                    .filter(|point| !point.is_empty())
                    .map(|point| json!({ "type": "listItem", "content": [paragraph(inlines(point))] }))
                    .collect();
                if !items.is_empty() {
                    content.push(json!({ "type": "bulletList", "content": items }));
                }
            }
            Block::Link(link) => {
                let marks = json!([{ "type": "link", "attrs": { "href": link } }]);
                content.push(paragraph(vec![json!({ "type": "text", "text": link, "marks": marks })]));
            }
        }
    }
    json!({ "version": 1, "type": "doc", "content": content })
}

/// Text nodes with breaks between them; a text node is never empty.
fn inlines(text: &str) -> Vec<Json> {
    let mut out = Vec::new();
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push(json!({ "type": "hardBreak" }));
        }
        if !line.is_empty() {
            out.push(json!({ "type": "text", "text": line }));
        }
    }
    out
}

fn markup(blocks: &[Block]) -> String {
    let mut out = Vec::new();
    for block in blocks {
        match block {
            Block::Line(Some(name), text) => out.push(format!("*{}*: {text}", wiki(name))),
            Block::Line(None, text) => out.push(text.clone()),
            Block::Points(points) => {
                let points: Vec<String> =
                    points.iter().filter(|point| !point.is_empty()).map(|point| format!("* {point}")).collect();
                out.push(points.join("\n"));
            }
            Block::Link(link) => out.push(format!("[{link}]")),
        }
    }
    out.join("\n\n")
}

/// A text in wiki markup: what has a meaning there stands behind a backslash; a break stays within its line, where
/// nothing can begin a heading or a quote.
pub fn wiki(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("&#92;"),
            '&' => out.push_str("&amp;"),
            '\n' => out.push_str(" \\\\ "),
            '*' | '_' | '-' | '+' | '^' | '~' | '!' | '?' | '{' | '}' | '[' | ']' | '|' | '#' | '@' => {
                out.extend(['\\', c]);
            }
            c => out.push(c),
        }
    }
    out
}

/// The text of a description or comment of either format, for its mark to be found.
pub fn flat(value: &Json) -> String {
    let mut out = String::new();
    collect(value, 0, &mut out);
    // What stands behind a backslash in wiki markup.
    if value.is_string() { out.replace('\\', "") } else { out }
}

fn collect(value: &Json, depth: usize, out: &mut String) {
    match value {
        Json::String(text) => out.push_str(text),
        Json::Array(items) if depth < 32 => items.iter().for_each(|item| collect(item, depth + 1, out)),
        Json::Object(members) if depth < 32 => {
            for key in ["text", "content"] {
                if let Some(value) = members.get(key) {
                    collect(value, depth + 1, out);
                }
            }
            if members.get("type").is_some_and(|kind| kind == "paragraph") {
                out.push('\n');
            }
        }
        _ => {}
    }
}

/// The label that an issue is found by.
pub fn label(id: &str) -> String {
    format!("tripline-{id}")
}

/// A new issue of an alert.
pub fn issue(plan: &Plan, message: &Message) -> Json {
    let alert = &message.alert;
    let mut more = priority(plan, alert.severity);
    if let Some(assignee) = &plan.assignee {
        let key = if plan.cloud { "accountId" } else { "name" };
        more.insert("assignee".into(), json!({ key: assignee }));
    }
    if let Some(due) = plan.due {
        let due = i64::try_from(due.as_nanos()).unwrap_or(i64::MAX);
        more.insert("duedate".into(), format_date(alert.opened.saturating_add(due)).into());
    }
    fields(plan, &alert.id, &summary(plan, message), Page::alert(plan, message), more)
}

/// A new issue of alerts that were held back.
pub fn digest(plan: &Plan, held: &Digest, id: &str) -> Json {
    let (title, lines) = facts::digest(held);
    fields(plan, id, &cut(&title, SUMMARY), Page::news(plan, &lines, id, (0, 0)), Map::new())
}

fn fields(plan: &Plan, id: &str, summary: &str, page: Page, more: Map<String, Json>) -> Json {
    let mut labels = vec!["tripline".to_string(), label(id)];
    labels.extend(plan.labels.iter().cloned());
    let mut fields = json!({
        "project": { "key": plan.project },
        "issuetype": { "name": plan.kind },
        "summary": summary,
        "description": page.written(plan),
        "labels": labels,
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.extend(more);
    }
    json!({ "fields": fields })
}

/// The field of a severity, where the configuration gives it a name.
pub fn priority(plan: &Plan, severity: i64) -> Map<String, Json> {
    let name = plan.priorities.iter().find(|(id, _)| *id == severity).map(|(_, name)| name);
    name.map(|name| ("priority".to_string(), json!({ "name": name }))).into_iter().collect()
}

/// The first line of an issue, which has no markup. Where webhooks come back the alert's id stands at its end.
pub fn summary(plan: &Plan, message: &Message) -> String {
    let title = plain(&plan.wording.of(message, &|text| text.to_string()).title);
    if !plan.answered {
        return cut(&title, SUMMARY);
    }
    let id = format!(" [{}]", message.alert.id);
    cut(&title, SUMMARY - id.len()) + &id
}
