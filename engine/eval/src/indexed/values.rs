//! Values of fields: where they stand in a record, and which eager predicates they fulfil.

use std::borrow::Cow;
use std::ops::ControlFlow;

use tripline_event::{Segment, Value, parse_json, to_int, to_text};
use tripline_formats::{Found, Slots, unescape, unescape_into};
use tripline_ir::{Op, Scalar};
use tripline_plan::index::{Check, Conversion, FieldTable, Hit, Index, Place, fold_into};

use crate::compare::{compare, convert, is_item};
use crate::evaluator::{loosely, reach};

/// A scalar that was located.
pub(super) fn scalar(found: Found, text: &str) -> Option<Value<'_>> {
    match found {
        Found::Text => Some(Value::Text(Cow::Borrowed(text))),
        Found::Escaped => Some(Value::Text(Cow::Owned(unescape(text)))),
        Found::Number => parse_json(text.as_bytes()).ok(),
        Found::Bool(truth) => Some(Value::Bool(truth)),
        Found::Object | Found::Inside(_) | Found::Missing => None,
    }
}

/// The places of one record.
pub(super) struct Places<'e> {
    pub index: &'e Index,
    pub slots: &'e Slots,
    pub record: &'e str,
}

impl Places<'_> {
    /// Every value of a field: those of its first place that has any.
    pub fn each(&self, field: u32, visit: &mut dyn FnMut(&Value<'_>)) {
        let Some(about) = self.index.fields.get(field as usize) else { return };
        let slots = self.index.slots.get(field as usize).into_iter().flatten();
        for (path, slot) in about.places.iter().zip(slots) {
            let slot = self.slots.get(*slot);
            let text = self.record.get(slot.start as usize..slot.end as usize).unwrap_or("");
            let mut any = false;
            match slot.found {
                Found::Missing => {}
                Found::Object => {
                    any = true;
                    visit(&Value::Object(Vec::new()));
                }
                Found::Inside(steps) => {
                    let rest: &[Segment] = path.0.get(usize::from(steps)..).unwrap_or_default();
                    if let Ok(value) = parse_json(text.as_bytes()) {
                        let mut each = |value: &Value<'_>| {
                            any = true;
                            visit(value);
                            ControlFlow::Continue(())
                        };
                        let _ =
                            if about.loose { loosely(&value, rest, &mut each) } else { reach(&value, rest, &mut each) };
                    }
                }
                found => {
                    if let Some(value) = scalar(found, text) {
                        any = true;
                        visit(&value);
                    }
                }
            }
            if any {
                return;
            }
        }
    }
}

/// Whether a value passes a lazy test.
pub(super) fn fits(conversion: Conversion, check: &Check, value: &Value<'_>) -> bool {
    let converted;
    let value = match conversion {
        Conversion::None => value,
        Conversion::To(Scalar::Text) if matches!(value, Value::Text(_)) => value,
        Conversion::To(scalar) => {
            converted = convert(value, scalar);
            &converted
        }
    };
    if value.is_absent() {
        return false;
    }
    match check {
        Check::Compare(op, right, fold) => compare(*op, value, right, *fold),
        Check::Pattern(pattern) => value.as_text().is_some_and(|text| pattern.is_match(text)),
        Check::Items(items) => items.iter().any(|item| is_item(value, item)),
    }
}

/// The eager predicates that hold.
pub(super) struct Hits {
    found: Vec<u32>,
    /// Per predicate: the value that it was found for last.
    seen: Vec<u32>,
    value: u32,
    /// The value's text without escapes, and folded.
    plain: String,
    folded: String,
}

impl Hits {
    pub fn new(predicates: usize) -> Self {
        Hits { found: Vec::new(), seen: vec![0; predicates], value: 0, plain: String::new(), folded: String::new() }
    }

    /// Begins anew.
    pub fn clear(&mut self) {
        self.found.clear();
        self.value = self.value.wrapping_add(1);
        if self.value == 0 {
            self.seen.fill(0);
            self.value = 1;
        }
    }

    /// Each once.
    pub fn predicates(&self) -> &[u32] {
        &self.found
    }

    /// Adds those that hold for a scalar that was located.
    pub fn of_scalar(&mut self, table: &FieldTable, found: Found, text: &str) {
        if found == Found::Escaped {
            let mut plain = std::mem::take(&mut self.plain);
            plain.clear();
            unescape_into(text, &mut plain);
            self.of_value(table, &Value::Text(Cow::Borrowed(&plain)));
            self.plain = plain;
        } else if let Some(value) = scalar(found, text) {
            self.of_value(table, &value);
        }
    }

    /// Adds those that hold for a value.
    pub fn of_value(&mut self, table: &FieldTable, value: &Value<'_>) {
        if let Some(exists) = table.exists {
            self.add(exists);
        }
        if !table.ints.is_empty()
            && let Some(number) = to_int(value)
        {
            for predicate in table.ints.get(&number).into_iter().flatten() {
                self.add(*predicate);
            }
        }
        if table.whole.is_empty() && table.parts.is_none() {
            return;
        }
        let Some(text) = to_text(value) else { return };
        let plain = text.is_ascii();
        let mut folded = std::mem::take(&mut self.folded);
        folded.clear();
        fold_into(&text, &mut folded);
        // Hashing a long text would be for nothing.
        if folded.len() <= table.longest {
            for hit in table.whole.get(&folded).into_iter().flatten() {
                self.take(hit, &text, plain);
            }
        }
        if let Some(parts) = &table.parts {
            parts.find(folded.as_bytes(), &mut |pattern, start, end| {
                for hit in table.hits.get(pattern).into_iter().flatten() {
                    let there = match hit.place {
                        Place::Part => true,
                        Place::Start => start == 0,
                        Place::End => end == folded.len(),
                        Place::Whole => false,
                    };
                    if there {
                        self.take(hit, &text, plain);
                    }
                }
            });
        }
        self.folded = folded;
    }

    fn take(&mut self, hit: &Hit, text: &str, plain: bool) {
        if self.seen.get(hit.predicate as usize) == Some(&self.value) {
            return;
        }
        if (hit.confirm || !plain) && !hit.hint && !confirmed(hit, text) {
            return;
        }
        self.add(hit.predicate);
    }

    fn add(&mut self, predicate: u32) {
        if let Some(seen) = self.seen.get_mut(predicate as usize)
            && *seen != self.value
        {
            *seen = self.value;
            self.found.push(predicate);
        }
    }
}

/// The comparison itself, where folding is coarser than it.
fn confirmed(hit: &Hit, text: &str) -> bool {
    let op = match hit.place {
        Place::Whole => Op::Eq,
        Place::Part => Op::Contains,
        Place::Start => Op::StartsWith,
        Place::End => Op::EndsWith,
    };
    compare(op, &Value::Text(Cow::Borrowed(text)), &Value::Text(Cow::Borrowed(&hit.text)), hit.fold)
}
