//! What librdkafka's mock cluster gets, and what becomes of deliveries when it errs.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Err};
use serde_json::{Value as Json, json};
use tripline_alert::{Digest, Occasion};
use tripline_connect::{Content, Destination, Outcome, Pace, Parcel};

use super::super::KIND;
use super::PLAIN;
use crate::testing::{NOON, alert, monster, parcel, settings, wait};

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// How many partitions the topic has.
const PARTITIONS: i32 = 3;

fn cluster() -> Cluster {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("alerts", PARTITIONS, 1).unwrap();
    cluster
}

fn open(brokers: &str, more: &str, timeout: Duration) -> Box<dyn Destination> {
    let folder = tempfile::tempdir().unwrap();
    let (settings, secrets) = settings(&KIND, &format!("{PLAIN}\"{brokers}\"\n{more}"), folder.path(), &[]);
    settings.open(&secrets, folder.path(), &Pace { timeout, ..Pace::default() }).unwrap()
}

fn topic(cluster: &Cluster, more: &str) -> Box<dyn Destination> {
    open(&cluster.bootstrap_servers(), more, Duration::from_secs(10))
}

fn finding(uid: &str, text: &str) -> Parcel {
    let line = json!({ "class_uid": 2004, "message": text }).to_string();
    let content = Content::Finding { uid: uid.into(), revision: 0, line };
    Parcel { id: format!("{uid}-0"), attempt: 0, content, handle: None }
}

/// A record as a consumer gets it.
#[derive(Clone, Debug)]
struct Got {
    partition: i32,
    key: String,
    body: Json,
    length: usize,
    headers: BTreeMap<String, String>,
}

/// All records of the topic, partition by partition; at least so many.
fn got(cluster: &Cluster, least: usize) -> Vec<Got> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers()).set("group.id", "test");
    let consumer: BaseConsumer = config.set_log_level(RDKafkaLogLevel::Emerg).create().unwrap();
    let mut from = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        from.add_partition_offset("alerts", partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&from).unwrap();
    let mut all = Vec::new();
    let (end, mut last) = (Instant::now() + Duration::from_secs(20), Instant::now());
    // What would be one too many comes a little later.
    while Instant::now() < end && (all.len() < least || last.elapsed() < Duration::from_millis(500)) {
        let Some(message) = consumer.poll(Duration::from_millis(50)) else { continue };
        let message = message.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = message.headers().unwrap().iter();
        all.push(Got {
            partition: message.partition(),
            key: text(message.key().unwrap()),
            body: serde_json::from_slice(message.payload().unwrap()).unwrap(),
            length: message.payload().unwrap().len(),
            headers: headers.map(|one| (one.key.to_string(), text(one.value.unwrap()))).collect(),
        });
        last = Instant::now();
    }
    assert!(all.len() >= least, "{} of {least}", all.len());
    all
}

fn later(outcome: &Outcome) -> &str {
    let Outcome::Later { reason, .. } = outcome else { panic!("{outcome:?}") };
    reason
}

#[test]
fn a_record_has_key_headers_and_json() {
    let cluster = cluster();
    let digest = Digest { route: "soc".into(), from: NOON, to: NOON + 1, alerts: Vec::new(), more: 3 };
    let digest = Parcel { id: "d-1".into(), attempt: 0, content: Content::Digest(Box::new(digest)), handle: None };
    let all = [parcel(&alert(), Occasion::Opened, None), finding("f1", "hello"), digest];
    let made = wait(topic(&cluster, "").send_all(&all));
    assert!(made.iter().all(|made| made.outcome == Outcome::Taken), "{made:?}");
    let got = got(&cluster, 3);
    let of = |key: &str| got.iter().find(|one| one.key == key).unwrap();
    assert_eq!(of(&alert().id).body["alert"]["id"], alert().id);
    assert_eq!(of("f1").body, json!({ "class_uid": 2004, "message": "hello" }));
    assert_eq!(of("soc").headers["tripline-id"], "d-1");
    let headers = [("content-type", "application/json"), ("tripline-id", "f1-0")];
    assert_eq!(of("f1").headers, headers.map(|(key, value)| (key.to_string(), value.to_string())).into());
}

