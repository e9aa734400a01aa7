//! The rule's file with the exception in it: written by the formatter, compiled, and tested, before it is on the disk.

use std::io::Write as _;
use std::path::Path;

use tripline_base::{Level, SourceMap};
use tripline_detect::{Ruleset, harness};
use tripline_semantic::typed::Rule;
use tripline_syntax::ast::{Item, RuleClause};

use super::{compile, sigma};
use crate::commands::run::Program;
use crate::desk::Desk;
use crate::load;
use crate::write::replace;

/// A ruleset with the exception in its rule.
pub struct Changed {
    pub ruleset: Ruleset,
    /// The name of the rule.
    pub rule: String,
    /// The file that is changed, and its text before and after. There is none before where it is a new one.
    file: String,
    before: Option<String>,
    after: String,
}

/// A text as it is written in a rule.
pub fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Where a further exception stands: after the last one, or else after what the rule makes of several events, the
/// condition, or what it looks at.
fn place(clauses: &[RuleClause]) -> Option<usize> {
    let last = |wanted: fn(&RuleClause) -> bool| clauses.iter().rfind(|clause| wanted(clause));
    last(|clause| matches!(clause, RuleClause::Except(_)))
        .or_else(|| last(|clause| matches!(clause, RuleClause::Having(_))))
        .or_else(|| last(|clause| matches!(clause, RuleClause::Group(_) | RuleClause::Sequence(_))))
        .or_else(|| last(|clause| matches!(clause, RuleClause::Where(_))))
        .or_else(|| last(|clause| matches!(clause, RuleClause::On(_))))
        .and_then(|clause| usize::try_from(clause.span().end).ok())
}

/// The text of a file with a clause more in one of its rules.
fn with(text: &str, rule: &str, clause: &str) -> Result<String, String> {
    let parsed = |text: &str| {
        let mut sources = SourceMap::new();
        let file = sources.add("rule", text);
        tripline_syntax::parse_file(file, text)
    };
    let parse = parsed(text);
    let found = parse.file.items.iter().find_map(|item| match item {
        Item::Rule(found) if found.name.text == rule => Some(found),
        _ => None,
    });
    let at = found.and_then(|rule| place(&rule.clauses)).ok_or("the rule has no place for an exception")?;
    let (head, tail) = text.split_at_checked(at).ok_or("the rule has no place for an exception")?;
    // What is said at the end of the line before stays there.
    let line = tail.find('\n').and_then(|end| tail.split_at_checked(end)).filter(|(rest, _)| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with("//")
    });
    let whole = match line {
        Some((rest, tail)) => format!("{head}{rest}\n{clause}\n{tail}"),
        None => format!("{head}\n{clause}\n{tail}"),
    };
    let parse = parsed(&whole);
    if parse.diagnostics.iter().any(|said| said.level() == Level::Error) {
        return Err("the exception cannot be put into the file: it does not parse then".into());
    }
    Ok(tripline_syntax::format::format(&parse.file, &whole))
}

/// The ruleset with an exception in one of its rules.
pub fn changed(
    texts: &[(String, Vec<u8>)],
    desk: &Desk,
    ruleset: &Ruleset,
    rule: &Rule,
    clause: &str,
) -> Result<Changed, String> {
    let file = ruleset.sources.name(rule.span.file).to_string();
    let mut texts = texts.to_vec();
    let (_, bytes) =
        texts.iter_mut().find(|(name, _)| *name == file).ok_or_else(|| format!("`{file}` is not among the rules"))?;
    let before = String::from_utf8(bytes.clone()).map_err(|_| format!("`{file}` is not UTF-8"))?;
    let after = with(&before, &rule.name, clause)?;
    *bytes = after.clone().into_bytes();
    let new = compile(desk, &texts)?;
    let of_file = |said: &&tripline_base::Diagnostic| new.sources.name(said.span().file) == file;
    let wrong: Vec<_> = new.diagnostics.iter().filter(of_file).cloned().collect();
    if load::say(&wrong, &new.sources, false) > 0 {
        return Err(format!("the exception `{clause}` cannot be used in this rule"));
    }
    Ok(Changed { ruleset: new, rule: rule.name.clone(), file, before: Some(before), after })
}

