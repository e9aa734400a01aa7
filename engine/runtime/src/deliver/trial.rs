//! Whether something would be sent, asked of the worker that would send it: it answers once it comes to it, as it would
//! come to a delivery. It is rendered by what renders real ones, and goes nowhere.

use std::sync::PoisonError;
use std::sync::mpsc::Sender;

use tripline_connect::Settings;
use tripline_store::{Due, Outcome as Told};

use super::{Worker, parcel};

/// What would be sent, and who asks.
pub(crate) struct Trial {
    /// Which canary it is of.
    pub flight: u64,
    /// As they would stand in the outbox.
    pub key: String,
    pub body: String,
    /// Where the answer goes.
    pub tell: Sender<Tried>,
}

/// The answer.
pub(crate) struct Tried {
    pub flight: u64,
    /// The output or destination.
    pub to: String,
    /// Why it would not be sent.
    pub result: Result<(), String>,
}

/// Whether what stands in the outbox like this can be made what the other side is sent.
pub(crate) fn rendered(settings: &dyn Settings, key: &str, body: &str) -> Result<(), String> {
    let due = Due { id: 0, key: key.into(), body: body.into(), attempts: 0, at: 0, handle: None };
    settings.render(&parcel(&due)?).map(|_| ())
}

/// Why the last deliveries were not taken, after these: none where one was taken.
pub(super) fn trouble(settled: &[(i64, Told)], before: Option<String>) -> Option<String> {
    if settled.iter().any(|(_, told)| matches!(told, Told::Delivered)) {
        return None;
    }
    let why = |told: &Told| match told {
        Told::Failed { reason, .. } | Told::Dead { reason } => Some(reason.clone()),
        Told::Delivered => None,
    };
    settled.iter().find_map(|(_, told)| why(told)).or(before)
}

impl Worker {
    /// Answers what it was asked.
    pub(super) fn answer(&self, trouble: Option<&str>) {
        let trials = std::mem::take(&mut *self.bell.trials.lock().unwrap_or_else(PoisonError::into_inner));
        for Trial { flight, key, body, tell } in trials {
            let result = match trouble {
                Some(why) => Err(format!("the last delivery was not taken ({why})")),
                None => rendered(self.settings.as_ref(), &key, &body),
            };
            // Who asked may have given up.
            let _ = tell.send(Tried { flight, to: self.name.clone(), result });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_lasts_until_something_is_taken() {
        let failed = || (1, Told::Failed { retry_at: 0, reason: "no".into() });
        let dead = || (2, Told::Dead { reason: "never".into() });
        assert_eq!(trouble(&[failed(), dead()], None).as_deref(), Some("no"));
        assert_eq!(trouble(&[dead()], Some("no".into())).as_deref(), Some("never"));
        assert_eq!(trouble(&[], Some("no".into())).as_deref(), Some("no"));
        assert_eq!(trouble(&[failed(), (3, Told::Delivered)], Some("no".into())), None);
    }
}
