//! Findings with one key within the alert window of the first are one alert.

use std::collections::HashMap;

use tripline_ir::Severity;

use crate::{Finding, Ruleset};

/// Findings that are told together.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Index of the rule.
    pub rule: usize,
    /// Its findings in the order of their times.
    pub findings: Vec<Finding>,
}

impl Alert {
    /// The first finding's title.
    pub fn title(&self) -> &str {
        self.findings.first().map_or("", |finding| finding.title.as_str())
    }

    /// The gravest severity of its findings.
    pub fn severity(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Informational)
    }
}

/// Groups findings into alerts. A window begins with a finding and is not prolonged by later ones; a
/// finding without a time belongs to the window before it.
pub fn group(ruleset: &Ruleset, mut findings: Vec<Finding>) -> Vec<Alert> {
    findings.sort_by_key(|finding| finding.time.unwrap_or(i64::MIN));
    let mut open: HashMap<(usize, Vec<String>), (usize, i64)> = HashMap::new();
    let mut alerts: Vec<Alert> = Vec::new();
    for finding in findings {
        let rule = finding.rule;
        let window = ruleset.program.rules.get(rule).map_or(0, |rule| rule.alert.window);
        let time = finding.time.unwrap_or(i64::MIN);
        let key = (rule, finding.key.clone());
        if !finding.key.is_empty()
            && let Some((at, start)) = open.get(&key)
            && time.saturating_sub(*start) < window
            && let Some(alert) = alerts.get_mut(*at)
        {
            alert.findings.push(finding);
            continue;
        }
        open.insert(key, (alerts.len(), time));
        alerts.push(Alert { rule, findings: vec![finding] });
    }
    alerts
}