#[test]
fn messages_of_one_alert_stay_in_one_partition_in_order() {
    let cluster = cluster();
    let topic = topic(&cluster, "");
    wait(async {
        for n in 0..5 {
            let all: Vec<Parcel> = (0..8).map(|alert| finding(&format!("alert{alert}"), &n.to_string())).collect();
            assert!(topic.send_all(&all).await.iter().all(|made| made.outcome == Outcome::Taken));
        }
    });
    let mut places: BTreeMap<String, (i32, Vec<String>)> = BTreeMap::new();
    for one in got(&cluster, 40) {
        let (partition, told) = places.entry(one.key.clone()).or_insert((one.partition, Vec::new()));
        assert_eq!(*partition, one.partition);
        told.push(one.body["message"].as_str().unwrap().into());
    }
    assert!(places.values().all(|(_, told)| *told == ["0", "1", "2", "3", "4"]), "{places:?}");
    assert!(places.values().map(|(partition, _)| partition).collect::<BTreeSet<_>>().len() > 1, "all in one");
}

#[test]
fn many_go_at_once_with_every_compression() {
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let cluster = cluster();
        let topic = topic(&cluster, &format!("compression = \"{compression}\""));
        let all: Vec<Parcel> =
            (0..topic.batch().unwrap()).map(|n| finding(&format!("f{n}"), &"text ".repeat(99))).collect();
        let made = wait(topic.send_all(&all));
        assert_eq!(made.len(), all.len());
        assert!(made.iter().all(|made| made.outcome == Outcome::Taken), "{compression}");
        let got = got(&cluster, all.len());
        assert_eq!((got.len(), got.iter().map(|one| &one.key).collect::<BTreeSet<_>>().len()), (all.len(), all.len()));
    }
}

#[test]
fn what_lost_its_answer_is_repeated_in_order_within_the_attempt() {
    let cluster = cluster();
    let topic = topic(&cluster, "");
    let sent = |n: u32| wait(topic.send(&finding("f", &n.to_string()))).outcome;
    assert_eq!(sent(1), Outcome::Taken);
    // The record is written at once, and the broker is gone before it says so.
    cluster.broker_round_trip_time(1, Duration::from_millis(800)).unwrap();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| sent(2));
        std::thread::sleep(Duration::from_millis(400));
        cluster.broker_down(1).unwrap();
        cluster.broker_round_trip_time(1, Duration::ZERO).unwrap();
        cluster.broker_up(1).unwrap();
        assert_eq!(second.join().unwrap(), Outcome::Taken);
    });
    assert_eq!(sent(3), Outcome::Taken);
    // Brokers write a repeated record once. The mock cluster does so for transactions alone, and may have it twice.
    let mut got: Vec<(String, String)> = got(&cluster, 3)
        .into_iter()
        .map(|one| (one.body["message"].as_str().unwrap().to_string(), one.headers["tripline-id"].clone()))
        .collect();
    got.dedup();
    assert_eq!(got, ["1", "2", "3"].map(|text| (text.to_string(), "f-0".to_string())));
}

#[test]
fn what_another_process_repeats_has_the_same_id_in_the_same_partition() {
    let cluster = cluster();
    for attempt in 0..2 {
        let parcel = Parcel { attempt, ..parcel(&alert(), Occasion::Opened, None) };
        assert_eq!(wait(topic(&cluster, "").send(&parcel)).outcome, Outcome::Taken);
    }
    let got = got(&cluster, 2);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0].headers["tripline-id"], got[1].headers["tripline-id"]);
    assert_eq!((&got[0].key, got[0].partition), (&got[1].key, got[1].partition));
}

#[test]
fn what_is_too_long_for_the_topic_does_not_take_others_with_it() {
    let cluster = cluster();
    let topic = topic(&cluster, "");
    let refused = Err::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    // One key: all are in one batch, which is refused once.
    cluster.request_errors(Api::Produce, &[refused]);
    let all: Vec<Parcel> = (0..20).map(|n| finding("f", &n.to_string())).collect();
    let made = wait(topic.send_all(&all));
    assert!(made.iter().all(|made| made.outcome == Outcome::Taken), "{made:?}");
    assert_eq!(got(&cluster, 20).len(), 20);
    cluster.request_errors(Api::Produce, &[refused]);
    let Outcome::Never { reason } = wait(topic.send(&finding("g", "x"))).outcome else { panic!("it was taken") };
    assert!(reason.contains("`max.message.bytes`"), "{reason}");
    assert_eq!(wait(topic.send(&finding("g", "x"))).outcome, Outcome::Taken);
}

#[test]
fn what_is_longer_than_size_is_told_and_the_others_go() {
    let cluster = cluster();
    let topic = topic(&cluster, "size = \"8KiB\"");
    let made = wait(topic.send_all(&[finding("a", "x"), finding("b", &"x".repeat(9_000)), finding("c", "x")]));
    let Outcome::Never { reason } = &made[1].outcome else { panic!("{made:?}") };
    assert!(reason.contains("8192 bytes of `size`"), "{reason}");
    assert_eq!((&made[0].outcome, &made[2].outcome), (&Outcome::Taken, &Outcome::Taken));
    assert_eq!(got(&cluster, 2).len(), 2);
}

