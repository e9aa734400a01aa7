//! Plays a scenario, and compares.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path as File;
use std::sync::Arc;

use reqwest::Url;
use serde_json::value::RawValue;
use tripline_config::Secrets;
use tripline_connect::clock::nanos;
use tripline_connect::source::SourceSettings as _;

use super::script::{MOST_REQUESTS, Played};
use super::{Expect, Outcome, Scenario, Tests};
use crate::poll::config::Settled;
use crate::poll::poller::Poller;
use crate::poll::position::Position;
use crate::poll::service::Service;
use crate::poll::source::arrival;
use crate::poll::spec::{How, Stream};
use crate::poll::template::{Template, as_is};

/// What was delivered and said.
#[derive(Debug, Default)]
struct Delivered {
    events: Vec<String>,
    sources: BTreeMap<String, u64>,
    aside: u64,
    /// Why records were set aside, each once.
    reasons: BTreeSet<String>,
    gaps: u64,
    said: Vec<String>,
    failing: BTreeMap<String, String>,
    requests: u64,
    strange: Vec<String>,
}

/// Plays a scenario as it stands, and with a process that is killed.
pub(super) fn scenario(tests: &Tests, scenario: &Scenario) -> Outcome {
    let mut wrong = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Err(error) => wrong.push(format!("the network cannot be used: {error}")),
        Ok(runtime) => {
            for killed in [false, true] {
                if killed && !scenario.killed {
                    continue;
                }
                match runtime.block_on(play(tests, scenario, killed)) {
                    Ok(delivered) => compare(&scenario.expect, &delivered, killed, &mut wrong),
                    Err(why) => wrong.push(why),
                }
            }
        }
    }
    Outcome { name: scenario.name.clone(), wrong }
}

fn service(settled: &Settled, url: &str) -> Result<Service, String> {
    let mut settled = settled.clone();
    settled.url = Some(url.to_string());
    let secrets = Secrets::read(settled.secrets(), File::new(""));
    let secrets = secrets.map_err(|said| said.into_iter().map(|one| one.message).collect::<Vec<_>>().join("; "))?;
    let values = settled.values(&secrets);
    if let How::OAuth2(signing) = &settled.auth.how {
        let filled = |template: &Template| template.fill(&|name| values.any(name), as_is);
        let path = filled(&signing.url).unwrap_or_default();
        let path = Url::parse(&path).map_or(path, |url| url.path().to_string());
        settled.token_url = Some(format!("{url}{path}"));
    }
    settled.service(values, File::new(""))
}

fn pollers(service: &Service, position: &Position) -> Vec<Poller> {
    let mark = |stream: &Stream| position.streams.get(&stream.name).cloned().unwrap_or_default();
    service.connector.streams.iter().map(|stream| Poller::new(Arc::new(stream.clone()), mark(stream))).collect()
}

