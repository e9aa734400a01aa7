//! What `docs/TIME.md` says of features.

use super::{Event, U, event, judge, messages, scanned, short, tested};

fn reads(feature: &str, condition: &str, alert: &str) -> String {
    format!(
        "feature f = {feature}\nrule one {{ title: \"t\" on authentication where {condition} alert {{ {alert} }} }}"
    )
}

const SET: &str = "set of message by user.uid over 90d on authentication";

#[test]
fn the_example_of_features() {
    let new = reads(SET, "message is new in f", "");
    let not_new = reads(SET, "message is not new in f", "");
    let no = "\"u\":\"bob\",\"a\":\"NO\"";
    assert_eq!(tested(&new, &[("00:00", no)]), ["one 00:00:00 t x1"]);
    assert_eq!(tested(&new, &[("00:00", no), ("00:00", no), ("00:01", no)]), ["one 00:00:00 t x1"]);
    assert_eq!(tested(&not_new, &[("00:00", no), ("00:01", no)]), ["one 00:01:00 t x1"]);
    for rule in [&new, &not_new] {
        assert_eq!(scanned(rule, &[("00:00", no), ("02T00:00", no)]), [""; 0]);
    }
}

/// An event every twelve hours on these days of January, of nobody.
fn every_day(days: std::ops::RangeInclusive<u32>) -> Vec<Event> {
    days.flat_map(|day| ["00", "12"].map(|hour| event(&format!("{day:02}T{hour}:00"), "\"c\":\"y\""))).collect()
}

#[test]
fn a_read_is_ready_after_the_warm_up() {
    let rule =
        reads("set of message by user.uid over 90d warmup 7d on authentication from t.s", "message is new in f", "");
    let last = |at: &str| event(at, "\"u\":\"bob\",\"a\":\"NO\"");
    let scan = |mut events: Vec<Event>, at: &str| {
        events.push(last(at));
        short(&rule, &events, false).len()
    };
    assert_eq!(scan(every_day(1..=9), "07T23:59:59"), 0);
    assert_eq!(scan(every_day(1..=9), "08T00:00"), 1);
    // A silence of a day begins it anew.
    let broken: Vec<Event> = every_day(1..=3).into_iter().chain(every_day(5..=9)).collect();
    assert_eq!(scan(broken, "08T00:00"), 0);
    assert_eq!(scan(every_day(1..=9), "10T12:00"), 0);
    assert_eq!(scan(every_day(1..=9), "10T11:59:59"), 1);
    // Both sources of another feature must have been covered.
    let both = reads("set of message by user.uid over 90d warmup 7d on authentication", "message is new in f", "");
    let mut events = every_day(1..=9);
    events.push(last("08T00:00"));
    assert_eq!(short(&both, &events, false).len(), 0);
}

