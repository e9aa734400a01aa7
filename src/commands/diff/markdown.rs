//! A comparison as a comment on a pull request.
//!
//! What comes from logs and rules is hostile: it stands in fenced code, with a fence longer than any in it, or as
//! character references, so that it can neither be markup nor call anybody.

use std::fmt::Write as _;

use tripline_base::terminal::{counted, visible};
use tripline_detect::diff::OfRule;

use super::samples::SHOWN;
use super::{Done, standing, text};

/// How many rules are shown with their findings; a comment may not be longer than a host allows.
const RULES: usize = 15;
/// How long it may be in all, in bytes; hosts allow 65,536 characters.
const LONGEST: usize = 55_000;

/// The whole of it.
pub fn report(done: &Done) -> String {
    let mut out = String::new();
    let [gained, lost, changed, same] = done.sums();
    let _ = writeln!(
        out,
        "### What the rules find\n\n{} &rarr; {}, over {}: **{gained}** gained, **{lost}** lost, **{changed}** changed, {same} the same.",
        code(&done.base.title()),
        code(&done.head.title()),
        counted(done.totals.events, "event"),
    );
    for (revision, n) in [(&done.base, done.base.errors), (&done.head, done.head.errors)] {
        if n > 0 {
            let _ = writeln!(out, "\n**The rules of {} have {}.**", code(&revision.name), counted(n as u64, "error"));
        }
    }
    let broken: Vec<String> =
        done.broken().into_iter().map(|of| format!("{} ({})", code(&of.name), standing(of))).collect();
    if !broken.is_empty() {
        let _ = writeln!(out, "\nRules that do not run: {}", broken.join(", "));
    }
    let told = done.told();
    if told.is_empty() {
        out.push_str("\nNo rule finds anything else than before.\n");
        return out;
    }
    out.push_str(
        "\n| rule | before | after | gained | lost | changed | |\n| --- | ---: | ---: | ---: | ---: | ---: | --- |\n",
    );
    let mut left = told.len();
    for of in &told {
        if out.len() > LONGEST / 2 {
            break;
        }
        left -= 1;
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            code(&of.name),
            of.found.0,
            of.found.1,
            of.gained.len(),
            of.lost.len(),
            of.changed.len(),
            standing(of)
        );
    }
    if left > 0 {
        let _ = writeln!(out, "\n… and {} not shown.", counted(left as u64, "rule"));
    }
    let mut left = 0;
    for (at, of) in told.iter().filter(|of| of.found_differs()).enumerate() {
        let details = details(done, of);
        if at >= RULES || out.len() + details.len() > LONGEST {
            left += 1;
            continue;
        }
        out.push_str(&details);
    }
    if left > 0 {
        let _ = writeln!(out, "\nThe findings of {} more are not shown.", counted(left, "rule"));
    }
    out
}

/// A rule's findings, folded.
fn details(done: &Done, of: &OfRule) -> String {
    let mut lines = String::new();
    for (sign, all) in [("+", &of.gained), ("-", &of.lost)] {
        all.iter().take(SHOWN).for_each(|seen| text::finding(&mut lines, done, sign, seen, None));
    }
    of.changed.iter().take(SHOWN).for_each(|(then, now)| text::finding(&mut lines, done, "!", now, Some(then)));
    // Two spaces less: a line of a difference begins with its sign.
    let lines: String = lines.lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line))).collect();
    let fence = "`".repeat(longest_run(&lines).max(2) + 1);
    let counts = format!("{} gained, {} lost, {} changed", of.gained.len(), of.lost.len(), of.changed.len());
    format!("\n<details><summary>{}: {counts}</summary>\n\n{fence}diff\n{lines}{fence}\n\n</details>\n", code(&of.name))
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Text from elsewhere within a line: whatever could be markup is a character reference.
fn code(text: &str) -> String {
    let mut out = String::from("<code>");
    for c in visible(text).chars() {
        if c.is_alphanumeric() || c == ' ' || c == '-' {
            out.push(c);
        } else {
            let _ = write!(out, "&#{};", c as u32);
        }
    }
    out + "</code>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_is_markup() {
        assert_eq!(code("a|b <x> @you"), "<code>a&#124;b &#60;x&#62; &#64;you</code>");
        assert_eq!(longest_run("a ``` b `"), 3);
    }
}
