//! What becomes of findings, acts and time: alerts and messages, told as stories of a few lines.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]

#[path = "desk/enrich.rs"]
mod enrich;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use tripline_alert::{
    About, Act, Alert, Changes, Desk, Message, Occasion, Refused, Routing, Shelf, Silence, Status, Told, Verdict, What,
};
use tripline_base::SourceMap;
use tripline_semantic::Program;

const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
/// A Monday at 10:00 UTC.
const START: i64 = 1_767_607_200 * SECOND;

#[derive(Default)]
struct Memory {
    alerts: RefCell<BTreeMap<String, Alert>>,
    memos: RefCell<BTreeMap<String, String>>,
}

impl Shelf for Memory {
    fn alert(&self, id: &str) -> Result<Option<Alert>, String> {
        Ok(self.alerts.borrow().get(id).cloned())
    }
    fn latest(&self, rule: &str, key: &[String]) -> Result<Option<Alert>, String> {
        let alerts = self.alerts.borrow();
        let of_key = alerts.values().filter(|alert| alert.rule == rule && alert.key == key);
        Ok(of_key.max_by_key(|alert| alert.opened).cloned())
    }
    fn due(&self, now: i64, most: usize) -> Result<Vec<Alert>, String> {
        let alerts = self.alerts.borrow();
        let due = alerts.values().filter(|alert| alert.due().is_some_and(|due| due <= now));
        Ok(due.take(most).cloned().collect())
    }
    fn open(&self, most: usize) -> Result<Vec<Alert>, String> {
        let alerts = self.alerts.borrow();
        Ok(alerts.values().filter(|alert| alert.status != Status::Closed).take(most).cloned().collect())
    }
    fn memo(&self, name: &str) -> Result<Option<String>, String> {
        Ok(self.memos.borrow().get(name).cloned())
    }
}

/// A desk with its memory. Each call is a commit of its own.
struct Office {
    desk: Desk,
    memory: Memory,
    now: i64,
}