#[test]
fn what_is_unknown_stays_unknown() {
    let no = [("00:00", "\"u\":\"bob\",\"a\":\"NO\",\"n\":3")];
    for (condition, fires) in [
        ("not (message is new in f)", false),
        ("message is new in f or count == 3", true),
        ("message is new in f and count == 3", false),
        ("not (message is new in f and count == 4)", true),
        ("not (message is new in f or count == 3)", false),
        ("age(f) > 1h or count == 4", false),
        ("not exists age(f)", false),
        ("(age(f) ?? 1h) == 1h", false),
        ("if message is new in f then true else true", false),
        ("any(l in [1, 2], l == 2 or message is new in f)", true),
        ("all(l in [1, 2], l == 1 or message is new in f)", false),
        ("not all(l in [1, 2], l == 3 and message is new in f)", true),
    ] {
        let condition = condition.replace("[1, 2]", "[n for n in [1, 2]]");
        assert_eq!(scanned(&reads(SET, &condition, ""), &no).len(), usize::from(fires), "{condition}");
    }
    let graded =
        reads(SET, "count == 3", "severity: critical when message is new in f, low, title: \"{age(f)} {count}\"");
    let found = judge(&graded, &[event(no[0].0, no[0].1)], false);
    assert_eq!((found[0].severity.name(), found[0].title.as_str()), ("low", "- 3"));
    let excepted = "feature f = set of message by user.uid over 90d on authentication
        rule one { title: \"t\" on authentication except \"e\" where message is new in f }";
    assert_eq!((scanned(excepted, &no).len(), tested(excepted, &no).len()), (1, 0));
}

#[test]
fn no_key_is_no_read() {
    let new = reads(SET, "message is new in f", "");
    let not = reads(SET, "message is not new in f", "");
    assert_eq!(tested(&new, &[("00:00", "\"a\":\"NO\"")]), [""; 0]);
    assert_eq!(tested(&not, &[("00:00", "\"a\":\"NO\"")]), [""; 0]);
    // A key without the value asked about: nothing is new.
    assert_eq!(tested(&new, &[("00:00", U)]), [""; 0]);
    assert_eq!(tested(&not, &[("00:00", U)]).len(), 1);
}

#[test]
fn what_falls_out_of_the_last_bucket_is_forgotten() {
    let hourly = "set of message per 1h by user.uid over 90m on authentication";
    let rule = reads(hourly, "message is new in f", "");
    let x = "\"u\":\"bob\",\"a\":\"x\"";
    // Two buckets: that of the event, and the one before.
    assert_eq!(tested(&rule, &[("00:00", x), ("01:59", x)]).len(), 1);
    assert_eq!(tested(&rule, &[("00:59", x), ("02:00", x)]).len(), 2);
}

#[test]
fn rare_is_a_share_of_observations() {
    let rule = reads(SET, "message is rare in f below 50%", "title: \"{count}\"");
    let all = ["x", "y", "x", "y", "y"];
    let events: Vec<Event> = all
        .iter()
        .enumerate()
        .map(|(n, a)| event(&format!("00:0{n}"), &format!("\"u\":\"bob\",\"a\":\"{a}\",\"n\":{n}")))
        .collect();
    // x of none; y of x; x of xy: half; y of xyx: a third; y of xyxy: half.
    assert_eq!(short(&rule, &events, true), ["one 00:01:00 1 x1", "one 00:03:00 3 x1"]);
}

#[test]
fn zscore_of_numbers_and_of_buckets() {
    let number = |at: &'static str, n: &'static str| (at, n);
    let rule =
        reads("avg of count by user.uid over 90d on authentication", "zscore(count, f) >= 2", "title: \"{count}\"");
    let n = ["\"u\":\"b\",\"n\":1", "\"u\":\"b\",\"n\":3", "\"u\":\"b\",\"n\":4", "\"u\":\"b\",\"n\":9"];
    let events = [number("00:00", n[0]), number("00:01", n[1]), number("00:02", n[2]), number("00:03", n[3])];
    // 4 against 1 and 3: two deviations; 9 against 1, 3, 4.
    assert_eq!(tested(&rule, &events), ["one 00:02:00 4 x1", "one 00:03:00 9 x1"]);
    let absent = reads(
        "avg of count by user.uid over 90d on authentication",
        "not exists zscore(count, f)",
        "title: \"{count}\"",
    );
    assert_eq!(
        tested(&absent, &[("00:00", n[1]), ("00:01", n[1]), ("00:02", n[1]), ("00:03", n[0]), ("00:04", n[0])]).len(),
        4
    );
    let buckets =
        reads("count per 1h by user.uid over 1d on authentication", "zscore(5, f) >= 0", "title: \"{zscore(5, f)}\"");
    let of = [("00:00", U), ("00:10", U), ("02:00", U), ("03:00", U)];
    // 2 in the first hour, none in the second; then 2, 0, 1.
    assert_eq!(tested(&buckets, &of)[0], "one 02:00:00 4 x1");
    assert_eq!(tested(&buckets, &of).len(), 2);
}

#[test]
fn deviation_from_the_median_of_buckets() {
    let rule = reads(
        "histogram of count per 1h by user.uid over 1d on authentication",
        "exists deviation(100, f)",
        "title: \"{deviation(100, f)}\"",
    );
    let sums = [
        ("00:00", "1"),
        ("01:00", "3"),
        ("02:00", "5"),
        ("03:00", "7"),
        ("03:30", "2"),
        ("04:00", "1"),
        ("05:00", "1"),
    ];
    let events: Vec<Event> = sums.iter().map(|(at, n)| event(at, &format!("\"u\":\"b\",\"n\":{n}"))).collect();
    // 1, 3, 5, 9: the median is 4, that of |x - 4| is 2; then 1, 1, 3, 5, 9: 3 and 2.
    let of = |median: f64, mad: f64| format!("{}", (100.0 - median) / (1.4826 * mad));
    assert_eq!(
        short(&rule, &events, true),
        [format!("one 04:00:00 {} x1", of(4.0, 2.0)), format!("one 05:00:00 {} x1", of(3.0, 2.0))]
    );
}

#[test]
fn deviation_of_the_same_hour_of_the_week() {
    let rule = reads(
        "histogram per 1h by user.uid over 60d on authentication",
        "exists deviation(9, f)",
        "title: \"{deviation(9, f)}\"",
    );
    let on = |week: i64, hour: i64, times: usize| {
        let at = 1_767_225_600 + week * 7 * 86_400 + hour * 3_600;
        (0..times).map(move |n| Event::new("t.s", &format!("{{\"t\":{at},\"u\":\"b\",\"k\":{n}}}")).unwrap())
    };
    let mut events: Vec<Event> = (0..4).flat_map(|week| on(week, 0, [1, 2, 4, 7][week as usize])).collect();
    events.extend(on(4, 0, 1));
    // 1, 2, 4, 7: the median is 3, that of |x - 3| is 1.5. Elsewhere nearly all is 0.
    let found = short(&rule, &events, true);
    assert_eq!(found, [format!("one 29T00:00:00 {} x1", 6.0 / (1.4826 * 1.5))]);
}

#[test]
fn age_and_silence() {
    let rule = reads("count by user.uid over 90d on authentication", "age(f) >= 10m", "title: \"{count}\"");
    let of = [("00:00", U), ("00:09:59", U), ("00:10", U)];
    assert_eq!(tested(&rule, &of), ["one 00:10:00 - x1"]);
    let rule = reads("count by user.uid over 90d on authentication", "f is silent for 10m", "title: \"{count}\"");
    assert_eq!(tested(&rule, &[("00:00", U), ("00:09", U), ("00:19", U)]), ["one 00:19:00 - x1"]);
    let not = reads("count by user.uid over 90d on authentication", "f is not silent for 10m", "title: \"{count}\"");
    assert_eq!(tested(&not, &[("00:00", U), ("00:09", U), ("00:19", U)]).len(), 2);
}

#[test]
fn travel_speed_between_two_places() {
    let rule = reads(
        "last of src_endpoint.location by user.uid over 90d on authentication",
        "travel_speed(f) > 900",
        "title: \"{message}\"",
    );
    let from = |a: &str, lat: f64, long: f64| format!("\"u\":\"bob\",\"a\":\"{a}\",\"lat\":{lat},\"long\":{long}");
    let (berlin, potsdam, tokyo) = (from("de", 52.52, 13.4), from("de", 52.4, 13.06), from("jp", 35.68, 139.69));
    let fly = |to: &str, at: &str| short(&rule, &[event("00:00", &berlin), event(at, to)], true).len();
    assert_eq!((fly(&tokyo, "02:00"), fly(&tokyo, "12:00"), fly(&potsdam, "00:00:01")), (1, 0, 0));
    assert_eq!((fly(&tokyo, "00:00"), fly("\"u\":\"bob\"", "00:01")), (1, 0));
}

#[test]
fn observations_are_what_a_read_rests_on() {
    let told = |feature: &str, fields: &[&str]| {
        let events: Vec<Event> = fields
            .iter()
            .enumerate()
            .map(|(n, f)| event(&format!("00:{n:02}"), &format!("\"u\":\"bob\",{f}")))
            .collect();
        let rule = reads(
            &format!("{feature} by user.uid over 1h on authentication"),
            "observations(f) >= 0",
            "title: \"{observations(f)}\"",
        );
        short(&rule, &events, true)
            .iter()
            .map(|found| found.split(' ').nth(2).unwrap_or("").to_string())
            .collect::<Vec<_>>()
    };
    let fields = ["\"a\":\"x\",\"n\":1", "\"n\":2", "\"a\":\"y\",\"l\":[\"p\",\"q\"]", "\"a\":\"x\""];
    // Of sets and numbers the values, of all else the events.
    assert_eq!(told("set of message", &fields), ["0", "1", "1", "2"]);
    assert_eq!(told("set of raw.l[]", &fields), ["0", "0", "0", "2"]);
    assert_eq!(told("sum of count", &fields), ["0", "1", "2", "2"]);
    assert_eq!(told("histogram of count per 1m", &fields), ["0", "1", "2", "2"]);
    assert_eq!(told("histogram per 1m", &fields), ["0", "1", "2", "3"]);
    assert_eq!(told("count", &fields), ["0", "1", "2", "3"]);
    assert_eq!(told("last of message", &fields), ["0", "1", "1", "2"]);
    assert_eq!(told("intervals", &fields), ["0", "1", "2", "3"]);
    assert_eq!(told("set of message per 1m", &[fields[0], fields[2], fields[0]]), ["0", "1", "2"]);
    // What is unknown has none, and is neither below nor above.
    let unready = reads(SET, "observations(f) < 5 or not (observations(f) < 5)", "");
    assert_eq!(scanned(&unready, &[("00:00", fields[0])]), [""; 0]);
}

#[test]
fn values_of_features() {
    let last = |feature: &str, fields: &[&str]| {
        let at = |n: usize| format!("0{}:{}0", n / 6, n % 6);
        let events: Vec<Event> =
            fields.iter().enumerate().map(|(n, f)| event(&at(n), &format!("\"u\":\"bob\",{f}"))).collect();
        let rule = reads(feature, "observations(f) >= 0", "title: \"{value(f)}\"");
        let found = short(&rule, &events, true);
        found.last().and_then(|found| found.split(' ').nth(2).map(str::to_string)).unwrap_or_default()
    };
    let of = |aggregate: &str| format!("{aggregate} by user.uid over 1h on authentication");
    let all = ["\"a\":\"x\",\"n\":1", "\"a\":\"y\",\"n\":4", "\"a\":\"x\",\"n\":4", "\"k\":1"];
    for (aggregate, value, of_nothing) in [
        ("set of message", "2", "0"),
        ("distinct of count", "2", "0"),
        ("count", "3", "0"),
        ("histogram per 1m", "3", "0"),
        ("histogram of count per 1m", "9", "0"),
        ("sum of count", "9", "0"),
        ("avg of count", "3", "-"),
        ("first of message", "x", "-"),
        ("last of count", "4", "-"),
    ] {
        assert_eq!(last(&of(aggregate), &all), value, "{aggregate}");
        assert_eq!(last(&of(aggregate), &all[..1]), of_nothing, "{aggregate}");
    }
    // An hour in buckets of a half: that of the event and the one before.
    let hour = "first of message per 30m by user.uid over 1h on authentication";
    let named =
        ["\"a\":\"p\"", "\"a\":\"q\"", "\"a\":\"r\"", "\"a\":\"s\"", "\"a\":\"t\"", "\"a\":\"u\"", "\"a\":\"v\""];
    assert_eq!(last(hour, &named), "s", "the first that is held, whatever was before");
    assert_eq!(
        tested(&reads(SET, "value(f) * 2 == count", ""), &[("00:00", "\"u\":\"b\",\"a\":\"x\",\"n\":0")]).len(),
        1
    );
}

#[test]
fn regularity_of_intervals() {
    let told = |options: &str, times: &[&str], what: &str| {
        let feature = format!("intervals by user.uid over 1h {options} on authentication");
        let rule = reads(&feature, "observations(f) >= 0", &format!("title: \"{{{what}}}\""));
        let events: Vec<Event> = times.iter().map(|at| event(at, U)).collect();
        let found = short(&rule, &events, true);
        found.last().and_then(|found| found.split(' ').nth(2).map(str::to_string)).unwrap_or_default()
    };
    let regularity = |times: &[&str]| told("", times, "regularity(f)");
    let clock = ["00:00", "00:01", "00:02", "00:03", "00:04", "00:05"];
    assert_eq!(regularity(&clock), "1");
    assert_eq!(regularity(&clock[..5]), "-", "three intervals are too few");
    assert_eq!(told("", &clock, "observations(f)"), "5");
    // The event itself is not among them.
    assert_eq!(regularity(&["00:00", "00:01", "00:02", "00:03", "00:04", "00:50"]), "1");
    // 50, 60, 70, 80 seconds: the median is 65, it explains 260 of 260; the median of 15, 5, 5, 15 is 10.
    let spread = ["00:00", "00:00:50", "00:01:50", "00:03:00", "00:04:20", "00:10"];
    assert_eq!(regularity(&spread), format!("{}", 1.0 - 10.0 / 65.0));
    assert_eq!(told("", &spread, "interval(f)"), told("", &["00:00", "00:01:05", "00:02"], "interval(f)"));
    // 10, 10, 10, 570: the median explains 40 of 600 seconds.
    assert_eq!(
        regularity(&["00:00", "00:00:10", "00:00:20", "00:00:30", "00:10", "00:11"]),
        format!("{}", 40.0 / 600.0)
    );
    // Most come at once.
    assert_eq!(regularity(&["00:00", "00:00", "00:00", "00:00", "00:00:01", "00:11"]), "0");
    // The last five, of which there are four intervals.
    let later = ["00:00", "00:07", "00:08", "00:09", "00:10", "00:11", "00:12"];
    assert_eq!(told("per_key 5", &later, "regularity(f)"), "1");
    assert_eq!(told("per_key 4", &later, "regularity(f)"), "-");
    assert_ne!(regularity(&later), "1");
    // A bucket counts as often as times in it are kept, and once where none is; the oldest goes.
    let age = |options: &str, times: &[&str]| told(options, times, "age(f)");
    let minutes = ["00:00", "00:01", "00:02", "00:03", "00:04", "00:05"];
    assert_eq!(age("per_key 2 max_events 5", &minutes), age("", &["00:00", "00:05"]));
    assert_eq!(age("per_key 2 max_events 3", &minutes), age("", &["00:02", "00:05"]));
    let at_once = ["00:00", "00:05", "00:05:10", "00:05:20", "00:06"];
    assert_eq!(age("per_key 3 max_events 4", &at_once), age("", &["00:00", "00:06"]));
    assert_eq!(age("per_key 3 max_events 3", &at_once), age("", &["00:05", "00:06"]));
    // What left the last bucket leaves with its interval.
    let cut = ["00:00", "00:41", "00:42", "00:43", "00:44", "00:45", "01:01"];
    assert_eq!(regularity(&cut), "1");
}

#[test]
fn caps_of_features() {
    let rule = reads(&SET.replace("over 90d", "over 90d per_key 2"), "message is new in f", "title: \"{message}\"");
    let events = messages("x y x z y x");
    // z pushes y out, which was seen longest ago; y then pushes x out, and x z.
    let found: Vec<String> = short(&rule, &events, true);
    assert_eq!(found.len(), 5);
    let rule = reads(
        &SET.replace("over 90d", "over 90d warmup 5m max_keys 1"),
        "message is new in f",
        "title: \"{user.uid}\"",
    );
    let of = |u: &str| format!("\"u\":\"{u}\",\"a\":\"x\"");
    let events: Vec<Event> = [("00:00", "a"), ("00:01", "b"), ("00:02", "a"), ("00:08", "b")]
        .iter()
        .map(|(at, u)| event(at, &of(u)))
        .collect();
    // Of one key, the buckets in which its values were seen count together: z pushes x out, which was seen in two.
    let few = reads(
        &SET.replace("by user.uid over 90d", "per 1m by user.uid over 2h max_events 3"),
        "message is new in f",
        "title: \"{message}\"",
    );
    let found: Vec<String> = short(&few, &messages("x x y z x"), true);
    assert_eq!(found.len(), 4, "{found:?}");
    assert_eq!(short(&few, &messages("x x y y x"), true).len(), 3);
    assert_eq!(short(&few, &messages("x x y x y"), true).len(), 3);
    // a; b pushes a out, unknown whether it is new for a; five minutes later it is known.
    assert_eq!(short(&rule, &events, true), ["one 00:00:00 a x1", "one 00:01:00 b x1", "one 00:08:00 b x1"]);
}

#[test]
fn a_window_counts_what_was_new() {
    let rule = "feature f = set of message by user.uid over 90d on authentication
        rule one { title: \"t\" on authentication where message is new in f group by user.uid within 10m having count() >= 2
        alert { title: \"{values(message)}\" } }
        rule two { title: \"t\" sequence by user.uid within 10m { a: authentication where message is new in f
        b: authentication where message is not new in f and count > a[0].count } alert { title: \"{a.message} {b.message}\" } }";
    let found = short(rule, &messages("x x y"), true);
    assert_eq!(found.len(), 2);
    assert!(found[0].starts_with("one 00:02:00") && found[0].ends_with("x2"), "{found:?}");
    assert_eq!(found[1], "two 00:01:00 x x x2");
}
