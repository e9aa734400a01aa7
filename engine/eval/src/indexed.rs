//! Which rules match one event, through the index: only the fields that rules ask for are located, each
//! predicate is decided at most once an event, and only rules with an anchor that holds are tried.
//!
//! Invariants: it finds what [`crate::Matcher`] finds. Memory between events is bounded ([`cache`]), and
//! what it holds changes no result.

mod cache;
mod values;

use std::cell::OnceCell;

use tripline_event::{Value, parse_json};
use tripline_formats::{Found, NotPlain, Slot, Slots, unescape_into};
use tripline_ir::{Program, Source};
use tripline_plan::index::{Condition, DETECT, Index, Test, fold_into};

use crate::{Evaluator, Match};
use cache::{Cache, Key};

/// Judges one event after another through an index.
pub struct Indexed<'p> {
    program: &'p Program,
    index: &'p Index,
    evaluator: Evaluator<'p>,
    slots: Slots,
    cache: Cache,
    /// The number of this event; what carries another number is of an event before.
    epoch: u32,
    /// Per field: the event that it was read for, and the rank of its place.
    fields: Vec<(u32, u32)>,
    touched: Vec<u32>,
    /// Per predicate: the event in which it holds (eager), or that it was decided for, times two, plus its truth.
    truths: Vec<u32>,
    lazies: Vec<u32>,
    shared: Vec<u32>,
    /// Per entry: the event that it was named for.
    named: Vec<u32>,
    candidates: Vec<u32>,
    matches: Vec<Match<'p>>,
    hits: values::Hits,
    /// The entries that the predicates of a value are anchors of.
    anchored: Vec<u32>,
    lookups: Vec<Lookup>,
    keywords: Keywords,
}

/// A field's value on its way to what is known of it.
struct Lookup {
    hash: u64,
    field: u32,
    kind: u8,
    slot: Slot,
}

/// Which keywords are in an event's text.
#[derive(Default)]
struct Keywords {
    /// The event that was looked through.
    epoch: u32,
    /// Per keyword, the event that it was found in.
    found: Vec<u32>,
    /// The event's text without escapes, and folded.
    plain: String,
    folded: String,
}

/// One event while it is judged.
struct Event<'e> {
    record: &'e str,
    tree: OnceCell<Option<Value<'e>>>,
}

impl<'e> Event<'e> {
    /// The whole event.
    fn tree(&self) -> Option<&Value<'e>> {
        self.tree.get_or_init(|| parse_json(self.record.as_bytes()).ok()).as_ref()
    }
}

impl<'p> Indexed<'p> {
    /// A matcher of a program and its index.
    pub fn new(program: &'p Program, index: &'p Index) -> Self {
        Indexed {
            program,
            index,
            evaluator: Evaluator::new(program),
            slots: Slots::default(),
            cache: Cache::new(),
            epoch: 0,
            fields: vec![(0, 0); index.fields.len()],
            touched: Vec::new(),
            truths: vec![0; index.predicates.len()],
            lazies: vec![0; index.predicates.len()],
            shared: vec![0; index.shared.len()],
            named: vec![0; index.entries.len()],
            candidates: Vec::new(),
            matches: Vec::new(),
            hits: values::Hits::new(index.predicates.len()),
            anchored: Vec::new(),
            lookups: Vec::new(),
            keywords: Keywords { found: vec![0; index.keywords.count], ..Keywords::default() },
        }
    }

    /// The rules that match the event, in the order of their indices; those found last.
    pub fn matches(&self) -> &[Match<'p>] {
        &self.matches
    }

