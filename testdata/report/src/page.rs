//! The page: what was measured, in the order of the questions that people ask of a ruleset.

mod cost;
mod covered;
mod forms;
mod seen;

use std::fmt::Write as _;

use crate::{Measured, summary};

/// The whole page.
pub fn page(measured: &Measured) -> String {
    let mut out = String::from(BEGIN);
    table(&mut out, &["what", "measured"], &["---", "---:"]);
    for (name, value) in summary::lines(measured) {
        row(&mut out, &[name, value]);
    }
    covered::write(&mut out, measured);
    seen::write(&mut out, measured);
    cost::write(&mut out, measured);
    forms::write(&mut out, measured);
    out
}

/// The pictures of the page, by the names of their files.
pub fn pictures(measured: &Measured) -> Vec<(&'static str, String)> {
    vec![
        ("measured-labelled.svg", covered::picture(measured)),
        ("measured-recordings.svg", seen::picture(measured)),
        ("measured-background.svg", cost::picture(measured)),
        ("measured-pairs.svg", forms::picture(measured)),
    ]
}

const BEGIN: &str = "# Measured on real data

This page is generated; do not edit it by hand. It says what the shipped rules and mappings do with data that their
authors did not write, and that is no part of this repository:

```sh
cargo run -p tripline-report -- ../shared/data docs/MEASURED.md
```

`--check` exits with 1 where a rule costs more than it may, or an event violates the schema. A test holds the numbers of
the first table. What people looked at and explained stands in tables beside the tool (`testdata/report/tables`).

## At a glance

";

/// The head of a table.
fn table(out: &mut String, head: &[&str], lines: &[&str]) {
    let _ = writeln!(out, "| {} |\n| {} |", head.join(" | "), lines.join(" | "));
}

/// A row of a table.
fn row<T: AsRef<str>>(out: &mut String, cells: &[T]) {
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

/// Text of others in a cell: nothing in it is markup.
fn cell(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '|' | '*' | '_' | '`' | '[' | ']' | '\\' | '~' | '#' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// Names as code, one after another; `–` where there is none.
fn codes<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let all: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    if all.is_empty() { "–".into() } else { all.join(", ") }
}

/// `1,234,567`
fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, c) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// `7 rules`, `1 rule`
fn counted(n: usize, word: &str) -> String {
    format!("{} {word}{}", number(n as u64), if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_is_no_markup() {
        assert_eq!(cell("a|b <c> *d*\n`e`"), "a\\|b &lt;c&gt; \\*d\\* \\`e\\`");
        assert_eq!((number(12), number(1_234_567)), ("12".into(), "1,234,567".into()));
        assert_eq!((counted(1, "rule"), counted(2_000, "rule")), ("1 rule".into(), "2,000 rules".into()));
    }
}
