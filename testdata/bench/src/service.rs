//! The service as it is run: how soon a finding is out, and how many changes of state one process commits a second.
//!
//! Both start the program given, with a store on the disk of the folder given and every commit synced. What is told of
//! it is its page of metrics and what is seen from outside: lines written, lines that come out.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is asked for.
pub struct Asked<'a> {
    /// The program.
    pub program: &'a Path,
    /// A folder for logs, the store and what is found.
    pub folder: &'a Path,
    /// Events a second.
    pub rate: u64,
    /// How long.
    pub seconds: u64,
    /// Whether events are sent over HTTP instead of written to a file.
    pub http: bool,
}

pub(crate) const MAPPING: &str = "mapping m from demo.idp {
  detect where raw.product == \"demo-idp\"
  metadata.uid: raw.id  time: timestamp(raw.at)  severity_id: \"Low\"
  user.uid: raw.user  message: raw.what  src_endpoint.ip: raw.ip
  otherwise -> authentication { activity_id: \"Logon\" }
}
";

/// Rules for what one event in twenty is: a window and a sequence that fire, and a feature that is read.
const RULES: &str = "rule many { title: \"{count()} of {user.uid}\" severity: high
  on authentication where message in [\"denied\", \"let in\"]
  group by user.uid within 10m having count() >= 3
  alert { entities: [user(user.uid)] } }
