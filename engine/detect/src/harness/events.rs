//! The events of a test: fixtures with overrides, repetition, redelivery, and the test's clock.

use std::collections::BTreeSet;

use tripline_eval::{Evaluator, normalize};
use tripline_event::{Path, Segment, Value, format_time, parse_date};
use tripline_semantic::typed::{Expectation, Statement};

use super::Fixtures;
use crate::{FixtureFiles, Ruleset};

/// An event of a test.
#[derive(Clone, Debug)]
pub struct TestEvent {
    /// Its source.
    pub source: String,
    /// Its text.
    pub json: String,
    /// What it is called in messages.
    pub name: String,
}

/// What a test does.
pub struct Played<'t> {
    /// Its events, in order, with redelivered ones left out.
    pub events: Vec<TestEvent>,
    /// Its expectations, each with how many events came before it.
    pub expects: Vec<(usize, &'t Expectation)>,
}

struct Player<'p, 't> {
    ruleset: &'p Ruleset,
    files: &'p dyn FixtureFiles,
    fixtures: &'p mut Fixtures,
    beside: String,
    clock: Option<i64>,
    bindings: Vec<(String, u64)>,
    played: Played<'t>,
    /// Source and id of every event so far; none where the test redelivers nothing.
    seen: Option<BTreeSet<(String, String)>>,
}

/// Makes the events of a test.
///
/// # Errors
/// A sentence where a fixture cannot be read.
pub fn play<'t>(
    ruleset: &Ruleset,
    files: &dyn FixtureFiles,
    fixtures: &mut Fixtures,
    beside: &str,
    statements: &'t [Statement],
) -> Result<Played<'t>, String> {
    let mut player = Player {
        ruleset,
        files,
        fixtures,
        beside: beside.to_string(),
        clock: uses_clock(statements).then(|| parse_date("2026-01-01").unwrap_or(0)),
        bindings: Vec::new(),
        played: Played { events: Vec::new(), expects: Vec::new() },
        seen: redelivers(statements).then(BTreeSet::new),
    };
    player.statements(statements)?;
    Ok(player.played)
}

fn uses_clock(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| match statement {
        Statement::Advance(_) | Statement::At(_) => true,
        Statement::Repeat { every, body, .. } => every.is_some() || uses_clock(body),
        _ => false,
    })
}

fn redelivers(statements: &[Statement]) -> bool {
    statements.iter().any(|statement| match statement {
        Statement::Event { redelivered, .. } => *redelivered,
        Statement::Repeat { body, .. } => redelivers(body),
        _ => false,
    })
}

/// The id that the source's mapping declares for an event (`metadata.uid`).
fn event_id(ruleset: &Ruleset, source: &str, raw: &Value<'_>) -> Option<String> {
    let source = ruleset.ir.sources.iter().find(|known| known.name == source)?;
    let evaluator = Evaluator::new(&ruleset.ir);
    evaluator.next_event();
    let (_, arm) = normalize::arm(&evaluator, source, raw)?;
    normalize::event_id(&evaluator, arm, raw)
}

impl<'t> Player<'_, 't> {
    fn statements(&mut self, statements: &'t [Statement]) -> Result<(), String> {
        for statement in statements {
            match statement {
                Statement::Event { source, fixture, with, redelivered, .. } => {
                    self.event(source, fixture.as_ref().map(|(name, _)| name.as_str()), with, *redelivered)?;
                }
                Statement::Advance(by) => self.clock = self.clock.map(|now| now.saturating_add(*by)),
                Statement::At(time) => self.clock = Some(*time),
                Statement::Expect(expect) => self.played.expects.push((self.played.events.len(), expect)),
                Statement::Repeat { count, every, binding, body } => {
                    for round in 1..=*count {
                        if let Some(name) = binding {
                            self.bindings.push((name.clone(), round));
                        }
                        self.statements(body)?;
                        if binding.is_some() {
                            self.bindings.pop();
                        }
                        if let Some(every) = every {
                            self.clock = self.clock.map(|now| now.saturating_add(*every));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn event(
        &mut self,
        source: &str,
        fixture: Option<&str>,
        with: &[(Path, Value<'static>)],
        redelivered: bool,
    ) -> Result<(), String> {
        let (mut value, name) = match fixture {
            Some(name) => {
                let value = self.fixtures.event(self.files, &self.beside, name);
                (value.map_err(|fault| fault.to_string())?, name.to_string())
            }
            None => (Value::Object(Vec::new()), "the event written out".to_string()),
        };
        let time = self.ruleset.program.mappings.iter().find(|m| m.source == source).and_then(|m| m.time_path.clone());
        if let (Some(clock), Some(path)) = (self.clock, &time)
            && !with.iter().any(|(set, _)| set == path)
            && path.0.iter().all(|segment| matches!(segment, Segment::Key(_)))
        {
            value.set(&path.0, Value::text(format_time(clock)));
        }
        for (path, set) in with {
            value.set(&path.0, self.bind(set));
        }
        let json = serde_json::to_string(&value).map_err(|why| why.to_string())?;
        // Delivered again: recognised by its id, and judged once. All other events are new ones, whatever their
        // ids; content alone tells nothing, since what happens twice may look the same.
        if let Some(seen) = &mut self.seen
            && let Some(id) = event_id(self.ruleset, source, &value)
            && !seen.insert((source.to_string(), id))
            && redelivered
        {
            return Ok(());
        }
        self.played.events.push(TestEvent { source: source.to_string(), json, name });
        Ok(())
    }

    /// `{n}` in texts is the number of the round.
    fn bind(&self, value: &Value<'static>) -> Value<'static> {
        match value {
            Value::Text(text) if !self.bindings.is_empty() => {
                let mut text = text.to_string();
                for (name, round) in &self.bindings {
                    text = text.replace(&format!("{{{name}}}"), &round.to_string());
                }
                Value::text(text)
            }
            Value::Array(items) => Value::Array(items.iter().map(|item| self.bind(item)).collect()),
            Value::Object(members) => {
                Value::Object(members.iter().map(|(key, value)| (key.clone(), self.bind(value))).collect())
            }
            other => other.clone(),
        }
    }
}
