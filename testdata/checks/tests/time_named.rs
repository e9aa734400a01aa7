//! What must not happen to rules over several events, each under its name: in a stream, with watermarks.

use std::collections::BTreeMap;

use tripline_detect::{Compiler, Detector, End, Finding, Ruleset, SourceChoice, Stream};
use tripline_event::Origin;

const MAPPING: &str = "
    mapping m from t.s {
      time: timestamp(raw.t)  metadata.uid: raw.id  message: raw.a  user.uid: raw.u
      otherwise -> authentication { activity_id: \"Logon\" severity_id: \"Low\" }
    }
    mapping o from u.s {
      time: timestamp(raw.t)  metadata.uid: raw.id  message: raw.a  user.uid: raw.u
      otherwise -> account_change { activity_id: \"Other\" severity_id: \"Low\" }
    }
";
const SECOND: i64 = 1_000_000_000;

fn compile(rules: &str) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add("named.trip", &format!("{MAPPING}{rules}"));
    let ruleset = compiler.compile(&tripline_semantic::NoFiles, 0);
    assert!(!ruleset.has_errors(), "{:#?}", ruleset.diagnostics);
    ruleset
}

/// A stream of events, and what came of it.
struct Live<'r> {
    ruleset: &'r Ruleset,
    detector: Detector<'r>,
    stream: Stream<'r>,
    line: u64,
    found: Vec<Finding>,
}

impl<'r> Live<'r> {
    /// With so much allowed lateness, in seconds.
    fn new(ruleset: &'r Ruleset, lateness: i64) -> Self {
        let mut stream = Stream::new(ruleset).expect("rules over several events");
        for source in 0..ruleset.ir.sources.len() {
            stream.machine().set_lateness(source, lateness * SECOND);
        }
        Live { ruleset, detector: Detector::new(ruleset), stream, line: 0, found: Vec::new() }
    }

    fn send(&mut self, source: &str, text: &str) {
        self.take(source, text);
        self.found.extend(self.stream.advance());
    }

    /// Takes an event in, and judges nothing yet.
    fn take(&mut self, source: &str, text: &str) {
        self.line += 1;
        let origin = Origin { file: "live".into(), line: self.line };
        let choice = SourceChoice::Named(source.into());
        let judged = self.detector.judge(&choice, text.as_bytes(), Some(&origin)).expect("an event");
        self.stream.take(&judged.taken);
    }

    /// Goes on with what a store has of it.
    fn restart(&mut self, rows: &mut BTreeMap<([u8; 16], Vec<u8>), Vec<u8>>, lateness: i64) {
        for row in self.stream.machine().changes() {
            match row.value {
                Some(value) => rows.insert((row.space, row.key), value),
                None => rows.remove(&(row.space, row.key)),
            };
        }
        let Live { stream, .. } = Live::new(self.ruleset, lateness);
        self.stream = stream;
        for ((space, key), value) in rows {
            self.stream.machine().restore(space, key, value).expect("what was kept can be taken back");
        }
        self.stream.machine().keep();
    }

    fn idle(&mut self, source: &str) {
        let at = self.ruleset.ir.source(source).expect("a source");
        self.stream.machine().idle(at);
    }

    /// An event of a user, in seconds after the first of January 2026.
    fn at(&mut self, second: f64, user: &str, text: &str) {
        let nanos = 1_767_225_600 * SECOND + (second * 1e9) as i64;
        self.send("t.s", &format!("{{\"t\":{nanos},\"u\":\"{user}\",\"a\":\"{text}\"}}"));
    }

    /// What was found, as it was last.
    fn end(&mut self) -> Vec<String> {
        self.found.extend(self.stream.finish(End::Files));
        let mut last: Vec<&Finding> = Vec::new();
        for finding in &self.found {
            last.retain(|known| (known.rule, &known.uid) != (finding.rule, &finding.uid));
            last.push(finding);
        }
        let name = |finding: &Finding| self.ruleset.program.rules[finding.rule].name.clone();
        last.into_iter().map(|finding| format!("{}: {}", name(finding), finding.title)).collect()
    }
}

