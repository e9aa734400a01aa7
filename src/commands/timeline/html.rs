//! A timeline as one page for a browser: no other file, no network, no script; the picture is drawn into it.
//!
//! What comes from logs and rules is hostile: it stands in the page only by way of [`safe`].

mod lanes;

use std::collections::HashMap;
use std::fmt::Write as _;

use tripline_event::format_time;

use super::found::{Behind, Found};
use super::{Event, Item, Timeline, text};
use crate::html::{begin, safe};

const STYLE: &str = include_str!("html/page.css");

/// The page.
pub fn page(timeline: &Timeline) -> String {
    let mut out = begin("Timeline", STYLE);
    out.push_str("<header>\n");
    for (at, line) in text::head(timeline).iter().enumerate() {
        let tag = if at == 0 { "h1" } else { "p" };
        let _ = writeln!(out, "<{tag}>{}</{tag}>", safe(line));
    }
    out.push_str("</header>\n");
    for said in &timeline.left_out {
        let _ = writeln!(out, "<p class=\"said\">{}</p>", safe(said));
    }
    lanes::draw(&mut out, timeline);
    list(&mut out, timeline);
    out.push_str("<footer><p>Times are UTC.</p></footer>\n</body>\n</html>\n");
    out
}

fn list(out: &mut String, timeline: &Timeline) {
    let links = Links::new(timeline);
    out.push_str("<ol class=\"items\">\n");
    timeline.days(
        out,
        |out, date| {
            let _ = writeln!(out, "<li class=\"day\">{date}</li>");
        },
        |out, clock, item| match item {
            Item::Event(at, one) => event(out, *at, clock, one),
            Item::Finding(at, one) => finding(out, *at, clock, one, &links),
        },
    );
    out.push_str("</ol>\n");
}

/// What a finding rests on is linked where it is on the page.
struct Links<'t> {
    events: HashMap<u64, usize>,
    findings: HashMap<&'t str, usize>,
}

impl<'t> Links<'t> {
    fn new(timeline: &'t Timeline) -> Self {
        let events = timeline.events.iter().enumerate();
        let findings = timeline.findings.iter().enumerate();
        Links {
            events: events.flat_map(|(at, event)| event.marks(Some(event.time)).map(|mark| (mark, at))).collect(),
            findings: findings.map(|(at, found)| (found.uid.as_str(), at)).collect(),
        }
    }

    /// Where it is.
    fn to(&self, behind: &Behind) -> Option<String> {
        match behind.finding {
            true => self.findings.get(behind.place.as_str()).map(|at| format!("f{at}")),
            false => self.events.get(&behind.mark()).map(|at| format!("e{at}")),
        }
    }
}

fn event(out: &mut String, at: usize, clock: &str, event: &Event) {
    let _ = write!(
        out,
        "<li id=\"e{at}\"><time>{clock}</time><span class=\"source\">{}</span><div><p>{}</p><p class=\"soft\">",
        safe(&event.source),
        safe(&event.says)
    );
    for place in &event.at {
        let _ = write!(out, "<code>{}</code> {} ", safe(&place.path), safe(&place.value));
    }
    let id = event.id.as_ref().map(|id| format!(" &middot; id {}", safe(id))).unwrap_or_default();
    let _ = writeln!(out, "</p><p class=\"soft\">{}{id}</p></div></li>", safe(&event.place));
}

fn finding(out: &mut String, at: usize, clock: &str, found: &Found, links: &Links<'_>) {
    let severity = lanes::class(&found.severity);
    let _ = write!(
        out,
        "<li id=\"f{at}\" class=\"finding\"><time>{clock}</time><span class=\"badge {severity}\">{severity}</span><div><p><b>{}</b></p><p class=\"soft\">{} &middot; {}",
        safe(&found.title),
        safe(&found.rule),
        safe(&found.uid)
    );
    for (kind, value) in &found.entities {
        let _ = write!(out, " &middot; {} {}", safe(kind), safe(value));
    }
    if let Some(last) = found.went_on() {
        let _ = write!(out, " &middot; updated until {}", format_time(last));
    }
    out.push_str("</p><ul>\n");
    let more = found.count.saturating_sub(found.behind.len() as u64);
    if more > 0 {
        let _ = writeln!(out, "<li>{more} before these</li>");
    }
    for behind in &found.behind {
        let time = behind.time.map(format_time).unwrap_or_default();
        let what = if behind.finding { "finding " } else { "" };
        let place = match links.to(behind) {
            Some(id) => format!("<a href=\"#{id}\">{}</a>", safe(&behind.place)),
            None => safe(&behind.place),
        };
        let id = behind.id.as_ref().map(|id| format!(" id {}", safe(id))).unwrap_or_default();
        let steps: String = behind.steps.iter().map(|step| format!(" <code>{}</code>", safe(step))).collect();
        let _ = writeln!(out, "<li>{time} {} {what}{place}{id}{steps}</li>", safe(&behind.source));
    }
    out.push_str("</ul></div></li>\n");
}
