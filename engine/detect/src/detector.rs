//! Judges events with a compiled ruleset.

use tripline_eval::Matcher;
use tripline_event::{Origin, Value};
use tripline_ir::Source;

use crate::Ruleset;
use crate::finding::{Context, Finding, arm_of, finding, time_and_id};

/// How the source of an event is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceChoice {
    /// From the event itself, by the mappings' `detect`.
    Detect,
    /// Said by the caller.
    Named(String),
}

/// What judging an event came to.
#[derive(Debug, Default)]
pub struct Judged {
    /// The event's source; none where no mapping knows it.
    pub source: Option<String>,
    /// Findings.
    pub findings: Vec<Finding>,
    /// Findings that an exception took away: rule and exception, by index.
    pub excepted: Vec<(usize, usize)>,
}

/// Judges one event after another. Cheap to make; one for each thread.
pub struct Detector<'r> {
    ruleset: &'r Ruleset,
    matcher: Matcher<'r>,
}

impl<'r> Detector<'r> {
    /// A detector with a ruleset.
    pub fn new(ruleset: &'r Ruleset) -> Self {
        Detector { ruleset, matcher: Matcher::new(&ruleset.ir) }
    }

    /// The ruleset.
    pub fn ruleset(&self) -> &'r Ruleset {
        self.ruleset
    }

    /// The matcher.
    pub fn matcher(&self) -> &Matcher<'r> {
        &self.matcher
    }

    /// The source of an event.
    pub fn source(&self, choice: &SourceChoice, raw: &Value<'_>) -> Option<&'r Source> {
        match choice {
            SourceChoice::Detect => self.matcher.detect(raw),
            SourceChoice::Named(name) => self.ruleset.ir.sources.iter().find(|source| source.name == *name),
        }
    }

    /// Counts matches only: calls `hit` with the index of each rule that matches and is not excepted.
    /// Gives the event's source; none where no mapping knows it.
    pub fn count(&self, choice: &SourceChoice, raw: &Value<'_>, hit: &mut dyn FnMut(usize)) -> Option<&'r Source> {
        let source = self.source(choice, raw)?;
        let evaluator = self.matcher.evaluator();
        self.matcher.matches(source, raw, &mut |found| {
            let rule = found.plan.rule;
            if found.plan.exceptions.is_empty() {
                hit(rule);
                return;
            }
            let (time, _) = time_and_id(evaluator, source, raw);
            if self.exception(rule, &found, time, raw).is_none() {
                hit(rule);
            }
        });
        Some(source)
    }

    /// The first exception that takes the match away.
    fn exception(
        &self,
        rule: usize,
        found: &tripline_eval::Match<'_>,
        time: Option<i64>,
        raw: &Value<'_>,
    ) -> Option<usize> {
        let declared = &self.ruleset.program.rules.get(rule)?.exceptions;
        found
            .plan
            .exceptions
            .iter()
            .find(|(index, condition)| {
                let until = declared.get(*index).and_then(|e| e.until);
                // An event without a time is not known to be before the date.
                let in_force = until.is_none_or(|until| time.is_some_and(|time| time < until));
                in_force && self.matcher.evaluator().test(*condition, raw)
            })
            .map(|(index, _)| *index)
    }

    /// Judges an event. `bytes` are what it was read from.
    pub fn judge(&self, choice: &SourceChoice, raw: &Value<'_>, bytes: &[u8], origin: &Origin) -> Judged {
        let Some(source) = self.source(choice, raw) else { return Judged::default() };
        let evaluator = self.matcher.evaluator();
        let mut judged = Judged { source: Some(source.name.clone()), ..Judged::default() };
        let mut context: Option<Context<'_>> = None;
        self.matcher.matches(source, raw, &mut |found| {
            let context = context.get_or_insert_with(|| {
                let (time, event_id) = time_and_id(evaluator, source, raw);
                Context {
                    evaluator,
                    sources: &self.ruleset.sources,
                    source: &source.name,
                    class: arm_of(evaluator, source, raw).map_or("base_event", |arm| arm.class.name),
                    raw,
                    bytes,
                    origin: origin.clone(),
                    time,
                    event_id,
                }
            });
            let rule = found.plan.rule;
            match self.exception(rule, &found, context.time, raw) {
                Some(exception) => judged.excepted.push((rule, exception)),
                None => {
                    if let Some(rule) = self.ruleset.program.rules.get(rule) {
                        judged.findings.push(finding(context, &found, rule));
                    }
                }
            }
        });
        judged
    }
}