rule denied_then_let_in { title: \"t\" severity: high sequence by user.uid within 10m {
  a: authentication where message == \"denied\" [2..]
  b: authentication where message == \"let in\" } alert { entities: [user(user.uid)] } }
feature addresses = set of src_endpoint.ip by user.uid over 30d warmup 0s on authentication where message in [\"denied\", \"let in\"]
rule new_address { title: \"t\" on authentication
  where message == \"let in\" and src_endpoint.ip is new in addresses }
";

/// How much later than others events may come, and how much later some do.
const LATENESS: Duration = Duration::from_secs(1);
/// How often events are written.
const TICK: Duration = Duration::from_millis(10);
/// How many clients send.
const CLIENTS: usize = 16;

/// Measures how soon findings are out.
///
/// # Errors
/// Where the program does not run, or says too little.
pub fn latency(asked: &Asked<'_>) -> Result<(), String> {
    let place = Place::new(asked.folder)?;
    let (push, page) = (port()?, port()?);
    let source = match asked.http {
        true => format!("kind = \"http\"\nlisten = \"127.0.0.1:{push}\"\n"),
        false => "kind = \"file\"\npath = \"log.jsonl\"\npoll = \"50ms\"\n".to_string(),
    };
    place.write("rules.trip", &format!("{MAPPING}{RULES}"))?;
    place.write("log.jsonl", "")?;
    place.write("found.ndjson", "")?;
    place.write(
        "tripline.toml",
        &format!(
            "[engine]\nlateness = \"{}ms\"\n[rules]\npaths = [\"rules.trip\"]\n[[source]]\nname = \"idp\"\n\
             source = \"demo.idp\"\n{source}[[output]]\nname = \"out\"\nkind = \"file\"\npath = \"found.ndjson\"\n\
             [metrics]\nlisten = \"127.0.0.1:{page}\"\n",
            LATENESS.as_millis()
        ),
    )?;
    let mut service = place.start(asked.program, &[])?;
    wait_for(page)?;
    let ended = Arc::new(AtomicBool::new(false));
    let watching = Arc::clone(&ended);
    let found = place.path("found.ndjson");
    let seen = std::thread::spawn(move || watch(&found, &watching));
    let sent = if asked.http { send(asked, push)? } else { write(asked, &place.path("log.jsonl"))? };
    let busy = service.seconds();
    // What was read is let out; the last second waits for a watermark that does not come.
    std::thread::sleep(Duration::from_secs(3));
    ended.store(true, Ordering::SeqCst);
    let seen = seen.join().map_err(|_| "the reader of findings failed")??;
    let metrics = get(page, "/metrics")?;
    let (events, commits) = (sum(&metrics, "tripline_events_total"), sum(&metrics, "tripline_commit_seconds_count"));
    println!(
        "{} events/s for {} s over {}: {} sent, {events:.0} judged, {:.0} late, {commits:.0} commits, {busy:.1} s of processor",
        asked.rate,
        asked.seconds,
        if asked.http { "HTTP" } else { "a file" },
        sent,
        sum(&metrics, "tripline_late_total"),
    );
    let mut beyond: Vec<f64> = seen;
    beyond.sort_by(f64::total_cmp);
    let at = |part: f64| beyond.get(((beyond.len().saturating_sub(1)) as f64 * part) as usize).copied().unwrap_or(0.0);
    println!(
        "line written to line found, beyond the lateness of {LATENESS:?}: {} findings, p50 {:.3} s, p95 {:.3} s, p99 {:.3} s, most {:.3} s",
        beyond.len(),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0)
    );
    for (what, name) in [("arrival to commit", "finding_latency_seconds"), ("commits", "commit_seconds")] {
        let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|part| quantile(&metrics, name, part));
        println!("{what}, by the service: p50 {p50:.3} s, p95 {p95:.3} s, p99 {p99:.3} s");
    }
    if beyond.is_empty() {
        return Err("nothing was found".into());
    }
    Ok(())
}

/// Measures changes of state that are committed: files read to their ends by rules that each take every event.
///
/// # Errors
/// Where the program does not run.
pub fn durable(program: &Path, folder: &Path, events: usize, keys: usize) -> Result<(), String> {
    const EACH: usize = 5;
    let mut rules = MAPPING.to_string();
    for n in 0..EACH {
        let _ = writeln!(
            rules,
            "rule r{n} {{ title: \"t\" on authentication where message != \"no{n}\"\n  \
             group by user.uid within {}m having count() >= 1000000 }}",
            n + 1
        );
    }
    let place = Place::new(folder)?;
    place.write("rules.trip", &rules)?;
    place.write(
        "tripline.toml",
        "[engine]\nthreads = 1\nlateness = \"0s\"\n[rules]\npaths = [\"rules.trip\"]\nwatch = false\n[[source]]\nname = \"idp\"\n\
         source = \"demo.idp\"\nkind = \"file\"\npath = \"log.jsonl\"\n",
    )?;
    let mut took = Vec::new();
    for events in [0, events] {
        let mut log = String::new();
        for n in 0..events {
            // A hundred a second; keys in an order that no memory likes.
            let (user, at) = ((n % keys).wrapping_mul(7_919) % keys, 1_767_225_600_000 + n as u64 * 10);
            event(&mut log, n as u64, at, user as u64, "denied");
        }
        place.write("log.jsonl", &log)?;
        place.forget()?;
        let begun = Instant::now();
        let mut service = place.start(program, &["--once"])?;
        let mut busy = 0.0;
        let status = loop {
            // What a process used is known as long as it runs.
            busy = service.seconds().max(busy);
            match service.0.try_wait().map_err(|error| error.to_string())? {
                Some(status) => break status,
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        };
        if !status.success() {
            return Err(format!("the service ended with {status}"));
        }
        took.push((begun.elapsed().as_secs_f64(), busy));
    }
    let [(start, busy_before), (whole, busy)] = took[..] else { return Ok(()) };
    let (seconds, busy) = ((whole - start).max(1e-9), (busy - busy_before).max(1e-9));
    let updates = (events * EACH) as f64;
    println!(
        "{events} events, {keys} keys, {EACH} rules that take each: {:.0} events/s, {:.0} state updates/s, committed; \
         {:.0} updates for each second of processor ({seconds:.2} s, {busy:.2} s of processor, beside {start:.2} s to begin and end)",
        events as f64 / seconds,
        updates / seconds,
        updates / busy,
    );
    Ok(())
}

/// An event as the log has it, of about 400 bytes.
pub(crate) fn event(out: &mut String, id: u64, at: u64, user: u64, what: &str) {
    let ip = std::net::Ipv4Addr::from(0x0A00_0000 | (user as u32 & 0xFF_FFFF));
    let _ = writeln!(
        out,
        "{{\"product\":\"demo-idp\",\"id\":\"e{id}\",\"at\":{at},\"user\":\"user{user}\",\"what\":\"{what}\",\"ip\":\"{ip}\",\
         \"agent\":\"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\",\"session\":\"{:016x}{:016x}\",\
         \"application\":{{\"name\":\"Example portal\",\"id\":\"0oa1abcd\",\"type\":\"web\"}},\"tenant\":\"example\",\
         \"factors\":[\"password\",\"push\"],\"geo\":{{\"city\":\"Berlin\",\"country\":\"DE\"}}}}",
        id.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        user
    );
}

/// The events of a moment. One in twenty is of interest: each user comes three times, a second apart, and is then let in.
/// Some lie back by up to half of the lateness, as in logs.
fn moment(out: &mut String, ids: std::ops::Range<u64>, rate: u64) {
    let now = millis();
    let of_interest = (rate / 20).max(1);
    for id in ids {
        let back = if id % 7 == 0 { id % (LATENESS.as_millis() as u64 / 2) } else { 0 };
        let n = id / 20;
        match id % 20 {
            0 => {
                let (turn, user) = (n / of_interest, n % of_interest);
                let what = if turn % 3 == 2 { "let in" } else { "denied" };
                event(out, id, now, turn / 3 * of_interest + user, what);
            }
            _ => event(out, id, now - back, id % 50_000, "seen"),
        }
    }
}

/// Calls for each tick with the ids that are due.
pub(crate) fn at_rate(
    asked: &Asked<'_>,
    mut each: impl FnMut(std::ops::Range<u64>) -> Result<(), String>,
) -> Result<u64, String> {
    let begun = Instant::now();
    let mut sent = 0;
    while begun.elapsed() < Duration::from_secs(asked.seconds) {
        let due = (begun.elapsed().as_secs_f64() * asked.rate as f64) as u64;
        each(sent..due)?;
        sent = due;
        std::thread::sleep(TICK);
    }
    Ok(sent)
}

fn write(asked: &Asked<'_>, path: &Path) -> Result<u64, String> {
    let mut log = OpenOptions::new().append(true).open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    at_rate(asked, |ids| {
        text.clear();
        moment(&mut text, ids, asked.rate);
        log.write_all(text.as_bytes()).map_err(|error| error.to_string())
    })
}

fn send(asked: &Asked<'_>, port: u16) -> Result<u64, String> {
    let (hand, take) = mpsc::sync_channel::<String>(CLIENTS * 4);
    let take = Arc::new(Mutex::new(take));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let take = Arc::clone(&take);
            std::thread::spawn(move || -> Result<(), String> {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).map_err(|error| error.to_string())?;
                loop {
                    let body = take.lock().map_err(|_| "a client failed")?.recv();
                    let Ok(body) = body else { return Ok(()) };
                    let head = format!("POST /events HTTP/1.1\r\nHost: b\r\nContent-Length: {}\r\n\r\n", body.len());
                    stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
                    stream.write_all(body.as_bytes()).map_err(|error| error.to_string())?;
                    // An answer is short, and ends with a line.
                    let mut answer = Vec::new();
                    let mut piece = [0; 1024];
                    while !(answer.ends_with(b"\n")
                        && answer.windows(4).any(|four| four == b"\r\n\r\n")
                        && !answer.ends_with(b"\r\n"))
                    {
                        let n = stream.read(&mut piece).map_err(|error| error.to_string())?;
                        answer.extend_from_slice(piece.get(..n).unwrap_or_default());
                        if n == 0 {
                            return Err("the service hung up".into());
                        }
                    }
                    if !answer.starts_with(b"HTTP/1.1 200") {
                        return Err(String::from_utf8_lossy(&answer).into_owned());
                    }
                }
            })
        })
        .collect();
    // Bodies of a twentieth of a second, as an agent would send them.
    let mut body = String::new();
    let mut gathered = Instant::now();
    let sent = at_rate(asked, |ids| {
        moment(&mut body, ids, asked.rate);
        if gathered.elapsed() >= TICK * 5 {
            gathered = Instant::now();
            hand.send(std::mem::take(&mut body)).map_err(|_| "no client is left".to_string())?;
        }
        Ok(())
    })?;
    hand.send(body).map_err(|_| "no client is left")?;
    drop(hand);
    for client in clients {
        client.join().map_err(|_| "a client failed")??;
    }
    Ok(sent)
}

