//! The rules that run, as they are shown.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value as Json, json};
use tripline_alert::About;

use super::reply::{Refusal, Reply};
use super::{Api, Call};
use crate::reload::Running;

/// How many rules a page has unless said otherwise, and at most.
const PAGE: (usize, usize) = (500, 1_000);

/// What is shown of the rules that run; replaced at a reload.
#[derive(Default)]
pub(crate) struct Shown(Mutex<Arc<BTreeMap<String, Json>>>);

impl Shown {
    /// Shows these.
    pub fn set(&self, running: &Running) {
        let active: HashSet<&str> = running.ruleset.active().map(|rule| rule.name.as_str()).collect();
        let all = running.ruleset.program.rules.iter().map(|rule| {
            let about = About::of(rule, running.revision.as_deref());
            let pairs = |pairs: &[(String, String)]| -> Vec<Json> {
                pairs.iter().map(|(uid, name)| json!({ "uid": uid, "name": name })).collect()
            };
            let shown = json!({
                "name": rule.name,
                "uid": rule.uid(),
                "title": about.title,
                "severity": rule.header.severity.map(|severity| severity.name()),
                "status": about.status,
                "owner": about.owner,
                "tags": about.tags,
                "tactics": pairs(&about.tactics),
                "techniques": pairs(&about.techniques),
                "sources": rule.sources,
                "silent": rule.silent,
                "mode": rule.mode.name(),
                "pack": running.ruleset.pack(rule).map(|pack| &pack.name),
                "active": active.contains(rule.name.as_str()),
                "broken": rule.broken,
            });
            (rule.name.clone(), shown)
        });
        let all = Arc::new(all.collect());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn all(&self) -> Arc<BTreeMap<String, Json>> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What alerts name a rule by; the name itself where no rule has it.
    pub fn uid(&self, name: &str) -> String {
        let all = self.all();
        all.get(name).and_then(|rule| rule["uid"].as_str()).unwrap_or(name).to_string()
    }
}

impl Api {
    /// `GET /v1/rules`
    pub(super) fn rules(&self, call: &Call) -> Result<Reply, Refusal> {
        let limit = call.query.limit(PAGE.0, PAGE.1)?;
        let after = call.query.text("after").unwrap_or_default();
        let all = self.shown.all();
        let mut rest = all.iter().filter(|(name, _)| name.as_str() > after);
        let page: Vec<(&String, &Json)> = rest.by_ref().take(limit).collect();
        let next = rest.next().and_then(|_| page.last()).map(|(name, _)| *name);
        let rules: Vec<&Json> = page.iter().map(|(_, rule)| *rule).collect();
        Ok(Reply::Json(json!({ "rules": rules, "next": next })))
    }
}
