//! When which canary is injected, what is under way, and what was kept of each rule.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use tripline_detect::harness::Fixtures;
use tripline_detect::{Ruleset, canary};
use tripline_event::format_time;
use tripline_semantic::typed::Mode;
use tripline_store::Store;

use super::{Came, ENGINE, KEPT, Kept, MOST, Maker, Marked, State, Step};
use crate::config::{self, Config};
use crate::deliver::Tried;
use crate::parcel::Message;
use crate::reload::Load;
use crate::watch::Failing;
use tripline_connect::clock;

/// How many canaries are under way at once.
const AT_ONCE: usize = 16;

/// How long it is waited, where none is due, before that is looked at anew.
const LEAST: Duration = Duration::from_millis(100);
const MOST_WAIT: Duration = Duration::from_secs(1);

/// A canary that is under way.
struct Flight {
    rule: String,
    /// When it was injected, nanoseconds since 1970.
    at: i64,
    begun: Instant,
    /// Since when it is on the part of its way that it is on: to the engine, or at its destinations.
    since: Instant,
    of: String,
    /// What could not be handed over yet, as too much waits for the engine.
    unsent: Option<Box<Marked>>,
    /// The destinations that did not answer yet; none before it came through the engine.
    open: Option<BTreeSet<String>>,
    reached: Vec<String>,
    /// The first destination that would not get it, and why.
    failed: Option<(String, String)>,
}

/// What is to be committed of canaries.
#[derive(Default)]
pub(crate) struct Settled {
    pub memos: Vec<(String, Option<String>)>,
    /// Events of `tripline.health`.
    pub events: Vec<Json>,
    /// What became of each: the rule, its state, and how long it took.
    pub came: Vec<(String, State, Duration)>,
}

/// The canaries of a service.
pub(crate) struct Canaries {
    settings: config::Canary,
    send: SyncSender<Message>,
    load: Arc<dyn Load>,
    failing: Arc<Failing>,
    tell: Sender<Tried>,
    told: Receiver<Tried>,
    /// Those that came through to the engine.
    pub arrived: VecDeque<Marked>,
    flights: BTreeMap<u64, Flight>,
    number: u64,
    kept: BTreeMap<String, Kept>,
    restored: bool,
    /// What is still to be said of rules that have no canary any more.
    gone: Settled,
    fixtures: Fixtures,
    /// The rules that have one, by index.
    wheel: Vec<usize>,
    next: Instant,
}

impl Canaries {
    pub fn new(
        settings: config::Canary,
        send: SyncSender<Message>,
        load: Arc<dyn Load>,
        failing: Arc<Failing>,
    ) -> Self {
        let (tell, told) = channel();
        Canaries {
            settings,
            send,
            load,
            failing,
            tell,
            told,
            arrived: VecDeque::new(),
            flights: BTreeMap::new(),
            number: 0,
            kept: BTreeMap::new(),
            restored: false,
            gone: Settled::default(),
            fixtures: Fixtures::default(),
            wheel: Vec::new(),
            next: Instant::now(),
        }
    }

