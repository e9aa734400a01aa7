//! Sources for people: a line for each, or all that is known of one.

use tripline_base::terminal::{counted, visible};
use tripline_runtime::config::Source;
use tripline_runtime::watch::report::Report;

use crate::times;

/// Gaps that a source told of are counted in its line for so long (nanoseconds).
const LATELY: i64 = 7 * 86_400_000_000_000;

/// A line for each source, under a head. `now` in nanoseconds since 1970.
pub fn table(reports: &[Report], now: i64) -> Vec<String> {
    const HEAD: [&str; 10] = [
        "SOURCE",
        "STATE",
        "LAST",
        "LAG P50/P95",
        "EVENTS/H (USUAL)",
        "MISSING",
        "TWICE",
        "UNPARSED",
        "UNMAPPED",
        "DRIFT",
    ];
    let mut rows = vec![HEAD.map(str::to_string)];
    rows.extend(reports.iter().map(|report| row(report, now)));
    let wide: Vec<usize> = (0..HEAD.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    rows.iter()
        .map(|row| {
            let cells = row.iter().zip(&wide).map(|(cell, wide)| format!("{cell:<wide$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
        })
        .collect()
}

fn row(report: &Report, now: i64) -> [String; 10] {
    let watched = &report.watched;
    [
        report.name.clone(),
        report.state.into(),
        watched.last.map_or_else(|| "never".into(), |last| ago(now, last)),
        lag(report),
        rate(report),
        missing(report, now),
        (report.counts.2 + watched.repeated).to_string(),
        share(watched.unparsed, watched.events + watched.unparsed),
        unmapped(report),
        if report.fields.1.is_empty() { "-".into() } else { format!("{} gone", report.fields.1.len()) },
    ]
}

/// Numbers that are missing, where numbers are judged, and gaps of the last days that the source told of.
fn missing(report: &Report, now: i64) -> String {
    let numbers = report.missing.iter().fold(0u64, |sum, one| sum.saturating_add(one.missing));
    let latest = &report.told.latest;
    let gaps = latest.iter().filter(|one| now.saturating_sub(one.at) < LATELY).count();
    // Of the gaps before the latest nobody knows when they were.
    let more = gaps > 0 && gaps == latest.len() && report.told.gaps > gaps as u64;
    let shown = if more { format!("{gaps}+ gaps") } else { counted(gaps as u64, "gap") };
    match (report.counts.1 > 0, gaps) {
        (false, 0) => "-".into(),
        (true, 0) => numbers.to_string(),
        (false, _) => shown,
        (true, _) => format!("{numbers}, {shown}"),
    }
}

fn ago(now: i64, at: i64) -> String {
    format!("{} ago", times::about(now.saturating_sub(at)))
}

fn lag(report: &Report) -> String {
    let lag = report.watched.lag();
    match (lag.percentile(0.5), lag.percentile(0.95)) {
        (Some(half), Some(most)) => format!("{}/{}", times::about(half), times::about(most)),
        _ => "-".into(),
    }
}

fn rate(report: &Report) -> String {
    let seen = report.watched.before.map_or_else(|| "-".into(), |events| events.to_string());
    match &report.usual {
        Some(usual) => format!("{seen} ({:.0})", usual.mean),
        None => format!("{seen} (not known yet)"),
    }
}

fn share(part: u64, whole: u64) -> String {
    if part == 0 { "-".into() } else { format!("{part} ({:.1} %)", part as f64 * 100.0 / whole.max(1) as f64) }
}

/// Events of no known source, and those without a class as far as they were looked at.
fn unmapped(report: &Report) -> String {
    let watched = &report.watched;
    let unknown = watched.unknown as f64 / watched.events.max(1) as f64;
    let unmapped = watched.unmapped as f64 / watched.sampled.max(1) as f64;
    match unknown + unmapped {
        none if none <= 0.0 => "-".into(),
        some => format!("{:.1} %", some.min(1.0) * 100.0),
    }
}

/// All that is known of a source.
pub fn one(source: &Source, report: &Report, now: i64) -> Vec<String> {
    let watched = &report.watched;
    let mut out =
        vec![format!("{} ({}, {}): {}", source.name, source.kind, visible(&source.settings.place()), report.state)];
    let mut line = |name: &str, value: String| out.push(format!("  {name:<14}{value}"));
    let last =
        watched.last.map_or_else(|| "never".into(), |last| format!("{} ({})", times::shown(last), ago(now, last)));
    line("last event", last);
    if let Some(first) = watched.first {
        line("first event", times::shown(first));
    }
    line("lag", format!("p50/p95 {}, of this hour and the one before", lag(report)));
    line(
        "events",
        format!("{} in all; in the hour from {}: {}", watched.events, times::shown(report.last_hour()), rate(report)),
    );
    if let Some(usual) = &report.usual {
        line("expected", format!("{:.0} to {:.0} in such an hour", usual.low.ceil(), usual.high));
    } else {
        line("expected", format!("not known yet: {} of 168 hours of the week were seen twice", report.warm));
    }
    for (name, of) in &watched.of {
        let name = visible(name).into_owned();
        line("of", format!("{name}: {}, the last {}", counted(of.events, "event"), ago(now, of.last)));
    }
    line("unparsed", share(watched.unparsed, watched.events + watched.unparsed));
    line("unmapped", unmapped(report));
    let (counts, judged, twice) = report.counts;
    line("numbers", format!("{}, of which {judged} are judged; {twice} came twice", counted(counts, "count")));
    line("batches", format!("{} came twice", watched.repeated));
    for missing in &report.missing {
        let holes = missing
            .holes
            .iter()
            .map(|(from, to)| if from == to { from.to_string() } else { format!("{from} to {to}") });
        let holes = holes.collect::<Vec<_>>().join(", ");
        line("missing", format!("{} of {}: {holes}", missing.missing, visible(&missing.of)));
    }
    if report.told.gaps > 0 {
        line(
            "gaps",
            format!("{} told by the source; {} events known to be missing", report.told.gaps, report.told.missing),
        );
    }
    for one in report.told.latest.iter().rev() {
        let (of, why) = (visible(&one.of).into_owned(), visible(&one.why).into_owned());
        line("gap", format!("{}: {of}: {}; {why}", times::shown(one.at), one.seen()));
    }
    line("fields", format!("{} known; {} gone", report.fields.0, report.fields.1.len()));
    for path in &report.fields.1 {
        line("gone", visible(path).into_owned());
    }
    if let Some((why, since)) = &watched.failing {
        line("failing", format!("since {}: {}", times::shown(*since), visible(why)));
    }
    for open in &report.open {
        let since = times::shown(open.since);
        line(
            &open.subject.kind,
            format!("since {since}: {}; expected {}", visible(&open.seen), visible(&open.expected)),
        );
    }
    out
}
