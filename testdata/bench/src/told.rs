//! How soon people are told: from a line that is written to the request that reaches a chat, the whole service between.
//!
//! The chat is a listener of our own on loopback that answers as its Web API does.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::service::{Asked, MAPPING, Place, at_rate, event, get, millis, port, sum, wait_for};

/// How many events a second are alerts.
const ALERTS: u64 = 20;

/// When the message of an event came, in milliseconds since 1970, by the event's id.
type Came = Arc<Mutex<BTreeMap<String, u64>>>;

/// Measures how soon alerts are told, with an allowed lateness of 0.
///
/// # Errors
/// Where the program does not run, or somebody was not told.
pub fn told(asked: &Asked<'_>) -> Result<(), String> {
    let came = Came::default();
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    let at = listener.local_addr().map_err(|error| error.to_string())?;
    let shared = Arc::clone(&came);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let came = Arc::clone(&shared);
            std::thread::spawn(move || chat(stream, &came));
        }
    });
    let place = Place::new(asked.folder)?;
    let page = port()?;
    place.write(
        "rules.trip",
        &format!(
            "{MAPPING}rule seen {{ title: \"t\" severity: high on authentication where message == \"let in\"
  alert {{ title: \"{{metadata.uid}} by {{user.uid}}\" key: [metadata.uid] entities: [user(user.uid), ip(src_endpoint.ip)] }} }}\n"
        ),
    )?;
    place.write("log.jsonl", "")?;
    place.write("token", "xoxb-benchmark")?;
    place.write(
        "tripline.toml",
        &format!(
            "[engine]\nlateness = \"0s\"\n[rules]\npaths = [\"rules.trip\"]\n[[source]]\nname = \"idp\"\n\
             source = \"demo.idp\"\nkind = \"file\"\npath = \"log.jsonl\"\npoll = \"50ms\"\n\
             [[destination]]\nname = \"chat\"\nkind = \"slack\"\nurl = \"http://{at}/api\"\nchannel = \"C0123456789\"\n\
             token = {{ file = \"token\" }}\nconcurrency = 8\n[[route]]\nname = \"all\"\nto = \"chat\"\n\
             [metrics]\nlisten = \"127.0.0.1:{page}\"\n"
        ),
    )?;
    let mut service = place.start(asked.program, &[])?;
    wait_for(page)?;
    let mut log = OpenOptions::new().append(true).open(place.path("log.jsonl")).map_err(|error| error.to_string())?;
    let mut written = BTreeMap::new();
    let every = (asked.rate / ALERTS).max(1);
    let mut text = String::new();
    let sent = at_rate(asked, |ids| {
        text.clear();
        let now = millis();
        for id in ids {
            let what = if id % every == 0 { "let in" } else { "seen" };
            event(&mut text, id, now, id % 50_000, what);
            if id % every == 0 {
                written.insert(format!("e{id}"), now);
            }
        }
        log.write_all(text.as_bytes()).map_err(|error| error.to_string())
    })?;
    let busy = service.seconds();
    std::thread::sleep(Duration::from_secs(3));
    let metrics = get(page, "/metrics")?;
    let came = came.lock().map_err(|_| "the chat failed")?;
    let mut took: Vec<f64> =
        written.iter().filter_map(|(id, at)| Some(came.get(id)?.saturating_sub(*at) as f64 / 1e3)).collect();
    took.sort_by(f64::total_cmp);
    let at = |part: f64| took.get((took.len().saturating_sub(1) as f64 * part) as usize).copied().unwrap_or(0.0);
    let mut line = String::new();
    let _ = write!(
        line,
        "{} events/s for {} s: {sent} sent, {:.0} judged, {busy:.1} s of processor; {} alerts, {} told; line written to \
         request: p50 {:.3} s, p95 {:.3} s, p99 {:.3} s, most {:.3} s",
        asked.rate,
        asked.seconds,
        sum(&metrics, "tripline_events_total"),
        written.len(),
        took.len(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    println!("{line}");
    if took.len() < written.len() { Err("somebody was not told".into()) } else { Ok(()) }
}

/// Answers one connection as the chat's Web API does, and remembers when the first message of each event came.
fn chat(stream: TcpStream, came: &Came) {
    let mut reader = BufReader::new(stream);
    let mut messages = 0u64;
    loop {
        let (mut length, mut first) = (0, String::new());
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if first.is_empty() {
                first.clone_from(&line);
            }
            let (name, value) = line.trim().split_once(':').unwrap_or((line.trim(), ""));
            match name.to_ascii_lowercase().as_str() {
                "" => break,
                "content-length" => length = value.trim().parse().unwrap_or(0),
                _ => {}
            }
        }
        let now = millis();
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        if first.contains("chat.postMessage") {
            // The title is the event's id and who it was.
            let id = body.split(" by user").next().and_then(|before| before.rsplit([' ', '"', '*', '|']).next());
            if let (Some(id), Ok(mut came)) = (id, came.lock()) {
                came.entry(id.to_string()).or_insert(now);
            }
        }
        messages += 1;
        let answer =
            format!("{{\"ok\":true,\"channel\":\"C0123456789\",\"ts\":\"1700000000.{messages:06}\",\"messages\":[]}}");
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", answer.len());
        if reader.get_mut().write_all(format!("{head}{answer}").as_bytes()).is_err() {
            return;
        }
    }
}
