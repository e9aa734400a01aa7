//! Rules on single events, windows, reads, and findings.

use proptest::prelude::*;

use super::super::{Text, pick};
use super::{atom, caps, from, maybe, read, reading, sometimes};

/// A clause before what it needs, or neither.
fn clause(word: &'static str, rest: Text) -> Text {
    rest.prop_map(move |rest| if rest.is_empty() { rest } else { format!(" {word} {rest}") }).boxed()
}

/// An exception, which may end.
fn excepted(kind: &'static str, condition: Text) -> Text {
    (sometimes(3, &[" until 2025-12-31", " until 2026-01-01"]), condition)
        .prop_map(move |(until, condition)| match condition.is_empty() {
            true => condition,
            false => format!(" except {kind}\"e\"{until} where {condition}"),
        })
        .boxed()
}

/// A rule that judges each event alone, whose findings others take.
pub(super) fn single(name: &'static str) -> Text {
    let header =
        pick(&["", "severity: low", "severity: high", "attack: [T1078/initial-access]", "attack: [T1110.003, T1621]"]);
    let entities = pick(&["user(user.uid)", "user(user.uid), host(message)", "host(message)", "app(raw.l[])"]);
    let risk = maybe(pick(&["risk: 30 on user(user.uid)", "risk: 10 on host(message)"]));
    let class = pick(&["authentication", "authentication", "account_change"]);
    (header, class, atom(), excepted("", maybe(atom())), entities, risk)
        .prop_map(move |(header, class, c, except, entities, risk)| {
            format!(
                "rule {name} {{ title: \"single\" {header} on {class} where {c}{except}\n  \
                 alert {{ title: \"{{count}} {{message}}\" entities: [{entities}] {risk} }} }}\n"
            )
        })
        .boxed()
}

/// A test of a window.
fn having() -> Text {
    let leaf = pick(&[
        "count() >= 2",
        "count() >= 3",
        "count() > 1",
        "count() < 3",
        "count() == 2",
        "count() <= 1",
        "rate() >= 0.03",
        "distinct(message) >= 2",
        "distinct(message) == 1",
        "distinct(raw.l[]) > 1",
        "sum(count) >= 4",
        "sum(count) < 4",
        "sum(raw.x) == 0.3",
        "sum(raw.x) > 1",
        "avg(count) >= 2",
        "avg(raw.x) < 0.2",
        "not (avg(count) < 2)",
        "min(count) == 1",
        "max(count) >= 3",
        "max(count) - min(count) >= 2",
        "median(count) >= 2",
        "percentile(count, 75) > 1.6",
        "stddev(count) >= 0.7",
        "not (stddev(count) > 0.1)",
        "first(message) == \"x\"",
        "last(message) != \"x\"",
        "\"y\" in values(message)",
        "message == \"x\"",
        "max(time) - min(time) >= 5s",
    ]);
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("not ({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} and {b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a} or {b})")),
        ]
    })
    .boxed()
}

/// `group by …`
pub(super) fn window(name: &'static str) -> Text {
    const KEYS: &[&str] = &[
        "user.uid",
        "user.uid",
        "user.uid",
        "message",
        "user.uid, message",
        "raw.u",
        "raw.l[]",
        "raw.u, raw.l[]",
        "raw.l[], raw.a",
    ];
    // Features observe authentications, so only rules on these read them.
    let on = prop_oneof![
        2 => (Just("authentication"), maybe(atom())),
        1 => (Just("authentication"), read()),
        1 => (Just("account_change"), maybe(atom())),
    ];
    let on = (on, from()).prop_map(|((class, c), from)| {
        if c.is_empty() { format!("on {class}{from}") } else { format!("on {class}{from} where {c}") }
    });
    let within = pick(&["1s", "10s", "10s", "20s", "1m", "90s", "10m"]);
    let kind = pick(&["", "", "", " tumbling", " session"]);
    let except = excepted("", sometimes(5, &["message == \"z\"", "count == 3"]));
    let found = sometimes(4, &["count() == 3", "message == \"y\"", "max(count) >= 5"]);
    let except_finding = excepted("finding ", found);
    let having = prop_oneof![1 => Just(String::new()), 8 => clause("having", having())];
    ((on, except, except_finding), (pick(KEYS), within, kind, caps()), having, alert())
        .prop_map(move |((on, except, finding), (by, within, kind, caps), having, alert)| {
            format!(
                "rule {name} {{ title: \"window\" severity: low {on}{except}{finding}\n  \
                 group by {by} within {within}{kind}{caps}{having}\n  {alert} }}\n"
            )
        })
        .boxed()
}

/// `on event … group by …`
pub(super) fn loose(name: &'static str) -> Text {
    let condition = maybe(pick(&["raw.a == \"x\"", "raw.n >= 2", "raw.l == \"q\"", "not exists raw.c", "raw.x > 0"]));
    let by = pick(&["raw.u", "raw.u", "raw.l", "raw.a", "raw.u, raw.l"]);
    let within = pick(&["10s", "1m", "10m", "1m tumbling", "10s session"]);
    let having = pick(&[
        "count() >= 2",
        "distinct(raw.l) >= 2",
        "sum(raw.n) >= 3 and raw.a == \"x\"",
        "count() < 3 and last(raw.n) == 2",
        "not (max(raw.n) < 3)",
        "distinct(raw.a) >= 2 or first(raw.l) == \"p\"",
    ]);
    (from(), clause("where", condition), by, within, caps(), having)
        .prop_map(move |(from, condition, by, within, caps, having)| {
            format!(
                "rule {name} {{ title: \"loose\" on event{from}{condition}\n  group by {by} within {within}{caps} having \
                 {having}\n  alert {{ title: \"{{count()}} {{raw.a}} {{values(raw.l)}} {{sum(raw.n)}}\" entities: \
                 [user(raw.u)] }} }}\n"
            )
        })
        .boxed()
}

