//! What people looked at and wrote down, kept beside the tool as TOML: which rule covers which behaviour, why another
//! one is not covered, what a rule may cost, and why an attribute differs.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

/// All tables.
pub struct Tables {
    /// Labelled tests.
    pub labelled: Labelled,
    /// Background.
    pub background: Background,
    /// Raw and normalised pairs.
    pub pairs: Pairs,
}

/// `labelled.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labelled {
    /// Names of the sources that a kind of log holds, where an event alone does not tell it.
    #[serde(default)]
    pub log_types: BTreeMap<String, String>,
    /// Kinds of reasons, and what each means.
    pub class: BTreeMap<String, String>,
    /// Rules that cover a behaviour, where they are others than those that fire on its tests.
    #[serde(default)]
    pub covers: Vec<Covers>,
    /// Why behaviours are not covered, or verdicts differ.
    #[serde(default)]
    pub reason: Vec<Reason>,
}

/// Which rules cover a behaviour.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Covers {
    /// The behaviour.
    pub behaviour: String,
    /// Our rules; none where those that fire do so for another reason.
    pub rules: Vec<String>,
}

/// Why our verdict is another.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Which kind of reason.
    pub class: String,
    /// The behaviours.
    pub behaviours: Vec<String>,
    /// In a sentence.
    pub why: String,
}

/// `background.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Background {
    /// Alerts per 100,000 background events that a stable rule may cost, by its severity.
    pub rate: BTreeMap<String, f64>,
    /// How many times as much a rule with another status may cost.
    pub status: BTreeMap<String, f64>,
    /// A rule is judged once its sources have so many background events.
    pub least: u64,
    /// Alerts that were looked at and are steps of the attack.
    #[serde(default)]
    pub looked: Vec<Looked>,
    /// Rules that state a rate of their own.
    #[serde(default)]
    pub stated: BTreeMap<String, Stated>,
}

/// Alerts of a rule in the background that were looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Looked {
    /// The rule.
    pub rule: String,
    /// How the names of the recordings begin in which its alerts are right; every recording where there is none.
    #[serde(default)]
    pub recordings: Vec<String>,
    /// What they are.
    pub what: String,
}

impl Looked {
    /// Whether it speaks of the alerts of a rule in a recording.
    pub fn fits(&self, rule: &str, recording: &str) -> bool {
        self.rule == rule
            && (self.recordings.is_empty() || self.recordings.iter().any(|begin| recording.starts_with(begin.as_str())))
    }
}

/// What a rule may cost.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stated {
    /// Alerts per 100,000 events.
    pub rate: f64,
    /// Why.
    pub why: String,
}

/// `pairs.toml`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pairs {
    /// Explanations; the first that fits counts.
    #[serde(default)]
    pub explain: Vec<Explain>,
}

/// Why attributes differ.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Explain {
    /// The source; every one where it is left out.
    pub source: Option<String>,
    /// Attributes; `*` at the end or the beginning stands for anything.
    pub attributes: Vec<String>,
    /// The reason.
    pub why: String,
}

impl Explain {
    /// Whether it speaks of an attribute of a source.
    pub fn fits(&self, source: &str, attribute: &str) -> bool {
        let pattern = |pattern: &String| match (pattern.strip_prefix('*'), pattern.strip_suffix('*')) {
            (Some(end), _) => attribute.ends_with(end),
            (None, Some(begin)) => attribute.starts_with(begin),
            (None, None) => attribute == pattern,
        };
        self.source.as_deref().is_none_or(|own| own == source) && self.attributes.iter().any(pattern)
    }
}

impl Tables {
    /// Reads the tables in a folder.
    ///
    /// # Errors
    /// Where one is missing or wrong.
    pub fn read(folder: &Path) -> Result<Self, String> {
        let labelled: Labelled = table(&folder.join("labelled.toml"))?;
        if let Some(reason) = labelled.reason.iter().find(|reason| !labelled.class.contains_key(&reason.class)) {
            return Err(format!("labelled.toml: no `[class]` says what `{}` means", reason.class));
        }
        Ok(Tables {
            labelled,
            background: table(&folder.join("background.toml"))?,
            pairs: table(&folder.join("pairs.toml"))?,
        })
    }
}

fn table<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
    toml::from_str(&text).map_err(|error| format!("`{name}`: {error}"))
}
