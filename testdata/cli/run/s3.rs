//! A bucket and its queue: killed at any instant, the service reads every object once.
//!
//! Without `TRIPLINE_PEER_MOTO` (the path of `moto_server`) this is left out, and says so.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Chance, Place, events, port, request, same, until};

struct Cloud {
    server: Child,
    port: u16,
}

impl Drop for Cloud {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

const FORM: &str = "Content-Type: application/x-www-form-urlencoded";

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
        let cloud = Cloud { server, port };
        until("the server", || request(port, "GET /moto-api/ HTTP/1.1", b"").is_some());
        cloud.ask("PUT /logs HTTP/1.1", b"");
        let queues = ["killed", "undisturbed"].map(|name| {
            let asked = format!("Action=CreateQueue&QueueName={name}");
            cloud.ask(&format!("POST / HTTP/1.1\r\n{FORM}"), asked.as_bytes());
            format!(
                "<QueueConfiguration><Id>{name}</Id><Queue>arn:aws:sqs:us-east-1:123456789012:{name}</Queue>\
                 <Event>s3:ObjectCreated:*</Event></QueueConfiguration>"
            )
        });
        let told = format!("<NotificationConfiguration>{}</NotificationConfiguration>", queues.concat());
        cloud.ask("PUT /logs?notification HTTP/1.1", told.as_bytes());
        Some(cloud)
    }

    /// Requests are signed by nobody in particular; the server looks only for which service they are.
    fn ask(&self, head: &str, body: &[u8]) -> String {
        let service = if head.contains(FORM) { "sqs" } else { "s3" };
        let signed = format!(
            "{head}\r\nAuthorization: AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        );
        let (status, told) = request(self.port, &signed, body).unwrap();
        assert!(status < 300, "{status} {told}");
        told
    }

    fn put(&self, key: &str, text: &str) {
        self.ask(&format!("PUT /logs/{key} HTTP/1.1"), text.as_bytes());
    }

    /// Messages that wait, and those that are hidden.
    fn left(&self, queue: &str) -> u64 {
        let asked = format!("POST /123456789012/{queue} HTTP/1.1\r\n{FORM}");
        let told = self.ask(&asked, b"Action=GetQueueAttributes&AttributeName.1=All");
        let of = |name: &str| {
            let rest = told.split_once(&format!("<Name>{name}</Name>"))?.1;
            rest.split_once("<Value>")?.1.split('<').next()?.trim().parse::<u64>().ok()
        };
        of("ApproximateNumberOfMessages").unwrap() + of("ApproximateNumberOfMessagesNotVisible").unwrap()
    }
}

/// A service over one of the queues. Objects may be read long after others that were written later.
fn configure(place: &Place, cloud: &Cloud, name: &str) {
    let port = cloud.port;
    let text = format!(
        "[store]\npath = \"{name}.db\"\nsync = false\n[engine]\ncommit_every = \"10ms\"\ncommit_events = 100\n\
         lateness = \"7d\"\n[rules]\npaths = [\"rules.trip\"]\n\
         [[source]]\nname = \"bucket\"\nkind = \"s3\"\nqueue = \"http://127.0.0.1:{port}/123456789012/{name}\"\n\
         endpoint = \"http://127.0.0.1:{port}\"\nvisibility = \"5s\"\nsource = \"demo.idp\"\nobjects = 2\n\
         access_key = {{ file = \"id\" }}\nsecret_key = {{ file = \"id\" }}\n"
    );
    place.write(&format!("{name}.toml"), &text);
}

/// Runs until nothing is left in the queue.
fn to_the_end(place: &Place, cloud: &Cloud, name: &str) {
    let service = place.start(name, &[]);
    let begun = Instant::now();
    while cloud.left(name) > 0 {
        assert!(begun.elapsed() < Duration::from_secs(120), "{} left\n{}", cloud.left(name), place.log(name));
        std::thread::sleep(Duration::from_millis(200));
    }
    service.stop();
}

#[test]
fn a_service_over_a_bucket_that_is_killed_finds_what_an_undisturbed_one_finds() {
    let Some(cloud) = Cloud::start() else { return };
    let place = Place::new();
    place.write("id", "testing");
    configure(&place, &cloud, "killed");
    configure(&place, &cloud, "undisturbed");
    let mut chance = Chance(11);
    for (number, object) in events(6_000).chunks(150).enumerate() {
        cloud.put(&format!("idp/{number:04}.jsonl"), &object.concat());
        let service = place.start("killed", &[]);
        std::thread::sleep(Duration::from_millis(100 + chance.below(800)));
        service.kill();
    }
    to_the_end(&place, &cloud, "killed");
    to_the_end(&place, &cloud, "undisturbed");
    // Everything before this is judged.
    cloud.put("idp/last.jsonl", &events(1)[0].replace("2026-01-02", "2026-02-01"));
    to_the_end(&place, &cloud, "killed");
    to_the_end(&place, &cloud, "undisturbed");
    same(&place, "killed", "undisturbed");
}

#[test]
fn a_log_file_that_a_digest_names_and_that_nobody_read_is_found_once() {
    let Some(cloud) = Cloud::start() else { return };
    let place = Place::new();
    place.write("id", "testing");
    configure(&place, &cloud, "killed");
    let text = std::fs::read_to_string(place.path("killed.toml")).unwrap();
    place.write(
        "killed.toml",
        &text.replace("objects = 2", "objects = 2\ndigest_wait = \"2s\"").replace("lateness = \"7d\"", ""),
    );
    let found = || place.findings("killed").values().filter(|(rule, ..)| rule == "tripline_events_missing").count();
    let service = place.start("killed", &[]);
    until("the start", || place.log("killed").contains("at work"));
    std::thread::sleep(Duration::from_secs(1));
    let log = |n: u32| format!("AWSLogs/111122223333/CloudTrail/eu-west-1/2026/11/21/{n}.json");
    cloud.put(&log(1), &events(10).concat());
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
    let time = |seconds: i64| tripline_event::format_time((since + seconds) * 1_000_000_000);
    let digest = serde_json::json!({
        "awsAccountId": "111122223333", "digestStartTime": time(1), "digestEndTime": time(3_600),
        "logFiles": [{"s3Bucket": "logs", "s3Object": log(1)}, {"s3Bucket": "logs", "s3Object": log(2)}],
    });
    let key = "AWSLogs/111122223333/CloudTrail-Digest/eu-west-1/2026/11/21/\
               111122223333_CloudTrail-Digest_eu-west-1_trail_eu-west-1_20261121T010000Z.json.gz";
    cloud.put(key, &digest.to_string());
    until("the digest", || cloud.left("killed") == 0);
    service.kill();
    let service = place.start("killed", &[]);
    until("the finding", || found() == 1);
    service.kill();
    let service = place.start("killed", &[]);
    std::thread::sleep(Duration::from_secs(4));
    service.stop();
    assert_eq!(found(), 1);
    let bodies: Vec<String> = place.findings("killed").into_values().map(|(.., body)| body).collect();
    assert!(bodies.iter().any(|body| body.contains("1 log file that the digest names did not come: AWSLogs/")));
}
