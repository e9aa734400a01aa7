//! ArcSight's Common Event Format: a header with `|` between its parts, and pairs of `key=value`.
//!
//! Keys, lengths and escapes are those of "Implementing ArcSight Common Event Format (CEF)", version 25.

use std::net::IpAddr;

use serde_json::Value as Json;
use tripline_alert::{Alert, Digest, Message, severity_name};

use crate::facts::{cut, lines, plain};

/// The longest name of an event (characters), and the longest id of its class.
const NAME: usize = 512;
const CLASS: usize = 1023;
/// The longest value of most keys, and of `cs1` to `cs6`.
const VALUE: usize = 1023;
const CUSTOM: usize = 4000;
/// The longest `externalId`, and the longest `act`.
const ID: usize = 40;
const ACT: usize = 63;
/// The longest `destinationDnsDomain`.
const DOMAIN: usize = 255;

/// An event: its header, and pairs, the important ones first.
pub struct Cef {
    head: String,
    pairs: Vec<(&'static str, String)>,
}

impl Cef {
    fn new(class: &str, name: &str, severity: i64) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let (class, name) = (header(&cut(&plain(class), CLASS)), header(&cut(&plain(name), NAME)));
        let head = format!("CEF:0|Tripline|Tripline|{version}|{class}|{name}|{}|", grade(severity));
        Cef { head, pairs: Vec::new() }
    }

    fn add(&mut self, key: &'static str, value: &str, most: usize) {
        if !value.is_empty() {
            self.pairs.push((key, cut(value, most)));
        }
    }

