//! Judges events with a compiled ruleset.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use tripline_eval::time::{Finding as Handed, Observation};
use tripline_eval::{Indexed, Match, Matcher};
use tripline_event::{Origin, Path, Value, to_text};
use tripline_formats::parse;
use tripline_ir::Source;

use crate::Ruleset;
use crate::finding::{Context, Finding, arm_of, finding, handed, time_and_id};
use crate::observe::{self, Asked};

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
pub struct Judged<'r> {
    /// The event's source; none where nothing tells it.
    pub source: Option<&'r Source>,
    /// The rules that match and are not excepted, by index.
    pub rules: Vec<usize>,
    /// Their findings, where they were asked for.
    pub findings: Vec<Finding>,
    /// Findings that an exception took away: rule and exception, by index.
    pub excepted: Vec<(usize, usize)>,
    /// What rules over several events take of it.
    pub taken: Taken,
}

/// What rules over several events take of an event.
#[derive(Debug, Default)]
pub struct Taken {
    /// Its source by index, where they wait for that.
    pub watched: Option<usize>,
    /// Event time, nanoseconds, where something asked for it.
    pub time: Option<i64>,
    /// What they keep of it.
    pub observation: Option<Observation>,
    /// Findings that are events to other rules.
    pub handed: Vec<Handed>,
}

impl Taken {
    /// Whether there is nothing to take.
    pub fn is_empty(&self) -> bool {
        self.watched.is_none() && self.observation.is_none() && self.handed.is_empty()
    }
}

/// Judges one event after another; one for each thread.
pub struct Detector<'r> {
    ruleset: &'r Ruleset,
    matcher: Matcher<'r>,
    indexed: Option<Indexed<'r>>,
    asked: Asked,
    /// The names of sources, once for all of their events.
    names: HashMap<&'r str, Arc<str>>,
    /// Where an event stands of which nothing is known.
    nowhere: Origin,
    /// The number of the event that was judged last, and what is numbered.
    number: Option<i64>,
    numbered: String,
}

/// What an event is that was looked at as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Looked {
    /// When it happened, nanoseconds since 1970, where that can be told.
    pub time: Option<i64>,
    /// Whether a mapping gives it a class other than `base_event`; none where its source has no mapping.
    pub mapped: Option<bool>,
}

impl<'r> Detector<'r> {
    /// A detector with a ruleset.
    pub fn new(ruleset: &'r Ruleset) -> Self {
        let indexed = ruleset.index.as_ref().map(|index| Indexed::new(&ruleset.ir, index));
        Detector {
            ruleset,
            matcher: Matcher::new(&ruleset.ir),
            indexed,
            asked: Asked::of(&ruleset.ir),
            names: ruleset
                .ir
                .sources
                .iter()
                .map(|source| (source.name.as_str(), source.name.as_str().into()))
                .collect(),
            nowhere: Origin { file: "".into(), line: 0 },
            number: None,
            numbered: String::new(),
        }
    }

    /// The number of the event that was judged last, where its source numbers events, and what is numbered (texts
    /// joined by tabs).
    pub fn number(&self) -> Option<(i64, &str)> {
        self.number.map(|number| (number, self.numbered.as_str()))
    }

    /// Looks at an event as a whole.
    pub fn look(&self, source: &'r Source, raw: &Value<'_>) -> Looked {
        let evaluator = self.matcher.evaluator();
        evaluator.next_event();
        let (time, _) = time_and_id(evaluator, source, raw);
        let class = || arm_of(evaluator, source, raw).is_some_and(|arm| arm.class.name != "base_event");
        Looked { time, mapped: (!source.arms.is_empty()).then(class) }
    }

    /// The number of an event that was parsed as a whole.
    fn number_of(&mut self, source: &Source, raw: &Value<'_>) {
        let Some(counter) = &source.counter else { return };
        let first = |places: &[Path]| {
            let found = places.iter().filter_map(|place| place.get(raw));
            found.filter(|value| matches!(value, Value::Text(_) | Value::Int(_))).find_map(to_text).map(Cow::into_owned)
        };
        let keys: Vec<String> = counter.by.iter().map(|by| first(by).unwrap_or_default()).collect();
        self.number = first(&counter.value).and_then(|number| number.parse().ok()).filter(|number: &i64| *number >= 0);
        self.numbered = keys.join("\t");
    }

