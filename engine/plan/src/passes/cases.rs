//! Pushes a test into the cases of `match`, `if` and `??`: `(c1 => v1, c2 => v2) == x` becomes
//! `c1 => v1 == x, c2 => v2 == x`, so that tests on constants fold away and the others are tests on raw
//! fields.

use tripline_event::Value;
use tripline_ir::{Arena, Id, Kind};

use super::fold;
use crate::Options;

/// The test that `make` builds, on `left`.
pub(crate) fn push(arena: &mut Arena, left: Id, make: &dyn Fn(Id) -> Kind, options: Options) -> Id {
    if options.cases {
        match arena.get(left).kind.clone() {
            Kind::Cases(cases) => {
                let cases = cases.into_iter().map(|(c, v)| (c, push(arena, v, make, options))).collect();
                return fold::test_cases(arena, cases, options);
            }
            // Places of one field are one field to the index.
            Kind::Coalesce(parts) if parts.iter().all(|part| matches!(arena.get(*part).kind, Kind::Path(..))) => {}
            Kind::Coalesce(parts) => {
                // The last part needs no guard: if it is absent, the test is false on it all the same.
                let last = parts.len().saturating_sub(1);
                let always = arena.add(Kind::Const(Value::Bool(true)));
                let cases = parts
                    .into_iter()
                    .enumerate()
                    .map(|(at, part)| {
                        let guard = if at == last { always } else { fold::exists(arena, part, options) };
                        (guard, push(arena, part, make, options))
                    })
                    .collect();
                return fold::test_cases(arena, cases, options);
            }
            _ => {}
        }
    }
    fold::test(arena, make(left), options)
}
