//! What `docs/TIME.md` says, held against the oracle: its examples, and the corners.

use tripline_checks::oracle::time::{Event, Finding, Options, findings, plain_uid};
use tripline_checks::streaming;
use tripline_detect::{Compiler, Ruleset};
use tripline_event::format_time;

#[path = "time_spec/features.rs"]
mod features;

/// Two sources of one shape: `u` the user, `a` a text, `n` a number, `c` the class, `id` the id.
const MAPPINGS: &str = "
    mapping m from t.s {
      time: timestamp(raw.t)  metadata.uid: raw.id  message: raw.a  count: raw.n  user.uid: raw.u
      when raw.c == \"y\" -> account_change { activity_id: \"Other\" severity_id: \"Low\" }
      otherwise -> authentication {
        activity_id: \"Logon\" severity_id: \"Low\" is_mfa: raw.mfa
        src_endpoint.location: { country: raw.a, lat: raw.lat, long: raw.long }
        metadata.labels: raw.l
      }
    }
    mapping o from u.s {
      time: timestamp(raw.t)  metadata.uid: raw.id  message: raw.a  count: raw.n  user.uid: raw.u
      when raw.c == \"y\" -> account_change { activity_id: \"Other\" severity_id: \"Low\" }
      otherwise -> authentication { activity_id: \"Logon\" severity_id: \"Low\" }
    }
";

fn compile(text: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("spec.trip", &format!("{MAPPINGS}{text}"));
    let ruleset = compiler.compile(&tripline_semantic::NoFiles, 0);
    let errors: Vec<String> = ruleset
        .diagnostics
        .iter()
        .filter(|d| d.level() == tripline_base::Level::Error)
        .map(|d| format!("{} {:?}", d.message, d.help))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}\n{text}");
    ruleset
}

/// An event on the first of January 2026 at a time of the day, or at one that names its day (`02T10:00`). After a
/// `u`, of the other source.
fn event(at: &str, fields: &str) -> Event {
    let (source, at) = match at.strip_prefix("u ") {
        Some(rest) => ("u.s", rest),
        None => ("t.s", at),
    };
    let (day, time) = at.split_once('T').unwrap_or(("01", at));
    let time = if time.len() == 5 { format!("{time}:00") } else { time.to_string() };
    let comma = if fields.is_empty() { "" } else { "," };
    Event::new(source, &format!("{{\"t\":\"2026-01-{day}T{time}Z\"{comma}{fields}}}")).expect("JSON")
}

fn judge(text: &str, events: &[Event], covered: bool) -> Vec<Finding> {
    findings(&compile(text).program, events, &Options { covered, uid: &plain_uid })
}

/// Findings in short: the rule's name, when, the title, how many events.
fn short(text: &str, events: &[Event], covered: bool) -> Vec<String> {
    let ruleset = compile(text);
    let found = findings(&ruleset.program, events, &Options { covered, uid: &plain_uid });
    // The engine says the same.
    let text = |event: &Event| serde_json::to_string(&event.raw).expect("JSON");
    let sent: Vec<(String, String)> = events.iter().map(|event| (event.source.clone(), text(event))).collect();
    assert_eq!(streaming::found(&ruleset, &sent, covered, None), streaming::wanted(&ruleset, &sent, covered));
    let mut backwards = events.to_vec();
    backwards.reverse();
    assert_eq!(findings(&ruleset.program, &backwards, &Options { covered, uid: &plain_uid }), found, "order matters");
    let name = |at: usize| ruleset.program.rules[at].name.clone();
    found
        .iter()
        .map(|f| {
            let time = format_time(f.time).replace("2026-01-01T", "").replace("2026-01-", "").replace('Z', "");
            format!("{} {time} {} x{}", name(f.rule), f.title, f.count)
        })
        .collect()
}

/// Over sources that are covered for ever.
fn tested(text: &str, events: &[(&str, &str)]) -> Vec<String> {
    short(text, &events.iter().map(|(at, fields)| event(at, fields)).collect::<Vec<_>>(), true)
}

/// Over what came, and no more.
fn scanned(text: &str, events: &[(&str, &str)]) -> Vec<String> {
    short(text, &events.iter().map(|(at, fields)| event(at, fields)).collect::<Vec<_>>(), false)
}

const U: &str = "\"u\":\"bob\"";

/// A window of authentications by user, with a title.
fn window(clause: &str, having: &str, alert: &str) -> String {
    format!(
        "rule one {{ title: \"t\" on authentication group by user.uid {clause} having {having} alert {{ {alert} }} }}"
    )
}

fn at(times: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    times.iter().map(|time| (*time, U)).collect()
}

#[test]
fn the_example_of_windows() {
    let rule = window("within 10m", "count() >= 3", "title: \"{count()}\"");
    let events = at(&["00:00", "00:04", "00:08", "00:09", "00:30", "00:31", "00:32"]);
    assert_eq!(tested(&rule, &events), ["one 00:08:00 4 x4", "one 00:32:00 3 x3"]);
}

