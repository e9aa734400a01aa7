//! Alerts wait for enrichments before they are routed, and not longer than these may take.

use std::sync::Arc;

use super::{Changes, Desk, Shelf};
use crate::enrich::{Answered, Enrichments, keep, missing};
use crate::{Alert, Status};

impl Desk {
    /// The same desk, which looks things up.
    pub fn enriching(mut self, enrichments: Arc<Enrichments>) -> Self {
        self.enrichments = enrichments;
        self
    }

    /// Takes what became of a value that somebody was asked for. Gives whether an alert waited for it.
    ///
    /// # Errors
    /// Where what was kept cannot be read.
    pub fn answer(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        answered: &Answered,
        now: i64,
    ) -> Result<bool, String> {
        let Answered { alert, name, value, looked } = answered;
        let Some(mut alert) = self.find(shelf, changes, alert)? else { return Ok(false) };
        let waited = alert.lookups.take(name, value);
        if waited {
            keep(&mut alert, name, value, looked.clone());
            alert.updated = now;
            // Enrichments that look up what this one found are asked now, within the time that is left.
            let since = alert.lookups.since;
            self.look(changes, &mut alert, since);
            self.ready(shelf, changes, &mut alert, now)?;
        }
        self.put(changes, alert);
        Ok(waited)
    }

    pub(super) fn look(&self, changes: &mut Changes, alert: &mut Alert, since: i64) {
        changes.wanted.extend(self.enrichments.look(alert, since));
    }

    /// Looks up what further findings brought. An alert that waits does not wait longer for it.
    pub(super) fn look_on(&self, changes: &mut Changes, alert: &mut Alert, now: i64) {
        let waits = alert.lookups.waits && !alert.lookups.open.is_empty();
        let since = if waits { alert.lookups.since } else { now };
        self.look(changes, alert, since);
    }

    /// Routes an alert that waited, once nothing is waited for and it is not left alone.
    pub(super) fn ready(
        &self,
        shelf: &dyn Shelf,
        changes: &mut Changes,
        alert: &mut Alert,
        now: i64,
    ) -> Result<(), String> {
        if !alert.lookups.waits || !alert.lookups.open.is_empty() || alert.is_snoozed(now) {
            return Ok(());
        }
        self.route(shelf, changes, alert, now)?;
        alert.lookups.waits = false;
        changes.opened.push((alert.about.name.clone(), alert.held.is_some()));
        Ok(())
    }

    /// Gives up what was waited for long enough.
    pub(super) fn give_up(&self, alert: &mut Alert, now: i64) {
        for open in alert.lookups.expired(now) {
            missing(alert, &open.name, &self.enrichments.late(&open.name));
        }
    }

    /// What was judged waits for nothing.
    pub(super) fn stop_waiting(&self, changes: &mut Changes, alert: &mut Alert) {
        if alert.status == Status::Closed {
            alert.lookups.open.clear();
            if std::mem::take(&mut alert.lookups.waits) {
                changes.opened.push((alert.about.name.clone(), false));
            }
        }
    }
}
