//! Sigma rules as text of the native language, or why there is none.

use std::collections::{BTreeMap, BTreeSet};

use tripline_base::FileId;
use tripline_event::{Path, View};
use tripline_semantic::typed::Rule;
use tripline_syntax::ast::{self, RuleClause};

use crate::Ruleset;

/// A Sigma rule as a rule of this language.
#[derive(Clone, Debug)]
pub struct Converted {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Option<String>,
    /// The file that it comes from.
    pub file: FileId,
    /// The source of its events.
    pub source: String,
    /// Its text, formatted; or why there is none.
    pub text: Result<String, String>,
}

/// What each step or input of a rule looks at: the class, and the sources or rules.
fn parts(rule: &ast::Rule) -> Vec<(&str, &[ast::Name])> {
    rule.clauses
        .iter()
        .flat_map(|clause| match clause {
            RuleClause::On(on) => vec![(on.class.text.as_str(), on.from.as_slice())],
            RuleClause::Group(group) => of_steps(&group.inputs),
            RuleClause::Sequence(sequence) => of_steps(&sequence.steps),
            _ => Vec::new(),
        })
        .collect()
}

fn of_steps(steps: &[ast::Step]) -> Vec<(&str, &[ast::Name])> {
    steps.iter().map(|step| (step.class.text.as_str(), step.from.as_slice())).collect()
}

/// The sources that a rule names.
pub(super) fn sources(rule: &ast::Rule) -> Vec<&str> {
    let events = parts(rule).into_iter().filter(|(class, _)| *class != "finding");
    events.flat_map(|(_, from)| from.iter().map(|name| name.text.as_str())).collect()
}

/// The rules whose findings a rule takes.
fn taken(rule: &ast::Rule) -> Vec<&str> {
    let findings = parts(rule).into_iter().filter(|(class, _)| *class == "finding");
    findings.flat_map(|(_, from)| from.iter().map(|name| name.text.as_str())).collect()
}

/// The rules that have no error, as text.
pub(crate) fn converted(rules: ast::File, ruleset: &Ruleset) -> Vec<Converted> {
    let broken: BTreeSet<&str> = ruleset.broken().into_iter().collect();
    let rules: Vec<ast::Rule> = rules
        .items
        .into_iter()
        .filter_map(|item| match item {
            ast::Item::Rule(rule) if !broken.contains(rule.name.text.as_str()) => Some(rule),
            _ => None,
        })
        .collect();
    let checked: BTreeMap<&str, &Rule> = ruleset.program.rules.iter().map(|rule| (rule.name.as_str(), rule)).collect();
    let by_group: BTreeSet<&str> = rules.iter().flat_map(taken).collect();
    let unsaid_of = |rule: &ast::Rule| {
        let name = rule.name.text.as_str();
        unsaid(rule, checked.get(name).copied(), by_group.contains(name))
    };
    let mut refused: BTreeMap<&str, String> =
        rules.iter().filter_map(|rule| Some((rule.name.text.as_str(), unsaid_of(rule)?))).collect();
    // Who takes findings of a rule that is refused is refused.
    while let Some((rule, of)) = rules.iter().find_map(|rule| {
        let open = !refused.contains_key(rule.name.text.as_str());
        let of = taken(rule).into_iter().find(|name| open && refused.contains_key(name))?;
        Some((rule, of))
    }) {
        refused.insert(&rule.name.text, format!("it takes the findings of `{of}`, which cannot be converted"));
    }
    let mut out = Vec::new();
    for rule in &rules {
        let name = rule.name.text.as_str();
        let checked = checked.get(name).copied();
        let unknown = sources(rule).into_iter().find(|source| !is_known(ruleset, source));
        let text = match (refused.get(name), unknown) {
            (Some(reason), _) => Err(reason.clone()),
            (None, Some(source)) => Err(format!(
                "no taxonomy knows its log source; add a source `{source}` and the log source to one, and name it with \
                 `--taxonomy`"
            )),
            (None, None) => {
                tripline_sigma::rule_text(rule).map_err(|_| "it cannot be written in this language".to_string())
            }
        };
        out.push(Converted {
            name: name.to_string(),
            id: checked.and_then(|checked| checked.header.id.clone()),
            file: rule.span.file,
            source: sources(rule).first().map(ToString::to_string).unwrap_or_default(),
            text,
        });
    }
    out
}

fn is_known(ruleset: &Ruleset, source: &str) -> bool {
    let mapped = ruleset.program.mappings.iter().any(|mapping| mapping.source == source);
    mapped || ruleset.program.sources.get(source).is_some_and(|info| !info.view.shapes.is_empty())
}

/// What of a rule this language has no words for.
fn unsaid(rule: &ast::Rule, checked: Option<&Rule>, taken_by_group: bool) -> Option<String> {
    if rule.silent {
        return Some("its findings are for other rules alone, and every rule of this language tells its own".into());
    }
    for clause in &rule.clauses {
        let (by, names) = match clause {
            RuleClause::Group(group) if !group.inputs.is_empty() => {
                return Some("it counts over several rules at once, and a window of this language has one `on`".into());
            }
            RuleClause::Group(group) => (group.by.as_slice(), &group.names),
            RuleClause::Sequence(sequence) => {
                (sequence.steps.first().map_or(&[][..], |step| step.by.as_slice()), &sequence.names)
            }
            _ => continue,
        };
        if by.is_empty() {
            return Some("it has no `group-by`, and windows and sequences of this language have a key".into());
        }
        let own = checked.and_then(|checked| checked.over.as_ref()).map(|over| over.first_key()).unwrap_or_default();
        let said = names.iter().map(|name| Some(Path(View::steps(&name.text))));
        if taken_by_group && !said.eq(own) {
            return Some("its key has a name of its own, which other rules use and this language cannot give".into());
        }
    }
    None
}
