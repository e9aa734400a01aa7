//! A backtest for machines; docs/COMMANDS.md says what is in it.

use serde_json::{Map, Value, json};
use tripline_detect::backtest::{DAY, Sums};
use tripline_event::{format_date, format_time};

use super::Done;

/// The whole report.
pub fn report(done: &Done<'_>) -> Value {
    let (report, totals) = (done.report, &done.replayed.totals);
    let time = |at: Option<i64>| at.map(format_time);
    let day = |at: Option<i64>| at.map(|day| format_date(day.saturating_mul(DAY)));
    let rules: Vec<Value> = report
        .rules
        .iter()
        .map(|of| {
            let (name, title, severity) = done.rule(of.rule);
            let noisiest = of.noisiest.iter();
            let mut out = json!({
                "name": name,
                "title": title,
                "severity": severity,
                "findings_a_day": report.a_day(of.sums.findings),
                "keys": of.keys,
                "noisiest": noisiest
                    .map(|(behind, n)| json!({ "kind": behind.kind(), "key": behind.text(), "findings": n }))
                    .collect::<Vec<_>>(),
            });
            sums(&mut out, &of.sums);
            out
        })
        .collect();
    let gave_up = done.replayed.gave_up.iter().map(|(name, load)| {
        json!({
            "name": name,
            "evicted_keys": load.evicted,
            "dropped_events": load.dropped,
            "search_limit": load.limited,
            "not_covered": load.uncovered,
        })
    });
    let gave_up: Vec<Value> = gave_up.collect();
    let mut out = json!({
        "from": time(report.period.from),
        "to": time(report.period.to),
        "first_day": day(report.days.map(|(first, _)| first)),
        "last_day": day(report.days.map(|(_, last)| last)),
        "length": report.length(),
        "findings_outside": report.outside,
        "findings_excepted": done.excepted(),
        "rules": rules,
        "silent": report.silent.iter().map(|at| done.rule(*at).0).collect::<Vec<_>>(),
        "broken": done.ruleset.broken(),
        "read": {
            "events": totals.events,
            "bytes": totals.bytes,
            "sources": totals.sources,
            "unknown_source": totals.unknown,
            "unparsed": totals.unparsed,
            "without_time": totals.without_time,
            "late": done.replayed.late,
            "redelivered": totals.redelivered,
            "gave_up": gave_up,
            "failed": done.replayed.failed,
            "seconds": done.replayed.seconds,
            "events_per_second": done.speed(),
        },
    });
    if let (Some(routed), Some(members)) = (done.routed, out.as_object_mut()) {
        let to = routed.to.iter().map(|(name, sent)| {
            json!({
                "destination": name,
                "alerts": sent.alerts,
                "updates": sent.updates,
                "escalations": sent.escalations,
                "digests": sent.digests,
            })
        });
        let to: Vec<Value> = to.collect();
        let routed = json!({ "to": to, "told_to_nobody": routed.untold, "findings_left_out": routed.left_out });
        members.insert("routed".into(), routed);
    }
    sums(&mut out, &report.sums);
    out
}

/// Adds what the whole and each rule have.
fn sums(to: &mut Value, sums: &Sums) {
    let Some(to) = to.as_object_mut() else { return };
    let severities: Map<String, Value> =
        sums.severities.iter().map(|(severity, n)| (severity.name().to_string(), json!(n))).collect();
    let days: Map<String, Value> =
        sums.days.iter().map(|(day, n)| (format_date(day.saturating_mul(DAY)), json!(n))).collect();
    to.insert("findings".into(), json!(sums.findings));
    to.insert("updates".into(), json!(sums.updates));
    to.insert("alerts".into(), json!(sums.alerts));
    to.insert("entities".into(), json!(sums.entities));
    to.insert("findings_without_time".into(), json!(sums.without_time));
    to.insert("severities".into(), Value::Object(severities));
    to.insert("days".into(), Value::Object(days));
    to.insert("first".into(), json!(sums.span.map(|(first, _)| format_time(first))));
    to.insert("last".into(), json!(sums.span.map(|(_, last)| format_time(last))));
}
