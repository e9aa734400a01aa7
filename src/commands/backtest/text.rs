//! A backtest for a terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tripline_base::terminal::{counted, visible};
use tripline_detect::backtest::{DAY, Report, Sums};
use tripline_event::{format_date, format_time};

use super::Done;

/// How many keys of a rule are shown.
const KEYS: usize = 3;
/// The most lines of days; where there are more days, a line stands for several.
const LINES: i64 = 31;
/// How wide the longest bar is.
const WIDE: u64 = 40;

/// The whole report.
pub fn report(done: &Done<'_>) -> String {
    let mut out = String::new();
    let report = done.report;
    let _ = writeln!(
        out,
        "{} by {} of {}: {} after grouping, {}",
        counted(report.sums.findings, "finding"),
        report.rules.len(),
        counted((report.rules.len() + report.silent.len()) as u64, "rule"),
        counted(report.sums.alerts, "alert"),
        entities(report.sums.entities),
    );
    if let Some((first, last)) = report.days {
        let _ = writeln!(out, "{} to {} ({})", date(first), date(last), counted(report.length(), "day"));
    }
    if !report.rules.is_empty() {
        let _ = writeln!(out, "severities: {}", severities(&report.sums));
    }
    rules(&mut out, done);
    days(&mut out, report);
    keys(&mut out, done);
    routed(&mut out, done);
    read(&mut out, done);
    out
}

/// What routes would have sent.
fn routed(out: &mut String, done: &Done<'_>) {
    let Some(routed) = done.routed else { return };
    let wide = routed.to.keys().map(|name| visible(name).chars().count()).max().unwrap_or(0).max("destination".len());
    let _ = writeln!(out, "\n{:<wide$}  alerts  updates  escalations  digests", "destination");
    for (name, sent) in &routed.to {
        let _ = writeln!(
            out,
            "{:<wide$}  {:>6}  {:>7}  {:>11}  {:>7}",
            visible(name),
            sent.alerts,
            sent.updates,
            sent.escalations,
            sent.digests
        );
    }
    let _ = writeln!(out, "{} told to nobody; nobody took any", counted(routed.untold, "alert"));
    if routed.left_out > 0 {
        let _ = writeln!(out, "{} too many to be routed", counted(routed.left_out, "finding"));
    }
}

fn entities(n: u64) -> String {
    if n == 1 { "1 entity".into() } else { format!("{n} entities") }
}

fn date(day: i64) -> String {
    format_date(day.saturating_mul(DAY))
}

/// `2 critical, 1 low`, the gravest first.
fn severities(sums: &Sums) -> String {
    let each = sums.severities.iter().rev().map(|(severity, n)| format!("{n} {}", severity.name()));
    each.collect::<Vec<_>>().join(", ")
}

fn rules(out: &mut String, done: &Done<'_>) {
    let report = done.report;
    if report.rules.is_empty() {
        return;
    }
    let wide = report.rules.iter().map(|of| visible(done.rule(of.rule).0).chars().count()).max().unwrap_or(0);
    let _ = writeln!(
        out,
        "\n{:<wide$}  findings    a day  updates  alerts  entities    keys  {:<20}  {:<20}  severities",
        "rule", "first", "last"
    );
    for of in &report.rules {
        let sums = &of.sums;
        let at = |time: Option<i64>| time.map_or_else(|| "-".to_string(), format_time);
        let _ = writeln!(
            out,
            "{:<wide$}  {:>8}  {:>7.1}  {:>7}  {:>6}  {:>8}  {:>6}  {:<20}  {:<20}  {}",
            visible(done.rule(of.rule).0),
            sums.findings,
            report.a_day(sums.findings),
            sums.updates,
            sums.alerts,
            sums.entities,
            of.keys,
            at(sums.span.map(|(first, _)| first)),
            at(sums.span.map(|(_, last)| last)),
            severities(sums)
        );
    }
}

fn days(out: &mut String, report: &Report) {
    let Some((first, last)) = report.days.filter(|_| !report.sums.days.is_empty()) else { return };
    let per = (last - first) / LINES + 1;
    let mut rows: BTreeMap<i64, u64> = (0..=(last - first) / per).map(|row| (row, 0)).collect();
    for (day, n) in &report.sums.days {
        *rows.entry((day - first) / per).or_default() += n;
    }
    let most = rows.values().max().copied().unwrap_or(0).max(1);
    let title = if per == 1 { "findings a day:".to_string() } else { format!("findings in {per} days, from:") };
    let _ = writeln!(out, "\n{title}");
    for (row, n) in rows {
        let bar = "#".repeat(usize::try_from((n * WIDE).div_ceil(most)).unwrap_or(0));
        let _ = writeln!(out, "{}", format!("  {}  {n:>7}  {bar}", date(first + row * per)).trim_end());
    }
}

fn keys(out: &mut String, done: &Done<'_>) {
    let with: Vec<_> = done.report.rules.iter().filter(|of| !of.noisiest.is_empty()).collect();
    if with.is_empty() {
        return;
    }
    out.push_str("\nthe noisiest keys:\n");
    for of in with {
        let _ = writeln!(out, "  {}", visible(done.rule(of.rule).0));
        for (behind, n) in of.noisiest.iter().take(KEYS) {
            let _ = writeln!(out, "  {n:>8}  {} {}", behind.kind(), visible(&behind.text()));
        }
    }
}

/// What was read, and how fast.
fn read(out: &mut String, done: &Done<'_>) {
    let totals = &done.replayed.totals;
    if totals.events > 0 {
        out.push_str("\nevents per source:\n");
    }
    let mut sources: Vec<(u64, &str)> = totals.sources.iter().map(|(name, n)| (*n, name.as_str())).collect();
    sources.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    for (n, name) in sources {
        let _ = writeln!(out, "{n:>10}  {}", visible(name));
    }
    let doubts = done.doubts();
    if !doubts.is_empty() {
        out.push_str("\nalso counted:\n");
    }
    for (n, what) in doubts {
        let _ = writeln!(out, "{n:>10}  {what}");
    }
    let _ = writeln!(
        out,
        "\n{}, {:.1} MB, {:.2} s, {:.0} events/s",
        counted(totals.events, "event"),
        totals.bytes as f64 / 1e6,
        done.replayed.seconds,
        done.speed()
    );
}
