//! What is known of the canaries of rules, read from a store: beside a service, or without one; and a run of them without
//! a service.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde_json::{Value as Json, json};
use tripline_alert::{Beside, Enrichments, Routing};
use tripline_detect::harness::Fixtures;
use tripline_detect::{Detector, FixtureFiles, Ruleset, canary};
use tripline_event::format_time;
use tripline_semantic::typed::{Mode, Rule};
use tripline_store::Store;

use super::{BROKEN, Came, KEPT, Kept, MOST, Maker, OFF, State, Step};
use crate::config::{self, Config};
use crate::deliver;
use crate::engine::canary::{Out, Way, judge};
use crate::engine::desk::{self, Rules};
use tripline_connect::clock;

/// Whether a rule would fire now, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Its last canary came out.
    Yes,
    /// It did not.
    No,
    /// It was found, and nobody is told at present.
    Held,
    /// Nobody knows: there is no canary, none was injected yet, or none for too long.
    Unknown,
}

impl Answer {
    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Answer::Yes => "yes",
            Answer::No => "no",
            Answer::Held => "held",
            Answer::Unknown => "unknown",
        }
    }
}

/// What is known of one rule.
#[derive(Clone, Debug)]
pub struct Report {
    /// The rule.
    pub rule: String,
    /// Whether it would fire now.
    pub answer: Answer,
    /// How its canary is, in a word: that of [`State`], or `off`, `none`, `waiting`, `stale`.
    pub state: &'static str,
    /// Why it would not fire, or is not known to.
    pub why: String,
    /// What is injected for it: `canary`, or the name of a test.
    pub of: Option<String>,
    /// What became of the last.
    pub last: Option<Kept>,
}

impl Report {
    /// Everything, for programs.
    pub fn json(&self) -> Json {
        let last = self.last.as_ref().map(|last| {
            json!({
                "at": format_time(last.at),
                "state": last.state.as_str(),
                "step": last.step.map(Step::as_str),
                "at_fault": Some(&last.blamed).filter(|blamed| !blamed.is_empty()),
                "why": Some(&last.why).filter(|why| !why.is_empty()),
                "to": last.to,
                "milliseconds": last.nanos / 1_000_000,
                "since": format_time(last.since),
                "fired": last.fired.map(format_time),
                "of": last.of,
            })
        });
        json!({
            "rule": self.rule,
            "fires": self.answer.as_str(),
            "state": self.state,
            "why": Some(&self.why).filter(|why| !why.is_empty()),
            "canary": self.of,
            "last": last,
        })
    }
}

/// What is known of every rule, by what the store has.
///
/// # Errors
/// Where the store cannot be read.
pub fn read(store: &Store, config: &Config, ruleset: &Ruleset, now: i64) -> Result<Vec<Report>, String> {
    let kept = store.memos(KEPT, MOST).map_err(|error| error.to_string())?;
    let kept = kept.into_iter().filter_map(|(name, text)| {
        Some((name.strip_prefix(KEPT)?.to_string(), serde_json::from_str::<Kept>(&text).ok()?))
    });
    let mut kept: BTreeMap<String, Kept> = kept.collect();
    let newest = kept.values().map(|kept| kept.at).max();
    let rules = ruleset.program.rules.iter();
    Ok(rules.map(|rule| known(rule, config.canary, kept.remove(&rule.name), (newest, now))).collect())
}

