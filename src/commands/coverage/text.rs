//! Coverage for a terminal: tactics, techniques, gaps, and what does not count.

use std::fmt::Write as _;

use tripline_base::terminal::{counted, visible};
use tripline_detect::coverage::{Cell, Coverage, Share, shares};

/// The whole report.
pub fn report(found: &Coverage<'_>) -> String {
    let mut out = String::new();
    let (whole, part) = shares(&found.techniques);
    let _ = writeln!(
        out,
        "{} over {}: {} of {} techniques and {} of {} sub-techniques of ATT&CK 19",
        counted(found.rules.len() as u64, "rule"),
        counted(found.sources.len() as u64, "source"),
        whole.covered,
        whole.all,
        part.covered,
        part.all
    );
    let _ = writeln!(out, "platforms: {}", found.platforms.join(", "));
    if !found.unplaced.is_empty() {
        let names = visible(&found.unplaced.join(", ")).into_owned();
        let _ = writeln!(out, "no platform is known of: {names} (--platform names some)");
    }
    tactics(&mut out, found);
    techniques(&mut out, found);
    gaps(&mut out, found);
    others(&mut out, found);
    out
}

/// A row for each source.
pub fn by_source(each: &[(String, Coverage<'_>)]) -> String {
    let wide = each.iter().map(|(name, _)| visible(name).chars().count()).max().unwrap_or(0).max(6);
    let mut out = format!("{:<wide$}  techniques  sub-techniques  rules  platforms\n", "source");
    for (name, found) in each {
        let (whole, part) = shares(&found.techniques);
        let _ = writeln!(
            out,
            "{:<wide$}  {:>10}  {:>14}  {:>5}  {}",
            visible(name),
            share(whole),
            share(part),
            found.rules.len(),
            found.platforms.join(", ")
        );
    }
    out
}

fn share(share: Share) -> String {
    format!("{}/{}", share.covered, share.all)
}

fn tactics(out: &mut String, found: &Coverage<'_>) {
    let _ = writeln!(out, "\n{:<22}  techniques  sub-techniques  rules", "tactic");
    for column in found.tactics.iter().filter(|column| !column.cells.is_empty()) {
        let (whole, part) = shares(&column.cells);
        let _ = writeln!(
            out,
            "{:<22}  {:>10}  {:>14}  {:>5}",
            column.tactic.name,
            share(whole),
            share(part),
            column.rules.len()
        );
    }
}

fn techniques(out: &mut String, found: &Coverage<'_>) {
    let covered: Vec<&Cell> = found.techniques.iter().filter(|cell| !cell.rules.is_empty()).collect();
    if covered.is_empty() {
        return;
    }
    let wide = covered.iter().map(|cell| label(cell).chars().count()).max().unwrap_or(0);
    let _ = writeln!(out, "\n{:<wide$}  rules  severity       sources", "technique");
    for cell in covered {
        let severity = found.worst(&cell.rules).map_or("-", |severity| severity.name());
        let sources = found.read_by(&cell.rules).join(", ");
        let _ = writeln!(
            out,
            "{:<wide$}  {:>5}  {severity:<13}  {}",
            label(cell),
            cell.rules.len(),
            visible(if sources.is_empty() { "-" } else { &sources })
        );
    }
}

/// `T1078  Valid Accounts`, a sub-technique a little to the right.
fn label(cell: &Cell) -> String {
    let technique = cell.technique;
    let retired = if technique.retired { " (retired)" } else { "" };
    match technique.parent() {
        Some(_) => format!("  {:<9}  {}{retired}", technique.id, technique.name),
        None => format!("{:<9}  {}{retired}", technique.id, technique.name),
    }
}

/// What no rule covers, once, under the first tactic it serves.
fn gaps(out: &mut String, found: &Coverage<'_>) {
    let open = |cell: &&Cell| found.technique(cell.technique.id).is_some_and(|cell| cell.rules.is_empty());
    let (whole, part) = shares(&found.techniques);
    let (techniques, parts) = (whole.all - whole.covered, part.all - part.covered);
    if techniques + parts == 0 {
        return;
    }
    let _ = writeln!(out, "\nno rule covers {techniques} techniques and {parts} sub-techniques:");
    let mut told: Vec<&str> = Vec::new();
    for column in &found.tactics {
        let cells: Vec<&Cell> =
            column.cells.iter().filter(open).filter(|cell| !told.contains(&cell.technique.id)).collect();
        if cells.is_empty() {
            continue;
        }
        let _ = writeln!(out, "  {}", column.tactic.name);
        for cell in &cells {
            told.push(cell.technique.id);
            let under = |id: &str| cells.iter().filter(|other| other.technique.parent() == Some(id)).count() as u64;
            match cell.technique.parent() {
                // Told with its technique.
                Some(parent) if cells.iter().any(|other| other.technique.id == parent) => {}
                Some(_) => {
                    let _ = writeln!(out, "    {:<9}  {}", cell.technique.id, cell.technique.name);
                }
                None => {
                    let parts = match under(cell.technique.id) {
                        0 => String::new(),
                        n => format!(", and its {}", counted(n, "sub-technique")),
                    };
                    let _ = writeln!(out, "    {:<9}  {}{parts}", cell.technique.id, cell.technique.name);
                }
            }
        }
    }
}

fn others(out: &mut String, found: &Coverage<'_>) {
    let names = |rules: Vec<&str>| visible(&rules.join(", ")).into_owned();
    let without: Vec<&str> = found
        .without_attack
        .iter()
        .filter_map(|at| found.rules.get(*at))
        .map(|counted| counted.rule.name.as_str())
        .collect();
    let of = |rules: &[&tripline_semantic::typed::Rule]| rules.len();
    if !without.is_empty() {
        let _ = writeln!(out, "\nwithout a technique ({}): {}", without.len(), names(without));
    }
    if !found.deprecated.is_empty() {
        let list = found.deprecated.iter().map(|rule| rule.name.as_str()).collect();
        let _ = writeln!(out, "\ndeprecated, not counted ({}): {}", of(&found.deprecated), names(list));
    }
    if !found.left_out.is_empty() {
        let list = found.left_out.iter().map(|rule| rule.name.as_str()).collect();
        let _ = writeln!(out, "\ndo not run, not counted ({}): {}", of(&found.left_out), names(list));
    }
}
