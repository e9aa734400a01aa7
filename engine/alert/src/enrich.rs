//! Enrichment: what else is known of whom an alert is about. It is looked up before the alert is routed, so that routes
//! and messages can name it; what cannot be had in time is missing, with the reason.

mod read;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tripline_event::Value;

pub use read::WrittenEnrich;

use crate::alert::cut;
use crate::expression::{Computed, Condition};
use crate::{Alert, Missing};

/// Values of an alert that one enrichment is asked for.
const VALUES: usize = 10;
/// The longest value that is asked for (bytes).
const LONGEST: usize = 512;
/// The longest answer (bytes of JSON).
pub const ANSWER: usize = 4 << 10;
/// The longest of all answers of an alert together (bytes of JSON).
const ALL: usize = 16 << 10;
/// Reasons that an alert keeps.
const REASONS: usize = 20;

/// An enrichment.
#[derive(Clone, Debug)]
pub struct Enrich {
    /// Its name, under which an alert has what was found.
    pub name: String,
    /// What is looked up.
    pub of: Of,
    /// For which alerts; all where there is none.
    pub when: Option<Condition>,
    /// How long an alert waits for it, nanoseconds.
    pub budget: i64,
}

/// What is looked up.
#[derive(Clone, Debug)]
pub enum Of {
    /// The entities of these kinds.
    Entities(Vec<String>),
    /// The values of an expression.
    Value(Computed),
}

/// What came of looking.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Looked {
    /// This is known.
    Found(Json),
    /// Nothing is known.
    Nothing,
    /// It could not be looked up, for a reason.
    Failed(String),
    /// It is not here: whoever has it is to be asked.
    Later,
}

/// Where values are looked up.
pub trait Lookup: fmt::Debug + Send + Sync {
    /// What an enrichment knows of a value. It does not wait for anybody.
    fn look(&self, name: &str, value: &str) -> Looked;
}

/// Enrichments, in order, and where they look.
#[derive(Clone, Debug, Default)]
pub struct Enrichments {
    /// The enrichments.
    pub all: Vec<Enrich>,
    /// Where they look.
    pub lookup: Option<Arc<dyn Lookup>>,
}

/// A value that somebody is to be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The alert that waits for it.
    pub alert: String,
    /// The enrichment.
    pub name: String,
    /// The value.
    pub value: String,
    /// Until when, nanoseconds of the clock.
    pub until: i64,
}

/// What became of a value that somebody was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answered {
    /// The alert that waits for it.
    pub alert: String,
    /// The enrichment.
    pub name: String,
    /// The value.
    pub value: String,
    /// What came of it.
    pub looked: Looked,
}

/// What was looked up for an alert, and what is still waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lookups {
    /// What was looked up: enrichment and value, each once.
    pub asked: Vec<(String, String)>,
    /// What is waited for.
    pub open: Vec<Open>,
    /// When the waiting began, nanoseconds of the clock.
    pub since: i64,
    /// Whether the alert is routed once nothing is waited for.
    pub waits: bool,
}

/// A value that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The enrichment.
    pub name: String,
    /// The value.
    pub value: String,
    /// Until when, nanoseconds of the clock.
    pub until: i64,
}

impl Lookups {
    /// Whether nothing was looked up.
    pub fn is_empty(&self) -> bool {
        *self == Lookups::default()
    }

    /// When what is waited for is given up first.
    pub fn due(&self) -> Option<i64> {
        self.open.iter().map(|open| open.until).min()
    }

    /// Takes out what is waited for under this name and value.
    pub(crate) fn take(&mut self, name: &str, value: &str) -> bool {
        let found = self.open.iter().position(|open| open.name == name && open.value == value);
        found.map(|at| self.open.remove(at)).is_some()
    }

    /// Takes out what was waited for long enough.
    pub(crate) fn expired(&mut self, now: i64) -> Vec<Open> {
        self.open.extract_if(.., |open| open.until <= now).collect()
    }

    /// Whether a value is new to an enrichment that may be asked for one more.
    fn admit(&mut self, name: &str, value: &str) -> bool {
        let mut of_name = self.asked.iter().filter(|(asked, _)| asked == name);
        let (known, count) = (of_name.clone().any(|(_, asked)| asked == value), of_name.by_ref().count());
        let free = !known && count < VALUES;
        if free {
            self.asked.push((name.to_string(), value.to_string()));
        }
        free
    }
}