/// What is known of a rule by its last canary, the newest of any rule, and the time it is.
fn known(
    rule: &Rule,
    settings: Option<config::Canary>,
    last: Option<Kept>,
    (newest, now): (Option<i64>, i64),
) -> Report {
    let of = canary::of(rule, settings.unwrap_or_default().tests).map(|test| test.name.clone());
    let told = |answer, state, why: &str| Report {
        rule: rule.name.clone(),
        answer,
        state,
        why: why.into(),
        of: of.clone(),
        last: last.clone(),
    };
    if rule.mode == Mode::Off {
        return told(Answer::Held, "held", OFF);
    }
    if rule.broken {
        return told(Answer::No, "lost", BROKEN);
    }
    if of.is_none() {
        let why = match canary::of(rule, true) {
            Some(_) => {
                "it has no canary, and `tests = false` under `[canary]` keeps its tests from standing in for one"
            }
            None => "it has no canary, and no test that could stand in for one",
        };
        return told(Answer::Unknown, "none", why);
    }
    let settings = match settings {
        Some(settings) if settings.enabled => settings,
        Some(_) => return told(Answer::Unknown, "off", "canaries are off: `[canary]` has `enabled = false`"),
        None => return told(Answer::Unknown, "off", "canaries are off: add `[canary]` to the configuration"),
    };
    match &last {
        None => told(Answer::Unknown, "waiting", "none was injected yet"),
        Some(last) => {
            let late = clock::nanos(settings.every).saturating_mul(2).saturating_add(clock::nanos(settings.within));
            if now.saturating_sub(last.at) > late {
                let since = format_time(last.at);
                let why = match newest.is_some_and(|newest| now.saturating_sub(newest) <= late) {
                    true => {
                        format!("none was injected since {since}, as the service cannot keep up: give `every` more")
                    }
                    false => format!("none was injected since {since}: does the service run?"),
                };
                return told(Answer::Unknown, "stale", &why);
            }
            told(answer(last.state), last.state.as_str(), &last.why)
        }
    }
}

fn answer(state: State) -> Answer {
    match state {
        State::Fires => Answer::Yes,
        State::Held => Answer::Held,
        State::Lost | State::Unfed => Answer::No,
    }
}

/// What canaries are run with where no service is asked.
pub struct Bench<'b> {
    /// The configuration.
    pub config: &'b Config,
    /// Its rules.
    pub ruleset: &'b Ruleset,
    /// Its routes.
    pub routing: Routing,
    /// Its enrichments.
    pub enrichments: Enrichments,
    /// What a service kept: silences and open alerts hold canaries back as they do alerts.
    pub store: Option<&'b Store>,
    /// Where fixtures are found.
    pub files: &'b dyn FixtureFiles,
}

impl Bench<'_> {
    /// Runs the canaries of rules at once, on the way that they take in a service, but for sources and workers: whether
    /// these work is not known here. Nothing is written or sent.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn run(&self, wanted: &dyn Fn(&Rule) -> bool) -> Result<Vec<Report>, String> {
        let settings = self.config.canary.unwrap_or_default();
        let enrichments = Arc::new(self.enrichments.clone());
        let rules = Rules::apart(self.store, self.ruleset, Arc::new(self.routing.clone()), enrichments)?;
        let detectors = [Mutex::new(Detector::new(self.ruleset))];
        let fails = |_: &str| None;
        let maker = Maker { config: self.config, ruleset: self.ruleset, files: self.files, fails: &fails };
        let mut fixtures = Fixtures::default();
        let mut out = Vec::new();
        for (at, rule) in self.ruleset.program.rules.iter().enumerate().filter(|(_, rule)| wanted(rule)) {
            let Some(test) = canary::of(rule, settings.tests) else {
                out.push(known(rule, Some(settings), None, (None, 0)));
                continue;
            };
            let (now, begun) = (clock::now(), Instant::now());
            let came = match maker.make(&mut fixtures, (at, rule), test, 0, now) {
                Ok(marked) => {
                    let ways: Vec<Way<'_>> = self.config.outlets().map(way).collect();
                    let come = match self.store {
                        Some(store) => {
                            judge(self.ruleset, &detectors, &rules, &ways, &desk::Kept(store), &marked, now)?
                        }
                        None => judge(self.ruleset, &detectors, &rules, &ways, &Beside(None), &marked, now)?,
                    };
                    come.map_or_else(|came| came, |out| self.render(&out))
                }
                Err(came) => came,
            };
            let Came { state, step, blamed, why, to } = came;
            let nanos = clock::nanos(begun.elapsed());
            let fired = (state == State::Fires).then_some(now);
            let (answer, of) = (answer(state), test.name.clone());
            let last =
                Kept { at: now, state, step, blamed, why: why.clone(), to, nanos, since: now, fired, of: of.clone() };
            let (rule, last) = (rule.name.clone(), Some(last));
            out.push(Report { rule, answer, state: state.as_str(), why, of: Some(of), last });
        }
        Ok(out)
    }

    /// What would be sent, made by what makes it when it is sent.
    fn render(&self, out: &[Out]) -> Came {
        let mut to = Vec::new();
        for one in out {
            let outlet = self.config.outlets().find(|outlet| outlet.name == one.to);
            let made = outlet.map(|outlet| deliver::rendered(outlet.settings.as_ref(), &one.key, &one.body));
            if let Some(Err(why)) = made {
                return Came::lost(Step::Destination, &one.to, format!("`{}` would not get it: {why}", one.to));
            }
            to.push(one.to.clone());
        }
        Came { to, ..Came::other(State::Fires, "") }
    }
}

