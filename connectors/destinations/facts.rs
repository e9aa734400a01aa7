//! What alerts say to people, for every kind that writes to people: the first line, facts with their names, evidence,
//! and what is new. It is plain text of bounded length; each kind escapes it for where it goes, and cuts it to what
//! fits there.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tripline_alert::{
    Alert, Change, Digest, Evidence, Message, Occasion, Status, Template, What, fields, severity_name,
};
use tripline_config::{Said, Table};
use tripline_connect::Texts;
use tripline_event::format_time;

/// The longest value of a fact, in UTF-16 units.
const LONGEST: usize = 1_500;
/// The longest part of a list, and the longest title.
const PART: usize = 300;
/// What is said of findings where a kind takes alerts alone.
pub const FINDINGS: &str = "it takes alerts and no findings";
/// The most parts of a list.
const PARTS: usize = 10;

/// What a team writes itself of a destination's messages: `title`, `body`, `fields` and `link`.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    texts: Texts,
    link: Option<Template>,
}

/// The words of a message, escaped and not yet cut.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Words {
    /// The first line: how grave, what, who.
    pub title: String,
    /// What the team wrote to stand below it.
    pub body: Option<String>,
    /// Names and values; a value may have several lines.
    pub facts: Vec<(String, String)>,
    /// Where the alert can be looked at: an address, which needs no escaping.
    pub link: Option<String>,
}

impl Wording {
    /// Reads `title`, `body`, `fields` and `link` of a destination's table.
    pub fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Self {
        let texts = Texts::read(table, said);
        let link = table.text("link", said).and_then(|link| {
            if !["https://", "http://"].iter().any(|scheme| link.value.starts_with(scheme)) {
                said.bad(link.span, "`link` takes an address such as `\"https://tripline.example.com/alerts/{id}\"`");
                return None;
            }
            let program = tripline_semantic::Program::default();
            let mut expressions = tripline_alert::Expressions::new(&program, said.sources, "a template");
            let link = expressions.template(link.span);
            expressions.take_diagnostics().into_iter().for_each(|one| said.push(one));
            link
        });
        Wording { texts, link }
    }

    /// The words of a message. Every value of the alert goes through `escape`, what the team wrote does not.
    pub fn of(&self, message: &Message, escape: &dyn Fn(&str) -> String) -> Words {
        let alert = &message.alert;
        let value = fields::value(alert);
        let clean = |text: &str| escape(&lines(text));
        let mark = if message.occasion == Occasion::Test { "[TEST] " } else { "" };
        let title = match &self.texts.title {
            Some(template) => template.render(&value, &|text| escape(&plain(text))),
            None => escape(&headline(alert)),
        };
        let facts = match &self.texts.fields {
            Some(fields) => fields.iter().map(|(name, text)| (name.clone(), text.render(&value, &clean))).collect(),
            None => facts(alert).into_iter().map(|(name, text)| (name.to_string(), escape(&text))).collect(),
        };
        Words {
            title: format!("{mark}{title}"),
            body: self.texts.body.as_ref().map(|body| body.render(&value, &clean)),
            facts,
            link: self.link.as_ref().map(|link| link.render(&value, &percent)),
        }
    }
}

