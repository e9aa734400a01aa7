//! Runs the tests that stand under rules and mappings.

mod events;
mod fixtures;
mod judge;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rayon::prelude::*;
use tripline_base::Span;
use tripline_ir as ir;
use tripline_plan::Options;
use tripline_semantic::typed;

use crate::{Alert, FixtureFiles, Ruleset};

/// How a test ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The rule or mapping.
    pub item: String,
    /// The test.
    pub test: String,
    /// Where it is written.
    pub span: Span,
    /// What went wrong, a paragraph each; empty where it passed.
    pub failures: Vec<String>,
    /// Why it was not run, where it was not.
    pub skipped: Option<String>,
}

impl Outcome {
    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.failures.is_empty() && self.skipped.is_none()
    }
}

/// Where alerts go and what is sent there, for tests that expect something of it. The program knows.
pub trait Routes: Sync {
    /// The destinations that an alert is told to.
    ///
    /// # Errors
    /// Why that cannot be known.
    fn routed(&self, alert: &Alert) -> Result<Vec<String>, String>;

    /// What a destination is sent of an alert, as a text.
    ///
    /// # Errors
    /// Why there is none.
    fn rendered(&self, alert: &Alert, destination: &str) -> Result<String, String>;
}

/// What a test that expects routes is told where nobody knows them.
const NO_ROUTES: &str = "everything else holds; where its alerts go is not looked at: name a configuration (-c)";

/// Whether a test is among those that a filter names.
pub(crate) fn wanted(filter: &str, item: &str, test: &str) -> bool {
    filter.is_empty() || format!("{item}/{test}").contains(filter)
}

/// Runs every test whose `ITEM/TEST` contains `filter`, in parallel; outcomes are in the order of the files. A test that
/// expects routes or payloads is skipped where there are no `routes` and nothing else is wrong with it.
pub fn run(
    ruleset: &Ruleset,
    files: &(dyn FixtureFiles + Sync),
    filter: &str,
    routes: Option<&dyn Routes>,
) -> Vec<Outcome> {
    let wanted = |item: &str, test: &str| wanted(filter, item, test);
    let rules = ruleset.program.rules.iter().enumerate().map(|(at, rule)| Job::Rule(at, rule));
    let mappings = ruleset.program.mappings.iter().map(Job::Mapping);
    let jobs: Vec<Job<'_>> = mappings.chain(rules).collect();
    let outcomes: Vec<Vec<Outcome>> = jobs
        .par_iter()
        .map(|job| match job {
            Job::Mapping(mapping) => {
                let tests = mapping.tests.iter().filter(|test| wanted(&mapping.name, &test.name));
                if mapping.broken {
                    return tests.map(|test| skip(&mapping.name, test, "the mapping has an error")).collect();
                }
                tests.map(|test| judge::mapping_test(ruleset, files, mapping, test)).collect()
            }
            Job::Rule(at, rule) => {
                let all = rule.tests.iter().chain(&rule.canary);
                let tests: Vec<&typed::Test> = all.filter(|test| wanted(&rule.name, &test.name)).collect();
                if rule.broken {
                    return tests.iter().map(|test| skip(&rule.name, test, "the rule has an error")).collect();
                }
                if rule.mode == typed::Mode::Off {
                    let why = "the configuration switches the rule off";
                    return tests.iter().map(|test| skip(&rule.name, test, why)).collect();
                }
                if tests.is_empty() {
                    return Vec::new();
                }
                let plan = plan(ruleset, *at, rule);
                let mut fixtures = fixtures::Fixtures::default();
                tests
                    .iter()
                    .map(|test| {
                        let telling = Telling { words: true, routes };
                        let failures =
                            judge::rule_test(ruleset, files, &mut fixtures, &plan, (*at, rule), test, telling);
                        let skipped = routes.is_none() && failures.is_empty() && asks_for_routes(&test.statements);
                        Outcome {
                            item: rule.name.clone(),
                            test: test.name.clone(),
                            span: test.span,
                            failures,
                            skipped: skipped.then(|| NO_ROUTES.to_string()),
                        }
                    })
                    .collect()
            }
        })
        .collect();
    outcomes.into_iter().flatten().collect()
}

/// A rule with the rules whose findings it takes.
pub(crate) fn plan(ruleset: &Ruleset, at: usize, rule: &typed::Rule) -> ir::Program {
    let family = family(ruleset, at, rule);
    // A test is of the rule, and of those that it names, whatever a configuration makes of them.
    let on = |rule: &typed::Rule| typed::Rule { mode: typed::Mode::On, ..rule.clone() };
    let others: BTreeMap<usize, typed::Rule> =
        family.iter().filter(|(_, rule)| rule.mode != typed::Mode::On).map(|(at, rule)| (*at, on(rule))).collect();
    let rules: Vec<(usize, &typed::Rule)> =
        family.into_iter().map(|(at, rule)| (at, others.get(&at).unwrap_or(rule))).collect();
    tripline_plan::plan_rules(&ruleset.program, &rules, Options::default())
}

/// A rule with the rules whose findings it takes, be it in a step, and those whose findings these take; by their indices.
pub(crate) fn family<'r>(ruleset: &'r Ruleset, at: usize, rule: &'r typed::Rule) -> BTreeMap<usize, &'r typed::Rule> {
    let program = &ruleset.program;
    let mut wanted: BTreeMap<usize, &typed::Rule> = BTreeMap::from([(at, rule)]);
    let mut open = vec![rule];
    while let Some(rule) = open.pop() {
        for names in rule.taken() {
            let parents = program.rules.iter().enumerate().filter(|(_, parent)| {
                let of_events = parent.taken().next().is_none();
                !parent.broken && if names.is_empty() { of_events } else { names.contains(&parent.name) }
            });
            for (at, parent) in parents {
                if let Entry::Vacant(new) = wanted.entry(at) {
                    new.insert(parent);
                    open.push(parent);
                }
            }
        }
    }
    wanted
}

fn asks_for_routes(statements: &[typed::Statement]) -> bool {
    statements.iter().any(|statement| match statement {
        typed::Statement::Expect(expect) => expect.asks_for_routes(),
        typed::Statement::Repeat { body, .. } => asks_for_routes(body),
        _ => false,
    })
}

/// What is told of a test that fails, and where alerts go.
#[derive(Clone, Copy)]
struct Telling<'t> {
    /// Whether it is told in words; otherwise one empty text stands for a failure.
    words: bool,
    routes: Option<&'t dyn Routes>,
}

enum Job<'j> {
    Rule(usize, &'j typed::Rule),
    Mapping(&'j typed::Mapping),
}

fn skip(item: &str, test: &typed::Test, why: &str) -> Outcome {
    Outcome {
        item: item.to_string(),
        test: test.name.clone(),
        span: test.span,
        failures: Vec::new(),
        skipped: Some(why.to_string()),
    }
}

/// Whether a test fails when the rule is replaced by `mutant`, whose plan this is.
pub(crate) fn kills(
    ruleset: &Ruleset,
    files: &dyn FixtureFiles,
    fixtures: &mut fixtures::Fixtures,
    plan: &ir::Program,
    (at, mutant): (usize, &typed::Rule),
    test: &typed::Test,
) -> bool {
    let telling = Telling { words: false, routes: None };
    !judge::rule_test(ruleset, files, fixtures, plan, (at, mutant), test, telling).is_empty()
}

pub use events::TestEvent;
pub(crate) use events::play;
pub use fixtures::{Fixtures, bad_fixtures};
