//! Against a server that behaves as S3 and SQS do. Without `TRIPLINE_PEER_MOTO` (the path of `moto_server`) these are
//! left out, and say so.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Event, NotificationConfiguration, QueueConfiguration};
use aws_sdk_sqs::types::QueueAttributeName;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::runtime::Runtime;
use tripline_base::Span;
use tripline_config::{Place, Reference, Secrets};
use tripline_connect::source::{Intake, Opening, SourceSettings};

use super::client::Clients;
use super::config::{Older, Settings};
use crate::compliance::{self, Peer};

/// How many events an object has.
const EVENTS: u64 = 20;

/// A server of its own, with a bucket that tells a queue.
struct Cloud {
    server: Child,
    runtime: Runtime,
    clients: Clients,
    settings: Settings,
    secrets: Secrets,
    objects: u64,
    offered: u64,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn place(text: &str, at: usize) -> Place {
    let file = tripline_base::SourceMap::new().add("tripline.toml", "");
    Place { reference: Reference::Plain(text.into()), span: Span::new(file, at, at + 1), lines: false }
}

impl Cloud {
    fn start() -> Option<Self> {
        let Ok(path) = std::env::var("TRIPLINE_PEER_MOTO") else {
            println!("left out: TRIPLINE_PEER_MOTO names no server of S3 and SQS");
            return None;
        };
        let port = port();
        let server = Command::new(path)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "the server does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
        let endpoint = format!("http://127.0.0.1:{port}");
        let (id, key) = (place("testing", 0), place("testing", 1));
        let secrets = Secrets::read([&id, &key], std::path::Path::new(".")).unwrap();
        let settings = Settings {
            layout: tripline_formats::Layout::of(tripline_formats::Format::Json),
            queue: Some(format!("{endpoint}/123456789012/new")),
            region: Some("us-east-1".into()),
            endpoint: Some(endpoint),
            access_key: Some(id),
            secret_key: Some(key),
            session_token: None,
            role: None,
            external_id: None,
            keys: None,
            digests: false,
            digest_wait: None,
            objects: 3,
            visibility: Duration::from_secs(5),
            max_receives: 2,
            max_object: 64 << 20,
            backfill: None,
        };
        let clients = Clients::new(&settings, &secrets);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let s3 = clients.s3().await;
            s3.create_bucket().bucket("logs").send().await.unwrap();
            clients.sqs().await.create_queue().queue_name("new").send().await.unwrap();
            let told = QueueConfiguration::builder()
                .queue_arn("arn:aws:sqs:us-east-1:123456789012:new")
                .events(Event::S3ObjectCreated)
                .build()
                .unwrap();
            let told = NotificationConfiguration::builder().queue_configurations(told).build();
            s3.put_bucket_notification_configuration()
                .bucket("logs")
                .notification_configuration(told)
                .send()
                .await
                .unwrap();
        });
        Some(Cloud { server, runtime, clients, settings, secrets, objects: 0, offered: 0 })
    }

    fn put(&self, key: &str, body: Vec<u8>) {
        self.runtime.block_on(async {
            let asked = self.clients.s3().await.put_object().bucket("logs").key(key);
            asked.body(ByteStream::from(body)).send().await.unwrap();
        });
    }

    fn tell(&self, body: &str) {
        self.runtime.block_on(async {
            let asked = self.clients.sqs().await.send_message().queue_url(self.settings.queue.as_ref().unwrap());
            asked.message_body(body).send().await.unwrap();
        });
    }

    /// How many messages wait in the queue, and how many are hidden.
    fn waiting(&self) -> (u64, u64) {
        self.runtime.block_on(async {
            let asked =
                self.clients.sqs().await.get_queue_attributes().queue_url(self.settings.queue.as_ref().unwrap());
            let all = asked.attribute_names(QueueAttributeName::All).send().await.unwrap().attributes.unwrap();
            let of = |name| all.get(&name).and_then(|n: &String| n.parse().ok()).unwrap_or(0);
            (
                of(QueueAttributeName::ApproximateNumberOfMessages),
                of(QueueAttributeName::ApproximateNumberOfMessagesNotVisible),
            )
        })
    }
}

