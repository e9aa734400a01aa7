//! One event in its place, what an expression may read beside it, and the keys it stands under.

use std::collections::BTreeSet;

use tripline_base::Span;
use tripline_event::{Path, Segment, Value, to_text};
use tripline_schema::Class;
use tripline_semantic::Program;
use tripline_semantic::typed::{Ask, Caps, Kind, Mapping, Root, Subject, Ty, Typed};

use super::super::{Env, Values, arm, env, judged, reach};
use super::finding::Taken;
use super::{At, Event, World, aggregate, sketch};

/// An event, or a finding that is taken as one.
#[derive(Clone)]
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
    /// What the input of a window that took it gives, by name.
    pub given: Vec<(String, Values)>,
}

/// The mapping of a source.
pub(super) fn mapping<'p>(program: &'p Program, source: &str) -> Option<&'p Mapping> {
    program.mappings.iter().find(|mapping| mapping.source == source && !mapping.broken)
}

impl<'e> Record<'e> {
    /// An event that has a time.
    pub(super) fn of(program: &Program, event: &'e Event, input: usize) -> Option<Record<'e>> {
        let arm = mapping(program, &event.source).and_then(|mapping| arm(program, mapping, &event.raw));
        let normal = arm.map(|arm| judged(program, &event.source, arm, &event.raw));
        let mapped = match normal.as_ref().and_then(|normal| normal.get("time")) {
            Some(Value::Time(time)) => Some(*time),
            _ => None,
        };
        let place = |normal| Path::keys(["metadata", "uid"]).get(normal);
        let id = normal.as_ref().and_then(place).and_then(|id| Some(to_text(id)?.into_owned()));
        let of_source = program.sources.get(&event.source);
        let first = |paths: &[Path], read: &dyn Fn(&Value<'static>) -> Option<Value<'static>>| {
            let info = of_source?;
            let places = paths.iter().flat_map(|path| {
                // Of one field the first place that is there counts.
                let mut places = info.view.places(path, false).into_iter().map(|place| reach(&event.raw, &place));
                places.find(|found| !found.is_empty()).unwrap_or_default().into_iter().next()
            });
            places.filter_map(|value| read(&value)).next()
        };
        let time = mapped.or_else(|| {
            let found = first(&of_source?.time, &|value| tripline_event::to_time(value).map(Value::Time))?;
            if let Value::Time(time) = found { Some(time) } else { None }
        })?;
        let id = id.or_else(|| Some(to_text(&first(&of_source?.id, &|value| Some(value.clone()))?)?.into_owned()));
        Some(Record {
            time,
            source: &event.source,
            id,
            content: &event.content,
            raw: &event.raw,
            class: arm.map(|arm| arm.class),
            event: normal,
            finding: None,
            at: 0,
            input,
            given: Vec::new(),
        })
    }

    /// By what events are ordered.
    pub(super) fn place(&self) -> (i64, &str, Option<&str>, &[u8]) {
        (self.time, self.source, self.id.as_deref(), self.content)
    }

    /// By what events and findings of one time are ordered.
    pub(super) fn among(&self) -> (String, Option<String>, Vec<u8>) {
        match &self.finding {
            Some(taken) => {
                let (value, kind) = taken.entity.clone().unwrap_or_default();
                (taken.rule.clone(), Some(format!("{}\0{value}\0{kind}", taken.uid)), Vec::new())
            }
            None => (self.source.to_string(), self.id.clone(), self.content.to_vec()),
        }
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

    /// Whether it is what a rule, a step or an input looks at.
    pub(super) fn is_for(&self, subject: &Subject, sources: &[String]) -> bool {
        match (subject, &self.finding) {
            (Subject::Class(class), None) => self.is_of(class, sources),
            (Subject::Event, None) => sources.is_empty() || sources.iter().any(|source| source == self.source),
            (Subject::Finding(names), Some(taken)) => names.is_empty() || names.contains(&taken.rule),
            _ => false,
        }
    }

    /// What its expressions are evaluated over, without features.
    pub(in crate::oracle) fn env<'o>(&'o self, program: &'o Program) -> Env<'o> {
        let mut env = env(program, self.source, self.raw, self.event.as_ref());
        env.around.finding = self.finding.as_ref().map(|taken| &taken.fields);
        env.around.given = &self.given;
        env
    }
}

/// What an expression may read beside one event.
#[derive(Default)]
pub(in crate::oracle) struct Around<'o> {
    /// The finding that is judged.
    pub finding: Option<&'o Value<'static>>,
    /// What the input of a window gives, by name.
    pub given: &'o [(String, Values)],
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
    /// A window: the events that are kept and those that are not, with its length and how many are kept at most.
    Window(Vec<&'o Record<'o>>, Vec<&'o Record<'o>>, i64, usize),
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
            Several::Window(events, ..) | Several::Match(events) => events,
        }
    }
}

