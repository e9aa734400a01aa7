//! Events one after another through rules over several events: what single events gave goes in, findings come out.

use tripline_base::terminal::counted;
use tripline_eval::explain::show;
use tripline_eval::time::{Counts, End, Fired, Load, Machine, Reading};
use tripline_event::Origin;
use tripline_ir::time::Owner;

use crate::finding::Several;
use crate::{Finding, Ruleset, Shown, Taken};

/// The rules over several events, and what they hold.
pub struct Stream<'r> {
    ruleset: &'r Ruleset,
    machine: Machine<'r>,
    /// Events without a time, which nothing here can judge.
    pub without_time: u64,
}

impl<'r> Stream<'r> {
    /// A stream that has seen nothing; none where the ruleset has no rule over several events.
    pub fn new(ruleset: &'r Ruleset) -> Option<Self> {
        Machine::wanted(&ruleset.ir).then(|| Self::over(ruleset, &ruleset.ir))
    }

    /// A stream over another plan of the same program.
    pub(crate) fn over(ruleset: &'r Ruleset, plan: &'r tripline_ir::Program) -> Self {
        Stream { ruleset, machine: Machine::new(plan, &ruleset.program), without_time: 0 }
    }

    /// What it holds.
    pub fn machine(&mut self) -> &mut Machine<'r> {
        &mut self.machine
    }

    /// Takes in what an event came to.
    pub fn take(&mut self, taken: &Taken) {
        if let (Some(source), Some(time)) = (taken.watched, taken.time) {
            self.machine.saw(source, time);
        }
        if taken.watched.is_some() && taken.time.is_none() {
            self.without_time += 1;
        }
        if let Some(observation) = &taken.observation {
            self.machine.observe(observation);
        }
        for finding in &taken.handed {
            self.machine.finding(finding);
        }
    }

    /// Judges what the watermarks have passed.
    pub fn advance(&mut self) -> Vec<Finding> {
        let fired = self.machine.advance();
        self.told(fired)
    }

    /// Judges everything, as nothing more comes.
    pub fn finish(&mut self, end: End) -> Vec<Finding> {
        let fired = self.machine.finish(end);
        self.told(fired)
    }

    /// Findings for people: those of silent rules are for other rules alone.
    fn told(&self, fired: Vec<Fired>) -> Vec<Finding> {
        let silent = |fired: &Fired| self.ruleset.program.rules.get(fired.rule).is_some_and(|rule| rule.silent);
        fired.into_iter().filter(|fired| !silent(fired)).map(|fired| self.finding(fired)).collect()
    }

    /// What was counted.
    pub fn counts(&self) -> &Counts {
        self.machine.counts()
    }

    /// What each rule and feature holds and gave up, by its name, always in the same order.
    pub fn loads(&self) -> Vec<(&'r str, Load)> {
        let program = &self.ruleset.program;
        let name = |node: usize| match self.ruleset.ir.time.nodes.get(node).map(|node| node.owner) {
            Some(Owner::Rule(at)) => program.rules.get(at).map_or("", |rule| rule.name.as_str()),
            Some(Owner::Feature(at)) => program.features.get(at).map_or("", |feature| feature.name.as_str()),
            None => "",
        };
        self.machine.loads().into_iter().map(|(node, load)| (name(node), load)).collect()
    }

    fn finding(&self, fired: Fired) -> Finding {
        let rule = self.ruleset.program.rules.get(fired.rule);
        let last = fired.events.last();
        let class = match rule.map(|rule| (&rule.subject, &rule.over)) {
            Some((Some(tripline_semantic::typed::Subject::Class(class)), _)) => class.name,
            Some((Some(tripline_semantic::typed::Subject::Finding(_)), _)) => "detection_finding",
            _ => "base_event",
        };
        // What belongs together for the rule belongs together for people, unless its author says otherwise.
        let over = rule.is_some_and(|rule| rule.over.is_some());
        let key = if over && fired.told.key.is_empty() { fired.key.clone() } else { fired.told.key };
        Finding {
            rule: fired.rule,
            uid: fired.uid,
            title: fired.told.title,
            severity: fired.severity,
            time: Some(fired.time),
            event_id: last.and_then(|from| from.id.as_deref()).map(str::to_string),
            origin: last.map_or_else(|| Origin { file: "".into(), line: 0 }, |from| from.origin.clone()),
            source: last.map_or_else(String::new, |from| from.source.to_string()),
            class,
            key,
            entities: fired.told.entities,
            context: fired.told.context,
            risk: fired.told.risk,
            why: rule.map(|rule| why(self.ruleset, rule, &fired.readings)).unwrap_or_default(),
            raw: String::new(),
            several: Some(Box::new(Several {
                revision: fired.revision,
                key: fired.key,
                events: fired.events,
                steps: fired.steps,
                count: fired.count,
                span: fired.span,
                readings: fired.readings,
            })),
        }
    }
}

/// What a rule over several events waits for, as written, and what features said.
fn why(ruleset: &Ruleset, rule: &tripline_semantic::typed::Rule, readings: &[Reading]) -> Vec<Shown> {
    use tripline_semantic::typed::Over;
    let spans = match &rule.over {
        None => rule.condition.iter().map(|condition| condition.span).collect(),
        Some(Over::Window(window)) => window.having.iter().map(|having| having.span).collect::<Vec<_>>(),
        Some(Over::Sequence(sequence)) => sequence.steps.iter().map(|step| step.span).collect::<Vec<_>>(),
    };
    let waited = spans.into_iter().map(|span| Shown { test: ruleset.words(span), saw: Vec::new() });
    let said = readings.iter().map(|reading| Shown { test: ruleset.words(reading.span), saw: saw(reading) });
    waited.chain(said).collect()
}

/// `true`, `3 values`, `41 observations`
fn saw(reading: &Reading) -> Vec<String> {
    if !reading.ready {
        return vec!["not known yet".into()];
    }
    let count = |n: i64, word| counted(u64::try_from(n).unwrap_or(0), word);
    let mut saw = match reading.values.as_slice() {
        [] => vec!["absent".to_string()],
        values => values.iter().map(show).collect(),
    };
    saw.extend(reading.different.map(|n| count(n, "value")));
    saw.push(count(reading.observations, "observation"));
    saw
}
