//! What is injected into a running service to learn whether a rule would fire: which events, moved to now; what rules over
//! several events find in them alone; and why no finding came of them.
//!
//! Deliberately lacks: where they are injected, and what becomes of what they find.

use std::sync::Arc;

use tripline_eval::explain::see;
use tripline_eval::{Evaluator, normalize};
use tripline_event::{Path, Segment, Value, format_time, parse_json, parse_time};
use tripline_ir::Source;
use tripline_semantic::typed::{CANARY_EVENTS, Rule, Subject, Test};

use crate::finding::{reasons, time_and_id};
use crate::harness::{Fixtures, TestEvent, family, play};
use crate::{Detector, End, Finding, FixtureFiles, Ruleset, SourceChoice, Stream, Taken};

const SECOND: i64 = 1_000_000_000;
const WEEK: i64 = 7 * 86_400 * SECOND;
/// The units that numbers count times in, in nanoseconds.
const UNITS: [i64; 4] = [SECOND, 1_000_000, 1_000, 1];

/// What is injected for a rule: its canary, or, where `tests` stand in for it, the first of its tests that expects alerts
/// alone. None where there is no such test of at most [`CANARY_EVENTS`] events.
pub fn of(rule: &Rule, tests: bool) -> Option<&Test> {
    let fits = |test: &&Test| test.is_positive() && (1..=CANARY_EVENTS).contains(&test.events());
    rule.canary.as_ref().or_else(|| rule.tests.iter().filter(|_| tests).find(fits))
}

/// The events of a canary, as if the last of them had just happened: every time in them is moved by as much. What counts
/// hours or windows is moved by whole weeks, so that hours and days stay what they are. Where the time of some event
/// cannot be moved, all stay as they are.
///
/// # Errors
/// Where a fixture cannot be read.
pub fn events(
    ruleset: &Ruleset,
    files: &dyn FixtureFiles,
    fixtures: &mut Fixtures,
    at: usize,
    test: &Test,
    now: i64,
) -> Result<Vec<TestEvent>, String> {
    let beside = ruleset.sources.name(test.span.file);
    let mut events = play(ruleset, files, fixtures, beside, &test.statements)?.events;
    let rules = ruleset.program.rules.get(at).map(|rule| family(ruleset, at, rule)).unwrap_or_default();
    let keeps_hours = rules.values().any(|rule| rule.stateful.is_some() || rule.asks_for_hours());
    let clock = Clock { ruleset, evaluator: Evaluator::new(&ruleset.ir) };
    let latest = events.iter().filter_map(|event| clock.time(&event.source, &parse(&event.json)?)).max();
    let Some(latest) = latest else { return Ok(events) };
    let unit = if keeps_hours { WEEK } else { SECOND };
    let by = now.saturating_sub(latest).div_euclid(unit).saturating_mul(unit);
    let moved: Option<Vec<String>> = events.iter().map(|event| clock.moved(event, by)).collect();
    for (event, json) in events.iter_mut().zip(moved.into_iter().flatten()) {
        event.json = json;
    }
    Ok(events)
}

fn parse(json: &str) -> Option<Value<'_>> {
    parse_json(json.as_bytes()).ok()
}

/// Tells and moves the times of events.
struct Clock<'r> {
    ruleset: &'r Ruleset,
    evaluator: Evaluator<'r>,
}

