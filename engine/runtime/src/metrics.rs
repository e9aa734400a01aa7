//! What the service counts, in the text format of Prometheus.

use prometheus::core::Collector;
use prometheus::{
    Encoder as _, GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// All counters.
pub(crate) struct Metrics {
    registry: Registry,
    pub events: IntCounterVec,
    pub bytes: IntCounterVec,
    pub unparsed: IntCounterVec,
    pub unknown: IntCounterVec,
    pub ahead: IntCounterVec,
    pub repeated: IntCounterVec,
    pub rotations: IntCounterVec,
    pub late: IntCounterVec,
    pub redelivered: IntCounterVec,
    pub findings: IntCounterVec,
    pub shadow: IntCounterVec,
    pub excepted: IntCounterVec,
    pub alerts: IntCounterVec,
    pub held: IntCounterVec,
    pub without_time: IntCounter,
    pub keys: IntGaugeVec,
    pub evicted: IntCounterVec,
    pub dropped: IntCounterVec,
    pub limited: IntCounterVec,
    pub uncovered: IntCounterVec,
    pub waiting: IntGauge,
    pub lag: GaugeVec,
    pub commit: Histogram,
    pub latency: Histogram,
    pub failed_commits: IntCounter,
    pub reloads: IntCounterVec,
    pub rules: IntGauge,
    pub watched: IntGauge,
    pub pending: IntGaugeVec,
    pub dead: IntGaugeVec,
    pub delivered: IntCounterVec,
    pub refused: IntCounterVec,
    pub lost: IntCounterVec,
    pub gaps: IntCounterVec,
    pub source_missing: IntCounterVec,
    pub source_failing: IntGaugeVec,
    pub requests: IntCounterVec,
    pub lookups: IntCounterVec,
    pub quiet: GaugeVec,
    pub source_lag: GaugeVec,
    pub usual: GaugeVec,
    pub missing: IntGaugeVec,
    pub conditions: IntGaugeVec,
    pub sampled: IntCounterVec,
    pub unmapped: IntCounterVec,
    pub canaries: IntCounterVec,
    pub canary_fires: IntGaugeVec,
    pub canary_seconds: Histogram,
}

impl Metrics {
    /// # Errors
    /// Where a name is given twice, which a test would show.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let r = &registry;
        Ok(Metrics {
            events: counters(r, "events_total", "Events that were judged and committed", &["source"])?,
            bytes: counters(r, "bytes_total", "Bytes of events, decompressed", &["source"])?,
            unparsed: counters(r, "unparsed_total", "Lines that are no event", &["source"])?,
            unknown: counters(r, "unknown_source_total", "Events whose source nothing knows", &["source"])?,
            ahead: counters(r, "ahead_total", "Events set aside as too far ahead of the clock", &["event_source"])?,
            source_failing: gauges(r, "source_failing", "1 where a source does not work", &["source"])?,
            repeated: counters(r, "repeated_batches_total", "Batches that had been committed before", &["source"])?,
            rotations: counters(r, "rotations_total", "Files that were rotated or truncated", &["source"])?,
            late: counters(r, "late_total", "Events that came too late for stateful rules", &["event_source"])?,
            redelivered: counters(r, "redelivered_total", "Events that came twice", &["event_source"])?,
            findings: counters(r, "findings_total", "Findings, each once", &["rule"])?,
            shadow: counters(r, "shadow_findings_total", "Findings in shadow, each once, told to nobody", &["rule"])?,
            excepted: counters(r, "excepted_total", "Findings that exceptions took away", &["rule"])?,
            alerts: counters(r, "alerts_total", "Alerts that were opened", &["rule"])?,
            held: counters(r, "alerts_held_total", "Of these, told to nobody when they were opened", &["rule"])?,
            without_time: one(r, IntCounter::new("tripline_without_time_total", "Events without a time")?)?,
            keys: gauges(r, "keys", "Keys that a stateful rule or feature holds", &["rule"])?,
            evicted: counters(r, "evicted_keys_total", "Keys that were evicted", &["rule"])?,
            dropped: counters(r, "dropped_events_total", "Events dropped as their key had too many", &["rule"])?,
            limited: counters(r, "search_limit_total", "Searches of sequences that were given up", &["rule"])?,
            uncovered: counters(
                r,
                "not_covered_total",
                "Absences that were not told as a source was not covered",
                &["rule"],
            )?,
            waiting: one(r, IntGauge::new("tripline_waiting_events", "Events that wait for a watermark")?)?,
            lag: floats(
                r,
                "lag_seconds",
                "How far the latest event of a source lies behind the clock",
                &["event_source"],
            )?,
            commit: seconds(r, "commit_seconds", "How long commits take")?,
            latency: seconds(r, "finding_latency_seconds", "From an event's arrival to the commit of its finding")?,
            failed_commits: one(r, IntCounter::new("tripline_failed_commits_total", "Commits that failed")?)?,
            reloads: counters(r, "reloads_total", "Reloads of rules", &["outcome"])?,
            rules: one(r, IntGauge::new("tripline_rules", "Rules that run")?)?,
            watched: one(
                r,
                IntGauge::new("tripline_rules_watched", "1 where the system tells of changed rules, 0 where not")?,
            )?,
            pending: gauges(r, "outbox_pending", "Deliveries that are still to be made", &["output"])?,
            dead: gauges(r, "outbox_dead", "Deliveries that were given up and are kept", &["output"])?,
            delivered: counters(r, "outbox_delivered_total", "Deliveries that were made", &["output"])?,
            refused: counters(r, "refused_requests_total", "Requests and senders that were refused", &["source"])?,
            lost: counters(r, "lost_datagrams_total", "Datagrams that the system threw away", &["source"])?,
            gaps: counters(r, "source_gaps_total", "Gaps that a source told of", &["source"])?,
            source_missing: counters(
                r,
                "source_missing_total",
                "Events that were missing in these, where a source knows how many",
                &["source"],
            )?,
            requests: counters(r, "api_requests_total", "Requests to the API", &["code"])?,
            quiet: floats(r, "quiet_seconds", "How long ago a source sent its last event", &["source"])?,
            source_lag: floats(
                r,
                "source_lag_seconds",
                "How late events of this hour and the one before came",
                &["source", "quantile"],
            )?,
            usual: floats(r, "usual_events", "Events that a source has in such an hour of the week", &["source"])?,
            missing: gauges(r, "missing_events", "Events that their numbers show to be missing", &["event_source"])?,
            conditions: gauges(r, "conditions", "Conditions of a source that hold", &["source", "condition"])?,
            sampled: counters(r, "sampled_total", "Events that were looked at as a whole", &["source"])?,
            unmapped: counters(r, "unmapped_total", "Of these, without a class of a mapping", &["source"])?,
            canaries: counters(r, "canaries_total", "Canaries that came to their end", &["state"])?,
            canary_fires: gauges(r, "canary_fires", "1 where the last canary of a rule came out", &["rule"])?,
            canary_seconds: seconds(r, "canary_seconds", "From a canary's injection to its last destination")?,
            lookups: counters(r, "lookups_total", "Values that services were asked for", &["enrichment", "outcome"])?,
            registry,
        })
    }

    /// Everything, as Prometheus reads it.
    pub fn text(&self) -> String {
        let mut out = Vec::new();
        // Writing to memory does not fail.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut out);
        String::from_utf8(out).unwrap_or_default()
    }
}

fn one<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> Result<C, prometheus::Error> {
    registry.register(Box::new(collector.clone()))?;
    Ok(collector)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    one(registry, IntCounterVec::new(Opts::new(format!("tripline_{name}"), help), labels)?)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    one(registry, IntGaugeVec::new(Opts::new(format!("tripline_{name}"), help), labels)?)
}

fn floats(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<GaugeVec, prometheus::Error> {
    one(registry, GaugeVec::new(Opts::new(format!("tripline_{name}"), help), labels)?)
}

fn seconds(registry: &Registry, name: &str, help: &str) -> Result<Histogram, prometheus::Error> {
    let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
    one(registry, Histogram::with_opts(HistogramOpts::new(format!("tripline_{name}"), help).buckets(buckets))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_given_once() {
        let metrics = Metrics::new().unwrap();
        metrics.events.with_label_values(&["okta"]).inc_by(3);
        assert!(metrics.text().contains("tripline_events_total{source=\"okta\"} 3"));
    }
}
