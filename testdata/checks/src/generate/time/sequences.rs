//! Sequences, and steps together.

use proptest::prelude::*;

use super::super::{Text, pick};
use super::{caps, from, read, sometimes};

/// What one step asks of its events.
fn plain() -> Text {
    pick(&[
        "message == \"x\"",
        "message == \"x\"",
        "message == \"y\"",
        "message == \"y\"",
        "message in [\"x\", \"y\"]",
        "message != \"z\"",
        "count >= 2",
        "count == 1",
        "exists user.uid",
    ])
}

/// What a step asks of the block of the step before it, which is called `@`.
fn reference() -> Text {
    pick(&[
        " and message == @.message",
        " and message != @.message",
        " and message in @[].message",
        " and message not in @[].message",
        " and time > @.time",
        " and count > @[0].count",
        " and @.count >= 2",
        " and @.count == 1",
        " and (@.count == 2 or count == @[].count)",
    ])
}

/// A step: its class and what follows.
fn step(first: bool, not: bool) -> Text {
    let class = pick(&["authentication", "authentication", "authentication", "authentication", "account_change"]);
    let refer = if first { 0 } else { 1 };
    let reference = prop_oneof![2 => Just(String::new()), refer => reference()];
    let reads = prop_oneof![8 => Just(String::new()), 1 => read()];
    let ranges: &[&str] = &["[2..]", "[1..]", "[1..2]", "[2..3]", "[..2]", "[2..2]"];
    let range = if not { Just(String::new()).boxed() } else { sometimes(3, ranges) };
    (class, from(), plain(), reference, reads, range)
        .prop_map(|(class, from, plain, reference, read, range)| {
            // Features observe authentications.
            let read =
                if read.is_empty() || class != "authentication" { String::new() } else { format!(" and ({read})") };
            format!("{class}{from} where {plain}{reference}{read} {range}")
        })
        .boxed()
}

/// `sequence …`, `together …`
pub(super) fn sequence(name: &'static str) -> Text {
    let not = |once_in: u32| prop_oneof![once_in - 1 => Just(None), 1 => step(false, true).prop_map(Some)];
    let word = pick(&["sequence", "sequence", "sequence", "together"]);
    let by = pick(&["user.uid", "user.uid", "user.uid", "user.uid, message", "raw.u", "raw.l[]"]);
    let within = pick(&["5s", "10s", "1m", "1m", "10m", "1h"]);
    let steps = (step(true, false), not(4), step(false, false), not(6), step(false, false), not(4));
    let except = sometimes(
        6,
        &[
            "except \"e\" where message == \"z\"",
            "except \"e\" until 2025-12-31 where message == \"x\"",
            "except finding \"f\" where a.count == 2 or message == \"y\"",
            "except finding \"f\" until 2025-12-31 where message == \"y\"",
        ],
    );
    ((word, by, within, caps()), 1..=3usize, steps, except)
        .prop_map(move |((word, by, within, caps), named, (a, not_b, b, not_c, c, trailing), except)| {
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
            let mut before = "";
            let mut steps = String::new();
            for (step, text) in parts {
                let text = text.replace('@', before);
                steps += &step.map_or_else(|| format!("    not {text}\n"), |step| format!("    {step}: {text}\n"));
                before = step.unwrap_or(before);
            }
            let more = if named > 1 { " {b.message} {b[0].count}" } else { "" };
            format!(
                "rule {name} {{ title: \"sequence\" {except}\n  {word} by {by} within {within}{caps} {{\n{steps}  }}\n  \
                 alert {{ title: \"{{a.count}} {{a[].message}} {{message}} {{count}}{more}\" severity: high when a.count > \
                 1 key: [user.uid] entities: [user(user.uid)] risk: 15 on user(user.uid) }} }}\n"
            )
        })
        .boxed()
}
