//! Programs and streams at random: that they say something, and that the oracle does not mind the order of arrival.

use std::collections::{BTreeMap, BTreeSet};

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use tripline_checks::generate::time::{any_program, compile as compiled, correlations, program, stream};
use tripline_checks::oracle::time::{Event, Finding, Options, findings, plain_uid};
use tripline_detect::Ruleset;
use tripline_semantic::typed::{Ask, Kind, Over, Root, Rule, Subject, Typed, WindowKind};

fn compile(text: &str) -> Result<Ruleset, String> {
    let ruleset = compiled(text);
    let mut errors = ruleset.diagnostics.iter().filter(|d| d.level() == tripline_base::Level::Error);
    match errors.next() {
        Some(error) => Err(format!("{} {:?}\n{text}", error.message, error.help)),
        None => Ok(ruleset),
    }
}

/// What a rule is: one may be several things.
fn kinds(rule: &Rule) -> BTreeSet<&'static str> {
    let mut out = BTreeSet::new();
    match &rule.over {
        Some(Over::Window(window)) => {
            out.insert(match window.kind {
                WindowKind::Sliding => "sliding",
                WindowKind::Tumbling => "tumbling",
                WindowKind::Session => "session",
            });
            out.extend(window.rearm.map(|_| "rearm"));
        }
        Some(Over::Sequence(sequence)) => {
            let steps = &sequence.steps;
            out.insert(if sequence.ordered { "sequence" } else { "together" });
            out.extend(steps.iter().filter_map(|step| step.repeat).map(|_| "range"));
            if steps.last().is_some_and(|step| step.name.is_none()) {
                out.insert("trailing not");
            } else if steps.iter().any(|step| step.name.is_none()) {
                out.insert("not between");
            }
            let conditions = steps.iter().filter_map(|step| step.condition.as_ref());
            conditions.for_each(|c| {
                c.walk(&mut |n| out.extend(matches!(n.kind, Kind::Path(Root::Step(_), _)).then_some("reference")))
            });
        }
        None => {}
    }
    let of_steps =
        |fits: fn(&Subject) -> bool| rule.over.iter().flat_map(|over| over.steps()).any(|step| fits(&step.subject));
    out.extend(of_steps(|subject| matches!(subject, Subject::Event)).then_some("step of events as they came"));
    out.extend(of_steps(|subject| matches!(subject, Subject::Finding(_))).then_some("step of findings"));
    let further = |names: &[String]| names.iter().any(|name| ["f1", "f2", "m0"].contains(&name.as_str()));
    out.extend(rule.taken().any(further).then_some("chain of chains"));
    for exception in &rule.exceptions {
        out.insert(match (exception.finding, exception.until) {
            (false, None) => "exception of events",
            (false, Some(_)) => "exception of events that ends",
            (true, None) => "exception of findings",
            (true, Some(_)) => "exception of findings that ends",
        });
    }
    match &rule.subject {
        Some(Subject::Event) => out.extend(["on event"]),
        Some(Subject::Finding(names)) if names.is_empty() => out.extend(["all findings"]),
        Some(Subject::Finding(names)) => {
            out.extend([if names.iter().any(|n| n == "f0") { "chain" } else { "named findings" }])
        }
        _ => {}
    }
    let caps = match &rule.over {
        Some(Over::Window(window)) => Some(window.caps),
        Some(Over::Sequence(sequence)) => Some(sequence.caps),
        None => None,
    };
    out.extend(caps.filter(|caps| caps.keys < 10 || caps.per_key < 10 || caps.events < 10).map(|_| "caps"));
    let mut reads = |expression: &Typed| {
        expression.walk(&mut |node| {
            if let Kind::Read { ask, .. } = &node.kind {
                out.insert(match ask {
                    Ask::New => "new",
                    Ask::Rare(_) => "rare",
                    Ask::Silent(_) => "silent",
                    Ask::Zscore => "zscore",
                    Ask::Deviation => "deviation",
                    Ask::Age => "age",
                    Ask::TravelSpeed => "travel_speed",
                    Ask::Observations => "observations",
                    Ask::Value => "value",
                    Ask::Interval => "interval",
                    Ask::Regularity => "regularity",
                });
            }
        });
    };
    rule.condition.iter().for_each(&mut reads);
    out
}

fn events(sent: &[(String, String)]) -> Vec<Event> {
    sent.iter().map(|(source, text)| Event::new(source, text).expect("JSON")).collect()
}

fn judge(ruleset: &Ruleset, events: &[Event], covered: bool) -> Vec<Finding> {
    findings(&ruleset.program, events, &Options { covered, uid: &plain_uid })
}