fn way(outlet: &config::Outlet) -> Way<'_> {
    Way { name: &outlet.name, alerts: outlet.alerts, min_severity: outlet.min_severity }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_detect::{Compiler, DiskFiles};

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn what_is_known_of_a_rule_is_the_last_of_its_canaries_while_that_is_new() {
        let mut compiler = Compiler::new();
        let rule = |name: &str, more: &str| {
            format!(
                "rule {name} {{ title: \"a\" severity: low on event from demo.idp where raw.a == 1 alert {{}} {more} }}\n"
            )
        };
        let mapping = "mapping idp from demo.idp { detect where exists raw.a time: timestamp(raw.at) otherwise -> base_event {} }\n";
        let own = rule("own", "canary { event demo.idp { a: 1 } }");
        let by_test = rule("by_test", "test \"t\" { event demo.idp { a: 1 } expect alert }");
        compiler.add("a.trip", &[mapping, &own, &by_test, &rule("bare", ""), &rule("broken", "x: 1")].concat());
        let ruleset = compiler.compile(&DiskFiles, 0);
        let rules = &ruleset.program.rules;
        let of = |name: &str| rules.iter().find(|rule| rule.name == name).unwrap();
        let on = Some(config::Canary::default());
        let last = |state| {
            let (blamed, why, of) = (String::new(), String::new(), "canary".to_string());
            Some(Kept { at: 0, state, step: None, blamed, why, to: Vec::new(), nanos: 1, since: 0, fired: None, of })
        };
        let state = |name: &str, settings, last, now| {
            let report = known(of(name), settings, last, (None, now));
            (report.answer, report.state)
        };
        assert_eq!(state("own", on, None, 0), (Answer::Unknown, "waiting"));
        assert_eq!(state("own", None, None, 0), (Answer::Unknown, "off"));
        assert_eq!(state("own", on, last(State::Fires), 7_260 * SECOND), (Answer::Yes, "fires"));
        assert_eq!(state("own", on, last(State::Fires), 7_261 * SECOND), (Answer::Unknown, "stale"));
        assert_eq!(state("own", on, last(State::Unfed), 0), (Answer::No, "unfed"));
        assert_eq!(state("own", on, last(State::Held), 0), (Answer::Held, "held"));
        assert_eq!(state("by_test", on, None, 0), (Answer::Unknown, "waiting"));
        // Others were injected meanwhile.
        let stale = |newest| known(of("own"), on, last(State::Fires), (Some(newest), 7_261 * SECOND)).why;
        assert!(stale(0).contains("does the service run") && stale(7_000 * SECOND).contains("cannot keep up"));
        let off = Some(config::Canary { enabled: false, ..config::Canary::default() });
        assert_eq!(state("own", off, last(State::Fires), 0), (Answer::Unknown, "off"));
        assert!(known(of("own"), off, None, (None, 0)).why.contains("enabled = false"));
        let without = config::Canary { tests: false, ..config::Canary::default() };
        assert!(known(of("by_test"), Some(without), None, (None, 0)).why.contains("tests = false"));
        assert_eq!(state("by_test", Some(without), None, 0), (Answer::Unknown, "none"));
        assert_eq!(state("bare", on, None, 0), (Answer::Unknown, "none"));
        assert_eq!(state("broken", on, last(State::Fires), 0), (Answer::No, "lost"));
    }
}
