//! What alerts say of their rule.

use serde::{Deserialize, Serialize};
use tripline_schema::attack;
use tripline_semantic::typed::Rule;

/// What is known of a rule, as of when the alert was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct About {
    /// Its name.
    pub name: String,
    /// What it is about.
    pub title: String,
    /// Who looks after it.
    pub owner: Option<String>,
    /// `draft`, `test`, `stable` or `deprecated`.
    pub status: String,
    /// The revision of the rules in their repository.
    pub revision: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// ATT&CK tactics: id and name, each once.
    pub tactics: Vec<(String, String)>,
    /// ATT&CK techniques: id and name.
    pub techniques: Vec<(String, String)>,
    /// What to do.
    pub runbook: Option<String>,
    /// Where to read on.
    pub references: Vec<String>,
    /// What also looks like it.
    pub false_positives: Vec<String>,
}

impl About {
    /// Of a rule of a program; `revision` is that of the repository that the rules came from.
    pub fn of(rule: &Rule, revision: Option<&str>) -> Self {
        let header = &rule.header;
        let mut tactics: Vec<(String, String)> = Vec::new();
        for name in header.attack.iter().flat_map(|technique| technique.tactics.iter()) {
            if let Some(tactic) = attack().tactic(name) {
                let tactic = (tactic.uid.to_string(), tactic.name.to_string());
                if !tactics.contains(&tactic) {
                    tactics.push(tactic);
                }
            }
        }
        About {
            name: rule.name.clone(),
            title: header.title.clone(),
            owner: header.owner.clone(),
            status: header.status.clone(),
            revision: revision.map(str::to_string),
            tags: header.tags.clone(),
            tactics,
            techniques: header.attack.iter().map(|one| (one.id.to_string(), one.name.to_string())).collect(),
            runbook: header.runbook.clone(),
            references: header.references.clone(),
            false_positives: header.false_positives.clone(),
        }
    }
}
