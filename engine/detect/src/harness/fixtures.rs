//! The fixtures of tests: each is read and parsed once, and what cannot be is said where a test names it.

use std::collections::HashMap;

use tripline_base::{Diagnostic, Span};
use tripline_event::{Value, parse_json};
use tripline_semantic::codes::BAD_FIXTURE;
use tripline_semantic::typed::Statement;

use crate::files::LOOKED_FOR;
use crate::{FixtureFiles, Ruleset};

/// Fixtures that were read: the `.trip` file and the name in it, to the event.
#[derive(Default)]
pub struct Fixtures(HashMap<(String, String), Result<Value<'static>, Fault>>);

/// Why there is no event.
#[derive(Clone, Debug)]
pub struct Fault {
    said: String,
    help: &'static str,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}; {}", self.said, self.help)
    }
}

impl Fixtures {
    /// The event in the fixture `name` of the `.trip` file `beside`.
    ///
    /// # Errors
    /// Why it cannot be read, or what else it holds.
    pub fn event(&mut self, files: &dyn FixtureFiles, beside: &str, name: &str) -> Result<Value<'static>, Fault> {
        let key = (beside.to_string(), name.to_string());
        self.0.entry(key).or_insert_with(|| read(files, beside, name)).clone()
    }
}

fn read(files: &dyn FixtureFiles, beside: &str, name: &str) -> Result<Value<'static>, Fault> {
    let text = files
        .fixture(beside, name)
        .map_err(|why| Fault { said: format!("the fixture `{name}` cannot be read: {why}"), help: LOOKED_FOR })?;
    let other = |why: &str| Fault {
        said: format!("the fixture `{name}` is not an event: {why}"),
        help: "a fixture is a file with one JSON object",
    };
    match parse_json(text.as_bytes()) {
        Ok(value @ Value::Object(_)) => Ok(value.into_owned()),
        Ok(_) => Err(other("it holds JSON, and no object")),
        Err(why) => Err(other(&why.to_string())),
    }
}

/// What cannot be read of the fixtures that tests in the files called `names` want.
///
/// Compiling does not ask for this: a rule runs without its fixtures, and those of a rule that is built into a
/// program are nowhere on the disk.
pub fn bad_fixtures(ruleset: &Ruleset, files: &dyn FixtureFiles, names: &[String]) -> Vec<Diagnostic> {
    let program = &ruleset.program;
    let rules =
        program.rules.iter().flat_map(|rule| rule.tests.iter().chain(&rule.canary).map(|test| (&rule.name, test)));
    let mappings = program.mappings.iter().flat_map(|mapping| mapping.tests.iter().map(|test| (&mapping.name, test)));
    let mut fixtures = Fixtures::default();
    let mut out = Vec::new();
    for (item, test) in rules.chain(mappings) {
        let beside = ruleset.sources.name(test.span.file);
        if names.iter().any(|name| name == beside) {
            look(&test.statements, &mut |name, span| {
                if let Err(fault) = fixtures.event(files, beside, name) {
                    let mut diagnostic = Diagnostic::new(&BAD_FIXTURE, span, fault.said).help(fault.help);
                    diagnostic.item = Some(item.clone());
                    out.push(diagnostic);
                }
            });
        }
    }
    out
}

fn look(statements: &[Statement], seen: &mut impl FnMut(&str, Span)) {
    for statement in statements {
        match statement {
            Statement::Event { fixture: Some((name, span)), .. } => seen(name, *span),
            Statement::Repeat { body, .. } => look(body, seen),
            _ => {}
        }
    }
}
