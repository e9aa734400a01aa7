//! Values of fields: where they stand in a record, and which eager predicates they fulfil.

use std::borrow::Cow;
use std::ops::ControlFlow;

use tripline_event::{Segment, Value, parse_json, to_int, to_text};
use tripline_formats::{Found, Slots, unescape};
use tripline_ir::{Op, Scalar};
use tripline_plan::index::{Check, Conversion, FieldTable, Hit, Index, Place, fold};

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
#[derive(Default)]
pub(super) struct Hits {
    found: Vec<u32>,
}

impl Hits {
    pub fn clear(&mut self) {
        self.found.clear();
    }

    /// Each once.
    pub fn predicates(&mut self) -> &[u32] {
        self.found.sort_unstable();
        self.found.dedup();
        &self.found
    }

    /// Adds those that hold for a value.
    pub fn of_value(&mut self, table: &FieldTable, value: &Value<'_>) {
        self.found.extend(table.exists);
        if !table.ints.is_empty()
            && let Some(number) = to_int(value)
        {
            self.found.extend(table.ints.get(&number).into_iter().flatten());
        }
        if table.whole.is_empty() && table.parts.is_none() {
            return;
        }
        let Some(text) = to_text(value) else { return };
        let folded = fold(&text);
        let plain = text.is_ascii();
        for hit in table.whole.get(&folded).into_iter().flatten() {
            self.take(hit, &text, plain);
        }
        let Some(parts) = &table.parts else { return };
        for found in parts.find_overlapping_iter(folded.as_str()) {
            for hit in table.hits.get(found.pattern().as_usize()).into_iter().flatten() {
                let there = match hit.place {
                    Place::Part => true,
                    Place::Start => found.start() == 0,
                    Place::End => found.end() == folded.len(),
                    Place::Whole => false,
                };
                if there {
                    self.take(hit, &text, plain);
                }
            }
        }
    }

    fn take(&mut self, hit: &Hit, text: &str, plain: bool) {
        if (hit.confirm || !plain) && !hit.hint && !confirmed(hit, text) {
            return;
        }
        self.found.push(hit.predicate);
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