fn packed(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Events as CloudTrail writes them into a file.
fn envelope(numbers: std::ops::Range<u64>, fill: &str) -> String {
    let records: Vec<String> = numbers.map(|n| format!("{{\"n\":{n},\"fill\":\"{fill}\"}}")).collect();
    format!("{{\"Records\":[{}]}}", records.join(","))
}

impl Peer for Cloud {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        Arc::new(self.settings.clone())
    }

    fn secrets(&self) -> Secrets {
        self.secrets.clone()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        let mut from = numbers.start;
        while from < numbers.end {
            let to = (from + EVENTS).min(numbers.end);
            self.put(&format!("trail/{:04} +ü.json.gz", self.objects), packed(&envelope(from..to, "")));
            self.objects += 1;
            self.offered += to - from;
            from = to;
        }
    }

    fn offer_poison(&mut self) {
        self.tell("hello");
    }

    fn most_ahead(&self) -> u64 {
        (self.settings.objects as u64 + 1) * EVENTS
    }

    fn taken(&self) -> Option<u64> {
        Some(self.offered - self.waiting().0 * EVENTS)
    }
}

/// What came until nothing came for a while: numbers, in order, and why pieces were set aside.
fn all(cloud: &Cloud, settings: &Settings, position: Option<Vec<u8>>) -> (Vec<u64>, Vec<String>, Option<Vec<u8>>) {
    let (intake, arrivals) = Intake::channel("s3", 4);
    let opening = Opening {
        secrets: &cloud.secrets,
        folder: ".".as_ref(),
        once: false,
        position,
        rows: Vec::new(),
        intake: intake.clone(),
    };
    let source = settings.open(opening).unwrap();
    let thread = std::thread::spawn(move || source.run());
    let (mut numbers, mut aside, mut position, mut ids) =
        (Vec::new(), Vec::new(), None, std::collections::BTreeSet::new());
    while let Ok(arrival) = arrivals.recv_timeout(Duration::from_secs(4)) {
        if arrival.id.is_none_or(|id| ids.insert(id.id)) {
            for (_, batch) in &arrival.pieces {
                for record in batch.iter() {
                    let value: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
                    numbers.push(value["n"].as_u64().unwrap());
                }
                aside.extend(batch.unparsed.iter().map(|line| line.reason.clone()));
            }
        }
        position = arrival.position.or(position);
        if let Some(done) = arrival.done {
            let _ = done.send(Default::default());
        }
    }
    intake.stop().now();
    thread.join().unwrap();
    numbers.sort_unstable();
    (numbers, aside, position)
}

#[test]
fn a_restart_in_mid_stream_loses_and_doubles_nothing() {
    let Some(mut cloud) = Cloud::start() else { return };
    compliance::a_restart_in_mid_stream_loses_and_doubles_nothing(&mut cloud);
    std::thread::sleep(Duration::from_secs(6));
    assert_eq!(cloud.waiting(), (0, 0), "messages are deleted once everything is committed");
}

#[test]
fn a_poison_message_is_set_aside_with_its_reason() {
    let Some(mut cloud) = Cloud::start() else { return };
    compliance::a_poison_record_is_set_aside_with_its_reason(&mut cloud);
}

#[test]
fn a_slow_engine_slows_the_source() {
    let Some(mut cloud) = Cloud::start() else { return };
    compliance::a_slow_engine_slows_the_source(&mut cloud, 600);
}

#[test]
fn a_message_that_takes_long_stays_hidden() {
    let Some(mut cloud) = Cloud::start() else { return };
    cloud.offer(0..EVENTS);
    let (intake, arrivals) = Intake::channel("s3", 4);
    let opening = Opening {
        secrets: &cloud.secrets,
        folder: ".".as_ref(),
        once: false,
        position: None,
        rows: Vec::new(),
        intake: intake.clone(),
    };
    let source = cloud.settings.open(opening).unwrap();
    let thread = std::thread::spawn(move || source.run());
    let arrival = arrivals.recv_timeout(Duration::from_secs(20)).unwrap();
    // Longer than the queue hides it.
    std::thread::sleep(Duration::from_secs(8));
    assert_eq!(cloud.waiting(), (0, 1));
    assert!(arrivals.try_recv().is_err(), "it did not come again");
    arrival.done.unwrap().send(Default::default()).unwrap();
    let begun = Instant::now();
    while cloud.waiting() != (0, 0) {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is deleted");
        std::thread::sleep(Duration::from_millis(100));
    }
    intake.stop().now();
    thread.join().unwrap();
}