/// A value as a part of an address.
fn percent(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// One line without characters that are not seen: control characters are spaces, and what turns the direction of
/// writing is a replacement character.
pub fn plain(text: &str) -> String {
    lines(text).replace('\n', " ")
}

/// Like [`plain`], with line breaks kept.
pub fn lines(text: &str) -> String {
    let clean = |c: char| match c {
        '\n' => '\n',
        '\u{2028}' | '\u{2029}' => ' ',
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => ' ',
        c => c,
    };
    text.replace("\r\n", "\n").chars().map(clean).collect()
}

/// A text of at most so many UTF-16 units, which is how most services count; one that is cut ends in `…`.
pub fn cut(text: &str, most: usize) -> String {
    if text.encode_utf16().count() <= most {
        return text.to_string();
    }
    let mut left = most.saturating_sub(1);
    let fits = |c: &char| {
        let fits = c.len_utf16() <= left;
        left = left.saturating_sub(c.len_utf16());
        fits
    };
    let mut out: String = text.chars().take_while(fits).collect();
    if most > 0 {
        out.push('…');
    }
    out
}

/// Parts of a list in one line, at most ten.
fn list<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let parts: Vec<&str> = parts.into_iter().collect();
    let shown: Vec<String> = parts.iter().take(PARTS).map(|part| cut(&plain(part), PART)).collect();
    match parts.len().saturating_sub(PARTS) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How grave, what, who: `[High] Root sign-in (user alice, ip 203.0.113.9)`.
pub fn headline(alert: &Alert) -> String {
    let title = cut(&plain(&alert.title), PART);
    let unsaid = alert.entities.iter().filter(|entity| !title.contains(&plain(&entity.value)));
    let who: Vec<String> =
        unsaid.take(3).map(|entity| format!("{} {}", entity.kind, cut(&plain(&entity.value), 80))).collect();
    let severity = severity_name(alert.severity);
    if who.is_empty() { format!("[{severity}] {title}") } else { format!("[{severity}] {title} ({})", who.join(", ")) }
}

/// How far it is, who has it, how it was judged.
pub fn status(alert: &Alert) -> String {
    let by = alert.assignee.as_ref().map(|who| format!(", with {}", cut(&plain(who), 80))).unwrap_or_default();
    match (alert.status, alert.verdict, alert.snoozed) {
        (Status::Closed, Some(verdict), _) => format!("closed as {}{by}", verdict.words()),
        (status, _, Some(until)) if status != Status::Closed => {
            format!("{}{by}, left alone until {}", status.as_str(), format_time(until))
        }
        (status, ..) => format!("{}{by}", status.as_str()),
    }
}

/// The facts of an alert, with their names; those without a value are left out.
pub fn facts(alert: &Alert) -> Vec<(&'static str, String)> {
    let about = &alert.about;
    let kinds: Vec<String> = alert.entities.iter().map(|entity| format!("{} {}", entity.kind, entity.value)).collect();
    let members = |map: &BTreeMap<String, Json>| -> Vec<String> {
        map.iter().map(|(name, value)| format!("{name}: {}", text_of(value))).collect()
    };
    let (context, enriched) = (members(&alert.context), members(&alert.enriched));
    let missing: Vec<String> = alert.missing.iter().map(|one| format!("{} ({})", one.name, one.why)).collect();
    let attack: Vec<String> = about.techniques.iter().map(|(id, name)| format!("{id} {name}")).collect();
    let tactics: Vec<&str> = about.tactics.iter().map(|(_, name)| name.as_str()).collect();
    let mut severity = severity_name(alert.severity).to_string();
    if !alert.severity_by.is_empty() && alert.severity_by != alert.title {
        severity.push_str(&format!(", by: {}", cut(&plain(&alert.severity_by), PART)));
    }
    let mut rule = plain(&about.name);
    if !about.title.is_empty() {
        rule.push_str(&format!(": {}", cut(&plain(&about.title), PART)));
    }
    if let Some(revision) = &about.revision {
        rule.push_str(&format!(" (revision {})", cut(&plain(revision), 40)));
    }
    let last = alert.evidence.last();
    let all = [
        ("Status", status(alert)),
        ("Severity", severity),
        ("Entities", list(kinds.iter().map(String::as_str))),
        ("Count", format!("{} of {}", many(alert.count, "finding"), many(alert.events, "event"))),
        ("First seen", format_time(alert.first_seen)),
        ("Last seen", format_time(alert.last_seen)),
        ("Rule", rule),
        ("Owner", about.owner.as_deref().map(plain).unwrap_or_default()),
        ("ATT&CK", list(attack.iter().map(String::as_str))),
        ("Tactics", list(tactics)),
        ("Risk", if alert.risk == 0 { String::new() } else { alert.risk.to_string() }),
        ("Why", last.map(why).unwrap_or_default()),
        ("Context", list(context.iter().map(String::as_str))),
        ("Enrichment", list(enriched.iter().map(String::as_str))),
        ("Missing", list(missing.iter().map(String::as_str))),
        ("Runbook", about.runbook.as_deref().map(|text| lines(text).trim().to_string()).unwrap_or_default()),
        ("False positives", list(about.false_positives.iter().map(String::as_str))),
        ("References", list(about.references.iter().map(String::as_str))),
        ("Sources", list(alert.sources.iter().map(String::as_str))),
        ("Alert", plain(&alert.id)),
    ];
    all.into_iter().filter(|(_, text)| !text.is_empty()).map(|(name, text)| (name, cut(&text, LONGEST))).collect()
}

/// The tests that decided, each on a line with what it saw.
fn why(evidence: &Evidence) -> String {
    let tests = evidence.why.iter().map(|(test, saw)| {
        let saw = list(saw.iter().map(String::as_str));
        let test = cut(&plain(test), PART);
        if saw.is_empty() { test } else { format!("{test}, saw {saw}") }
    });
    tests.collect::<Vec<_>>().join("\n")
}

fn text_of(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// `1 event`, `2 events`.
fn many(number: u64, word: &str) -> String {
    if number == 1 { format!("1 {word}") } else { format!("{number} {word}s") }
}

/// A finding in one line.
pub fn evidence(one: &Evidence) -> String {
    let time = one.time.map(format_time).unwrap_or_else(|| "without a time".into());
    let severity = severity_name(one.severity);
    let mut out = format!("{time} [{severity}] {} ({})", cut(&plain(&one.title), PART), many(one.events, "event"));
    if !one.origin.is_empty() {
        out.push_str(&format!(" at {}", cut(&plain(&one.origin), PART)));
    }
    out
}

/// A change in one line.
pub fn change(one: &Change) -> String {
    let mut out = format!("{} {}", format_time(one.at), one.what.words());
    if let Some(by) = &one.by {
        out.push_str(&format!(" by {}", cut(&plain(by), 80)));
    }
    if !one.text.is_empty() {
        out.push_str(&format!(": {}", cut(&plain(&one.text), PART)));
    }
    out
}

/// What a destination was not told yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct News {
    /// A line for each change and finding, and one for those that are not kept any more.
    pub lines: Vec<String>,
    /// The numbers up to which it goes: evidence, history.
    pub upto: (u64, u64),
}

/// What has numbers beyond these. That the alert was opened is no news.
pub fn news(alert: &Alert, evidence_told: u64, history_told: u64) -> News {
    let gone = |numbers: u64, told: u64, kept: usize, word: &str| {
        let gone = numbers.saturating_sub(told).saturating_sub(u64::try_from(kept).unwrap_or(u64::MAX));
        (gone > 0).then(|| format!("{} from before, not kept here", many(gone, word)))
    };
    let changed: Vec<&Change> = alert.history.iter().filter(|one| one.number > history_told).collect();
    let found: Vec<&Evidence> = alert.evidence.iter().filter(|one| one.number > evidence_told).collect();
    let mut lines: Vec<String> = gone(alert.numbers.1, history_told, changed.len(), "change").into_iter().collect();
    lines.extend(changed.into_iter().filter(|one| one.what != What::Opened).map(change));
    lines.extend(gone(alert.numbers.0, evidence_told, found.len(), "finding"));
    lines.extend(found.into_iter().map(evidence));
    News { lines, upto: alert.numbers }
}

/// The first line of a digest, and a line for each alert.
pub fn digest(digest: &Digest) -> (String, Vec<String>) {
    let shown = u64::try_from(digest.alerts.len()).unwrap_or(u64::MAX);
    let all = shown.saturating_add(digest.more);
    let title = format!(
        "{} held back by the limit of route {} from {} to {}",
        many(all, "alert"),
        plain(&digest.route),
        format_time(digest.from),
        format_time(digest.to)
    );
    let mut lines: Vec<String> = digest
        .alerts
        .iter()
        .map(|one| {
            let (title, rule) = (cut(&plain(&one.title), PART), plain(&one.rule));
            format!("[{}] {title} ({rule}, alert {})", severity_name(one.severity), plain(&one.id))
        })
        .collect();
    if digest.more > 0 {
        lines.push(format!("and {} more", digest.more));
    }
    (title, lines)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

    use super::*;
    use crate::testing;

    #[test]
    fn what_is_not_seen_is_not_sent() {
        assert_eq!(plain("a\r\nb\tc\u{202e}d\u{0}e\u{2028}f"), "a b c\u{fffd}d e f");
        assert_eq!(lines("a\r\nb\rc"), "a\nb c");
    }

    #[test]
    fn a_text_is_cut_by_utf_16_units_and_between_characters() {
        assert_eq!((cut("abc", 3), cut("abcd", 3)), ("abc".into(), "ab…".into()));
        assert_eq!((cut("a😀b", 4), cut("a😀bc", 4), cut("a😀bc", 3)), ("a😀b".into(), "a😀…".into(), "a…".into()));
        assert_eq!(cut("abc", 0), "");
    }

    #[test]
    fn the_first_line_names_whom_the_title_does_not() {
        let mut alert = testing::alert();
        assert_eq!(headline(&alert), "[High] Root sign-in to 111122223333 from 203.0.113.1");
        alert.title = "Root\r\nsign-in".into();
        assert_eq!(headline(&alert), "[High] Root sign-in (account 111122223333, ip 203.0.113.1)");
    }

    #[test]
    fn news_are_what_is_beyond_the_numbers_that_were_told() {
        let mut alert = testing::alert();
        assert!(news(&alert, 1, 0).lines.is_empty(), "that it was opened is no news");
        (2..=30).for_each(|n| _ = alert.add(&testing::finding(n), testing::NOON));
        let all = news(&alert, 1, 1);
        assert_eq!((all.lines.len(), all.lines[0].as_str()), (11, "19 findings from before, not kept here"));
        assert_eq!(news(&alert, 29, 1).lines, [evidence(alert.evidence.last().unwrap())]);
        (0..150).for_each(|_| alert.note(testing::NOON, Some("bob"), What::Commented, "x".into()));
        let all = news(&alert, 30, 1);
        assert_eq!((all.lines.len(), all.lines[0].as_str()), (101, "50 changes from before, not kept here"));
        assert_eq!(all.upto, (30, 151));
    }

    #[test]
    fn a_value_cannot_leave_its_part_of_an_address() {
        assert_eq!(percent("a/../b?x=ä&<"), "a%2F..%2Fb%3Fx%3D%C3%A4%26%3C");
    }
}
