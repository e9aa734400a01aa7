//! What is looked up for alerts, and how long they wait for it.

use std::collections::BTreeSet;

use serde_json::json;
use tripline_alert::{
    Act, Alert, Answered, Changes, Enrichments, Expressions, Looked, Lookup, Told, Verdict, Wanted, WrittenEnrich,
};
use tripline_base::{Level, SourceMap};
use tripline_semantic::Program;

use super::{Arc, MINUTE, Office, PLAIN, SECOND, close, told};

/// What this test knows: countries and owners here, scores elsewhere.
#[derive(Debug)]
struct Known;

impl Lookup for Known {
    fn look(&self, name: &str, value: &str) -> Looked {
        match (name, value) {
            ("geo", "203.0.113.9") => Looked::Found(json!({ "country": "RU" })),
            ("geo", "broken") => Looked::Failed("the database is broken".into()),
            ("geo", _) => Looked::Nothing,
            ("owner", "RU") => Looked::Found(json!({ "name": "bob" })),
            ("owner", _) => Looked::Nothing,
            _ => Looked::Later,
        }
    }
}

fn enrichments(toml: &str) -> Result<Enrichments, String> {
    let mut sources = SourceMap::new();
    let (written, said) = tripline_config::read(&mut sources, "tripline.toml", toml, |root, said| {
        let mut names = BTreeSet::new();
        let tables = root.tables("enrich", said);
        Some(
            tables
                .into_iter()
                .filter_map(|mut table| {
                    let written = WrittenEnrich::read(&mut table, true, &mut names, said);
                    table.finish(said);
                    written
                })
                .collect::<Vec<_>>(),
        )
    });
    if let Some(error) = said.iter().find(|one| one.level() == Level::Error) {
        return Err(format!("{} {}", error.message, error.help.join(" ")));
    }
    let mut expressions = Expressions::new(&Program::default(), &sources, "an enrichment");
    let all = written.unwrap().iter().filter_map(|one| one.compile(&mut expressions)).collect();
    match expressions.take_diagnostics().first() {
        Some(error) => Err(format!("{} {}", error.message, error.help.join(" "))),
        None => Ok(Enrichments { all, lookup: Some(Arc::new(Known)) }),
    }
}

const GEO: &str = "[[enrich]]\nname = \"geo\"\nfor = \"ip\"\n";
const SCORE: &str = "[[enrich]]\nname = \"score\"\nfor = [\"ip\"]\nbudget = \"2s\"\n";

impl Office {
    fn knowing(routes: &str, toml: &str) -> Self {
        let mut office = Office::new(routes);
        office.desk = office.desk.clone().enriching(Arc::new(enrichments(toml).unwrap()));
        office
    }

    /// A finding, and what somebody is asked for.
    fn find_asking(&mut self, told: &Told) -> (Vec<String>, Vec<Wanted>) {
        let mut changes = Changes::default();
        self.desk.take(&self.memory, &mut changes, "r", &tripline_alert::About::default(), told, self.now).unwrap();
        let wanted = std::mem::take(&mut changes.wanted);
        (self.keep(changes), wanted)
    }

    fn answer(&mut self, wanted: &Wanted, looked: Looked) -> (bool, Vec<String>, Vec<Wanted>) {
        let Wanted { alert, name, value, .. } = wanted.clone();
        let mut changes = Changes::default();
        let answered = Answered { alert, name, value, looked };
        let waited = self.desk.answer(&self.memory, &mut changes, &answered, self.now).unwrap();
        let wanted = std::mem::take(&mut changes.wanted);
        (waited, self.keep(changes), wanted)
    }
}

fn from(ips: &[&str], uid: &str, severity: i64) -> Told {
    Told { entities: ips.iter().map(|ip| ("ip".to_string(), (*ip).to_string())).collect(), ..told(uid, severity, 0) }
}

fn missing(alert: &Alert) -> Vec<String> {
    alert.missing.iter().map(|one| format!("{}: {}", one.name, one.why)).collect()
}

const BY_COUNTRY: &str = "[[route]]\nname = \"far\"\nwhen = 'enriched.geo.country == \"RU\"'\nto = \"page\"\n\
                          [[route]]\nname = \"all\"\nto = \"soc\"\n";

#[test]
fn what_is_known_here_is_there_before_routes_are_tried() {
    let owner = "[[enrich]]\nname = \"owner\"\nvalue = 'enriched.geo.country'\n";
    let mut office = Office::knowing(BY_COUNTRY, &format!("{GEO}{owner}"));
    assert_eq!(office.find(&from(&["198.51.100.1", "203.0.113.9"], "a", 3)), ["page opened"]);
    let alert = office.only();
    assert_eq!(alert.enriched["geo"], json!({ "country": "RU", "of": "203.0.113.9" }));
    assert_eq!(alert.enriched["owner"], json!({ "name": "bob", "of": "RU" }), "it sees what was found before");
    assert!(alert.missing.is_empty(), "what is not known is not missing");
    let mut office = Office::knowing(BY_COUNTRY, GEO);
    assert_eq!(office.find(&from(&["broken"], "a", 3)), ["soc opened"]);
    assert_eq!(missing(&office.only()), ["geo: the database is broken"]);
}

