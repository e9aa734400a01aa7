//! Bars of findings over days, as a drawing within the page.

use std::fmt::Write as _;

use tripline_detect::backtest::{DAY, Report, Sums};
use tripline_event::format_date;

/// The most bars; where there are more days, a bar stands for several.
const BARS: i64 = 180;
/// The drawing's own units.
const HIGH: f64 = 100.0;
const STEP: f64 = 10.0;

/// A day, counted from 1970.
pub fn date(day: i64) -> String {
    format_date(day.saturating_mul(DAY))
}

/// The bars of some findings over the days of the report.
pub fn days(out: &mut String, report: &Report, sums: &Sums, class: &str) {
    let Some((first, last)) = report.days else { return };
    let per = (last - first) / BARS + 1;
    let bars = (last - first) / per + 1;
    let mut counts = vec![0_u64; usize::try_from(bars).unwrap_or(0)];
    for (day, n) in &sums.days {
        if let Some(count) = usize::try_from((day - first) / per).ok().and_then(|at| counts.get_mut(at)) {
            *count += n;
        }
    }
    let most = counts.iter().max().copied().unwrap_or(0);
    let wide = bars as f64 * STEP;
    let _ = writeln!(
        out,
        "<svg class=\"{class}\" viewBox=\"0 0 {wide} {HIGH}\" preserveAspectRatio=\"none\" role=\"img\" aria-label=\"findings over time\">"
    );
    let _ = writeln!(out, "<rect class=\"floor\" x=\"0\" y=\"99\" width=\"{wide}\" height=\"1\"/>");
    for (at, n) in counts.iter().enumerate().filter(|(_, n)| **n > 0) {
        let high = *n as f64 * HIGH / most.max(1) as f64;
        let begin = first + i64::try_from(at).unwrap_or(0) * per;
        let end = if per == 1 { String::new() } else { format!(" to {}", date((begin + per - 1).min(last))) };
        let _ = writeln!(
            out,
            "<rect class=\"bar\" x=\"{}\" y=\"{:.2}\" width=\"{}\" height=\"{high:.2}\"><title>{}{end}: {n}</title></rect>",
            at as f64 * STEP + 1.0,
            HIGH - high,
            STEP - 2.0,
            date(begin)
        );
    }
    let unit = if per == 1 { "a day".to_string() } else { format!("in {per} days") };
    let _ = writeln!(
        out,
        "</svg>\n<div class=\"axis\"><span>{}</span><span>at most {most} {unit}</span><span>{}</span></div>",
        date(first),
        date(last)
    );
}