const THREE: &str = "rule three { title: \"t\" on authentication group by user.uid within 10s having count() >= 3
    alert { title: \"{count()} of {user.uid}\" } }";

#[test]
fn a_late_event_fires_no_window_that_it_is_outside_of() {
    let ruleset = compile(THREE);
    let mut live = Live::new(&ruleset, 5);
    live.at(0.0, "bob", "x");
    live.at(1.0, "bob", "x");
    live.at(30.0, "bob", "x");
    // It would be the third within ten seconds; the watermark is at 25.
    live.at(2.0, "bob", "x");
    assert_eq!(live.stream.counts().late.values().sum::<u64>(), 1);
    // One within the lateness counts.
    live.at(27.0, "bob", "x");
    live.at(28.0, "bob", "x");
    assert_eq!(live.end(), ["three: 3 of bob"]);
}

#[test]
fn an_event_dated_1970_moves_nothing_and_evicts_nothing() {
    let ruleset = compile(THREE);
    let mut live = Live::new(&ruleset, 5);
    live.at(0.0, "bob", "x");
    live.at(1.0, "bob", "x");
    live.send("t.s", "{\"t\":1,\"u\":\"bob\",\"a\":\"x\"}");
    live.at(2.0, "bob", "x");
    assert_eq!(live.stream.counts().late.values().sum::<u64>(), 1);
    assert_eq!(live.end(), ["three: 3 of bob"]);
    let mut live = Live::new(&ruleset, 5);
    live.at(0.0, "bob", "x");
    live.at(100.0, "eve", "x");
    live.send("t.s", "{\"t\":1,\"u\":\"eve\",\"a\":\"x\"}");
    assert_eq!(live.stream.counts().late.values().sum::<u64>(), 1);
    live.at(101.0, "eve", "x");
    live.at(102.0, "eve", "x");
    assert_eq!(live.end(), ["three: 3 of eve"]);
}

#[test]
fn an_event_dated_2099_in_a_file_takes_nothing_from_the_others() {
    let ruleset = compile(THREE);
    // Nothing is released before the end, as in a scan.
    let mut live = Live::new(&ruleset, i64::MAX / SECOND);
    live.at(0.0, "bob", "x");
    live.send("t.s", "{\"t\":4070908800000,\"u\":\"bob\",\"a\":\"x\"}");
    live.at(1.0, "bob", "x");
    live.at(2.0, "bob", "x");
    assert_eq!(live.end(), ["three: 3 of bob"]);
}

#[test]
fn two_steps_within_one_second_keep_their_order() {
    let ruleset = compile(
        "rule one { title: \"t\" sequence by user.uid within 10s {
           a: authentication where message == \"x\"
           b: authentication where message == \"y\" } alert { title: \"{user.uid}\" } }",
    );
    let mut live = Live::new(&ruleset, 5);
    live.at(1.000_000_2, "bob", "y");
    live.at(1.000_000_1, "bob", "x");
    live.at(1.000_000_1, "eve", "y");
    live.at(1.000_000_2, "eve", "x");
    assert_eq!(live.end(), ["one: bob"]);
}

#[test]
fn microseconds_and_nanoseconds_since_1970_are_read_right() {
    let ruleset = compile(THREE);
    let mut live = Live::new(&ruleset, 5);
    for time in ["1767225600", "1767225601000", "1767225602000000", "1767225603000000000", "\"2026-01-01T00:00:04Z\""] {
        live.send("t.s", &format!("{{\"t\":{time},\"u\":\"bob\"}}"));
    }
    assert_eq!(live.end(), ["three: 5 of bob"]);
    let spans: Vec<(i64, i64)> = live.found.iter().filter_map(|f| Some(f.several.as_ref()?.span)).collect();
    assert_eq!(spans.last(), Some(&(1_767_225_600 * SECOND, 1_767_225_604 * SECOND)));
}

#[test]
fn missing_keys_do_not_share_one_bucket() {
    let ruleset = compile(THREE);
    let mut live = Live::new(&ruleset, 5);
    for second in 0..9 {
        live.send("t.s", &format!("{{\"t\":{}}}", 1_767_225_600 + second));
    }
    assert_eq!(live.end(), [""; 0]);
}

#[test]
fn together_waits_for_all_its_members() {
    let ruleset = compile(
        "rule all { title: \"t\" together by user.uid within 10s {
           a: authentication where message == \"x\"
           b: authentication where message == \"y\"
           c: account_change } alert { title: \"{user.uid}\" } }",
    );
    let mut live = Live::new(&ruleset, 5);
    live.at(0.0, "bob", "x");
    live.at(1.0, "bob", "x");
    live.at(2.0, "bob", "y");
    live.at(0.0, "eve", "y");
    live.at(1.0, "eve", "x");
    live.send("u.s", "{\"t\":1767225602,\"u\":\"eve\"}");
    assert_eq!(live.end(), ["all: eve"]);
}

#[test]
fn an_exception_of_one_rule_touches_no_other() {
    let twin = THREE.replace("three", "other").replace("on auth", "except \"known\" where user.uid == \"bob\" on auth");
    let ruleset = compile(&format!("{THREE}\n{twin}"));
    let mut live = Live::new(&ruleset, 5);
    for second in 0..3 {
        live.at(f64::from(second), "bob", "x");
    }
    assert_eq!(live.end(), ["three: 3 of bob"]);
}

#[test]
fn a_flood_of_keys_on_one_rule_leaves_another_alone() {
    let flooded =
        "rule by_text { title: \"t\" on authentication group by message within 10s max_keys 100 having count() >= 3 }";
    let ruleset = compile(&format!("{THREE}\n{flooded}"));
    let mut live = Live::new(&ruleset, 1);
    live.at(0.0, "bob", "first");
    live.at(0.1, "bob", "second");
    for n in 0..5_000 {
        live.at(0.2 + f64::from(n) * 0.001, "eve", &format!("text {n}"));
    }
    live.at(6.0, "bob", "third");
    let found = live.end();
    assert!(found.contains(&"three: 3 of bob".to_string()), "{found:?}");
    let evicted: Vec<u64> = live.stream.machine().loads().values().map(|load| load.evicted).collect();
    assert!(evicted.contains(&0) && evicted.iter().any(|n| *n > 4_000), "{evicted:?}");
}

#[test]
fn ten_thousand_distinct_values_in_a_window_stay_cheap() {
    let ruleset = compile(
        "rule many { title: \"t\" on authentication group by user.uid within 1h
           having distinct(message) >= 10000 and median(len(message)) >= 1 and max(len(message)) > 1
           alert { title: \"{distinct(message)} {count()}\" } }",
    );
    let mut live = Live::new(&ruleset, 0);
    for n in 0..20_000 {
        live.at(f64::from(n) * 0.01, "bob", &format!("{}", n % 10_000));
    }
    // The cap of events under one key is at ten thousand.
    assert_eq!(live.end(), ["many: 10000 10000"]);
}

#[test]
fn four_steps_with_a_thousand_candidates_each_stay_cheap() {
    let ruleset = compile(
        "rule four { title: \"t\" sequence by user.uid within 2h {
           a: authentication where message == \"a\"
           b: authentication where message == \"b\"
           not authentication where message == \"stop\"
           c: authentication where message == \"c\"
           d: authentication where message == \"d\" } alert { title: \"{user.uid}\" } }",
    );
    let mut live = Live::new(&ruleset, 0);
    let mut second = 0.0;
    for _ in 0..1_000 {
        // Every `c` is cut off from what came before it.
        for step in ["a", "b", "stop", "c", "d"] {
            second += 0.5;
            live.at(second, "bob", step);
        }
    }
    live.at(second + 1.0, "bob", "b");
    live.at(second + 2.0, "bob", "c");
    live.at(second + 3.0, "bob", "d");
    assert_eq!(live.end(), ["four: bob"]);
}

#[test]
fn redelivered_events_are_counted_once() {
    let ruleset = compile(THREE);
    let mut live = Live::new(&ruleset, 5);
    for _ in 0..4 {
        live.send("t.s", "{\"t\":1767225600,\"u\":\"bob\",\"id\":\"1\"}");
        live.send("t.s", "{\"t\":1767225601,\"u\":\"bob\",\"id\":\"2\"}");
    }
    assert_eq!(live.end(), [""; 0]);
    assert_eq!(live.stream.counts().redelivered.values().sum::<u64>(), 6);
    live = Live::new(&ruleset, 5);
    for _ in 0..3 {
        live.send("t.s", "{\"t\":1767225600,\"u\":\"bob\"}");
    }
    assert_eq!(live.end(), ["three: 3 of bob"], "without an id each counts");
}

#[test]
fn a_source_that_is_slow_holds_up_only_the_rules_that_can_reach_it() {
    let of_other =
        "rule other { title: \"t\" together by user.uid within 10s { a: authentication b: account_change } }";
    let ruleset = compile(&format!("{THREE}\n{of_other}"));
    let mut live = Live::new(&ruleset, 1);
    let machine = live.stream.machine();
    (0..ruleset.ir.sources.len()).for_each(|source| machine.expect(source));
    for second in [0.0, 1.0, 2.0, 20.0] {
        live.at(second, "bob", "x");
    }
    // The other source never sent anything.
    assert_eq!(live.found.len(), 1, "the threshold was told while the other rule waits");
    assert!(live.stream.machine().waiting() >= 4);
}

/// Any two events of a user within ten seconds, of either source.
const BOTH: &str = "rule both { title: \"t\" on event group by raw.u within 10s having count() >= 2
    alert { title: \"{count()} of {raw.u}\" } }";

#[test]
fn events_of_a_source_that_was_idle_are_late_wherever_batches_end() {
    let ruleset = compile(BOTH);
    for advancing in [true, false] {
        let mut live = Live::new(&ruleset, 5);
        let send = if advancing { Live::send } else { Live::take };
        send(&mut live, "t.s", "{\"t\":1767225600,\"u\":\"bob\"}");
        send(&mut live, "u.s", "{\"t\":1767225600,\"u\":\"eve\"}");
        live.idle("u.s");
        // The watermark goes on to 0:55 without the idle source, and stays there.
        send(&mut live, "t.s", "{\"t\":1767225660,\"u\":\"bob\"}");
        for second in [52, 53, 54, 55, 56] {
            let user = if second < 55 { "eve" } else { "amy" };
            send(&mut live, "u.s", &format!("{{\"t\":{},\"u\":\"{user}\"}}", 1_767_225_600 + second));
        }
        assert_eq!(live.end(), ["both: 2 of amy"], "advancing: {advancing}");
        assert_eq!(live.stream.counts().late.values().sum::<u64>(), 3, "advancing: {advancing}");
    }
}

#[test]
fn events_of_a_source_that_nobody_knew_are_late_wherever_batches_end() {
    let ruleset = compile(BOTH);
    for advancing in [true, false] {
        let mut live = Live::new(&ruleset, 5);
        let send = if advancing { Live::send } else { Live::take };
        send(&mut live, "t.s", "{\"t\":1767225660,\"u\":\"bob\"}");
        send(&mut live, "u.s", "{\"t\":1767225650,\"u\":\"eve\"}");
        send(&mut live, "u.s", "{\"t\":1767225655,\"u\":\"eve\"}");
        assert_eq!(live.end(), [""; 0], "advancing: {advancing}");
        assert_eq!(live.stream.counts().late.values().sum::<u64>(), 1, "advancing: {advancing}");
    }
}

#[test]
fn where_all_sources_are_idle_everything_is_released_and_what_comes_before_it_is_late() {
    let ruleset = compile(BOTH);
    let mut live = Live::new(&ruleset, 60);
    live.at(0.0, "bob", "x");
    live.at(1.0, "bob", "x");
    assert_eq!(live.found.len(), 0, "the lateness has not passed");
    live.idle("t.s");
    // In one batch with the event that wakes the source.
    live.take("t.s", "{\"t\":1767225601000000000,\"u\":\"bob\"}");
    live.take("t.s", "{\"t\":1767225601000000001,\"u\":\"bob\"}");
    assert_eq!(live.end(), ["both: 3 of bob"]);
    assert_eq!(live.stream.counts().late.values().sum::<u64>(), 1);
}

#[test]
fn a_late_event_covers_nothing() {
    let ruleset = compile(
        "feature seen = set of message by user.uid over 1h warmup 30s on authentication from t.s
         rule fresh { title: \"fresh\" on authentication from t.s where message is new in seen
           alert { title: \"{message}\" } }",
    );
    let mut live = Live::new(&ruleset, 5);
    live.at(20.0, "bob", "a");
    live.at(40.0, "bob", "b");
    // Had it counted, the source would have been covered for 35 seconds at the event before.
    live.at(5.0, "bob", "late");
    live.at(51.0, "bob", "c");
    assert_eq!(live.end(), ["fresh: c"]);
}

#[test]
fn an_event_dated_2262_in_a_file_makes_none_before_1970_late() {
    let ruleset = compile(THREE);
    let mut live = Live::new(&ruleset, i64::MAX / SECOND);
    (0..ruleset.ir.sources.len()).for_each(|source| live.stream.machine().set_lateness(source, i64::MAX));
    live.take("t.s", "{\"t\":\"2262-01-01T00:00:00Z\",\"u\":\"bob\"}");
    for second in 0..3 {
        live.take("t.s", &format!("{{\"t\":\"1950-01-01T00:00:0{second}Z\",\"u\":\"bob\"}}"));
    }
    assert_eq!(live.end(), ["three: 3 of bob"]);
}

/// It once ended at an event that a step took but for what it asks of another, and was made of older ones.
#[test]
fn together_ends_at_no_event_that_a_reference_leaves_out() {
    let ruleset = compile(
        "rule pair { title: \"t\" together by user.uid within 10s {
           a: authentication where message in [\"x\", \"y\"]
           b: authentication where message in [\"y\", \"z\"] and message in a[].message
         } alert { title: \"{a.message} {b.message}\" } }",
    );
    let mut live = Live::new(&ruleset, 1);
    live.at(0.0, "bob", "x");
    // Of the first step the earliest is taken, which is another until now.
    live.at(1.0, "bob", "y");
    live.at(10.5, "bob", "z");
    assert_eq!(live.end(), [""; 0]);
}

/// A source of a rule whose findings are waited for fell silent.
#[test]
fn absence_of_findings_is_only_told_of_what_was_covered() {
    let ruleset = compile(
        "rule other { title: \"o\" on account_change alert { title: \"{message}\" entities: [user(user.uid)] } }
         rule alone { title: \"t\" sequence within 10s {
           a: authentication by user.uid where message == \"x\"
           not finding from other by entity
         } alert { title: \"{a.message}\" } }",
    );
    for (last, wanted) in [(5, 0), (11, 1)] {
        let mut live = Live::new(&ruleset, 1);
        live.take("u.s", "{\"t\":1767225600,\"u\":\"eve\"}");
        live.take("t.s", "{\"t\":1767225600,\"u\":\"bob\",\"a\":\"x\"}");
        live.take("t.s", "{\"t\":1767225620,\"u\":\"bob\"}");
        live.take("u.s", &format!("{{\"t\":{},\"u\":\"eve\"}}", 1_767_225_600 + last));
        assert_eq!(live.end().len(), wanted, "the other source sent until second {last}");
    }
}

#[test]
fn findings_came_too_late_for_a_rule_that_shares_a_feature_with_theirs() {
    let features = "feature f = set of message by user.uid over 1d warmup 0s on authentication
        feature g = set of message by user.uid over 1d warmup 0s on authentication
        rule one { title: \"one\" on authentication where message is new in f }";
    let then = |name: &str, from: &str, feature: &str| {
        format!(
            "rule {name} {{ title: \"{name}\" sequence within 1h {{
               a: finding from {from} by group.user.uid  b: authentication by user.uid where message is new in {feature} }} }}"
        )
    };
    let by_user = "group by user.uid within 1s";
    let refused = |rules: &str| {
        let text = features.replace("new in f }", &format!("new in f {by_user} }}"));
        let mut compiler = Compiler::new();
        compiler.add("named.trip", &format!("{MAPPING}{text}{rules}"));
        let ruleset = compiler.compile(&tripline_semantic::NoFiles, 0);
        ruleset.broken().into_iter().map(str::to_string).collect::<Vec<_>>()
    };
    assert_eq!(refused(&then("two", "one", "f")), ["two"]);
    // Through a rule between.
    let between = "rule between { title: \"b\" on finding from one group by group.user.uid within 1h }";
    assert_eq!(refused(&format!("{between}{}", then("two", "between", "f"))), ["two"]);
    // Tied by a rule that reads both.
    let both = "rule both { title: \"t\" on authentication where message is new in f and message is new in g }";
    assert_eq!(refused(&format!("{both}{}", then("two", "one", "g"))), ["two"]);
    // A feature of its own.
    let apart = then("two", "one", "g");
    assert_eq!(refused(&apart), [""; 0]);
    let ruleset = compile(&format!("{}{apart}", features.replace("new in f }", &format!("new in f {by_user} }}"))));
    let mut live = Live::new(&ruleset, 0);
    for (n, message) in ["x", "x", "y", "y", "y"].iter().enumerate() {
        live.send("t.s", &format!("{{\"t\":\"2026-01-01T00:{n:02}:00Z\",\"u\":\"bob\",\"a\":\"{message}\"}}"));
    }
    let titles: Vec<&str> = live.found.iter().map(|found| found.title.as_str()).collect();
    // A finding stands before the event at which it was found: `one` comes before `t.s`.
    assert_eq!(titles, ["one", "two", "one", "two"]);
}

#[test]
fn keys_with_hundreds_of_events_go_on_after_restarts_as_if_there_were_none() {
    let ruleset = compile(
        "rule many { title: \"t\" on authentication group by user.uid within 20m having count() >= 100
           alert { title: \"{count()} of {user.uid}, {distinct(message)} kinds\" } }
         rule then { title: \"t\" sequence by user.uid within 15m {
             a: authentication where message starts_with \"a\" [70..]  b: authentication where message == \"b\" }
           alert { title: \"{a.count} before {b.user.uid}\" } }
         rule both { title: \"t\" together by user.uid within 15m {
             b: authentication where message == \"b\"  c: account_change where message == \"c\"
             any: authentication where exists message }
           alert { title: \"{any.message} with {b.message} and {c.message}\" } }",
    );
    let titles = |every: usize| {
        let mut rows = BTreeMap::new();
        let mut live = Live::new(&ruleset, 5);
        live.stream.machine().keep();
        for n in 0..700_usize {
            let user = if n % 5 == 4 { "eve" } else { "bob" };
            let text = if n % 97 == 96 { "b".to_string() } else { format!("a{}", n % 11) };
            // Between them is a pause in which all is forgotten.
            let second = n as f64 * 7.0 + if n > 450 { 3600.0 } else { 0.0 };
            live.at(second, user, &text);
            if n % 150 == 149 {
                let nanos = 1_767_225_600 * SECOND + (second as i64) * SECOND;
                live.send("u.s", &format!("{{\"t\":{nanos},\"u\":\"{user}\",\"a\":\"c\"}}"));
            }
            if n % every == every - 1 {
                live.restart(&mut rows, 5);
            }
        }
        live.end()
    };
    let all = titles(usize::MAX);
    for rule in ["many: ", "then: ", "both: "] {
        assert!(all.iter().any(|title| title.starts_with(rule)), "{rule} {all:?}");
    }
    for every in [1, 7, 40] {
        assert_eq!(titles(every), all, "a restart after every {every} events");
    }
}
