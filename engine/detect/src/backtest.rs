//! What rules would have done over an archive: findings per rule and day, who was behind them, how grave they are, and
//! how many alerts they come to.
//!
//! A finding that is told anew under its uid counts once, with the severity that it was given last; how often that
//! happened is counted as updates, also where only the last of them is told. Alerts are counted by [`group`], as they are where alerts are sent.

use std::collections::{BTreeMap, HashMap, HashSet};

use tripline_ir::Severity;

use crate::{Finding, Ruleset, group};

/// A day, in nanoseconds.
pub const DAY: i64 = 86_400_000_000_000;

/// How many of the noisiest keys of a rule are told.
pub const NOISIEST: usize = 10;

/// The times of findings that are reported: from the first on, up to but without the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Period {
    /// Nanoseconds since 1970; from the beginning where there is none.
    pub from: Option<i64>,
    /// Nanoseconds since 1970; to the end where there is none.
    pub to: Option<i64>,
}

impl Period {
    /// Whether a finding of this time is reported. What has no time is in no period that has a bound.
    pub fn holds(&self, time: Option<i64>) -> bool {
        match time {
            None => self.from.is_none() && self.to.is_none(),
            Some(time) => self.from.is_none_or(|from| from <= time) && self.to.is_none_or(|to| time < to),
        }
    }
}

/// What makes a finding one with others, for somebody who asks where the noise comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Behind {
    /// The key of the alert.
    Key(Vec<String>),
    /// The first entity: kind and value.
    Entity(&'static str, String),
}

impl Behind {
    fn of(finding: &Finding) -> Option<Behind> {
        match (finding.key.is_empty(), finding.entities.first()) {
            (false, _) => Some(Behind::Key(finding.key.clone())),
            (true, Some((kind, value))) => Some(Behind::Entity(kind, value.clone())),
            (true, None) => None,
        }
    }

    /// What it is: `key` or `entity`.
    pub fn kind(&self) -> &'static str {
        match self {
            Behind::Key(_) => "key",
            Behind::Entity(..) => "entity",
        }
    }

    /// In words.
    pub fn text(&self) -> String {
        match self {
            Behind::Key(parts) => parts.join(", "),
            Behind::Entity(kind, value) => format!("{kind} {value}"),
        }
    }
}

/// What findings come to.
#[derive(Clone, Debug, Default)]
pub struct Sums {
    /// Findings.
    pub findings: u64,
    /// How often findings were told anew.
    pub updates: u64,
    /// Alerts after grouping.
    pub alerts: u64,
    /// Different entities.
    pub entities: u64,
    /// Findings without a time; no day has them.
    pub without_time: u64,
    /// Findings by severity.
    pub severities: BTreeMap<Severity, u64>,
    /// Findings by day, counted from 1970, UTC; days without any are left out.
    pub days: BTreeMap<i64, u64>,
    /// The times of the first and of the last, nanoseconds.
    pub span: Option<(i64, i64)>,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.findings += other.findings;
        self.updates += other.updates;
        self.alerts += other.alerts;
        self.without_time += other.without_time;
        for (severity, n) in &other.severities {
            *self.severities.entry(*severity).or_default() += n;
        }
        for (day, n) in &other.days {
            *self.days.entry(*day).or_default() += n;
        }
        if let Some((first, last)) = other.span {
            self.seen(first);
            self.seen(last);
        }
    }

    fn seen(&mut self, time: i64) {
        let (first, last) = self.span.unwrap_or((time, time));
        self.span = Some((first.min(time), last.max(time)));
    }
}

/// What a rule found.
#[derive(Clone, Debug)]
pub struct OfRule {
    /// Index of the rule in the program.
    pub rule: usize,
    /// The numbers.
    pub sums: Sums,
    /// How many different keys there are.
    pub keys: u64,
    /// Those with the most findings, at most [`NOISIEST`].
    pub noisiest: Vec<(Behind, u64)>,
}

/// What an archive came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was reported of it.
    pub period: Period,
    /// The first and the last day that are reported, counted from 1970: the bounds of the period, and the findings'
    /// where it has none.
    pub days: Option<(i64, i64)>,
    /// All rules together.
    pub sums: Sums,
    /// Rules with findings, the most first.
    pub rules: Vec<OfRule>,
    /// Rules that run and found nothing that is reported, in the order of the program.
    pub silent: Vec<usize>,
    /// Findings outside of the period.
    pub outside: u64,
}

impl Report {
    /// How many days are reported.
    pub fn length(&self) -> u64 {
        self.days.map_or(0, |(first, last)| u64::try_from(last - first + 1).unwrap_or(0))
    }

    /// The mean of findings (or whatever is counted) a day.
    pub fn a_day(&self, n: u64) -> f64 {
        n as f64 / self.length().max(1) as f64
    }
}

