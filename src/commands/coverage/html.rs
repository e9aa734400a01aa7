//! Coverage as one page for a browser: no other file, no network, works without a server and on paper.
//!
//! Rules are hostile input: their text stands in the page only escaped, and the script sets it as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;
use tripline_base::terminal::counted;
use tripline_detect::coverage::{Cell, Column, Coverage, Share, shares};
use tripline_schema::attack;

use crate::html::escape;

const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// From how many rules on a cell is darker; the script shades by the same steps.
const LEVELS: [usize; 5] = [1, 2, 5, 10, 30];

/// The page.
pub fn page(found: &Coverage<'_>) -> String {
    let mut out = String::new();
    out.push_str("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    out.push_str("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    out.push_str("<meta name=\"color-scheme\" content=\"light dark\">\n");
    out.push_str("<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n");
    let _ = write!(out, "<title>ATT&amp;CK coverage</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n");
    head(&mut out, found);
    out.push_str("<main class=\"matrix\">\n");
    for column in found.tactics.iter().filter(|column| !column.cells.is_empty()) {
        self::column(&mut out, column);
    }
    out.push_str("</main>\n");
    foot(&mut out, found);
    out.push_str("<aside id=\"panel\" hidden aria-live=\"polite\"></aside>\n");
    let _ = write!(
        out,
        "<script type=\"application/json\" id=\"data\">{}</script>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        data(found)
    );
    out
}

/// What the script shows in the panel. Inside of JSON, `<` can only stand in a text, and is written there as an
/// escape, so that no text ends the element.
fn data(found: &Coverage<'_>) -> String {
    let rules: Vec<_> = found
        .rules
        .iter()
        .map(|counted| {
            let header = &counted.rule.header;
            json!({
                "n": counted.rule.name,
                "t": header.title,
                "v": header.severity.map_or("medium", |severity| severity.name()),
                "u": header.status,
                "s": counted.sources,
            })
        })
        .collect();
    let all: Vec<usize> = (0..found.rules.len()).collect();
    let known = found.read_by(&all).into_iter().map(|source| (source.to_string(), attack().platforms_of(source)));
    let platforms: BTreeMap<String, _> = known.filter(|(_, platforms)| !platforms.is_empty()).collect();
    let text = tripline_detect::json_line(
        &json!({ "rules": rules, "levels": LEVELS, "platforms": platforms, "unnamed": found.without_attack }),
    );
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

fn number(out: &mut String, id: &str, share: Share, label: &str) {
    let percent = (share.covered * 100).checked_div(share.all).unwrap_or(0);
    let _ = writeln!(
        out,
        "<div class=\"number\" id=\"{id}\"><b>{}</b><small>/{}</small><span>{label}</span><div class=\"bar\"><i style=\"width:{percent}%\"></i></div></div>",
        share.covered, share.all
    );
}

fn plain(out: &mut String, id: &str, n: usize, label: &str) {
    let _ = writeln!(out, "<div class=\"number\" id=\"{id}\"><b>{n}</b><span>{label}</span></div>");
}

fn head(out: &mut String, found: &Coverage<'_>) {
    let (whole, part) = shares(&found.techniques);
    let _ = writeln!(
        out,
        "<header>\n<div class=\"title\"><h1>ATT&amp;CK coverage</h1>\n<p>{} over {} &middot; {}</p></div>\n<div class=\"numbers\">",
        counted(found.rules.len() as u64, "rule"),
        counted(found.sources.len() as u64, "source"),
        escape(&found.platforms.join(", "))
    );
    number(out, "techniques", whole, "techniques covered");
    number(out, "parts", part, "sub-techniques covered");
    plain(out, "gaps", whole.all - whole.covered, "techniques without a rule");
    plain(out, "unnamed", found.without_attack.len(), "rules without a technique");
    out.push_str("</div>\n<div class=\"tools\">\n<input id=\"search\" type=\"search\" placeholder=\"Search techniques and rules\" aria-label=\"Search techniques and rules\">\n");
    out.push_str("<select id=\"source\" aria-label=\"Source\"><option value=\"\">all sources</option>");
    let all: Vec<usize> = (0..found.rules.len()).collect();
    for source in found.read_by(&all) {
        let source = escape(source);
        let _ = write!(out, "<option value=\"{source}\">{source}</option>");
    }
    out.push_str("</select>\n<label><input id=\"only\" type=\"checkbox\"> gaps only</label>\n<div class=\"legend\"><span><i class=\"t l0\"></i>no rule</span>");
    for (at, from) in LEVELS.iter().enumerate() {
        let label = match LEVELS.get(at + 1) {
            Some(next) if next - from == 1 => from.to_string(),
            Some(next) => format!("{from}&ndash;{}", next - 1),
            None => format!("{from}+ rules"),
        };
        let _ = write!(out, "<span><i class=\"t l{}\"></i>{label}</span>", at + 1);
    }
    out.push_str("</div>\n</div>\n</header>\n");
}

fn level(rules: usize) -> usize {
    LEVELS.iter().filter(|from| rules >= **from).count()
}

fn indices(rules: &[usize]) -> String {
    rules.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

fn column(out: &mut String, column: &Column) {
    let (whole, _) = shares(&column.cells);
    let _ = writeln!(
        out,
        "<section data-tactic=\"{}\"><h2>{}</h2><p class=\"share\">{}/{}</p>",
        escape(column.tactic.shortname),
        escape(column.tactic.name),
        whole.covered,
        whole.all
    );
    let mut wholes: Vec<&Cell> = column.cells.iter().filter(|cell| cell.technique.parent().is_none()).collect();
    wholes.sort_by_key(|cell| cell.technique.name);
    // A sub-technique whose technique does not serve the tactic stands alone.
    let alone = |cell: &&Cell| {
        cell.technique.parent().is_some_and(|parent| wholes.iter().all(|other| other.technique.id != parent))
    };
    let alone: Vec<&Cell> = column.cells.iter().filter(alone).collect();
    for cell in wholes.iter().chain(&alone) {
        let Cell { technique, rules, own } = cell;
        let retired = if technique.retired { " (retired)" } else { "" };
        let _ = write!(
            out,
            "<button class=\"t l{}\" data-id=\"{}\" data-name=\"{}{retired}\" data-on=\"{}\" data-rules=\"{}\" data-own=\"{}\"><span class=\"n\">{}{retired}</span><span class=\"c\"><small>{}</small><b>{}</b></span>",
            level(rules.len()),
            technique.id,
            escape(technique.name),
            technique.platforms.join(","),
            indices(rules),
            indices(own),
            escape(technique.name).replace('/', "/<wbr>"),
            technique.id,
            if rules.is_empty() { String::new() } else { rules.len().to_string() },
        );
        let parts: Vec<&Cell> =
            column.cells.iter().filter(|part| part.technique.parent() == Some(technique.id)).collect();
        if !parts.is_empty() {
            out.push_str("<span class=\"p\">");
            for part in parts {
                let _ = write!(
                    out,
                    "<i class=\"l{}\" data-id=\"{}\" data-name=\"{}\" data-on=\"{}\" data-rules=\"{}\"></i>",
                    level(part.rules.len()),
                    part.technique.id,
                    escape(part.technique.name),
                    part.technique.platforms.join(","),
                    indices(&part.rules)
                );
            }
            out.push_str("</span>");
        }
        out.push_str("</button>\n");
    }
    out.push_str("</section>\n");
}

fn foot(out: &mut String, found: &Coverage<'_>) {
    out.push_str("<footer>\n");
    let list = |out: &mut String, title: &str, names: Vec<&str>| {
        if !names.is_empty() {
            let _ = writeln!(
                out,
                "<details><summary>{title} ({})</summary><p>{}</p></details>",
                names.len(),
                names.iter().map(|name| format!("<code>{}</code>", escape(name))).collect::<Vec<_>>().join(" ")
            );
        }
    };
    let gaps = found.techniques.iter().filter(|cell| cell.rules.is_empty() && cell.technique.parent().is_none());
    let gaps: Vec<String> = gaps.map(|cell| format!("{} {}", cell.technique.id, cell.technique.name)).collect();
    list(out, "Techniques without a rule", gaps.iter().map(String::as_str).collect());
    let unnamed = found.without_attack.iter().filter_map(|at| found.rules.get(*at));
    list(out, "Rules without a technique", unnamed.map(|counted| counted.rule.name.as_str()).collect());
    list(out, "Deprecated rules, not counted", found.deprecated.iter().map(|rule| rule.name.as_str()).collect());
    list(out, "Rules that do not run, not counted", found.left_out.iter().map(|rule| rule.name.as_str()).collect());
    list(out, "Sources of which no platform is known", found.unplaced.iter().map(String::as_str).collect());
    out.push_str("<p>A rule counts for each technique it names, and a sub-technique for the technique that it is part of; the squares in a cell are its sub-techniques. Techniques are those of ATT&amp;CK 19 on the platforms above. ATT&amp;CK is a trademark of The MITRE Corporation.</p>\n</footer>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_with_the_number_of_rules() {
        let of = |rules: &[usize]| rules.iter().map(|n| level(*n)).collect::<Vec<_>>();
        assert_eq!(of(&[0, 1, 2, 4, 5, 9, 10, 29, 30, 5000]), [0, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    }
}
