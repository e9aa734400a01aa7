//! Whether a rule can ever fire: given the sources that there are, and the fields that their events have.
//!
//! A rule is planned over the raw fields of each source that it looks at, so that a field that a mapping does not fill is
//! a constant in its condition. A condition is then looked at with nothing known but which raw paths may have a value:
//! where it cannot hold, whatever the values, the rule cannot fire. It errs on the side of firing.

use tripline_event::{Path, Value};
use tripline_ir::{Arena, Explain, Id, Kind, Root, Shape};
use tripline_semantic::typed::{Rule, Subject};

use crate::Ruleset;
use crate::coverage::sources_of;

/// Whether a rule can fire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fires {
    /// It can.
    Can,
    /// Nothing brings events of any of these sources.
    NoSource(Vec<String>),
    /// Events come, and lack what it needs.
    NoField {
        /// The sources that come.
        sources: Vec<String>,
        /// The tests that cannot hold, as they are written.
        tests: Vec<String>,
    },
    /// None of the rules whose findings it takes can fire.
    NoFinding(Vec<String>),
}

/// Whether each rule that runs can fire, by its index. `comes` says whether events of a source come, and `present`
/// whether they may have a value at a path.
pub fn fires(
    ruleset: &Ruleset,
    comes: &dyn Fn(&str) -> bool,
    present: &dyn Fn(&str, &Path) -> bool,
) -> Vec<(usize, Fires)> {
    let rules = &ruleset.program.rules;
    let active = || rules.iter().enumerate().filter(|(_, rule)| tripline_plan::is_planned(rule));
    let mut out: Vec<(usize, Fires)> =
        active().map(|(at, rule)| (at, alone(ruleset, at, rule, comes, present))).collect();
    // Rules over findings stand in no circle, so each round settles those whose own are settled.
    for _ in 0..out.len() {
        let names: Vec<&str> = out
            .iter()
            .filter(|(_, fires)| *fires == Fires::Can)
            .filter_map(|(at, _)| rules.get(*at).map(|rule| rule.name.as_str()))
            .collect();
        let lost = |at: usize| -> Option<Vec<String>> {
            let cannot =
                |taken: &&[String]| !taken.is_empty() && !taken.iter().any(|name| names.contains(&name.as_str()));
            needed(rules.get(at)?).into_iter().find(cannot).map(<[String]>::to_vec)
        };
        let next: Vec<(usize, Vec<String>)> = out
            .iter()
            .filter(|(_, fires)| *fires == Fires::Can)
            .filter_map(|(at, _)| Some((*at, lost(*at)?)))
            .collect();
        if next.is_empty() {
            break;
        }
        for (at, taken) in next {
            if let Some((_, fires)) = out.iter_mut().find(|(known, _)| *known == at) {
                *fires = Fires::NoFinding(taken);
            }
        }
    }
    out
}

/// The rules of which one must fire, for the rule itself and for each step that must be found; no name stands for all.
fn needed(rule: &Rule) -> Vec<&[String]> {
    let steps = rule.over.iter().flat_map(|over| over.steps()).filter(|step| step.name.is_some());
    let subjects = rule.subject.iter().chain(steps.map(|step| &step.subject));
    subjects
        .filter_map(|subject| match subject {
            Subject::Finding(names) => Some(names.as_slice()),
            _ => None,
        })
        .collect()
}

