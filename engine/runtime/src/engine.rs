//! The one thread that judges and commits: what sources send goes in, and positions, state, findings and deliveries
//! that follow from it are written together.

pub(crate) mod canary;
mod complete;
pub(crate) mod desk;
mod enrich;
mod feed;
mod ids;
mod judge;
pub(crate) mod kept;
mod restore;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tripline_alert::{Changes, Wanted};
use tripline_connect::source::{Arrival, Done, Stop};
use tripline_detect::{Detector, Ruleset, Stream};
use tripline_semantic::typed::Mode;
use tripline_store::{Commit, Delivery, Note, Position, Problem, Store};

use crate::ask::{Answer, Request};
use crate::canary::schedule::Canaries;
use crate::config::Config;
use crate::content::Content;
use crate::deliver::{self, Outlet};
use crate::enrich::ask::Asker;
use crate::health::Health;
use crate::log::say;
use crate::metrics::Metrics;
use crate::parcel::{Message, Parcel};
use crate::reload::Running;
use crate::watch::{Watch, Written};
use desk::Rules;
use feed::Feed;
pub(crate) use ids::Ids;
pub(crate) use judge::Row;
pub use judge::told;
use tripline_connect::clock;

/// How many bytes one commit gathers at most; a parcel more may come on top.
const MOST_BYTES: u64 = 8 << 20;
/// How often what was kept long enough is deleted.
const RETAIN_EVERY: Duration = Duration::from_secs(3600);
/// How often time passes for alerts.
const DESK_TICK: Duration = Duration::from_millis(200);
/// How many requests of people one commit takes at most.
const MOST_ASKED: usize = 256;
/// How many answers of enrichments one commit takes at most.
const MOST_ANSWERED: usize = 256;
/// How often the engine looks up where nothing comes.
const TICK: Duration = Duration::from_millis(50);

/// How often answers of enrichments are looked for where nothing else comes.
const ANSWERS: Duration = Duration::from_millis(5);

/// Why the engine stopped.
pub(crate) enum Exit {
    /// It was told to, or everything was read.
    Stop,
    /// Other rules are to be used.
    Reload(Box<Running>),
}

/// The engine, between any two sets of rules.
pub(crate) struct Engine<'c> {
    pub config: &'c Config,
    pub store: Arc<Mutex<Store>>,
    pub receive: Receiver<Message>,
    pub reloaded: Receiver<Box<Running>>,
    /// What people ask for.
    pub asked: Receiver<Request>,
    /// Asks services for what alerts wait for.
    pub asker: Asker,
    pub outlets: Vec<Outlet>,
    pub metrics: Arc<Metrics>,
    pub health: Arc<Health>,
    pub stop: Stop,
    pub pool: rayon::ThreadPool,
    /// How many sources are still to be read to their ends; none where they have no ends.
    pub to_end: Option<usize>,
    pub ids: Ids,
    /// When what is old enough was deleted last.
    pub retained: Option<Instant>,
    /// Watches whether events are complete.
    pub watch: Watch,
    /// Tries whether rules would fire.
    pub canaries: Option<Canaries>,
}