impl Clock<'_> {
    fn time(&self, source: &str, raw: &Value<'_>) -> Option<i64> {
        let source = self.ruleset.ir.sources.get(self.ruleset.ir.source(source)?)?;
        self.evaluator.next_event();
        time_and_id(&self.evaluator, source, raw).0
    }

    /// The event with all its times moved; none where that does not move its own.
    fn moved(&self, event: &TestEvent, by: i64) -> Option<String> {
        let mut raw = parse(&event.json)?.into_owned();
        // What has no time has none to be moved.
        let Some(time) = self.time(&event.source, &raw) else { return Some(event.json.clone()) };
        move_texts(&mut raw, by);
        let wanted = time.saturating_add(by);
        let is_there = |raw: &Value<'_>| {
            let now = self.time(&event.source, raw);
            now.is_some_and(|now| now.saturating_sub(wanted).saturating_abs() < SECOND)
        };
        if !is_there(&raw) {
            let mut mappings = self.ruleset.program.mappings.iter();
            let path = mappings.find(|mapping| mapping.source == event.source)?.time_path.as_ref()?;
            move_number(&mut raw, path, time, by)?;
        }
        is_there(&raw).then(|| serde_json::to_string(&raw).ok()).flatten()
    }
}

/// Moves every text that is a date with a time, whatever follows it: fractions, an offset.
fn move_texts(value: &mut Value<'static>, by: i64) {
    match value {
        Value::Text(text) => {
            if let Some(moved) = moved_text(text, by) {
                *value = Value::text(moved);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| move_texts(item, by)),
        Value::Object(members) => members.iter_mut().for_each(|(_, member)| move_texts(member, by)),
        _ => {}
    }
}

fn moved_text(text: &str, by: i64) -> Option<String> {
    let (whole, rest) = (text.get(..19)?, text.get(19..)?);
    let between = whole.get(10..11).filter(|between| ["T", " "].contains(between))?;
    let ends = rest.is_empty() || rest.starts_with(['.', ',', 'Z', '+', '-', ' ']);
    let plain = format!("{}T{}Z", whole.get(..10)?, whole.get(11..)?);
    let time = parse_time(&plain).filter(|_| ends)?;
    let moved = format_time(time.checked_add(by)?);
    Some(format!("{}{between}{}{rest}", moved.get(..10)?, moved.get(11..19)?))
}

/// Moves a time that is a number (or the digits of one) since 1970, in whatever unit it is in.
fn move_number(raw: &mut Value<'static>, path: &Path, time: i64, by: i64) -> Option<()> {
    if !path.0.iter().all(|segment| matches!(segment, Segment::Key(_))) {
        return None;
    }
    let found = path.get(raw)?;
    let moved = match found {
        Value::Int(number) => Value::Int(number.checked_add(by / unit_of(*number, time)?)?),
        Value::Float(number) => Value::Float(number + by as f64 / unit_of(*number as i64, time)? as f64),
        Value::Text(text) => {
            let number: i64 = text.parse().ok()?;
            Value::text(number.checked_add(by / unit_of(number, time)?)?.to_string())
        }
        _ => return None,
    };
    raw.set(&path.0, moved);
    Some(())
}

fn unit_of(number: i64, time: i64) -> Option<i64> {
    let fits = |unit: &i64| number.saturating_mul(*unit).saturating_sub(time).saturating_abs() < SECOND;
    UNITS.into_iter().find(fits)
}

/// What rules over several events find in what events came to, where nothing came before and nothing comes after. Each
/// event counts as one of its own, whatever its id.
pub fn follow(ruleset: &Ruleset, taken: &mut [&mut Taken]) -> Vec<Finding> {
    let Some(mut stream) = Stream::new(ruleset) else { return Vec::new() };
    stream.machine().cover();
    for (number, one) in taken.iter_mut().enumerate() {
        if let Some(observation) = &mut one.observation {
            let from = Arc::make_mut(&mut observation.from);
            from.id = Some(format!("{}#{number}", from.id.as_deref().unwrap_or_default()).into());
        }
        stream.take(one);
    }
    stream.finish(End::Test)
}

/// Where events were lost for a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// An event is of no known source, or was taken for one of another.
    Detection,
    /// The mapping gives it no class, or another than the rule looks at.
    Mapping,
    /// The condition does not hold.
    Condition,
    /// An exception took it away.
    Exception,
    /// Every event counts, and what they have to come to did not happen.
    Several,
}

