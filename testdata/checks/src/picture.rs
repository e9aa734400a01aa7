//! Pictures of a terminal: coloured text to a self-contained SVG, so that what the README shows is what the program
//! prints.
//!
//! It reads the escapes that the program writes (reset, bold, and the eight colours), and drops all others.

use std::fmt::Write as _;

/// Sizes of the picture, in pixels.
const FONT: f64 = 13.0;
const CELL: f64 = 7.8;
const LINE: f64 = 19.0;
const MARGIN: f64 = 20.0;
const BAR: f64 = 38.0;

const INK: &str = "#d5dbe6";
const PAPER: &str = "#10141c";
/// Black, red, green, yellow, blue, magenta, cyan, white.
const COLOURS: [&str; 8] = ["#5b6478", "#ff6e6e", "#8fd17a", "#ffc861", "#6ca8ff", "#d69aff", "#5fd3d9", "#ffffff"];
const GROUNDS: [&str; 8] = ["#2a3040", "#c62f3b", "#2f7d3a", "#8a6410", "#2456a6", "#7a3fa3", "#1c7b82", "#d5dbe6"];

/// How text looks: colours count from 0, as in `\x1b[3Nm` and `\x1b[4Nm`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Heavier.
    pub bold: bool,
    /// The letters' colour.
    pub colour: Option<u8>,
    /// The ground's colour.
    pub ground: Option<u8>,
}

/// Text of one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The text.
    pub text: String,
    /// Its look.
    pub look: Look,
}

/// The lines of coloured text.
pub fn lines(text: &str) -> Vec<Vec<Run>> {
    let mut look = Look::default();
    text.lines()
        .map(|line| {
            let mut runs: Vec<Run> = Vec::new();
            let mut pieces = line.split('\x1b');
            push(&mut runs, pieces.next().unwrap_or(""), look);
            for piece in pieces {
                let end = piece.find(|c: char| c.is_ascii_alphabetic()).map_or(piece.len(), |at| at + 1);
                let (escape, rest) = piece.split_at(end);
                if let Some(codes) = escape.strip_prefix('[').and_then(|escape| escape.strip_suffix('m')) {
                    codes.split(';').for_each(|code| turn(&mut look, code));
                }
                push(&mut runs, rest, look);
            }
            runs
        })
        .collect()
}

fn turn(look: &mut Look, code: &str) {
    match code.parse::<u8>() {
        Ok(0) => *look = Look::default(),
        Ok(1) => look.bold = true,
        Ok(code @ 30..=37) => look.colour = Some(code - 30),
        Ok(code @ 40..=47) => look.ground = Some(code - 40),
        _ => {}
    }
}

fn push(runs: &mut Vec<Run>, text: &str, look: Look) {
    match runs.last_mut() {
        _ if text.is_empty() => {}
        Some(last) if last.look == look => last.text.push_str(text),
        _ => runs.push(Run { text: text.to_string(), look }),
    }
}

/// The line up to `columns` characters; `…` ends one that was longer.
pub fn clip(line: &[Run], columns: usize) -> Vec<Run> {
    let all: usize = line.iter().map(|run| run.text.chars().count()).sum();
    if all <= columns {
        return line.to_vec();
    }
    let mut left = columns.saturating_sub(1);
    let mut out = Vec::new();
    for run in line {
        let text: String = run.text.chars().take(left).collect();
        left -= text.chars().count();
        push(&mut out, &text, run.look);
    }
    let look = out.last().map(|run| run.look).unwrap_or_default();
    push(&mut out, "…", look);
    out
}

/// The line in rows of up to `columns` characters, broken at blanks where there are some; all but the first row are
/// indented by `indent`.
pub fn wrap(line: &[Run], columns: usize, indent: usize) -> Vec<Vec<Run>> {
    let cells: Vec<(char, Look)> = line.iter().flat_map(|run| run.text.chars().map(|c| (c, run.look))).collect();
    let mut rows = Vec::new();
    let mut rest = cells.as_slice();
    loop {
        let mut row = Vec::new();
        let mut room = columns.max(indent + 1);
        if !rows.is_empty() {
            push(&mut row, &" ".repeat(indent), Look::default());
            room -= indent;
        }
        let blank = rest.iter().take(room + 1).rposition(|(c, _)| *c == ' ').filter(|at| *at > 0);
        let end = if rest.len() <= room { rest.len() } else { blank.unwrap_or(room) };
        let (here, after) = rest.split_at(end);
        for (c, look) in here {
            push(&mut row, c.encode_utf8(&mut [0; 4]), *look);
        }
        rows.push(row);
        if after.is_empty() {
            return rows;
        }
        rest = match after {
            [(' ', _), more @ ..] => more,
            more => more,
        };
    }
}

