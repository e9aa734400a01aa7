//! What the events of a source look like: the paths that are there, of which type, and since when; and what changes.
//!
//! Some events are looked at as a whole (a sample). A path that is in a fifth of them or more and then in none of many is
//! **gone**; one that appears when the source has long been known and is soon in a fifth of them is **new**; a value of
//! another type, three times, where two hundred had one type, is a **changed type**. Each is told once; one that was gone
//! and is back may be told again. Whole numbers and others are one type, and `null` is as good as nothing.
//!
//! Keys that are data rather than names (numbers, addresses, long ones) count as `*`. At most 2,000 paths of a source are
//! remembered; the rarest go first.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tripline_event::Value;

use super::health::State;

/// How many paths of a source are remembered.
const MOST_PATHS: usize = 2_000;
/// How many paths of one event are looked at.
const MOST_OF_EVENT: usize = 512;
/// How deep an event is looked into.
const DEEPEST: usize = 16;
/// How many elements of an array are looked at.
const ELEMENTS: usize = 3;
/// How many bytes an example has.
const EXAMPLE: usize = 64;
/// In which share of the samples a path is that is missed, or told as new.
const SHARE: f64 = 0.2;
/// How often a path was seen before it is missed or its type is known.
const KNOWN: u64 = 200;
/// How long (nanoseconds) a source is known before paths are new.
const WARM: i64 = 14 * 86_400_000_000_000;
/// How long (nanoseconds) a path must not be seen, unless it was in nearly every sample.
const AWAY: i64 = 86_400_000_000_000;
/// In which share of the samples a path is that need not be awaited so long.
const ALWAYS: f64 = 0.98;
/// How many samples without it are enough then.
const ENOUGH: u64 = 1_000;
/// How often a value of another type must be seen.
const OTHER_TYPE: u64 = 3;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Type {
    /// Text.
    Text,
    /// A number.
    Number,
    /// A truth value.
    Bool,
}

impl Type {
    fn name(self) -> &'static str {
        match self {
            Type::Text => "text",
            Type::Number => "a number",
            Type::Bool => "true or false",
        }
    }
}

/// What one event looks like: its paths, each with its type and the beginning of a value.
#[derive(Debug, Default)]
pub struct Shape(BTreeMap<String, (Type, String)>);

impl Shape {
    /// The shape of an event.
    pub fn of(event: &Value<'_>) -> Self {
        let mut shape = Shape::default();
        shape.walk(&mut String::new(), event, 0);
        shape
    }

    fn walk(&mut self, path: &mut String, value: &Value<'_>, depth: usize) {
        if self.0.len() >= MOST_OF_EVENT || depth > DEEPEST {
            return;
        }
        let length = path.len();
        let kind = match value {
            Value::Object(members) => {
                for (key, member) in members {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(if is_data(key) { "*" } else { key });
                    self.walk(path, member, depth + 1);
                    path.truncate(length);
                }
                return;
            }
            Value::Array(items) => {
                path.push_str("[]");
                items.iter().take(ELEMENTS).for_each(|item| self.walk(path, item, depth + 1));
                path.truncate(length);
                return;
            }
            Value::Null => return,
            Value::Bool(_) => Type::Bool,
            Value::Int(_) | Value::Float(_) => Type::Number,
            _ => Type::Text,
        };
        let example = || match value {
            Value::Text(text) => text.chars().take(EXAMPLE).collect(),
            other => serde_json::to_string(other).unwrap_or_default(),
        };
        self.0.entry(path.clone()).or_insert_with(|| (kind, example()));
    }
}

/// Whether a key is data rather than a name.
fn is_data(key: &str) -> bool {
    let digits = key.bytes().filter(u8::is_ascii_digit).count();
    key.is_empty() || key.len() > 64 || digits >= 4 || digits == key.len() || key.contains(['/', '@', ':', ' ', '='])
}

/// What is known of a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// In how many samples it was, by type.
    pub types: BTreeMap<Type, u64>,
    /// When it was seen first and last, nanoseconds since 1970.
    pub first: i64,
    /// See `first`.
    pub last: i64,
    /// The numbers of the samples in which it was seen first and last.
    from: u64,
    upto: u64,
    /// A value.
    pub example: String,
    /// Whether it was told that it is gone, and was not seen since.
    #[serde(default)]
    pub gone: bool,
    /// Whether it was told that it is new, or that its type changed.
    #[serde(default)]
    told: BTreeSet<String>,
}

impl Field {
    /// In how many samples it was.
    pub fn seen(&self) -> u64 {
        self.types.values().sum()
    }
}

/// Something about the shape of events that changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// A path is not there any more.
    Gone,
    /// It is back.
    Back,
    /// A path was not there before.
    New,
    /// A value is of another type.
    Type,
}

