//! The store, the clock, secrets, addresses, sources and destinations.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use tripline_config::Secrets;
use tripline_runtime::watch::report;
use tripline_store::{Durability, Options, Problem, Store};

use super::{Found, Mark};
use crate::commands::destinations::tried;
use crate::desk::Desk;
use crate::{load, times};

/// Less free space than this is worth knowing (bytes).
const LITTLE: u64 = 1 << 30;
/// Less than this is wrong.
const HARDLY: u64 = 64 << 20;
/// How long one thing may take to be looked at.
const LOOKING: Duration = Duration::from_secs(30);
/// How far ahead of the clock what is stored may be (nanoseconds).
const AHEAD: i64 = 60_000_000_000;
/// How far the clock of another side may differ before that is wrong (nanoseconds).
const SKEWED: i64 = 300_000_000_000;

/// Looks at the store; gives whether a service runs on it.
pub fn store(desk: &Desk, all: &mut Vec<Found>) -> bool {
    let path = &desk.config.store.path;
    let place = path.display().to_string();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut running = false;
    if path.exists() {
        let options = Options { durability: Durability::Normal, ..Options::default() };
        match Store::open(path, options) {
            Ok(_) => all.push(Found::good("store", "", format!("{place} can be written"))),
            Err(error) if matches!(error.problem(), Problem::InUse(_)) => {
                running = true;
                all.push(Found::good("store", "", format!("{place} is in use, by the service that runs")));
            }
            Err(error) => {
                let advice = "the service cannot begin with it; a copy of an earlier day or another `path` can";
                all.push(Found::new(Mark::Bad, "store", "", error.to_string(), advice));
            }
        }
    } else {
        let probe = folder.join(format!(".tripline-doctor-{}", std::process::id()));
        let made = std::fs::OpenOptions::new().write(true).create_new(true).open(&probe);
        let _ = std::fs::remove_file(&probe);
        all.push(match made {
            Ok(_) => Found::good("store", "", format!("{place} is made when the service begins")),
            Err(error) => {
                let what = format!("`{}` cannot be written: {error}", folder.display());
                Found::new(Mark::Bad, "store", "", what, "make the folder, or let the user of the service write to it")
            }
        });
    }
    space(folder, all);
    running
}

#[cfg(unix)]
fn space(folder: &Path, all: &mut Vec<Found>) {
    let Ok(about) = rustix::fs::statvfs(folder) else { return };
    let free = about.f_bavail.saturating_mul(about.f_frsize);
    let what = format!("{} MiB are free at `{}`", free >> 20, folder.display());
    all.push(match free {
        ..HARDLY => Found::new(Mark::Bad, "disk", "", what, "the service waits where the disk is full: make room"),
        HARDLY..LITTLE => {
            Found::new(Mark::Note, "disk", "", what, "set `max_size` or `retain` of `[store]`, or make room")
        }
        _ => Found::good("disk", "", what),
    });
}

#[cfg(not(unix))]
fn space(_folder: &Path, _all: &mut Vec<Found>) {}

/// Looks whether the clock is where it was.
pub fn clock(desk: &Desk, all: &mut Vec<Found>) {
    let now = load::now();
    let shown = times::shown(now);
    let Ok(store) = desk.read() else {
        all.push(Found::good("clock", "", format!("it is {shown}")));
        return;
    };
    let reports = report::read(&store, &desk.config.sources).unwrap_or_default();
    let last = reports.iter().filter_map(|report| report.watched.last).max();
    all.push(match last.filter(|last| last.saturating_sub(now) > AHEAD) {
        Some(last) => {
            let what = format!("it is {shown}, and events came at {} already", times::shown(last));
            Found::new(Mark::Bad, "clock", "", what, "set the clock, and have it kept by NTP")
        }
        None => Found::good("clock", "", format!("it is {shown}, and not before what was stored")),
    });
    for report in &reports {
        // What comes from the future is of a clock that is wrong, here or there.
        let ahead = report.watched.early();
        if ahead > AHEAD {
            let mut what = format!("events came up to {} ahead of the clock", times::about(ahead));
            let beyond = ahead > tripline_connect::clock::nanos(desk.config.engine.max_ahead);
            if beyond {
                what.push_str(", more than `max_ahead`: rules over several events do not get them");
            }
            let advice = "one of the two clocks is wrong, or the events tell local times without their zone";
            let mark = if beyond { Mark::Bad } else { Mark::Note };
            all.push(Found::new(mark, "clock", &report.name, what, advice));
        }
    }
}

