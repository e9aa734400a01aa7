//! The picture in the README is what the program prints: `docs/quickstart.svg`, drawn from a run of the quickstart.
//! `UPDATE_GOLDENS=1` draws it anew.

use std::process::Command;

use tripline_checks::picture::{Look, Run, clip, lines, svg, wrap};
use tripline_checks::root;

const COMMAND: &str = "tripline scan examples/quickstart/cloudtrail.jsonl examples/quickstart/okta.jsonl";
const COLUMNS: usize = 112;
/// Where titles begin, and what is said below them.
const TITLE: usize = 9;
const VALUE: usize = 16;
/// Rows that are clipped where they are long; the others go on in the next line.
const LISTS: [&str; 2] = ["  who ", "  context "];
/// Findings that are shown.
const FINDINGS: usize = 3;
/// Steps of a runbook that are shown.
const STEPS: usize = 2;

fn plain(text: &str) -> Vec<Run> {
    vec![Run { text: text.into(), look: Look::default() }]
}

fn text(line: &[Run]) -> String {
    line.iter().map(|run| run.text.as_str()).collect()
}

/// The rows of a finding, its runbook cut short.
fn shorten(finding: &str) -> Vec<Vec<Run>> {
    let mut rows = lines(finding);
    let book = rows.iter().position(|row| text(row).starts_with("  runbook")).expect("a runbook");
    let steps = rows.iter().enumerate().skip(book).filter(|(_, row)| {
        text(row).get(13..15).is_some_and(|step| step.starts_with(|c: char| c.is_ascii_digit()) && step.ends_with('.'))
    });
    let end = steps.map(|(at, _)| at).nth(STEPS).expect("more steps than are shown");
    rows.truncate(end);
    rows.push(plain("             …"));
    rows
}

#[test]
fn the_picture_of_the_quickstart_is_what_the_program_prints() {
    let mut words = COMMAND.split(' ').skip(1).collect::<Vec<_>>();
    words.splice(0..0, ["run", "--quiet", "--package", "tripline", "--"]);
    let output = Command::new(env!("CARGO"))
        .args(words)
        .current_dir(root())
        .env("CLICOLOR_FORCE", "1")
        .env_remove("NO_COLOR")
        .output()
        .unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{err}");
    let findings: Vec<&str> = out.split_terminator("\n\n").collect();
    // How long it took is another at each run.
    let timing = regex::Regex::new(r", [0-9.]+ s, [0-9]+ events/s").unwrap();
    let summary = err.lines().find(|line| timing.is_match(line)).expect("a summary");
    assert!(summary.contains(&format!(" {} findings,", findings.len())), "{summary}");

    let prompt = Look { bold: true, colour: Some(2), ground: None };
    let mut rows = vec![[vec![Run { text: "$ ".into(), look: prompt }], plain(COMMAND)].concat(), Vec::new()];
    for finding in findings.iter().take(FINDINGS) {
        rows.extend(shorten(finding));
        rows.push(Vec::new());
    }
    rows.push(plain(&format!("… {} more findings", findings.len() - FINDINGS)));
    rows.push(Vec::new());
    rows.push(plain(&timing.replace(summary, "")));
    let rows: Vec<Vec<Run>> = rows
        .iter()
        .flat_map(|row| match LISTS.iter().any(|name| text(row).starts_with(name)) {
            true => vec![clip(row, COLUMNS)],
            false => wrap(row, COLUMNS, if text(row).starts_with(' ') { VALUE } else { TITLE }),
        })
        .collect();
    let now = svg("A terminal: tripline scan shows what an intruder did, and what to do now", &rows, COLUMNS);

    let path = root().join("docs/quickstart.svg");
    if std::env::var_os("UPDATE_GOLDENS").is_some_and(|value| value == "1") {
        std::fs::write(&path, &now).unwrap();
    }
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(before == now, "docs/quickstart.svg is not what the program prints: UPDATE_GOLDENS=1 draws it anew");
}
