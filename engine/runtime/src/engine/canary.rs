//! The lane of canaries: judged as other events are, by the same rules, desk and routes, with nothing known before them,
//! and let go. This is the one place at which what comes of a marked event leaves the way of others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tripline_alert::{Alert, Answered, Beside, Changes, Looked, Shelf};
use tripline_detect::{Detector, Ruleset, canary};
use tripline_event::format_time;
use tripline_semantic::typed::Rule;
use tripline_store::Note;

use super::desk::{Kept, Rules};
use super::judge::{self, Row};
use super::{Engine, Work, locked};
use crate::canary::schedule::Settled;
use crate::canary::{Came, Marked, State, Step};
use crate::deliver::{self, Outlet, Trial};
use tripline_connect::clock;

/// How many findings of a canary become alerts.
const MOST: usize = 20;

/// An output or destination, as far as canaries ask.
pub(crate) struct Way<'o> {
    pub name: &'o str,
    pub alerts: bool,
    pub min_severity: i64,
}

/// What would have been sent.
pub(crate) struct Out {
    pub to: String,
    pub key: String,
    pub body: String,
}

/// What marked events come to: what would be sent, or where they were lost. Nothing is kept of it.
///
/// # Errors
/// Where what was kept cannot be read.
pub(crate) fn judge<'r>(
    ruleset: &'r Ruleset,
    detectors: &[Mutex<Detector<'r>>],
    rules: &Rules,
    outlets: &[Way<'_>],
    shelf: &dyn Shelf,
    marked: &Marked,
    now: i64,
) -> Result<Result<Vec<Out>, Came>, String> {
    let Some(rule) = ruleset.program.rules.get(marked.rule) else {
        return Ok(Err(Came::lost(Step::Rule, "", "the rule is gone")));
    };
    let rows = match found(ruleset, detectors, rule, marked) {
        Ok(rows) => rows,
        Err(came) => return Ok(Err(came)),
    };
    if rows.iter().any(|row| row.shadow) {
        let why = "the rule is in shadow: what it finds is kept, and told to nobody";
        return Ok(Err(Came::other(State::Held, why)));
    }
    let shelf = Beside(Some(shelf));
    let mut changes = Changes::default();
    let mut out: Vec<Out> = Vec::new();
    for Row { row, severity, mut told, .. } in rows {
        // Whatever the clock of its events says, it is an alert of now.
        told.time = Some(now);
        rules.take(&shelf, &mut changes, marked.rule, &told, now)?;
        // Services are not asked about what did not happen: it is as if they gave no answer.
        while let Some(wanted) = changes.wanted.pop() {
            let looked = Looked::Failed("nobody is asked about a canary".into());
            let answered = Answered { alert: wanted.alert, name: wanted.name, value: wanted.value, looked };
            rules.desk.answer(&shelf, &mut changes, &answered, now)?;
        }
        for outlet in outlets.iter().filter(|outlet| !outlet.alerts && severity >= outlet.min_severity) {
            if !out.iter().any(|known| known.to == outlet.name) {
                let body = deliver::finding(row.revision, &row.body);
                out.push(Out { to: outlet.name.to_string(), key: row.uid.clone(), body });
            }
        }
    }
    let told = changes.deliveries.iter().filter(|(_, key, _)| changes.alerts.contains_key(key));
    let mut to: Vec<Out> =
        told.map(|(to, key, body)| Out { to: to.clone(), key: key.clone(), body: body.clone() }).collect();
    if to.is_empty()
        && let Some(why) = changes.alerts.values().find_map(held)
    {
        return Ok(Err(Came::other(State::Held, why)));
    }
    to.append(&mut out);
    // What is filtered is filtered because somebody wrote it so.
    if to.is_empty() {
        let why = match outlets.is_empty() {
            true => "the configuration has no destination and no output: it is kept, and told to nobody",
            false => "no route takes its alert, and no output its finding: it is kept, and told to nobody",
        };
        return Ok(Err(Came::other(State::Held, why)));
    }
    Ok(Ok(to))
}

/// The findings of the rule itself, or where its events were lost.
fn found<'r>(
    ruleset: &'r Ruleset,
    detectors: &[Mutex<Detector<'r>>],
    rule: &Rule,
    marked: &Marked,
) -> Result<Vec<Row>, Came> {
    let parcels: Vec<_> = marked.parcels.iter().map(|parcel| (parcel, None)).collect();
    let mut pieces = judge::judge(ruleset, detectors, &parcels);
    let aside = pieces.iter().find_map(|piece| piece.aside.first().map(|aside| aside.reason.clone()));
    let cut = marked.parcels.iter().flat_map(|parcel| &parcel.arrival.pieces);
    let unparsed = cut.flat_map(|(_, batch)| &batch.unparsed).next().map(|unparsed| unparsed.reason.clone());
    if let Some(why) = aside.or(unparsed) {
        return Err(Came::lost(Step::Decoding, &rule.name, format!("what came in is no event: {why}")));
    }
    let mut rows = Vec::new();
    let mut taken = Vec::new();
    for one in pieces.iter_mut().flat_map(|piece| &mut piece.ones) {
        rows.extend(std::mem::take(&mut one.rows).into_iter().filter(|row| row.rule == marked.rule));
        taken.extend(one.judged.as_mut().map(|judged| &mut judged.taken));
    }
    if rule.stateful.is_some() {
        let findings = canary::follow(ruleset, &mut taken);
        let mine = findings.iter().filter(|finding| finding.rule == marked.rule);
        rows.extend(mine.map(|finding| Row::new(ruleset, finding, Instant::now())));
    }
    if rows.is_empty() {
        let events: Vec<_> = marked.events.iter().map(|(choice, event)| (choice.clone(), event)).collect();
        let (lost, why) = match detectors.first().map(Mutex::try_lock) {
            Some(Ok(detector)) => canary::why(ruleset, &detector, marked.rule, &events),
            _ => canary::why(ruleset, &Detector::new(ruleset), marked.rule, &events),
        };
        return Err(Came::lost(lost.into(), &rule.name, why));
    }
    rows.truncate(MOST);
    Ok(rows)
}

/// Why an alert is told to nobody now; none where nothing holds it.
fn held(alert: &Alert) -> Option<String> {
    if let Some(why) = &alert.held {
        return Some(why.clone());
    }
    alert.tracks.iter().find_map(|track| match track.hold {
        Some(until) => Some(format!("the route `{}` holds it until {}", track.route, format_time(until))),
        None if track.limited => {
            Some(format!("the limit of the route `{}` is used up; it goes into the digest", track.route))
        }
        None => None,
    })
}

impl Engine<'_> {
    /// Begins with a ruleset.
    pub(super) fn begin_canaries(&mut self, ruleset: &Ruleset) -> Result<(), String> {
        let Some(canaries) = &mut self.canaries else { return Ok(()) };
        canaries.begin(ruleset, &locked(&self.store))?;
        self.metrics.canary_fires.reset();
        for (rule, kept) in canaries.kept() {
            self.metrics.canary_fires.with_label_values(&[rule]).set(i64::from(kept.state == State::Fires));
        }
        Ok(())
    }

    /// Judges canaries that came in, takes what destinations said of others, and injects those that are due.
    pub(super) fn canaries<'r>(
        &mut self,
        ruleset: &'r Ruleset,
        detectors: &[Mutex<Detector<'r>>],
        rules: &Rules,
        work: &mut Work,
    ) {
        // Who stops waits for what has come, and nothing new is begun.
        if self.stop.asked() {
            return;
        }
        let Some(mut canaries) = self.canaries.take() else { return };
        let mut settled = canaries.ended();
        while let Some(marked) = canaries.arrived.pop_front() {
            if !canaries.came_in_time(marked.flight, &mut settled) {
                continue;
            }
            let ways: Vec<Way<'_>> = self.outlets.iter().map(Outlet::way).collect();
            let store = Arc::clone(&self.store);
            let come = self.pool.install(|| {
                let store = locked(&store);
                judge(ruleset, detectors, rules, &ways, &Kept(&store), &marked, clock::now())
            });
            // What keeps a canary from its way is told of it, and ends nothing.
            let come = come.unwrap_or_else(|why| Err(Came::lost(Step::Routing, "store", why)));
            match come {
                Err(came) => canaries.settle(marked.flight, came, &mut settled),
                Ok(out) => {
                    let open: BTreeSet<String> = out.iter().map(|one| one.to.clone()).collect();
                    canaries.asked(marked.flight, open, &mut settled);
                    for Out { to, key, body } in out {
                        let trial = Trial { flight: marked.flight, key, body, tell: canaries.tell() };
                        if let Some(outlet) = self.outlets.iter().find(|outlet| outlet.name == to) {
                            outlet.try_out(trial);
                        }
                    }
                }
            }
        }
        canaries.answers(&mut settled);
        canaries.pass(&mut settled);
        canaries.inject(ruleset, self.config, &mut settled);
        self.canaries = Some(canaries);
        self.write_canaries(settled, work);
    }

    /// Makes what became of canaries part of a commit.
    fn write_canaries(&self, settled: Settled, work: &mut Work) {
        for (rule, state, took) in &settled.came {
            self.metrics.canaries.with_label_values(&[state.as_str()]).inc();
            let fires = i64::from(*state == State::Fires);
            self.metrics.canary_fires.with_label_values(&[rule]).set(fires);
            if *state == State::Fires {
                self.metrics.canary_seconds.observe(took.as_secs_f64());
            }
        }
        let now = clock::now();
        let note = |event: &serde_json::Value| Note { kind: "health".into(), time: now, body: event.to_string() };
        work.notes.extend(settled.events.iter().map(note));
        work.commit.memos.extend(settled.memos);
        super::complete::tell(&settled.events, work);
    }
}
