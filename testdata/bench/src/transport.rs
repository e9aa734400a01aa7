//! How many events a second a service takes over each transport, into findings, with all shipped rules and a store on the
//! disk: the same CloudTrail events over every wire, as ratios to files in the same run.
//!
//! The clock runs from the first event that is sent until the last is committed. Clients share the machine with the service;
//! what the service itself took is told beside, in seconds of processor.

mod cloud;
mod push;
#[cfg(feature = "queues")]
mod queues;
mod stream;
mod web;

use std::time::{Duration, Instant};

use crate::corpus;
use crate::service::{Asked, Place, Service, get, millis, port, sum, wait_for};

/// How long no event may come before a measurement is given up.
const STUCK: Duration = Duration::from_secs(30);

/// What is sent.
struct Load {
    /// An event each, without the line end.
    lines: Vec<String>,
}

/// Sends all of a load, and returns when that is done, or when there is nothing more to do.
type Feed = Box<dyn FnOnce(&Load, &mut Service) -> Result<(), String>>;

/// Sends the first event of a load.
type Ahead = Box<dyn FnOnce(&Load) -> Result<(), String>>;

/// One wire: the table of its source in the configuration, and who sends.
struct Wire {
    source: String,
    feed: Feed,
    /// Sends the first event before time is taken, where becoming a reader takes seconds: members of a group wait for others.
    ahead: Option<Ahead>,
    /// Whether the program reads to the end and stops, as it does with standard input.
    piped: bool,
    /// Whether some may be lost on the way.
    lossy: bool,
    /// What has to live until the end.
    keep: Vec<Box<dyn std::any::Any>>,
}

impl Wire {
    fn new(source: String, feed: impl FnOnce(&Load, &mut Service) -> Result<(), String> + 'static) -> Self {
        Wire { source, feed: Box::new(feed), ahead: None, piped: false, lossy: false, keep: Vec::new() }
    }
}

/// The names of all wires, in the order in which they are measured.
pub const KINDS: &[&str] = &[
    "file",
    "stdin",
    "http",
    "splunk_hec",
    "elasticsearch",
    "otlp",
    "syslog_tcp",
    "syslog_udp",
    "s3",
    "poll",
    "kafka",
    "nats",
];

fn wire(kind: &str, load: &Load, place: &Place) -> Result<Wire, String> {
    match kind {
        "file" => stream::file(place, load),
        "stdin" => Ok(stream::stdin()),
        "http" | "splunk_hec" | "elasticsearch" | "otlp" => push::wire(kind, load),
        "syslog_tcp" => stream::syslog("tcp"),
        "syslog_udp" => stream::syslog("udp"),
        "s3" => cloud::s3(load),
        "poll" => cloud::poll(place, load),
        #[cfg(feature = "queues")]
        "kafka" => queues::kafka(),
        #[cfg(feature = "queues")]
        "nats" => queues::nats(place),
        #[cfg(not(feature = "queues"))]
        "kafka" | "nats" => {
            Err("this takes `--features queues` here, and a program that has `kafka` and `nats`".into())
        }
        _ => Err(format!("`{kind}` is none of {}", KINDS.join(", "))),
    }
}

/// Measures these kinds, one after another; the first is what the others are compared with.
///
/// # Errors
/// Where the program does not run, or not all events come.
pub fn run(asked: &Asked<'_>, kinds: &[String], count: usize, watch: bool) -> Result<(), String> {
    let load = Load { lines: corpus::trail(count, millis()) };
    let bytes = load.lines.iter().map(String::len).sum::<usize>() / load.lines.len().max(1);
    println!("{count} events of {bytes} bytes; completeness {}", if watch { "watched" } else { "not watched" });
    println!("transport        events/s   of first   sent in   µs of processor an event   findings      came");
    let mut first = None;
    for kind in kinds {
        match one(asked, kind, &load, watch) {
            Ok(taken) => {
                let rate = taken.events / taken.seconds;
                let of = rate / *first.get_or_insert(rate);
                println!(
                    "{kind:<14} {rate:>10.0} {of:>10.2} {:>7.2} s {:>26.2} {:>10.0} {:>7.1} %",
                    taken.sent,
                    taken.busy * 1e6 / taken.events.max(1.0),
                    taken.findings,
                    100.0 * taken.events / count as f64
                );
            }
            Err(why) => println!("{kind:<14} left out: {why}"),
        }
    }
    Ok(())
}

struct Taken {
    events: f64,
    findings: f64,
    seconds: f64,
    /// When the clients were done, which is the wire's own time where that is nearly all.
    sent: f64,
    busy: f64,
}

fn one(asked: &Asked<'_>, kind: &str, load: &Load, watch: bool) -> Result<Taken, String> {
    let place = Place::new(asked.folder)?;
    let page = port()?;
    let Wire { source, feed, ahead, piped, lossy, keep } = wire(kind, load, &place)?;
    place.write(
        "tripline.toml",
        &format!(
            "[[source]]\nname = \"measured\"\n{source}{}[[output]]\nname = \"out\"\nkind = \"file\"\n\
             path = \"found.ndjson\"\n[metrics]\nlisten = \"127.0.0.1:{page}\"\n",
            if watch { "" } else { "watch = false\n" }
        ),
    )?;
    let mut service = place.start_with(asked.program, &[], piped)?;
    wait_for(page)?;
    let first = if let Some(ahead) = ahead {
        ahead(load)?;
        let begun = Instant::now();
        while of_source(&get(page, "/metrics")?) < 1.0 {
            if begun.elapsed() > STUCK {
                return Err(format!("not one event came for {STUCK:?}"));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        1.0
    } else {
        0.0
    };
    let before = service.seconds();
    let begun = Instant::now();
    feed(load, &mut service)?;
    let sent = begun.elapsed().as_secs_f64();
    let (mut seen, mut changed) = (0.0, Instant::now());
    let metrics = loop {
        let metrics = get(page, "/metrics")?;
        let events = of_source(&metrics) - first;
        if events >= load.lines.len() as f64 {
            break metrics;
        }
        if events > seen {
            (seen, changed) = (events, Instant::now());
        }
        let patience = if lossy { Duration::from_secs(2) } else { STUCK };
        if changed.elapsed() > patience {
            if lossy {
                break metrics;
            }
            return Err(format!("{seen} events came, and then none for {STUCK:?}"));
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let seconds = if lossy { changed.duration_since(begun) } else { begun.elapsed() };
    let busy = service.seconds() - before;
    drop(keep);
    Ok(Taken {
        events: of_source(&metrics) - first,
        findings: sum(&metrics, "tripline_findings_total"),
        seconds: seconds.as_secs_f64(),
        sent,
        busy,
    })
}

/// How many events of the source that is measured were committed.
fn of_source(metrics: &str) -> f64 {
    let mine = metrics.lines().filter(|line| line.contains("source=\"measured\"")).collect::<Vec<_>>().join("\n");
    sum(&mine, "tripline_events_total")
}