/// What is said of a window.
fn alert() -> Text {
    const VALUES: &[&str] = &[
        "count()",
        "message",
        "sum(count)",
        "distinct(message)",
        "values(message)",
        "first(count)",
        "last(raw.l[])",
        "min(count)",
        "max(raw.x)",
        "user.uid",
        "avg(count)",
        "sum(raw.x)",
        "rate()",
        "median(count)",
        "percentile(count, 90)",
        "stddev(raw.x)",
        "values(raw.l[])",
        "first(raw.a)",
    ];
    let severity = pick(&["critical when count() >= 3, high when message == \"x\"", "high when sum(count) > 3"]);
    let severity = clause("severity:", maybe(severity));
    let key = maybe(pick(&["key: [user.uid]", "key: [message, first(message)]"]));
    let entities = maybe(pick(&["entities: [user(user.uid)]", "entities: [user(user.uid), host(message)]"]));
    let risk = maybe(pick(&["risk: 40 on user(user.uid)"]));
    let rearm = sometimes(3, &["rearm: 10s", "rearm: 1s", "rearm: 1m"]);
    ((pick(VALUES), pick(VALUES), pick(VALUES)), severity, key, entities, risk, rearm)
        .prop_map(|((a, b, c), severity, key, entities, risk, rearm)| {
            format!(
                "alert {{ title: \"{{{a}}} {{{b}}}\" context: {{ c: {c}, n: count() }}{severity} {key} {entities} {risk} \
                 {rearm} }}"
            )
        })
        .boxed()
}

/// A rule on single events that reads features.
pub(super) fn reads(name: &'static str) -> Text {
    let except = prop_oneof![3 => Just(String::new()), 1 => reading()];
    let except = excepted("", except.boxed());
    let severity = clause("severity: critical when", maybe(read()));
    let shown = pick(&[
        "message",
        "age(times)",
        "age(seen)",
        "count",
        "observations(seen)",
        "observations(numbers)",
        "value(seen)",
        "value(numbers)",
        "value(began)",
        "interval(beats)",
        "observations(beats)",
    ]);
    let condition =
        prop_oneof![1 => read(), 1 => (reading(), read()).prop_map(|(a, b)| format!("({a}) and {b}")), 1 => reading()];
    (from(), condition, except, severity, shown)
        .prop_map(move |(from, c, except, severity, shown)| {
            format!(
                "rule {name} {{ title: \"reads\" on authentication{from} where {c}{except}\n  alert {{ title: \
                 \"{{{shown}}} {{message}}\"{severity} entities: [user(user.uid)] risk: 20 on user(user.uid) }} }}\n"
            )
        })
        .boxed()
}

/// A rule on findings, of some of these rules.
pub(super) fn findings(name: &'static str, rules: &'static [&'static str]) -> Text {
    const WHERE: &[&str] =
        &["severity_id >= 2", "risk > 0", "exists entity", "title contains \"x\"", "tactic == \"initial-access\""];
    const HAVING: &[&str] = &[
        "count() >= 2",
        "count() >= 2",
        "sum(risk) >= 50",
        "distinct(tactic) >= 2",
        "distinct(rule) >= 2",
        "count() < 2 and max(severity_id) >= 3",
        "count() >= 3 and not (last(rule) == \"w0\")",
    ];
    let by = pick(&["entity", "entity", "rule", "entity_type", "entity, entity_type", "technique"]);
    let within = pick(&["10s", "1m", "10m", "1h", "1m tumbling", "1m session"]);
    let rearm = sometimes(4, &["rearm: 10s", "rearm: 1m"]);
    let having = clause("having", maybe(pick(HAVING)));
    let group = (by, within, caps(), having, rearm).prop_map(|(by, within, caps, having, rearm)| {
        format!(
            " group by {by} within {within}{caps}{having}\n  alert {{ title: \"{{count()}} {{sum(risk)}} {{values(rule)}} \
             {{title}} {{distinct(entity)}}\" severity: high when count() > 2 entities: [user(entity)] {rearm} }}"
        )
    });
    let alone = Just(
        "\n  alert { title: \"{rule} {title} {entity} {technique}\" entities: [user(entity)] risk: 5 on user(entity) }"
            .to_string(),
    );
    let except = excepted("", sometimes(5, &["risk > 20", "rule == \"w0\"", "title contains \"y\""]));
    (pick(rules), clause("where", sometimes(4, WHERE)), except, prop_oneof![3 => group, 1 => alone])
        .prop_map(move |(from, condition, except, rest)| {
            format!("rule {name} {{ title: \"findings\" on finding{from}{condition}{except}{rest} }}\n")
        })
        .boxed()
}
