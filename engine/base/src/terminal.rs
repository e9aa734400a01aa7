//! Diagnostics for people at a terminal: the line, the words underlined, and what to do.

use std::fmt::Write as _;

use crate::{Diagnostic, Label, Level, SourceMap};
use unicode_width::UnicodeWidthStr as _;

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// Plain text.
    Never,
    /// ANSI colours.
    Always,
}

const RESET: &str = "\x1b[0m";
const BOLD: &str = "\x1b[1m";
const BLUE: &str = "\x1b[34m";

fn level_colour(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[31m",
        Level::Warning => "\x1b[33m",
        Level::Note => "\x1b[36m",
    }
}

struct Paint(Colour);

impl Paint {
    fn with(&self, codes: &[&str], text: &str) -> String {
        match self.0 {
            Colour::Never => text.to_string(),
            Colour::Always => format!("{}{text}{RESET}", codes.concat()),
        }
    }
}

/// One diagnostic as text, ending in a newline.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap, colour: Colour) -> String {
    let paint = Paint(colour);
    let level = diagnostic.level();
    let mut out = String::new();
    let head = format!("{level}[{}]", diagnostic.code.id);
    let _ = writeln!(
        out,
        "{}{}",
        paint.with(&[BOLD, level_colour(level)], &head),
        paint.with(&[BOLD], &format!(": {}", diagnostic.message))
    );

    let width = diagnostic
        .labels
        .iter()
        .filter_map(|label| Some(sources.get(label.span.file)?.line_of(label.span.start as usize) + 1))
        .max()
        .map_or(1, |line| line.to_string().len());
    for (at, label) in diagnostic.labels.iter().enumerate() {
        let primary = at == 0;
        label_lines(&mut out, label, sources, &paint, width, primary, level);
    }
    let gutter = " ".repeat(width);
    for help in &diagnostic.help {
        let mut lines = help.lines();
        let first = lines.next().unwrap_or("");
        let _ = writeln!(out, "{gutter} {} {}: {first}", paint.with(&[BLUE], "="), paint.with(&[BOLD], "help"));
        for line in lines {
            let _ = writeln!(out, "{gutter}         {line}");
        }
    }
    out
}

fn label_lines(
    out: &mut String,
    label: &Label,
    sources: &SourceMap,
    paint: &Paint,
    width: usize,
    primary: bool,
    level: Level,
) {
    let Some(file) = sources.get(label.span.file) else { return };
    let start = label.span.start as usize;
    let place = file.place(start);
    let arrow = if primary { "-->" } else { ":::" };
    let _ = writeln!(
        out,
        "{}{} {}:{}:{}",
        " ".repeat(width),
        paint.with(&[BLUE], arrow),
        file.name(),
        place.line,
        place.column
    );
    let line = file.line_of(start);
    let range = file.line_range(line);
    let text = file.line_text(line);
    // A line of a minified file may be megabytes long: show a window around the words.
    let within = start.saturating_sub(range.start).min(text.len());
    let (shown, before) = window(text, within);
    let pad = before.replace('\t', " ").width();
    let last = (label.span.end as usize).saturating_sub(range.start).clamp(within, text.len());
    let words = text.get(within..last).unwrap_or("");
    let marks = words.replace('\t', " ").width().clamp(1, 120);
    let bar = paint.with(&[BLUE], "|");
    let number = format!("{:>width$}", line + 1);
    let _ = writeln!(out, "{} {bar}", " ".repeat(width));
    let _ = writeln!(out, "{} {bar} {}", paint.with(&[BLUE], &number), shown.replace('\t', " "));
    let mark = if primary { "^" } else { "-" }.repeat(marks);
    let said = if label.text.is_empty() { String::new() } else { format!(" {}", label.text) };
    let colour = if primary { level_colour(level) } else { BLUE };
    let _ = writeln!(
        out,
        "{} {bar} {}{}",
        " ".repeat(width),
        " ".repeat(pad),
        paint.with(&[colour], &format!("{mark}{said}"))
    );
}

/// At most some 160 characters of `text` around byte `at`, and what of it stands before `at`.
fn window(text: &str, at: usize) -> (String, String) {
    const BEFORE: usize = 100;
    const AFTER: usize = 140;
    let head = text.get(..at).unwrap_or("");
    let tail = text.get(at..).unwrap_or("");
    let cut_head = head.chars().count() > BEFORE;
    let kept: String = if cut_head {
        let skip = head.chars().count() - BEFORE;
        format!("…{}", head.chars().skip(skip).collect::<String>())
    } else {
        head.to_string()
    };
    let mut rest: String = tail.chars().take(AFTER).collect();
    if rest.len() < tail.len() {
        rest.push('…');
    }
    (format!("{kept}{rest}"), kept)
}

/// `3 errors and 1 warning`, or nothing where there is nothing to count.
pub fn tally(diagnostics: &[Diagnostic]) -> Option<String> {
    let count = |level| diagnostics.iter().filter(|d| d.level() == level).count();
    let parts: Vec<String> =
        [(count(Level::Error), "error"), (count(Level::Warning), "warning"), (count(Level::Note), "note")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
            .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}