impl Enrich {
    /// The values of an alert that it is asked for, each once.
    fn values(&self, alert: &Alert, seen: &Value<'_>) -> Vec<String> {
        if self.when.as_ref().is_some_and(|when| !when.holds(seen)) {
            return Vec::new();
        }
        let values: Vec<String> = match &self.of {
            Of::Entities(kinds) => {
                let fit = alert.entities.iter().filter(|entity| kinds.contains(&entity.kind));
                fit.map(|entity| entity.value.clone()).collect()
            }
            Of::Value(computed) => computed.texts(seen),
        };
        values.into_iter().filter(|value| !value.trim().is_empty()).collect()
    }
}

impl Enrichments {
    /// Looks up what an alert has not been asked for yet, counting the time from `since`. Each enrichment sees what
    /// those before it found. What is not here is open then, and given back.
    pub(crate) fn look(&self, alert: &mut Alert, since: i64) -> Vec<Wanted> {
        let Some(lookup) = &self.lookup else { return Vec::new() };
        let mut wanted = Vec::new();
        for one in &self.all {
            let values = one.values(alert, &crate::fields::value(alert));
            for value in values {
                if value.len() > LONGEST {
                    missing(alert, &one.name, &format!("a value is longer than {LONGEST} bytes"));
                    continue;
                }
                if !alert.lookups.admit(&one.name, &value) {
                    continue;
                }
                match lookup.look(&one.name, &value) {
                    Looked::Later => {
                        let until = since.saturating_add(one.budget);
                        if alert.lookups.open.is_empty() {
                            alert.lookups.since = since;
                        }
                        alert.lookups.open.push(Open { name: one.name.clone(), value: value.clone(), until });
                        wanted.push(Wanted { alert: alert.id.clone(), name: one.name.clone(), value, until });
                    }
                    looked => keep(alert, &one.name, &value, looked),
                }
            }
        }
        wanted
    }

    /// Why what was waited for long enough is not there.
    pub(crate) fn late(&self, name: &str) -> String {
        match self.all.iter().find(|one| one.name == name) {
            Some(one) => format!("there was no answer within {} s", one.budget as f64 / 1e9),
            // It was taken out of the configuration meanwhile.
            None => "there was no answer in time".into(),
        }
    }
}

/// Makes what came of looking part of an alert.
pub(crate) fn keep(alert: &mut Alert, name: &str, value: &str, looked: Looked) {
    let answer = match looked {
        Looked::Nothing => return,
        Looked::Later => return missing(alert, name, "there is no answer yet"),
        Looked::Failed(why) => return missing(alert, name, &why),
        Looked::Found(answer) => answer,
    };
    let mut members = match answer {
        Json::Object(members) => members,
        other => [("value".to_string(), other)].into_iter().collect(),
    };
    members.insert("of".into(), json!(value));
    // What is told of several values stands beside the first of them.
    members.remove("others");
    let size = |value: &Json| value.to_string().len();
    let members = Json::Object(members);
    let there: usize = alert.enriched.values().map(size).sum();
    match size(&members) {
        more if more > ANSWER => return missing(alert, name, "the answer has more than 4 KiB"),
        more if there + more > ALL => return missing(alert, name, "an alert keeps at most 16 KiB of answers"),
        _ => {}
    }
    match alert.enriched.get_mut(name).and_then(Json::as_object_mut) {
        None => {
            alert.enriched.insert(name.to_string(), members);
        }
        Some(first) => {
            let others = first.entry("others").or_insert_with(|| json!([]));
            others.as_array_mut().into_iter().for_each(|others| others.push(members.clone()));
        }
    }
}

/// Says why an enrichment is not there.
pub(crate) fn missing(alert: &mut Alert, name: &str, why: &str) {
    let one = Missing { name: name.to_string(), why: cut(why, 200) };
    if alert.missing.len() < REASONS && !alert.missing.contains(&one) {
        alert.missing.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_each_and_in_all() {
        let mut alert = Alert::default();
        keep(&mut alert, "a", "v", Looked::Found(json!({ "x": "y".repeat(5_000) })));
        assert_eq!((alert.enriched.len(), alert.missing.len()), (0, 1));
        for n in 0..50 {
            keep(&mut alert, &format!("b{}", n % 3), &n.to_string(), Looked::Found(json!("z".repeat(1_000))));
            missing(&mut alert, &n.to_string(), &"w".repeat(5_000));
        }
        let size = json!(alert.enriched).to_string().len();
        assert!((15_000..17_000).contains(&size), "{size}");
        assert!(json!(alert.missing).to_string().len() < 20 * 300);
        assert_eq!(alert.enriched["b0"]["of"], "0");
        assert_eq!(alert.enriched["b0"]["others"][0]["of"], "3");
    }
}
