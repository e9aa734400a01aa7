//! The picture: a lane for each source and one for findings, over time.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use tripline_event::format_time;

use super::super::Timeline;
use super::safe;

/// What is drawn, in units of the picture.
const WIDTH: f64 = 1_000.0;
const LANE: f64 = 34.0;
const LABELS: f64 = 190.0;
/// How many places there are for marks beside one another: the picture is as large however much happened.
const COLUMNS: i64 = 400;
/// The most lanes of sources; the others share one.
const MOST_LANES: usize = 24;

/// The style of a severity.
pub fn class(severity: &str) -> &'static str {
    match severity.to_lowercase().as_str() {
        "critical" => "critical",
        "high" => "high",
        "medium" => "medium",
        "low" => "low",
        _ => "informational",
    }
}

/// A mark: how many, the worst of them, and the first.
struct Mark<'t> {
    count: u64,
    class: &'static str,
    rank: usize,
    first: i64,
    link: String,
    says: &'t str,
}

/// Draws it; nothing where nothing happened.
pub fn draw(out: &mut String, timeline: &Timeline) {
    let times = || timeline.events.iter().map(|one| one.time).chain(timeline.findings.iter().map(|one| one.time));
    let (Some(first), Some(last)) = (times().min(), times().max()) else {
        out.push_str("<p>Nothing was found of it in this time.</p>\n");
        return;
    };
    let sources = timeline.sources();
    let lane = |source: &str| sources.iter().position(|name| *name == source).unwrap_or(0).min(MOST_LANES - 1);
    let mut names: Vec<&str> = sources.iter().take(MOST_LANES).copied().collect();
    if sources.len() > MOST_LANES
        && let Some(shared) = names.last_mut()
    {
        *shared = "other sources";
    }
    let span = i128::from(last) - i128::from(first);
    let column = |time: i64| -> i64 {
        let at = (i128::from(time) - i128::from(first)) * i128::from(COLUMNS - 1) / span.max(1);
        i64::try_from(at).unwrap_or(0)
    };
    let mut marks: BTreeMap<(usize, i64), Mark<'_>> = BTreeMap::new();
    let mut put = |lane: usize, time: i64, class: &'static str, link: String, says| {
        let ranks = ["event", "informational", "low", "medium", "high", "critical"];
        let rank = ranks.iter().position(|name| *name == class).unwrap_or(0);
        let mark = marks.entry((lane, column(time))).or_insert(Mark { count: 0, class, rank, first: time, link, says });
        mark.count += 1;
        if rank > mark.rank {
            (mark.class, mark.rank) = (class, rank);
        }
    };
    for (at, event) in timeline.events.iter().enumerate() {
        put(lane(&event.source) + 1, event.time, "event", format!("e{at}"), event.says.as_str());
    }
    for (at, found) in timeline.findings.iter().enumerate() {
        put(0, found.time, class(&found.severity), format!("f{at}"), found.title.as_str());
    }
    let height = LANE * (names.len() + 1) as f64;
    let _ = writeln!(
        out,
        "<figure class=\"card\"><svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Events and findings over time\">"
    );
    for (at, name) in ["findings"].iter().chain(&names).enumerate() {
        let y = LANE * (at as f64 + 0.5);
        let _ = writeln!(
            out,
            "<text x=\"0\" y=\"{}\">{}</text><line x1=\"{LABELS}\" y1=\"{y}\" x2=\"{WIDTH}\" y2=\"{y}\"/>",
            y + 4.0,
            safe(name)
        );
    }
    let step = (WIDTH - LABELS - 20.0) / (COLUMNS - 1) as f64;
    for ((lane, column), mark) in &marks {
        let (x, y) = (LABELS + 10.0 + step * *column as f64, LANE * (*lane as f64 + 0.5));
        // Many in one place are larger, up to a bound.
        let radius = 5.0 + (mark.count as f64).log2().min(5.0);
        let more = if mark.count > 1 { format!(" and {} more", mark.count - 1) } else { String::new() };
        let _ = writeln!(
            out,
            "<a href=\"#{}\"><circle class=\"{}\" cx=\"{x:.1}\" cy=\"{y}\" r=\"{radius:.1}\"><title>{} {}{more}</title></circle></a>",
            mark.link,
            mark.class,
            format_time(mark.first),
            safe(mark.says)
        );
    }
    let _ = writeln!(
        out,
        "</svg><div class=\"axis\"><span>{}</span><span>{}</span></div></figure>",
        format_time(first),
        format_time(last)
    );
}