#[test]
fn an_event_leaves_exactly_after_the_length() {
    let rule = window("within 10m", "count() >= 2", "title: \"{count()}\"");
    assert_eq!(tested(&rule, &at(&["00:00", "00:10"])), [""; 0]);
    assert_eq!(tested(&rule, &at(&["00:00", "00:09:59.999999999"])), ["one 00:09:59.999999999 2 x2"]);
}

#[test]
fn the_example_of_redelivery() {
    let rule = window("within 10m", "count() >= 1", "title: \"{count()}\"");
    let seven = "\"u\":\"bob\",\"id\":\"7\"";
    assert_eq!(tested(&rule, &[("10:00", seven), ("10:00", seven)]), ["one 10:00:00 1 x1"]);
    assert_eq!(tested(&rule, &[("10:00", U), ("10:00", U)]), ["one 10:00:00 2 x2"]);
    // Another time or another source is another event; the first in the order counts.
    assert_eq!(tested(&rule, &[("10:00", seven), ("10:01", seven), ("u 10:00", seven)]), ["one 10:00:00 3 x3"]);
    let a = window("within 10m", "count() >= 1", "title: \"{message}\"");
    let both =
        [("10:00", "\"u\":\"bob\",\"id\":\"7\",\"a\":\"z\""), ("10:00", "\"u\":\"bob\",\"id\":\"7\",\"a\":\"b\"")];
    assert_eq!(tested(&a, &both), ["one 10:00:00 b x1"]);
}

#[test]
fn without_a_time_or_a_key_no_part_is_taken() {
    let rule = window("within 10m", "count() >= 1", "title: \"{count()}\"");
    let no_time = Event::new("t.s", "{\"u\":\"bob\"}").unwrap();
    let other = Event::new("x.y", "{\"u\":\"bob\",\"t\":1}").unwrap();
    assert_eq!(judge(&rule, &[no_time, other], true), []);
    assert_eq!(tested(&rule, &[("00:00", "\"n\":1"), ("00:01", "\"u\":null")]), [""; 0]);
    let two = "rule one { title: \"t\" on authentication group by user.uid, message within 10m }";
    assert_eq!(tested(two, &[("00:00", U)]), [""; 0]);
    let found = judge(two, &[event("00:00", "\"u\":\"bob\",\"a\":\"x\"")], true);
    assert_eq!(found[0].group, ["bob", "x"]);
}

#[test]
fn several_values_of_a_key_are_several_keys() {
    let rule = "rule one { title: \"t\" on authentication group by user.uid, metadata.labels[] within 10m
                having count() >= 2 }";
    let events = [
        event("00:00", "\"u\":\"bob\",\"l\":[\"a\",\"b\",\"a\"]"),
        event("00:01", "\"u\":\"bob\",\"l\":[\"b\",\"B\"]"),
    ];
    let found = judge(rule, &events, true);
    assert_eq!(found.iter().map(|f| f.group.join(" ")).collect::<Vec<_>>(), ["bob b"]);
}

#[test]
fn keys_are_equal_as_text() {
    let rule = "rule one { title: \"t\" on authentication group by raw.k within 10m having count() >= 2 }";
    let found = tested(
        rule,
        &[("00:00", "\"k\":1"), ("00:01", "\"k\":\"1\""), ("00:02", "\"k\":\"a\""), ("00:03", "\"k\":\"A\"")],
    );
    assert_eq!(found, ["one 00:01:00 t x2"]);
}

#[test]
fn no_having_is_a_count_of_one() {
    let rule = "rule one { title: \"t\" on authentication group by user.uid within 10m }";
    assert_eq!(tested(rule, &at(&["00:00", "00:05", "00:16"])), ["one 00:00:00 t x2", "one 00:16:00 t x1"]);
}

#[test]
fn a_tumbling_window_is_cut_at_multiples_since_1970() {
    let rule = window("within 10m tumbling", "count() >= 2", "title: \"{count()}\"");
    assert_eq!(tested(&rule, &at(&["00:09", "00:10"])), [""; 0]);
    assert_eq!(
        tested(&rule, &at(&["00:10", "00:19:59", "00:20", "00:21"])),
        ["one 00:19:59 2 x2", "one 00:21:00 2 x2"]
    );
}

#[test]
fn a_session_lasts_until_a_gap() {
    let rule = window("within 10m session", "count() >= 3", "title: \"{count()} {first(message)}\"");
    let events = [
        ("00:00", "\"u\":\"bob\",\"a\":\"x\""),
        ("00:09", U),
        ("00:18", U),
        ("00:27", U),
        ("00:37", U),
        ("00:38", U),
        ("00:39", U),
    ];
    assert_eq!(tested(&rule, &events), ["one 00:18:00 4 x x4", "one 00:39:00 3 - x3"]);
}