#[test]
fn an_object_of_many_pieces_and_others_that_cannot_be_read() {
    let Some(cloud) = Cloud::start() else { return };
    cloud.put("big.json.gz", packed(&envelope(0..3_000, &"x".repeat(2_000))));
    let mut damaged = packed(&envelope(9_000..9_100, &"x".repeat(2_000)));
    damaged.truncate(damaged.len() / 2);
    cloud.put("damaged.json.gz", damaged);
    cloud.put("folder/", Vec::new());
    cloud.put("AWSLogs/1/CloudTrail-Digest/eu/1.json.gz", packed("{\"n\":9999}"));
    cloud.tell(
        "{\"Records\":[{\"eventName\":\"ObjectCreated:Put\",\"s3\":{\"bucket\":{\"name\":\"logs\"},\"object\":{\"key\":\"gone\"}}}]}",
    );
    let settings = Settings { visibility: Duration::from_secs(5), ..cloud.settings.clone() };
    let (numbers, aside, _) = all(&cloud, &settings, None);
    let whole: Vec<u64> = numbers.iter().copied().filter(|n| *n < 9_000).collect();
    assert_eq!(whole, (0..3_000).collect::<Vec<_>>());
    assert!(!numbers.contains(&9_999), "digests are no events");
    assert!(aside.iter().any(|why| why.contains("truncated")), "{aside:?}");
    assert!(aside.iter().any(|why| why.contains("the object is gone")), "{aside:?}");
    assert_eq!(aside.len(), 2, "{aside:?}");
}

#[test]
fn a_backfill_reads_the_days_that_it_names_and_goes_on_where_it_was() {
    let Some(cloud) = Cloud::start() else { return };
    for (day, from) in [("2026/02/27", 0), ("2026/02/28", 10), ("2026/03/01", 20), ("2026/03/02", 30)] {
        for object in 0..2 {
            let numbers = from + object * 5..from + object * 5 + 5;
            cloud.put(&format!("trail/{day}/{object}.json.gz"), packed(&envelope(numbers, "")));
        }
    }
    let older = Older {
        bucket: "logs".into(),
        prefixes: vec!["trail/{yyyy}/{mm}/{dd}/".into()],
        from: "2026-02-28".parse().unwrap(),
        to: "2026-03-01".parse().ok(),
    };
    let settings = Settings { queue: None, backfill: Some(older), ..cloud.settings.clone() };
    let (numbers, aside, position) = all(&cloud, &settings, None);
    assert_eq!((numbers, aside), ((10..30).collect(), Vec::new()));
    let (numbers, ..) = all(&cloud, &settings, position);
    assert_eq!(numbers, [] as [u64; 0], "what is done is not done again");
    let half = serde_json::json!({
        "of": format!("{:?}", settings.backfill.as_ref().unwrap()),
        "prefix": 0, "key": "trail/2026/02/28/0.json.gz", "whole": false
    });
    let (numbers, ..) = all(&cloud, &settings, Some(half.to_string().into_bytes()));
    assert_eq!(numbers, (15..30).collect::<Vec<_>>());
}

#[test]
fn what_keeps_a_source_from_working_is_said() {
    let Some(cloud) = Cloud::start() else { return };
    // The bucket tells the queue that it will be told.
    let look = |settings: &Settings| cloud.runtime.block_on(settings.check(&cloud.secrets, ".".as_ref()));
    assert_eq!(look(&cloud.settings), Ok(vec!["the queue has about 1 message".to_string()]));
    let endpoint = cloud.settings.endpoint.clone().unwrap();
    let none = Settings { queue: Some(format!("{endpoint}/123456789012/none")), ..cloud.settings.clone() };
    let said = look(&none).unwrap_err();
    assert!(said.contains("check `queue`"), "{said}");
    let nowhere = Settings { endpoint: Some(format!("http://127.0.0.1:{}", port())), ..cloud.settings.clone() };
    let said = look(&nowhere).unwrap_err();
    assert!(said.contains("there is no connection"), "{said}");
}

/// A digest that begins now, and names these log files.
fn digest(numbers: std::ops::RangeInclusive<u32>) -> Vec<u8> {
    let time = |seconds: i64| tripline_event::format_time(tripline_connect::clock::now() + seconds * 1_000_000_000);
    let files: Vec<_> =
        numbers.map(|n| serde_json::json!({"s3Bucket": "logs", "s3Object": log(n), "hashValue": "0"})).collect();
    let digest = serde_json::json!({
        "awsAccountId": "111122223333", "digestStartTime": time(1), "digestEndTime": time(3_600), "logFiles": files,
        "previousDigestS3Bucket": null, "previousDigestS3Object": null,
    });
    packed(&digest.to_string())
}

