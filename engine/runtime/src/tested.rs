//! Where the alerts of rules' tests go: the same desk and the same destinations as those of the service.

use std::sync::Arc;

use tripline_alert::{About, Alert, Answered, Beside, Changes, Desk, Enrichments, Looked, Message, Occasion, Routing};
use tripline_base::did_you_mean;
use tripline_connect::{Content, Parcel};
use tripline_detect::{Alert as Found, Ruleset, harness::Routes};

use crate::Config;
use crate::engine::told;

/// The routes and destinations of a configuration, for tests of the rules that it runs.
pub struct Tested<'t> {
    ruleset: &'t Ruleset,
    config: &'t Config,
    desk: Desk,
}

impl<'t> Tested<'t> {
    /// The routing and the enrichments are those of the configuration over the ruleset.
    pub fn new(ruleset: &'t Ruleset, config: &'t Config, routing: Routing, enrichments: Enrichments) -> Self {
        let (desk, _) = Desk::new(Arc::new(routing), Vec::new(), &ruleset.program);
        Tested { ruleset, config, desk: desk.enriching(Arc::new(enrichments)) }
    }

    /// The alert once all its findings came, each by the clock when its event happened. Services are not asked.
    fn alert(&self, found: &Found) -> Result<Alert, String> {
        let rule = self.ruleset.program.rules.get(found.rule).ok_or("there is no such rule")?;
        let about = About::of(rule, None);
        let mut changes = Changes::default();
        for finding in &found.findings {
            let now = finding.time.unwrap_or_default();
            let told = told(self.ruleset, finding);
            self.desk.take(&Beside(None), &mut changes, rule.uid(), &about, &told, now)?;
            while let Some(wanted) = changes.wanted.pop() {
                let looked = Looked::Failed("nobody is asked in a test".into());
                let answered = Answered { alert: wanted.alert, name: wanted.name, value: wanted.value, looked };
                self.desk.answer(&Beside(None), &mut changes, &answered, now)?;
            }
        }
        changes.alerts.into_values().next().ok_or_else(|| "there is no alert".into())
    }

    /// The configured destinations, for a message on one that is none of them.
    fn unknown(&self, name: &str) -> String {
        let known: Vec<&str> = self.config.destinations.iter().map(|one| one.name.as_str()).collect();
        let hint = did_you_mean(name, known.iter().copied()).map(|hint| format!("; {hint}")).unwrap_or_default();
        format!("there is no destination `{name}`{hint} (there are {})", known.join(", "))
    }
}

/// The destinations that an alert was told to or waits to be, each once.
fn destinations(alert: &Alert) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for name in alert.tracks.iter().flat_map(|track| &track.to) {
        if !out.contains(name) {
            out.push(name.clone());
        }
    }
    out
}

impl Routes for Tested<'_> {
    fn routed(&self, found: &Found) -> Result<Vec<String>, String> {
        Ok(destinations(&self.alert(found)?))
    }

    fn rendered(&self, found: &Found, destination: &str) -> Result<String, String> {
        let outlet = self.config.destinations.iter().find(|one| one.name == destination);
        let outlet = outlet.ok_or_else(|| self.unknown(destination))?;
        let alert = self.alert(found)?;
        let track = alert.tracks.iter().find(|track| track.to.iter().any(|to| to == destination));
        let Some(track) = track else {
            return Err(match &alert.held {
                Some(held) => format!("the alert is told to nobody: it is {held}"),
                None => format!("the alert goes to [{}]", destinations(&alert).join(", ")),
            });
        };
        let message = Message { occasion: Occasion::Opened, route: track.route.clone(), alert: alert.clone() };
        let id = format!("{}-test", alert.id);
        let content = Content::Alert(Box::new(message));
        outlet.settings.render(&Parcel { id, attempt: 0, content, handle: None })
    }
}
