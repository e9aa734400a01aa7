//! What a configuration makes of rules, and that it leaves their names and state alone.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test fails by panicking")]

use tripline_semantic::typed::{Mode, Severity};

use super::*;
use crate::{Compiler, DiskFiles, Ruleset};

const RULES: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time: timestamp(raw.at)
  user.uid: raw.user
  otherwise -> authentication { status_id: match raw.result { "ok" => "Success", "no" => "Failure" } }
}
rule many { id: "r-1" title: "Many" severity: low on authentication where status_id == "Failure"
  group by user.uid within 5m having count() >= 3 alert { severity: high when count() > 10 } }
rule one { title: "One" severity: high on authentication where status_id == "Success" alert { risk: 10 on user(user.uid) } }
rule sum { title: "Sum" severity: low on finding group by entity within 1h having count() >= 2 alert {} }
"#;

const PACK: &str = "name = \"demo\"\nversion = \"1.2\"\ndescription = \"For tests\"\n";

fn pattern(text: &str) -> Pattern {
    Pattern { text: text.into(), ..Pattern::default() }
}

fn compiled(local: Local) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add_bytes("rules/demo/pack.toml", PACK.as_bytes());
    compiler.add_bytes("rules/demo/a.trip", RULES.as_bytes());
    compiler.configure(&local);
    let ruleset = compiler.compile(&DiskFiles, 0);
    assert!(ruleset.broken().is_empty(), "{:?}", ruleset.diagnostics);
    ruleset
}

fn one(rule: &str) -> Override {
    Override { rule: pattern(rule), ..Override::default() }
}

fn of(overrides: Vec<Override>) -> Local {
    Local { name: "tripline.toml".into(), overrides, ..Local::default() }
}

/// The meanings under which state is kept.
fn meanings(ruleset: &Ruleset) -> Vec<[u8; 16]> {
    ruleset.ir.time.nodes.iter().map(|node| node.meaning).collect()
}

#[test]
fn a_star_stands_for_any_characters() {
    let fits = |text: &str, name: &str| pattern(text).fits(name);
    assert!(fits("aws_*", "aws_root") && fits("*", "") && fits("*root*", "aws_root") && fits("a*b*c", "a-b-b-c"));
    assert!(fits("aws", "aws") && !fits("aws", "aws_root") && !fits("aws_*", "okta") && !fits("a*b*c", "a-c-b"));
    assert!(!fits("ab*ab", "ab"), "what is at both ends is there twice");
}

#[test]
fn what_is_said_later_counts_and_rules_before_packs() {
    let at = Span::default();
    let local = Local {
        packs: vec![
            OfPack { name: pattern("*"), enabled: Some(false), shadow: None },
            OfPack { name: pattern("demo"), enabled: Some(true), shadow: Some((true, at)) },
        ],
        overrides: vec![
            Override { shadow: Some((false, at)), ..one("m*") },
            Override { disable: Some(true), ..one("r-1") },
            Override { disable: Some(false), severity: Some(Severity::Critical), ..one("many") },
        ],
        ..Local::default()
    };
    let mode = |pack, name, uid| local.decide(pack, name, uid).mode;
    assert_eq!(mode(Some("demo"), "one", "one"), Mode::Shadow);
    assert_eq!(mode(Some("other"), "one", "one"), Mode::Off);
    assert_eq!(mode(None, "one", "one"), Mode::On, "a rule of no pack is none of the packs");
    assert_eq!(mode(Some("demo"), "many", "r-1"), Mode::On);
    assert_eq!(mode(Some("demo"), "more", "r-1"), Mode::Off, "an id is a name as well");
    assert_eq!(local.decide(Some("demo"), "many", "r-1").severity, Some(Severity::Critical));
    assert!(local.wants("demo") && !local.wants("other"), "a pack that only a star names is not asked for");
}