#[test]
fn a_condition_may_become_true_when_events_leave() {
    let rule = window("within 10m", "count() < 2 and sum(count) >= 5", "title: \"{count()} {message}\"");
    let events = [("00:00", "\"u\":\"bob\",\"n\":1"), ("00:04", "\"u\":\"bob\",\"n\":5,\"a\":\"late\"")];
    assert_eq!(tested(&rule, &events), ["one 00:10:00 1 late x1"]);
    // The scan ends before that instant, unless some event of the source lies beyond.
    assert_eq!(scanned(&rule, &events), [""; 0]);
    assert_eq!(scanned(&rule, &[events[0], events[1], ("00:10", "\"c\":\"y\"")]), ["one 00:10:00 1 late x1"]);
    assert_eq!(scanned(&rule, &[events[0], events[1], ("00:09:59", "\"c\":\"y\"")]), [""; 0]);
}

#[test]
fn leaving_comes_before_the_events_of_the_instant() {
    let rule = window("within 10m", "count() < 2 and max(count) >= 5", "title: \"{count()}\"");
    let events =
        [("00:00", "\"u\":\"bob\",\"n\":1"), ("00:04", "\"u\":\"bob\",\"n\":5"), ("00:10", "\"u\":\"bob\",\"n\":1")];
    assert_eq!(tested(&rule, &events), ["one 00:10:00 1 x1"]);
}

#[test]
fn an_empty_window_fulfils_nothing() {
    let rule = window("within 10m", "count() < 3", "title: \"{count()}\"");
    assert_eq!(tested(&rule, &at(&["00:00", "00:30"])), ["one 00:00:00 1 x1", "one 00:30:00 1 x1"]);
}

#[test]
fn it_fires_anew_after_it_is_armed_again() {
    let rule = window("within 10m", "count() >= 2", "title: \"{count()}\" rearm: 5m");
    let times = at(&["00:00", "00:01", "00:05", "00:06", "00:10:59", "00:11"]);
    assert_eq!(tested(&rule, &times), ["one 00:01:00 3 x3", "one 00:06:00 4 x4", "one 00:11:00 4 x4"]);
    let late = at(&["00:00", "00:01", "00:20"]);
    assert_eq!(tested(&rule, &late), ["one 00:01:00 2 x2"]);
}

