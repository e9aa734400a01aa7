//! Programs with stateful rules at random, and streams of events for them: two sources of one shape, few users, few
//! values, and times that meet the lengths of the windows.
//!
//! Invariants: every program compiles; what a finding says is exact (no quotient of a deviation), so that findings may
//! be compared as they are; rules are called `w0`, `w1` (single events), `g0` … (windows), `e0` (a window of events as
//! they came), `s0` … (sequences), `r0` … (reads), `f0` … (findings), `m0` … (sequences over events and findings). Of
//! Sigma, rules are `r0` …, and correlations `c0` ….

mod mixed;
mod rules;
mod sequences;
mod sigma;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use tripline_detect::{Compiler, Ruleset};
use tripline_semantic::NoFiles;

use super::{Text, pick};
pub use sigma::correlations;

/// How the text of Sigma rules begins, whose sources have mappings, or none.
const MAPPED: &str = "# mapped\n";
const UNMAPPED: &str = "# not mapped\n";

/// What every program begins with.
const MAPPINGS: &str = "\
mapping m from t.s {
  time: timestamp(raw.t)  metadata.uid: raw.id  message: raw.a  count: raw.n  user.uid: raw.u
  when raw.c == \"y\" -> account_change { activity_id: \"Other\" severity_id: \"Low\" }
  otherwise -> authentication {
    activity_id: \"Logon\" severity_id: \"Low\" is_mfa: raw.mfa metadata.labels: raw.l
    src_endpoint.location: { country: raw.a, lat: raw.lat, long: raw.long }
  }
}
mapping o from u.s {
  time: timestamp(raw.t)  metadata.uid: raw.id  message: raw.a  count: raw.n  user.uid: raw.u
  when raw.c == \"y\" -> account_change { activity_id: \"Other\" severity_id: \"Low\" }
  otherwise -> authentication { activity_id: \"Logon\" severity_id: \"Low\" metadata.labels: raw.l }
}
";

/// An event of a stream: its source, and its JSON text.
pub type Sent = (String, String);

/// Nothing, or, once in so many times, one of these.
fn sometimes(once_in: u32, pool: &'static [&'static str]) -> Text {
    prop_oneof![once_in - 1 => Just(String::new()), 1 => pick(pool)].boxed()
}

/// Nothing, or this.
fn maybe(part: Text) -> Text {
    prop_oneof![Just(String::new()), part].boxed()
}

/// A condition of one event.
fn atom() -> Text {
    pick(&[
        "message == \"x\"",
        "message == \"x\"",
        "message == \"y\"",
        "message in [\"x\", \"y\"]",
        "message != \"z\"",
        "exists message",
        "count >= 2",
        "count == 1",
        "not (count == 2)",
        "user.uid != \"eve\"",
        "raw.x > 0",
        "raw.a == \"x\"",
    ])
}

fn from() -> Text {
    sometimes(4, &[" from t.s", " from u.s", " from t.s, u.s"])
}

fn caps() -> Text {
    let all = sometimes(8, &[" max_events 2", " max_events 3", " max_events 4", " max_events 6"]);
    (sometimes(6, &[" max_keys 1", " max_keys 2"]), sometimes(6, &[" per_key 2", " per_key 3", " per_key 1"]), all)
        .prop_map(|(keys, events, all)| keys + &events + &all)
        .boxed()
}

/// The features of every program, by what they remember; all observe authentications.
fn features() -> Text {
    // A bucket's length, and for how long it is remembered.
    const SPANS: &[(&str, &str)] = &[
        ("", "10s"),
        ("", "1m"),
        ("", "10m"),
        ("", "1h"),
        ("", "2d"),
        (" per 1s", "10s"),
        (" per 7s", "30s"),
        (" per 10s", "90s"),
        (" per 10s", "10m"),
        (" per 1m", "1h"),
        (" per 1h", "2d"),
    ];
    const HISTOGRAMS: &[(&str, &str)] =
        &[(" per 1s", "20s"), (" per 1s", "10m"), (" per 10s", "10m"), (" per 7s", "1m"), (" per 1m", "1h")];
    let feature = |name: &'static str,
                   what: &'static [&'static str],
                   spans: &'static [(&'static str, &'static str)]| {
        let by = pick(&["user.uid", "user.uid", "user.uid", "user.uid, message", "metadata.labels[]"]);
        let warmup = pick(&["", "", " warmup 1s", " warmup 10s", " warmup 1m"]);
        let all = sometimes(6, &[" max_events 1", " max_events 2", " max_events 4", " max_events 6"]);
        let caps = (sometimes(6, &[" max_keys 1", " max_keys 2"]), sometimes(6, &[" per_key 1", " per_key 2"]), all);
        let condition = sometimes(4, &[" where count >= 1", " where message != \"z\"", " where exists count"]);
        (pick(what), select(spans), by, warmup, caps, from(), condition)
            .prop_map(move |(what, (per, over), by, warmup, (keys, values, all), from, condition)| {
                format!(
                    "feature {name} = {what}{per} by {by} over {over}{warmup}{keys}{values}{all} on \
                     authentication{from}{condition}\n"
                )
            })
            .boxed()
    };
    const SETS: &[&str] =
        &["set of message", "set of message", "set of message", "distinct of message", "set of raw.l[]"];
    let beats = {
        let by = pick(&["user.uid", "user.uid", "user.uid, message", "metadata.labels[]"]);
        let caps = (
            sometimes(6, &[" max_keys 1", " max_keys 2"]),
            sometimes(3, &[" per_key 5", " per_key 6", " per_key 2"]),
            sometimes(4, &[" max_events 1", " max_events 3", " max_events 5", " max_events 6", " max_events 9"]),
        );
        (select(SPANS), by, pick(&["", " warmup 1s", " warmup 1m"]), caps, from(), sometimes(4, &[" where count >= 1"]))
            .prop_map(|((per, over), by, warmup, (keys, events, all), from, condition)| {
                format!(
                    "feature beats = intervals{per} by {by} over {over}{warmup}{keys}{events}{all} on \
                     authentication{from}{condition}\n"
                )
            })
            .boxed()
    };
    let features = vec![
        beats,
        feature("seen", SETS, SPANS),
        feature("times", &["count"], SPANS),
        feature("numbers", &["avg of count", "sum of count", "avg of raw.x"], SPANS),
        feature("hourly", &["histogram", "histogram of count"], HISTOGRAMS),
        feature("place", &["last of src_endpoint.location"], SPANS),
        feature("alone", SETS, SPANS),
        feature("began", &["first of message", "last of message"], SPANS),
    ];
    features.prop_map(|features| features.concat()).boxed()
}