impl Change {
    /// As it is written in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::Gone => "gone",
            Change::Back => "back",
            Change::New => "new",
            Change::Type => "type",
        }
    }

    /// How it is told: what is gone may end, and ends when it is back.
    pub fn state(self) -> State {
        match self {
            Change::Gone => State::Began,
            Change::Back => State::Ended,
            Change::New | Change::Type => State::Noticed,
        }
    }
}

/// A change of a path, in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Drifted {
    /// Which.
    pub path: String,
    /// What was usual.
    pub expected: String,
    /// What is the case.
    pub seen: String,
}

/// The shape of the events of one event source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fields {
    /// How many events were looked at.
    pub samples: u64,
    /// When the first was, nanoseconds since 1970.
    pub first: i64,
    /// The configured source that brought the last.
    pub by: String,
    /// By path.
    pub paths: BTreeMap<String, Field>,
    /// Paths that were forgotten as there were too many.
    pub forgotten: u64,
    /// Paths that came back since this was last told.
    #[serde(skip)]
    back: Vec<String>,
}

impl Fields {
    /// Takes an event that was looked at.
    pub fn take(&mut self, shape: Shape, by: &str, now: i64) {
        if self.samples == 0 {
            self.first = now;
        }
        self.samples += 1;
        if self.by != by {
            self.by = by.to_string();
        }
        let sample = self.samples;
        for (path, (kind, example)) in shape.0 {
            match self.paths.get_mut(&path) {
                Some(field) => {
                    if !field.types.contains_key(&kind) {
                        field.example = example;
                    }
                    *field.types.entry(kind).or_default() += 1;
                    (field.last, field.upto) = (now, sample);
                    if std::mem::take(&mut field.gone) {
                        self.back.push(path);
                    }
                }
                None => {
                    if self.paths.len() >= MOST_PATHS && !self.forget(sample) {
                        self.forgotten += 1;
                        continue;
                    }
                    let field = Field {
                        types: BTreeMap::from([(kind, 1)]),
                        first: now,
                        last: now,
                        from: sample,
                        upto: sample,
                        example,
                        gone: false,
                        told: BTreeSet::new(),
                    };
                    self.paths.insert(path, field);
                }
            }
        }
    }

    /// Forgets paths that were seen once or twice, a while ago. Gives whether there is room.
    fn forget(&mut self, sample: u64) -> bool {
        // Looked for at times alone: every path is looked at.
        if sample.is_multiple_of(64) {
            let before = self.paths.len();
            self.paths.retain(|_, field| field.seen() > 2 || field.upto + KNOWN > sample || field.gone);
            self.forgotten += (before - self.paths.len()) as u64;
        }
        self.paths.len() < MOST_PATHS
    }

    /// What changed, each once.
    pub fn changes(&mut self, now: i64) -> BTreeMap<Change, Vec<Drifted>> {
        let mut out: BTreeMap<Change, Vec<Drifted>> = BTreeMap::new();
        for path in std::mem::take(&mut self.back) {
            let back = Drifted { path, expected: "the field".into(), seen: "it is there again".into() };
            out.entry(Change::Back).or_default().push(back);
        }
        let (samples, known_since) = (self.samples, self.first);
        for (path, field) in &mut self.paths {
            if let Some(expected) = gone(field, samples, now) {
                field.gone = true;
                let seen = format!("in none of the last {} samples", samples - field.upto);
                out.entry(Change::Gone).or_default().push(Drifted { path: path.clone(), expected, seen });
            }
            if let Some(seen) = new(field, samples, known_since) {
                field.told.insert("new".into());
                let expected = "no such field".to_string();
                out.entry(Change::New).or_default().push(Drifted { path: path.clone(), expected, seen });
            }
            if let Some((expected, seen)) = turned(field) {
                out.entry(Change::Type).or_default().push(Drifted { path: path.clone(), expected, seen });
            }
        }
        out
    }
}

fn gone(field: &Field, samples: u64, now: i64) -> Option<String> {
    let seen = field.seen();
    let missed = samples - field.upto;
    if field.gone || seen < KNOWN || missed == 0 {
        return None;
    }
    let share = seen as f64 / (field.upto - field.from + 1) as f64;
    let long = now.saturating_sub(field.last) >= AWAY && missed as f64 >= 100.0 / share;
    let always = share >= ALWAYS && missed >= ENOUGH;
    (share >= SHARE && (long || always)).then(|| format!("in {:.0} % of the samples", share * 100.0))
}

fn new(field: &Field, samples: u64, known_since: i64) -> Option<String> {
    let since = samples - field.from + 1;
    let share = field.seen() as f64 / since as f64;
    let is = field.first.saturating_sub(known_since) >= WARM && since >= KNOWN && share >= SHARE;
    (is && !field.told.contains("new"))
        .then(|| format!("in {:.0} % of the samples, such as `{}`", share * 100.0, field.example))
}

