//! Recordings of attacks: which rules see which technique.
//!
//! A recording is a file of its set, or what belongs together in it; it is a stream of its own. Its label is the
//! technique that was carried out, and its events hold what happened meanwhile as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rayon::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;
use tripline_detect::{Detector, Ruleset, SourceChoice};
use tripline_semantic::typed::Technique;

use crate::data;
use crate::hear::{Heard, Schema, hear};

/// One recording, and what the rules made of it.
pub struct Recording {
    /// The set: `evtx-attack`, `otrf` or `stratus`.
    pub set: &'static str,
    /// What it is called there.
    pub name: String,
    /// Ids of techniques; of tactics, where no technique is known.
    pub labels: Vec<String>,
    /// What became of it.
    pub heard: Heard,
}

/// All recordings, in the order of the sets.
pub struct Recordings {
    /// Recordings.
    pub all: Vec<Recording>,
    /// Names of rules and ids of their techniques and tactics, by index.
    pub rules: Vec<(String, Vec<&'static str>)>,
}

impl Recording {
    /// Whether any rule fires.
    pub fn seen(&self) -> bool {
        !self.heard.findings.is_empty()
    }
}

impl Recordings {
    /// Whether a rule names a label of a recording: the technique, one that it is part of, or one of its parts. A
    /// retired technique counts as the one that it goes on as.
    pub fn names(&self, rule: usize, labels: &[String]) -> bool {
        let Some((_, ids)) = self.rules.get(rule) else { return false };
        ids.iter().any(|id| labels.iter().any(|label| base(label) == base(id)))
    }

    /// Whether a rule that fires names what was done.
    pub fn named(&self, recording: &Recording) -> bool {
        recording.heard.findings.keys().any(|rule| self.names(*rule, &recording.labels))
    }
}

/// The technique that a technique is part of today.
fn base(id: &str) -> &str {
    let today = tripline_schema::attack().technique(id).and_then(|technique| technique.successor).unwrap_or(id);
    today.split('.').next().unwrap_or_default()
}

/// A recording before it is judged.
struct Taped {
    set: &'static str,
    name: String,
    labels: Vec<String>,
    events: Vec<String>,
}

/// Judges every recording.
///
/// # Errors
/// Where the data cannot be read.
pub fn measure(ruleset: &Ruleset, data: &Path, schema: &mut Schema) -> Result<Recordings, String> {
    let mut taped = evtx(data)?;
    taped.extend(otrf(data)?);
    taped.extend(stratus(data)?);
    let judged: Vec<(Heard, Schema)> = taped
        .par_iter()
        .map_init(
            || Detector::new(ruleset),
            |detector, tape| {
                let mut schema = Schema::default();
                for event in &tape.events {
                    schema.look(detector, &SourceChoice::Detect, event);
                }
                (hear(detector, &tape.name, &SourceChoice::Detect, tape.events.iter()), schema)
            },
        )
        .collect();
    let mut all = Vec::new();
    for (tape, (heard, seen)) in taped.into_iter().zip(judged) {
        schema.add(seen);
        all.push(Recording { set: tape.set, name: tape.name, labels: tape.labels, heard });
    }
    let rules = ruleset.program.rules.iter().map(|rule| (rule.name.clone(), attack_ids(&rule.header.attack)));
    Ok(Recordings { all, rules: rules.collect() })
}

/// Files of `evtx-attack`: one recording each.
fn evtx(data: &Path) -> Result<Vec<Taped>, String> {
    #[derive(Deserialize)]
    struct About {
        file: String,
        path: String,
        tactic: Option<String>,
        technique: Option<String>,
    }
    #[derive(Deserialize)]
    struct Line {
        file: String,
        event: Box<RawValue>,
    }
    let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in data::lines::<Line>(&data.join("evtx-attack/events.jsonl.gz"))? {
        events.entry(line.file).or_default().push(data::raw(&line.event));
    }
    let abouts: Vec<About> = data::lines(&data.join("evtx-attack/files.jsonl"))?;
    Ok(abouts
        .into_iter()
        .map(|about| Taped {
            set: "evtx-attack",
            name: about.path,
            labels: about.technique.or(about.tactic).into_iter().collect(),
            events: events.remove(&about.file).unwrap_or_default(),
        })
        .collect())
}

/// Data sets of `otrf`: the members of an archive together.
fn otrf(data: &Path) -> Result<Vec<Taped>, String> {
    #[derive(Deserialize)]
    struct About {
        file: String,
        zip: String,
        title: Option<String>,
        techniques: Vec<String>,
        tactics: Vec<String>,
        folder: String,
    }
    let mut out: BTreeMap<String, Taped> = BTreeMap::new();
    for about in data::lines::<About>(&data.join("otrf/files.jsonl"))? {
        let events = data::texts(&data.join(format!("otrf/logs/{}.jsonl.gz", about.file)))?;
        // Logs of one campaign lie in many archives.
        let key = if about.folder.contains("/apt") { about.folder.clone() } else { about.zip.clone() };
        let labels: BTreeSet<String> =
            if about.techniques.is_empty() { about.tactics } else { about.techniques }.into_iter().collect();
        let short = key.rsplit('/').next().unwrap_or_default().trim_end_matches(".zip").to_string();
        let name = match about.title {
            Some(title) => format!("{title} ({short})"),
            None => key.trim_start_matches("datasets/").trim_end_matches(".zip").to_string(),
        };
        let tape = out.entry(key).or_insert(Taped {
            set: "otrf",
            name,
            labels: labels.into_iter().collect(),
            events: Vec::new(),
        });
        tape.events.extend(events);
    }
    Ok(out.into_values().collect())
}

/// Detonations in a cloud account: one recording for each technique of the tool.
fn stratus(data: &Path) -> Result<Vec<Taped>, String> {
    #[derive(Deserialize)]
    struct Line {
        technique: String,
        tactic: String,
        event: Box<RawValue>,
    }
    let mut out: BTreeMap<String, Taped> = BTreeMap::new();
    for line in data::lines::<Line>(&data.join("cloud-logs/aws_cloudtrail_stratus.jsonl"))? {
        let tape = out.entry(line.technique.clone()).or_insert_with(|| Taped {
            set: "stratus",
            name: line.technique,
            labels: tactic(&line.tactic).into_iter().collect(),
            events: Vec::new(),
        });
        tape.events.push(data::raw(&line.event));
    }
    Ok(out.into_values().collect())
}

/// Ids of techniques, and of the tactics that they are named in.
fn attack_ids(techniques: &[Technique]) -> Vec<&'static str> {
    let tactics = techniques.iter().flat_map(|technique| &technique.tactics);
    let tactics = tactics.filter_map(|name| tripline_schema::attack().tactic(name)).map(|tactic| tactic.uid);
    techniques.iter().map(|technique| technique.id).chain(tactics).collect()
}

/// The id of a tactic by its short name.
fn tactic(name: &str) -> Option<String> {
    tripline_schema::attack().tactic(name).map(|tactic| tactic.uid.to_string())
}
