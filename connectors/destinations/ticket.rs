//! What services with tickets have in common: what is remembered of a ticket, what it was not told yet, and the marks by
//! which texts of ours are known again.
//!
//! A ticket is changed only where the alert has changed since it was told last: what people do with the ticket stays.

use std::future::Future;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tripline_alert::{Alert, Status};
use tripline_config::Secret;
use tripline_connect::{Denied, Destination, Handle, Made, Outcome, Parcel, Sending};

use crate::api::Failed;
use crate::facts;
use crate::service::is_signed;

/// The longest comment that an alert takes (bytes).
const COMMENT: usize = 4_000;
/// Hexadecimal digits of an alert's id.
const ID: usize = 20;

/// What is remembered of a ticket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Own {
    /// What the service calls it.
    pub key: String,
    /// The numbers of the latest evidence and change that it was told.
    pub told: (u64, u64),
    /// The title that it was given.
    pub title: String,
    /// The severity that it was given.
    pub severity: i64,
    /// The alert's status that it was told.
    pub status: Status,
}

impl Own {
    /// What the service remembered; none where there is no ticket yet.
    pub fn of(handle: Option<&Handle>) -> Option<Self> {
        let handle = handle?;
        let mut own: Own = serde_json::from_str(&handle.own).ok()?;
        own.tell((handle.evidence, handle.history));
        Some(own)
    }

    /// Up to here it was told.
    pub fn tell(&mut self, upto: (u64, u64)) {
        self.told = (self.told.0.max(upto.0), self.told.1.max(upto.1));
    }

    /// What becomes of an attempt, with this to be remembered.
    fn made(own: Option<&Own>, outcome: Outcome) -> Made {
        Made { outcome, own: own.and_then(|own| serde_json::to_string(own).ok()) }
    }
}

/// A service with tickets.
pub trait Tracker: Send + Sync {
    /// Makes the ticket of a delivery what it is to be; `own` is what is remembered of it, also where this fails.
    fn attempt(&self, parcel: &Parcel, own: &mut Option<Own>) -> impl Future<Output = Result<(), Failed>> + Send;

    /// Looks whether it would work.
    fn look(&self) -> impl Future<Output = Result<Vec<String>, Failed>> + Send;
}

/// A service with tickets as a destination.
pub struct Tickets<T>(pub T);

impl<T: Tracker> Destination for Tickets<T> {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            let mut own = Own::of(parcel.handle.as_ref());
            let outcome = match self.0.attempt(parcel, &mut own).await {
                Ok(()) => Outcome::Taken,
                Err(failed) => failed.outcome,
            };
            Own::made(own.as_ref(), outcome)
        })
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move { self.0.look().await.map_err(Failed::reason) })
    }
}

/// Lines that a ticket was not told. What was done in the service itself, by people that `here` is written behind, is no
/// news there.
pub fn news(alert: &Alert, told: (u64, u64), here: &str) -> Vec<String> {
    let mut alert = alert.clone();
    alert.history.retain(|change| !change.by.as_ref().is_some_and(|by| by.ends_with(here)));
    facts::news(&alert, told.0, told.1).lines
}

