//! The index: from the values of an event to the rules that can match it.
//!
//! Every condition becomes a [`Condition`] over predicates on single fields. *Eager* predicates are decided
//! for a field's value as a whole, by structures that all rules share: equality by hash, parts of text by
//! one automaton per field, presence. The others are *lazy*, evaluated when a rule asks and only where
//! their gate (an eager predicate that they imply) holds. Each rule names eager predicates of which one
//! must hold (its *anchors*); a rule without any is tried on every event of its source.
//!
//! Invariants: a condition means what the IR's node means; anchors and gates may only over-approximate;
//! what does not fit a predicate stays a node and is evaluated over the whole event.
//!
//! Deliberately lacks: events, and memory of anything between them (`eval`).

mod anchor;
mod condition;
mod literal;
mod parts;
mod predicate;

use std::collections::{HashMap, HashSet};

use tripline_event::{Path, Segment};
use tripline_formats::Locator;
use tripline_ir as ir;

pub use condition::Condition;
pub use literal::{fold, fold_into};
pub use parts::Parts;
pub use predicate::{Check, Conversion, Place, Predicate, Test, TextTest};

use condition::Builder;

/// A field: places of the event, of which the first that has a value counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Field {
    /// The places, in the order in which they are tried.
    pub places: Vec<Path>,
    /// Whether a place reaches through arrays.
    pub loose: bool,
}

/// Decides the eager predicates of one field.
#[derive(Debug, Default)]
pub struct FieldTable {
    /// Holds where there is any value.
    pub exists: Option<u32>,
    /// By the number that the value is.
    pub ints: HashMap<i64, Vec<u32>>,
    /// By the folded text that the value is; each has to be confirmed where `confirm` asks for it.
    pub whole: HashMap<String, Vec<Hit>>,
    /// The length of the longest of them, in bytes.
    pub longest: usize,
    /// Finds parts in the folded text.
    pub parts: Option<Parts>,
    /// By pattern of `parts`.
    pub hits: Vec<Vec<Hit>>,
}

impl FieldTable {
    /// Whether it is all the same which value there is.
    pub fn is_plain(&self) -> bool {
        self.ints.is_empty() && self.whole.is_empty() && self.parts.is_none()
    }
}

/// What a text that was found says.
#[derive(Clone, Debug)]
pub struct Hit {
    /// The predicate that holds.
    pub predicate: u32,
    /// Where in the value the text must stand.
    pub place: Place,
    /// The text as the rule has it.
    pub text: Box<str>,
    /// Whether case is ignored.
    pub fold: bool,
    /// Whether the match has to be confirmed on the value itself, also where that is ASCII.
    pub confirm: bool,
    /// Whether it never has to be confirmed.
    pub hint: bool,
}

/// A rule, ready to be tried.
#[derive(Debug)]
pub struct Entry {
    /// Its source, by index into the program's.
    pub source: u32,
    /// The arm that it stands in; none for a rule on events as they came.
    pub arm: Option<u32>,
    /// Its index among the plans of its arm or source; [`DETECT`] for what tells the source's events.
    pub plan: u32,
    /// Its condition.
    pub condition: Condition,
}

/// In the place of a plan: the entry tells the events of its source from others.
pub const DETECT: u32 = u32::MAX;

/// Finds texts of which one is in the folded text of every event that a [`Condition::Keyword`] holds for.
#[derive(Debug, Default)]
pub struct Keywords {
    /// Finds the texts.
    pub parts: Option<Parts>,
    /// By text, the keywords that it stands for.
    pub of: Vec<Vec<u32>>,
    /// How many keywords there are.
    pub count: usize,
}

/// The index of a program.
#[derive(Debug, Default)]
pub struct Index {
    /// Finds the places of all fields.
    pub locator: Locator,
    /// Fields.
    pub fields: Vec<Field>,
    /// Per field, its slots in the locator, in the order in which they are tried.
    pub slots: Vec<Vec<u32>>,
    /// Per slot, the fields that it is a place of, with the place's rank.
    pub readers: Vec<Vec<(u32, u32)>>,
    /// Per field, what decides its eager predicates.
    pub tables: Vec<FieldTable>,
    /// Predicates.
    pub predicates: Vec<Predicate>,
    /// Conditions that several rules share, evaluated once an event.
    pub shared: Vec<Condition>,
    /// What finds keywords in an event as a whole.
    pub keywords: Keywords,
    /// Rules.
    pub entries: Vec<Entry>,
    /// Per predicate, the entries that it is an anchor of.
    pub anchored: Vec<Vec<u32>>,
    /// Per source, entries of rules without anchors.
    pub always: Vec<Vec<u32>>,
    /// Entries that tell sources and have no anchors.
    pub detect: Vec<u32>,
    /// Per source, the fields that number its events.
    pub counters: Vec<Option<CounterFields>>,
}