/// The store, also where a thread that had it has gone.
pub(crate) fn locked(store: &Mutex<Store>) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Engine<'_> {
    /// Judges until it is told to stop, or other rules are there.
    pub fn run(&mut self, running: &Running) -> Result<Exit, String> {
        let ruleset = &running.ruleset;
        let mut rules = self.rules(running)?;
        let mut ticked: Option<Instant> = None;
        let mut stream = Stream::new(ruleset);
        let mut feed = Feed::new(ruleset, self.config, Arc::clone(&self.metrics));
        let mut complete = false;
        restore::restore(&locked(&self.store), stream.as_mut(), &mut feed, &mut self.ids, &mut self.watch)?;
        restore::tidy(&mut locked(&self.store), ruleset, stream.as_mut())?;
        feed.begin(stream.as_mut());
        self.begin_canaries(ruleset)?;
        self.metrics.rules.set(i64::try_from(ruleset.active().count()).unwrap_or(i64::MAX));
        let threads = self.pool.current_num_threads();
        let detectors: Vec<Mutex<Detector<'_>>> = (0..threads).map(|_| Mutex::new(Detector::new(ruleset))).collect();
        loop {
            self.health.beat();
            if let Ok(reloaded) = self.reloaded.try_recv() {
                return Ok(Exit::Reload(reloaded));
            }
            self.retain();
            feed.count(stream.as_mut());
            let parcels = self.gather();
            let idle = feed.idle(stream.as_mut());
            let asked: Vec<Request> = self.asked.try_iter().take(MOST_ASKED).collect();
            let answered = self.asker.take(MOST_ANSWERED);
            // Time passes for alerts too.
            let tick = ticked.is_none_or(|at| at.elapsed() >= DESK_TICK);
            let mut work = Work { parcels, notes: idle, ..Work::default() };
            // Where nothing more comes, it is looked at once more.
            let last = self.to_end == Some(0) && work.parcels.is_empty() && !std::mem::replace(&mut complete, true);
            if last || self.watch.is_due() {
                self.look(last, &mut work);
            }
            if tick || !asked.is_empty() || !answered.is_empty() {
                ticked = Some(Instant::now());
                self.answered(&rules, answered, &mut work)?;
                self.attend(&mut rules, asked, running, &mut work)?;
            }
            self.canaries(ruleset, &detectors, &rules, &mut work);
            if !work.is_empty() {
                self.judge(ruleset, &detectors, stream.as_mut(), &mut feed, &rules, &mut work)?;
                // Whoever is asked is asked for alerts that are kept.
                let wanted = std::mem::take(&mut work.wanted);
                if !self.commit(work)? {
                    return Ok(Exit::Stop);
                }
                wanted.into_iter().for_each(|wanted| self.asker.ask(wanted));
            } else if self.stop.asked() || self.to_end == Some(0) && !self.asker.waits() {
                complete::put(self.watch.finish(), &mut work);
                if !work.is_empty() {
                    self.commit(work)?;
                }
                return Ok(Exit::Stop);
            } else if self.to_end == Some(0) {
                // Alerts wait for answers, and nothing else comes.
                std::thread::sleep(ANSWERS);
            }
        }
    }

    /// Deletes what was kept long enough, once an hour.
    fn retain(&mut self) {
        if self.retained.is_some_and(|last| last.elapsed() < RETAIN_EVERY) {
            return;
        }
        self.retained = Some(Instant::now());
        let before = clock::now().saturating_sub(clock::nanos(self.config.store.retain));
        let deleted = locked(&self.store).retain(before);
        if let Err(error) = deleted {
            say(&error.to_string());
        }
        self.forget();
    }

    /// What comes within the time of a commit, as much as one may hold.
    fn gather(&mut self) -> Vec<Parcel> {
        let mut parcels: Vec<Parcel> = Vec::new();
        let (mut events, mut bytes) = (0, 0);
        let mut until = Instant::now() + TICK;
        while events < self.config.engine.commit_events && bytes < MOST_BYTES {
            let left = until.saturating_duration_since(Instant::now());
            // What has come by the time of stopping is finished; what has not is read again.
            let left = if self.stop.asked() { Duration::ZERO } else { left.min(TICK) };
            match self.receive.recv_timeout(left) {
                Ok(Message::Parcel(parcel)) => {
                    if parcels.is_empty() {
                        until = Instant::now() + self.config.engine.commit_every;
                    }
                    events += parcel.arrival.pieces.iter().map(|(_, batch)| batch.records.len() as u64).sum::<u64>();
                    bytes += parcel.arrival.bytes;
                    parcels.push(*parcel);
                }
                Ok(Message::Canary(marked)) => {
                    if let Some(canaries) = &mut self.canaries {
                        canaries.arrived.push_back(*marked);
                    }
                }
                Ok(Message::Ended) => {
                    self.to_end = self.to_end.map(|left| left.saturating_sub(1));
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < until && !self.stop.asked() => {}
                Err(_) => break,
            }
            // Nothing more comes; waiting would only take time.
            if self.to_end == Some(0) {
                until = Instant::now();
            }
            if self.stop.asked() {
                break;
            }
        }
        parcels
    }

    /// What follows from some parcels.
    fn judge<'r>(
        &mut self,
        ruleset: &'r Ruleset,
        detectors: &[Mutex<Detector<'r>>],
        stream: Option<&mut Stream<'r>>,
        feed: &mut Feed<'_, 'r>,
        rules: &Rules,
        work: &mut Work,
    ) -> Result<(), String> {
        let now = clock::now();
        work.commit.at = now;
        let mut watched = Written::default();
        for parcel in &work.parcels {
            let repeated = parcel.arrival.id.as_ref().is_some_and(|id| !self.ids.take(&parcel.source, id, now));
            if repeated {
                self.watch.repeated(&parcel.source, &mut watched);
                self.metrics.repeated.with_label_values(&[&parcel.source]).inc();
            }
            work.done.push(Done { repeated, ..Done::default() });
        }
        let fresh: Vec<&Parcel> =
            work.parcels.iter().zip(&work.done).filter(|(_, done)| !done.repeated).map(|(parcel, _)| parcel).collect();
        let numbered = self.numbered(&fresh);
        let mut judged = self.pool.install(|| judge::judge(ruleset, detectors, &numbered));
        let taken = self.watch(&fresh, &mut judged, now);
        let mut rows = Vec::new();
        let told = feed.take(stream, &fresh, judged, now, &mut rows, &mut work.notes, &mut work.commit.state);
        for (done, told) in work.done.iter_mut().filter(|done| !done.repeated).zip(told) {
            *done = told;
        }
        complete::put(watched, work);
        complete::put(taken, work);
        self.ids.expire(now);
        work.commit.state.extend(self.ids.changes());
        for parcel in &mut work.parcels {
            let rows = std::mem::take(&mut parcel.arrival.rows).into_iter();
            work.commit.state.extend(rows.map(|(key, value)| kept::row(&parcel.source, &key, value)));
        }
        let mut positions: BTreeMap<&str, &[u8]> = BTreeMap::new();
        for parcel in &work.parcels {
            if let Some(position) = &parcel.arrival.position {
                positions.insert(&parcel.source, position);
            }
        }
        let position = |(source, value): (&str, &[u8])| Position { source: source.into(), value: value.into() };
        work.commit.positions = positions.into_iter().map(position).collect();
        self.findings(rows, rules, work)?;
        work.commit.notes.append(&mut work.notes);
        for (rule, held) in &work.changes.opened {
            self.metrics.alerts.with_label_values(&[rule]).inc();
            self.metrics.held.with_label_values(&[rule]).inc_by(u64::from(*held));
        }
        work.wanted.append(&mut work.changes.wanted);
        desk::write(std::mem::take(&mut work.changes), &mut work.commit);
        Ok(())
    }

    /// Findings that the store does not have yet, and where they go.
    fn findings(&self, rows: Vec<Row>, rules: &Rules, work: &mut Work) -> Result<(), String> {
        let mut last: BTreeMap<String, Row> = BTreeMap::new();
        for row in rows {
            match last.get(&row.row.uid) {
                Some(known) if known.row.revision > row.row.revision => {}
                _ => {
                    last.insert(row.row.uid.clone(), row);
                }
            }
        }
        // The window of an alert begins with the first of its findings.
        let mut last: Vec<(String, Row)> = last.into_iter().collect();
        last.sort_by_key(|(_, row)| row.told.time);
        let store = locked(&self.store);
        for (uid, mut row) in last {
            // An event that came twice is told once. Where the store cannot be read, it is told again.
            match store.revision(&uid) {
                Ok(Some(known)) if known >= row.row.revision => continue,
                // It came, and was told anew, within one batch: for its alert it is new.
                Ok(None) => row.told.revision = 0,
                // It was found in shadow, and goes on: nobody heard of it, unless it was told before it was in shadow.
                Ok(Some(_))
                    if !row.shadow
                        && row.told.revision > 0
                        && was_in_shadow(&store, &uid)
                        && !rules.has_taken(&store, row.rule, &row.told)? =>
                {
                    row.told.revision = 0;
                }
                _ => {}
            }
            if row.told.revision == 0 {
                let counter = if row.shadow { &self.metrics.shadow } else { &self.metrics.findings };
                counter.with_label_values(&[&row.row.rule]).inc();
            }
            work.arrived.push(row.arrived);
            if !row.shadow {
                self.hand_on(&store, rules, &row, work)?;
            }
            work.commit.findings.push(row.row);
        }
        Ok(())
    }

    /// Hands a finding on to alerts and outputs: the one way in which people and programs hear of it. What is not to be
    /// heard of is kept from here, and nowhere else.
    fn hand_on(&self, store: &Store, rules: &Rules, row: &Row, work: &mut Work) -> Result<(), String> {
        rules.take(&desk::Kept(store), &mut work.changes, row.rule, &row.told, work.commit.at)?;
        for outlet in self.outlets.iter().filter(|outlet| !outlet.alerts && row.severity >= outlet.min_severity) {
            let body = deliver::finding(row.row.revision, &row.row.body);
            work.commit.outbox.push(Delivery { destination: outlet.name.clone(), key: row.row.uid.clone(), body });
        }
        Ok(())
    }

    /// Writes a commit, however long that takes, and tells who waits for it. Gives false where the service stops
    /// before that: then nothing of it was written.
    fn commit(&self, work: Work) -> Result<bool, String> {
        let mut wait = Duration::from_millis(100);
        loop {
            let begun = Instant::now();
            let written = locked(&self.store).commit(&work.commit);
            match written {
                Ok(()) => {
                    self.metrics.commit.observe(begun.elapsed().as_secs_f64());
                    self.health.failing(false);
                    break;
                }
                Err(error) => {
                    self.metrics.failed_commits.inc();
                    self.health.failing(true);
                    match error.problem() {
                        // These pass; what is to be written is still here, and nobody is told that it was.
                        Problem::Full | Problem::Io(_) | Problem::InUse(_) => say(&format!("{error}; trying again")),
                        _ => return Err(error.to_string()),
                    }
                    if self.stop.wait(wait) {
                        return Ok(false);
                    }
                    wait = (wait * 2).min(Duration::from_secs(10));
                }
            }
        }
        for arrived in &work.arrived {
            self.metrics.latency.observe(arrived.elapsed().as_secs_f64());
        }
        if !work.commit.outbox.is_empty() {
            self.outlets.iter().for_each(Outlet::wake);
        }
        for (Parcel { source, arrival, .. }, done) in work.parcels.into_iter().zip(work.done) {
            let Arrival { done: tell, room, bytes, .. } = arrival;
            if !done.repeated {
                let name: [&str; 1] = [&source];
                self.metrics.bytes.with_label_values(&name).inc_by(bytes);
                self.metrics.events.with_label_values(&name).inc_by(done.events);
                self.metrics.unparsed.with_label_values(&name).inc_by(done.unparsed);
            }
            // Whoever is told may send again at once, and finds the room given back.
            drop(room);
            if let Some(tell) = tell {
                // A client that has gone sends again, under the same id.
                let _ = tell.send(done);
            }
        }
        for (tell, answer) in work.answers {
            let _ = tell.send(answer);
        }
        Ok(true)
    }

    /// Remembers which rules are used from now on, and says what is another than it was.
    pub fn remember(&self, running: &Running, notes: &[Note]) -> Result<(), String> {
        let now = clock::now();
        let mut content = Content::of(&running.ruleset, now);
        let before = Content::kept(&locked(&self.store)).map_err(|error| error.to_string())?;
        if !before.is_empty() {
            content.since(&before).lines().iter().for_each(|line| say(line));
        }
        let commit = Commit { at: now, notes: notes.to_vec(), memos: content.after(&before), ..Commit::default() };
        if commit.memos.is_empty() && commit.notes.is_empty() {
            return Ok(());
        }
        self.commit(Work { commit, ..Work::default() }).map(|_| ())
    }
}