    /// Judges an event of this source, or of the one that it is told to be of; [`Indexed::matches`] has the
    /// rules. Gives the source, if one is known.
    ///
    /// # Errors
    /// Where the record is not plainly one JSON object; parsing it tells why.
    pub fn judge(&mut self, record: &str, source: Option<usize>) -> Result<Option<&'p Source>, NotPlain> {
        self.matches.clear();
        let index = self.index;
        index.locator.locate(record, &mut self.slots)?;
        self.next();
        self.read(record);
        let event = Event { record, tree: OnceCell::new() };
        let source = source.or_else(|| self.detect(&event));
        let Some(source) = source else { return Ok(None) };
        let candidates = std::mem::take(&mut self.candidates);
        for at in candidates.iter().chain(index.always.get(source).into_iter().flatten()) {
            let Some(entry) = index.entries.get(*at as usize) else { continue };
            if entry.source as usize == source
                && entry.plan != DETECT
                && self.holds(&entry.condition, &event)
                && let Some(found) = self.found(entry)
            {
                self.matches.push(found);
            }
        }
        self.candidates = candidates;
        self.matches.sort_by_key(|found| found.plan.rule);
        Ok(self.program.sources.get(source))
    }

    /// The number of the event that was judged last, which is this record, where its source numbers events. What is
    /// numbered is written to `key`: its values, joined by tabs.
    pub fn number(&self, source: usize, record: &str, key: &mut String) -> Option<i64> {
        let counter = self.index.counters.get(source)?.as_ref()?;
        let number = self.text(counter.value, record)?.parse().ok().filter(|number| *number >= 0)?;
        key.clear();
        for (at, field) in counter.by.iter().enumerate() {
            if at > 0 {
                key.push('\t');
            }
            key.push_str(self.text(*field, record).unwrap_or_default());
        }
        Some(number)
    }

    /// The text of a field that is one scalar, as it is written.
    fn text<'e>(&self, field: u32, record: &'e str) -> Option<&'e str> {
        let slots = self.index.slots.get(field as usize)?.iter().map(|slot| self.slots.get(*slot));
        let mut scalars = slots.filter(|slot| matches!(slot.found, Found::Text | Found::Escaped | Found::Number));
        let slot = scalars.next()?;
        record.get(slot.start as usize..slot.end as usize)
    }

    fn found(&self, entry: &tripline_plan::index::Entry) -> Option<Match<'p>> {
        let source = self.program.sources.get(entry.source as usize)?;
        match entry.arm {
            None => Some(Match { plan: source.rules.get(entry.plan as usize)?, arm: None }),
            Some(arm) => {
                let arm = source.arms.get(arm as usize)?;
                Some(Match { plan: arm.rules.get(entry.plan as usize)?, arm: Some(arm) })
            }
        }
    }

    fn next(&mut self) {
        // An event of no source leaves its candidates where they are.
        self.candidates.clear();
        self.epoch += 1;
        if self.epoch >= u32::MAX / 2 {
            self.epoch = 1;
            self.fields.fill((0, 0));
            self.keywords.epoch = 0;
            let keywords = &mut self.keywords.found;
            for known in [&mut self.truths, &mut self.lazies, &mut self.shared, &mut self.named, keywords] {
                known.fill(0);
            }
        }
        self.evaluator.next_event();
    }

    fn detect(&mut self, event: &Event<'_>) -> Option<usize> {
        let index = self.index;
        let candidates = std::mem::take(&mut self.candidates);
        let mut first: Option<u32> = None;
        for at in candidates.iter().chain(&index.detect) {
            let Some(entry) = index.entries.get(*at as usize) else { continue };
            let earlier = first.is_none_or(|first| entry.source < first);
            if entry.plan == DETECT && earlier && self.holds(&entry.condition, event) {
                first = Some(entry.source);
            }
        }
        self.candidates = candidates;
        first.map(|source| source as usize)
    }

    /// Reads every field that is there, and notes which eager predicates hold.
    fn read(&mut self, record: &str) {
        let index = self.index;
        self.touched.clear();
        for slot in self.slots.touched() {
            if self.slots.get(*slot).found == Found::Missing {
                continue;
            }
            for (field, rank) in index.readers.get(*slot as usize).into_iter().flatten() {
                let Some((epoch, best)) = self.fields.get_mut(*field as usize) else { continue };
                if *epoch != self.epoch {
                    (*epoch, *best) = (self.epoch, *rank);
                    self.touched.push(*field);
                } else if *rank < *best {
                    *best = *rank;
                }
            }
        }
        let touched = std::mem::take(&mut self.touched);
        let mut lookups = std::mem::take(&mut self.lookups);
        lookups.clear();
        for field in &touched {
            lookups.extend(self.lookup(*field, record));
        }
        // The places of all values are known before the first is looked at: they come from memory side by side.
        for lookup in &lookups {
            self.read_value(lookup, record);
        }
        self.lookups = lookups;
        self.touched = touched;
    }

    /// Where to look for what is known of a field's value; nothing where that is no question.
    fn lookup(&mut self, field: u32, record: &str) -> Option<Lookup> {
        let index = self.index;
        let rank = self.fields.get(field as usize).map_or(0, |(_, rank)| *rank as usize);
        let slot = self.slots.get(*index.slots.get(field as usize)?.get(rank)?);
        let table = index.tables.get(field as usize)?;
        let kind = match slot.found {
            Found::Text => 1,
            Found::Escaped => 2,
            Found::Number => 3,
            Found::Bool(true) => 4,
            Found::Bool(false) => 5,
            Found::Object | Found::Inside(_) | Found::Missing => {
                // Rare: not one scalar. What is found is not kept.
                let places = values::Places { index, slots: &self.slots, record };
                self.hits.clear();
                places.each(field, &mut |value| self.hits.of_value(table, value));
                self.take_hits();
                return None;
            }
        };
        if table.is_plain() {
            if let Some(exists) = table.exists {
                mark(&mut self.truths, self.epoch, exists);
                name(&mut self.named, &mut self.candidates, self.epoch, index, exists);
            }
            return None;
        }
        let text = record.get(slot.start as usize..slot.end as usize).unwrap_or("");
        if !Cache::keeps(text.len()) {
            self.hits.clear();
            self.hits.of_scalar(table, slot.found, text);
            self.take_hits();
            return None;
        }
        let hash = self.cache.hash(&Key { field, kind, text });
        Some(Lookup { hash, field, kind, slot })
    }

    /// Notes the predicates that were found.
    fn take_hits(&mut self) {
        for predicate in self.hits.predicates() {
            mark(&mut self.truths, self.epoch, *predicate);
            name(&mut self.named, &mut self.candidates, self.epoch, self.index, *predicate);
        }
    }

    fn read_value(&mut self, lookup: &Lookup, record: &str) {
        let index = self.index;
        let text = record.get(lookup.slot.start as usize..lookup.slot.end as usize).unwrap_or("");
        let key = Key { field: lookup.field, kind: lookup.kind, text };
        let known = match self.cache.find(lookup.hash, &key) {
            Some(known) => known,
            None => {
                let Some(table) = index.tables.get(lookup.field as usize) else { return };
                self.hits.clear();
                self.hits.of_scalar(table, lookup.slot.found, text);
                self.anchored.clear();
                for predicate in self.hits.predicates() {
                    self.anchored.extend(index.anchored.get(*predicate as usize).into_iter().flatten());
                }
                self.anchored.sort_unstable();
                self.anchored.dedup();
                self.cache.put(lookup.hash, &key, self.hits.predicates(), &self.anchored)
            }
        };
        let (predicates, entries) = self.cache.numbers(known);
        for predicate in predicates {
            mark(&mut self.truths, self.epoch, *predicate);
        }
        for entry in entries {
            name_entry(&mut self.named, &mut self.candidates, self.epoch, *entry);
        }
    }

    /// Whether a keyword is in the event's text.
    fn keyword(&mut self, keyword: u32, record: &str) -> bool {
        let keywords = &mut self.keywords;
        if keywords.epoch != self.epoch {
            keywords.epoch = self.epoch;
            keywords.plain.clear();
            keywords.folded.clear();
            let escaped = record.contains('\\');
            if escaped {
                unescape_into(record, &mut keywords.plain);
            }
            fold_into(if escaped { &keywords.plain } else { record }, &mut keywords.folded);
            if let Some(parts) = &self.index.keywords.parts {
                parts.find(keywords.folded.as_bytes(), &mut |pattern, _, _| {
                    for keyword in self.index.keywords.of.get(pattern).into_iter().flatten() {
                        mark(&mut keywords.found, self.epoch, *keyword);
                    }
                });
            }
        }
        keywords.found.get(keyword as usize) == Some(&self.epoch)
    }

    fn holds(&mut self, condition: &'p Condition, event: &Event<'_>) -> bool {
        match condition {
            Condition::Const(truth) => *truth,
            Condition::Eager(predicate) => self.truths.get(*predicate as usize) == Some(&self.epoch),
            Condition::Lazy(predicate) => self.lazy(*predicate, event),
            Condition::Not(inner) => !self.holds(inner, event),
            Condition::And(parts) => parts.iter().all(|part| self.holds(part, event)),
            Condition::Or(parts) => parts.iter().any(|part| self.holds(part, event)),
            Condition::Shared(at) => {
                let known = self.shared.get(*at as usize).copied().unwrap_or(0);
                if known >> 1 == self.epoch {
                    return known & 1 == 1;
                }
                let truth = self.index.shared.get(*at as usize).is_some_and(|inner| self.holds(inner, event));
                if let Some(known) = self.shared.get_mut(*at as usize) {
                    *known = self.epoch << 1 | u32::from(truth);
                }
                truth
            }
            Condition::Node(id) => event.tree().is_some_and(|tree| self.evaluator.test(*id, tree)),
            Condition::Keyword(keyword, id) => {
                self.keyword(*keyword, event.record) && event.tree().is_some_and(|tree| self.evaluator.test(*id, tree))
            }
        }
    }

    fn lazy(&mut self, at: u32, event: &Event<'_>) -> bool {
        let known = self.lazies.get(at as usize).copied().unwrap_or(0);
        if known >> 1 == self.epoch {
            return known & 1 == 1;
        }
        let Some(predicate) = self.index.predicates.get(at as usize) else { return false };
        let open = predicate.gate.is_none_or(|gate| self.truths.get(gate as usize) == Some(&self.epoch));
        let Test::Lazy(conversion, check) = &predicate.test else { return false };
        let mut truth = false;
        if open {
            let places = values::Places { index: self.index, slots: &self.slots, record: event.record };
            places.each(predicate.field, &mut |value| truth = truth || values::fits(*conversion, check, value));
        }
        if let Some(known) = self.lazies.get_mut(at as usize) {
            *known = self.epoch << 1 | u32::from(truth);
        }
        truth
    }
}

fn mark(truths: &mut [u32], epoch: u32, predicate: u32) {
    if let Some(truth) = truths.get_mut(predicate as usize) {
        *truth = epoch;
    }
}

fn name(named: &mut [u32], candidates: &mut Vec<u32>, epoch: u32, index: &Index, predicate: u32) {
    for entry in index.anchored.get(predicate as usize).into_iter().flatten() {
        name_entry(named, candidates, epoch, *entry);
    }
}

#[inline]
fn name_entry(named: &mut [u32], candidates: &mut Vec<u32>, epoch: u32, entry: u32) {
    if let Some(named) = named.get_mut(entry as usize)
        && *named != epoch
    {
        *named = epoch;
        candidates.push(entry);
    }
}
