//! Diagnostics for people at a terminal: the line, the words underlined, and what to do.
//!
//! A file may be hostile: whatever of it is shown goes through [`visible`], so that a terminal is never sent a
//! control character that does not come from here.

use std::borrow::Cow;
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

/// `text` with control characters, and those that reorder what is shown, written as escapes (`\n`, `\u{1b}`), as in
/// a string of the language, so that it can be printed on a terminal whatever it holds. Line breaks are escaped too.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(unseen) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if unseen(c) => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Whether a terminal would obey `c`, or show what follows it in another order, instead of showing it.
fn unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A piece of a source line as it is shown: a tab is a space.
fn shown(piece: &str) -> String {
    visible(&piece.replace('\t', " ")).into_owned()
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
        paint.with(&[BOLD], &format!(": {}", visible(&diagnostic.message)))
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
        let first = visible(lines.next().unwrap_or(""));
        let _ = writeln!(out, "{gutter} {} {}: {first}", paint.with(&[BLUE], "="), paint.with(&[BOLD], "help"));
        for line in lines {
            let _ = writeln!(out, "{gutter}         {}", visible(line));
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
        visible(file.name()),
        place.line,
        place.column
    );
    let line = file.line_of(start);
    let range = file.line_range(line);
    let text = file.line_text(line);
    // A line of a minified file may be megabytes long: show a window around the words.
    let within = start.saturating_sub(range.start).min(text.len());
    let (whole, before) = window(text, within);
    let pad = shown(&before).width();
    let last = (label.span.end as usize).saturating_sub(range.start).clamp(within, text.len());
    let words = text.get(within..last).unwrap_or("");
    let marks = shown(words).width().clamp(1, 120);
    let bar = paint.with(&[BLUE], "|");
    let number = format!("{:>width$}", line + 1);
    let _ = writeln!(out, "{} {bar}", " ".repeat(width));
    let _ = writeln!(out, "{} {bar} {}", paint.with(&[BLUE], &number), shown(&whole));
    let mark = if primary { "^" } else { "-" }.repeat(marks);
    let said = if label.text.is_empty() { String::new() } else { format!(" {}", visible(&label.text)) };
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

/// `1 rule`, `2 rules`.
pub fn counted(n: u64, word: &str) -> String {
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}

/// `3 errors, 1 warning`, or nothing where there is nothing to count.
pub fn tally(diagnostics: &[Diagnostic]) -> Option<String> {
    let count = |level| diagnostics.iter().filter(|d| d.level() == level).count();
    let parts: Vec<String> =
        [(count(Level::Error), "error"), (count(Level::Warning), "warning"), (count(Level::Note), "note")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| counted(n as u64, word))
            .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Code, Span};

    static CODE: Code = Code { id: "T0000", name: "n", level: Level::Error, title: "t", page: "p" };

    #[test]
    fn a_hostile_file_writes_nothing_to_the_terminal() {
        let line = "\u{1b}[2J\t\u{202e}x\u{9b}1m bad \u{7}rest\r\n";
        let mut sources = SourceMap::new();
        let file = sources.add("a\u{1b}]0;b.trip", line);
        let start = line.find("bad").unwrap();
        let span = Span::new(file, start, start + 5);
        let diagnostic = Diagnostic::new(&CODE, span, "no `\u{1b}[1A`")
            .label("is \u{8}")
            .also(span, "and\r")
            .help("write `\u{1b}[0m`\nor `\u{0}`");
        let text = render(&diagnostic, &sources, Colour::Never);
        assert!(!text.chars().any(|c| c != '\n' && unseen(c)), "{text:?}");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "error[T0000]: no `\\u{1b}[1A`");
        assert_eq!(lines[1], " --> a\\u{1b}]0;b.trip:1:12");
        assert_eq!(lines[3], "1 | \\u{1b}[2J \\u{202e}x\\u{9b}1m bad \\u{7}rest");
        // The marks stand under the words as they are shown.
        let at = lines[3].find("bad").unwrap();
        assert_eq!(lines[4], format!("  |{}^^^^^^^^^ is \\u{{8}}", " ".repeat(at - 3)));
        assert_eq!(lines[lines.len() - 2], "  = help: write `\\u{1b}[0m`");
        assert_eq!(lines[lines.len() - 1], "          or `\\u{0}`");
    }

    #[test]
    fn colours_are_all_that_a_coloured_diagnostic_adds() {
        let mut sources = SourceMap::new();
        let file = sources.add("a", "x \u{1b}[31m y");
        let diagnostic = Diagnostic::new(&CODE, Span::new(file, 0, 1), "no");
        let coloured = render(&diagnostic, &sources, Colour::Always);
        let mut plain = coloured.clone();
        for code in [RESET, BOLD, BLUE, level_colour(Level::Error)] {
            plain = plain.replace(code, "");
        }
        assert_eq!(plain, render(&diagnostic, &sources, Colour::Never));
    }
}