    /// The ruleset.
    pub fn ruleset(&self) -> &'r Ruleset {
        self.ruleset
    }

    /// The matcher of single events.
    pub fn matcher(&self) -> &Matcher<'r> {
        &self.matcher
    }

    /// The source of an event.
    pub fn source(&self, choice: &SourceChoice, raw: &Value<'_>) -> Option<&'r Source> {
        match choice {
            SourceChoice::Detect => self.matcher.detect(raw),
            SourceChoice::Named(name) => self.ruleset.ir.sources.get(self.ruleset.ir.source(name)?),
        }
    }

    /// Judges the event that these bytes are. Findings are built where an origin is given.
    ///
    /// # Errors
    /// Where the bytes are no event, in a sentence that tells the column.
    pub fn judge(
        &mut self,
        choice: &SourceChoice,
        bytes: &[u8],
        origin: Option<&Origin>,
    ) -> Result<Judged<'r>, String> {
        let nowhere = self.nowhere.clone();
        self.judge_at(choice, bytes, origin.unwrap_or(&nowhere), origin.is_some())
    }

    /// Like [`Detector::judge`], without findings. What rules over several events take of the event knows where it
    /// stands: that alone tells it from others that are equal in all else.
    ///
    /// # Errors
    /// As [`Detector::judge`].
    pub fn count(&mut self, choice: &SourceChoice, bytes: &[u8], origin: &Origin) -> Result<Judged<'r>, String> {
        self.judge_at(choice, bytes, origin, false)
    }

    fn judge_at(
        &mut self,
        choice: &SourceChoice,
        bytes: &[u8],
        origin: &Origin,
        build: bool,
    ) -> Result<Judged<'r>, String> {
        let plain = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
        let record = match std::str::from_utf8(plain) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => String::from_utf8_lossy(plain),
        };
        let wanted = match choice {
            SourceChoice::Detect => None,
            SourceChoice::Named(name) => Some(self.ruleset.ir.source(name).unwrap_or(usize::MAX)),
        };
        self.number = None;
        let through_index = self.indexed.as_mut().and_then(|indexed| indexed.judge(&record, wanted).ok());
        let mut found: Vec<Match<'r>> = Vec::new();
        let raw;
        let source = match (through_index, &self.indexed) {
            (Some(source), Some(indexed)) => {
                if let Some(source) = source
                    && source.counter.is_some()
                    && let Some(at) = self.ruleset.ir.source(&source.name)
                {
                    self.number = indexed.number(at, &record, &mut self.numbered);
                }
                let watched = self.watched(source);
                if indexed.matches().is_empty() && watched.is_none() {
                    return Ok(Judged { source, ..Judged::default() });
                }
                found.extend(indexed.matches());
                let simple = found.iter().all(|found| found.plan.exceptions.is_empty());
                if !build && simple && watched.is_none() {
                    let rules = found.iter().map(|found| found.plan.rule).collect();
                    return Ok(Judged { source, rules, ..Judged::default() });
                }
                raw = parse(record.as_bytes())?;
                source
            }
            _ => {
                raw = parse(bytes)?;
                let source = self.source(choice, &raw);
                if let Some(source) = source {
                    self.number_of(source, &raw);
                }
                if let Some(source) = source {
                    self.matcher.matches(source, &raw, &mut |one| found.push(one));
                    found.sort_by_key(|found| found.plan.rule);
                }
                source
            }
        };
        let Some(source) = source else { return Ok(Judged::default()) };
        Ok(self.findings(source, &found, &raw, bytes, (origin, build)))
    }

    fn findings(
        &self,
        source: &'r Source,
        found: &[Match<'r>],
        raw: &Value<'_>,
        bytes: &[u8],
        (origin, build): (&Origin, bool),
    ) -> Judged<'r> {
        let watched = self.watched(Some(source));
        let mut judged = Judged { source: Some(source), ..Judged::default() };
        judged.taken.watched = watched;
        if found.is_empty() && watched.is_none() {
            return judged;
        }
        let evaluator = self.matcher.evaluator();
        evaluator.next_event();
        let (time, event_id) = time_and_id(evaluator, source, raw);
        judged.taken.time = time;
        let mut kept: Vec<&Match<'r>> = Vec::new();
        let is_handed = |one: &Match<'_>| self.asked.rules.contains(&one.plan.rule);
        let wanted = build || found.iter().any(is_handed);
        let context = wanted.then(|| Context {
            evaluator,
            sources: &self.ruleset.sources,
            source: &source.name,
            class: arm_of(evaluator, source, raw).map_or("base_event", |arm| arm.class.name),
            raw,
            bytes,
            origin: origin.clone(),
            time,
            event_id: event_id.clone(),
        });
        for one in found {
            let rule = one.plan.rule;
            if let Some(exception) = self.exception(rule, one, time, raw) {
                judged.excepted.push((rule, exception));
                continue;
            }
            if one.plan.observe.is_some() {
                kept.push(one);
                continue;
            }
            judged.rules.push(rule);
            if let (Some(context), Some(rule)) = (&context, self.ruleset.program.rules.get(rule))
                && (build || is_handed(one))
            {
                let finding = finding(context, one, rule);
                judged.taken.handed.extend(is_handed(one).then(|| handed(&finding, bytes)).flatten());
                judged.findings.extend(build.then_some(finding));
            }
        }
        if let (Some(time), false) = (time, kept.is_empty()) {
            let name = self.names.get(source.name.as_str()).map_or_else(|| source.name.as_str().into(), Arc::clone);
            let from = observe::from(name, time, event_id.as_deref(), bytes, origin);
            judged.taken.observation = Some(observe::observation(evaluator, kept.into_iter(), raw, from));
        }
        judged
    }

    /// The source's index, where rules over several events wait for it.
    fn watched(&self, source: Option<&Source>) -> Option<usize> {
        if self.asked.sources.is_empty() {
            return None;
        }
        let at = self.ruleset.ir.source(&source?.name)?;
        self.asked.sources.contains(&at).then_some(at)
    }

    /// The first exception that takes the match away.
    fn exception(&self, rule: usize, found: &Match<'_>, time: Option<i64>, raw: &Value<'_>) -> Option<usize> {
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
}
