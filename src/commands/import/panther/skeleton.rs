//! The text of a rule: header and tests filled in, the condition left to the engineer.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;
use tripline_base::{Level, SourceMap};
use tripline_schema::attack;

use super::names;
use super::read::{Rule, Test};

/// A rule with its fixtures.
pub struct Skeleton {
    /// The `.trip` text, in the one style.
    pub text: String,
    /// Fixtures by the name that the tests call them.
    pub fixtures: Vec<(String, Value)>,
    /// The sources that it names.
    pub sources: Vec<String>,
    /// How many tests expect an alert, and how many there are.
    pub alerts: usize,
    /// All tests.
    pub tests: usize,
}

/// Writes a rule; `name` is its name, and where its fixtures lie.
///
/// # Errors
/// What the language does not take.
pub fn skeleton(rule: &Rule, name: &str) -> Result<Skeleton, String> {
    let mut sources: Vec<String> = Vec::new();
    for source in rule.log_types.iter().flat_map(|log_type| names::sources(log_type)) {
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    if sources.is_empty() {
        sources.push("scheduled.query".into());
    }
    let mut out = String::new();
    let code = match &rule.filename {
        Some(file) => format!("in {}", line(file)),
        None => "of this rule".to_string(),
    };
    let _ =
        writeln!(out, "// Ported from {}: header and tests. The condition {code} is to be written.", line(&rule.id));
    if rule.disabled {
        out.push_str("// It was switched off where it comes from.\n");
    }
    let _ = writeln!(out, "rule {name} {{");
    header(&mut out, rule);
    let _ = writeln!(out, "  on event from {}", sources.join(", "));
    let _ = writeln!(out, "  // condition {code}. Until it stands here, each test that expects an alert fails.");
    let _ = writeln!(out, "  where raw.TODO == \"write the condition\"");
    state(&mut out, rule);
    let mut fixtures = Vec::new();
    let mut titles = BTreeSet::new();
    let mut alerts = 0;
    for test in &rule.tests {
        let Some(event) = &test.event else {
            let _ = writeln!(out, "  // The test {} has no event, and is left out.", literal(&line(&test.name)));
            continue;
        };
        let fixture = format!("{name}/{:02}.json", fixtures.len() + 1);
        alerts += usize::from(test.alert);
        self::test(&mut out, test, &source_of(test, &sources), &fixture, &mut titles);
        fixtures.push((fixture, event.clone()));
    }
    out.push_str("}\n");
    let tests = fixtures.len();
    Ok(Skeleton { text: formatted(&out)?, fixtures, sources, alerts, tests })
}

/// In the one style; what does not parse is not written.
fn formatted(text: &str) -> Result<String, String> {
    let id = SourceMap::new().add("rule", text);
    let parse = tripline_syntax::parse_file(id, text);
    match parse.diagnostics.iter().find(|said| said.level() == Level::Error) {
        Some(said) => Err(format!("it cannot be written as a rule: {}", said.message)),
        None => Ok(tripline_syntax::format::format(&parse.file, text)),
    }
}

fn header(out: &mut String, rule: &Rule) {
    let _ = writeln!(out, "title: {}", literal(&rule.display_name));
    let _ = writeln!(out, "severity: {}", severity(&rule.severity));
    let status = if rule.status.eq_ignore_ascii_case("deprecated") { "deprecated" } else { "draft" };
    let _ = writeln!(out, "status: {status}");
    let (known, unknown) = techniques(&rule.attack);
    if !known.is_empty() {
        let _ = writeln!(out, "attack: [{}]", known.join(", "));
    }
    for name in unknown {
        let _ = writeln!(out, "// ATT&CK has no {}", line(&name));
    }
    list(out, "tags", &rule.tags);
    list(out, "references", &rule.references);
    for (key, text) in [("description", &rule.description), ("runbook", &rule.runbook)] {
        if let Some(text) = text.as_ref().filter(|text| !text.is_empty()) {
            let _ = writeln!(out, "{key}: {}", literal(text));
        }
    }
    out.push('\n');
}

fn list(out: &mut String, key: &str, texts: &[String]) {
    let texts: Vec<String> = texts.iter().filter(|text| !text.is_empty()).map(|text| literal(text)).collect();
    if !texts.is_empty() {
        let _ = writeln!(out, "{key}: [{}]", texts.join(", "));
    }
}

/// What a threshold and a deduplication period ask for, which need a key that only the code names.
fn state(out: &mut String, rule: &Rule) {
    let minutes = rule.dedup_minutes.unwrap_or(60);
    if let Some(threshold) = rule.threshold.filter(|threshold| *threshold > 1) {
        let _ =
            writeln!(out, "  // threshold {threshold}: group by KEY within {minutes}m having count() >= {threshold}");
    } else if rule.dedup_minutes.is_some() {
        let _ = writeln!(out, "  // one alert in {minutes} minutes: alert {{ key: [KEY] window: {minutes}m }}");
    }
    out.push('\n');
}

fn test(out: &mut String, test: &Test, source: &str, fixture: &str, titles: &mut BTreeSet<String>) {
    let mut title = line(&test.name);
    let mut n = 1;
    while !titles.insert(title.clone()) {
        n += 1;
        title = format!("{} ({n})", line(&test.name));
    }
    let _ = writeln!(out, "\n  test {} {{", literal(&title));
    for (name, value) in &test.mocks {
        let _ = writeln!(out, "    // assumes that {} gives {}", line(name), line(value));
    }
    let _ = writeln!(out, "    event {source} from {}", literal(fixture));
    let _ = writeln!(out, "    expect {}\n  }}", if test.alert { "alert" } else { "nothing" });
}

/// The source of a test's event: that of its log type where the rule reads it, else the rule's first.
fn source_of(test: &Test, sources: &[String]) -> String {
    let said = test.log_type.iter().flat_map(|log_type| names::sources(log_type));
    let fits = said.into_iter().find(|source| sources.contains(source));
    fits.or_else(|| sources.first().cloned()).unwrap_or_default()
}

fn severity(text: &str) -> &'static str {
    match text.to_ascii_lowercase().as_str() {
        "info" => "informational",
        "low" => "low",
        "high" => "high",
        "critical" => "critical",
        _ => "medium",
    }
}

