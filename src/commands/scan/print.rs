//! Findings for an analyst, and the summary of a scan. What comes from a log is hostile: nothing of it reaches
//! the terminal but through `visible`.

use std::io::{Result, Write};

use tripline_base::terminal::{Colour, counted, visible};
use tripline_detect::scan::{Told, Totals};
use tripline_detect::{Finding, Ruleset, Several};
use tripline_eval::explain::show;
use tripline_event::{format_time, to_text};
use tripline_formats::Format;
use tripline_semantic::typed::{Rule, Severity};

/// Findings, as they are told.
pub fn told(out: &mut impl Write, ruleset: &Ruleset, told: &Told, colour: Colour) -> Result<()> {
    match told {
        Told::Finding(found) => finding(out, ruleset, found, colour),
        Told::Lines(lines) => out.write_all(lines.as_bytes()),
        Told::Unparsed { .. } | Told::Progress(_) => Ok(()),
    }
}

/// A finding, a paragraph of its own.
fn finding(out: &mut impl Write, ruleset: &Ruleset, finding: &Finding, colour: Colour) -> Result<()> {
    let Some(rule) = ruleset.program.rules.get(finding.rule) else { return Ok(()) };
    let paint = |code: &str, text: &str| match colour {
        Colour::Always => format!("{code}{text}\x1b[0m"),
        Colour::Never => text.to_string(),
    };
    let severity = finding.severity.name().to_uppercase();
    let badge = paint(severity_colour(finding.severity), &severity);
    let gap = " ".repeat(9_usize.saturating_sub(severity.len()).max(1));
    writeln!(out, "{badge}{gap}{}", paint(BOLD, &visible(&finding.title)))?;
    let mut line = |name: &str, value: &str, saw: &str| {
        let saw = if saw.is_empty() { String::new() } else { paint(GREEN, &visible(saw)) };
        writeln!(out, "  {} {}{saw}", paint(BLUE, &format!("{name:<10}")), visible(value))
    };
    let mut row = |name: &str, value: &str| line(name, value, "");
    if let Some(time) = finding.time {
        row("when", &format_time(time))?;
    }
    let who: Vec<String> = finding.entities.iter().map(|(kind, value)| format!("{kind} {value}")).collect();
    if !who.is_empty() {
        row("who", &who.join(", "))?;
    }
    let owner = rule.header.owner.as_deref().map(|owner| format!(" (owner {owner})")).unwrap_or_default();
    row("rule", &format!("{}{owner}", rule.name))?;
    let attack: Vec<String> =
        rule.header.attack.iter().map(|t| format!("{} {} ({})", t.id, t.name, t.tactics.join(", "))).collect();
    if !attack.is_empty() {
        row("ATT&CK", &attack.join("; "))?;
    }
    for (at, shown) in finding.why.iter().enumerate() {
        let saw = match shown.saw.as_slice() {
            [] => String::new(),
            saw => format!("   <- {}", saw.join(", ")),
        };
        line(if at == 0 { "because" } else { "" }, &shown.test, &saw)?;
    }
    let mut row = |name: &str, value: &str| line(name, value, "");
    let context: Vec<String> = finding
        .context
        .iter()
        .map(|(name, value)| format!("{name}: {}", to_text(value).map_or_else(|| show(value), |t| t.into_owned())))
        .collect();
    if !context.is_empty() {
        row("context", &context.join(", "))?;
    }
    match &finding.several {
        None => row("event", &format!("{} ({})", finding.origin, finding.source))?,
        Some(several) => events(rule, several, &mut row)?,
    }
    for (at, line) in rule.header.runbook.iter().flat_map(|runbook| runbook.lines()).enumerate() {
        row(if at == 0 { "runbook" } else { "" }, line)?;
    }
    writeln!(out)
}