/// The fields of a [`tripline_ir::Counter`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CounterFields {
    /// The number.
    pub value: u32,
    /// What says what is numbered.
    pub by: Vec<u32>,
}

impl Index {
    /// The index of a program.
    pub fn new(program: &ir::Program) -> Index {
        // Places that the locator cannot find are left to the evaluation of nodes.
        let mut refused = HashSet::new();
        loop {
            let mut builder = Builder::new(program, &refused);
            let mut entries = conditions(program, &mut builder);
            let counters = counters(program, &refused, &mut builder.fields);
            let (placed, more) = places(&builder.fields);
            let Builder { fields, predicates, mut shared, keywords, .. } = builder;
            if !more.is_empty() {
                refused.extend(more);
                continue;
            }
            let (anchored, always, detect) = anchors(program, &predicates, &mut shared, &mut entries);
            let keywords = find_keywords(keywords);
            let (locator, slots, readers) = placed;
            let tables = tables(fields.len(), &predicates);
            return Index {
                locator,
                fields,
                slots,
                readers,
                tables,
                predicates,
                shared,
                keywords,
                entries,
                anchored,
                always,
                detect,
                counters,
            };
        }
    }
}

/// The fields of counters, beside those of predicates.
fn counters(program: &ir::Program, refused: &HashSet<Path>, fields: &mut Vec<Field>) -> Vec<Option<CounterFields>> {
    let mut field = |places: &[Path]| {
        let places: Vec<Path> = places.iter().filter(|place| !refused.contains(*place)).cloned().collect();
        fields.push(Field { places, loose: false });
        number(fields.len() - 1)
    };
    let of = |source: &ir::Source| {
        let counter = source.counter.as_ref()?;
        Some(CounterFields { value: field(&counter.value), by: counter.by.iter().map(|by| field(by)).collect() })
    };
    program.sources.iter().map(of).collect()
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn conditions(program: &ir::Program, builder: &mut Builder<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (at, source) in program.sources.iter().enumerate() {
        if let Some(detect) = source.detect {
            let condition = builder.condition(detect);
            entries.push(Entry { source: number(at), arm: None, plan: DETECT, condition });
        }
        for (plan, rule) in source.rules.iter().enumerate() {
            let condition = builder.condition(rule.condition);
            entries.push(Entry { source: number(at), arm: None, plan: number(plan), condition });
        }
        for (arm_at, arm) in source.arms.iter().enumerate() {
            for (plan, rule) in arm.rules.iter().enumerate() {
                let condition = builder.condition(rule.condition);
                entries.push(Entry { source: number(at), arm: Some(number(arm_at)), plan: number(plan), condition });
            }
        }
    }
    entries
}

type Anchored = (Vec<Vec<u32>>, Vec<Vec<u32>>, Vec<u32>);

/// Per predicate the entries that it is an anchor of; those without anchors, rules per source and what tells
/// sources.
fn anchors(
    program: &ir::Program,
    predicates: &[Predicate],
    shared: &mut [Condition],
    entries: &mut [Entry],
) -> Anchored {
    let mut detect = Vec::new();
    let anchors = anchor::Anchors::new(predicates, shared, entries.iter().map(|entry| &entry.condition));
    let mut anchored = vec![Vec::new(); predicates.len()];
    let mut always = vec![Vec::new(); program.sources.len()];
    for (at, entry) in entries.iter().enumerate() {
        match anchors.of(&entry.condition) {
            Some(of) => {
                for predicate in of {
                    if let Some(list) = anchored.get_mut(predicate as usize) {
                        list.push(number(at));
                    }
                }
            }
            None if entry.plan == DETECT => detect.push(number(at)),
            None => {
                if let Some(list) = always.get_mut(entry.source as usize) {
                    list.push(number(at));
                }
            }
        }
    }
    let costs = anchors.costs();
    for condition in shared.iter_mut().chain(entries.iter_mut().map(|entry| &mut entry.condition)) {
        anchor::sort(condition, &costs);
    }
    (anchored, always, detect)
}

/// By keyword, the texts of which one must be there.
fn find_keywords(keywords: Vec<Vec<String>>) -> Keywords {
    let count = keywords.len();
    let mut of: Vec<Vec<u32>> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let mut patterns = Vec::new();
    for (keyword, texts) in keywords.into_iter().enumerate() {
        for text in texts {
            let pattern = *numbers.entry(text).or_insert_with_key(|text| {
                patterns.push(text.clone());
                of.push(Vec::new());
                of.len() - 1
            });
            if let Some(list) = of.get_mut(pattern) {
                list.push(number(keyword));
            }
        }
    }
    Keywords { parts: Parts::new(patterns), of, count }
}

type Placed = (Locator, Vec<Vec<u32>>, Vec<Vec<(u32, u32)>>);

/// One slot for each distinct place; and the places that cannot be located.
fn places(fields: &[Field]) -> (Placed, Vec<Path>) {
    let mut numbers: HashMap<&[Segment], u32> = HashMap::new();
    let mut paths: Vec<Vec<Segment>> = Vec::new();
    let mut slots = Vec::new();
    for field in fields {
        let mut of_field = Vec::new();
        for place in &field.places {
            let slot = *numbers.entry(&place.0).or_insert_with(|| {
                paths.push(place.0.clone());
                u32::try_from(paths.len() - 1).unwrap_or(u32::MAX)
            });
            of_field.push(slot);
        }
        slots.push(of_field);
    }
    let mut readers = vec![Vec::new(); paths.len()];
    for (field, of_field) in slots.iter().enumerate() {
        for (rank, slot) in of_field.iter().enumerate() {
            if let Some(list) = readers.get_mut(*slot as usize) {
                list.push((u32::try_from(field).unwrap_or(u32::MAX), u32::try_from(rank).unwrap_or(u32::MAX)));
            }
        }
    }
    let (locator, refused) = Locator::new(&paths);
    let refused = refused.into_iter().filter_map(|at| paths.get(at).cloned()).map(Path).collect();
    ((locator, slots, readers), refused)
}

fn tables(fields: usize, predicates: &[Predicate]) -> Vec<FieldTable> {
    let mut tables: Vec<FieldTable> = (0..fields).map(|_| FieldTable::default()).collect();
    let mut parts: Vec<HashMap<String, usize>> = vec![HashMap::new(); fields];
    for (at, predicate) in predicates.iter().enumerate() {
        let at = u32::try_from(at).unwrap_or(u32::MAX);
        let field = predicate.field as usize;
        let (Some(table), Some(parts)) = (tables.get_mut(field), parts.get_mut(field)) else { continue };
        match &predicate.test {
            Test::Exists => table.exists = Some(at),
            Test::Ints(numbers) => {
                for number in numbers {
                    table.ints.entry(*number).or_default().push(at);
                }
            }
            Test::Texts(texts) => {
                for text in texts {
                    let folded = fold(&text.text);
                    let confirm = !text.fold || !text.text.is_ascii();
                    let hit = Hit {
                        predicate: at,
                        place: text.place,
                        text: text.text.clone(),
                        fold: text.fold,
                        confirm,
                        hint: text.hint,
                    };
                    if text.place == Place::Whole {
                        table.longest = table.longest.max(folded.len());
                        table.whole.entry(folded).or_default().push(hit);
                        continue;
                    }
                    let next = parts.len();
                    let pattern = *parts.entry(folded).or_insert(next);
                    if pattern == table.hits.len() {
                        table.hits.push(Vec::new());
                    }
                    if let Some(hits) = table.hits.get_mut(pattern) {
                        hits.push(hit);
                    }
                }
            }
            Test::Lazy(..) => {}
        }
    }
    for (table, parts) in tables.iter_mut().zip(parts) {
        let mut patterns: Vec<(String, usize)> = parts.into_iter().collect();
        patterns.sort_by_key(|(_, at)| *at);
        table.parts = Parts::new(patterns.into_iter().map(|(text, _)| text).collect());
    }
    tables
}
