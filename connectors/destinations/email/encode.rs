//! Messages: headers that make a thread, a part in text and one in HTML.
//!
//! Values reach headers on one line without control characters, and are encoded by the library (RFC 2047), so that none
//! ends its header.

use lettre::Message as Mail;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use serde::{Deserialize, Serialize};
use tripline_alert::{Digest, Message};
use tripline_connect::Parcel;

use crate::facts::{self, Wording, cut, plain};
use crate::ticket::id_of;

/// The longest subject (characters): servers and clients cut longer ones.
const SUBJECT: usize = 200;
/// The most of each part's text (characters).
const TEXT: usize = 60_000;

/// What is remembered of a thread.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// The id of its first message.
    pub root: String,
    /// Its subject, which stays whatever becomes of the alert: programs find the thread by it.
    pub subject: String,
    /// The numbers of the latest evidence and change that was told.
    pub told: (u64, u64),
}

/// What a message says, before it is written as mail.
pub struct Letter {
    subject: String,
    text: String,
    html: String,
}

impl Letter {
    /// Its subject and the part in plain text.
    pub fn plainly(&self) -> String {
        format!("Subject: {}\n\n{}", self.subject, self.text)
    }
}

/// Who sends to whom.
pub struct Envelope<'e> {
    pub from: &'e Mailbox,
    pub to: &'e [Mailbox],
}

impl Envelope<'_> {
    /// The id of the first message about an alert: other recipients have another.
    pub fn root(&self, alert: &str) -> String {
        let to: Vec<String> = self.to.iter().map(|one| one.email.to_string()).collect();
        self.id(alert, &to.join(","))
    }

    fn id(&self, what: &str, of: &str) -> String {
        let of: String = id_of(of).chars().take(12).collect();
        format!("<{what}.{of}@{}>", self.from.email.domain())
    }

    fn write(&self, id: &str, more: &[(&'static str, &str)], letter: Letter) -> Option<Vec<u8>> {
        let mail = Mail::builder().from(self.from.clone()).subject(letter.subject);
        let mut mail = mail.message_id(Some(id.to_string()));
        for one in self.to {
            mail = mail.to(one.clone());
        }
        for (name, value) in more.iter().copied().chain([("Auto-Submitted", "auto-generated")]) {
            mail = mail.raw_header(HeaderValue::new(HeaderName::new_from_ascii(name.into()).ok()?, value.into()));
        }
        let parts = MultiPart::alternative_plain_html(letter.text, letter.html);
        Some(mail.multipart(parts).ok()?.formatted())
    }

    /// A message about an alert: the first of its thread, or news in it.
    pub fn alert(
        &self,
        wording: &Wording,
        parcel: &Parcel,
        message: &Message,
        thread: &Thread,
        first: bool,
    ) -> Option<Vec<u8>> {
        let id = message.alert.id.as_str();
        let mut more = vec![("X-Tripline-Alert", id)];
        if first {
            return self.write(&thread.root, &more, opened(wording, message));
        }
        more.extend([("In-Reply-To", thread.root.as_str()), ("References", thread.root.as_str())]);
        self.write(&self.id(id, &parcel.id), &more, replied(wording, message, thread))
    }

    /// A message about alerts that were held back.
    pub fn digest(&self, parcel: &Parcel, held: &Digest) -> Option<Vec<u8>> {
        self.write(&self.id("digest", &parcel.id), &[], digest(held))
    }
}

/// The first message of a thread.
pub fn opened(wording: &Wording, message: &Message) -> Letter {
    let found: Vec<String> = message.alert.evidence.iter().rev().map(facts::evidence).collect();
    letter(wording, message, subject(wording, message), &[], &found)
}

/// News in a thread.
fn replied(wording: &Wording, message: &Message, thread: &Thread) -> Letter {
    let news = facts::news(&message.alert, thread.told.0, thread.told.1).lines;
    letter(wording, message, format!("Re: {}", thread.subject), &news, &[])
}

fn letter(wording: &Wording, message: &Message, subject: String, news: &[String], found: &[String]) -> Letter {
    let words = wording.of(message, &|text| text.to_string());
    let mut text = vec![words.title];
    text.extend(words.link);
    text.extend(section("New", news));
    text.extend(words.body);
    text.push(words.facts.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("\n"));
    text.extend(section("Findings", found));
    let words = wording.of(message, &escape);
    let mut html = format!("<p><strong>{}</strong></p>", words.title);
    if let Some(link) = words.link {
        html.push_str(&format!("<p><a href=\"{0}\">{0}</a></p>", escape(&link)));
    }
    html.push_str(&points("New", news));
    html.extend(words.body.map(|body| format!("<p>{}</p>", body.replace('\n', "<br>"))));
    html.push_str("<table>");
    for (name, value) in words.facts {
        let (name, value) = (escape(&name), value.replace('\n', "<br>"));
        html.push_str(&format!("<tr><th align=\"left\" valign=\"top\">{name}</th><td>{value}</td></tr>"));
    }
    html.push_str("</table>");
    html.push_str(&points("Findings", found));
    Letter { subject, text: cut(&text.join("\n\n"), TEXT), html: page(&html) }
}

/// A message about alerts that were held back.
pub fn digest(held: &Digest) -> Letter {
    let (title, lines) = facts::digest(held);
    let html = format!("<p><strong>{}</strong></p>{}", escape(&title), points("Alerts", &lines));
    let text = format!("{title}\n\n{}", lines.join("\n"));
    Letter { subject: cut(&title, SUBJECT), text: cut(&text, TEXT), html: page(&html) }
}

/// The subject of a thread.
pub fn subject(wording: &Wording, message: &Message) -> String {
    cut(plain(&wording.of(message, &|text| text.to_string()).title).trim(), SUBJECT)
}

fn section(name: &str, lines: &[String]) -> Option<String> {
    (!lines.is_empty()).then(|| format!("{name}:\n- {}", lines.join("\n- ")))
}

fn points(name: &str, lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("<li>{}</li>", escape(line))).collect();
    format!("<p>{name}:</p><ul>{lines}</ul>")
}

fn page(body: &str) -> String {
    format!("<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body>{body}</body></html>")
}

/// A text in HTML, between tags or in an attribute.
pub fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
