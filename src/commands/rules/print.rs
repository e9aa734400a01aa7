//! How rules do, for people and for machines.

use serde_json::{Value as Json, json};
use tripline_alert::Verdict;
use tripline_base::terminal::{counted, visible};
use tripline_event::format_time;

use super::stats::OfRule;
use crate::times;

/// For machines. Times are seconds; shares are of 1.
pub fn json(rules: &[OfRule]) -> Json {
    let seconds = |nanos: Option<i64>| nanos.map(|nanos| nanos as f64 / 1e9);
    let most = |all: Vec<(&str, u64)>| -> Vec<Json> {
        all.into_iter().map(|(name, n)| json!({ "name": name, "findings": n })).collect()
    };
    let one = |of: &OfRule| {
        let verdicts: serde_json::Map<String, Json> =
            Verdict::ALL.iter().map(|verdict| (verdict.as_str().to_string(), json!(of.verdict(*verdict)))).collect();
        json!({
            "rule": of.rule,
            "title": of.title,
            "alerts": of.alerts,
            "findings": of.findings,
            "noise": of.noise(),
            "verdicts": verdicts,
            "not_judged": of.unjudged(),
            "precision": of.precision().map(|share| {
                json!({ "value": share.value, "low": share.low, "high": share.high, "of": share.of })
            }),
            "acknowledged": of.taken.len(),
            "acknowledged_median_seconds": seconds(of.taken_within(50)),
            "acknowledged_p90_seconds": seconds(of.taken_within(90)),
            "keys": most(of.keys()),
            "entities": most(of.entities()),
            "last_fired": format_time(of.last),
        })
    };
    json!({ "rules": rules.iter().map(one).collect::<Vec<_>>() })
}

/// For people.
pub fn text(rules: &[OfRule]) -> String {
    let mut out = String::new();
    for of in rules {
        let mut say = |line: String| {
            out.push_str(&visible(&line));
            out.push('\n');
        };
        let (alerts, findings) = (counted(of.alerts, "alert"), counted(of.findings, "finding"));
        say(format!("{}: {alerts}, {findings}, the last at {}", of.rule, times::shown(of.last)));
        let judged = match of.precision() {
            Some(share) => {
                let percent = |share: f64| format!("{:.0} %", share * 100.0);
                let (value, low, high) = (percent(share.value), percent(share.low), percent(share.high));
                format!("precision {value} (95 %: {low} to {high}, of {} judged)", share.of)
            }
            None => "precision is not known".to_string(),
        };
        let counts: Vec<String> = Verdict::ALL
            .iter()
            .map(|verdict| (of.verdict(*verdict), *verdict))
            .filter(|(n, _)| *n > 0)
            .map(|(n, verdict)| counted(n, verdict.words()))
            .chain((of.unjudged() > 0).then(|| format!("{} not judged", of.unjudged())))
            .collect();
        say(format!("  {judged}: {}", counts.join(", ")));
        match (of.taken_within(50), of.taken_within(90)) {
            (Some(half), Some(most)) => {
                let left = of.alerts.saturating_sub(of.taken.len() as u64);
                let left = if left > 0 { format!("; nobody has {left}") } else { String::new() };
                let (half, most) = (times::about(half), times::about(most));
                say(format!("  acknowledged within {half} (half of them), {most} (nine of ten){left}"));
            }
            _ => say("  nobody has acknowledged one".into()),
        }
        for (what, all) in [("keys", of.keys()), ("about", of.entities())] {
            if !all.is_empty() {
                let all: Vec<String> = all.iter().map(|(name, n)| format!("{name} ({n})")).collect();
                say(format!("  {what}: {}", all.join(", ")));
            }
        }
    }
    out
}