fn routing(toml: &str) -> Routing {
    let mut sources = SourceMap::new();
    let named: Vec<String> = ["soc", "page", "lead", "jira"].map(String::from).into();
    let (written, said) = tripline_config::read(&mut sources, "tripline.toml", toml, |root, said| {
        Some(tripline_alert::read(root, &named, said))
    });
    let errors: Vec<_> = said.iter().filter(|one| one.level() == tripline_base::Level::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    let (routing, said) = written.unwrap().compile(&sources, &Program::default());
    assert!(said.is_empty(), "{said:?}");
    routing
}

impl Office {
    fn new(toml: &str) -> Self {
        Office::with(toml, Vec::new())
    }

    fn with(toml: &str, silences: Vec<Silence>) -> Self {
        let (desk, refused) = Desk::new(Arc::new(routing(toml)), silences, &Program::default());
        assert!(refused.is_empty());
        Office { desk, memory: Memory::default(), now: START }
    }

    /// Keeps what changed; gives the messages as `destination occasion` or `destination digest n`.
    fn keep(&mut self, changes: Changes) -> Vec<String> {
        self.memory.alerts.borrow_mut().extend(changes.alerts);
        for (name, value) in changes.memos {
            let mut memos = self.memory.memos.borrow_mut();
            match value {
                Some(value) => memos.insert(name, value),
                None => memos.remove(&name),
            };
        }
        let said = changes.deliveries.into_iter().map(|(to, _, body)| {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            match body.get("digest") {
                Some(digest) => {
                    let more = digest["more"].as_u64().unwrap();
                    format!("{to} digest {}", digest["alerts"].as_array().unwrap().len() as u64 + more)
                }
                None => {
                    let message: Message = serde_json::from_value(body["alert"].clone()).unwrap();
                    format!("{to} {:?}", message.occasion).to_lowercase()
                }
            }
        });
        said.collect()
    }

    fn find(&mut self, told: &Told) -> Vec<String> {
        self.find_of("r", &About { tags: vec!["identity".into()], ..About::default() }, told)
    }

    fn find_of(&mut self, rule: &str, about: &About, told: &Told) -> Vec<String> {
        let mut changes = Changes::default();
        self.desk.take(&self.memory, &mut changes, rule, about, told, self.now).unwrap();
        self.keep(changes)
    }

    fn act(&mut self, id: &str, act: &Act) -> Result<Vec<String>, Refused> {
        let mut changes = Changes::default();
        self.desk.act(&self.memory, &mut changes, id, act, "alice", self.now)?;
        Ok(self.keep(changes))
    }

    /// Lets so much time pass, a second at a time.
    fn pass(&mut self, long: i64) -> Vec<String> {
        let until = self.now + long;
        let mut said = Vec::new();
        while self.now < until {
            self.now += SECOND;
            let mut changes = Changes::default();
            self.desk.tick(&self.memory, &mut changes, self.now).unwrap();
            said.extend(self.keep(changes));
        }
        said
    }

    fn only(&self) -> Alert {
        let alerts = self.memory.alerts.borrow();
        assert_eq!(alerts.len(), 1);
        alerts.values().next().unwrap().clone()
    }
}

fn told(uid: &str, severity: i64, minute: i64) -> Told {
    Told {
        uid: uid.into(),
        title: format!("title of {uid}"),
        severity,
        time: Some(START + minute * MINUTE),
        events: 1,
        key: vec!["k".into()],
        window: HOUR,
        entities: vec![("user".into(), "alice".into())],
        ..Told::default()
    }
}

const PLAIN: &str = "[[route]]\nname = \"all\"\nto = \"soc\"\n";

fn close(verdict: Verdict) -> Act {
    Act::Close { verdict, comment: "seen".into() }
}

#[test]
fn findings_of_one_key_within_the_window_of_the_first_are_one_alert() {
    let mut office = Office::new(PLAIN);
    assert_eq!(office.find(&told("a", 3, 0)), ["soc opened"]);
    assert_eq!(office.find(&told("b", 3, 59)), Vec::<String>::new(), "an update is gathered for a minute");
    assert_eq!((office.only().count, office.only().last_seen), (2, START + 59 * MINUTE));
    // The window is of the first, and not prolonged.
    assert_eq!(office.find(&told("c", 3, 60)), ["soc opened"]);
    let other = Told { key: vec!["other".into()], ..told("d", 3, 1) };
    assert_eq!(office.find(&other), ["soc opened"]);
    let lone = Told { key: vec![], ..told("e", 3, 1) };
    assert_eq!(office.find(&lone), ["soc opened"]);
    assert_eq!(office.find(&Told { uid: "f".into(), ..lone.clone() }), ["soc opened"], "no key, no group");
    // A new revision is of the alert that the finding was in, whenever it comes.
    office.find(&Told { revision: 1, events: 40, ..lone });
    let alerts = office.memory.alerts.borrow();
    assert_eq!(alerts.len(), 5);
    let lone = alerts.values().find(|alert| alert.evidence[0].uid == "e").unwrap();
    assert_eq!((lone.count, lone.events), (1, 40));
}

/// What was told anew went to the latest alert of its key, and what came next to the one that it was of.
#[test]
fn a_finding_that_is_told_anew_stays_in_the_alert_that_it_opened() {
    let mut office = Office::new(PLAIN);
    office.find(&told("a", 3, 0));
    office.now += 61 * MINUTE;
    office.find(&told("b", 3, 61));
    office.find(&Told { revision: 1, events: 9, ..told("a", 3, 0) });
    // In one commit as well, with what comes next.
    let mut changes = Changes::default();
    let about = About::default();
    for told in [Told { revision: 2, events: 12, ..told("a", 3, 0) }, told("c", 3, 62)] {
        office.desk.take(&office.memory, &mut changes, "r", &about, &told, office.now).unwrap();
    }
    let of = |alert: &Alert| (alert.count, alert.evidence.iter().map(|one| one.uid.clone()).collect::<Vec<_>>());
    let mut found: Vec<_> = changes.alerts.values().map(of).collect();
    found.sort();
    assert_eq!(found, [(1, vec!["a".to_string()]), (2, vec!["b".to_string(), "c".to_string()])]);
}

/// An alert that another one followed was written again, and taken for the latest where that went by what was written.
#[test]
fn an_alert_whose_window_is_over_is_left_alone() {
    let mut office = Office::new(PLAIN);
    office.find(&told("a", 3, 0));
    let mut changes = Changes::default();
    let about = About { tags: vec!["identity".into()], ..About::default() };
    office.desk.take(&office.memory, &mut changes, "r", &about, &told("b", 3, 60), office.now).unwrap();
    office.desk.take(&office.memory, &mut changes, "r", &about, &told("c", 3, 61), office.now).unwrap();
    assert_eq!(changes.alerts.len(), 1);
    assert_eq!(changes.alerts.values().next().unwrap().count, 2);
}

#[test]
fn updates_are_gathered_and_what_is_graver_is_told_at_once() {
    let mut office = Office::new(&format!("{PLAIN}update_every = \"5m\"\n"));
    office.find(&told("a", 2, 0));
    office.find(&told("b", 2, 1));
    office.find(&told("c", 2, 2));
    assert_eq!(office.pass(5 * MINUTE), ["soc updated"]);
    assert_eq!(office.pass(HOUR), Vec::<String>::new(), "nothing new, nothing told");
    assert_eq!(office.find(&told("d", 4, 3)), ["soc updated"]);
    let alert = office.only();
    assert_eq!((alert.severity, alert.severity_by.as_str()), (4, "title of d"));
    let raised = alert.history.iter().find(|change| change.what == What::Raised).unwrap();
    assert_eq!(raised.text, "from low to high: title of d");
}

#[test]
fn the_first_route_that_fits_takes_an_alert_unless_it_goes_on() {
    let routes = r#"
        [[route]]
        name = "jira"
        when = 'severity >= "Medium"'
        to = "jira"
        continue = true
        [[route]]
        name = "identity"
        when = '"identity" in tags'
        to = "soc"
          [[route.route]]
          name = "grave"
          when = 'severity == "Critical"'
          to = ["page", "soc"]
        [[route]]
        name = "rest"
        to = "lead"
    "#;
    let mut office = Office::new(routes);
    assert_eq!(office.find(&told("a", 2, 0)), ["soc opened"]);
    // Graver: the other route takes it too, and the inner one; who knows it is told of the change once.
    let mut said = office.find(&told("b", 5, 1));
    said.sort();
    assert_eq!(said, ["jira opened", "page opened", "soc updated"]);
    let plain = office.find_of("other", &About::default(), &told("c", 3, 0));
    assert_eq!(plain, ["jira opened", "lead opened"]);
    let alert = office.memory.alerts.borrow().values().find(|alert| alert.rule == "r").unwrap().clone();
    let tripline_alert::Way { held, said: judged, to } = office.desk.explain(&office.memory, &alert, START).unwrap();
    assert_eq!((held, to), (None, vec!["jira".to_string(), "page".into(), "soc".into()]));
    let judged: Vec<String> =
        judged.iter().map(|one| format!("{}{} {} {}", "-".repeat(one.depth), one.route, one.took, one.why)).collect();
    assert_eq!(
        judged,
        [
            "jira true it takes the alert",
            "identity false a route of its own takes the alert",
            "-grave true it takes the alert"
        ]
    );
}

#[test]
fn nobody_took_it_in_time_so_others_are_told() {
    let routes = format!(
        "{PLAIN}escalate = [{{ after = \"15m\", to = \"page\" }}, {{ after = \"30m\", to = [\"lead\", \"page\"] }}]\n"
    );
    let mut office = Office::new(&routes);
    office.find(&told("a", 4, 0));
    assert_eq!(office.pass(15 * MINUTE - SECOND), Vec::<String>::new());
    assert_eq!(office.pass(SECOND), ["page escalated", "soc escalated"]);
    let id = office.only().id;
    assert_eq!(office.act(&id, &Act::Acknowledge { comment: String::new() }).unwrap(), ["soc acted", "page acted"]);
    assert_eq!(office.pass(HOUR), Vec::<String>::new(), "it was taken");
    let alert = office.only();
    assert_eq!((alert.status, alert.assignee.as_deref()), (Status::Acknowledged, Some("alice")));
    let changes: Vec<What> = alert.history.iter().map(|change| change.what).collect();
    assert_eq!(changes, [What::Opened, What::Escalated, What::Acknowledged]);
}

#[test]
fn what_was_judged_stays_so_unless_something_graver_comes() {
    let mut office = Office::new(PLAIN);
    office.find(&told("a", 3, 0));
    let id = office.only().id;
    assert_eq!(office.act(&id, &close(Verdict::FalsePositive)).unwrap(), ["soc acted"]);
    assert_eq!(office.act(&id, &close(Verdict::FalsePositive)), Err(Refused::Already("closed")));
    assert_eq!(office.act("none", &close(Verdict::FalsePositive)), Err(Refused::Unknown));
    assert_eq!(office.find(&told("b", 3, 1)), Vec::<String>::new());
    assert_eq!(office.pass(HOUR), Vec::<String>::new());
    let alert = office.only();
    assert_eq!((alert.status, alert.verdict, alert.count), (Status::Closed, Some(Verdict::FalsePositive), 2));
    assert_eq!(office.find(&told("c", 4, 2)), ["soc updated"]);
    let alert = office.only();
    assert_eq!((alert.status, alert.verdict), (Status::Open, None));
    assert_eq!(alert.history.last().unwrap().what, What::Reopened);
}

#[test]
fn a_snoozed_alert_is_left_alone_until_the_end() {
    let mut office = Office::new(&format!("{PLAIN}escalate = [{{ after = \"10m\", to = \"page\" }}]\n"));
    office.find(&told("a", 3, 0));
    let id = office.only().id;
    let past = Act::Snooze { until: START - 1, comment: String::new() };
    assert_eq!(office.act(&id, &past), Err(Refused::Bad("the end lies in the past")));
    let snooze = Act::Snooze { until: START + HOUR, comment: "after lunch".into() };
    assert_eq!(office.act(&id, &snooze).unwrap(), ["soc acted"]);
    office.find(&told("b", 4, 1));
    assert_eq!(office.pass(HOUR - SECOND), Vec::<String>::new());
    assert_eq!(office.pass(SECOND), ["soc escalated", "page escalated"]);
    assert_eq!(office.only().snoozed, None);
}

const HOURS: &str = "[hours.business]\nzone = \"UTC\"\nfrom = \"09:00\"\nto = \"17:00\"\n";

#[test]
fn outside_of_its_hours_a_route_waits_or_is_passed_over() {
    let routes = format!(
        "{HOURS}[[route]]\nname = \"desk\"\nhours = \"business\"\nhold = true\nto = \"jira\"\ncontinue = true\n\
         [[route]]\nname = \"day\"\nhours = \"business\"\nto = \"soc\"\n[[route]]\nname = \"night\"\nto = \"page\"\n"
    );
    let mut office = Office::new(&routes);
    assert_eq!(office.find(&told("a", 3, 0)), ["jira opened", "soc opened"]);
    office.now = START + 12 * HOUR;
    let late = Told { key: vec!["night".into()], ..told("b", 3, 12 * 60) };
    assert_eq!(office.find(&late), ["page opened"]);
    assert_eq!(office.pass(11 * HOUR), ["jira opened"], "at nine");
    assert_eq!(office.now, START + 23 * HOUR);
}

#[test]
fn alerts_beyond_the_limit_are_told_in_a_digest() {
    let mut office = Office::new(&format!("{PLAIN}limit = {{ alerts = 2, per = \"1h\" }}\n"));
    let mut said = Vec::new();
    for n in 0..150 {
        let finding = Told { key: vec![n.to_string()], ..told(&n.to_string(), 3, 0) };
        said.extend(office.find(&finding));
    }
    assert_eq!(said, ["soc opened", "soc opened"]);
    assert_eq!(office.pass(HOUR), ["soc digest 148"]);
    assert_eq!(office.pass(HOUR), Vec::<String>::new());
    assert_eq!(office.find(&told("later", 3, 0)), ["soc opened"], "a new hour");
}

#[test]
fn silences_mutes_and_inhibitions_hold_back_with_a_reason() {
    let silence = Silence {
        id: "s".into(),
        when: "users[] == \"alice\"".into(),
        reason: "pentest".into(),
        by: "bob".into(),
        from: START,
        until: START + HOUR,
    };
    let mut office = Office::with(PLAIN, vec![silence]);
    assert_eq!(office.find(&told("a", 4, 0)), Vec::<String>::new());
    assert_eq!(office.only().held.as_deref(), Some("silenced until 2026-01-05T11:00:00Z by bob: pentest"));
    office.now = START + HOUR;
    assert_eq!(office.find(&told("b", 4, 59)), ["soc opened"], "the silence is over");
    assert_eq!(office.only().held, None);

    let mute = format!(
        "{HOURS}[[mute]]\nname = \"m\"\nwhen = 'severity < \"High\"'\nhours = \"business\"\nreason = \"noise\"\n{PLAIN}"
    );
    let mut office = Office::new(&mute);
    assert_eq!(office.find(&told("a", 3, 0)), Vec::<String>::new());
    assert_eq!(office.only().held.as_deref(), Some("muted by `m`: noise"));
    assert_eq!(office.find(&told("b", 4, 1)), ["soc opened"], "graver");

    let inhibit = format!(
        "{PLAIN}[[inhibit]]\nname = \"i\"\nwhen = 'severity < \"High\"'\nwhile = 'severity >= \"High\"'\n\
         same = \"users\"\nwithin = \"1h\"\nreason = \"the graver one says it\"\n"
    );
    let mut office = Office::new(&inhibit);
    assert_eq!(office.find(&told("a", 4, 0)), ["soc opened"]);
    let of = |user: &str, uid: &str, minute| Told {
        key: vec![uid.into()],
        entities: vec![("user".into(), user.into())],
        ..told(uid, 2, minute)
    };
    assert_eq!(office.find(&of("alice", "b", 5)), Vec::<String>::new());
    assert_eq!(office.find(&of("bob", "c", 5)), ["soc opened"], "another user");
    assert_eq!(office.find(&of("alice", "d", 61)), ["soc opened"], "long after");
    let id = office.memory.alerts.borrow().values().find(|alert| alert.severity == 4).unwrap().id.clone();
    office.act(&id, &close(Verdict::TruePositive)).unwrap();
    assert_eq!(office.find(&of("alice", "e", 6)), ["soc opened"], "the graver one is closed");
}

#[test]
fn an_alert_is_bounded_whatever_is_found() {
    let mut office = Office::new(PLAIN);
    let mut last = Vec::new();
    for n in 0..500 {
        let finding = Told {
            raw: "é".repeat(100_000),
            entities: (0..10).map(|m| ("ip".into(), format!("{n}.{m}"))).collect(),
            context: vec![("c".into(), "x".repeat(1 << 20).into())],
            why: (0..100).map(|m| (format!("test {m}"), vec!["saw".into()])).collect(),
            ..told(&n.to_string(), 3, 0)
        };
        last = office.find(&finding);
    }
    assert!(last.is_empty());
    let alert = office.only();
    assert_eq!((alert.count, alert.evidence.len(), alert.entities.len()), (500, 10, 50));
    assert_eq!(alert.evidence.last().unwrap().number, 500);
    let size = serde_json::to_string(&alert).unwrap().len();
    assert!(size < 100_000, "{size}");
}

#[test]
fn messages_read_back_and_ids_are_the_same_at_every_run() {
    let about = About::default();
    let one = Alert::open("r", &about, &told("a", 3, 0), START);
    let other = Alert::open("r", &about, &told("a", 3, 0), START + 5);
    assert_eq!(one.id, other.id);
    assert_ne!(one.id, Alert::open("r", &about, &told("b", 3, 0), START).id);
    let message = Message { occasion: Occasion::Opened, route: "all".into(), alert: one };
    let text = serde_json::to_string(&message).unwrap();
    assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), message);
}
