//! The events behind the alerts of a rule, or its findings where they are of several events, with how the alerts were
//! judged.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use tripline_alert::{Alert, Verdict};
use tripline_detect::{Detector, Ruleset, SourceChoice, event_json};
use tripline_eval::normalize;
use tripline_semantic::typed::{Dialect, Rule, Subject};
use tripline_store::{AlertQuery, Store};

use super::several::Parts;
use crate::desk::each_alert;

/// The most events that are looked at of each kind, and of one alert.
const MOST: (usize, usize) = (5_000, 200);
/// The longest value that is compared (bytes).
const LONGEST: usize = 256;

/// How the alert of an event was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    False,
    True,
    Benign,
    /// Not, or as a duplicate.
    None,
}

/// An event behind an alert, or a finding.
pub struct Sample {
    pub mark: Mark,
    pub alert: String,
    /// The uid of its finding.
    pub uid: String,
    /// The source of the event; empty for a finding.
    pub source: String,
    /// As it came; empty for a finding.
    pub raw: String,
    /// Its normalised fields that hold a text, or those that it came with where the rule looks at these; of a finding what stands in [`Parts`].
    pub fields: BTreeMap<String, String>,
}

/// What the store holds of a rule.
#[derive(Default)]
pub struct Samples {
    pub all: Vec<Sample>,
    /// Whether there was more than is looked at.
    pub cut: bool,
    /// Findings whose event is not kept any more.
    pub without: u64,
    /// The rule looks at events as they came, and is written in this language.
    pub as_it_came: Option<Dialect>,
    /// What a finding of the rule holds; none where it judges each event alone.
    pub parts: Option<Parts>,
}

impl Samples {
    /// By which field of an event something is judged.
    pub fn judged_by<'p>(&'p self, path: &'p str) -> &'p str {
        let parts = self.parts.as_ref().and_then(|parts| parts.judged_by.get(path));
        parts.map_or(path, String::as_str)
    }

    /// What they are called, one of them.
    pub fn noun(&self) -> &'static str {
        if self.parts.is_some() { "finding" } else { "event" }
    }

    /// Those with a mark.
    pub fn with(&self, mark: Mark) -> impl Iterator<Item = &Sample> {
        self.all.iter().filter(move |sample| sample.mark == mark)
    }
}

/// Reads the events or findings behind the alerts of a rule, the latest first: true positives, whatever else was judged,
/// and the rest.
pub fn read(store: &Store, ruleset: &Ruleset, rule: &Rule) -> Result<Samples, String> {
    let detector = Detector::new(ruleset);
    let parts = rule.stateful.is_some().then(|| Parts::new(ruleset, rule));
    let as_it_came = matches!(rule.subject, Some(Subject::Event)).then_some(rule.dialect);
    let mut samples = Samples { parts, as_it_came, ..Samples::default() };
    let passes: [fn(Mark) -> bool; 3] =
        [|mark| mark == Mark::True, |mark| matches!(mark, Mark::False | Mark::Benign), |mark| mark == Mark::None];
    for wanted in passes {
        let query = AlertQuery { rule: Some(rule.uid().to_string()), ..AlertQuery::default() };
        let most = samples.all.len() + MOST.0;
        let mut failed = None;
        each_alert(store, &query, &mut |alert| {
            let mark = mark_of(&alert);
            if wanted(mark)
                && let Err(why) = of_alert(store, ruleset, &detector, &alert, mark, &mut samples)
            {
                failed = Some(why);
            }
            let full = samples.all.len() >= most;
            samples.cut |= full;
            failed.is_none() && !full
        })?;
        if let Some(why) = failed {
            return Err(why);
        }
    }
    Ok(samples)
}

fn mark_of(alert: &Alert) -> Mark {
    match alert.verdict {
        Some(Verdict::FalsePositive) => Mark::False,
        Some(Verdict::TruePositive) => Mark::True,
        Some(Verdict::BenignTruePositive) => Mark::Benign,
        Some(Verdict::Duplicate) | None => Mark::None,
    }
}

fn of_alert(
    store: &Store,
    ruleset: &Ruleset,
    detector: &Detector<'_>,
    alert: &Alert,
    mark: Mark,
    samples: &mut Samples,
) -> Result<(), String> {
    let parts = store.parts(&alert.id, MOST.1 + 1).map_err(|error| error.to_string())?;
    samples.cut |= parts.len() > MOST.1;
    for uid in parts.into_iter().take(MOST.1) {
        let row = store.finding(&uid).map_err(|error| error.to_string())?;
        let json: Option<Json> = row.and_then(|row| serde_json::from_str(&row.body).ok());
        let sample = json.and_then(|json| {
            if let Some(parts) = &samples.parts {
                let fields = parts.fields(&json);
                let (alert, source, raw) = (alert.id.clone(), String::new(), String::new());
                return Some(Sample { mark, alert, uid: uid.clone(), source, raw, fields });
            }
            let raw = match json.pointer("/evidences/0/data")? {
                Json::String(text) => text.clone(),
                event => event.to_string(),
            };
            let source = json.pointer("/finding_info/data_sources/0")?.as_str()?.to_string();
            let fields = match samples.as_it_came {
                None => fields(detector, &source, &raw)?,
                Some(dialect) => {
                    let view = ruleset.program.sources.get(&source).map(|source| &source.view);
                    let all = super::raw::fields(view, &raw).into_iter();
                    let fits = |value: &String| dialect == Dialect::Native || super::sigma::is_plain(value);
                    all.filter(|(_, value)| fits(value)).map(|(name, value)| (format!("raw.{name}"), value)).collect()
                }
            };
            Some(Sample { mark, alert: alert.id.clone(), uid: uid.clone(), source, raw, fields })
        });
        match sample {
            Some(sample) => samples.all.push(sample),
            None => samples.without += 1,
        }
    }
    Ok(())
}

/// The fields of an event in OCSF that hold a text; those in arrays are left out.
fn fields(detector: &Detector<'_>, source: &str, raw: &str) -> Option<BTreeMap<String, String>> {
    let raw = tripline_formats::parse(raw.as_bytes()).ok()?;
    let source = detector.source(&SourceChoice::Named(source.to_string()), &raw)?;
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let (_, arm) = normalize::arm(evaluator, source, &raw)?;
    let event = event_json(&normalize::normalize(evaluator, arm, &raw));
    let mut out = BTreeMap::new();
    leaves(&event, String::new(), &mut out);
    Some(out)
}

/// Whether a text is one that an exception may ask for.
pub fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

fn leaves(json: &Json, at: String, out: &mut BTreeMap<String, String>) {
    match json {
        Json::Object(members) if at.split('.').count() < 8 => {
            for (name, value) in members {
                let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if plain {
                    leaves(value, if at.is_empty() { name.clone() } else { format!("{at}.{name}") }, out);
                }
            }
        }
        Json::String(text) if is_plain(text) => {
            out.insert(at, text.clone());
        }
        _ => {}
    }
}
