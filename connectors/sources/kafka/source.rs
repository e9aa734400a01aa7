//! Reads records and hands them over.
//!
//! The thread of the source polls, as whoever does not poll is taken for dead by its group; another one hands over, and
//! waits while the engine is busy. Partitions are paused where that lasts.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{CommitMode, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tripline_connect::source::{Arrival, Done, Gap, Intake, Source, Which};
use tripline_formats::MAX_BATCH;

use super::client::{ANSWER, Change, Member, words};
use super::config::Kafka;
use super::gather::Gathered;
use super::offsets::{Begin, Offsets, begin};

/// How long a poll waits for a record.
const POLL: Duration = Duration::from_millis(20);
/// How long nothing is asked for where there is no room, at a time, and until partitions are paused.
const FULL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_secs(2);
/// How long records are gathered.
const LINGER: Duration = Duration::from_millis(20);
/// How often the group is told how far was read.
const TELL: Duration = Duration::from_secs(1);
/// How long commits are waited for before partitions are let go of.
const SETTLE: Duration = Duration::from_secs(3);
/// How long all questions about partitions may take that were assigned.
const ASKING: Duration = Duration::from_secs(30);
/// After how long a member that is broken is made anew.
const AGAIN: Duration = Duration::from_secs(5);

/// What a partition holds, and whether it is read from its beginning where it is begun anew.
struct Ends {
    low: i64,
    high: i64,
    beginning: bool,
}

/// Topics that are read.
pub(super) struct Reader {
    config: Kafka,
    client: ClientConfig,
    member: Option<Member>,
    intake: Intake,
    /// How far was read, and how far of it was handed over.
    read: Offsets,
    handed: Offsets,
    /// Whether `read` says more than what was handed over with the last arrival.
    fresh: bool,
    gathered: Gathered,
    /// What is missing and was not handed over.
    gaps: Vec<Gap>,
    /// Whether a partition was read where the broker has nothing, and when partitions were begun last.
    astray: bool,
    begun: Option<Instant>,
    since: Option<Instant>,
    /// An arrival that there is no room for.
    waiting: Option<Arrival>,
    paused: bool,
    /// Since when there is room for nothing more.
    full: Option<Instant>,
    /// What was handed over and not committed yet.
    pending: VecDeque<(oneshot::Receiver<Done>, Offsets)>,
    /// What was committed, whether the group is to be told of it, and when it was told last.
    committed: Offsets,
    news: bool,
    told: Instant,
    /// Why nothing comes.
    trouble: Option<String>,
    failing: Option<String>,
}

/// What a gap of a partition is said to be of.
fn of(topic: &str, partition: i32) -> String {
    format!("{topic} / partition {partition}")
}

/// Why a member stopped.
enum Exit {
    /// It is to, or nobody takes events any more.
    Stop,
    /// It is broken for good.
    Broken,
}

impl Reader {
    /// # Errors
    /// Where a setting cannot be used, or what was kept cannot be read.
    pub fn new(config: Kafka, client: ClientConfig, position: Option<Vec<u8>>, intake: Intake) -> Result<Self, String> {
        let about = |why: String| format!("the source `{}`: {why}", intake.name());
        let read = Offsets::read(position.as_deref()).map_err(about)?;
        let member = Some(Member::new(&client).map_err(about)?);
        Ok(Reader {
            config,
            client,
            member,
            intake,
            handed: read.clone(),
            read,
            fresh: false,
            gathered: Gathered::default(),
            gaps: Vec::new(),
            astray: false,
            begun: None,
            since: None,
            waiting: None,
            paused: false,
            full: None,
            pending: VecDeque::new(),
            committed: Offsets::default(),
            news: false,
            told: Instant::now(),
            trouble: None,
            failing: None,
        })
    }