fn log(n: u32) -> String {
    format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/21/{n}.json.gz")
}

#[test]
fn a_log_file_that_a_digest_names_and_that_never_came_is_a_gap_once() {
    let Some(cloud) = Cloud::start() else { return };
    let settings = Settings { digest_wait: Some(Duration::from_secs(2)), ..cloud.settings.clone() };
    let key = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/21/\
               111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20261121T010000Z.json.gz";
    let mut rows = std::collections::BTreeMap::new();
    let (mut numbers, mut gaps) = (Vec::new(), Vec::new());
    for round in 0..3 {
        let (intake, arrivals) = Intake::channel("s3", 4);
        let kept = rows.clone().into_iter().collect();
        let opening = Opening {
            secrets: &cloud.secrets,
            folder: ".".as_ref(),
            once: false,
            position: None,
            rows: kept,
            intake: intake.clone(),
        };
        let source = settings.open(opening).unwrap();
        let thread = std::thread::spawn(move || source.run());
        if round == 0 {
            std::thread::sleep(Duration::from_millis(500));
            cloud.put(&log(1), packed(&envelope(0..5, "")));
            // One without events is one that came.
            cloud.put(&log(2), packed("{\"Records\":[]}"));
            cloud.put(&log(3), packed(&envelope(5..10, "")));
        }
        // Its message comes again, too.
        cloud.put(key, digest(1..=4));
        let end = Instant::now() + Duration::from_secs(8);
        while Instant::now() < end {
            let Ok(arrival) = arrivals.recv_timeout(Duration::from_millis(200)) else { continue };
            for record in arrival.pieces.iter().flat_map(|(_, batch)| batch.iter()) {
                let value: serde_json::Value = serde_json::from_slice(record.bytes).unwrap();
                numbers.push(value["n"].as_u64().unwrap());
            }
            for (key, value) in arrival.rows {
                match value {
                    Some(value) => drop(rows.insert(key, value)),
                    None => drop(rows.remove(&key)),
                }
            }
            gaps.extend(arrival.gaps);
            if let Some(done) = arrival.done {
                let _ = done.send(Default::default());
            }
        }
        intake.stop().now();
        drop(arrivals);
        thread.join().unwrap();
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].of, "CloudTrail 111122223333 / eu-west-1");
    assert_eq!(gaps[0].why, format!("1 log file that the digest names did not come: {}", log(4)));
}

#[test]
fn a_digest_that_is_none_is_set_aside_with_its_reason() {
    let Some(cloud) = Cloud::start() else { return };
    let settings = Settings { digest_wait: Some(Duration::from_secs(60)), max_receives: 1, ..cloud.settings.clone() };
    cloud.put("AWSLogs/1/CloudTrail-Digest/eu/1.json.gz", packed("[1, 2]"));
    let (numbers, aside, _) = all(&cloud, &settings, None);
    assert!(numbers.is_empty() && aside.len() == 1 && aside[0].contains("it is no digest of CloudTrail"), "{aside:?}");
    let look = |settings: &Settings| cloud.runtime.block_on(settings.clock(&cloud.secrets, ".".as_ref()));
    let ahead = look(&cloud.settings).unwrap();
    assert!(ahead.abs() < 30_000_000_000, "{ahead}");
    let nowhere = Settings { endpoint: Some(format!("http://127.0.0.1:{}", port())), ..cloud.settings.clone() };
    assert_eq!(look(&nowhere), None);
}

#[test]
fn digests_are_waited_for_where_a_queue_tells_of_them() {
    let said = |more: &str| crate::testing::read(&super::KIND, more).1;
    let wait = "digest_wait = \"2h\"\n";
    let alone = format!("{wait}[backfill]\nbucket = \"b\"\nfrom = \"2026-01-01\"\n");
    assert!(said(&alone).contains("`digest_wait` goes with a `queue`"), "{}", said(&alone));
    let queue = "queue = \"https://sqs.eu-central-1.amazonaws.com/111122223333/trail\"\n";
    assert_eq!(said(&format!("{queue}{wait}")), "");
    assert!(said(&format!("{queue}digest_wait = \"0s\"")).contains("1s"));
    let half = said(&format!("{queue}{wait}secret_key = {{ env = \"A\" }}\nformat = \"csv\"\nobjects = 2"));
    assert!(half.contains("go together") && !half.contains("has no key"), "{half}");
}