#[test]
fn an_alert_waits_for_what_is_asked_elsewhere_and_not_longer_than_its_budget() {
    let routes = BY_COUNTRY.replace("enriched.geo.country == \"RU\"", "enriched.score.value >= 80");
    let mut office = Office::knowing(&routes, SCORE);
    let (said, wanted) = office.find_asking(&from(&["203.0.113.9"], "a", 3));
    assert_eq!((said.len(), wanted.len()), (0, 1));
    assert_eq!(wanted[0].until, office.now + 2 * SECOND);
    // A graver finding is part of it and tells nobody yet.
    assert_eq!(office.find_asking(&from(&["203.0.113.9"], "b", 4)), (vec![], vec![]));
    office.pass(SECOND);
    let (waited, said, _) = office.answer(&wanted[0], Looked::Found(json!(90)));
    assert!(waited);
    assert_eq!(said, ["page opened"]);
    assert_eq!(office.only().enriched["score"]["value"], 90);
    assert!(!office.answer(&wanted[0], Looked::Found(json!(10))).0, "it is told twice and taken once");
    assert_eq!(office.only().enriched["score"]["value"], 90);

    let mut office = Office::knowing(&routes, SCORE);
    let (_, wanted) = office.find_asking(&from(&["203.0.113.9"], "a", 3));
    assert_eq!(office.pass(2 * SECOND - SECOND), Vec::<String>::new());
    assert_eq!(office.pass(SECOND), ["soc opened"], "at the end of the budget");
    assert_eq!(missing(&office.only()), ["score: there was no answer within 2 s"]);
    assert!(!office.answer(&wanted[0], Looked::Found(json!(90))).0, "too late");
    assert_eq!(office.pass(MINUTE), Vec::<String>::new());
    assert!(office.only().enriched.is_empty());

    let mut office = Office::knowing(&routes, SCORE);
    let (_, wanted) = office.find_asking(&from(&["203.0.113.9"], "a", 3));
    assert_eq!(office.answer(&wanted[0], Looked::Failed("it answered 500".into())).1, ["soc opened"]);
    assert_eq!(missing(&office.only()), ["score: it answered 500"]);
}

#[test]
fn what_is_asked_for_what_was_answered_has_the_time_that_is_left() {
    let next = "[[enrich]]\nname = \"team\"\nvalue = 'enriched.score.owner'\nbudget = \"3s\"\n";
    let mut office = Office::knowing(PLAIN, &format!("{SCORE}{next}"));
    let begun = office.now;
    let (_, wanted) = office.find_asking(&from(&["203.0.113.9"], "a", 3));
    office.pass(SECOND);
    let (_, said, more) = office.answer(&wanted[0], Looked::Found(json!({ "owner": "x" })));
    assert_eq!((said.len(), more.len(), more[0].until), (0, 1, begun + 3 * SECOND));
    assert_eq!(office.pass(2 * SECOND), ["soc opened"]);
}