async fn play(tests: &Tests, scenario: &Scenario, killed: bool) -> Result<Delivered, String> {
    let played = Played::begin(&scenario.answers, &tests.event, tests.start)?;
    let url = played.with(|script| script.url.clone());
    let mut side = service(&scenario.settled, &url)?;
    let end = tests.start.saturating_add(nanos(scenario.lasts));
    let mut out = Delivered::default();
    let (mut committed, mut lost) = (Vec::new(), false);
    let (mut at, mut rows) = (Position::default(), BTreeMap::new());
    let mut streams = pollers(&side, &at);
    let mut due = vec![tests.start; streams.len()];
    let mut now = tests.start;
    let mut turns = 0;
    while let Some((index, next)) = due.iter().copied().enumerate().min_by_key(|(index, due)| (*due, *index)) {
        turns += 1;
        if next > end || turns > MOST_REQUESTS {
            break;
        }
        now = now.max(next);
        played.with(|script| script.now = now);
        let Some(poller) = streams.get_mut(index) else { break };
        let mut turn = poller.turn(&side, now).await;
        if let Some(due) = due.get_mut(index) {
            *due = turn.due;
        }
        let said = turn.said.iter().cloned().chain(side.skewed());
        said.for_each(|said| {
            if !out.said.contains(&said) {
                out.said.push(said);
            }
        });
        match &poller.failing {
            Some(why) => drop(out.failing.insert(poller.spec.name.clone(), why.clone())),
            None => drop(out.failing.remove(&poller.spec.name)),
        }
        let gaps = turn.gaps.len() as u64;
        let spec = Arc::clone(&poller.spec);
        let Some(arrival) = arrival("test", poller, &mut turn, &mut at) else { continue };
        // Killed before the commit: what was read is gone, and is read again.
        lost = killed && !lost;
        if !lost {
            committed = arrival.position.unwrap_or_default();
            for (key, value) in arrival.rows {
                match value {
                    Some(value) => drop(rows.insert(key, value)),
                    None => drop(rows.remove(&key)),
                }
            }
            out.gaps += gaps;
            for (_, batch) in &arrival.pieces {
                out.aside += batch.unparsed.len() as u64;
                out.reasons.extend(batch.unparsed.iter().map(|line| line.reason.clone()));
                for record in batch.iter() {
                    out.events.push(shown(tests, &spec, record.bytes));
                    *out.sources.entry(spec.source.clone()).or_default() += 1;
                }
            }
        }
        if killed {
            let rows = rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
            at = Position::read(Some(&committed).filter(|bytes| !bytes.is_empty()).map(Vec::as_slice), rows)?;
            side = service(&scenario.settled, &url)?;
            streams = pollers(&side, &at);
            due = vec![now; streams.len()];
        }
    }
    played.with(|script| (out.requests, out.strange) = (script.requests, script.strange.clone()));
    Ok(out)
}

/// What a record is called in expectations.
fn shown(tests: &Tests, spec: &Stream, record: &[u8]) -> String {
    let Ok(record) = serde_json::from_slice::<&RawValue>(record) else { return String::new() };
    let paths = tests.shown.as_ref().map_or(spec.id.as_slice(), std::slice::from_ref);
    paths.iter().filter_map(|path| path.text(record)).collect::<Vec<_>>().join(" ")
}

fn compare(expect: &Expect, found: &Delivered, killed: bool, wrong: &mut Vec<String>) {
    let how = if killed { " with a process that is killed" } else { "" };
    let before = wrong.len();
    for asked in &found.strange {
        wrong.push(format!("no answer is written for {}{how}", asked.trim_end()));
    }
    if let Some(events) = &expect.events {
        let (mut wanted, mut came) = (events.clone(), found.events.clone());
        if killed {
            // Streams take turns otherwise.
            wanted.sort();
            came.sort();
        }
        if wanted != came {
            wrong.push(format!("the events{how} are [{}], and not [{}]", came.join(", "), wanted.join(", ")));
        }
    }
    let mut same = |what: &str, wanted: Option<u64>, came: u64| {
        if let Some(wanted) = wanted.filter(|wanted| *wanted != came) {
            wrong.push(format!("{what}{how}: {came}, and not {wanted}"));
        }
    };
    same("records set aside", expect.aside, found.aside);
    same("gaps", expect.gaps, found.gaps);
    if !killed {
        same("requests", expect.requests, found.requests);
    }
    if let Some(sources) = expect.sources.as_ref().filter(|sources| **sources != found.sources) {
        wrong.push(format!("the event sources{how} are {:?}, and not {sources:?}", found.sources));
    }
    let failing: Vec<&str> = found.failing.values().map(String::as_str).collect();
    match &expect.failing {
        Some(words) if !failing.iter().any(|why| why.contains(words.as_str())) => {
            wrong.push(format!("it does not fail{how} with `{words}` in the end, but with [{}]", failing.join("; ")));
        }
        None if !failing.is_empty() => wrong.push(format!("it fails{how} in the end: {}", failing.join("; "))),
        _ => {}
    }
    for words in &expect.says {
        if !found.said.iter().any(|said| said.contains(words.as_str())) {
            wrong.push(format!("nothing was said{how} with `{words}`; said was [{}]", found.said.join("; ")));
        }
    }
    // What was set aside and not expected is often why something else is missing.
    if wrong.len() > before && found.aside > expect.aside.unwrap_or(0) {
        for reason in &found.reasons {
            let why = format!("set aside: {reason}");
            if !wrong.contains(&why) {
                wrong.push(why);
            }
        }
    }
}
