//! Wires on which the service asks: objects of S3 that a queue tells of, and pages of an HTTP API. Both servers are ours, on
//! loopback, and answer from memory.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::web::{Answer, Asked, serve};
use super::{Load, Wire};
use crate::service::{Place, Service};

/// How many events an object has: files of CloudTrail have about as many on a busy account.
const OBJECT: usize = 5_000;
/// How many events a page has.
const PAGE: usize = 1_000;

/// Whether an API has something to tell, and has told it.
const OPEN: usize = 1;
const TOLD: usize = 2;

/// What is answered where there is nothing to say.
const EMPTY: &str = "{}";

/// Compressed files of CloudTrail, and a queue that tells of ten of them at a time.
pub(super) fn s3(load: &Load) -> Result<Wire, String> {
    let objects: Vec<Arc<[u8]>> = load.lines.chunks(OBJECT).map(object).collect::<Result<_, String>>()?;
    let told = Arc::new(Mutex::new(None::<std::ops::Range<usize>>));
    let (count, open) = (objects.len(), Arc::clone(&told));
    let at = serve(move |asked| match asked.header("x-amz-target").rsplit('.').next() {
        Some("ReceiveMessage") => ("application/x-amz-json-1.0", messages(&open)),
        Some("GetQueueAttributes") => ("application/x-amz-json-1.0", text("{\"Attributes\":{}}")),
        Some("DeleteMessage" | "DeleteMessageBatch" | "ChangeMessageVisibility" | "ChangeMessageVisibilityBatch") => {
            ("application/x-amz-json-1.0", text("{\"Successful\":[],\"Failed\":[]}"))
        }
        _ => ("application/gzip", wanted(asked).and_then(|at| objects.get(at).cloned()).unwrap_or_else(|| text(EMPTY))),
    })?;
    let source = format!(
        "kind = \"s3\"\nqueue = \"http://{at}/111122223333/trail\"\nendpoint = \"http://{at}\"\nregion = \"eu-central-1\"\n\
         access_key = {{ env = \"TRIPLINE_BENCH_SECRET\" }}\nsecret_key = {{ env = \"TRIPLINE_BENCH_SECRET\" }}\n"
    );
    Ok(Wire::new(source, move |_: &Load, _: &mut Service| {
        *told.lock().map_err(|_| "the queue failed")? = Some(0..count);
        Ok(())
    }))
}

fn text(text: &str) -> Arc<[u8]> {
    text.as_bytes().into()
}

fn object(lines: &[String]) -> Result<Arc<[u8]>, String> {
    let mut out = GzEncoder::new(Vec::new(), Compression::fast());
    let whole = format!("{{\"Records\":[{}]}}", lines.join(","));
    out.write_all(whole.as_bytes()).and_then(|()| out.finish()).map(Into::into).map_err(|error| error.to_string())
}

/// The object that a request names: `GET /bucket/12?…`.
fn wanted(asked: &Asked) -> Option<usize> {
    let path = asked.line.split(' ').nth(1)?;
    path.split('?').next()?.rsplit('/').next()?.parse().ok()
}

/// The next ten messages.
fn messages(open: &Mutex<Option<std::ops::Range<usize>>>) -> Arc<[u8]> {
    let numbers: Vec<usize> = match open.lock() {
        Ok(mut left) => left.as_mut().map(|left| left.take(10).collect()).unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    if numbers.is_empty() {
        // A queue without messages waits before it says so.
        std::thread::sleep(std::time::Duration::from_millis(100));
        return text(EMPTY);
    }
    let mut out = String::from("{\"Messages\":[");
    for number in numbers {
        let body = format!(
            "{{\\\"Records\\\":[{{\\\"eventName\\\":\\\"ObjectCreated:Put\\\",\\\"s3\\\":{{\\\"bucket\\\":{{\\\"name\\\":\\\"trail\\\"}},\
             \\\"object\\\":{{\\\"key\\\":\\\"{number}\\\"}}}}}}]}}"
        );
        let comma = if out.ends_with('[') { "" } else { "," };
        let _ =
            write!(out, "{comma}{{\"MessageId\":\"m{number}\",\"ReceiptHandle\":\"r{number}\",\"Body\":\"{body}\"}}");
    }
    out.push_str("]}");
    text(&out)
}

/// A connector that follows a cursor from page to page.
const CONNECTOR: &str = "name = \"measured\"
title = \"Measured\"
docs = \"https://example.com/docs\"
url = \"https://api.example.com\"
[[auth]]
kind = \"none\"
[[stream]]
name = \"events\"
source = \"aws.cloudtrail\"
path = \"/events\"
query = { from = \"{since}\", cursor = \"{cursor}\" }
items = \"events\"
page = { cursor = \"next\" }
id = \"eventID\"
time = \"eventTime\"
every = \"1s\"
overlap = \"0s\"
settle = \"0s\"
";

pub(super) fn poll(place: &Place, load: &Load) -> Result<Wire, String> {
    place.write("measured.toml", CONNECTOR)?;
    let chunks: Vec<&[String]> = load.lines.chunks(PAGE).collect();
    let pages: Vec<Arc<[u8]>> = chunks
        .iter()
        .enumerate()
        .map(|(at, lines)| {
            let next = if at + 1 < chunks.len() { format!(",\"next\":\"{}\"", at + 1) } else { String::new() };
            text(&format!("{{\"events\":[{}]{next}}}", lines.join(",")))
        })
        .collect();
    let open = Arc::new(AtomicUsize::new(0));
    let told = Arc::clone(&open);
    let at = serve(move |asked| -> Answer {
        let none = || text("{\"events\":[]}");
        let cursor = asked.line.split_once("cursor=").and_then(|(_, rest)| rest.split(['&', ' ']).next());
        // The first page that is asked for once there is something to tell; the next window has nothing.
        let number = match cursor {
            None => told.compare_exchange(OPEN, TOLD, Ordering::SeqCst, Ordering::SeqCst).ok().map(|_| 0),
            Some(cursor) => cursor.parse::<usize>().ok(),
        };
        ("application/json", number.and_then(|number| pages.get(number).cloned()).unwrap_or_else(none))
    })?;
    let source = format!(
        "kind = \"poll\"\nconnector = \"./measured.toml\"\nurl = \"http://{at}\"\nfrom = \"1h\"\nevery = \"1s\"\n"
    );
    Ok(Wire::new(source, move |_: &Load, _: &mut Service| {
        open.store(OPEN, Ordering::SeqCst);
        Ok(())
    }))
}