/// The events behind a finding: how many, when, and where the last of them stand.
fn events(rule: &Rule, several: &Several, row: &mut dyn FnMut(&str, &str) -> Result<()>) -> Result<()> {
    const SHOWN: usize = 3;
    let (first, last) = several.span;
    let when =
        if first == last { String::new() } else { format!(" from {} to {}", format_time(first), format_time(last)) };
    row("events", &format!("{}{when}", several.count))?;
    let left_out = several.events.len().saturating_sub(SHOWN);
    for (from, steps) in several.with_steps(Some(rule)).skip(left_out) {
        let place = if from.of_finding().is_some() { "a finding".to_string() } else { from.origin.to_string() };
        let steps: String =
            steps.iter().filter_map(|step| step.name.as_deref()).map(|step| format!(", {step}")).collect();
        row("", &format!("{place} ({}{steps})", from.source))?;
    }
    Ok(())
}

const BOLD: &str = "\x1b[1m";
const BLUE: &str = "\x1b[34m";
const GREEN: &str = "\x1b[32m";

fn severity_colour(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "\x1b[1;37;41m",
        Severity::High => "\x1b[1;31m",
        Severity::Medium => "\x1b[1;33m",
        Severity::Low => "\x1b[1;36m",
        Severity::Informational => "\x1b[1m",
    }
}

/// Findings per rule, then events per source; the most first.
pub fn counts(out: &mut impl Write, ruleset: &Ruleset, totals: &Totals) -> Result<()> {
    let name = |rule: usize| Some(ruleset.program.rules.get(rule)?.name.as_str());
    rows(out, totals.rules.iter().filter_map(|(rule, count)| Some((*count, name(*rule)?))).collect())?;
    if totals.events > 0 {
        writeln!(out, "events per source:")?;
    }
    rows(out, totals.sources.iter().map(|(name, count)| (*count, name.as_str())).collect())?;
    if totals.unknown > 0 {
        writeln!(out, "{:>8}  (no mapping knows the source)", totals.unknown)?;
    }
    Ok(())
}

fn rows(out: &mut impl Write, mut rows: Vec<(u64, &str)>) -> Result<()> {
    rows.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    rows.iter().try_for_each(|(count, name)| writeln!(out, "{count:>8}  {name}"))
}

/// What was read and found, on standard error.
pub fn summary(ruleset: &Ruleset, totals: &Totals, seconds: f64) {
    eprintln!(
        "{}, {:.1} MB, {}, {}; {}, {:.2} s, {:.0} events/s",
        counted(totals.events, "event"),
        totals.bytes as f64 / 1e6,
        counted(totals.findings, "finding"),
        counted(totals.unparsed, "unparsed line"),
        counted(ruleset.active().count() as u64, "rule"),
        seconds,
        totals.events as f64 / seconds
    );
    for (format, inputs) in totals.formats.iter().filter(|(format, _)| **format != Format::Json) {
        eprintln!("{} read as {format}", counted(*inputs, "file"));
    }
    if totals.events == 0 && totals.unparsed > 0 && totals.formats.contains_key(&Format::Json) {
        let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
        eprintln!("nothing in it is JSON; say what it is with --input ({})", names.join(", "));
    }
    for ((rule, exception), count) in &totals.excepted {
        let Some(rule) = ruleset.program.rules.get(*rule) else { continue };
        let Some(exception) = rule.exceptions.get(*exception) else { continue };
        eprintln!(
            "{count} findings of {} were taken away by the exception \"{}\"",
            rule.name,
            visible(&exception.reason)
        );
    }
    if totals.without_time > 0 {
        eprintln!(
            "{} without a time: rules over several events cannot judge them",
            counted(totals.without_time, "event")
        );
    }
    if totals.redelivered > 0 {
        eprintln!("{} came twice and count once for rules over several events", counted(totals.redelivered, "event"));
    }
    if totals.unknown > 0 {
        eprintln!(
            "{} of no source that is known; name it with --source ({})",
            counted(totals.unknown, "event"),
            crate::load::sources(ruleset)
        );
    }
}