/// A read of a feature as a condition.
fn read() -> Text {
    prop_oneof![
        3 => pick(&["message is new in seen", "message is not new in seen", "not (message is new in seen)"]),
        2 => pick(&["message is rare in seen below 50%", "message is rare in seen below 34%", "message is not rare in seen below 70%"]),
        2 => pick(&["zscore(count, numbers) > 0.3", "zscore(count, numbers) <= -0.3", "not (zscore(2, times) > 0.4)", "zscore(5, hourly) >= 1.1", "exists zscore(count, numbers)"]),
        2 => pick(&["deviation(4, hourly) > 0.9", "deviation(0, hourly) < 0.3", "exists deviation(1, times)"]),
        2 => pick(&["age(times) >= 10s", "age(seen) < 1m", "age(began) > 30s", "not exists age(times)", "age(place) >= 1m"]),
        2 => pick(&["travel_speed(place) > 800", "travel_speed(place) <= 800", "not exists travel_speed(place)"]),
        2 => pick(&["observations(seen) >= 2", "observations(numbers) < 3", "observations(times) == 2", "observations(hourly) > 2", "observations(beats) >= 4", "observations(place) == 1", "not (observations(began) > 1)"]),
        2 => pick(&["value(seen) >= 2", "value(times) < 3", "value(numbers) > 2", "value(numbers) <= 1.5", "not exists value(numbers)", "value(hourly) >= 3", "value(began) == \"x\"", "message != value(began)", "exists value(began)"]),
        2 => pick(&["regularity(beats) > 0.6", "regularity(beats) <= 0.3", "not (regularity(beats) > 0.1)", "exists regularity(beats)"]),
        2 => pick(&["interval(beats) >= 10s", "interval(beats) < 2s", "interval(beats) <= 1m", "beats is silent for 30s", "age(beats) > 1m"]),
        1 => pick(&["value(times) * 2 > value(seen) + 1", "observations(times) > observations(seen)"]),
        2 => pick(&["times is silent for 10s", "times is not silent for 10s", "began is silent for 1m", "seen is silent for 1s"]),
    ]
    .boxed()
}

/// Reads, and what single events have, joined in every way.
fn reading() -> Text {
    let leaf = prop_oneof![3 => read(), 1 => atom()];
    leaf.prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} or {b})")),
            (atom(), inner.clone(), inner).prop_map(|(c, a, b)| format!("(if {c} then ({a}) else ({b}))")),
        ]
    })
    .boxed()
}

/// Compiles what was generated.
pub fn compile(text: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    let is_mapped = text.starts_with(MAPPED);
    if is_mapped || text.starts_with(UNMAPPED) {
        compiler.add_taxonomy("taxonomy.toml", sigma::TAXONOMY.as_bytes());
        compiler.add_sigma("generated.yml", text.as_bytes());
        if is_mapped {
            compiler.add("mappings.trip", MAPPINGS);
        }
    } else {
        compiler.add("generated.trip", text);
    }
    compiler.compile(&NoFiles, 0)
}

/// Programs of the native language, and of Sigma.
pub fn any_program() -> Text {
    prop_oneof![2 => program(), 1 => correlations()].boxed()
}