/// Whether a finding was last found in shadow. Where the store cannot be read, it was not.
fn was_in_shadow(store: &Store, uid: &str) -> bool {
    let row = store.finding(uid).ok().flatten();
    row.and_then(|row| serde_json::from_str(&row.body).ok()).is_some_and(|finding| is_in_shadow(&finding))
}

/// Whether a finding, as it is kept, was found in shadow.
pub fn is_in_shadow(finding: &serde_json::Value) -> bool {
    finding.pointer("/unmapped/mode").and_then(serde_json::Value::as_str) == Some(Mode::Shadow.name())
}

/// That other rules are used from now on.
pub(crate) fn reload_note(running: &Running) -> Note {
    let rules = running.ruleset.active().count();
    let body = serde_json::json!({ "rules": rules, "revision": running.revision }).to_string();
    Note { kind: "reload".into(), time: clock::now(), body }
}

/// What one commit is made of.
#[derive(Default)]
struct Work {
    parcels: Vec<Parcel>,
    done: Vec<Done>,
    commit: Commit,
    notes: Vec<Note>,
    /// When the events of each finding came.
    arrived: Vec<Instant>,
    /// What became of alerts.
    changes: Changes,
    /// What is asked for once it is committed.
    wanted: Vec<Wanted>,
    /// Who waits for what they asked for, and what they are told once it is committed.
    answers: Vec<(oneshot::Sender<Answer>, Answer)>,
}

impl Work {
    fn is_empty(&self) -> bool {
        self.parcels.is_empty()
            && self.notes.is_empty()
            && self.changes.is_empty()
            && self.answers.is_empty()
            && self.commit == Commit::default()
    }
}