#[test]
fn severity_owner_and_mode_leave_names_and_state_alone() {
    let plain = compiled(Local::default());
    let at = Span::default();
    let local = of(vec![Override {
        severity: Some(Severity::Critical),
        owner: Some("soc".into()),
        shadow: Some((true, at)),
        ..one("*")
    }]);
    let changed = compiled(local);
    assert_eq!(meanings(&plain), meanings(&changed));
    for (before, after) in plain.program.rules.iter().zip(&changed.program.rules) {
        assert_eq!((before.uid(), after.mode), (after.uid(), Mode::Shadow));
        assert_eq!(after.header.severity, Some(Severity::Critical));
        assert!(after.alert.severity.is_empty() && after.graded && after.header.owner.as_deref() == Some("soc"));
    }
    assert_eq!(changed.pack(&changed.program.rules[0]).map(|pack| pack.version.as_str()), Some("1.2"));
}

#[test]
fn what_a_rule_in_shadow_finds_is_heard_in_shadow_alone() {
    let taken = |local: Local| {
        let ruleset = compiled(local);
        let input = ruleset.ir.time.inputs.iter().find_map(|input| input.findings.as_ref());
        let names = |rules: &[usize]| -> Vec<String> {
            rules.iter().map(|at| ruleset.program.rules[*at].name.clone()).collect()
        };
        (input.map(|input| names(&input.rules)).unwrap_or_default(), meanings(&ruleset).last().copied())
    };
    let at = Span::default();
    let shadow = |rule: &str| Override { shadow: Some((true, at)), ..one(rule) };
    let (all, meaning) = taken(Local::default());
    assert_eq!(all, ["many", "one"]);
    assert_eq!(taken(of(vec![shadow("many")])), (vec!["one".to_string()], meaning), "its window goes on");
    assert_eq!(taken(of(vec![shadow("many"), shadow("sum")])), (all, meaning));
    let off = Override { disable: Some(true), ..one("one") };
    assert_eq!(taken(of(vec![off])).0, ["many"]);
}

#[test]
fn an_exception_of_a_configuration_is_one_of_the_rule() {
    let text = "'user.uid == \"robot\"' 'user.uidd == \"x\"'";
    let except = |start: usize, end: usize| Except {
        reason: "a robot".into(),
        condition: Span::new(tripline_base::FileId::default(), start, end),
        until: Some(("2099-01-01".into(), Span::default())),
        ..Except::default()
    };
    let with =
        |except: Except| Local { text: text.into(), ..of(vec![Override { except: vec![except], ..one("one") }]) };
    let ruleset = compiled(with(except(0, 21)));
    let rule = ruleset.program.rules.iter().find(|rule| rule.name == "one").unwrap();
    assert_eq!((rule.exceptions.len(), rule.exceptions[0].reason.as_str()), (1, "a robot"));
    assert!(rule.exceptions[0].until.is_some());
    let mut detector = crate::Detector::new(&ruleset);
    let mut judged = |user: &str| {
        let event =
            format!("{{\"product\":\"idp\",\"at\":\"2026-01-01T00:00:00Z\",\"user\":\"{user}\",\"result\":\"ok\"}}");
        let judged = detector.judge(&crate::SourceChoice::Detect, event.as_bytes(), None).unwrap();
        (judged.rules.len(), judged.excepted.len())
    };
    assert_eq!((judged("robot"), judged("alice")), ((0, 1), (1, 0)));
    // A word that is wrong is underlined in the configuration.
    let mut compiler = Compiler::new();
    compiler.add("a.trip", RULES);
    compiler.configure(&with(except(22, 40)));
    let ruleset = compiler.compile(&DiskFiles, 0);
    let said =
        ruleset.diagnostics.iter().find(|said| ruleset.sources.name(said.span().file) == "tripline.toml").unwrap();
    assert_eq!((said.code.id, ruleset.sources.slice(said.span())), ("T0201", "uidd"));
    assert_eq!(ruleset.broken(), ["one"]);
}

