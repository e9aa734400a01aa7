//! One event in its place, what an expression may read beside it, and the keys it stands under.

use std::collections::BTreeSet;

use tripline_event::{Path, Segment, Value, to_text};
use tripline_schema::Class;
use tripline_semantic::Program;
use tripline_semantic::typed::{Ask, Mapping, Typed};

use super::super::{Env, Values, arm, env, judged, reach};
use super::finding::Taken;
use super::{At, Event, World, aggregate};

/// An event, or a finding that is taken as one.
pub(in crate::oracle) struct Record<'e> {
    pub time: i64,
    pub source: &'e str,
    pub id: Option<String>,
    pub content: &'e [u8],
    pub raw: &'e Value<'static>,
    pub event: Option<Value<'static>>,
    pub class: Option<&'static Class>,
    /// The finding that it is.
    pub finding: Option<Taken>,
    /// Its place in the order.
    pub at: usize,
    /// Its place in the caller's list.
    pub input: usize,
}

/// The mapping of a source.
pub(super) fn mapping<'p>(program: &'p Program, source: &str) -> Option<&'p Mapping> {
    program.mappings.iter().find(|mapping| mapping.source == source && !mapping.broken)
}

impl<'e> Record<'e> {
    /// An event that has a time.
    pub(super) fn of(program: &Program, event: &'e Event, input: usize) -> Option<Record<'e>> {
        let mapping = mapping(program, &event.source)?;
        let arm = arm(program, mapping, &event.raw)?;
        let normal = judged(program, &event.source, arm, &event.raw);
        let Some(Value::Time(time)) = normal.get("time") else { return None };
        let id = Path::keys(["metadata", "uid"]).get(&normal).and_then(|id| Some(to_text(id)?.into_owned()));
        Some(Record {
            time: *time,
            source: &event.source,
            id,
            content: &event.content,
            raw: &event.raw,
            class: Some(arm.class),
            event: Some(normal),
            finding: None,
            at: 0,
            input,
        })
    }

    /// By what events are ordered.
    pub(super) fn place(&self) -> (i64, &str, Option<&str>, &[u8]) {
        (self.time, self.source, self.id.as_deref(), self.content)
    }

    /// For a uid.
    pub(super) fn is_at(&self) -> At<'_> {
        match &self.finding {
            Some(taken) => {
                let entity = taken.entity.as_ref().map(|(entity, kind)| (*kind, entity.as_str()));
                At::Finding(&taken.uid, entity)
            }
            None => At::Event {
                input: self.input,
                source: self.source,
                time: self.time,
                id: self.id.as_deref(),
                content: self.content,
            },
        }
    }

    /// Whether it is of a class, and of one of some sources; none named means any.
    pub(super) fn is_of(&self, class: &Class, sources: &[String]) -> bool {
        self.class.is_some_and(|own| own.uid == class.uid)
            && (sources.is_empty() || sources.iter().any(|source| source == self.source))
    }

    /// What its expressions are evaluated over, without features.
    pub(in crate::oracle) fn env<'o>(&'o self, program: &'o Program) -> Env<'o> {
        let mut env = env(program, self.source, self.raw, self.event.as_ref());
        env.around.finding = self.finding.as_ref().map(|taken| &taken.fields);
        env
    }
}

/// What an expression may read beside one event.
#[derive(Default)]
pub(in crate::oracle) struct Around<'o> {
    /// The finding that is judged.
    pub finding: Option<&'o Value<'static>>,
    /// The events that are judged together.
    pub several: Several<'o>,
    /// The blocks of a match, by the names of their steps.
    pub steps: Vec<(&'o str, Vec<&'o Record<'o>>)>,
    /// What features held just before an event.
    pub memory: Option<(&'o World<'o>, &'o Record<'o>)>,
}

/// Events that are judged together, in their order.
#[derive(Default)]
pub(in crate::oracle) enum Several<'o> {
    /// None: one event is judged.
    #[default]
    Alone,
    /// A window, with its length.
    Window(Vec<&'o Record<'o>>, i64),
    /// A match.
    Match(Vec<&'o Record<'o>>),
}

impl<'o> Several<'o> {
    pub fn is_match(&self) -> bool {
        matches!(self, Several::Match(_))
    }

    pub fn events(&self) -> &[&'o Record<'o>] {
        match self {
            Several::Alone => &[],
            Several::Window(events, _) | Several::Match(events) => events,
        }
    }
}