/// The id under which a digest is found again.
pub fn id_of(parcel: &str) -> String {
    Sha256::digest(parcel).iter().take(ID / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text may be the id of an alert.
pub fn is_id(text: &str) -> bool {
    text.len() == ID && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// What stands at the end of every text of ours: the alert, and up to where the text tells of it.
pub fn mark(id: &str, upto: (u64, u64)) -> String {
    format!("[tripline {id} {}.{}]", upto.0, upto.1)
}

/// The mark at the end of a text; `end` is what may stand behind it.
pub fn marked(text: &str, end: &str) -> Option<(String, (u64, u64))> {
    let text = text.trim_end();
    let text = text.strip_suffix(end).unwrap_or(text).trim_end().strip_suffix(']')?;
    let (_, mark) = text.rsplit_once("[tripline ")?;
    let (id, upto) = mark.split_once(' ')?;
    let (evidence, history) = upto.split_once('.')?;
    is_id(id).then_some((id.to_string(), (evidence.parse().ok()?, history.parse().ok()?)))
}

/// A comment of somebody, as an alert takes it.
pub fn comment(text: &str) -> String {
    let text = facts::lines(text);
    let text = text.trim();
    let mut end = COMMENT.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_string()
}

/// Checks `sha256=HEX`, the HMAC of a body.
pub fn verify(secret: &Secret, header: Option<&String>, body: &[u8]) -> Result<(), Denied> {
    let hex = header.and_then(|header| header.strip_prefix("sha256=")).ok_or(Denied::Signature)?;
    if is_signed(secret, &[body], hex) { Ok(()) } else { Err(Denied::Signature) }
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::{Arc, Mutex};

    use hmac::{Hmac, Mac as _};
    use tripline_alert::{Act, Alert, Digest, Digested, Verdict};
    use tripline_connect::{Content, Parcel};

    use super::*;
    use crate::testing::{NOON, Reply, Request, SECOND, finding};

    /// Signs a body as services do.
    pub fn sign(secret: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("sha256={hex}")
    }

    /// Replies that requests get once in the place of their own: method, a part of the path, the reply, and whether the
    /// service does what it was asked all the same.
    #[derive(Clone, Default)]
    pub struct Traps(Arc<Mutex<Vec<Trap>>>);

    type Trap = (&'static str, &'static str, Reply, bool);

    impl Traps {
        pub fn set(&self, method: &'static str, path: &'static str, reply: Reply, done: bool) {
            self.0.lock().unwrap().push((method, path, reply, done));
        }

        pub fn reply(&self, request: &Request, service: impl FnOnce(&Request) -> Reply) -> Reply {
            let mut traps = self.0.lock().unwrap();
            let at =
                traps.iter().position(|(method, path, ..)| request.method == *method && request.path().ends_with(path));
            let Some((_, _, reply, done)) = at.map(|at| traps.remove(at)) else { return service(request) };
            if done {
                service(request);
            }
            reply
        }
    }

    /// Another finding comes.
    pub fn found(alert: &mut Alert, n: i64) {
        alert.add(&finding(n), NOON + n * SECOND);
    }

    pub fn act(alert: &mut Alert, act: &Act) {
        act.to(alert, "dana", NOON + 60 * SECOND).unwrap();
    }

    pub fn acknowledge(alert: &mut Alert) {
        act(alert, &Act::Acknowledge { comment: "on it".into() });
    }

    pub fn close(alert: &mut Alert, verdict: Verdict) {
        act(alert, &Act::Close { verdict, comment: "a drill".into() });
    }

    pub fn reopen(alert: &mut Alert) {
        act(alert, &Act::Reopen { comment: "no drill".into() });
    }

    pub fn digest() -> Parcel {
        let alert = Digested { id: "a1".into(), rule: "r".into(), title: "@all <b>*Title*</b>".into(), severity: 4 };
        let digest = Digest { route: "soc".into(), from: NOON, to: NOON + SECOND, alerts: vec![alert], more: 2 };
        Parcel { id: "digest-1".into(), attempt: 0, content: Content::Digest(Box::new(digest)), handle: None }
    }

    #[test]
    fn a_mark_counts_at_the_end_alone() {
        let id = "0123456789abcdef0123";
        let mark = mark(id, (3, 4));
        assert_eq!(marked(&format!("text\n{mark} \n"), ""), Some((id.into(), (3, 4))));
        assert_eq!(marked(&format!("text <!-- {mark} -->"), "-->"), Some((id.into(), (3, 4))));
        for none in [format!("{mark} said somebody"), "[tripline x 1.1]".into(), "[tripline ".into(), "]".into()] {
            assert_eq!(marked(&none, "-->"), None, "{none}");
        }
    }
}