/// A picture of a window with these lines, `columns` wide; `title` is said to those who cannot see it.
pub fn svg(title: &str, lines: &[Vec<Run>], columns: usize) -> String {
    let width = columns as f64 * CELL + 2.0 * MARGIN;
    let height = BAR + lines.len() as f64 * LINE + MARGIN;
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"{title}\" font-size=\"{FONT}\" \
         font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" fill=\"{INK}\">\n\
         <title>{title}</title>\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" rx=\"10\" fill=\"{PAPER}\"/>",
        title = xml(title),
    );
    for (at, colour) in ["#ff5f57", "#febc2e", "#28c840"].iter().enumerate() {
        let x = MARGIN + 5.0 + at as f64 * 19.0;
        let _ = writeln!(out, "<circle cx=\"{x:.0}\" cy=\"19\" r=\"5.5\" fill=\"{colour}\"/>");
    }
    for (row, line) in lines.iter().enumerate() {
        let y = BAR + (row as f64 + 0.75) * LINE;
        let mut column = 0;
        for run in line {
            let length = run.text.chars().count();
            letters(&mut out, run, MARGIN + column as f64 * CELL, y, length);
            column += length;
        }
    }
    out.push_str("</svg>\n");
    out
}

fn letters(out: &mut String, run: &Run, x: f64, y: f64, length: usize) {
    let wide = length as f64 * CELL;
    let of = |palette: [&'static str; 8], colour: Option<u8>| colour.and_then(|c| palette.get(usize::from(c)).copied());
    if let Some(ground) = of(GROUNDS, run.look.ground) {
        let (x, y, wide, high) = (x - 3.0, y - LINE * 0.73, wide + 6.0, LINE - 1.0);
        let _ = writeln!(
            out,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{wide:.1}\" height=\"{high:.1}\" rx=\"3\" fill=\"{ground}\"/>"
        );
    }
    // Blanks move what follows, and need no letters.
    let text = run.text.trim_end();
    let lead = text.chars().count() - text.trim_start().chars().count();
    let text = text.trim_start();
    if text.is_empty() {
        return;
    }
    let x = x + lead as f64 * CELL;
    // Whatever font there is, each run is as wide as its cells.
    let wide = text.chars().count() as f64 * CELL;
    let bold = if run.look.bold { " font-weight=\"bold\"" } else { "" };
    let fill = of(COLOURS, run.look.colour).map(|colour| format!(" fill=\"{colour}\"")).unwrap_or_default();
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" textLength=\"{wide:.1}\" lengthAdjust=\"spacingAndGlyphs\" \
         xml:space=\"preserve\"{bold}{fill}>{}</text>",
        xml(text)
    );
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str, look: Look) -> Run {
        Run { text: text.into(), look }
    }

    #[test]
    fn escapes_become_looks_and_others_vanish() {
        let plain = Look::default();
        let red = Look { bold: true, colour: Some(1), ground: None };
        assert_eq!(
            lines("a\x1b[1;31mb\x1b[Kc\x1b[0m d\n\x1b[37;41me\nf\x1b[0m"),
            [
                vec![run("a", plain), run("bc", red), run(" d", plain)],
                vec![run("e", Look { bold: false, colour: Some(7), ground: Some(1) })],
                vec![run("f", Look { bold: false, colour: Some(7), ground: Some(1) })],
            ]
        );
    }

    #[test]
    fn a_long_line_is_clipped_with_a_mark() {
        let bold = Look { bold: true, ..Look::default() };
        let line = [run("éa", bold), run("bcd", Look::default())];
        assert_eq!(clip(&line, 5), line);
        assert_eq!(clip(&line, 4), [run("éa", bold), run("b…", Look::default())]);
        assert_eq!(clip(&line, 2), [run("é…", bold)]);
    }

    #[test]
    fn a_line_is_wrapped_at_blanks_under_its_own_beginning() {
        let bold = Look { bold: true, ..Look::default() };
        let rows = |text: &str, columns| -> Vec<String> {
            let rows = wrap(&[run("AA ", Look::default()), run(text, bold)], columns, 3);
            rows.iter().map(|row| row.iter().map(|run| run.text.as_str()).collect()).collect()
        };
        assert_eq!(rows("one two three", 16), ["AA one two three"]);
        assert_eq!(rows("one two three", 15), ["AA one two", "   three"]);
        assert_eq!(rows("onetwothree four", 8), ["AA", "   onetw", "   othre", "   e", "   four"]);
        let wrapped = wrap(&[run("AA ", Look::default()), run("one two", bold)], 6, 3);
        assert_eq!(wrapped[1], [run("   ", Look::default()), run("two", bold)]);
    }

    #[test]
    fn each_run_stands_in_its_column_and_is_escaped() {
        let red = Look { bold: true, colour: Some(1), ground: Some(1) };
        let picture = svg("a & b", &[vec![run("ab  ", Look::default()), run("<c>", red)]], 10);
        assert!(picture.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"118\" height=\"77\""));
        assert!(picture.contains("<title>a &amp; b</title>"));
        assert!(picture.contains("<text x=\"20.0\" y=\"52.2\" textLength=\"15.6\""), "{picture}");
        assert!(picture.contains("<text x=\"51.2\" y=\"52.2\" textLength=\"23.4\""), "{picture}");
        assert!(picture.contains("font-weight=\"bold\" fill=\"#ff6e6e\">&lt;c&gt;</text>"), "{picture}");
        assert!(picture.contains("rx=\"3\" fill=\"#c62f3b\"/>"), "{picture}");
        assert!(picture.ends_with("</svg>\n"));
    }
}