/// Why the events of a canary gave no finding of its rule: of the first event that does not count, or of all.
pub fn why(
    ruleset: &Ruleset,
    detector: &Detector<'_>,
    at: usize,
    events: &[(SourceChoice, &TestEvent)],
) -> (Lost, String) {
    let all = (Lost::Several, "every event counts, and what they have to come to did not happen".to_string());
    let Some(rule) = ruleset.program.rules.get(at) else { return all };
    if let Some(Subject::Finding(names)) = &rule.subject {
        let of = if names.is_empty() { "other rules".into() } else { names.join(", ") };
        return (Lost::Several, format!("findings of {of} did not come to what it waits for"));
    }
    events.iter().find_map(|(choice, event)| of_event(ruleset, detector, (at, rule), choice, event)).unwrap_or(all)
}

fn of_event(
    ruleset: &Ruleset,
    detector: &Detector<'_>,
    (at, rule): (usize, &Rule),
    choice: &SourceChoice,
    event: &TestEvent,
) -> Option<(Lost, String)> {
    let raw = parse(&event.json)?;
    let Some(source) = detector.source(choice, &raw) else {
        let of = &event.source;
        return Some((Lost::Detection, format!("nothing tells that an event ({}) is of `{of}`", event.name)));
    };
    if source.name != event.source {
        let (is, of) = (&source.name, &event.source);
        return Some((Lost::Detection, format!("an event of `{of}` ({}) was taken for one of `{is}`", event.name)));
    }
    judged(ruleset, detector.matcher().evaluator(), (at, rule), source, &raw, event)
}

fn judged(
    ruleset: &Ruleset,
    evaluator: &Evaluator<'_>,
    (at, rule): (usize, &Rule),
    source: &Source,
    raw: &Value<'_>,
    event: &TestEvent,
) -> Option<(Lost, String)> {
    evaluator.next_event();
    let name = &event.name;
    let arm = normalize::arm(evaluator, source, raw).map(|(_, arm)| arm);
    let plans: Vec<_> =
        source.rules.iter().chain(arm.iter().flat_map(|arm| &arm.rules)).filter(|plan| plan.rule == at).collect();
    let holds = plans.iter().find(|plan| evaluator.test(plan.condition, raw));
    if let Some(plan) = holds {
        let time = time_and_id(evaluator, source, raw).0;
        let took = plan.exceptions.iter().find_map(|(index, condition)| {
            let exception = rule.exceptions.get(*index)?;
            let in_force = exception.until.is_none_or(|until| time.is_some_and(|time| time < until));
            (in_force && evaluator.test(*condition, raw)).then_some(exception)
        });
        return took.map(|exception| (Lost::Exception, format!("the exception \"{}\" took it away", exception.reason)));
    }
    if let Some(explain) = plans.iter().find_map(|plan| plan.explain.as_ref()) {
        let seen = see(evaluator, explain, raw);
        let tests = reasons(&seen, &ruleset.sources).into_iter().take(3).map(|shown| match shown.saw.as_slice() {
            [] => format!("`{}` (no value)", shown.test),
            saw => format!("`{}` (it is {})", shown.test, saw.join(", ")),
        });
        let tests = tests.collect::<Vec<_>>().join(", ");
        return Some((Lost::Condition, format!("the condition does not hold for {name}: {tests}")));
    }
    if !plans.is_empty() {
        return Some((Lost::Condition, format!("the condition does not hold for {name}")));
    }
    let of = &source.name;
    Some((
        Lost::Mapping,
        match (arm, &rule.subject) {
            (None, Some(Subject::Class(class))) => {
                format!("the mapping of `{of}` gives {name} no class, and the rule looks at `{}`", class.name)
            }
            (Some(arm), Some(Subject::Class(class))) => {
                format!(
                    "the mapping of `{of}` makes {name} `{}`, and the rule looks at `{}`",
                    arm.class.name, class.name
                )
            }
            _ => format!("the rule does not look at events such as {name} of `{of}`"),
        },
    ))
}

#[cfg(test)]
mod tests;