    /// Reads as a member of the group.
    fn session(&mut self, member: &Member, hand: &SyncSender<Arrival>) -> Exit {
        let topics: Vec<&str> = self.config.topics.iter().map(String::as_str).collect();
        if let Err(error) = member.0.subscribe(&topics) {
            self.trouble = Some(words(error.rdkafka_error_code().unwrap_or(Code::Unknown)));
            return Exit::Broken;
        }
        loop {
            if self.intake.stop().asked() {
                return Exit::Stop;
            }
            let polled = if self.is_full() && !self.paused {
                // Whoever pauses forgets what it has fetched ahead: for a short while nothing is asked for instead.
                std::thread::sleep(FULL);
                None
            } else {
                member.0.poll(POLL)
            };
            // What was read before partitions were let go of comes before the change.
            match polled {
                Some(Ok(record)) => self.record(&record),
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    self.trouble = Some(words(code));
                    return Exit::Broken;
                }
                Some(Err(error)) => {
                    let code = error.rdkafka_error_code().unwrap_or(Code::Unknown);
                    if code == Code::AutoOffsetReset {
                        self.astray = true;
                        continue;
                    }
                    // Whether brokers are reached is told in other ways.
                    if !matches!(code, Code::BrokerTransportFailure | Code::AllBrokersDown | Code::Resolve) {
                        self.trouble = Some(words(code));
                    }
                }
                None => {}
            }
            while let Some(change) = member.0.context().change() {
                match change {
                    Change::Assigned(partitions) => self.assigned(member, &partitions, false),
                    Change::Revoked(partitions) => self.revoked(member, &partitions),
                }
            }
            self.find_again(member);
            self.settle(member, false);
            if !self.hand_over(member, hand) {
                return Exit::Stop;
            }
            self.tell(member.0.context().down());
        }
    }

    fn record(&mut self, record: &rdkafka::message::BorrowedMessage<'_>) {
        let (topic, partition, offset) = (record.topic(), record.partition(), record.offset());
        self.trouble = None;
        // A record that was on its way when its partition was begun elsewhere.
        if self.read.of(topic, partition).is_some_and(|next| offset < next) {
            return;
        }
        // One without a value deletes another: it is no event.
        if let Some(payload) = record.payload() {
            self.gathered.add(self.intake.name(), topic, partition, offset, payload);
        }
        self.read.set(topic, partition, Some(offset.saturating_add(1)));
        self.fresh = true;
        self.since.get_or_insert_with(Instant::now);
    }

    /// A partition was read where the broker has nothing: all are begun anew, from where they were read to.
    fn find_again(&mut self, member: &Member) {
        if !self.astray || self.begun.is_some_and(|begun| begun.elapsed() < TELL) {
            return;
        }
        self.astray = false;
        let Ok(mine) = member.0.assignment() else { return };
        let mine: Vec<_> = mine.elements().iter().map(|one| (one.topic().to_string(), one.partition())).collect();
        if !mine.is_empty() {
            self.assigned(member, &mine, true);
        }
    }

    /// Begins partitions where they were left; `again` where one had been read where the broker has nothing.
    fn assigned(&mut self, member: &Member, partitions: &[(String, i32)], again: bool) {
        self.begun = Some(Instant::now());
        let until = Instant::now() + ASKING;
        let left = || until.saturating_duration_since(Instant::now()).min(ANSWER);
        let mut wanted = TopicPartitionList::new();
        for (topic, partition) in partitions {
            wanted.add_partition(topic, *partition);
        }
        let told = member.0.committed_offsets(wanted, left()).ok();
        // Of a topic of which something was read, partitions are new that nothing was read of.
        let known: Vec<bool> = partitions.iter().map(|(topic, _)| self.read.knows(topic)).collect();
        let mut list = TopicPartitionList::new();
        let mut unknown = None;
        for ((topic, partition), known) in partitions.iter().zip(known) {
            let found = told.as_ref().and_then(|told| told.find_partition(topic, *partition));
            let found = found.and_then(|one| match one.offset() {
                Offset::Offset(next) => Some(next),
                _ => None,
            });
            let kept = self.read.of(topic, *partition);
            let beginning = self.config.beginning || known;
            let at = match member.0.fetch_watermarks(topic, *partition, left()) {
                Ok(marks) => {
                    let begin = begin(kept, found, marks, beginning);
                    let next = self.at(
                        topic,
                        *partition,
                        kept.max(found),
                        begin,
                        Ends { low: marks.0, high: marks.1, beginning },
                    );
                    self.read.set(topic, *partition, Some(next));
                    self.fresh = true;
                    Offset::Offset(next)
                }
                // The broker does not tell what it has; reading finds out.
                Err(_) => {
                    unknown.get_or_insert_with(|| {
                        format!("the broker does not tell where partition {partition} of `{topic}` begins")
                    });
                    match kept.max(found) {
                        Some(next) => Offset::Offset(next),
                        None if beginning => Offset::Beginning,
                        None => Offset::End,
                    }
                }
            };
            // A list takes every offset that comes from Kafka.
            let _ = list.add_partition_offset(topic, *partition, at);
        }
        if let Err(error) = member.0.assign(&list) {
            self.trouble = Some(words(error.rdkafka_error_code().unwrap_or(Code::Unknown)));
            return;
        }
        // Until it tells, nothing comes of what is read where it has nothing.
        self.trouble = unknown.filter(|_| again);
        // Of partitions that it had before, some may be paused still.
        let _ = member.0.resume(&list);
        self.paused = false;
    }

    /// Tells what is missing; gives where it begins.
    fn at(&mut self, topic: &str, partition: i32, before: Option<i64>, begin: Begin, ends: Ends) -> i64 {
        let of = of(topic, partition);
        match begin {
            Begin::At(next) => next,
            Begin::After(next, lost) => {
                self.intake.say(&format!(
                    "{lost} records of partition {partition} of `{topic}` were deleted before they were read: keep them \
                     longer (`retention.ms`)"
                ));
                let why = "they were deleted before they were read: keep them longer (`retention.ms`)";
                self.gaps.push(Gap::numbers(of, next - lost, next - 1, why));
                next
            }
            Begin::Anew(next) => {
                let from = if ends.beginning { "beginning" } else { "end" };
                let why = format!(
                    "the partition ends at {} and had been read up to {}, as one of a topic that was made anew; it is \
                     read from its {from}",
                    ends.high,
                    before.unwrap_or_default()
                );
                self.intake.say(&format!("partition {partition} of `{topic}`: {why}"));
                // What the topic had before is gone, and nobody knows how much; what is passed over now is known.
                let passed = (next > ends.low).then(|| Gap::numbers(&of, ends.low, next - 1, &why));
                self.gaps.push(passed.unwrap_or(Gap {
                    event_source: None,
                    of,
                    which: Which::Unknown,
                    missing: None,
                    why,
                }));
                next
            }
        }
    }

    /// Lets go of partitions: what was read of them and not handed over is read again, by whoever has them next.
    fn revoked(&mut self, member: &Member, partitions: &[(String, i32)]) {
        for (topic, partition) in partitions {
            self.gathered.forget(topic, *partition);
            let of = of(topic, *partition);
            self.gaps.retain(|gap| gap.of != of);
            self.read.set(topic, *partition, self.handed.of(topic, *partition));
        }
        let until = Instant::now() + SETTLE;
        while !self.pending.is_empty() && Instant::now() < until && !self.intake.stop().asked() {
            self.settle(member, false);
            std::thread::sleep(Duration::from_millis(5));
        }
        self.settle(member, true);
        // It has none then, whatever is said.
        let _ = member.0.unassign();
    }

    /// Takes in what was committed, and tells the group, once a second or `now`.
    fn settle(&mut self, member: &Member, now: bool) {
        while let Some((done, _)) = self.pending.front_mut() {
            match done.try_recv() {
                Err(TryRecvError::Empty) => break,
                told => {
                    let Some((_, offsets)) = self.pending.pop_front() else { break };
                    if told.is_ok() {
                        (self.committed, self.news) = (offsets, true);
                    }
                }
            }
        }
        self.news |= member.0.context().unheard();
        if !self.news || !now && self.told.elapsed() < TELL {
            return;
        }
        (self.told, self.news) = (Instant::now(), false);
        let Ok(mine) = member.0.assignment() else { return };
        let mut list = TopicPartitionList::new();
        for one in mine.elements() {
            if let Some(next) = self.committed.of(one.topic(), one.partition()) {
                let _ = list.add_partition_offset(one.topic(), one.partition(), Offset::Offset(next));
            }
        }
        if list.count() > 0 {
            // Where the group does not learn it, it is told again.
            self.news |= member.0.commit(&list, CommitMode::Async).is_err();
        }
    }

    /// Hands over what was gathered long enough; gives whether anybody takes it.
    fn hand_over(&mut self, member: &Member, hand: &SyncSender<Arrival>) -> bool {
        let gathered = self.since.is_some_and(|since| since.elapsed() >= LINGER) || self.since.is_none() && self.fresh;
        if self.waiting.is_none() && (gathered || self.gathered.bytes >= MAX_BATCH as u64) {
            self.waiting = Some(self.arrival());
        }
        let Some(arrival) = self.waiting.take() else { return true };
        match hand.try_send(arrival) {
            Ok(()) => {
                self.full = None;
                self.pause(member, false);
            }
            Err(TrySendError::Full(arrival)) => {
                self.waiting = Some(arrival);
                if self.is_full() && self.full.get_or_insert_with(Instant::now).elapsed() >= PATIENCE {
                    self.pause(member, true);
                }
            }
            Err(TrySendError::Disconnected(_)) => return false,
        }
        true
    }

    /// Whether there is room for nothing more.
    fn is_full(&self) -> bool {
        self.waiting.is_some() && self.gathered.bytes >= MAX_BATCH as u64
    }

    fn arrival(&mut self) -> Arrival {
        let (done, told) = oneshot::channel();
        let bytes = self.gathered.bytes;
        let pieces = self.gathered.take(self.intake.name());
        self.fresh = false;
        self.handed = self.read.clone();
        self.pending.push_back((told, self.read.clone()));
        let at = self.since.take().unwrap_or_else(Instant::now);
        let position = Some(self.read.write());
        let gaps = std::mem::take(&mut self.gaps);
        Arrival { position, gaps, done: Some(done), ..Arrival::of(pieces, bytes, at) }
    }

    /// Asks for no more records, or for some again.
    fn pause(&mut self, member: &Member, pause: bool) {
        if self.paused == pause {
            return;
        }
        let Ok(mine) = member.0.assignment() else { return };
        let done = if pause { member.0.pause(&mine) } else { member.0.resume(&mine) };
        // It is tried again with the next poll.
        self.paused = if done.is_ok() { pause } else { self.paused };
    }

    /// Tells whether it works, where that is news.
    fn tell(&mut self, down: Option<&'static str>) {
        let why = down.map(str::to_string).or_else(|| self.trouble.clone());
        if why != self.failing {
            self.intake.failing(why.as_deref());
            self.failing = why;
        }
    }
}

impl Source for Reader {
    fn run(mut self: Box<Self>) {
        let (hand, handed) = sync_channel::<Arrival>(1);
        let intake = self.intake.clone();
        let handing = std::thread::spawn(move || {
            for arrival in handed {
                if intake.hand_over(arrival).is_err() {
                    return;
                }
            }
        });
        loop {
            let member = match self.member.take().map_or_else(|| Member::new(&self.client), Ok) {
                Ok(member) => member,
                Err(why) => {
                    self.intake.failing(Some(&why));
                    return;
                }
            };
            match self.session(&member, &hand) {
                Exit::Stop => {
                    // What was committed until now is told to the group.
                    drop(hand);
                    self.settle(&member, true);
                    break;
                }
                Exit::Broken => {
                    self.tell(None);
                    self.gathered = Gathered::default();
                    self.read = self.handed.clone();
                    (self.since, self.fresh, self.paused) = (None, false, false);
                    // They are found again.
                    self.gaps.clear();
                    drop(member);
                    if self.intake.stop().wait(AGAIN) {
                        break;
                    }
                }
            }
        }
        drop(self);
        // It ends once the engine has gone, or has taken the last.
        drop(handing);
    }
}
