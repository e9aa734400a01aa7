//! Messages in Block Kit. Values of alerts stand in `plain_text` alone, which knows no markup.

use serde_json::{Value as Json, json};
use tripline_alert::{Alert, Digest, Message, Occasion, Status, Verdict};

use crate::facts::{self, News, Wording, cut};

/// Blocks of a message, and of an attachment (Slack, "Blocks").
const BLOCKS: usize = 50;
/// Characters of a header (Slack, "Header block").
const HEADER: usize = 150;
/// Characters of the text of a section (Slack, "Section block").
const SECTION: usize = 3_000;
/// Fields of a section.
const FIELDS: usize = 10;
/// Characters of the `text` of a message that are sure to be kept (Slack, "chat.postMessage method").
const TEXT: usize = 4_000;
/// Characters of the address of a button (Slack, "Button element").
const ADDRESS: usize = 3_000;
/// The longest value that stands beside its name.
const SHORT: usize = 80;
/// Blocks for facts: the rest is for the title, the body, evidence and buttons.
const FACTS: usize = BLOCKS - 10;
/// Findings that the head of a thread shows, the latest.
const SHOWN: u64 = 3;

/// What messages look like, and where they go.
#[derive(Clone, Debug)]
pub struct Layout {
    /// The id of the channel.
    pub channel: String,
    /// What the team wrote.
    pub wording: Wording,
    /// Whether there are buttons.
    pub buttons: bool,
}

/// `&`, `<` and `>` begin markup, and nothing else does (Slack, "Formatting message text").
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Cuts an escaped text, never within `&amp;`.
fn fit(text: &str, most: usize) -> String {
    let short = cut(text, most);
    if short.len() == text.len() {
        return short;
    }
    let short = short.trim_end_matches('…');
    let whole = match short.rfind('&') {
        Some(at) if !short.get(at..).is_some_and(|rest| rest.contains(';')) => short.get(..at).unwrap_or_default(),
        _ => short,
    };
    format!("{whole}…")
}

/// A text that is shown as it is. There is no empty one.
fn words(text: &str, most: usize) -> Json {
    let text = if text.trim().is_empty() { "-" } else { text };
    json!({ "type": "plain_text", "text": fit(text, most), "emoji": false })
}

/// The name of a fact, which no alert has a say in.
fn bold(name: &str) -> Json {
    json!({ "type": "mrkdwn", "text": format!("*{}*", fit(&escape(name), SHORT)), "verbatim": true })
}

fn section(text: &str) -> Json {
    json!({ "type": "section", "text": words(text, SECTION) })
}

fn colour(alert: &Alert) -> &'static str {
    match (alert.status, alert.severity) {
        (Status::Closed, _) => "#8a8f98",
        (_, 5..) => "#8b0000",
        (_, 4) => "#e01e5a",
        (_, 3) => "#ecb22e",
        (_, 2) => "#2eb67d",
        _ => "#36c5f0",
    }
}

/// How far the first message of an alert tells: it shows the latest findings, and that the alert was opened.
pub fn shown(alert: &Alert) -> (u64, u64) {
    (Some(alert.numbers.0).filter(|findings| *findings <= SHOWN).unwrap_or(0), 1)
}

impl Layout {
    /// A message with where it goes and what it is found by. Nothing in it is made a mention or a link.
    pub fn addressed(&self, mut body: Json, kind: &str, payload: Json) -> Json {
        if let Some(body) = body.as_object_mut() {
            body.insert("channel".into(), self.channel.as_str().into());
            body.insert("metadata".into(), json!({ "event_type": kind, "event_payload": payload }));
            body.insert("parse".into(), "none".into());
            for off in ["link_names", "mrkdwn", "unfurl_links", "unfurl_media"] {
                body.insert(off.into(), false.into());
            }
        }
        body
    }

    /// The first message of an alert, and that of a test.
    pub fn opening(&self, message: &Message) -> Json {
        let head = self.head(message);
        if message.occasion == Occasion::Test {
            return self.addressed(head, "tripline_test", json!({}));
        }
        let (evidence, history) = shown(&message.alert);
        let payload = json!({ "id": message.alert.id, "evidence": evidence, "history": history });
        self.addressed(head, "tripline_alert", payload)
    }

    /// The message of alerts that were held back; `id` is that of the delivery.
    pub fn held(&self, id: &str, held: &Digest) -> Json {
        self.addressed(digest(held), "tripline_digest", json!({ "id": id }))
    }