/// The ruleset with a filter for one of its Sigma rules, which is a file of its own.
pub fn filtered(
    texts: &[(String, Vec<u8>)],
    desk: &Desk,
    ruleset: &Ruleset,
    rule: &Rule,
    filter: &str,
) -> Result<Changed, String> {
    let file = sigma::beside(ruleset.sources.name(rule.span.file));
    let mut texts = texts.to_vec();
    texts.push((file.clone(), filter.as_bytes().to_vec()));
    let new = compile(desk, &texts)?;
    let of_file = |said: &&tripline_base::Diagnostic| new.sources.name(said.span().file) == file;
    let wrong: Vec<_> = new.diagnostics.iter().filter(of_file).cloned().collect();
    if load::say(&wrong, &new.sources, false) > 0 {
        return Err("the filter cannot be used for this rule".into());
    }
    Ok(Changed { ruleset: new, rule: rule.name.clone(), file, before: None, after: filter.to_string() })
}

/// Runs the tests of the rule. Gives how many passed.
///
/// # Errors
/// What failed.
pub fn tested(changed: &Changed, rule: &str) -> Result<usize, String> {
    let outcomes = harness::run(&changed.ruleset, &Program, &format!("{rule}/"), None);
    let own = outcomes.iter().filter(|outcome| outcome.item == rule);
    let failed: Vec<String> = own
        .clone()
        .filter(|one| !one.failures.is_empty())
        .map(|one| format!("{}: {}", one.test, one.failures.join("; ")))
        .collect();
    if failed.is_empty() { Ok(own.count()) } else { Err(failed.join("\n")) }
}

impl Changed {
    /// Writes the file, whole or not at all. Gives its name.
    pub fn write(&self, desk: &Desk) -> Result<String, String> {
        if desk.config.rules.paths.is_empty() {
            return Err(
                "the rule is shipped with the program; copy it into a folder of your own, and name that under \
                        `[rules]` as `paths`"
                    .into(),
            );
        }
        let path = Path::new(&self.file);
        let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", self.file);
        let Some(before) = &self.before else {
            let made = std::fs::File::create_new(path).and_then(|mut file| {
                file.write_all(self.after.as_bytes())?;
                file.sync_all()
            });
            return match made {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Err(format!(
                    "`{}` is there already: give it another name, or put the filter that is printed here into it",
                    self.file
                )),
                made => made.map_err(failed).map(|()| self.file.clone()),
            };
        };
        replace(path, before, &self.after)?;
        Ok(self.file.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_else_of_the_file_is_kept() {
        let text = "// first\nrule a {\n  title: \"t\"\n\n  on authentication\n  where user.uid == \"x\" // why\n    and status_id == \"Success\" // last\n\n  // of the alert\n  alert { key: [user.uid] }\n}\n\nrule b {\n  title: \"t\"\n  on authentication\n}\n";
        let clause = format!("except {} until 2027-01-01 where user.uid == \"y\"", quoted("a \"b\"\\"));
        let once = with(text, "a", &clause).unwrap();
        for kept in
            ["// first", "// why", "// last\n", "// of the alert", "except \"a \\\"b\\\"\\\\\" until 2027-01-01"]
        {
            assert!(once.contains(kept), "{kept} is missing in\n{once}");
        }
        assert!(once.find("// last").unwrap() < once.find("except").unwrap());
        let twice = with(&once, "a", "except \"c\" where user.uid == \"z\"").unwrap();
        assert!(twice.find("until 2027").unwrap() < twice.find("except \"c\"").unwrap());
        let other = with(text, "b", "except \"c\" where user.uid == \"z\"").unwrap();
        assert!(other.rfind("rule b").unwrap() < other.find("except").unwrap(), "{other}");
        assert!(with(text, "a", "except nothing").is_err() && with(text, "c", &clause).is_err());
    }
}