fn turned(field: &mut Field) -> Option<(String, String)> {
    let (usual, most) = field.types.iter().max_by_key(|(_, n)| **n).map(|(kind, n)| (*kind, *n))?;
    let is_other = |(kind, n): &(&Type, &u64)| {
        **kind != usual && **n >= OTHER_TYPE && most >= KNOWN && !field.told.contains(kind.name())
    };
    let other = field.types.iter().find(is_other).map(|(kind, _)| *kind)?;
    // The other way round is the same change.
    field.told.extend([usual, other].map(|kind| kind.name().to_string()));
    Some((usual.name().to_string(), format!("{}, such as `{}`", other.name(), field.example)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000_000_000;

    fn shape(text: &str) -> Shape {
        Shape::of(&tripline_event::parse_json(text.as_bytes()).unwrap())
    }

    fn told(fields: &mut Fields, now: i64) -> Vec<(&'static str, String)> {
        let changes = fields.changes(now);
        changes.iter().flat_map(|(change, all)| all.iter().map(|one| (change.as_str(), one.path.clone()))).collect()
    }

    /// A source of which a good many events were looked at within three weeks.
    fn known() -> Fields {
        let mut fields = Fields::default();
        for n in 0..2_100 {
            let rare = if n % 50 == 0 { ",\"rare\":1" } else { "" };
            let half = if n % 2 == 0 { ",\"half\":\"x\"" } else { "" };
            fields.take(shape(&format!("{{\"id\":\"a\",\"n\":{n}{half}{rare}}}")), "okta", n * DAY / 100);
            assert_eq!(fields.changes(n * DAY / 100), BTreeMap::new(), "nothing changes");
        }
        fields
    }

    #[test]
    fn paths_of_an_event_have_a_type_and_keys_that_are_data_are_one() {
        let shape = shape(
            "{\"a\":{\"b\":[{\"c\":1},{\"c\":2,\"d\":true}]},\"hosts\":{\"10.0.0.1\":1,\"10.0.0.2\":2},\"e\":null,\"f\":[]}",
        );
        let paths: Vec<(&str, Type)> = shape.0.iter().map(|(path, (kind, _))| (path.as_str(), *kind)).collect();
        assert_eq!(paths, [("a.b[].c", Type::Number), ("a.b[].d", Type::Bool), ("hosts.*", Type::Number)]);
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        assert!(super::Shape::of(&tripline_event::parse_json(deep.as_bytes()).unwrap()).0.is_empty());
    }

    #[test]
    fn a_field_that_vanishes_is_told_once_and_told_when_it_is_back() {
        let mut fields = known();
        let mut all = Vec::new();
        for n in 2_100..4_000 {
            fields.take(shape(&format!("{{\"n\":{n}}}")), "okta", n * DAY / 100);
            all.extend(told(&mut fields, n * DAY / 100));
        }
        assert_eq!(all, [("gone", "id".to_string()), ("gone", "half".to_string())]);
        fields.take(shape("{\"id\":\"b\",\"n\":1}"), "okta", 40 * DAY);
        assert_eq!(told(&mut fields, 40 * DAY), [("back", "id".to_string())]);
    }

    #[test]
    fn a_field_that_appears_late_and_often_is_new_and_one_that_is_rare_is_not() {
        let mut fields = known();
        let mut all = Vec::new();
        for n in 2_100..2_500 {
            let odd = if n % 40 == 0 { ",\"odd\":1" } else { "" };
            fields.take(
                shape(&format!("{{\"id\":\"a\",\"half\":\"x\",\"n\":{n},\"added\":true{odd}}}")),
                "okta",
                n * DAY / 100,
            );
            all.extend(told(&mut fields, n * DAY / 100));
        }
        assert_eq!(all, [("new", "added".to_string())]);
    }

    #[test]
    fn a_type_that_changes_is_told_once_with_an_example() {
        let mut fields = known();
        for n in 0..10 {
            fields.take(shape(&format!("{{\"id\":\"a\",\"half\":\"x\",\"n\":\"no. {n}\"}}")), "okta", 21 * DAY);
        }
        let changes = fields.changes(21 * DAY);
        let [(Change::Type, all)] = &changes.into_iter().collect::<Vec<_>>()[..] else { panic!("one change") };
        assert_eq!((all[0].path.as_str(), all[0].expected.as_str()), ("n", "a number"));
        assert_eq!(all[0].seen, "text, such as `no. 0`");
        assert!(fields.changes(22 * DAY).is_empty());
    }

    #[test]
    fn paths_without_number_take_no_memory_without_bound() {
        let mut fields = Fields::default();
        for n in 0..MOST_PATHS * 3 {
            let name: String = n.to_string().chars().map(|c| (c as u8 + 49) as char).collect();
            fields.take(shape(&format!("{{\"always\":1,\"k{name}\":1}}")), "okta", n as i64);
        }
        assert!(fields.paths.len() <= MOST_PATHS && fields.forgotten > 0);
        assert_eq!(fields.paths["always"].seen() as usize, MOST_PATHS * 3);
        let kept = serde_json::to_string(&fields).unwrap();
        assert_eq!(serde_json::from_str::<Fields>(&kept).unwrap(), fields);
    }
}