    /// The message of an alert, less where it goes.
    pub fn head(&self, message: &Message) -> Json {
        let alert = &message.alert;
        let text = self.wording.of(message, &escape);
        let mut blocks = Vec::new();
        if let Some(body) = &text.body {
            // The team may have written markup; the values in it are escaped.
            let body = if body.trim().is_empty() { "-" } else { body };
            let body = json!({ "type": "mrkdwn", "text": fit(body, SECTION), "verbatim": true });
            blocks.push(json!({ "type": "section", "text": body }));
        }
        blocks.extend(facts_blocks(&text.facts));
        let latest = alert.evidence.iter().rev().take(SHOWN as usize).rev();
        let lines: Vec<String> = latest.map(|one| escape(&facts::evidence(one))).collect();
        if !lines.is_empty() {
            blocks.push(section(&format!("Latest findings\n{}", lines.join("\n"))));
        }
        let link = text.link.as_deref().filter(|link| link.len() <= ADDRESS);
        let actions = self.actions(message, link);
        if !actions.is_empty() {
            blocks.push(json!({ "type": "actions", "block_id": "tripline", "elements": actions }));
        }
        let header = json!({ "type": "header", "text": words(&text.title, HEADER) });
        let mut top = vec![header];
        if text.title.encode_utf16().count() > HEADER {
            top.push(section(&text.title));
        }
        json!({
            "text": fit(&text.title, TEXT),
            "blocks": top,
            "attachments": [{ "color": colour(alert), "fallback": fit(&text.title, HEADER), "blocks": blocks }],
        })
    }

    fn actions(&self, message: &Message, link: Option<&str>) -> Vec<Json> {
        let alert = &message.alert;
        let label = |text: &str| json!({ "type": "plain_text", "text": text });
        let button = |name: &str, text: &str| json!({ "type": "button", "action_id": name, "text": label(text), "value": alert.id });
        let mut out = Vec::new();
        if self.buttons && message.occasion != Occasion::Test {
            if alert.status == Status::Open {
                let mut ack = button("tripline_ack", "Acknowledge");
                if let Some(ack) = ack.as_object_mut() {
                    ack.insert("style".into(), "primary".into());
                }
                out.push(ack);
            }
            if alert.status == Status::Closed {
                out.push(button("tripline_reopen", "Reopen"));
            } else {
                out.push(button("tripline_assign", "Assign to me"));
                let select = |name: &str, text: &str, options: Vec<Json>| json!({ "type": "static_select", "action_id": name, "placeholder": label(text), "options": options });
                let option =
                    |text: &str, value: &str| json!({ "text": label(text), "value": format!("{}:{value}", alert.id) });
                let verdicts = Verdict::ALL.into_iter().map(|verdict| option(verdict.words(), verdict.as_str()));
                out.push(select("tripline_close", "Close as …", verdicts.collect()));
                let hours = [("1 hour", "1"), ("4 hours", "4"), ("1 day", "24")];
                let hours = hours.into_iter().map(|(text, hours)| option(text, hours));
                out.push(select("tripline_snooze", "Snooze for …", hours.collect()));
            }
        }
        if let Some(link) = link {
            let open = json!({ "type": "button", "action_id": "tripline_open", "text": label("Open"), "url": link });
            out.push(open);
        }
        out
    }
}

/// Short values beside their names, long ones below them.
fn facts_blocks(facts: &[(String, String)]) -> Vec<Json> {
    let is_short = |value: &str| value.len() <= SHORT && !value.contains('\n');
    let (short, long): (Vec<_>, Vec<_>) = facts.iter().partition(|(_, value)| is_short(value));
    let mut out: Vec<Json> = short
        .chunks(FIELDS / 2)
        .map(|facts| {
            let fields = facts.iter().flat_map(|(name, value)| [bold(name), words(value, SECTION)]);
            json!({ "type": "section", "fields": fields.collect::<Vec<_>>() })
        })
        .collect();
    out.extend(long.iter().map(|(name, value)| section(&format!("{}\n{value}", escape(name)))));
    out.truncate(FACTS);
    out
}

/// A reply with what is new.
pub fn reply(news: &News) -> Json {
    let text = news.lines.first().map(|line| escape(line)).unwrap_or_default();
    json!({ "text": fit(&text, TEXT), "blocks": sections(&news.lines, BLOCKS) })
}

/// Alerts that were held back.
fn digest(digest: &Digest) -> Json {
    let (title, lines) = facts::digest(digest);
    let title = escape(&title);
    let mut blocks = vec![section(&title)];
    blocks.extend(sections(&lines, BLOCKS - 1));
    json!({ "text": fit(&title, TEXT), "blocks": blocks })
}

/// Lines in as many sections as they need, at most so many.
fn sections(lines: &[String], most: usize) -> Vec<Json> {
    let mut texts: Vec<String> = Vec::new();
    for line in lines.iter().map(|line| fit(&escape(line), SECTION)) {
        match texts.last_mut() {
            Some(last) if last.encode_utf16().count() + line.encode_utf16().count() < SECTION => {
                last.push('\n');
                last.push_str(&line);
            }
            _ => texts.push(line),
        }
    }
    texts.iter().take(most).map(|text| section(text)).collect()
}
