//! A backtest as one page for a browser: no other file, no network, no script; charts are drawn into it.
//!
//! What comes from logs and rules is hostile: it stands in the page only by way of [`safe`].

mod chart;

use std::fmt::Write as _;

use tripline_base::terminal::counted;
use tripline_detect::backtest::{OfRule, Sums};
use tripline_event::format_time;

use super::Done;
use crate::html::{begin, safe};

const STYLE: &str = include_str!("html/page.css");

/// The page.
pub fn page(done: &Done<'_>) -> String {
    let mut out = begin("Backtest", STYLE);
    head(&mut out, done);
    table(&mut out, done);
    routed(&mut out, done);
    if !done.report.rules.is_empty() {
        out.push_str("<h2>Each rule</h2>\n");
    }
    for of in &done.report.rules {
        rule(&mut out, done, of);
    }
    read(&mut out, done);
    out.push_str("</body>\n</html>\n");
    out
}

/// What routes would have sent.
fn routed(out: &mut String, done: &Done<'_>) {
    let Some(routed) = done.routed else { return };
    out.push_str("<h2>What routes would have sent</h2>\n<div class=\"card\" id=\"routed\"><table>\n<thead><tr><th>destination</th>");
    for head in ["alerts", "updates", "escalations", "digests"] {
        let _ = write!(out, "<th class=\"n\">{head}</th>");
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for (name, sent) in &routed.to {
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            safe(name),
            sent.alerts,
            sent.updates,
            sent.escalations,
            sent.digests
        );
    }
    let _ = writeln!(
        out,
        "</tbody></table>\n<p>{} told to nobody; nobody took any.</p></div>",
        counted(routed.untold, "alert")
    );
}

fn number(out: &mut String, id: &str, n: u64, label: &str) {
    let _ = writeln!(out, "<div class=\"number\" id=\"{id}\"><b>{n}</b><span>{label}</span></div>");
}

fn head(out: &mut String, done: &Done<'_>) {
    let report = done.report;
    let days = report.days.map_or_else(String::new, |(first, last)| {
        format!(" &middot; {} to {} ({})", chart::date(first), chart::date(last), counted(report.length(), "day"))
    });
    let all = counted((report.rules.len() + report.silent.len()) as u64, "rule");
    let events = counted(done.replayed.totals.events, "event");
    let _ = writeln!(out, "<header>\n<h1>Backtest</h1>\n<p>{all} over {events}{days}</p>\n<div class=\"numbers\">");
    number(out, "findings", report.sums.findings, "findings");
    number(out, "alerts", report.sums.alerts, "alerts after grouping");
    number(out, "rules", report.rules.len() as u64, "rules with findings");
    number(out, "entities", report.sums.entities, "entities");
    out.push_str("</div>\n</header>\n");
    if report.sums.findings > 0 {
        out.push_str("<div class=\"card\">\n");
        chart::days(out, report, &report.sums, "large");
        mix(out, &report.sums);
        out.push_str("</div>\n");
    }
}

/// How the severities share the findings.
fn mix(out: &mut String, sums: &Sums) {
    let all = sums.severities.values().sum::<u64>().max(1);
    out.push_str("<div class=\"mix\">");
    for (severity, n) in sums.severities.iter().rev() {
        let share = *n as f64 * 100.0 / all as f64;
        let _ = write!(out, "<i class=\"{}\" style=\"width:{share:.2}%\"></i>", severity.name());
    }
    out.push_str("</div>\n<div class=\"legend\">");
    for (severity, n) in sums.severities.iter().rev() {
        let _ = write!(out, "<span><i class=\"{0}\"></i>{n} {0}</span>", severity.name());
    }
    out.push_str("</div>\n");
}

fn when(time: Option<i64>) -> String {
    time.map_or_else(|| "-".to_string(), format_time)
}

