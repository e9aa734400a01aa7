//! What is read from librdkafka's mock cluster, and from a broker that has nothing of librdkafka (`.ci/peers`).

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tripline_config::Secrets;
use tripline_connect::source::{Arrival, Done, Gap, Intake, Opening, Which};

use super::super::config::Kafka;
use super::super::offsets::Offsets;
use super::super::source::Reader;
use super::*;
use crate::compliance::{self, Peer};

type Mock = MockCluster<'static, DefaultProducerContext>;

const PARTITIONS: i32 = 3;
/// How long a member may take until it is one.
const JOIN: Duration = Duration::from_secs(20);

fn mock() -> Mock {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("logs", PARTITIONS, 1).unwrap();
    cluster
}

/// A topic, and who writes it.
struct Topic {
    brokers: String,
    producer: BaseProducer,
    more: &'static str,
}

impl Topic {
    fn new(brokers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set_log_level(RDKafkaLogLevel::Emerg);
        let producer = config.create().unwrap();
        Topic { brokers: brokers.to_string(), producer, more: "" }
    }

    fn write(&self, partition: i32, payload: &str) {
        let record = BaseRecord::<(), str>::to("logs").partition(partition).payload(payload);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(Duration::from_secs(10)).unwrap();
    }

    fn open(&self, position: Option<Vec<u8>>, waiting: usize) -> Work {
        self.open_with(position, waiting, &[])
    }

    /// A source at work, with further settings of librdkafka.
    fn open_with(&self, position: Option<Vec<u8>>, waiting: usize, more: &[(&str, &str)]) -> Work {
        let (intake, arrivals) = Intake::channel("kafka", waiting);
        let source: Box<dyn tripline_connect::source::Source> = if more.is_empty() {
            let opening = Opening {
                secrets: &Secrets::default(),
                folder: Path::new("."),
                once: false,
                position,
                rows: Vec::new(),
                intake: intake.clone(),
            };
            self.settings().open(opening).unwrap()
        } else {
            let cluster = {
                let mut sources = tripline_base::SourceMap::new();
                let text = format!("security = \"none\"\nbrokers = \"{}\"", self.brokers);
                let read = |table: &mut tripline_config::Table<'_>, said: &mut tripline_config::Said<'_>| {
                    tripline_connect::kafka::read(table, "", said)
                };
                tripline_config::read(&mut sources, "t.toml", &text, read).0.unwrap()
            };
            let config = Kafka {
                cluster,
                topics: vec!["logs".into()],
                group: "tripline".into(),
                beginning: true,
                session_timeout: Duration::from_secs(6),
            };
            let mut client = super::super::client::settings(&config, &Secrets::default(), Path::new(".")).unwrap();
            for (key, value) in more {
                client.set(*key, *value);
            }
            Box::new(Reader::new(config, client, position, intake.clone()).unwrap())
        };
        let thread = Some(std::thread::spawn(move || source.run()));
        Work { arrivals, intake, thread, position: None, numbers: BTreeMap::new(), gaps: Vec::new() }
    }

    /// What the group was told of a partition.
    fn told(&self, partition: i32) -> Option<i64> {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("group.id", "tripline");
        let consumer: BaseConsumer = config.set_log_level(RDKafkaLogLevel::Emerg).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition("logs", partition);
        let told = consumer.committed_offsets(list, Duration::from_secs(10)).unwrap();
        match told.find_partition("logs", partition)?.offset() {
            Offset::Offset(next) => Some(next),
            _ => None,
        }
    }
}

impl Peer for Topic {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        read(&format!("{PLAIN}\"{}\"\n{}", self.brokers, self.more)).0.unwrap()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            let payload = format!("{{\"n\":{n}}}");
            let record = BaseRecord::<(), str>::to("logs").partition((n % 3) as i32).payload(&payload);
            self.producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(Duration::from_secs(20)).unwrap();
    }

    fn offer_poison(&mut self) {
        self.write(0, "{\"half\": ");
        self.write(1, "no event");
    }

    fn most_ahead(&self) -> u64 {
        u64::MAX
    }

    fn taken(&self) -> Option<u64> {
        None
    }

    fn quiet(&self) -> Duration {
        Duration::from_secs(6)
    }
}