/// What is to be said of the clock here, which is ahead of that of a source's other side.
fn skew(name: &str, ahead: i64) -> Found {
    let far = times::about(ahead.abs());
    let way = if ahead > 0 { "ahead of" } else { "behind" };
    let what = format!("the clock of this machine is {far} {way} that of the other side");
    match ahead.abs() {
        much if much <= AHEAD => Found::good("clock", name, "the other side's is the same to a minute"),
        much if much <= SKEWED => Found::new(Mark::Note, "clock", name, what, "set the clock, and have it kept by NTP"),
        _ => {
            let advice = "set the clock, and have it kept by NTP: signatures and tokens are refused for less";
            Found::new(Mark::Bad, "clock", name, what, advice)
        }
    }
}

/// Looks for every secret.
pub fn secrets(desk: &Desk, all: &mut Vec<Found>) -> Option<Secrets> {
    match desk.config.secrets() {
        Ok(secrets) => {
            all.push(Found::good("secrets", "", "all that are named are there"));
            Some(secrets)
        }
        Err(said) => {
            for one in &said {
                let advice = "set the environment variable or make the file that the configuration names";
                all.push(Found::new(Mark::Bad, "secrets", "", one.message.clone(), advice));
            }
            None
        }
    }
}

/// Looks whether the addresses of the page of metrics and of the API are free.
pub fn listeners(desk: &Desk, running: bool, all: &mut Vec<Found>) {
    let metrics = desk.config.metrics.as_ref().map(|metrics| ("metrics", metrics.listen.at));
    let api = desk.config.api.as_ref().map(|api| ("api", api.listen.at));
    for (name, address) in metrics.into_iter().chain(api) {
        all.push(listener(name, address, running));
    }
}

fn listener(name: &'static str, address: SocketAddr, running: bool) -> Found {
    match TcpListener::bind(address) {
        Ok(_) if running => {
            let what = format!("nobody listens on {address}, and a service runs");
            Found::new(Mark::Bad, name, "", what, "the service runs with another configuration: begin it anew")
        }
        Ok(_) => Found::good(name, "", format!("{address} is free")),
        Err(_) if running => Found::good(name, "", format!("{address} is in use, as a service runs")),
        Err(error) => {
            let advice = "end what listens there, choose another address, or let the user listen there";
            Found::new(Mark::Bad, name, "", format!("{address} cannot be listened on: {error}"), advice)
        }
    }
}

/// Has every source look whether it works.
pub fn sources(desk: &Desk, secrets: &Secrets, runtime: &tokio::runtime::Runtime, all: &mut Vec<Found>) {
    for source in &desk.config.sources {
        let look = async { tokio::time::timeout(LOOKING, source.settings.check(secrets, &desk.config.folder)).await };
        all.push(match runtime.block_on(look) {
            Ok(Ok(found)) if found.is_empty() => {
                Found::good("source", &source.name, format!("`{}` has nothing to be looked at", source.kind))
            }
            Ok(Ok(found)) => Found::good("source", &source.name, found.join("; ")),
            Ok(Err(why)) => Found::new(Mark::Bad, "source", &source.name, why, ""),
            Err(_) => {
                let what = format!("nobody answered for {} s", LOOKING.as_secs());
                Found::new(Mark::Bad, "source", &source.name, what, "look at the address, and at the way to it")
            }
        });
        let clock = async { tokio::time::timeout(LOOKING, source.settings.clock(secrets, &desk.config.folder)).await };
        all.extend(runtime.block_on(clock).ok().flatten().map(|ahead| skew(&source.name, ahead)));
    }
}

/// Has every output and destination look whether it works; nothing is sent.
pub fn destinations(desk: &Desk, runtime: &tokio::runtime::Runtime, all: &mut Vec<Found>) -> Result<(), String> {
    for outlet in desk.config.outlets() {
        let tried = tried(desk, outlet, true, runtime)?;
        let part = if outlet.alerts { "destination" } else { "output" };
        all.push(match tried.wrong {
            Some(why) => Found::new(Mark::Bad, part, &outlet.name, why, ""),
            None if tried.found.is_empty() => {
                Found::good(part, &outlet.name, format!("`{}` can be opened; nothing was sent", outlet.kind))
            }
            None => Found::good(part, &outlet.name, tried.found.join("; ")),
        });
    }
    Ok(())
}