/// A program with rules of every kind.
pub fn program() -> Text {
    let events = (rules::single("w0"), rules::single("w1"), rules::window("g0"), rules::window("g1"));
    let several = (sequences::sequence("s0"), sequences::sequence("s1"), rules::reads("r0"), rules::reads("r1"));
    let loose = rules::loose("e0");
    let findings = (
        rules::findings("f0", FIRST),
        rules::findings("f1", SECOND),
        mixed::mixed("m0", MIXED),
        rules::findings("f2", THIRD),
    );
    let last = mixed::mixed("m1", LAST);
    (features(), events, several, loose, findings, last)
        .prop_map(|(features, events, several, loose, findings, last)| {
            let rules = [events.0, events.1, events.2, events.3, several.0, several.1, several.2, several.3];
            let findings = [findings.0, findings.1, findings.2, findings.3, last];
            format!("{MAPPINGS}{features}{}{loose}{}", rules.concat(), findings.concat())
        })
        .boxed()
}

/// Whose findings rules on findings take: those before them, so that there are no circles.
const FIRST: &[&str] = &["", "", " from w0", " from w0, g0", " from g0, g1, s0", " from r0, r1", " from s0, s1, w1"];
const SECOND: &[&str] = &["", " from f0", " from f0", " from f0, w0", " from w0, w1", " from f0, g1, r0"];
const MIXED: &[&str] = &["w0", "w1", "g0", "g0, w1", "s0, g1", "r0", "f0", "e0", "f0, w0"];
const THIRD: &[&str] = &[" from f1", " from m0", " from f1, m0", " from m0, w0", " from f0, f1"];
const LAST: &[&str] = &["f2", "m0", "f2, m0", "f1, g1", "f2, w0"];

/// What one event has, but for its time.
#[derive(Clone, Debug)]
struct Fields {
    source: &'static str,
    /// Nanoseconds after the event before.
    after: i64,
    /// How it stands to the event before: a new one, the same bytes, the same id and time, or without a time.
    kind: u32,
    fields: String,
}

fn fields() -> impl Strategy<Value = Fields> {
    const SECOND: i64 = 1_000_000_000;
    let after = prop_oneof![
        6 => Just(0),
        3 => select(&[1, 500_000_000, SECOND - 1, SECOND][..]),
        6 => select(&[2 * SECOND, 5 * SECOND, 10 * SECOND - 1, 10 * SECOND, 10 * SECOND + 1][..]),
        4 => select(&[30 * SECOND, 60 * SECOND, 60 * SECOND - 1, 90 * SECOND][..]),
        1 => select(&[600 * SECOND, 3_600 * SECOND, 86_400 * SECOND, 90_000 * SECOND][..]),
    ];
    let one = |name: &'static str, pool: &'static [&'static str]| {
        pick(pool).prop_map(move |value| if value.is_empty() { value } else { format!(",\"{name}\":{value}") }).boxed()
    };
    let parts = vec![
        one("u", &["\"bob\"", "\"bob\"", "\"bob\"", "\"bob\"", "\"eve\"", "\"eve\"", "\"Bob\"", "7", ""]),
        one("a", &["\"x\"", "\"x\"", "\"x\"", "\"y\"", "\"y\"", "\"y\"", "\"z\"", ""]),
        one("n", &["1", "1", "2", "2", "3", "5", "null", ""]),
        one("c", &["\"y\"", "", "", "", ""]),
        one("id", &["\"1\"", "\"2\"", "", "", "", ""]),
        one("l", &["[\"p\"]", "[\"p\",\"q\"]", "[\"q\",\"p\",\"q\"]", "[]", ""]),
        one("x", &["0.1", "0.2", "1e16", "-1e16", "3", "1.5", "", ""]),
        one("lat", &["52.5,\"long\":13.4", "52.5,\"long\":13.4", "35.7,\"long\":139.7", "52.4,\"long\":13.1", ""]),
    ];
    let kind = prop_oneof![10 => Just(0u32), 2 => Just(1), 1 => Just(2), 1 => Just(3)];
    (select(&["t.s", "t.s", "t.s", "u.s"][..]), after, kind, parts).prop_map(|(source, after, kind, parts)| Fields {
        source,
        after,
        kind,
        fields: parts.concat(),
    })
}

/// A stream, in any order.
pub fn stream() -> BoxedStrategy<Vec<Sent>> {
    let sent = |all: Vec<Fields>| {
        // Not at a border of anything, so that tumbling windows are cut inside, and some seconds before a new year, when
        // exceptions end.
        let mut time: i64 = 1_767_225_583_000_000_000;
        let mut out: Vec<Sent> = Vec::new();
        for one in all {
            let Fields { source, after, kind, fields } = one;
            match (kind, out.last().cloned()) {
                (1, Some(before)) => out.push(before),
                (2, Some((source, before))) if before.contains("\"id\"") => {
                    out.push((source, before.replace("{", "{\"again\":true,")));
                }
                (3, _) => out.push((source.to_string(), format!("{{\"none\":1{fields}}}"))),
                _ => {
                    time += after;
                    out.push((source.to_string(), format!("{{\"t\":{time}{fields}}}")));
                }
            }
        }
        out
    };
    let order = prop_oneof![Just(false), Just(true)];
    (vec(fields(), 5..=60), order)
        .prop_map(move |(all, shuffled)| (sent(all), shuffled))
        .prop_flat_map(|(sent, shuffled)| if shuffled { Just(sent).prop_shuffle().boxed() } else { Just(sent).boxed() })
        .boxed()
}