#[test]
fn new_values_of_an_alert_that_was_told_delay_nothing() {
    let mut office = Office::knowing(PLAIN, SCORE);
    assert_eq!(office.find_asking(&told("a", 3, 0)), (vec!["soc opened".to_string()], vec![]), "there is no address");
    let (said, wanted) = office.find_asking(&from(&["203.0.113.9"], "b", 4));
    assert_eq!(said, ["soc updated"], "graver, at once");
    assert_eq!(wanted.len(), 1);
    assert_eq!(office.answer(&wanted[0], Looked::Found(json!(1))).1, Vec::<String>::new());
    assert_eq!(office.only().enriched["score"]["value"], 1);
    // So many values of one enrichment at most, whatever is found.
    let many: Vec<String> = (0..100).map(|n| format!("198.51.100.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(office.find_asking(&from(&many, "c", 3)).1.len(), 9);
}

#[test]
fn further_findings_prolonged_the_wait() {
    let mut office = Office::knowing(PLAIN, SCORE);
    office.find_asking(&from(&["203.0.113.9"], "a", 3));
    office.pass(SECOND);
    let (_, wanted) = office.find_asking(&from(&["203.0.113.10"], "b", 3));
    assert_eq!(wanted[0].until, office.now + SECOND, "it has the time that is left");
    assert_eq!(office.pass(SECOND), ["soc opened"]);
}

#[test]
fn who_judges_or_snoozes_an_alert_that_waits_is_heeded() {
    let mut office = Office::knowing(PLAIN, SCORE);
    let (_, wanted) = office.find_asking(&from(&["203.0.113.9"], "a", 3));
    let id = office.only().id;
    assert!(office.act(&id, &close(Verdict::Duplicate)).unwrap().is_empty());
    assert!(!office.answer(&wanted[0], Looked::Nothing).0);
    assert_eq!(office.pass(MINUTE), Vec::<String>::new());

    let mut office = Office::knowing(PLAIN, SCORE);
    office.find_asking(&from(&["203.0.113.9"], "a", 3));
    let snooze = Act::Snooze { until: office.now + MINUTE, comment: String::new() };
    office.act(&id, &snooze).unwrap();
    assert_eq!(office.pass(MINUTE - SECOND), Vec::<String>::new());
    assert_eq!(office.only().due(), Some(office.now + SECOND), "nothing is due meanwhile");
    assert_eq!(office.pass(SECOND), ["soc opened"]);
}

#[test]
fn a_condition_says_for_which_alerts() {
    let mut office = Office::knowing(PLAIN, &format!("{SCORE}when = 'severity >= \"High\"'\n"));
    assert_eq!(office.find(&from(&["203.0.113.9"], "a", 3)), ["soc opened"]);
    let (said, wanted) = office.find_asking(&from(&["203.0.113.9"], "b", 4));
    assert_eq!((said, wanted.len()), (vec!["soc updated".to_string()], 1));
}

#[test]
fn what_cannot_be_looked_up_is_said_with_a_way_out() {
    let said = |toml: &str| enrichments(toml).unwrap_err();
    assert!(said("[[enrich]]\nname = \"a\"\nfor = \"adress\"\n").contains("the kinds are user"));
    assert!(said("[[enrich]]\nname = \"a.b\"\nfor = \"ip\"\n").contains("enriched.NAME"));
    assert!(said("[[enrich]]\nname = \"a\"\n").contains("add `for = \"ip\"`"));
    assert!(said("[[enrich]]\nname = \"a\"\nfor = \"ip\"\nvalue = 'title'\n").contains("leave one out"));
    assert!(said("[[enrich]]\nname = \"a\"\nvalue = 'ttle'\n").contains("did you mean `title`"));
    assert!(said(&format!("{GEO}{GEO}")).contains("`geo` is taken"));
}

/// Numbers that only look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % n
    }
}

/// Findings, answers that come in any order, fail or never come, and time: what was said, and the alerts.
fn story(seed: u64) -> (Vec<(i64, String)>, Vec<Alert>) {
    let mut chance = Chance(seed);
    let mut office = Office::knowing(PLAIN, &format!("{GEO}{SCORE}"));
    let mut open: Vec<Wanted> = Vec::new();
    let mut said = Vec::new();
    for step in 0..60 {
        let more = match chance.below(4) {
            0 => {
                let ips: Vec<String> =
                    (0..=chance.below(3)).map(|_| format!("198.51.100.{}", chance.below(9))).collect();
                let ips: Vec<&str> = ips.iter().map(String::as_str).collect();
                let severity = 1 + chance.below(5) as i64;
                let finding = Told {
                    key: vec![chance.below(4).to_string()],
                    time: Some(office.now),
                    ..from(&ips, &step.to_string(), severity)
                };
                let (more, wanted) = office.find_asking(&finding);
                open.extend(wanted);
                more
            }
            1 | 2 if !open.is_empty() => {
                let wanted = open.swap_remove(chance.below(open.len() as u64) as usize);
                let looked = match chance.below(3) {
                    0 => Looked::Found(json!(chance.below(100))),
                    1 => Looked::Nothing,
                    _ => Looked::Failed("no".into()),
                };
                let (_, more, wanted) = office.answer(&wanted, looked);
                open.extend(wanted);
                more
            }
            _ => office.pass(SECOND),
        };
        said.extend(more.into_iter().map(|one| (office.now, one)));
        for alert in office.memory.alerts.borrow().values() {
            assert!(!alert.lookups.waits || office.now < alert.opened + 2 * SECOND, "{alert:?}");
        }
    }
    said.extend(office.pass(3 * SECOND).into_iter().map(|one| (office.now, one)));
    let alerts = office.memory.alerts.borrow().values().cloned().collect();
    (said, alerts)
}

#[test]
fn whatever_is_answered_every_alert_is_told_once_and_within_the_budget() {
    let mut waited = 0;
    for seed in 0..300 {
        let (said, alerts) = story(seed);
        assert_eq!(story(seed), (said.clone(), alerts.clone()), "the same inputs give the same");
        let opened = said.iter().filter(|(_, one)| one == "soc opened").count();
        assert_eq!(opened, alerts.len(), "{said:?}");
        for alert in alerts {
            let track = &alert.tracks[0];
            assert!(alert.tracks.len() == 1 && track.at.is_some() && !alert.lookups.waits, "{alert:?}");
            assert!(alert.lookups.open.is_empty());
            waited += alert.lookups.asked.len();
            // Each value that was asked for is known, not known, or missing.
            let missing = alert.missing.iter().filter(|one| one.name == "geo").count();
            assert_eq!(missing, 0, "{alert:?}");
        }
    }
    assert!(waited > 1_000, "{waited}");
}
