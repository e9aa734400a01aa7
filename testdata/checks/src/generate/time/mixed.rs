//! Sequences whose steps are of several kinds: events of a class, events as they came, and findings of other rules.

use proptest::prelude::*;

use super::super::{Text, pick};
use super::{caps, from, maybe, sometimes};

/// One kind of step: what stands in the place of the class, the parts of keys, what it may ask, and the field that
/// other steps compare with theirs.
struct KindOf {
    what: Text,
    by: Text,
    condition: Text,
    own: &'static str,
}

/// Users are in every kind of step; now and then a key is something else.
fn mostly(user: &'static str, others: &'static [&'static str]) -> Text {
    prop_oneof![9 => Just(user.to_string()), 1 => pick(others)].boxed()
}

/// The feature `alone` is read by the rule `m0` and no other: rules that read one feature do not take each other's findings.
fn class(reads: bool) -> KindOf {
    let classes = if reads { &["authentication"][..] } else { &["authentication", "authentication", "account_change"] };
    let what = (proptest::sample::select(classes), from());
    KindOf {
        what: what.prop_map(|(class, from)| class.to_string() + &from).boxed(),
        by: mostly("user.uid", &["message"]),
        condition: match reads {
            false => pick(&["message == \"x\"", "message == \"y\"", "count >= 2", "exists user.uid"]),
            true => pick(&["message is new in alone", "message is not new in alone", "observations(alone) < 3"]),
        },
        own: "message",
    }
}

fn loose() -> KindOf {
    KindOf {
        what: from().prop_map(|from| format!("event{from}")).boxed(),
        by: mostly("raw.u", &["raw.l[]", "raw.a"]),
        condition: pick(&["raw.a == \"x\"", "raw.a != \"z\"", "raw.n >= 2", "exists raw.c", "raw.l == \"q\""]),
        own: "raw.a",
    }
}

fn finding(rules: &'static [&'static str]) -> KindOf {
    KindOf {
        what: pick(rules).prop_map(|rules| format!("finding from {rules}")).boxed(),
        by: mostly("entity", &["group.user.uid", "group.u", "rule"]),
        condition: pick(&["severity_id >= 2", "risk > 0", "title contains \"x\"", "exists entity", "rule != \"w0\""]),
        own: "entity",
    }
}

/// A step, with the field that others compare with, and whether it may refer to the step before it, which is called `@`
/// and has the field `#`.
fn step(kinds: Vec<KindOf>, not: bool) -> BoxedStrategy<(String, &'static str)> {
    let of = |kind: KindOf| {
        let own = kind.own;
        let refers =
            pick(&["@.count < 3", "@.count == 1", "@.count >= 2", "OWN == @.#", "OWN in @[].#", "OWN != @[0].#"]);
        let range = match not {
            true => Just(String::new()).boxed(),
            false => sometimes(5, &["[2..]", "[1..]", "[1..2]", "[2..3]", "[..2]"]),
        };
        (kind.what, kind.by, maybe(kind.condition), sometimes_of(5, refers), range)
            .prop_map(move |(what, by, condition, refers, range)| {
                let parts: Vec<String> =
                    [condition, refers.replace("OWN", own)].into_iter().filter(|part| !part.is_empty()).collect();
                let condition =
                    if parts.is_empty() { String::new() } else { format!(" where {}", parts.join(" and ")) };
                (format!("{what} by {by}{condition} {range}"), own)
            })
            .boxed()
    };
    proptest::strategy::Union::new(kinds.into_iter().map(of)).boxed()
}

fn sometimes_of(once_in: u32, part: Text) -> Text {
    prop_oneof![once_in - 1 => Just(String::new()), 1 => part].boxed()
}

/// `sequence …` or `together …` over the findings of some rules, each list as it is written.
pub(super) fn mixed(name: &'static str, rules: &'static [&'static str]) -> Text {
    let kinds = move || vec![class(false), class(name == "m0"), loose(), finding(rules)];
    let not = |once_in: u32| prop_oneof![once_in - 1 => Just(None), 1 => step(kinds(), true).prop_map(Some)];
    let word = pick(&["sequence", "sequence", "together"]);
    let within = pick(&["10s", "1m", "10m", "1h", "1h"]);
    let steps = (step(vec![finding(rules)], false), not(5), step(kinds(), false), not(5), step(kinds(), false), not(5));
    ((word, within, caps()), proptest::sample::select(&[1usize, 2, 2, 3][..]), steps, any::<bool>())
        .prop_map(move |((word, within, caps), named, (a, not_b, b, not_c, c, trailing), swapped)| {
            let (a, b) = if swapped && named > 1 { (b, a) } else { (a, b) };
            let said = a.1;
            let mut parts = vec![(Some("a"), a)];
            if named > 1 {
                parts.extend(not_b.map(|not| (None, not)));
                parts.push((Some("b"), b));
            }
            if named > 2 {
                parts.extend(not_c.map(|not| (None, not)));
                parts.push((Some("c"), c));
            }
            parts.extend(trailing.map(|not| (None, not)));
            let mut before: Option<(&str, &str)> = None;
            let mut steps = String::new();
            for (step, (text, own)) in parts {
                // The first step has none before it, and what refers to it asks nothing.
                let text = match before {
                    Some((before, field)) => text.replace('@', before).replace('#', field),
                    None => without_reference(&text),
                };
                steps += &step.map_or_else(|| format!("    not {text}\n"), |step| format!("    {step}: {text}\n"));
                before = step.map(|step| (step, own)).or(before);
            }
            format!(
                "rule {name} {{ title: \"mixed\"\n  {word} within {within}{caps} {{\n{steps}  }}\n  alert {{ title: \
                 \"{{a.count}} {{a.{said}}} {{a[].{said}}}\" severity: high when a.count > 1 entities: [user(a.{said})] \
                 risk: 7 on user(a.{said}) }} }}\n"
            )
        })
        .boxed()
}

/// A step without the part that refers to another.
fn without_reference(text: &str) -> String {
    let Some((head, tail)) = text.split_once(" where ") else { return text.to_string() };
    let Some(range) = tail.rfind(' ') else { return text.to_string() };
    let (condition, range) = tail.split_at(range);
    let parts: Vec<&str> = condition.split(" and ").filter(|part| !part.contains('@')).collect();
    if parts.is_empty() { format!("{head}{range}") } else { format!("{head} where {}{range}", parts.join(" and ")) }
}