/// A source at work.
struct Work {
    arrivals: Receiver<Arrival>,
    intake: Intake,
    thread: Option<std::thread::JoinHandle<()>>,
    /// What was committed.
    position: Option<Vec<u8>>,
    numbers: BTreeMap<u64, u64>,
    gaps: Vec<Gap>,
}

impl Work {
    /// Commits what comes until something holds.
    fn commit_until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !holds(self) {
            assert!(Instant::now() < end, "{what} never happens: {} numbers", self.numbers.len());
            self.commit();
        }
    }

    fn commit(&mut self) {
        let Ok(arrival) = self.arrivals.recv_timeout(Duration::from_millis(100)) else { return };
        for record in arrival.pieces.iter().flat_map(|(_, batch)| batch.iter()) {
            let event: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
            *self.numbers.entry(event["n"].as_u64().unwrap()).or_default() += 1;
        }
        self.position = arrival.position;
        self.gaps.extend(arrival.gaps);
        let _ = arrival.done.unwrap().send(Done::default());
    }

    fn offsets(&self) -> Offsets {
        Offsets::read(self.position.as_deref()).unwrap()
    }

    /// Whether it has all partitions.
    fn has_all(&self) -> bool {
        (0..PARTITIONS).all(|partition| self.offsets().of("logs", partition).is_some())
    }

    fn end(mut self) -> (Option<Vec<u8>>, BTreeMap<u64, u64>) {
        self.intake.stop().now();
        let thread = self.thread.take().unwrap();
        let begun = Instant::now();
        while !thread.is_finished() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the source does not stop");
            std::thread::sleep(Duration::from_millis(5));
        }
        thread.join().unwrap();
        (self.position.take(), std::mem::take(&mut self.numbers))
    }
}

#[test]
fn a_restart_in_mid_stream_loses_and_doubles_nothing() {
    let cluster = mock();
    compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut Topic::new(&cluster.bootstrap_servers()));
}

#[test]
fn a_poison_record_is_set_aside_with_its_reason() {
    let cluster = mock();
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut Topic::new(&cluster.bootstrap_servers()));
}

#[test]
fn a_slow_engine_slows_the_source() {
    let cluster = mock();
    compliance::a_slow_engine_slows_the_source(&mut Topic::new(&cluster.bootstrap_servers()), 2_000);
}

#[test]
fn an_engine_that_is_busy_for_long_costs_no_place_in_the_group() {
    let cluster = mock();
    let mut topic = Topic::new(&cluster.bootstrap_servers());
    topic.offer(0..300);
    // Whoever does not poll for six seconds is out.
    let times = [("max.poll.interval.ms", "6000")];
    let mut work = topic.open_with(None, 1, &times);
    std::thread::sleep(JOIN.min(Duration::from_secs(5)));
    topic.offer(300..600);
    std::thread::sleep(Duration::from_secs(8));
    work.commit_until("everything", |work| work.numbers.len() == 600);
    topic.offer(600..900);
    work.commit_until("the rest", |work| work.numbers.len() == 900);
    let (_, numbers) = work.end();
    assert!(numbers.values().all(|times| *times == 1), "{numbers:?}");
}

#[test]
fn the_group_is_told_what_was_committed_and_nothing_else() {
    let cluster = mock();
    let mut topic = Topic::new(&cluster.bootstrap_servers());
    topic.offer(0..30);
    let work = topic.open(None, 8);
    let arrival = loop {
        let arrival = work.arrivals.recv_timeout(JOIN).unwrap();
        if !arrival.pieces.is_empty() {
            break arrival;
        }
        let _ = arrival.done.unwrap().send(Done::default());
    };
    std::thread::sleep(Duration::from_secs(2));
    assert!((0..PARTITIONS).all(|partition| topic.told(partition).is_none_or(|next| next == 0)));
    let read = Offsets::read(arrival.position.as_deref()).unwrap();
    let _ = arrival.done.unwrap().send(Done::default());
    let end = Instant::now() + Duration::from_secs(20);
    while !(0..PARTITIONS).all(|partition| topic.told(partition) == read.of("logs", partition)) {
        assert!(Instant::now() < end, "the group is not told");
        std::thread::sleep(Duration::from_millis(100));
    }
    work.end();
}

