//! A finding of a timeline: as the rules told it over files, or as a store keeps it.

use serde_json::Value as Json;
use tripline_detect::{Finding, Ruleset};
use tripline_store::FindingRow;

use super::keep::Keep;
use super::mark::mark;

/// A finding.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// When, nanoseconds; 0 where that is not known.
    pub time: i64,
    /// Whether it is known when. What rests on several events or on findings always has a time.
    pub timed: bool,
    /// The same at every run.
    pub uid: String,
    pub revision: u64,
    pub rule: String,
    pub title: String,
    /// The name of its severity.
    pub severity: String,
    pub entities: Vec<(String, String)>,
    /// The times of its first event and its last.
    pub span: (i64, i64),
    /// How many events are behind it.
    pub count: u64,
    /// These of them, the latest.
    pub behind: Vec<Behind>,
}

/// An event behind a finding, or a finding behind one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    /// When, nanoseconds.
    pub time: Option<i64>,
    /// Where it stands; of a finding, its uid.
    pub place: String,
    /// Its source; of a finding, its rule.
    pub source: String,
    /// Its own id.
    pub id: Option<String>,
    /// The steps of the rule that it stands for.
    pub steps: Vec<String>,
    /// Whether it is a finding.
    pub finding: bool,
}

impl Found {
    /// As the rules told it; none where its rule is none of these.
    pub fn told(ruleset: &Ruleset, finding: &Finding) -> Option<Found> {
        let rule = ruleset.program.rules.get(finding.rule)?;
        let time = finding.time.unwrap_or_default();
        let behind = match &finding.several {
            None => vec![Behind {
                time: finding.time,
                place: finding.origin.to_string(),
                source: finding.source.clone(),
                id: finding.event_id.clone(),
                steps: Vec::new(),
                finding: false,
            }],
            Some(several) => {
                let one = |(from, steps): (
                    &std::sync::Arc<tripline_eval::time::From>,
                    Vec<&tripline_semantic::typed::Step>,
                )| {
                    let uid = from.of_finding();
                    Behind {
                        time: Some(from.time),
                        place: uid.map_or_else(|| from.origin.to_string(), str::to_string),
                        source: from.source.to_string(),
                        id: from.id.as_deref().filter(|_| uid.is_none()).map(str::to_string),
                        steps: steps.iter().filter_map(|step| step.name.clone()).collect(),
                        finding: uid.is_some(),
                    }
                };
                several.with_steps(Some(rule)).map(one).collect()
            }
        };
        Some(Found {
            time,
            timed: finding.time.is_some(),
            uid: finding.uid.clone(),
            revision: finding.several.as_ref().map_or(0, |several| several.revision),
            rule: rule.name.clone(),
            title: finding.title.clone(),
            severity: finding.severity.name().to_string(),
            entities: finding.entities.iter().map(|(kind, value)| ((*kind).to_string(), value.clone())).collect(),
            span: finding.several.as_ref().map_or((time, time), |several| several.span),
            count: finding.several.as_ref().map_or(1, |several| several.count),
            behind,
        })
    }

    /// As a store keeps it, with its form in OCSF.
    ///
    /// # Errors
    /// Where that is none; what it lacks.
    pub fn kept(row: &FindingRow, body: &Json) -> Result<Found, String> {
        let (_, _, told) = tripline_alert::ocsf::finding(body)?;
        // Its form has a time of 1970 where it has none.
        let time = row.time.unwrap_or_default();
        let related = body.pointer("/finding_info/related_events").and_then(Json::as_array);
        let mut behind: Vec<Behind> = related.into_iter().flatten().map(Behind::kept).collect();
        if let [only] = behind.as_mut_slice()
            && only.source.is_empty()
        {
            only.time = row.time;
            only.source = told.sources.first().cloned().unwrap_or_default();
        }
        Ok(Found {
            time,
            timed: row.time.is_some(),
            uid: row.uid.clone(),
            revision: row.revision,
            rule: row.rule.clone(),
            title: told.title,
            severity: tripline_alert::severity_name(told.severity).to_string(),
            entities: told.entities,
            span: told.span.unwrap_or((time, time)),
            count: told.events,
            behind,
        })
    }

    /// The time of its last event, where that came after it fired: the finding is told as it was updated then.
    pub fn went_on(&self) -> Option<i64> {
        Some(self.span.1).filter(|last| self.timed && *last > self.time)
    }

    /// Whether a finding is behind it.
    pub fn is_over_findings(&self) -> bool {
        self.behind.iter().any(|one| one.finding)
    }
}

impl Keep for Found {
    fn mark(&self) -> u64 {
        mark(self.uid.as_str())
    }

    fn revision(&self) -> u64 {
        self.revision
    }
}

impl Behind {
    fn kept(json: &Json) -> Behind {
        let text = |key: &str| json.get(key).and_then(Json::as_str).unwrap_or_default().to_string();
        let tags = json.get("tags").and_then(Json::as_array).map_or(&[][..], Vec::as_slice);
        let tagged = |name: &str| -> Vec<String> {
            let of = tags.iter().filter(|tag| tag.get("name").and_then(Json::as_str) == Some(name));
            of.filter_map(|tag| Some(tag.get("value")?.as_str()?.to_string())).collect()
        };
        let finding = text("type") == "detection_finding";
        let first = |name: &str| tagged(name).into_iter().next();
        Behind {
            time: json.get("created_time").and_then(Json::as_i64).and_then(|millis| millis.checked_mul(1_000_000)),
            place: text("uid"),
            source: first(if finding { "rule" } else { "source" }).unwrap_or_default(),
            id: first("event_id"),
            steps: tagged("step"),
            finding,
        }
    }
}
