//! Adaptive Cards. Text stands in `TextRun`s alone, which know no Markdown.

use serde_json::{Value as Json, json};
use tripline_alert::{Digest, Message, Status};

use crate::facts::{self, News, Wording, cut};

/// The largest message in bytes, with room for what the workflow puts around it: Teams takes 28 KB (Microsoft,
/// "Format cards in Microsoft Teams" and "Create an Incoming Webhook").
const MOST: usize = 24 << 10;
/// The version that Teams shows everywhere (Microsoft, "Design Adaptive Cards for your Teams app").
const VERSION: &str = "1.4";
/// Characters of a title and of a paragraph.
const TITLE: usize = 300;
const PARAGRAPH: usize = 1_500;

/// A line: names are bold.
fn line(name: &str, text: &str) -> Json {
    let mut runs = Vec::new();
    if !name.is_empty() {
        runs.push(json!({ "type": "TextRun", "text": format!("{}: ", cut(name, 100)), "weight": "Bolder" }));
    }
    runs.push(json!({ "type": "TextRun", "text": cut(text, PARAGRAPH) }));
    json!({ "type": "RichTextBlock", "inlines": runs })
}

fn title(text: &str, colour: &str) -> Json {
    let run =
        json!({ "type": "TextRun", "text": cut(text, TITLE), "weight": "Bolder", "size": "Large", "color": colour });
    json!({ "type": "RichTextBlock", "inlines": [run] })
}

fn colour(message: &Message) -> &'static str {
    match (message.alert.status, message.alert.severity) {
        (Status::Closed, _) => "Good",
        (_, 4..) => "Attention",
        (_, 3) => "Warning",
        _ => "Default",
    }
}

/// A message of one card, of as many lines as fit.
fn card(first: Json, lines: Vec<Json>, link: Option<&str>) -> Json {
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": VERSION,
        "msteams": { "width": "Full" },
    });
    let link = link.filter(|link| link.len() <= 2_000);
    let actions: Vec<Json> =
        link.map(|url| json!({ "type": "Action.OpenUrl", "title": "Open", "url": url })).into_iter().collect();
    let rest = line("", "There is more, which does not fit here.");
    let size = |value: &Json| value.to_string().len() + 1;
    let mut room =
        MOST.saturating_sub(500 + size(&card) + size(&first) + size(&rest) + actions.iter().map(size).sum::<usize>());
    let mut body = vec![first];
    for one in lines {
        match room.checked_sub(size(&one)) {
            Some(left) => room = left,
            None => {
                body.push(rest);
                break;
            }
        }
        body.push(one);
    }
    if let Some(card) = card.as_object_mut() {
        card.insert("body".into(), body.into());
        card.insert("actions".into(), actions.into());
    }
    let attachment =
        json!({ "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card });
    json!({ "type": "message", "attachments": [attachment] })
}

/// The first card of an alert.
pub fn opened(message: &Message, wording: &Wording) -> Json {
    let words = wording.of(message, &str::to_string);
    let mut lines: Vec<Json> = words.body.iter().map(|body| line("", body)).collect();
    lines.extend(words.facts.iter().map(|(name, value)| line(name, value)));
    let evidence = message.alert.evidence.iter().rev().take(3).map(|one| line("Finding", &facts::evidence(one)));
    lines.extend(evidence);
    card(title(&words.title, colour(message)), lines, words.link.as_deref())
}

/// A card with what is new of an alert.
pub fn changed(message: &Message, wording: &Wording, news: &News) -> Json {
    let words = wording.of(message, &str::to_string);
    let mut lines =
        vec![line("Status", &facts::status(&message.alert)), line("Alert", &facts::plain(&message.alert.id))];
    lines.extend(news.lines.iter().map(|text| line("", text)));
    card(title(&words.title, colour(message)), lines, words.link.as_deref())
}

/// A card with alerts that were held back.
pub fn digest(digest: &Digest) -> Json {
    let (text, lines) = facts::digest(digest);
    card(title(&text, "Default"), lines.iter().map(|text| line("", text)).collect(), None)
}
