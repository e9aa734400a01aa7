//! Small pictures of bars, self-contained SVG on a ground of their own, so that they are read on light and dark pages.

use std::fmt::Write as _;

const INK: &str = "#d5dbe6";
const FAINT: &str = "#8b95a9";
const PAPER: &str = "#10141c";
const TRACK: &str = "#1d2330";
/// What is good, what is partly so, what is explained, what is open, and what is neither.
pub const GOOD: &str = "#8fd17a";
/// See [`GOOD`].
pub const PARTLY: &str = "#5fd3d9";
/// See [`GOOD`].
pub const EXPLAINED: &str = "#6c7894";
/// See [`GOOD`].
pub const OPEN: &str = "#ff6e6e";

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 18.0;
const LABEL: f64 = 250.0;
const NOTE: f64 = 110.0;
const ROW: f64 = 22.0;

/// One bar.
pub struct Bar {
    /// What it is about.
    pub label: String,
    /// How long each part is, in units of the widest bar, and its colour.
    pub parts: Vec<(f64, &'static str)>,
    /// What stands at its end.
    pub note: String,
}

/// A picture of bars. Each is drawn against its own sum where `shares`, else against the longest.
pub fn bars(title: &str, legend: &[(&'static str, &str)], bars: &[Bar], shares: bool) -> String {
    let top = 34.0 + if legend.is_empty() { 8.0 } else { 26.0 };
    let height = top + bars.len() as f64 * ROW + MARGIN;
    let room = WIDTH - 2.0 * MARGIN - LABEL - NOTE;
    let sum = |bar: &Bar| bar.parts.iter().map(|(n, _)| n).sum::<f64>();
    let longest = bars.iter().map(sum).fold(0.0, f64::max);
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\" font-size=\"13\" \
         font-family=\"ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,'DejaVu Sans',sans-serif\" fill=\"{INK}\">\n\
         <title>{title}</title>\n<rect width=\"{WIDTH:.0}\" height=\"{height:.0}\" rx=\"10\" fill=\"{PAPER}\"/>\n\
         <text x=\"{MARGIN}\" y=\"27\" font-size=\"15\" font-weight=\"bold\">{title}</text>",
        title = xml(title)
    );
    let mut x = MARGIN;
    for (colour, word) in legend {
        let _ = writeln!(
            out,
            "<rect x=\"{x:.0}\" y=\"38\" width=\"11\" height=\"11\" rx=\"2\" fill=\"{colour}\"/>\
             <text x=\"{:.0}\" y=\"48\" font-size=\"12\" fill=\"{FAINT}\">{}</text>",
            x + 17.0,
            xml(word)
        );
        x += 17.0 + word.chars().count() as f64 * 6.6 + 22.0;
    }
    for (at, bar) in bars.iter().enumerate() {
        let y = top + at as f64 * ROW;
        let left = MARGIN + LABEL;
        let whole = if shares { sum(bar) } else { longest };
        let _ = writeln!(
            out,
            "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{room:.1}\" height=\"12\" rx=\"3\" fill=\"{TRACK}\"/>",
            left - 10.0,
            y + 14.0,
            xml(&short(&bar.label)),
            y + 4.0
        );
        let mut x = left;
        for (n, colour) in bar.parts.iter().filter(|(n, _)| *n > 0.0 && whole > 0.0) {
            let wide = n / whole * room;
            let _ = writeln!(
                out,
                "<rect x=\"{x:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" rx=\"2\" fill=\"{colour}\"/>",
                y + 4.0,
                wide.max(1.5)
            );
            x += wide;
        }
        let _ = writeln!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"12\" fill=\"{FAINT}\">{}</text>",
            left + room + 10.0,
            y + 14.0,
            xml(&bar.note)
        );
    }
    out.push_str("</svg>\n");
    out
}

/// A label that fits.
fn short(label: &str) -> String {
    const MOST: usize = 36;
    if label.chars().count() <= MOST {
        return label.to_string();
    }
    let mut out: String = label.chars().take(MOST - 1).collect();
    out.push('…');
    out
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_drawn_against_their_own_sum_or_the_longest() {
        let bar = |label: &str, n: f64| Bar { label: label.into(), parts: vec![(n, GOOD)], note: format!("{n}") };
        let room = WIDTH - 2.0 * MARGIN - LABEL - NOTE;
        let shares = bars("a & b", &[(GOOD, "seen")], &[bar("one", 4.0), bar("two", 2.0)], true);
        assert!(shares.contains("<title>a &amp; b</title>") && shares.ends_with("</svg>\n"));
        assert_eq!(shares.matches(&format!("width=\"{room:.1}\" height=\"12\" rx=\"2\"")).count(), 2);
        let longest = bars("c", &[], &[bar("one", 4.0), bar("two", 2.0)], false);
        assert_eq!(longest.matches(&format!("width=\"{:.1}\" height=\"12\" rx=\"2\"", room / 2.0)).count(), 1);
    }

    #[test]
    fn a_long_label_is_cut() {
        assert_eq!(short(&"x".repeat(40)).chars().count(), 36);
    }
}