fn alone(
    ruleset: &Ruleset,
    at: usize,
    rule: &Rule,
    comes: &dyn Fn(&str) -> bool,
    present: &dyn Fn(&str, &Path) -> bool,
) -> Fires {
    if matches!(rule.subject, Some(Subject::Finding(_))) {
        return Fires::Can;
    }
    let needed = sources_of(&ruleset.program, rule);
    let steps = rule.over.iter().flat_map(|over| over.steps()).filter(|step| step.name.is_some());
    // A step that has a name must be found.
    let lacking =
        steps.filter(|step| !step.sources.is_empty()).find(|step| !step.sources.iter().any(|name| comes(name)));
    if let Some(step) = lacking {
        return Fires::NoSource(step.sources.clone());
    }
    if !needed.is_empty() && !needed.iter().any(|name| comes(name)) {
        return Fires::NoSource(needed.into_iter().map(str::to_string).collect());
    }
    let mut tests: Vec<String> = Vec::new();
    let mut sources: Vec<String> = Vec::new();
    let mut planned = false;
    for source in ruleset.ir.sources.iter().filter(|source| comes(&source.name)) {
        let present = |path: &Path| present(&source.name, path);
        let may = May { arena: &ruleset.ir.arena, present: &present };
        let plans = source.rules.iter().chain(source.arms.iter().flat_map(|arm| &arm.rules));
        for plan in plans.filter(|plan| plan.rule == at) {
            planned = true;
            if may.hold(plan.condition) {
                return Fires::Can;
            }
            if !sources.contains(&source.name) {
                sources.push(source.name.clone());
            }
            if let Some(explain) = &plan.explain {
                may.blame(explain, &mut |explain| {
                    let words = ruleset.words(explain.span);
                    if !tests.contains(&words) {
                        tests.push(words);
                    }
                });
            }
        }
    }
    // What is not planned as a whole (a rule over several events by features) is left alone.
    if planned { Fires::NoField { sources, tests } } else { Fires::Can }
}

/// Whether expressions may hold or have a value.
struct May<'a> {
    arena: &'a Arena,
    present: &'a dyn Fn(&Path) -> bool,
}