    fn custom(&mut self, label: (&'static str, &str), key: &'static str, value: &str) {
        if !value.is_empty() {
            self.add(label.0, label.1, VALUE);
            self.add(key, value, CUSTOM);
        }
    }

    /// The text, of at most so many bytes: pairs that do not fit are left out whole. None where not even the header fits.
    pub fn text(&self, most: usize) -> Option<String> {
        let mut out = self.head.clone();
        for (key, value) in &self.pairs {
            let space = if out.ends_with('|') { "" } else { " " };
            let pair = format!("{space}{key}={}", extension(value));
            if out.len() + pair.len() <= most {
                out.push_str(&pair);
            }
        }
        (out.len() <= most).then_some(out)
    }
}

/// A part of the header.
fn header(text: &str) -> String {
    text.replace('\\', "\\\\").replace('|', "\\|")
}

/// A value of a pair. Breaks are written; what else steers a screen is a space.
fn extension(text: &str) -> String {
    lines(text).replace('\\', "\\\\").replace('=', "\\=").replace('\n', "\\n")
}

/// From 0 to 10: below 4 is low, from 7 high, from 9 very high.
fn grade(severity: i64) -> u8 {
    match severity {
        1 => 1,
        2 => 3,
        3 => 6,
        4 => 8,
        5 => 10,
        _ => 0,
    }
}

/// Milliseconds since 1970.
fn millis(nanos: i64) -> String {
    nanos.div_euclid(1_000_000).to_string()
}

/// An alert as it is.
pub fn alert(message: &Message, delivery: &str) -> Cef {
    let Message { occasion, alert, .. } = message;
    let mut cef = Cef::new(&alert.about.name, &alert.title, alert.severity);
    cef.add("externalId", &alert.id, ID);
    let occasion = serde_json::to_value(occasion).unwrap_or_default();
    cef.add("act", occasion.as_str().unwrap_or_default(), ACT);
    cef.add("rt", &millis(alert.updated), ID);
    cef.add("start", &millis(alert.first_seen), ID);
    cef.add("end", &millis(alert.last_seen), ID);
    cef.add("cnt", &alert.count.to_string(), ID);
    cef.add("TriplineDelivery", delivery, VALUE);
    cef.add("msg", &alert.title, VALUE);
    cef.custom(("cs1Label", "Status"), "cs1", alert.status.as_str());
    entities(&mut cef, alert.entities.iter().map(|entity| (entity.kind.as_str(), entity.value.as_str())));
    let techniques: Vec<String> = alert.about.techniques.iter().map(|(id, name)| format!("{id} {name}")).collect();
    cef.custom(("cs3Label", "ATT&CK"), "cs3", &techniques.join(", "));
    let verdict = alert.verdict.map_or("", |verdict| verdict.as_str());
    cef.custom(("cs4Label", "Verdict"), "cs4", verdict);
    cef.custom(("cs5Label", "Assignee"), "cs5", alert.assignee.as_deref().unwrap_or_default());
    cef.custom(("cs6Label", "Owner"), "cs6", alert.about.owner.as_deref().unwrap_or_default());
    cef.add("reason", &why(alert), VALUE);
    cef.add("cat", &alert.class, VALUE);
    cef
}

/// The tests that decided in the latest finding.
fn why(alert: &Alert) -> String {
    let tests = alert.evidence.last().map_or(&[][..], |last| last.why.as_slice());
    tests.iter().map(|(test, saw)| format!("{test} [{}]", saw.join(", "))).collect::<Vec<_>>().join("; ")
}

/// A finding, from its OCSF Detection Finding.
pub fn finding(uid: &str, found: &Json, delivery: &str) -> Cef {
    let text = |path: &str| found.pointer(path).and_then(Json::as_str).unwrap_or_default();
    let int = |path: &str| found.pointer(path).and_then(Json::as_i64);
    let severity = int("/severity_id").unwrap_or(0);
    let mut cef = Cef::new(text("/finding_info/analytic/name"), text("/finding_info/title"), severity);
    let time = int("/time").unwrap_or(0);
    cef.add("externalId", uid, ID);
    cef.add("act", "finding", ACT);
    cef.add("rt", &time.to_string(), ID);
    cef.add("start", &int("/finding_info/first_seen_time").unwrap_or(time).to_string(), ID);
    cef.add("end", &int("/finding_info/last_seen_time").unwrap_or(time).to_string(), ID);
    cef.add("cnt", &int("/count").unwrap_or(1).to_string(), ID);
    cef.add("TriplineDelivery", delivery, VALUE);
    cef.add("msg", text("/message"), VALUE);
    let each = |path: &str| found.pointer(path).and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
    let of = |one: &Json, key: &str| one.pointer(key).and_then(Json::as_str).unwrap_or_default().to_string();
    let observables: Vec<(String, String)> =
        each("/observables").iter().map(|one| (of(one, "/name"), of(one, "/value"))).collect();
    entities(&mut cef, observables.iter().map(|(kind, value)| (kind.as_str(), value.as_str())));
    let attacks: Vec<String> = each("/finding_info/attacks").iter().map(|one| of(one, "/technique/uid")).collect();
    cef.custom(("cs3Label", "ATT&CK"), "cs3", &attacks.join(", "));
    cef
}

/// Alerts that were held back.
pub fn digest(digest: &Digest, delivery: &str) -> Cef {
    let count = (digest.alerts.len() as u64).saturating_add(digest.more);
    let severity = digest.alerts.iter().map(|one| one.severity).max().unwrap_or(0);
    let mut cef = Cef::new("tripline_digest", &format!("{count} alerts were held back"), severity);
    cef.add("act", "digest", ACT);
    cef.add("rt", &millis(digest.to), ID);
    cef.add("start", &millis(digest.from), ID);
    cef.add("end", &millis(digest.to), ID);
    cef.add("cnt", &count.to_string(), ID);
    cef.add("TriplineDelivery", delivery, VALUE);
    cef.custom(("cs1Label", "Route"), "cs1", &digest.route);
    let alerts = digest.alerts.iter().map(|one| format!("{} {} {}", severity_name(one.severity), one.id, one.title));
    cef.custom(("cs2Label", "Alerts"), "cs2", &alerts.collect::<Vec<_>>().join("\n"));
    cef
}

/// The first entity of each kind that has a key, and all of them as a text.
fn entities<'e>(cef: &mut Cef, entities: impl Iterator<Item = (&'e str, &'e str)> + Clone) {
    let mut taken: Vec<&str> = Vec::new();
    for (kind, value) in entities.clone() {
        let (key, most) = match (kind, value.parse::<IpAddr>()) {
            ("ip", Ok(IpAddr::V4(_))) => ("src", ID),
            ("ip", Ok(IpAddr::V6(_))) => ("c6a2", ID),
            ("user", _) => ("suser", VALUE),
            ("host", _) => ("shost", VALUE),
            ("domain", _) => ("destinationDnsDomain", DOMAIN),
            ("url", _) => ("request", VALUE),
            ("file", _) => ("fname", VALUE),
            ("process", _) => ("sproc", VALUE),
            _ => continue,
        };
        if !taken.contains(&key) {
            taken.push(key);
            if key == "c6a2" {
                cef.add("c6a2Label", "Source IPv6 Address", VALUE);
            }
            cef.add(key, value, most);
        }
    }
    let all: Vec<String> = entities.map(|(kind, value)| format!("{kind}:{value}")).collect();
    cef.custom(("cs2Label", "Entities"), "cs2", &all.join(", "));
}