#[test]
fn the_largest_alert_arrives_and_fits() {
    let cluster = cluster();
    let sizes = [("", 1_000_000), ("size = \"64KiB\"", 65_536)];
    for (size, _) in sizes {
        let made = wait(topic(&cluster, size).send(&parcel(&monster(), Occasion::Updated, None)));
        assert_eq!(made.outcome, Outcome::Taken);
    }
    let got = got(&cluster, 2);
    for (one, (size, most)) in got.iter().zip(sizes) {
        assert!(one.length < most, "{size}: {}", one.length);
        assert_eq!(one.body["alert"]["id"], monster().id);
        assert_eq!(one.body["alert"]["title"], monster().title);
    }
    assert!(got[0].length > 65_536, "nothing had to be left out");
}

#[test]
fn a_topic_that_is_not_there_is_not_made() {
    let cluster = MockCluster::new(1).unwrap();
    let topic = open(&cluster.bootstrap_servers(), "", Duration::from_secs(2));
    let wanted = "there is no such topic, or the account may not see it: create it, or correct `topic`";
    assert_eq!(wait(topic.check()).unwrap_err(), wanted);
    assert_eq!(later(&wait(topic.send(&finding("f", "x"))).outcome), wanted);
}

#[test]
fn refusals_are_told_in_words() {
    let cluster = cluster();
    let topic = topic(&cluster, "");
    assert_eq!(wait(topic.check()).unwrap(), ["the topic has 3 partitions, the cluster 1 broker"]);
    for (code, words) in [
        (Err::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, "may not write to the topic"),
        (Err::RD_KAFKA_RESP_ERR_INVALID_RECORD, "refuses the record"),
        (Err::RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, "does not take this `compression`"),
    ] {
        cluster.request_errors(Api::Produce, &[code]);
        let outcome = wait(topic.send(&finding("f", "x"))).outcome;
        let (Outcome::Later { reason, .. } | Outcome::Never { reason }) = &outcome else { panic!("{code:?}") };
        assert!(reason.contains(words), "{reason}");
        assert_eq!(matches!(outcome, Outcome::Never { .. }), words == "refuses the record");
        assert_eq!(wait(topic.send(&finding("f", "x"))).outcome, Outcome::Taken, "after {code:?}");
    }
}

#[test]
fn a_producer_that_is_broken_for_good_is_replaced() {
    let cluster = cluster();
    cluster.request_errors(Api::InitProducerId, &[Err::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED]);
    let topic = topic(&cluster, "");
    let made = wait(topic.send_all(&[finding("a", "x"), finding("b", "x")]));
    for made in &made {
        assert!(later(&made.outcome).contains("IdempotentWrite"), "{made:?}");
    }
    assert_eq!(wait(topic.send(&finding("a", "x"))).outcome, Outcome::Taken);
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let nobody = open(&address, "", Duration::from_secs(1));
    assert_eq!(later(&wait(nobody.send(&finding("f", "x"))).outcome), "the connection is refused");
    assert_eq!(wait(nobody.check()).unwrap_err(), "the connection is refused");

    let cluster = cluster();
    let topic = open(&cluster.bootstrap_servers(), "", Duration::from_secs(2));
    assert_eq!(wait(topic.send(&finding("f", "1"))).outcome, Outcome::Taken);
    cluster.broker_down(1).unwrap();
    later(&wait(topic.send(&finding("f", "2"))).outcome);
    cluster.broker_up(1).unwrap();
    // It is connected to anew within a second and a half.
    let taken = (0..5).any(|_| wait(topic.send(&finding("f", "3"))).outcome == Outcome::Taken);
    assert!(taken);
    let told: Vec<Json> = got(&cluster, 2).into_iter().map(|one| one.body["message"].clone()).collect();
    assert_eq!(told.first().unwrap(), "1");
    assert_eq!(told.last().unwrap(), "3");
    assert!(!told.contains(&json!("2")), "what was given up is not sent later: {told:?}");
}

#[test]
fn a_broker_that_hangs_holds_a_delivery_no_longer_than_an_attempt() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It takes connections and says nothing.
    let topic = open(&address, "", Duration::from_millis(500));
    let made = wait(topic.send_all(&[finding("a", "x"), finding("b", "x")]));
    assert!(made.iter().all(|made| later(&made.outcome) == "no broker answers in time"), "{made:?}");
    assert_eq!(wait(topic.check()).unwrap_err(), "no broker answers in time");
}