#[test]
fn what_is_wrong_with_the_file_of_a_pack_is_said() {
    let said = |text: &str, known: &[Pack]| -> Vec<String> {
        let mut sources = SourceMap::new();
        let (pack, said) = read(&mut sources, known, "rules/demo/pack.toml", text);
        assert_eq!(pack.is_none(), !said.is_empty());
        said.into_iter().map(|one| one.message).collect()
    };
    assert_eq!(said(PACK, &[]), Vec::<String>::new());
    let known = Pack { name: "demo".into(), ..Pack::default() };
    assert_eq!(said(PACK, &[known]), ["the name `demo` is that of another pack"]);
    assert_eq!(said("name = \"A b\"\nversion = \"1\"\ndescription = \"x\"\n", &[]).len(), 1);
    assert_eq!(said("name = \"a\"\ndescription = \"\"\nversin = \"1\"\n", &[]).len(), 3);
    let deep = [
        Pack { name: "a".into(), folder: "rules".into(), ..Pack::default() },
        Pack { name: "b".into(), folder: "rules/b".into(), ..Pack::default() },
    ];
    let of = |file: &str| of_file(&deep, file).map(|pack| pack.name.as_str());
    assert_eq!((of("rules/b/c/x.trip"), of("rules/bc/x.trip"), of("other/x.trip")), (Some("b"), Some("a"), None));
}

#[test]
fn a_star_does_not_stand_for_what_watches_the_service_itself() {
    let off = |name: &str| OfPack { name: pattern(name), enabled: Some(false), shadow: None };
    let local = |packs, overrides| Local { packs, overrides, ..Local::default() };
    let mode = |local: &Local, pack, name: &str| local.decide(Some(pack), name, name).mode;
    let disable = |rule: &str| Override { disable: Some(true), ..one(rule) };
    let stars = local(vec![off("*"), off("trip*")], vec![disable("*"), disable("tripline_*")]);
    assert_eq!(mode(&stars, "tripline", "tripline_source_silent"), Mode::On);
    assert_eq!(mode(&stars, "demo", "one"), Mode::Off);
    assert_eq!(mode(&local(vec![off("tripline")], Vec::new()), "tripline", "tripline_source_silent"), Mode::Off);
    let named = local(Vec::new(), vec![disable("tripline_source_silent")]);
    assert_eq!(mode(&named, "tripline", "tripline_source_silent"), Mode::Off);
    assert_eq!(mode(&named, "tripline", "tripline_canary_lost"), Mode::On);
    let severe = local(Vec::new(), vec![Override { severity: Some(Severity::Low), ..one("*") }]);
    assert_eq!(severe.decide(Some("tripline"), "tripline_canary_lost", "tripline_canary_lost").severity, None);
}

#[test]
fn what_lists_tables_and_days_change_is_told_and_leaves_state_alone() {
    const READS: &str = r#"
mapping idp from demo.idp {
  detect where raw.product == "idp"
  time: timestamp(raw.at)
  user.uid: raw.user
  otherwise -> authentication { status_id: match raw.result { "ok" => "Success", "no" => "Failure" } }
}
list robots: string = ["a", "b"]
table teams key uid from "teams.csv"
def team(uid: string) = teams[uid].team
rule listed { title: "L" severity: low on authentication where user.uid in robots alert {} }
rule counted { title: "C" severity: low on authentication where team(user.uid) == "blue"
  group by user.uid within 5m having count() >= 3 alert {} }
rule plain { title: "P" severity: low on authentication where user.uid == "x"
  except "a" until 2099-01-01 where user.uid == "y" alert {} }
"#;
    struct Csv(&'static str);
    impl tripline_semantic::Files for Csv {
        fn read(&self, _: &str, _: &str) -> Result<String, String> {
            Ok(format!("uid,team\nann,{}\n", self.0))
        }
    }
    let of = |text: &str, team| {
        let mut compiler = Compiler::new();
        compiler.add("a.trip", text);
        let ruleset = compiler.compile(&Csv(team), 0);
        assert!(ruleset.broken().is_empty(), "{:?}", ruleset.diagnostics);
        (super::meanings(&ruleset), meanings(&ruleset))
    };
    let before = of(READS, "blue");
    let changed = [
        (0, of(&READS.replace("[\"a\", \"b\"]", "[\"a\", \"c\"]"), "blue")),
        (1, of(READS, "red")),
        (2, of(&READS.replace("2099-01-01", "2099-01-02"), "blue")),
    ];
    for (rule, after) in changed {
        let other: Vec<usize> = (0..3).filter(|at| before.0[*at] != after.0[*at]).collect();
        assert_eq!((other, &after.1), (vec![rule], &before.1));
    }
    assert_eq!(of(READS, "blue"), before);
}