fn table(out: &mut String, done: &Done<'_>) {
    let report = done.report;
    if report.rules.is_empty() {
        out.push_str("<p>No rule found anything that is reported.</p>\n");
        return;
    }
    out.push_str("<h2>Rules</h2>\n<div class=\"card\"><table>\n<thead><tr><th>rule</th><th class=\"n\">findings</th><th class=\"n\">a day</th><th class=\"n\">updates</th><th class=\"n\">alerts</th><th class=\"n\">entities</th><th class=\"n\">keys</th><th>first</th><th>last</th></tr></thead>\n<tbody>\n");
    for of in &report.rules {
        let (sums, span) = (&of.sums, of.sums.span);
        let _ = writeln!(
            out,
            "<tr><td class=\"text\"><a href=\"#rule-{}\">{}</a></td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"when\">{}</td><td class=\"when\">{}</td></tr>",
            of.rule,
            safe(done.rule(of.rule).0),
            sums.findings,
            report.a_day(sums.findings),
            sums.updates,
            sums.alerts,
            sums.entities,
            of.keys,
            when(span.map(|(first, _)| first)),
            when(span.map(|(_, last)| last)),
        );
    }
    out.push_str("</tbody>\n</table></div>\n");
}

fn rule(out: &mut String, done: &Done<'_>, of: &OfRule) {
    let (name, title, severity) = done.rule(of.rule);
    let _ = writeln!(
        out,
        "<details class=\"card rule\" id=\"rule-{}\" open><summary><h3>{}</h3></summary>\n<p class=\"soft text\">{} &middot; {severity} &middot; {}, {}</p>\n<div class=\"cols\">\n<div>",
        of.rule,
        safe(name),
        safe(title),
        counted(of.sums.findings, "finding"),
        counted(of.sums.alerts, "alert"),
    );
    chart::days(out, done.report, &of.sums, "small");
    mix(out, &of.sums);
    out.push_str("</div>\n<div><table>\n<thead><tr><th>noisiest</th><th></th><th class=\"n\">findings</th></tr></thead>\n<tbody>\n");
    for (behind, n) in &of.noisiest {
        let _ = writeln!(
            out,
            "<tr><td class=\"soft\">{}</td><td class=\"text\">{}</td><td class=\"n\">{n}</td></tr>",
            behind.kind(),
            safe(&behind.text())
        );
    }
    out.push_str("</tbody>\n</table></div>\n</div>\n</details>\n");
}

/// What was read, and what found nothing.
fn read(out: &mut String, done: &Done<'_>) {
    let totals = &done.replayed.totals;
    out.push_str("<h2>What was read</h2>\n<div class=\"card\"><table>\n<tbody>\n");
    let mut row = |n: u64, what: &str| {
        let _ = writeln!(out, "<tr><td class=\"n\">{n}</td><td class=\"text\">{what}</td></tr>");
    };
    for (name, n) in &totals.sources {
        row(*n, &format!("events of {}", safe(name)));
    }
    for (n, what) in done.doubts() {
        row(n, what);
    }
    out.push_str("</tbody>\n</table></div>\n<footer>\n");
    for failed in &done.replayed.failed {
        let _ = writeln!(out, "<p>{}</p>", safe(failed));
    }
    let names = |names: Vec<&str>| names.iter().map(|name| format!("<code>{}</code>", safe(name))).collect::<String>();
    let silent: Vec<&str> = done.report.silent.iter().map(|at| done.rule(*at).0).collect();
    for (title, list) in [("Rules that found nothing", silent), ("Rules with an error", done.ruleset.broken())] {
        if !list.is_empty() {
            let n = list.len();
            let _ = writeln!(out, "<details><summary>{title} ({n})</summary><p>{}</p></details>", names(list));
        }
    }
    let _ = writeln!(
        out,
        "<p>{:.1} MB in {:.2} s, {:.0} events/s. Days are UTC.</p>\n</footer>",
        totals.bytes as f64 / 1e6,
        done.replayed.seconds,
        done.speed()
    );
}