/// How long after its time and the lateness each finding was seen, in seconds. The start is left out.
fn watch(path: &Path, ended: &AtomicBool) -> Result<Vec<f64>, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let (mut rest, mut out) = (Vec::new(), Vec::new());
    let mut at = 0;
    while !ended.load(Ordering::SeqCst) {
        file.seek(std::io::SeekFrom::Start(at)).map_err(|error| error.to_string())?;
        at += file.read_to_end(&mut rest).map_err(|error| error.to_string())? as u64;
        let now = millis();
        let whole = rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in
            rest.drain(..whole).collect::<Vec<u8>>().split(|byte| *byte == b'\n').filter(|line| !line.is_empty())
        {
            let finding: serde_json::Value = serde_json::from_slice(line).map_err(|error| error.to_string())?;
            let time = finding.get("time").and_then(serde_json::Value::as_u64).ok_or("a finding has no time")?;
            // What came late by itself was not held up by the service.
            out.push((now as f64 - (time as f64 + LATENESS.as_millis() as f64)) / 1e3);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(out)
}

pub(crate) fn millis() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A folder of its own, which is deleted.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let place = Place(folder.join(format!("tripline-bench-{}", std::process::id())));
        std::fs::create_dir_all(&place.0).map_err(|error| format!("`{}`: {error}", place.0.display()))?;
        Ok(place)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), String> {
        std::fs::write(self.path(name), text).map_err(|error| error.to_string())
    }

    /// Removes the store.
    fn forget(&self) -> Result<(), String> {
        for name in ["tripline.db", "tripline.db-wal", "tripline.db-shm"] {
            match std::fs::remove_file(self.path(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.to_string()),
                _ => {}
            }
        }
        Ok(())
    }

    pub(crate) fn start(&self, program: &Path, args: &[&str]) -> Result<Service, String> {
        self.start_with(program, args, false)
    }

    /// Like [`Place::start`]; `piped` where the service reads what is written to it.
    pub(crate) fn start_with(&self, program: &Path, args: &[&str], piped: bool) -> Result<Service, String> {
        let program = program.canonicalize().map_err(|error| format!("`{}`: {error}", program.display()))?;
        let mut command = Command::new(program);
        command.arg("run").arg("-c").arg(self.path("tripline.toml")).args(args).stdout(Stdio::null());
        command.stdin(if piped { Stdio::piped() } else { Stdio::null() });
        // What it asks of servers of ours needs no secret, but something that stands for one.
        command.env("TRIPLINE_BENCH_SECRET", "example");
        Ok(Service(command.spawn().map_err(|error| error.to_string())?))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A process that ends with the measurement.
pub(crate) struct Service(Child);

impl Service {
    /// Where it reads from, where it was started so.
    pub(crate) fn stdin(&mut self) -> Option<&mut std::process::ChildStdin> {
        self.0.stdin.as_mut()
    }

    /// Seconds of processor that it took, where the system tells.
    pub(crate) fn seconds(&mut self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let fields: Vec<&str> = text.rsplit(") ").next().unwrap_or("").split(' ').collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
        (ticks(11) + ticks(12)) / 100.0
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn port() -> Result<u16, String> {
    let bound = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    bound.map(|at| at.port()).map_err(|error| error.to_string())
}

pub(crate) fn wait_for(page: u16) -> Result<(), String> {
    let until = Instant::now() + Duration::from_secs(30);
    while Instant::now() < until {
        if get(page, "/healthz").is_ok_and(|told| told.contains("ok")) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err("the service does not begin".into())
}

pub(crate) fn get(port: u16, path: &str) -> Result<String, String> {
    let ask = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().map_err(|error: std::io::Error| error.to_string())
}

/// The sum of a metric over its labels.
pub(crate) fn sum(metrics: &str, name: &str) -> f64 {
    let of = |line: &str| {
        let rest = line.strip_prefix(name)?;
        rest.starts_with(['{', ' ']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok()).flatten()
    };
    metrics.lines().filter_map(of).fold(0.0, |sum, one| sum + one)
}

/// A part of a histogram's values: in proportion between the bounds of its bucket.
fn quantile(metrics: &str, name: &str, part: f64) -> f64 {
    let begin = format!("tripline_{name}_bucket{{le=\"");
    let of = |line: &str| {
        let (bound, count) = line.strip_prefix(&begin)?.split_once("\"} ")?;
        Some((bound.parse::<f64>().ok()?.to_bits(), count.parse::<f64>().ok()?))
    };
    let buckets: BTreeMap<u64, f64> = metrics.lines().filter_map(of).collect();
    let wanted = buckets.values().last().copied().unwrap_or(0.0) * part;
    let (mut from, mut before) = (0.0, 0.0);
    for (bound, count) in buckets {
        let bound = f64::from_bits(bound);
        if count >= wanted {
            let share = if count > before { (wanted - before) / (count - before) } else { 1.0 };
            return if bound.is_finite() { from + (bound - from) * share } else { f64::INFINITY };
        }
        (from, before) = (bound, count);
    }
    f64::NAN
}