#[test]
fn what_comes_after_the_end_was_looked_for_is_read_whenever_that_is() {
    let cluster = mock();
    let mut topic = Topic::new(&cluster.bootstrap_servers());
    topic.more = "from = \"end\"";
    topic.offer(0..30);
    let mut work = topic.open(None, 8);
    work.commit_until("the ends", Work::has_all);
    let (position, numbers) = work.end();
    assert!(numbers.is_empty(), "what was there before is not read: {numbers:?}");
    topic.offer(30..60);
    let mut work = topic.open(position, 8);
    work.commit_until("what came in between", |work| work.numbers.len() == 30);
    assert_eq!(work.numbers.first_key_value(), Some((&30, &1)));
    work.end();
}

/// Writes records of 100 KB to the first partition: of 5 MB and more the cluster deletes the oldest.
fn much(topic: &Topic, numbers: std::ops::Range<u64>) {
    let fill = "x".repeat(100_000);
    for n in numbers {
        let payload = format!("{{\"n\":{n},\"fill\":\"{fill}\"}}");
        let record = BaseRecord::<(), str>::to("logs").partition(0).payload(&payload);
        topic.producer.send(record).map_err(|(error, _)| error).unwrap();
        if n % 20 == 0 {
            topic.producer.flush(Duration::from_secs(20)).unwrap();
        }
    }
    topic.producer.flush(Duration::from_secs(20)).unwrap();
}

/// Every number was read or is missing by a gap of its partition, and none is both.
fn accounted(numbers: &BTreeMap<u64, u64>, gaps: &[Gap], all: u64) {
    let mut missing = 0;
    for gap in gaps {
        let Which::Numbers(from, to) = gap.which else { panic!("{gap:?}") };
        assert_eq!((gap.of.as_str(), gap.missing), ("logs / partition 0", Some((to - from + 1) as u64)));
        assert!((from..=to).all(|n| !numbers.contains_key(&(n as u64))), "{gap:?}");
        missing += gap.missing.unwrap();
    }
    assert!(missing > 0, "nothing was deleted");
    assert_eq!(numbers.len() as u64 + missing, all, "{gaps:?}");
    assert!(numbers.values().all(|times| *times == 1));
}

#[test]
fn records_that_were_deleted_while_nobody_read_are_a_gap_with_their_offsets() {
    let cluster = mock();
    let topic = Topic::new(&cluster.bootstrap_servers());
    much(&topic, 0..10);
    let mut work = topic.open(None, 8);
    work.commit_until("the first", |work| work.numbers.len() == 10);
    assert!(work.gaps.is_empty());
    let (position, mut numbers) = work.end();
    much(&topic, 10..110);
    let mut work = topic.open(position, 8);
    work.commit_until("the last", |work| work.numbers.contains_key(&109));
    let gaps = std::mem::take(&mut work.gaps);
    numbers.extend(work.end().1);
    accounted(&numbers, &gaps, 110);
}

#[test]
fn records_that_were_deleted_before_a_slow_engine_took_them_are_a_gap_and_reading_goes_on() {
    let cluster = mock();
    let topic = Topic::new(&cluster.bootstrap_servers());
    let mut work = topic.open(None, 1);
    work.commit_until("its partitions", Work::has_all);
    // More than is fetched ahead, and than the cluster keeps.
    much(&topic, 0..500);
    work.commit_until("the last", |work| work.numbers.contains_key(&499));
    much(&topic, 500..510);
    work.commit_until("what comes later", |work| work.numbers.contains_key(&509));
    let gaps = std::mem::take(&mut work.gaps);
    let (_, numbers) = work.end();
    accounted(&numbers, &gaps, 510);
}

#[test]
fn partitions_that_move_to_another_member_are_read_on() {
    let cluster = mock();
    let mut topic = Topic::new(&cluster.bootstrap_servers());
    let heard = |topic: &Topic, next: i64, members: &mut [&mut Work]| {
        let end = Instant::now() + Duration::from_secs(30);
        while (0..PARTITIONS).any(|partition| topic.told(partition) != Some(next)) {
            assert!(Instant::now() < end, "the group is not told of {next}");
            members.iter_mut().for_each(|member| member.commit());
        }
    };
    topic.offer(0..90);
    let mut one = topic.open(None, 8);
    one.commit_until("all of it", |one| one.numbers.len() == 90);
    heard(&topic, 30, &mut [&mut one]);
    let mut other = topic.open(None, 8);
    let end = Instant::now() + Duration::from_secs(180);
    while other.position.is_none() {
        assert!(Instant::now() < end, "the other gets nothing");
        one.commit();
        other.commit();
    }
    topic.offer(90..180);
    heard(&topic, 60, &mut [&mut one, &mut other]);
    // One goes, and the other reads everything on.
    let (_, first) = one.end();
    topic.offer(180..210);
    let read = |other: &Work| (0..210).all(|n| first.contains_key(&n) || other.numbers.contains_key(&n));
    other.commit_until("the rest", read);
    let (_, second) = other.end();
    assert!(second.len() > 30 && second.keys().any(|n| (90..180).contains(n)), "{second:?}");
    let times = |n: &u64| first.get(n).unwrap_or(&0) + second.get(n).unwrap_or(&0);
    let twice: Vec<u64> = (0..210).filter(|n| times(n) != 1).collect();
    assert!(twice.is_empty(), "read by both: {twice:?}");
}

