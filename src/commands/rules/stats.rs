//! What is counted of a rule's alerts. A true positive and a benign one both say that the rule saw what it describes, a
//! false positive that it did not; a duplicate says nothing of the rule and counts for neither.

use std::collections::{BTreeMap, HashMap};

use tripline_alert::{Alert, Verdict};

/// The most different keys and entities that are counted for a rule; those that come later are left out.
const DIFFERENT: usize = 10_000;
/// How many of them are shown.
const SHOWN: usize = 3;

/// The alerts of all rules.
#[derive(Default)]
pub struct Stats(BTreeMap<String, OfRule>);

/// The alerts of a rule.
#[derive(Default)]
pub struct OfRule {
    pub rule: String,
    pub title: String,
    pub alerts: u64,
    pub findings: u64,
    /// As many as there are of each verdict, in the order of [`Verdict::ALL`].
    pub verdicts: [u64; 4],
    /// When the last event was, nanoseconds.
    pub last: i64,
    /// How long it took until somebody had each, nanoseconds, rising; those that nobody has are not among them.
    pub taken: Vec<i64>,
    keys: HashMap<String, u64>,
    entities: HashMap<String, u64>,
}

/// A share with its confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Of how many.
    pub of: u64,
}

impl Stats {
    /// Counts an alert.
    pub fn take(&mut self, alert: &Alert) {
        let of = self.0.entry(alert.rule.clone()).or_default();
        // Alerts come newest first: the name and title are the latest.
        if of.alerts == 0 {
            of.rule.clone_from(&alert.about.name);
            of.title.clone_from(&alert.about.title);
        }
        of.alerts += 1;
        of.findings = of.findings.saturating_add(alert.count);
        of.last = of.last.max(alert.last_seen);
        of.taken.extend(alert.acknowledged.map(|at| at.saturating_sub(alert.opened).max(0)));
        if let Some(verdict) = alert.verdict
            && let Some((count, _)) = of.verdicts.iter_mut().zip(Verdict::ALL).find(|(_, one)| *one == verdict)
        {
            *count += 1;
        }
        if !alert.key.is_empty() {
            count(&mut of.keys, alert.key.join(", "), alert.count);
        }
        for entity in &alert.entities {
            count(&mut of.entities, format!("{}:{}", entity.kind, entity.value), alert.count);
        }
    }

    /// The rules, the noisiest first: by alerts that were not judged true positives, and by findings.
    pub fn by_noise(self) -> Vec<OfRule> {
        let mut all: Vec<OfRule> = self.0.into_values().collect();
        all.iter_mut().for_each(|of| of.taken.sort_unstable());
        all.sort_by(|a, b| (b.noise(), b.findings).cmp(&(a.noise(), a.findings)).then_with(|| a.rule.cmp(&b.rule)));
        all
    }
}

fn count(counts: &mut HashMap<String, u64>, name: String, n: u64) {
    if let Some(count) = counts.get_mut(&name) {
        *count = count.saturating_add(n);
    } else if counts.len() < DIFFERENT {
        counts.insert(name, n);
    }
}

/// Those with most findings.
fn most(counts: &HashMap<String, u64>) -> Vec<(&str, u64)> {
    let mut all: Vec<(&str, u64)> = counts.iter().map(|(name, n)| (name.as_str(), *n)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    all.truncate(SHOWN);
    all
}

impl OfRule {
    /// How many alerts have a verdict.
    pub fn verdict(&self, verdict: Verdict) -> u64 {
        self.verdicts.iter().zip(Verdict::ALL).find(|(_, one)| *one == verdict).map_or(0, |(count, _)| *count)
    }

    /// How many alerts were not judged.
    pub fn unjudged(&self) -> u64 {
        self.alerts.saturating_sub(self.verdicts.iter().sum())
    }

    /// How many alerts were not judged true positives.
    pub fn noise(&self) -> u64 {
        self.alerts.saturating_sub(self.verdict(Verdict::TruePositive))
    }

    /// How often the rule was right, of the alerts that say whether it was; none where there is none.
    pub fn precision(&self) -> Option<Share> {
        let right = self.verdict(Verdict::TruePositive) + self.verdict(Verdict::BenignTruePositive);
        wilson(right, right + self.verdict(Verdict::FalsePositive))
    }

    /// How long it took until somebody had an alert, for this share of them; none where nobody had one.
    pub fn taken_within(&self, percent: usize) -> Option<i64> {
        let rank = (self.taken.len() * percent).div_ceil(100).max(1);
        self.taken.get(rank - 1).copied()
    }

    /// The keys with most findings.
    pub fn keys(&self) -> Vec<(&str, u64)> {
        most(&self.keys)
    }

    /// The entities with most findings.
    pub fn entities(&self) -> Vec<(&str, u64)> {
        most(&self.entities)
    }
}

/// A share and its interval by Wilson's score, 95 %; none of nothing.
fn wilson(right: u64, of: u64) -> Option<Share> {
    const Z: f64 = 1.959_963_984_540_054;
    if of == 0 {
        return None;
    }
    let (n, p) = (of as f64, right as f64 / of as f64);
    let scale = 1.0 + Z * Z / n;
    let centre = (p + Z * Z / (2.0 * n)) / scale;
    let half = Z * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt() / scale;
    Some(Share { value: p, low: (centre - half).max(0.0), high: (centre + half).min(1.0), of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tripline_alert::Entity;

    #[test]
    fn the_interval_is_wilsons() {
        let share = wilson(8, 10).unwrap();
        assert!((share.low - 0.4902).abs() < 1e-4 && (share.high - 0.9433).abs() < 1e-4, "{share:?}");
        let none = wilson(0, 10).unwrap();
        assert!(none.low.abs() < 1e-9 && (none.high - 0.2775).abs() < 1e-4, "{none:?}");
        assert_eq!(wilson(0, 0), None);
    }

    #[test]
    fn duplicates_count_for_nothing_and_benign_ones_for_the_rule() {
        let mut stats = Stats::default();
        let verdicts = [Verdict::ALL.to_vec(), vec![Verdict::FalsePositive]].concat();
        for (at, verdict) in verdicts.into_iter().map(Some).chain([None]).enumerate() {
            stats.take(&Alert {
                rule: "r".into(),
                count: 2,
                verdict,
                key: vec![format!("k{}", at % 2)],
                entities: vec![Entity { kind: "user".into(), value: "alice".into() }],
                acknowledged: verdict.map(|_| at as i64 * 10),
                ..Alert::default()
            });
        }
        stats.take(&Alert {
            rule: "quiet".into(),
            verdict: Some(Verdict::TruePositive),
            count: 100,
            ..Alert::default()
        });
        let all = stats.by_noise();
        let of = &all[0];
        assert_eq!((of.alerts, of.findings, of.unjudged(), of.noise()), (6, 12, 1, 5));
        let precision = of.precision().unwrap();
        assert_eq!((precision.value, precision.of), (0.5, 4));
        assert_eq!((of.taken_within(50), of.taken_within(90)), (Some(20), Some(40)));
        assert_eq!(of.keys(), [("k0", 6), ("k1", 6)]);
        assert_eq!(of.entities(), [("user:alice", 12)]);
        assert_eq!((all[1].noise(), all[1].taken_within(50)), (0, None));
    }
}