/// `TA0001:T1078` as `T1078/initial-access`, and what ATT&CK does not have.
fn techniques(entries: &[String]) -> (Vec<String>, Vec<String>) {
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    for entry in entries {
        let (uid, id) = entry.split_once(':').unwrap_or(("", entry));
        let found = attack().technique(id.trim());
        let found = found.map(|found| found.successor.and_then(|id| attack().technique(id)).unwrap_or(found));
        let Some(technique) = found else {
            unknown.push(entry.clone());
            continue;
        };
        let of = |shortname: &&&str| attack().tactic(shortname).is_some_and(|tactic| tactic.uid == uid.trim());
        // A tactic by its present name, where it has one.
        let tactic = technique.current_tactics().iter().find(of).or_else(|| technique.tactics.iter().find(of));
        let text = match tactic {
            Some(tactic) if technique.tactics.len() > 1 => format!("{}/{tactic}", technique.id),
            _ => technique.id.to_string(),
        };
        if !known.contains(&text) {
            known.push(text);
        }
    }
    (known, unknown)
}

/// Text for a comment or a title: on one line, without what steers a terminal, of bounded length.
fn line(text: &str) -> String {
    let words: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(200) {
        Some((at, _)) => format!("{}…", words.get(..at).unwrap_or_default()),
        None => words,
    }
}

/// A text as the language writes it: over several lines where it has several and they need no escapes.
fn literal(text: &str) -> String {
    let text = text.trim();
    let plain = |c: char| c == '\n' || !(c.is_control() || matches!(c, '\\' | '"'));
    if text.contains('\n') && text.chars().all(plain) && text.lines().all(|line| line == line.trim_end()) {
        let indented = text.lines().map(|line| if line.is_empty() { String::new() } else { format!("    {line}") });
        return format!("\"\"\"\n{}\n  \"\"\"", indented.collect::<Vec<_>>().join("\n"));
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_take_the_name_of_the_tactic() {
        let of = |entries: &[&str]| techniques(&entries.iter().map(|e| (*e).to_string()).collect::<Vec<_>>());
        let (known, unknown) =
            of(&["TA0001:T1078", "TA0005:T1562.008", "TA0007:T1526", "T1110", "TA0001:T9", "TA0001:T1078"]);
        assert_eq!(known, ["T1078/initial-access", "T1685.002", "T1526", "T1110"]);
        assert_eq!(unknown, ["TA0001:T9"]);
    }

    #[test]
    fn hostile_text_stays_text() {
        let nasty = "a \"quoted\" {title} \\ \u{1b}[31m // not a comment\n}\nrule other { }";
        let event = Some(serde_json::json!({ "a": 1 }));
        let test =
            Test { name: nasty.into(), alert: true, event, log_type: None, mocks: vec![(nasty.into(), nasty.into())] };
        let rule = Rule {
            id: nasty.into(),
            display_name: nasty.into(),
            filename: Some(nasty.into()),
            description: Some(nasty.into()),
            runbook: Some("1. {x}\n   indented\n2. y".into()),
            tags: vec![nasty.into()],
            attack: vec![nasty.into()],
            log_types: vec!["Okta.SystemLog".into()],
            tests: vec![test],
            ..Rule::default()
        };
        let made = skeleton(&rule, "nasty").unwrap();
        let mut compiler = tripline_detect::Compiler::new();
        let mapping = "mapping okta from okta.system_log {\n  detect where exists raw.a\n  time: timestamp(raw.t)\n\
                       otherwise -> base_event { activity_id: \"Other\" }\n}\n";
        compiler.add("mapping.trip", mapping);
        compiler.add("nasty.trip", &made.text);
        let ruleset = compiler.compile(&tripline_detect::DiskFiles, 0);
        assert!(!ruleset.has_errors(), "{:?}\n{}", ruleset.diagnostics, made.text);
        assert_eq!(ruleset.program.rules.len(), 1);
        let header = &ruleset.program.rules[0].header;
        assert_eq!(header.title, nasty);
        assert_eq!(header.description.as_deref(), Some(nasty));
        assert_eq!(header.runbook.as_deref(), Some("1. {x}\n   indented\n2. y"));
        assert!(!made.text.contains('\u{1b}'), "{}", made.text);
    }
}
