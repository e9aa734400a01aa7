//! The file of a connector's tests.

use std::time::Duration;

use tripline_config::{Said, Table, unit};
use tripline_event::parse_time;

use super::{Expect, Reply, Scenario, Tests};
use crate::poll::config::{Settled, settled_of};
use crate::poll::path::Path;
use crate::poll::spec::Connector;

pub(super) fn tests(connector: &Connector, root: &mut Table<'_>, said: &mut Said<'_>) -> Option<Tests> {
    let start = root.needed("start", "\"2026-03-01T12:00:00Z\"", said)?;
    let at = parse_time(&start.value);
    if at.is_none() {
        said.bad(start.span, "`start` takes a time such as `\"2026-03-01T12:00:00Z\"`");
    }
    let event = root.text("event", said).map(|text| text.value).unwrap_or_default();
    let shown = root.text("shown", said);
    let shown = shown.and_then(|text| Path::parse(&text.value).map_err(|why| said.bad(text.span, why)).ok());
    let usual = root.table("config", said).and_then(|table| config(connector, table, said));
    let mut scenarios = Vec::new();
    for table in root.tables("scenario", said) {
        scenarios.extend(scenario(connector, usual.as_ref(), table, said));
    }
    Some(Tests { start: at?, event, shown, scenarios })
}

fn config(connector: &Connector, mut table: Table<'_>, said: &mut Said<'_>) -> Option<Settled> {
    let settled = settled_of(connector.clone(), true, &mut table, said);
    table.finish(said);
    settled
}

fn scenario(
    connector: &Connector,
    usual: Option<&Settled>,
    mut table: Table<'_>,
    said: &mut Said<'_>,
) -> Option<Scenario> {
    let span = table.span;
    let name = table.needed("name", "\"pages are read to the last\"", said);
    let lasts = table.duration("lasts", Duration::from_secs(60), ("0s", "30d"), said);
    let killed = table.flag("killed", true, said);
    let own = table.table("config", said).and_then(|table| config(connector, table, said));
    let answers: Vec<Reply> = table.tables("answer", said).into_iter().map(|table| reply(table, said)).collect();
    let expect = table.table("expect", said).map(|table| expect(table, said)).unwrap_or_default();
    table.finish(said);
    let settled = own.or_else(|| usual.cloned());
    if settled.is_none() {
        said.bad(span, "there is no `[config]` that can be used, neither for all scenarios nor for this one");
    }
    let killed = killed && answers.iter().all(|answer| answer.times.is_none());
    Some(Scenario { name: name?.value, settled: settled?, lasts, killed, answers, expect })
}

fn pairs(table: &mut Table<'_>, key: &str, said: &mut Said<'_>) -> Vec<(String, String)> {
    table.text_map(key, said).into_iter().map(|(name, value)| (name.value, value.value)).collect()
}

fn words(table: &mut Table<'_>, key: &str, said: &mut Said<'_>) -> Vec<String> {
    table.texts(key, said).unwrap_or_default().into_iter().map(|text| text.value).collect()
}

fn reply(mut table: Table<'_>, said: &mut Said<'_>) -> Reply {
    let post = table.choice("method", &["GET", "POST"], said).map(|method| method == "POST");
    let path = table.text("path", said).map(|text| text.value);
    let query = pairs(&mut table, "query", said);
    let without = words(&mut table, "without", said);
    let headers_had = pairs(&mut table, "shows", said);
    let body_had = words(&mut table, "sends", said);
    let times = table.has("times").then(|| table.number("times", 1, 1..=10_000, said));
    let mut after = |key| {
        let text = table.text(key, said)?;
        let found = unit::duration(&text.value);
        if found.is_none() {
            said.bad(text.span, format!("`{key}` takes a time after the beginning, such as `\"5m\"`"));
        }
        found
    };
    let (from, until) = (after("from"), after("until"));
    let status = u16::try_from(table.number("status", 200, 200..=599, said)).unwrap_or(200);
    let headers = pairs(&mut table, "headers", said);
    let body = table.text("body", said).map_or_else(|| "<events>".to_string(), |text| text.value);
    let events = words(&mut table, "events", said);
    table.finish(said);
    Reply { post, path, query, without, headers_had, body_had, times, from, until, status, headers, body, events }
}

fn expect(mut table: Table<'_>, said: &mut Said<'_>) -> Expect {
    let events = table.has("events").then(|| words(&mut table, "events", said));
    let says = words(&mut table, "says", said);
    let failing = table.text("failing", said).map(|text| text.value);
    let mut number = |key: &str| table.has(key).then(|| table.number(key, 0, 0..=1_000_000, said));
    let (requests, aside, gaps) = (number("requests"), number("aside"), number("gaps"));
    let sources = table.has("sources").then(|| {
        let all = pairs(&mut table, "sources", said);
        all.into_iter().map(|(name, count)| (name, count.parse().unwrap_or(0))).collect()
    });
    table.finish(said);
    Expect { events, requests, says, failing, aside, gaps, sources }
}
