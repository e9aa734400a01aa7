//! What services answered for alerts that wait: a recorded input, committed with what it leads to.

use serde_json::json;
use tripline_alert::{Answered, Wanted};
use tripline_store::Note;

use super::desk::{Kept, Rules, alert, told};
use super::{Engine, Work, locked};
use tripline_connect::clock;

/// Alerts that may still wait when a service starts.
const MOST: usize = 10_000;
/// The longest that an alert waits (nanoseconds).
const LONGEST: i64 = 30_000_000_000;

impl Engine<'_> {
    /// Takes answers. What nobody waits for any more is let go.
    pub(super) fn answered(&self, rules: &Rules, answered: Vec<Answered>, work: &mut Work) -> Result<(), String> {
        let now = clock::now();
        let store = locked(&self.store);
        let mut taken = Vec::new();
        for one in answered {
            if rules.desk.answer(&Kept(&store), &mut work.changes, &one, now)? {
                taken.push(one);
            }
        }
        if !taken.is_empty() {
            let body = json!(taken).to_string();
            work.notes.push(Note { kind: "enrich".into(), time: now, body });
        }
        Ok(())
    }

    /// Asks anew for what alerts wait for since before the service started.
    pub fn ask_again(&mut self) -> Result<(), String> {
        let now = clock::now();
        let due = locked(&self.store).due_alerts(now.saturating_add(LONGEST), MOST).map_err(told)?;
        for row in due {
            let alert = alert(row)?;
            for open in alert.lookups.open {
                if open.until > now {
                    let (name, value, until) = (open.name, open.value, open.until);
                    self.asker.ask(Wanted { alert: alert.id.clone(), name, value, until });
                }
            }
        }
        Ok(())
    }
}