impl May<'_> {
    /// Whether a condition may hold.
    fn hold(&self, id: Id) -> bool {
        match &self.arena.get(id).kind {
            Kind::Const(value) => *value == Value::Bool(true),
            Kind::And(all) => all.iter().all(|one| self.hold(*one)),
            Kind::Or(all) => all.iter().any(|one| self.hold(*one)),
            Kind::Not(inner) => self.arena.constant(*inner) != Some(&Value::Bool(true)),
            Kind::Compare { left, right, .. } => self.value(*left) && self.value(*right),
            Kind::Matches { left, .. } | Kind::InItems { left, .. } | Kind::InList { left, .. } => self.value(*left),
            Kind::InArray { left, array } => self.value(*left) && self.value(*array),
            Kind::Exists(inner) => self.value(*inner),
            // All of nothing is none; see the language.
            Kind::Quantified { array, .. } => self.value(*array),
            _ => self.value(id),
        }
    }

    /// Whether an expression may have a value.
    fn value(&self, id: Id) -> bool {
        match &self.arena.get(id).kind {
            Kind::Const(value) => !value.is_absent(),
            // Of an element nothing is known but that of its array.
            Kind::Path(Root::Element(_), _) => true,
            Kind::Path(_, path) => (self.present)(path),
            Kind::Then(inner, _)
            | Kind::Convert(inner, _)
            | Kind::Caption(inner, _)
            | Kind::Anywhere(inner)
            | Kind::Collect(inner) => self.value(*inner),
            Kind::Each(all) | Kind::Coalesce(all) | Kind::Array(all) => all.iter().any(|one| self.value(*one)),
            Kind::For { array, .. } => self.value(*array),
            Kind::Lookup { key, .. } => self.value(*key),
            Kind::Arithmetic { left, right, .. } => self.value(*left) && self.value(*right),
            Kind::Cases(cases) => cases.iter().any(|(condition, value)| self.hold(*condition) && self.value(*value)),
            Kind::Object(members) => members.iter().any(|(_, member)| self.value(*member)),
            _ => true,
        }
    }

    /// The tests because of which a condition cannot hold.
    fn blame(&self, explain: &Explain, told: &mut dyn FnMut(&Explain)) {
        if self.hold(explain.condition) {
            return;
        }
        match explain.shape {
            Shape::And | Shape::Or => explain.parts.iter().for_each(|part| self.blame(part, told)),
            Shape::Not | Shape::Test => told(explain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Compiler, DiskFiles};

    const TEXT: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time: timestamp(raw.at)
  user.uid: raw.user
  otherwise -> authentication { status_id: match raw.result { "ok" => "Success" } }
}
rule signed_in { title: "a" severity: low on authentication where status_id == "Success" and user.uid == "ann" alert {} }
rule abroad { title: "b" severity: low on authentication where src_endpoint.location.country == "FR" alert {} }
rule either { title: "c" severity: low on authentication where user.name == "x" or user.uid == "y" alert {} }
rule absent { title: "d" severity: low on authentication where not exists user.name alert {} }
rule of_okta { title: "e" severity: low on event from okta.system_log where raw.a == 1 alert {} }
rule raw_field { title: "f" severity: low on event from demo.idp where raw.extra.deep == 1 alert {} }
rule follows { title: "g" severity: low on finding from abroad group by entity within 1h having count() >= 2 alert {} }
rule in_steps { title: "h" severity: low sequence by entity within 1h { a: finding from signed_in b: finding from abroad }
  alert {} }
rule not_after { title: "i" severity: low sequence by entity within 1h { a: finding from signed_in not finding from abroad }
  alert {} }
"#;

    fn told(comes: &[&str], present: &dyn Fn(&str, &Path) -> bool) -> Vec<(String, Fires)> {
        let mut compiler = Compiler::new();
        compiler.add_taxonomy("t.toml", b"[[source]]\nname = \"okta.system_log\"\n");
        compiler.add("a.trip", TEXT);
        let ruleset = compiler.compile(&DiskFiles, 0);
        assert_eq!(ruleset.broken(), Vec::<&str>::new(), "{:?}", ruleset.diagnostics);
        let fires = fires(&ruleset, &|name| comes.contains(&name), present);
        fires.into_iter().map(|(at, fires)| (ruleset.program.rules[at].name.clone(), fires)).collect()
    }

    fn of<'t>(told: &'t [(String, Fires)], name: &str) -> &'t Fires {
        &told.iter().find(|(known, _)| known == name).unwrap_or_else(|| panic!("no {name} in {told:?}")).1
    }

    #[test]
    fn a_field_that_no_mapping_fills_keeps_a_rule_from_firing() {
        let told = told(&["demo.idp"], &|_, _| true);
        for name in ["signed_in", "either", "absent", "raw_field"] {
            assert_eq!(*of(&told, name), Fires::Can, "{name}");
        }
        let tests = vec!["src_endpoint.location.country == \"FR\"".to_string()];
        assert_eq!(*of(&told, "abroad"), Fires::NoField { sources: vec!["demo.idp".into()], tests });
        assert_eq!(*of(&told, "of_okta"), Fires::NoSource(vec!["okta.system_log".into()]));
        assert_eq!(*of(&told, "follows"), Fires::NoFinding(vec!["abroad".into()]));
        assert_eq!(*of(&told, "in_steps"), Fires::NoFinding(vec!["abroad".into()]));
        assert_eq!(*of(&told, "not_after"), Fires::Can);
    }

    #[test]
    fn a_field_that_never_came_keeps_a_rule_from_firing() {
        let seen = |_: &str, path: &Path| {
            path.to_string() != "user" && !path.to_string().trim_start_matches('"').starts_with("extra")
        };
        let told = told(&["demo.idp"], &seen);
        assert_eq!(*of(&told, "absent"), Fires::Can);
        for (name, test) in [("signed_in", "user.uid == \"ann\""), ("raw_field", "raw.extra.deep == 1")] {
            let tests = vec![test.to_string()];
            assert_eq!(*of(&told, name), Fires::NoField { sources: vec!["demo.idp".into()], tests }, "{name}");
        }
    }
}