/// Takes findings, and makes the report.
pub struct Backtest<'r> {
    ruleset: &'r Ruleset,
    period: Period,
    rules: BTreeMap<usize, Gathered>,
    outside: u64,
}

#[derive(Default)]
struct Gathered {
    sums: Sums,
    entities: HashSet<(&'static str, String)>,
    behind: HashMap<Behind, u64>,
    /// Findings of rules over several events, by uid: how grave they were when last told, and how often that was.
    told: HashMap<String, (Severity, u64)>,
    /// What may be grouped: findings with a key, and nothing in them that grouping does not ask for.
    keyed: Vec<Finding>,
}

impl<'r> Backtest<'r> {
    /// Nothing taken.
    pub fn new(ruleset: &'r Ruleset, period: Period) -> Self {
        Backtest { ruleset, period, rules: BTreeMap::new(), outside: 0 }
    }

    /// Takes a finding.
    pub fn take(&mut self, finding: Finding) {
        if self.period.holds(finding.time) {
            self.rules.entry(finding.rule).or_default().take(finding);
        } else {
            self.outside += 1;
        }
    }

    /// What was taken.
    pub fn report(self) -> Report {
        let mut sums = Sums::default();
        let mut everybody: HashSet<(&'static str, String)> = HashSet::new();
        let mut rules = Vec::new();
        for (rule, mut gathered) in self.rules {
            gathered.sums.alerts += group(self.ruleset, std::mem::take(&mut gathered.keyed)).len() as u64;
            gathered.sums.entities = gathered.entities.len() as u64;
            sums.add(&gathered.sums);
            everybody.extend(gathered.entities);
            let keys = gathered.behind.len() as u64;
            let mut noisiest: Vec<(Behind, u64)> = gathered.behind.into_iter().collect();
            noisiest.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            noisiest.truncate(NOISIEST);
            rules.push(OfRule { rule, sums: gathered.sums, keys, noisiest });
        }
        sums.entities = everybody.len() as u64;
        let name = |rule: usize| self.ruleset.program.rules.get(rule).map(|rule| rule.name.as_str());
        rules.sort_by(|a, b| b.sums.findings.cmp(&a.sums.findings).then_with(|| name(a.rule).cmp(&name(b.rule))));
        let found = |at: usize| rules.iter().any(|of| of.rule == at);
        let all = self.ruleset.program.rules.iter().enumerate();
        let silent =
            all.filter(|(at, rule)| tripline_plan::is_planned(rule) && !found(*at)).map(|(at, _)| at).collect();
        let days = days(self.period, sums.span);
        Report { period: self.period, days, sums, rules, silent, outside: self.outside }
    }
}

/// The first and the last day.
fn days(period: Period, span: Option<(i64, i64)>) -> Option<(i64, i64)> {
    let first = period.from.or(span.map(|(first, _)| first))?.div_euclid(DAY);
    let last = period.to.map(|to| to.saturating_sub(1)).or(span.map(|(_, last)| last))?.div_euclid(DAY);
    (first <= last).then_some((first, last))
}

impl Gathered {
    fn take(&mut self, mut finding: Finding) {
        if let Some(several) = &finding.several {
            let told = (finding.severity, several.revision);
            let before = self.told.insert(finding.uid.clone(), told);
            self.sums.updates += told.1.saturating_sub(before.map_or(0, |(_, revision)| revision));
            if let Some((severity, _)) = before {
                self.regrade(severity, told.0);
                return;
            }
        }
        *self.sums.severities.entry(finding.severity).or_default() += 1;
        self.sums.findings += 1;
        match finding.time {
            None => self.sums.without_time += 1,
            Some(time) => {
                *self.sums.days.entry(time.div_euclid(DAY)).or_default() += 1;
                self.sums.seen(time);
            }
        }
        if let Some(behind) = Behind::of(&finding) {
            *self.behind.entry(behind).or_default() += 1;
        }
        self.entities.extend(std::mem::take(&mut finding.entities));
        if finding.key.is_empty() {
            // Such a finding is an alert of its own.
            self.sums.alerts += 1;
        } else {
            self.keyed.push(Finding {
                uid: String::new(),
                title: String::new(),
                event_id: None,
                source: String::new(),
                context: Vec::new(),
                risk: None,
                why: Vec::new(),
                raw: String::new(),
                several: None,
                ..finding
            });
        }
    }

    /// A finding that was counted has another severity.
    fn regrade(&mut self, from: Severity, to: Severity) {
        if let Some(count) = self.sums.severities.get_mut(&from) {
            *count -= 1;
            if *count == 0 {
                self.sums.severities.remove(&from);
            }
        }
        *self.sums.severities.entry(to).or_default() += 1;
    }
}

#[cfg(test)]
mod tests;