#[test]
fn topics_are_looked_at_before_the_service_begins() {
    let cluster = mock();
    let topic = Topic::new(&cluster.bootstrap_servers());
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let check = || runtime.block_on(topic.settings().check(&Secrets::default(), Path::new(".")));
    assert_eq!(check().unwrap(), ["`logs` has 3 partitions"]);
    drop(cluster);
    assert_eq!(check().unwrap_err(), "the connection is refused");
}

/// A broker as a process of its own.
pub(super) struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The program of the broker; none where there is none here.
pub(super) fn program() -> Option<String> {
    let program = std::env::var("TRIPLINE_PEER_KAFKA").ok().filter(|program| !program.is_empty());
    if program.is_none() {
        println!("left out: there is no broker of Kafka here (TRIPLINE_PEER_KAFKA, see .ci/peers)");
    }
    program
}

/// A port that nobody listens on.
pub(super) fn free() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The broker with its topic, and where it is; none where there is none here.
fn broker() -> Option<(Broker, String)> {
    let program = program()?;
    let port = free();
    let at = format!("127.0.0.1:{port}");
    let broker = start(&program, port, port);
    make_topic(&at);
    Some((broker, at))
}

/// A broker that tells its clients to come to another port than the one it listens on.
pub(super) fn start(program: &str, port: u16, told: u16) -> Broker {
    let process = Command::new(program)
        .args(["broker", "--listener-url", &format!("tcp://127.0.0.1:{port}")])
        .args(["--advertised-listener-url", &format!("tcp://127.0.0.1:{told}")])
        .args(["--storage-engine", "memory://tansu/"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    Broker(process.unwrap())
}

/// Makes the topic, as soon as the broker is there.
fn make_topic(at: &str) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", at).set_log_level(RDKafkaLogLevel::Emerg);
    make_topic_as(&config);
}

/// Makes the topic as a client with these settings.
pub(super) fn make_topic_as(config: &ClientConfig) {
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let begun = Instant::now();
    loop {
        let topic = NewTopic::new("logs", PARTITIONS, TopicReplication::Fixed(1));
        let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(5)));
        match runtime.block_on(admin.create_topics([&topic], &options)) {
            Ok(made) if made.iter().all(Result::is_ok) => return,
            told => assert!(begun.elapsed() < Duration::from_secs(30), "the broker has no topic: {told:?}"),
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn another_broker_is_read_through_a_restart() {
    let Some((_broker, at)) = broker() else { return };
    let mut topic = Topic::new(&at);
    topic.more = "session_timeout = \"6s\"";
    topic.offer(0..300);
    let mut work = topic.open(None, 8);
    work.commit_until("the first half", |work| work.numbers.len() == 300);
    let (position, mut numbers) = work.end();
    topic.offer(300..600);
    let mut work = topic.open(position, 8);
    work.commit_until("the second half", |work| work.numbers.len() == 300);
    numbers.extend(work.end().1);
    assert!(numbers.len() == 600 && numbers.values().all(|times| *times == 1), "{numbers:?}");
}

#[test]
fn another_broker_tells_of_topics_that_do_not_exist() {
    let Some((_broker, at)) = broker() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let other = format!("topics = \"nothing\"\ngroup = \"g\"\nsecurity = \"none\"\nbrokers = \"{at}\"");
    let why = runtime.block_on(read(&other).0.unwrap().check(&Secrets::default(), Path::new("."))).unwrap_err();
    assert_eq!(why, "`nothing`: there is no such topic, or the account may not see it: create it, or correct `topics`");
}
