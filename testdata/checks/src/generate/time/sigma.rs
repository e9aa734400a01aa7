//! Sigma rules and correlations of every type over the streams: keys, aliases, conditions, `generate`, and correlations
//! over correlations.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::{Text, pick};
use super::{maybe, sometimes};

/// Where the fields of the sources stand, as Sigma has it.
pub(super) const TAXONOMY: &str = r#"
[[source]]
name = "t.s"
shapes = ["{}"]
time = ["t"]
id = ["id"]

[[source]]
name = "u.s"
shapes = ["{}"]
time = ["t"]
id = ["id"]

[[logsource]]
product = "p"
source = "t.s"

[[logsource]]
product = "q"
source = "u.s"
"#;

/// The key that the correlations of one program share, and what each rule has in its place.
#[derive(Clone, Copy, Debug)]
struct Key {
    fields: &'static [&'static str],
    aliases: &'static [(&'static str, &'static str)],
}

const KEYS: &[Key] = &[
    Key { fields: &[], aliases: &[] },
    Key { fields: &["u"], aliases: &[] },
    Key { fields: &["u"], aliases: &[] },
    Key { fields: &["u", "a"], aliases: &[] },
    Key { fields: &["l"], aliases: &[] },
    Key { fields: &["who"], aliases: &[("r0", "u"), ("r1", "a"), ("r2", "u")] },
    Key { fields: &["who"], aliases: &[("r0", "l"), ("r1", "u"), ("r2", "u")] },
];

fn rule(name: &'static str) -> Text {
    let product = pick(&["p", "p", "p", "q"]);
    let wanted = pick(&[
        "{ a: x }",
        "{ a: x }",
        "{ a: y }",
        "{ a: [x, y] }",
        "{ a: '*' }",
        "{ n|gte: 2 }",
        "{ c: y }",
        "{ l: q }",
        "{ u|exists: true }",
    ]);
    (product, wanted)
        .prop_map(move |(product, wanted)| {
            format!(
                "title: {name}\nname: {name}\nlevel: low\nlogsource: {{ product: {product} }}\ndetection:\n  s: {wanted}\n  \
                 condition: s\n---\n"
            )
        })
        .boxed()
}

/// A type with its condition, over rules on events or over other correlations, which have the fields of the key alone.
fn what(rules: &'static [&'static str], key: Key, over_correlations: bool) -> Text {
    let count = || {
        pick(&["{ gte: 2 }", "{ gte: 2 }", "{ gt: 2 }", "{ lt: 3 }", "{ eq: 2 }", "{ neq: 1 }", "{ gt: 1, lte: 3 }"])
    };
    let joined = |word: &str| format!("\n  condition: {}", rules.join(word));
    let join = prop_oneof![3 => Just(String::new()), 1 => Just(joined(" and ")), 1 => Just(joined(" or "))];
    let event_count = count().prop_map(|count| format!("event_count\n  condition: {count}"));
    let temporal = join.prop_map(|join| format!("temporal{join}"));
    let ordered = Just("temporal_ordered".to_string());
    let values = |of: &'static [(&'static str, &'static str)]| {
        select(of).prop_map(|(kind, condition)| format!("{kind}\n  condition: {condition}"))
    };
    const OF_EVENTS: &[(&str, &str)] = &[
        ("value_count", "{ field: a, gte: 2 }"),
        ("value_count", "{ field: n, gte: 2 }"),
        ("value_count", "{ field: [a, n], gte: 2 }"),
        ("value_count", "{ field: l, lt: 2 }"),
        ("value_sum", "{ field: n, gte: 4 }"),
        ("value_sum", "{ field: x, lt: 1 }"),
        ("value_avg", "{ field: n, gt: 1.5 }"),
        ("value_avg", "{ field: x, gte: 0.2 }"),
        ("value_median", "{ field: n, gte: 2 }"),
        ("value_median", "{ field: x, gt: 0.15, lt: 100 }"),
        ("value_percentile", "{ field: n, percentile: 75, gte: 2 }"),
        ("value_percentile", "{ field: n, gt: 1 }"),
    ];
    if !over_correlations {
        return prop_oneof![3 => event_count, 5 => values(OF_EVENTS), 3 => temporal, 2 => ordered].boxed();
    }
    match key.fields.first() {
        None => prop_oneof![2 => event_count, 1 => temporal, 1 => ordered].boxed(),
        Some(field) => {
            let count = format!("value_count\n  condition: {{ field: {field}, gte: 2 }}");
            prop_oneof![2 => event_count, 1 => temporal, 1 => ordered, 1 => Just(count)].boxed()
        }
    }
}

/// A correlation over some of these lists of rules.
fn correlation(name: &'static str, key: Key, lists: &'static [&'static [&'static str]], over: bool) -> Text {
    let span = pick(&["1s", "10s", "1m", "1m", "10m", "1h"]);
    let generate = sometimes(3, &["\n  generate: true"]);
    // The last of a chain may leave the key out.
    let keyed = prop_oneof![3 => Just(true), 1 => Just(name != "c3")];
    (select(lists), span, generate, keyed)
        .prop_flat_map(move |(rules, span, generate, keyed)| {
            (what(rules, key, over), Just((rules, span, generate, keyed)))
        })
        .prop_map(move |(what, (rules, span, generate, keyed))| {
            let by = if keyed && !key.fields.is_empty() {
                format!("\n  group-by: [{}]", key.fields.join(", "))
            } else {
                String::new()
            };
            // Correlations have the field by its own name.
            let named: Vec<String> = key
                .aliases
                .iter()
                .filter(|(rule, _)| rules.contains(rule))
                .map(|(rule, field)| format!("{rule}: {field}"))
                .collect();
            let aliases =
                if named.is_empty() { String::new() } else { format!("\n  aliases: {{ who: {{ {} }} }}", named.join(", ")) };
            format!(
                "title: {name}\nname: {name}\nlevel: high\ncorrelation:\n  rules: [{}]\n  timespan: {span}{by}{aliases}{generate}\n  \
                 type: {what}\n---\n",
                rules.join(", ")
            )
        })
        .boxed()
}

/// Rules, correlations over them, over those, and over those again; with mappings of the sources, or without.
pub fn correlations() -> Text {
    const EVENTS: &[&[&str]] = &[&["r0"], &["r0", "r1"], &["r1", "r0"], &["r0", "r1", "r2"], &["r2", "r1"]];
    const CHAIN: &[&[&str]] = &[&["c0"], &["c0", "r1"], &["r2", "c1"], &["c0", "c1"], &["c1", "c0"]];
    const FURTHER: &[&[&str]] = &[&["c2"], &["c2", "r0"], &["c2", "c0"], &["c1", "c2"]];
    let all = select(KEYS).prop_flat_map(|key| {
        (
            (rule("r0"), rule("r1"), rule("r2")),
            (correlation("c0", key, EVENTS, false), correlation("c1", key, EVENTS, false)),
            maybe(correlation("c2", key, CHAIN, true)),
            correlation("c3", key, FURTHER, true),
        )
    });
    (all, any::<bool>())
        .prop_map(|((rules, first, second, third), mapped)| {
            let third = if second.is_empty() { String::new() } else { third };
            let head = if mapped { super::MAPPED } else { super::UNMAPPED };
            format!("{head}{}{}{}{}{}{second}{third}", rules.0, rules.1, rules.2, first.0, first.1)
        })
        .boxed()
}
