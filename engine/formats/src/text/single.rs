//! One text by itself, as protocols carry it that know nothing of formats: it says by how it begins what it is.

use super::{Out, apache, auditd, syslog};
use crate::MAX_RECORD;
use crate::batch::Batch;
use crate::json::Json;

/// Writes the event that a text is: a JSON object, CEF, LEEF, a message of syslog, a record of auditd, a line of an access
/// log, or three or more pairs and nothing else. False, and nothing is written, where it is none of these; text of
/// several lines is syslog or JSON, or none. `near` is when it came (see [`crate::Layout::near`]).
///
/// Records of auditd that come one by one are events one by one.
pub fn text_event(text: &[u8], near: Option<i64>, out: &mut Vec<u8>) -> bool {
    let blank = text.trim_ascii();
    if auditd::is(blank) && !blank.contains(&b'\n') {
        return record(blank, out);
    }
    let start = out.len();
    let mut json = Json::new(out);
    json.open();
    let written = if blank.starts_with(b"{") {
        syslog::payload(blank, &mut json)
    } else if syslog::is(blank) {
        syslog::members(blank, near, &mut json).is_ok()
    } else if blank.contains(&b'\n') {
        false
    } else if apache::is(blank) {
        apache::members(blank, &mut json).is_ok()
    } else {
        // A tab at the end is a value of LEEF.
        syslog::payload(text.trim_ascii_start(), &mut json)
    };
    json.close();
    if !written || out.len() - start > MAX_RECORD {
        out.truncate(start);
        return false;
    }
    true
}

/// Writes a record of auditd.
fn record(text: &[u8], out: &mut Vec<u8>) -> bool {
    let (mut batch, mut events) = (Batch::default(), auditd::Events::default());
    let mut into = Out { batch: &mut batch, limit: MAX_RECORD };
    events.line(1, text, &mut into);
    events.finish(&mut into);
    match batch.iter().next() {
        Some(event) if batch.unparsed.is_empty() => {
            out.extend_from_slice(event.bytes);
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<String> {
        let mut out = b"before".to_vec();
        let is = text_event(text.as_bytes(), Some(1_795_000_000_000_000_000), &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(is, text != "before", "{text}");
        is.then(|| text["before".len()..].to_string())
    }

    #[test]
    fn a_text_is_known_by_how_it_begins() {
        for (text, wanted) in [
            (" {\"a\":1}\n", "{\"a\":1}"),
            ("{\n \"a\": 1\n}", "{\"a\": 1}"),
            (
                "CEF:0|Example|Firewall|1.0|100|Blocked|5|src=203.0.113.9",
                "{\"cefVersion\":0,\"deviceVendor\":\"Example\",\"deviceProduct\":\"Firewall\",\"deviceVersion\":\"1.0\",\
                 \"deviceEventClassId\":\"100\",\"name\":\"Blocked\",\"severity\":\"5\",\"src\":\"203.0.113.9\"}",
            ),
            ("a=1 b=2 c=\"3 4\"", "{\"a\":\"1\",\"b\":\"2\",\"c\":\"3 4\"}"),
            (
                "<38>Nov 21 08:15:12 web1 sshd[4711]: hello",
                "{\"priority\":38,\"facility\":4,\"severity\":6,\"timestamp\":\"2025-11-21T08:15:12\",\"hostname\":\"web1\",\
                 \"appname\":\"sshd\",\"procid\":\"4711\",\"message\":\"hello\"}",
            ),
        ] {
            assert_eq!(of(text).as_deref(), Some(wanted), "{text}");
        }
        for (text, part) in [
            ("<34>1 2026-11-21T08:15:12Z web1 app - - - two\nlines", "\"message\":\"two\\nlines\""),
            ("LEEF:1.0|Example|Proxy|1.0|deny|src=203.0.113.9\tusrName=alice", "\"usrName\":\"alice\""),
            (
                "203.0.113.9 - - [21/Nov/2026:08:15:12 +0000] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl/8\"",
                "\"sc-status\":200",
            ),
            ("type=USER_LOGIN msg=audit(1795000000.123:42): pid=1 uid=0 res=success", "\"res\":\"success\""),
        ] {
            let event = of(text).unwrap_or_else(|| panic!("{text}"));
            assert!(event.contains(part) && serde_json::from_str::<serde_json::Value>(&event).is_ok(), "{event}");
        }
    }

    #[test]
    fn other_text_is_no_event_and_leaves_nothing() {
        let none = [
            "",
            "hello world",
            "[1]",
            "{\"a\":",
            "{} {}",
            "a=1 b=2",
            "a=1 b=2\nc=3",
            "CEF:0|short",
            "type=X msg=audit(broken",
            "key: value",
            "<999>x",
            "2026-11-21 ERROR something",
            "CEF:0|a|b|c|d|e|f|x=1\nsecond",
        ];
        for text in none {
            assert_eq!(of(text), None, "{text}");
        }
    }
}
