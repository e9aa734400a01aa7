//! Which rules match one event.

use tripline_event::Value;
use tripline_ir::{Arm, Program, RulePlan, Source};

use crate::{Evaluator, normalize};

/// A rule that matches, and where it was found.
#[derive(Clone, Copy, Debug)]
pub struct Match<'p> {
    /// The rule over this arm.
    pub plan: &'p RulePlan,
    /// The arm that the event takes; none where the rule looks at events as they came.
    pub arm: Option<&'p Arm>,
}

/// Judges one event after another.
pub struct Matcher<'p> {
    evaluator: Evaluator<'p>,
}

impl<'p> Matcher<'p> {
    /// A matcher of a program.
    pub fn new(program: &'p Program) -> Self {
        Matcher { evaluator: Evaluator::new(program) }
    }

    /// The evaluator, for what is asked about an event that matched.
    pub fn evaluator(&self) -> &Evaluator<'p> {
        &self.evaluator
    }

    /// The source whose mapping says that the event is its own.
    pub fn detect(&self, raw: &Value<'_>) -> Option<&'p Source> {
        self.evaluator.next_event();
        let sources = &self.evaluator.program().sources;
        sources.iter().find(|source| source.detect.is_some_and(|detect| self.evaluator.test(detect, raw)))
    }

    /// Calls `found` for every rule whose condition holds. Exceptions are the caller's: they ask for the
    /// event's time.
    pub fn matches(&self, source: &'p Source, raw: &Value<'_>, found: &mut dyn FnMut(Match<'p>)) {
        self.evaluator.next_event();
        for plan in &source.rules {
            if self.evaluator.test(plan.condition, raw) {
                found(Match { plan, arm: None });
            }
        }
        if source.arms.iter().all(|arm| arm.rules.is_empty()) {
            return;
        }
        let Some((_, arm)) = normalize::arm(&self.evaluator, source, raw) else { return };
        for plan in &arm.rules {
            if self.evaluator.test(plan.condition, raw) {
                found(Match { plan, arm: Some(arm) });
            }
        }
    }
}
