//! Real activity times of many people, as events of products: the times are real, all else is that of a fixture.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::data;

/// What the activity is told as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A clone of a repository on GitHub.
    Clones,
    /// A download of a file from Drive.
    Downloads,
    /// The first activity of a day, as a sign-in to Okta whose country is the time zone's offset.
    SignIns,
}

#[derive(Deserialize)]
struct Line {
    user: String,
    time: String,
    resource: String,
}

struct Act {
    nanos: i64,
    line: Line,
}

/// Activity in the order of its times, and the fixtures.
pub struct Activity {
    acts: Vec<Act>,
    clone: Value,
    download: Value,
    sign_in: Value,
}

impl Activity {
    /// Reads it.
    ///
    /// # Errors
    /// Where a file cannot be read.
    pub fn read(path: &Path, root: &Path) -> Result<Self, String> {
        let mut acts = Vec::new();
        for line in data::lines::<Line>(path)? {
            let nanos = tripline_event::parse_time(&line.time);
            acts.push(Act {
                nanos: nanos.ok_or_else(|| format!("`{}`: `{}` is no time", path.display(), line.time))?,
                line,
            });
        }
        acts.sort_by(|a, b| (a.nanos, &a.line.user, &a.line.resource).cmp(&(b.nanos, &b.line.user, &b.line.resource)));
        let fixture = |name: &str| {
            let path = root.join("testdata/events").join(name);
            let text = std::fs::read_to_string(&path)
                .map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?;
            serde_json::from_str(&text).map_err(|error| format!("`{}`: {error}", path.display()))
        };
        Ok(Activity {
            acts,
            clone: fixture("github/git_clone.json")?,
            download: fixture("google/drive_download.json")?,
            sign_in: fixture("okta/login_success.json")?,
        })
    }

    /// The events, one after another.
    pub fn events(&self, shape: Shape) -> impl Iterator<Item = String> {
        let mut days = BTreeSet::new();
        let wanted = move |act: &&Act| {
            let day = act.line.time.get(..10).unwrap_or_default().to_string();
            shape != Shape::SignIns || days.insert((act.line.user.clone(), day))
        };
        self.acts.iter().filter(wanted).enumerate().map(move |(number, act)| self.event(shape, number, act))
    }

    fn event(&self, shape: Shape, number: usize, act: &Act) -> String {
        let person = format!("{}@example.com", act.line.user);
        let text = tripline_event::format_time(act.nanos);
        let (fixture, fields) = match shape {
            Shape::Clones => (
                &self.clone,
                vec![
                    ("/@timestamp", json!(act.nanos / 1_000_000)),
                    ("/_document_id", json!(format!("document-{number}"))),
                    ("/actor", json!(act.line.user)),
                    ("/repo", json!(act.line.resource)),
                    ("/repository", json!(act.line.resource)),
                ],
            ),
            Shape::Downloads => (
                &self.download,
                vec![
                    ("/id/time", json!(text)),
                    ("/id/uniqueQualifier", json!(number.to_string())),
                    ("/actor/email", json!(person)),
                    ("/actor/profileId", json!(act.line.user)),
                    ("/events/0/parameters/3/value", json!(format!("{}-{}", act.line.resource, number))),
                ],
            ),
            Shape::SignIns => (
                &self.sign_in,
                vec![
                    ("/uuid", json!(format!("event-{number}"))),
                    ("/published", json!(text)),
                    ("/actor/id", json!(act.line.user)),
                    ("/actor/alternateId", json!(person)),
                    ("/client/geographicalContext/country", json!(offset(&act.line.time))),
                    ("/authenticationContext/externalSessionId", json!(format!("session-{number}"))),
                    ("/authenticationContext/rootSessionId", json!(format!("session-{number}"))),
                ],
            ),
        };
        let mut event = fixture.clone();
        for (place, value) in fields {
            if let Some(target) = event.pointer_mut(place) {
                *target = value;
            }
        }
        event.to_string()
    }
}

/// The offset at the end of a time: `-04:00`.
fn offset(time: &str) -> &str {
    time.get(19..).unwrap_or("Z")
}