#[test]
fn exceptions_take_events_away_or_judge_what_was_found() {
    let rule = "rule one { title: \"t\" on authentication where count > 0 except \"x\" where message == \"skip\"
                except finding \"y\" where message == \"fine\" or max(count) > 8
                group by user.uid within 10m having count() >= 2 alert { title: \"{count()}\" } }";
    let with = |a: &str, n: u32| format!("\"u\":\"bob\",\"a\":\"{a}\",\"n\":{n}");
    let events: Vec<Event> = [
        ("00:00", with("a", 1)),
        ("00:01", with("skip", 1)),
        ("00:02", with("fine", 1)),
        ("00:03", with("b", 1)),
        ("00:04", with("fine", 1)),
        ("00:05", with("c", 0)),
    ]
    .iter()
    .map(|(at, fields)| event(at, fields))
    .collect();
    assert_eq!(short(rule, &events, true), ["one 00:03:00 4 x4"]);
    // It stays armed while events leave, too.
    let events: Vec<Event> = [("00:00", with("a", 9)), ("00:01", with("b", 1)), ("00:02", with("c", 1))]
        .iter()
        .map(|(at, f)| event(at, f))
        .collect();
    assert_eq!(short(rule, &events, true), ["one 00:10:00 2 x2"]);
}

#[test]
fn an_exception_is_in_force_until_its_day_ends() {
    let rule = "rule one { title: \"t\" on authentication except \"x\" until 2026-01-01 where message == \"a\"
                group by user.uid within 10m alert { title: \"{count()}\" } }";
    let a = "\"u\":\"bob\",\"a\":\"a\"";
    assert_eq!(tested(rule, &[("23:59:59", a), ("02T00:00", a)]), ["one 02T00:00:00 1 x1"]);
}

#[test]
fn severity_and_context_are_those_of_the_last_check() {
    let rule =
        "rule one { title: \"t\" severity: low on authentication group by user.uid within 10m having count() >= 2
                alert { severity: critical when count() >= 3, key: [message], entities: [user(message)],
                        context: { n: sum(count), who: message, gone: min(raw.none) }, risk: 5 on user(message) } }";
    let events: Vec<Event> = ["a", "b", "c"]
        .iter()
        .enumerate()
        .map(|(n, a)| event(&format!("00:0{n}"), &format!("\"u\":\"bob\",\"a\":\"{a}\",\"n\":{n}")))
        .collect();
    let found = &judge(rule, &events, true)[0];
    assert_eq!(found.severity.name(), "critical");
    assert_eq!(format!("{:?}", found.context), "[(\"n\", Int(3)), (\"who\", Text(\"c\"))]");
    assert_eq!((found.key.join(""), found.entities.clone()), ("b".into(), vec![("user", "b".into())]));
    assert_eq!(found.risk, Some((5, "user", "b".into())));
}

/// What an aggregate comes to over these numbers, a minute apart.
fn over(aggregate: &str, numbers: &[&str]) -> String {
    let events: Vec<Event> = numbers
        .iter()
        .enumerate()
        .map(|(n, x)| event(&format!("00:{n:02}"), &format!("\"u\":\"b\",\"x\":{x}")))
        .collect();
    let rule = window("within 1h", "count() >= 1", &format!("context: {{ it: {aggregate} }}"));
    let found = judge(&rule, &events, true);
    found[0].context.first().map_or("-".into(), |(_, value)| format!("{value:?}"))
}

#[test]
fn aggregates() {
    let numbers = ["4", "1", "3", "2"];
    for (aggregate, wanted) in [
        ("count()", "Int(4)"),
        ("rate()", "Float(0.0011111111111111111)"),
        ("distinct(raw.x)", "Int(4)"),
        ("values(raw.x)", "Array([Int(4), Int(1), Int(3), Int(2)])"),
        ("first(raw.x)", "Int(4)"),
        ("last(raw.x)", "Int(2)"),
        ("sum(raw.x)", "Int(10)"),
        ("avg(raw.x)", "Float(2.5)"),
        ("min(raw.x)", "Int(1)"),
        ("max(raw.x)", "Int(4)"),
        ("median(raw.x)", "Float(2.5)"),
        ("percentile(raw.x, 90)", "Float(3.7)"),
        ("percentile(raw.x, 100)", "Float(4.0)"),
        ("stddev(raw.x)", "Float(1.118033988749895)"),
        ("max(time) - min(time)", "Duration(180000000000)"),
    ] {
        assert_eq!(over(aggregate, &numbers), wanted, "{aggregate}");
    }
    assert_eq!(over("distinct(raw.x)", &["1", "null", "\"a\"", "\"A\"", "\"a\""]), "Int(3)");
    assert_eq!(over("distinct(raw.x[])", &["[1, 2]", "[2, 3]", "[]"]), "Int(3)");
    assert_eq!(over("first(raw.x)", &["null", "7", "8"]), "Int(7)");
    assert_eq!(over("last(raw.x[])", &["[7, 8]", "null"]), "Int(7)");
    // The variance is rounded once.
    assert_eq!(over("stddev(raw.x)", &["0.1", "0.2", "3.0"]), "Float(1.34412301024373)");
    assert_eq!(over("stddev(raw.x)", &["1e16", "1e16", "3.0"]), "Float(4714045207910316.0)");
}

#[test]
fn aggregates_over_no_values() {
    for (aggregate, wanted) in [("sum", "Int(0)"), ("distinct", "Int(0)"), ("values", "Array([])")] {
        assert_eq!(over(&format!("{aggregate}(raw.x)"), &["null"]), wanted);
    }
    for aggregate in ["avg", "min", "max", "median", "stddev", "first", "last"] {
        assert_eq!(over(&format!("{aggregate}(raw.x)"), &["null", "null"]), "-", "{aggregate}");
    }
    assert_eq!(over("stddev(raw.x)", &["5"]), "Float(0.0)");
    let rule = window("within 10m", "not (avg(count) >= 1)", "");
    assert_eq!(tested(&rule, &at(&["00:00"])).len(), 1);
}

#[test]
fn sums_are_exact_and_rounded_once() {
    assert_eq!(over("sum(raw.x)", &["1e16", "1.0", "-1e16"]), "Float(1.0)");
    assert_eq!(over("avg(raw.x)", &["0.1", "0.1", "0.1"]), "Float(0.1)");
    let most = i64::MAX.to_string();
    assert_eq!(over("sum(raw.x)", &[&most, "1", "-1"]), format!("Int({most})"));
    assert_eq!(over("sum(raw.x)", &[&most, "1"]), "Float(9.223372036854776e18)");
}

#[test]
fn the_oldest_events_of_a_key_are_dropped() {
    let rule = window("within 1h per_key 2", "count() >= 1", "title: \"{count()} {sum(count)}\"");
    let events: Vec<(&str, &str)> =
        vec![("00:00", "\"u\":\"b\",\"n\":1"), ("00:01", "\"u\":\"b\",\"n\":2"), ("00:02", "\"u\":\"b\",\"n\":4")];
    // They are still counted.
    assert_eq!(tested(&rule, &events), ["one 00:00:00 3 6 x3"]);
}

#[test]
fn events_that_are_not_kept_leave_with_their_slice() {
    // Slices of a minute: what was dropped leaves an hour after its minute ends, and what is kept of that minute with it.
    let rule = window("within 1h per_key 1", "count() == 2", "title: \"{count()} {user.uid}\"");
    let with = |times: &[&'static str]| {
        let events: Vec<(&str, &str)> = times.iter().map(|at| (*at, "\"u\":\"b\"")).collect();
        tested(&rule, &events)
    };
    assert_eq!(with(&["00:00:10", "00:00:20", "00:30:00"]), ["one 00:00:20 2 b x2"]);
    assert_eq!(with(&["00:00:10", "00:00:20", "00:00:30"]), ["one 00:00:20 2 b x2"]);
    // At 01:00:30 nothing leaves but at 01:01:00, when two do: of four, two are left.
    let times = ["00:00:10", "00:00:20", "00:40:00", "00:50:00"];
    assert_eq!(with(&times), ["one 00:00:20 2 b x2", "one 01:01:00 2 b x2"]);
}

#[test]
fn a_spray_over_more_users_than_are_kept_reads_about_as_many() {
    let rule =
        "rule one { title: \"t\" on authentication group by message within 1h per_key 1000 having count() >= 2500
        alert { title: \"{count()} {distinct(user.uid)}\" } }";
    let ruleset = compile(rule);
    let event = |n: usize| {
        let at = 1_767_225_600_000_000_000_i64 + i64::try_from(n).unwrap() * 1_000_000_000;
        ("t.s".to_string(), format!("{{\"t\":{at},\"a\":\"x\",\"u\":\"user{n}\"}}"))
    };
    let sent: Vec<(String, String)> = (0..2_500).map(event).collect();
    let found = streaming::found(&ruleset, &sent, true, None);
    let told: Vec<&str> = found.iter().map(|one| one.title.as_str()).collect();
    let [title] = told.as_slice() else { panic!("{told:?}") };
    let (count, distinct) = title.split_once(' ').expect("two numbers");
    let distinct: f64 = distinct.parse().expect("a number");
    // 512 registers: a standard error of 4.6 per cent.
    assert_eq!((count, found[0].count), ("2500", 2_500));
    assert!((distinct / 2_500.0 - 1.0).abs() < 3.0 * 0.046, "{distinct}");
}

#[test]
fn the_key_that_was_seen_longest_ago_is_evicted() {
    let rule = window("within 1h max_keys 2", "count() >= 2", "title: \"{user.uid}\"");
    let of = |user: &'static str| match user {
        "a" => "\"u\":\"a\"",
        "b" => "\"u\":\"b\"",
        _ => "\"u\":\"c\"",
    };
    let events = |users: &[&'static str]| {
        let times = ["00:00", "00:01", "00:02", "00:03", "00:04", "00:05"];
        users.iter().zip(times).map(|(user, at)| (at, of(user))).collect::<Vec<_>>()
    };
    assert_eq!(tested(&rule, &events(&["a", "b", "c", "a", "c"])), ["one 00:04:00 c x2"]);
    assert_eq!(tested(&rule, &events(&["a", "b", "c", "b", "a"])), ["one 00:03:00 b x2"]);
}

#[test]
fn keys_go_where_all_have_too_many_events() {
    let rule = window("within 1h max_events 3", "count() >= 2", "title: \"{user.uid} {count()}\"");
    let of = |users: &str| -> Vec<String> {
        let event = |(n, user): (usize, char)| event(&format!("00:{n:02}"), &format!("\"u\":\"{user}\""));
        short(&rule, &users.chars().enumerate().map(event).collect::<Vec<_>>(), true)
    };
    // The fourth event evicts a, whose last is the longest ago; or all others, and then drops its own oldest.
    assert_eq!(of("aabcaa"), ["one 00:01:00 a 2 x2", "one 00:05:00 a 2 x2"]);
    assert_eq!(of("abaaa"), ["one 00:02:00 a 4 x4"]);
    assert_eq!(of("aaaa"), ["one 00:01:00 a 4 x4"]);
    // What has left a window does not count.
    let rule = window("within 2m max_events 2", "count() >= 2", "title: \"{user.uid}\"");
    let events: Vec<Event> = [("00:00", "a"), ("00:01", "b"), ("00:02", "c"), ("00:02:30", "b")]
        .iter()
        .map(|(at, u)| event(at, &format!("\"u\":\"{u}\"")))
        .collect();
    assert_eq!(short(&rule, &events, true), ["one 00:02:30 b x2"]);
}

// Sequences.

/// A sequence of steps over messages: `x` is an event whose message is x.
fn sequence(word: &str, options: &str, steps: &[(&str, &str)], alert: &str) -> String {
    let steps: String = steps
        .iter()
        .map(|(name, rest)| {
            let (of, rest) = rest.split_once(' ').unwrap_or((rest, ""));
            let name = if *name == "not" { "not".to_string() } else { format!("{name}:") };
            let condition = if rest.starts_with("and ") { rest.to_string() } else { String::new() };
            let range = if condition.is_empty() { rest } else { "" };
            format!("{name} authentication where message == \"{of}\" {condition} {range}\n")
        })
        .collect();
    format!("rule one {{ title: \"t\" {word} by user.uid within 10m {options} {{ {steps} }} alert {{ {alert} }} }}")
}

/// Events a minute apart, of these messages; `n` counts them.
fn messages(all: &str) -> Vec<Event> {
    let fields = |n: usize, a: &str| format!("\"u\":\"bob\",\"a\":\"{a}\",\"n\":{n}");
    all.split(' ').enumerate().map(|(n, a)| event(&format!("00:{n:02}"), &fields(n, a))).collect()
}

fn matched(steps: &[(&str, &str)], all: &str) -> Vec<String> {
    let told: Vec<String> =
        steps.iter().filter(|(name, _)| *name != "not").map(|(name, _)| format!("{{{name}[].count}}")).collect();
    let rule = sequence("sequence", "", steps, &format!("title: \"{}\"", told.join("/")));
    let found = short(&rule, &messages(all), true);
    found.iter().map(|one| one.trim_start_matches("one ").to_string()).collect()
}

const A: (&str, &str) = ("a", "x");
const B: (&str, &str) = ("b", "y");
const NOT: (&str, &str) = ("not", "n");

#[test]
fn the_examples_of_sequences() {
    assert_eq!(matched(&[A, NOT, B], "x n x y"), ["00:03:00 2/3 x2"]);
    assert_eq!(matched(&[("a", "x [2..]"), NOT, B], "x x n y"), [""; 0]);
}

#[test]
fn the_earliest_first_event_is_preferred_and_none_is_used_twice() {
    assert_eq!(matched(&[A, B], "x x y y"), ["00:02:00 0/2 x2"]);
    assert_eq!(matched(&[A, B], "x y x y y"), ["00:01:00 0/1 x2", "00:03:00 2/3 x2"]);
    assert_eq!(matched(&[A, B, ("c", "z")], "x y x y z"), ["00:04:00 0/1/4 x3"]);
    assert_eq!(matched(&[A, ("b", "x")], "x x x x"), ["00:01:00 0/1 x2", "00:03:00 2/3 x2"]);
}

#[test]
fn all_of_a_match_lies_within_the_length() {
    let nine = "x o o o o o o o o y";
    assert_eq!(matched(&[A, B], nine), ["00:09:00 0/9 x2"]);
    assert_eq!(matched(&[A, B], &nine.replacen(" y", " o y", 1)), [""; 0]);
    assert_eq!(matched(&[A, B], "x x o o o o o o o o y"), ["00:10:00 1/10 x2"]);
}

#[test]
fn a_block_takes_every_event_of_its_step() {
    assert_eq!(matched(&[("a", "x [2..]"), B], "x o x x y"), ["00:04:00 0, 2, 3/4 x4"]);
    assert_eq!(matched(&[("a", "x [2..2]"), B], "x x x y"), ["00:03:00 1, 2/3 x3"]);
    assert_eq!(matched(&[("a", "x [3..]"), B], "x x y x y"), ["00:04:00 0, 1, 3/4 x4"]);
    assert_eq!(matched(&[A, ("b", "y [2..3]")], "x y o y y"), ["00:03:00 0/1, 3 x3"]);
    assert_eq!(matched(&[("a", "x [2..]"), ("b", "x"), ("c", "y")], "x x x x y"), ["00:04:00 0, 1/2/4 x4"]);
    assert_eq!(matched(&[("a", "x [..2]"), B], "x y"), ["00:01:00 0/1 x2"]);
}

#[test]
fn not_between_lies_between_blocks() {
    assert_eq!(matched(&[("a", "x [1..]"), NOT, B], "x n x y"), ["00:03:00 0, 2/3 x3"]);
    assert_eq!(matched(&[A, B, NOT, ("c", "z")], "n x n y z n"), ["00:04:00 1/3/4 x3"]);
    // Another y will do.
    assert_eq!(matched(&[A, B, NOT, ("c", "z")], "x y n y z"), ["00:04:00 0/3/4 x3"]);
    assert_eq!(matched(&[A, NOT, ("not", "m"), B], "x m y"), [""; 0]);
}

#[test]
fn a_trailing_not_waits_for_its_deadline() {
    assert_eq!(matched(&[A, NOT], "x o"), ["00:10:00 0 x1"]);
    assert_eq!(matched(&[A, NOT], "x o n"), [""; 0]);
    assert_eq!(matched(&[A, B, NOT], "x y x y"), ["00:10:00 0/1 x2"]);
    // At the deadline is after it; what comes before it is used up.
    assert_eq!(matched(&[A, NOT], "x o o o o o o o o o n"), ["00:10:00 0 x1"]);
    assert_eq!(matched(&[A, NOT], "x o o x"), ["00:10:00 0 x1"]);
    assert_eq!(matched(&[A, NOT], "n x o n x"), ["00:14:00 4 x1"]);
}

#[test]
fn absence_is_told_of_what_was_covered() {
    let rule = "rule one { title: \"t\" sequence by user.uid within 10m {
                  a: authentication from t.s where message == \"x\"
                  not authentication from u.s where message == \"n\" } }";
    let x = ("00:00", "\"u\":\"bob\",\"a\":\"x\"");
    assert_eq!(scanned(rule, &[x, ("00:30", U)]), [""; 0]);
    assert_eq!(scanned(rule, &[x, ("u 00:09:59", U), ("00:30", U)]), [""; 0]);
    assert_eq!(scanned(rule, &[x, ("u 00:10", "")]), ["one 00:10:00 t x1"]);
    assert_eq!(scanned(rule, &[x, ("u 02T00:00", U)]), [""; 0]);
    assert_eq!(scanned(rule, &[x, ("u 12:00", U), ("u 02T11:00", U)]), ["one 00:10:00 t x1"]);
    assert_eq!(tested(rule, &[x]), ["one 00:10:00 t x1"]);
}

#[test]
fn steps_refer_to_blocks_before_them() {
    let same = |test: &'static str| [("a", "x [2..]"), ("b", test)];
    assert_eq!(matched(&same("y and count in a[].count"), "x x y"), [""; 0]);
    assert_eq!(matched(&same("y and count == a.count + 1"), "x x y"), [""; 0]);
    assert_eq!(matched(&same("y and a.count == 3"), "x x x y"), ["00:03:00 0, 1, 2/3 x4"]);
    // The block shrinks until the condition holds.
    assert_eq!(matched(&same("y and a.count == 2"), "x x x y"), ["00:03:00 1, 2/3 x3"]);
    assert_eq!(matched(&same("y and a[0].count == 1"), "x x x y"), ["00:03:00 1, 2/3 x3"]);
    assert_eq!(matched(&same("y and time > a.time"), "x x y"), ["00:02:00 0, 1/2 x3"]);
    assert_eq!(matched(&[A, ("not", "n and count == a[0].count + 1"), B], "x n y"), [""; 0]);
    assert_eq!(matched(&[A, ("not", "n and count == a[0].count + 1"), B], "x o n y"), ["00:03:00 0/3 x2"]);
}

#[test]
fn what_is_said_of_a_match() {
    let rule = "rule one { title: \"t\" sequence within 10m {
                  a: authentication by user.uid where message == \"x\" [2..]
                  b: account_change by user.uid }
                alert { title: \"{a.count} {message} {count} {b.message} {a[0].count} {user.uid}\", key: [a.user.uid] } }";
    let found = tested(
        rule,
        &[
            ("00:00", "\"u\":\"bob\",\"a\":\"x\",\"n\":5"),
            ("00:01", "\"u\":\"bob\",\"a\":\"x\",\"n\":6"),
            ("00:02", "\"u\":\"bob\",\"c\":\"y\",\"a\":\"end\""),
        ],
    );
    assert_eq!(found, ["one 00:02:00 2 end 6 end 5 bob x3"]);
}

#[test]
fn together_takes_steps_in_any_order() {
    let told = |steps: &[(&str, &str)], all: &str| {
        let alert = "title: \"{a[].count}/{b[].count}\"";
        short(&sequence("together", "", steps, alert), &messages(all), true)
    };
    assert_eq!(told(&[A, B], "y o x"), ["one 00:02:00 2/0 x2"]);
    assert_eq!(told(&[A, B], "x x y"), ["one 00:02:00 0/2 x2"]);
    assert_eq!(told(&[("a", "x [2..2]"), B], "x x y x"), ["one 00:02:00 0, 1/2 x3"]);
    assert_eq!(told(&[("a", "x [1..]"), B], "x x y x y"), ["one 00:02:00 0, 1/2 x3", "one 00:04:00 3/4 x2"]);
    // An event may stand for two steps.
    assert_eq!(told(&[A, ("b", "x")], "x"), ["one 00:00:00 0/0 x1"]);
    assert_eq!(told(&[A, NOT, B], "y n x o o o"), [""; 0]);
    assert_eq!(told(&[A, NOT, B], "y n x o o o y"), ["one 00:06:00 2/6 x2"]);
    assert_eq!(told(&[A, NOT, B], "y n x o o o o o o o y"), ["one 00:10:00 2/10 x2"]);
    assert_eq!(told(&[A, B], "x o o o o o o o o o y"), [""; 0]);
}

#[test]
fn exceptions_of_sequences() {
    let rule = "rule one { title: \"t\" except \"e\" where count == 1 except finding \"f\" where b.count == 2 or b[0].count == 5
                sequence by user.uid within 10m { a: authentication where message == \"x\"
                b: authentication where message == \"y\" } alert { title: \"{a[0].count} {b[0].count}\" } }";
    assert_eq!(short(rule, &messages("x y y"), true), ["one 00:02:00 0 2 x2"]);
    // What was excepted is used up.
    assert_eq!(short(rule, &messages("o o o o x y y"), true), [""; 0]);
}

#[test]
fn caps_of_sequences() {
    let rule = sequence("sequence", "per_key 2", &[A, B], "title: \"{a[0].count}\"");
    assert_eq!(short(&rule, &messages("x x y"), true), ["one 00:02:00 1 x2"]);
    assert_eq!(short(&rule, &messages("x o o y"), true), ["one 00:03:00 0 x2"]);
    let rule = sequence("sequence", "max_keys 1", &[A, B], "title: \"t\"");
    let of = |u: &str, a: &str| format!("\"u\":\"{u}\",\"a\":\"{a}\"");
    let events = |second: &str| {
        vec![event("00:00", &of("a", "x")), event("00:01", &of("b", second)), event("00:02", &of("a", "y"))]
    };
    assert_eq!(short(&rule, &events("o"), true).len(), 1);
    assert_eq!(short(&rule, &events("x"), true).len(), 0);
    let rule = sequence("sequence", "max_events 2", &[A, B], "title: \"t\"");
    let of = |all: &[(&str, &str, &str)]| {
        let events: Vec<Event> = all.iter().map(|(at, u, a)| event(at, &of(u, a))).collect();
        short(&rule, &events, true).len()
    };
    assert_eq!(of(&[("00:00", "a", "x"), ("00:01", "b", "x"), ("00:02", "b", "y")]), 1);
    assert_eq!(of(&[("00:00", "a", "x"), ("00:01", "b", "x"), ("00:02", "c", "x"), ("00:03", "a", "y")]), 0);
    assert_eq!(of(&[("00:00", "a", "x"), ("00:09", "b", "x"), ("00:10", "c", "x"), ("00:11", "b", "y")]), 1);
    // Events that a match used count as long as others.
    assert_eq!(of(&[("00:00", "b", "x"), ("00:01", "a", "x"), ("00:02", "a", "y"), ("00:03", "b", "y")]), 1);
}

// Findings as events.

#[test]
fn findings_are_taken_once_for_each_entity() {
    let rule = "rule weak { title: \"w\" severity: low attack: [T1078/initial-access, T1110.003]
          on authentication where message == \"x\"
          alert { title: \"seen {count}\", entities: [user(user.uid), ip(raw.ip), host(raw.none)], risk: 30 on user(user.uid) } }
        rule risky { title: \"t\" on finding group by entity within 1h
          having sum(risk) >= 60 or count() >= 2 and entity_type == \"ip\"
          alert { title: \"{entity_type} {entity} {sum(risk)} {distinct(tactic)} {values(technique)} {last(title)} {max(severity_id)} {rule}\" } }";
    let events = [
        ("00:00", "\"u\":\"bob\",\"ip\":\"192.0.2.1\",\"a\":\"x\",\"n\":1"),
        ("00:01", "\"u\":\"bob\",\"a\":\"x\",\"n\":2"),
        ("00:02", "\"u\":\"eve\",\"ip\":\"192.0.2.1\",\"a\":\"x\""),
    ];
    let found = tested(rule, &events);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("risky 00:01:00 user bob 60 2 "), "{found:#?}");
    assert!(found[0].ends_with("seen 2 2 weak x2"), "{found:#?}");
    assert!(found[1].starts_with("risky 00:02:00 ip 192.0.2.1 0"), "{found:#?}");
}

#[test]
fn updates_are_not_taken_again_and_names_are() {
    let rule = "rule burst { title: \"t\" on authentication group by user.uid within 10m having count() >= 2
          alert { title: \"{count()}\", entities: [user(user.uid)] } }
        rule first { title: \"t\" on finding from burst alert { title: \"{title} {entity}\" } }
        rule second { title: \"t\" on finding from first, burst group by rule within 1h alert { title: \"{rule} {count()} {risk}\" } }
        rule every { title: \"t\" on finding where exists entity alert { title: \"{rule}\" } }";
    let found = tested(rule, &at(&["00:00", "00:01", "00:02"]));
    assert_eq!(
        found,
        [
            "burst 00:01:00 3 x3",
            "first 00:01:00 2 bob x1",
            "second 00:01:00 burst 1 0 x1",
            "second 00:01:00 first 1 0 x1",
            "every 00:01:00 burst x1"
        ]
    );
}

#[test]
fn a_finding_without_an_entity_or_a_key_is_no_part_of_a_group() {
    let rule = "rule weak { title: \"w\" on authentication }
        rule all { title: \"t\" on finding from weak except \"e\" where title == \"no\" }
        rule by { title: \"t\" on finding from weak group by entity within 1h }";
    assert_eq!(tested(rule, &at(&["00:00"])), ["all 00:00:00 t x1"]);
    let excepted = "rule weak { title: \"w\" on authentication except \"e\" where message == \"x\" }
        rule all { title: \"t\" on finding from weak }";
    assert_eq!(short(excepted, &messages("x y"), true), ["all 00:01:00 t x1"]);
}

#[test]
fn findings_of_deadlines_are_events_of_their_instants() {
    let rule = "rule gone { title: \"t\" sequence by user.uid within 10m {
          a: authentication where message == \"x\"  not authentication where message == \"n\" } alert { entities: [user(user.uid)] } }
        rule twice { title: \"t\" on finding from gone group by entity within 1h having count() >= 2 }";
    let x = "\"u\":\"bob\",\"a\":\"x\"";
    assert_eq!(
        tested(rule, &[("00:00", x), ("00:20", x)]),
        ["gone 00:10:00 t x1", "gone 00:30:00 t x1", "twice 00:30:00 t x2"]
    );
    assert_eq!(scanned(rule, &[("00:00", x), ("00:20", x)]), [""; 0]);
}