    /// Begins with a ruleset. What is under way was of another, and is injected anew. What is known of rules that have no
    /// canary any more is forgotten, and where one was lost, that ends.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn begin(&mut self, ruleset: &Ruleset, store: &Store) -> Result<(), String> {
        if !std::mem::replace(&mut self.restored, true) {
            for (name, text) in store.memos(KEPT, MOST).map_err(|error| error.to_string())? {
                if let (Some(rule), Ok(kept)) = (name.strip_prefix(KEPT), serde_json::from_str(&text)) {
                    self.kept.insert(rule.to_string(), kept);
                }
            }
        }
        self.flights.clear();
        self.arrived.clear();
        self.fixtures = Fixtures::default();
        let rules = &ruleset.program.rules;
        let has_one = |at: &usize| {
            rules.get(*at).is_some_and(|rule| {
                // Who switches a rule off does not ask whether it would fire.
                rule.mode != Mode::Off && canary::of(rule, self.settings.tests).is_some()
            })
        };
        self.wheel = (0..rules.len()).filter(has_one).collect();
        self.next = Instant::now();
        // Where something cannot be read, a rule may be gone by mistake alone.
        if !ruleset.has_errors() {
            let names: BTreeSet<&str> =
                self.wheel.iter().filter_map(|at| Some(rules.get(*at)?.name.as_str())).collect();
            let gone: Vec<String> = self.kept.keys().filter(|name| !names.contains(name.as_str())).cloned().collect();
            for name in gone {
                if let Some(was) = self.kept.remove(&name).filter(|was| was.state == State::Lost) {
                    let why = format!("{name} is gone or off, or has no canary any more");
                    let ended = event(&name, &Kept { why, ..was }, "ended", self.settings.within, clock::now());
                    self.gone.events.push(ended);
                }
                self.gone.memos.push((format!("{KEPT}{name}"), None));
            }
        }
        Ok(())
    }

    /// What is to be said of rules that have no canary any more.
    pub fn ended(&mut self) -> Settled {
        std::mem::take(&mut self.gone)
    }

    /// What became of the last canary of each rule.
    pub fn kept(&self) -> impl Iterator<Item = (&str, &Kept)> {
        self.kept.iter().map(|(name, kept)| (name.as_str(), kept))
    }

    /// Where destinations answer to.
    pub fn tell(&self) -> Sender<Tried> {
        self.tell.clone()
    }

    /// It came to the engine. Gives whether it is under way still, and not too late.
    pub fn came_in_time(&mut self, flight: u64, settled: &mut Settled) -> bool {
        self.give_up(flight, settled);
        self.flights.contains_key(&flight)
    }

    /// It came through the engine, and these destinations are asked now. What it waited for before is not their fault.
    pub fn asked(&mut self, flight: u64, open: BTreeSet<String>, settled: &mut Settled) {
        if let Some(found) = self.flights.get_mut(&flight) {
            found.open = Some(open);
            found.since = Instant::now();
        }
        self.settle_done(flight, settled);
    }

    /// Takes what destinations answered.
    pub fn answers(&mut self, settled: &mut Settled) {
        while let Ok(Tried { flight, to, result }) = self.told.try_recv() {
            let Some(found) = self.flights.get_mut(&flight) else { continue };
            if !found.open.as_mut().is_some_and(|open| open.remove(&to)) {
                continue;
            }
            match result {
                Ok(()) => found.reached.push(to),
                Err(why) => {
                    found.failed.get_or_insert((to, why));
                }
            }
            self.settle_done(flight, settled);
        }
    }

    /// Settles a canary of which every destination answered.
    fn settle_done(&mut self, flight: u64, settled: &mut Settled) {
        let Some(found) = self.flights.get(&flight) else { return };
        if found.open.as_ref().is_none_or(|open| !open.is_empty()) {
            return;
        }
        let came = match &found.failed {
            Some((to, why)) => Came::lost(Step::Destination, to, format!("`{to}` would not get it: {why}")),
            None => Came::other(State::Fires, ""),
        };
        self.settle(flight, came, settled);
    }

    /// It has come to its end.
    pub fn settle(&mut self, flight: u64, mut came: Came, settled: &mut Settled) {
        let Some(found) = self.flights.remove(&flight) else { return };
        came.to = found.reached;
        self.keep(&found.rule, found.at, found.begun.elapsed(), &found.of, came, settled);
    }

    fn keep(&mut self, rule: &str, at: i64, took: Duration, of: &str, came: Came, settled: &mut Settled) {
        let Came { state, step, blamed, why, to } = came;
        let before = self.kept.get(rule);
        let since = before.filter(|before| before.state == state).map_or(at, |before| before.since);
        let fired = if state == State::Fires { Some(at) } else { before.and_then(|before| before.fired) };
        let was_lost = before.filter(|before| before.state == State::Lost).cloned();
        let kept = Kept { at, state, step, blamed, why, to, nanos: clock::nanos(took), since, fired, of: of.into() };
        let within = self.settings.within;
        match (was_lost, state == State::Lost) {
            (None, true) => settled.events.push(event(rule, &kept, "began", within, clock::now())),
            (Some(was), false) => {
                let why = format!("the canary of {rule} is lost no more ({})", state.as_str());
                settled.events.push(event(rule, &Kept { why, ..was }, "ended", within, clock::now()));
            }
            _ => {}
        }
        settled.memos.push((format!("{KEPT}{rule}"), serde_json::to_string(&kept).ok()));
        settled.came.push((rule.to_string(), state, took));
        self.kept.insert(rule.to_string(), kept);
    }

    /// Hands over what could not be handed over before, and gives up what took too long.
    pub fn pass(&mut self, settled: &mut Settled) {
        for flight in self.flights.values_mut() {
            if let Some(marked) = flight.unsent.take() {
                flight.unsent = handed(&self.send, marked);
            }
        }
        let all: Vec<u64> = self.flights.keys().copied().collect();
        all.into_iter().for_each(|flight| self.give_up(flight, settled));
    }

    /// Gives up a canary that takes too long on the part of its way that it is on.
    fn give_up(&mut self, number: u64, settled: &mut Settled) {
        let within = self.settings.within;
        let Some(flight) = self.flights.get(&number).filter(|flight| flight.since.elapsed() >= within) else { return };
        let came = match flight.open.as_ref().map(|open| open.iter().next()) {
            Some(Some(to)) => {
                let why = format!("`{to}` was busy for longer than {within:?}: its worker did not come to it");
                Came::lost(Step::Destination, to, why)
            }
            _ => {
                let why = format!("it waited longer than {within:?} in front of the engine, behind other events");
                Came::lost(Step::Intake, ENGINE, why)
            }
        };
        self.settle(number, came, settled);
    }

    /// Injects what is due: one rule after another, so that each has its turn once in the configured time. Where rounds of
    /// the engine take longer than a turn, several have theirs in one.
    pub fn inject(&mut self, ruleset: &Ruleset, config: &Config, settled: &mut Settled) {
        let Ok(count) = u32::try_from(self.wheel.len()) else { return };
        let Some(between) = self.settings.every.checked_div(count) else { return };
        for _ in 0..AT_ONCE {
            if Instant::now() < self.next || self.flights.len() >= AT_ONCE {
                return;
            }
            let Some(at) = self.due(ruleset, clock::now().saturating_add(clock::nanos(between))) else {
                self.next = Instant::now() + between.clamp(LEAST, MOST_WAIT);
                return;
            };
            // As many turns as one round has are made up for.
            self.next += between;
            if let Some(least) = Instant::now().checked_sub(between.saturating_mul(AT_ONCE as u32)) {
                self.next = self.next.max(least);
            }
            self.inject_one(ruleset, config, at, settled);
        }
    }

    fn inject_one(&mut self, ruleset: &Ruleset, config: &Config, at: usize, settled: &mut Settled) {
        let now = clock::now();
        let Some(rule) = ruleset.program.rules.get(at) else { return };
        let Some(test) = canary::of(rule, self.settings.tests) else { return };
        self.number += 1;
        let (load, failing) = (Arc::clone(&self.load), Arc::clone(&self.failing));
        let fails = |source: &str| failing.of(source).map(|(why, _)| why);
        let maker = Maker { config, ruleset, files: load.as_ref(), fails: &fails };
        let begun = Instant::now();
        let made = maker.make(&mut self.fixtures, (at, rule), test, self.number, now);
        match made {
            Err(came) => self.keep(&rule.name, now, begun.elapsed(), &test.name, came, settled),
            Ok(marked) => {
                let flight = Flight {
                    rule: rule.name.clone(),
                    at: now,
                    begun,
                    since: begun,
                    of: test.name.clone(),
                    unsent: handed(&self.send, Box::new(marked)),
                    open: None,
                    reached: Vec::new(),
                    failed: None,
                };
                self.flights.insert(self.number, flight);
            }
        }
    }

    /// The rule whose last canary is the oldest, if its next is due by then.
    fn due(&self, ruleset: &Ruleset, by: i64) -> Option<usize> {
        let every = clock::nanos(self.settings.every);
        let under_way: BTreeSet<&str> = self.flights.values().map(|flight| flight.rule.as_str()).collect();
        let last = |at: &usize| -> Option<(i64, usize)> {
            let name = ruleset.program.rules.get(*at)?.name.as_str();
            let last = self.kept.get(name).map_or(i64::MIN, |kept| kept.at);
            (!under_way.contains(name)).then_some((last, *at))
        };
        let (last, at) = self.wheel.iter().filter_map(last).min()?;
        // A clock that was set back does not stop them.
        let due = last.saturating_add(every) <= by || last > clock::now();
        due.then_some(at)
    }
}

/// Hands over a canary; gives it back where too much waits already.
fn handed(send: &SyncSender<Message>, marked: Box<Marked>) -> Option<Box<Marked>> {
    match send.try_send(Message::Canary(marked)) {
        Err(TrySendError::Full(Message::Canary(marked))) => Some(marked),
        _ => None,
    }
}

/// What is told of a rule whose canary is lost, or no more.
fn event(rule: &str, kept: &Kept, state: &str, within: Duration, now: i64) -> Json {
    let whole = ["canary", rule, &kept.since.to_string()].join("\0");
    let id: String = Sha256::digest(whole.as_bytes()).iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    json!({
        "id": format!("{id}-{state}"),
        "time": format_time(now),
        "kind": "canary",
        "state": state,
        "source": kept.blamed,
        "rule": rule,
        "step": kept.step.map(Step::as_str),
        "expected": format!("a finding of {rule} at its destinations within {within:?}"),
        "seen": kept.why,
        "since": format_time(kept.since),
        "seconds": now.saturating_sub(kept.since).max(0) / 1_000_000_000,
    })
}

#[cfg(test)]
mod tests;