impl<'o> Around<'o> {
    /// `NAME.path` of the last event of a block, `NAME[].path` of all, `NAME[0].path` of one, `NAME.count`.
    pub fn step(&self, program: &Program, name: &str, path: &Path) -> Values {
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
        let (raw, below) = match rest {
            [Segment::Key(key), below @ ..] if **key == *"raw" => (true, below),
            rest => (false, rest),
        };
        let of = |record: &&Record<'o>| {
            let kind = match (&record.finding, &record.event) {
                (Some(_), _) => Kind::Path(Root::Finding, Path(rest.to_vec())),
                (None, _) if raw => Kind::Path(Root::Loose, Path(below.to_vec())),
                (None, Some(_)) => Kind::Path(Root::Event, Path(rest.to_vec())),
                (None, None) => return Vec::new(),
            };
            record.env(program).values(&Typed { kind, ty: Ty::Raw, span: Span::default() })
        };
        events.iter().flat_map(of).collect()
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

    /// What the input of a window gives by a name.
    pub fn given(&self, path: &Path) -> Values {
        let [Segment::Key(key)] = path.0.as_slice() else { return Vec::new() };
        self.given.iter().find(|(name, _)| **name == **key).map(|(_, values)| values.clone()).unwrap_or_default()
    }

    /// An aggregate over the window; nothing where there is none.
    pub fn aggregate(&self, program: &Program, name: &str, of: Option<&Typed>, percent: Option<f64>) -> Values {
        let Several::Window(events, dropped, within, per_key) = &self.several else { return Vec::new() };
        let each = |record: &&Record<'_>| of.map_or_else(Vec::new, |of| record.env(program).known(of));
        let values: Vec<Values> = events.iter().map(each).collect();
        // Of events that are not kept, how many there are and about how many different values is known.
        let all: Vec<Values> = dropped.iter().chain(events).map(each).collect();
        match name {
            "distinct" if !dropped.is_empty() => sketch::distinct(&all, *per_key),
            "count" | "rate" => aggregate::aggregate(name, &all, percent, *within),
            _ => aggregate::aggregate(name, &values, percent, *within),
        }
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

/// The lives of all keys, given each event with a key in their order. Where a key comes that is not kept and as many as
/// the cap says are, or where all keys together keep more than another cap says, the one whose last event is the longest
/// ago goes. `alive` tells whether a key with such a last event is still kept at an event, `size` how much is kept of
/// events at an instant.
pub(super) fn lives<T>(
    events: Vec<(T, Vec<String>)>,
    caps: Caps,
    time: impl Fn(&T) -> i64,
    alive: impl Fn(&T, &T) -> bool,
    size: impl Fn(&[T], i64) -> usize,
) -> Vec<Life<T>> {
    let mut ended: Vec<Life<T>> = Vec::new();
    // The key whose last event is the longest ago is the first.
    let mut kept: Vec<Life<T>> = Vec::new();
    for (event, key) in events {
        let (alive_now, dead): (Vec<Life<T>>, Vec<Life<T>>) =
            kept.into_iter().partition(|life| life.events.last().is_some_and(|last| alive(last, &event)));
        kept = alive_now;
        ended.extend(dead);
        let now = time(&event);
        let mut life = match kept.iter().position(|life| life.key == key) {
            Some(at) => kept.remove(at),
            None => Life { key, events: Vec::new(), until: None },
        };
        life.events.push(event);
        kept.push(life);
        let all = |kept: &[Life<T>]| kept.iter().map(|life| size(&life.events, now)).sum::<usize>();
        while kept.len() > 1 && (kept.len() > caps.keys || all(&kept) > caps.events) {
            let mut evicted = kept.remove(0);
            evicted.until = Some(now);
            ended.push(evicted);
        }
    }
    ended.extend(kept);
    ended
}
