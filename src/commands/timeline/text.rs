//! A timeline for an analyst. What comes from a log is hostile: nothing of it reaches the terminal but through `visible`.

use std::fmt::Write as _;

use tripline_base::terminal::{Colour, counted, visible};
use tripline_event::format_time;

use super::found::Found;
use super::{Event, Item, Timeline};

/// How many of the events behind a finding are shown.
const SHOWN: usize = 10;

/// The page.
pub fn page(timeline: &Timeline, colour: Colour) -> String {
    let mut out = String::new();
    for line in head(timeline) {
        let _ = writeln!(out, "{}", visible(&line));
    }
    timeline.days(
        &mut out,
        |out, date| {
            let _ = writeln!(out, "\n{}", paint(colour, BOLD, date));
        },
        |out, clock, item| match item {
            Item::Event(_, one) => event(out, clock, one, colour),
            Item::Finding(_, one) => finding(out, clock, one, colour),
        },
    );
    for said in &timeline.left_out {
        let _ = writeln!(out, "\n{}", visible(said));
    }
    out
}

/// Who, when, and how much.
pub fn head(timeline: &Timeline) -> Vec<String> {
    let list = |all: &[super::Entity]| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let mut out = vec![list(&timeline.wanted.asked)];
    if !timeline.wanted.also.is_empty() {
        out.push(format!("also known as {}", list(&timeline.wanted.also)));
    }
    let when = match (timeline.from, timeline.to) {
        (None, None) => String::new(),
        (Some(from), None) => format!(", from {}", format_time(from)),
        (None, Some(to)) => format!(", before {}", format_time(to)),
        (Some(from), Some(to)) => format!(", from {} to {}", format_time(from), format_time(to)),
    };
    out.push(format!(
        "{} of {}, {}{when}",
        counted(timeline.events.len() as u64, "event"),
        counted(timeline.sources().len() as u64, "source"),
        counted(timeline.findings.len() as u64, "finding"),
    ));
    out
}

fn event(out: &mut String, clock: &str, event: &Event, colour: Colour) {
    let _ = writeln!(
        out,
        "{clock:<16} {}  {}",
        paint(colour, BLUE, &format!("{:<24}", visible(&event.source))),
        visible(&event.says)
    );
    let at: Vec<String> = event.at.iter().map(|place| format!("{} {}", place.path, place.value)).collect();
    let id = event.id.as_ref().map(|id| format!(" id {id}")).unwrap_or_default();
    let _ = writeln!(out, "{:17}{}", "", visible(&format!("{}{id}: {}", event.place, at.join(", "))));
}

fn finding(out: &mut String, clock: &str, found: &Found, colour: Colour) {
    let badge = found.severity.to_uppercase();
    let code = match found.severity.to_lowercase().as_str() {
        "critical" | "high" => RED,
        "medium" => YELLOW,
        _ => BLUE,
    };
    let _ = writeln!(
        out,
        "{clock:<16} {} {}",
        paint(colour, code, &format!("{badge:<8}")),
        paint(colour, BOLD, &visible(&found.title))
    );
    let who: Vec<String> = found.entities.iter().map(|(kind, value)| format!("{kind} {value}")).collect();
    let who = if who.is_empty() { String::new() } else { format!(" ({})", who.join(", ")) };
    let on = found.went_on().map(|last| format!(", updated until {}", format_time(last))).unwrap_or_default();
    let _ = writeln!(out, "{:17}{}", "", visible(&format!("{} {}{who}{on}", found.rule, found.uid)));
    for behind in found.behind.iter().rev().take(SHOWN).rev() {
        let time = behind.time.map(|time| format_time(time) + " ").unwrap_or_default();
        let what = if behind.finding { "finding " } else { "" };
        let id = behind.id.as_ref().map(|id| format!(" id {id}")).unwrap_or_default();
        let steps: String = behind.steps.iter().map(|step| format!(" [{step}]")).collect();
        let line = format!("<- {time}{} {what}{}{id}{steps}", behind.source, behind.place);
        let _ = writeln!(out, "{:17}{}", "", visible(&line));
    }
    let more = found.count.saturating_sub(found.behind.len().min(SHOWN) as u64);
    if more > 0 {
        let _ = writeln!(out, "{:17}<- and {more} before", "");
    }
}

const BOLD: &str = "\x1b[1m";
const BLUE: &str = "\x1b[34m";
const RED: &str = "\x1b[1;31m";
const YELLOW: &str = "\x1b[1;33m";

fn paint(colour: Colour, code: &str, text: &str) -> String {
    match colour {
        Colour::Always => format!("{code}{text}\x1b[0m"),
        Colour::Never => text.to_string(),
    }
}