#[test]
fn what_is_generated_says_something() {
    let mut runner = TestRunner::deterministic();
    let (mut rules, mut fired, mut scanned): (BTreeMap<_, usize>, BTreeMap<_, usize>, BTreeMap<_, usize>) =
        Default::default();
    let mut said = Vec::new();
    for _ in 0..150 {
        let text = program().new_tree(&mut runner).expect("a program").current();
        let sent = stream().new_tree(&mut runner).expect("a stream").current();
        let ruleset = match compile(&text) {
            Ok(ruleset) => ruleset,
            Err(why) => {
                said.push(why);
                continue;
            }
        };
        let found = [judge(&ruleset, &events(&sent), true), judge(&ruleset, &events(&sent), false)];
        for (at, rule) in ruleset.program.rules.iter().enumerate() {
            for kind in kinds(rule) {
                *rules.entry(kind).or_default() += 1;
                for (found, fired) in found.iter().zip([&mut fired, &mut scanned]) {
                    *fired.entry(kind).or_default() += usize::from(found.iter().any(|f| f.rule == at));
                }
            }
        }
    }
    assert!(said.is_empty(), "{} of 150 do not compile: {}", said.len(), said[0]);
    assert_eq!(rules.len(), 33, "{rules:?}");
    for (kind, all) in &rules {
        let (fired, scanned) = (fired.get(kind).copied().unwrap_or(0), scanned.get(kind).copied().unwrap_or(0));
        assert!(*all >= 15, "only {all} rules are {kind}");
        assert!(fired * 10 >= *all, "only {fired} of {all} rules that are {kind} fire");
        assert!(scanned * 15 >= *all, "only {scanned} of {all} rules that are {kind} fire in a scan");
    }
}

/// What a rule of Sigma is: its type, and whose findings it takes.
fn sigma_kinds(rule: &Rule) -> BTreeSet<&'static str> {
    let mut out = BTreeSet::from([if rule.silent { "silent" } else { "not silent" }]);
    match &rule.over {
        Some(Over::Window(window)) => {
            out.insert(if window.inputs.len() > 1 { "several inputs" } else { "one input" });
            out.extend((window.inputs.len() > 1 && window.having.is_some()).then_some("count over several inputs"));
        }
        Some(Over::Sequence(sequence)) if sequence.ordered => drop(out.insert("ordered")),
        Some(Over::Sequence(_)) => drop(out.insert("temporal")),
        None => drop(out.insert("of single events")),
    }
    out.extend(rule.taken().next().map(|_| "over correlations"));
    out.extend(rule.taken().any(|names| names.iter().any(|name| name == "c2")).then_some("over these"));
    out
}

#[test]
fn what_is_generated_of_sigma_says_something() {
    let mut runner = TestRunner::deterministic();
    let (mut rules, mut fired): (BTreeMap<_, usize>, BTreeMap<_, usize>) = Default::default();
    for _ in 0..150 {
        let text = correlations().new_tree(&mut runner).expect("a program").current();
        let sent = stream().new_tree(&mut runner).expect("a stream").current();
        let ruleset = compile(&text).expect("compiles");
        let found = if ruleset.program.rules.iter().any(|rule| rule.stateful.is_some()) {
            judge(&ruleset, &events(&sent), false)
        } else {
            Vec::new()
        };
        for (at, rule) in ruleset.program.rules.iter().enumerate() {
            for kind in sigma_kinds(rule) {
                *rules.entry(kind).or_default() += 1;
                *fired.entry(kind).or_default() += usize::from(found.iter().any(|f| f.rule == at));
            }
        }
    }
    assert_eq!(rules.len(), 10, "{rules:?}");
    for (kind, all) in &rules {
        let fired = fired.get(kind).copied().unwrap_or(0);
        assert!(*all >= 15, "only {all} rules are {kind}");
        // What is silent, and what judges events alone, is found by others only.
        let counts = !["silent", "not silent", "of single events"].contains(kind);
        assert!(!counts || fired * 12 >= *all, "only {fired} of {all} rules that are {kind} fire");
    }
}

#[test]
fn the_order_of_arrival_does_not_matter() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..30 {
        let ruleset = compile(&any_program().new_tree(&mut runner).expect("a program").current()).expect("compiles");
        let sent = stream().prop_flat_map(|sent| {
            (proptest::strategy::Just(sent.clone()), proptest::strategy::Just(sent).prop_shuffle())
        });
        let (sent, other) = sent.new_tree(&mut runner).expect("a stream").current();
        for covered in [true, false] {
            assert_eq!(judge(&ruleset, &events(&sent), covered), judge(&ruleset, &events(&other), covered));
        }
    }
}

#[test]
fn streams_hold_what_is_hard() {
    let mut runner = TestRunner::deterministic();
    let (mut again, mut twins, mut timeless, mut ties) = (0, 0, 0, 0);
    for _ in 0..100 {
        let sent = stream().new_tree(&mut runner).expect("a stream").current();
        assert!((5..=60).contains(&sent.len()));
        let mut seen = BTreeSet::new();
        let twice = sent.iter().filter(|one| !seen.insert(*one)).count();
        let with_id = sent.iter().filter(|(_, text)| text.contains("\"again\"")).count();
        let time = |text: &str| text.split_once("\"t\":").map(|(_, rest)| rest.chars().take(19).collect::<String>());
        let times: Vec<String> = sent.iter().filter_map(|(_, text)| time(text)).collect();
        let different: BTreeSet<&String> = times.iter().collect();
        again += usize::from(with_id > 0);
        twins += usize::from(twice > 0);
        timeless += usize::from(times.len() < sent.len());
        ties += usize::from(different.len() < times.len());
    }
    assert!(again >= 10 && twins >= 60 && timeless >= 40 && ties >= 80, "{again} {twins} {timeless} {ties}");
}