impl Around<'_> {
    /// `NAME.path` of the last event of a block, `NAME[].path` of all, `NAME[0].path` of one, `NAME.count`.
    pub fn step(&self, name: &str, path: &Path) -> Values {
        let Some((_, block)) = self.steps.iter().find(|(step, _)| *step == name) else { return Vec::new() };
        let (events, rest) = match path.0.split_first() {
            Some((Segment::Key(key), [])) if **key == *"count" => {
                return vec![Value::Int(i64::try_from(block.len()).unwrap_or(i64::MAX))];
            }
            Some((Segment::Each, rest)) => (block.as_slice(), rest),
            Some((Segment::Index(n), rest)) => {
                (block.get(*n as usize).map_or(&[][..], |one| std::slice::from_ref(one)), rest)
            }
            _ => (block.last().map_or(&[][..], |one| std::slice::from_ref(one)), path.0.as_slice()),
        };
        let rest = Path(rest.to_vec());
        events.iter().filter_map(|record| record.event.as_ref()).flat_map(|event| reach(event, &rest)).collect()
    }

    /// A field of the finding; one with several values has each.
    pub fn finding(&self, path: &Path) -> Values {
        let found = self.finding.map_or_else(Vec::new, |finding| reach(finding, path));
        let each = |value: Value<'static>| match value {
            Value::Array(items) => items,
            value => vec![value],
        };
        found.into_iter().flat_map(each).collect()
    }

    /// An aggregate over the window; nothing where there is none.
    pub fn aggregate(&self, program: &Program, name: &str, of: Option<&Typed>, percent: Option<f64>) -> Values {
        let Several::Window(events, within) = &self.several else { return Vec::new() };
        let each = |record: &&Record<'_>| of.map_or_else(Vec::new, |of| record.env(program).known(of));
        let values: Vec<Values> = events.iter().map(each).collect();
        aggregate::aggregate(name, &values, percent, *within)
    }

    /// What a read of a feature comes to; nothing where it is not ready.
    pub fn read(&self, feature: usize, ask: Ask, subject: &[Value<'static>]) -> Option<Values> {
        let (world, record) = self.memory?;
        world.read(feature, ask, subject, record)
    }
}

impl<'w> World<'w> {
    /// What the expressions of one event are evaluated over.
    pub(super) fn env<'o>(&'o self, record: &'o Record<'o>) -> Env<'o> {
        let mut env = record.env(self.program);
        env.around.memory = record.finding.is_none().then_some((self, record));
        env
    }

    /// The keys an event stands under: each combination of the values of its parts, once.
    pub(super) fn keys(&self, by: &[Typed], record: &Record<'_>) -> Vec<Vec<String>> {
        let mut env = record.env(self.program);
        let mut keys: Vec<Vec<String>> = vec![Vec::new()];
        for part in by {
            let values = env.known(part);
            let texts: Vec<String> = values.iter().filter_map(|v| Some(to_text(v)?.into_owned())).collect();
            let with = |key: &Vec<String>| {
                let one = |text: &String| key.iter().chain([text]).cloned().collect();
                texts.iter().map(one).collect::<Vec<Vec<String>>>()
            };
            keys = keys.iter().flat_map(with).collect();
        }
        let mut seen = BTreeSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        keys
    }
}

/// How long a key was kept: from its first event, or the one after an eviction, to the next eviction.
pub(super) struct Life<T> {
    pub key: Vec<String>,
    pub events: Vec<T>,
    /// When it was evicted.
    pub until: Option<i64>,
}

/// The lives of all keys, given each event with a key in their order. Where a key comes that is not kept and `most`
/// are, the one whose last event is the longest ago goes. `alive` tells whether a key with such a last event is still
/// kept at an event.
pub(super) fn lives<T>(
    events: Vec<(T, Vec<String>)>,
    most: usize,
    time: impl Fn(&T) -> i64,
    alive: impl Fn(&T, &T) -> bool,
) -> Vec<Life<T>> {
    let mut ended: Vec<Life<T>> = Vec::new();
    // The key whose last event is the longest ago is the first.
    let mut kept: Vec<Life<T>> = Vec::new();
    for (event, key) in events {
        let (alive_now, dead): (Vec<Life<T>>, Vec<Life<T>>) =
            kept.into_iter().partition(|life| life.events.last().is_some_and(|last| alive(last, &event)));
        kept = alive_now;
        ended.extend(dead);
        let mut life = match kept.iter().position(|life| life.key == key) {
            Some(at) => kept.remove(at),
            None => {
                if kept.len() >= most && !kept.is_empty() {
                    let mut evicted = kept.remove(0);
                    evicted.until = Some(time(&event));
                    ended.push(evicted);
                }
                Life { key, events: Vec::new(), until: None }
            }
        };
        life.events.push(event);
        kept.push(life);
    }
    ended.extend(kept);
    ended
}
