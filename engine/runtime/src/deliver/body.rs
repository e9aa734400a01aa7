//! What stands in the outbox: a finding as its revision and its line, an alert or a digest as JSON.

use serde::Deserialize;
use tripline_alert::{Digest, Message, Occasion};
use tripline_connect::{Content, Handle, Made, Outcome, Parcel};
use tripline_store::Due;

/// The body of a finding.
pub(crate) fn finding(revision: u64, line: &str) -> String {
    format!("{revision} {line}")
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Alert(Box<Message>),
    Digest(Box<Digest>),
}

/// A delivery as destinations take it.
pub(super) fn parcel(due: &Due) -> Result<Parcel, String> {
    let unreadable = || "what is to be sent cannot be read".to_string();
    let (id, content) = if due.body.starts_with('{') {
        match serde_json::from_str(&due.body).map_err(|_| unreadable())? {
            Kept::Alert(message) => {
                let (evidence, history) = message.alert.numbers;
                let occasion = occasion(message.occasion);
                (format!("{}-{evidence}.{history}-{occasion}", due.key), Content::Alert(message))
            }
            Kept::Digest(digest) => (due.key.clone(), Content::Digest(digest)),
        }
    } else {
        let (revision, line) = due.body.split_once(' ').ok_or_else(unreadable)?;
        let revision: u64 = revision.parse().map_err(|_| unreadable())?;
        let content = Content::Finding { uid: due.key.clone(), revision, line: line.to_string() };
        (format!("{}-{revision}", due.key), content)
    };
    // What was remembered by a version that wrote it otherwise is begun anew.
    let handle = due.handle.as_deref().and_then(|handle| serde_json::from_str(handle).ok());
    Ok(Parcel { id, attempt: due.attempts, content, handle })
}

fn occasion(occasion: Occasion) -> &'static str {
    match occasion {
        Occasion::Opened => "opened",
        Occasion::Updated => "updated",
        Occasion::Acted => "acted",
        Occasion::Escalated => "escalated",
        Occasion::Test => "test",
    }
}

/// What is to be remembered after an attempt; none where that is what is remembered already.
pub(super) fn remembered(parcel: &Parcel, made: &Made) -> Option<String> {
    let Content::Alert(message) = &parcel.content else { return None };
    let before = parcel.handle.clone().unwrap_or_default();
    let mut after = before.clone();
    if let Some(own) = &made.own {
        after.own.clone_from(own);
    }
    if made.outcome == Outcome::Taken {
        (after.evidence, after.history) = message.alert.numbers;
    } else if made.own.is_none() {
        return None;
    }
    let known = parcel.handle.is_some() && after == before;
    (!known).then(|| serde_json::to_string::<Handle>(&after).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_connect::sample;

    fn due(key: &str, body: &str, handle: Option<&str>) -> Due {
        Due { id: 1, key: key.into(), body: body.into(), attempts: 2, at: 0, handle: handle.map(str::to_string) }
    }

    #[test]
    fn what_is_queued_is_read_back() {
        let read = parcel(&due("u", &finding(3, "{\"a\":1}"), None)).unwrap();
        assert_eq!((read.id.as_str(), read.attempt), ("u-3", 2));
        assert_eq!(read.content, Content::Finding { uid: "u".into(), revision: 3, line: "{\"a\":1}".into() });
        let message = sample(5);
        let body = serde_json::json!({ "alert": message }).to_string();
        let read = parcel(&due("a", &body, Some("{\"own\":\"t\",\"evidence\":1,\"history\":0}"))).unwrap();
        assert_eq!(read.content, Content::Alert(Box::new(message)));
        assert_eq!(read.handle.unwrap().own, "t");
        for broken in ["", "x", "{", "{\"other\":1}", "-1 {}"] {
            assert!(parcel(&due("u", broken, None)).is_err(), "{broken}");
        }
    }

    #[test]
    fn what_was_told_counts_as_told_once_it_was_taken() {
        let body = serde_json::json!({ "alert": sample(5) }).to_string();
        let read = parcel(&due("a", &body, None)).unwrap();
        let later = || Outcome::Later { reason: "no".into(), after: None };
        assert_eq!(remembered(&read, &later().into()), None);
        let begun = remembered(&read, &Made { outcome: later(), own: Some("t".into()) }).unwrap();
        let handle: Handle = serde_json::from_str(&begun).unwrap();
        assert_eq!(handle, Handle { own: "t".into(), evidence: 0, history: 0 });
        let read = parcel(&due("a", &body, Some(&begun))).unwrap();
        let taken: Handle = serde_json::from_str(&remembered(&read, &Made::taken(None)).unwrap()).unwrap();
        assert_eq!(taken, Handle { own: "t".into(), evidence: 1, history: 1 });
    }
}
