//! `tripline alerts show`: an alert for the person who was woken by it.

use serde_json::{Value as Json, json};
use tripline_alert::{Alert, severity_name};
use tripline_base::terminal::{counted, visible};
use tripline_event::format_time;
use tripline_store::{DeliveryQuery, DeliveryState, Queued, Store};

use super::Format;
use super::list::status;
use crate::commands::Outcome;
use crate::desk::{self, Where};
use crate::{load, times};

/// The most deliveries that are shown.
const DELIVERIES: usize = 200;
/// The most of an event that is shown (characters).
const EVENT: usize = 2_000;

/// Show everything that is known of an alert.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The id of the alert, or the beginning of it
    id: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let desk = args.at.open()?;
    let store = desk.read()?;
    let alert = desk::alert(&store, &desk::full_id(&store, &args.id)?)?;
    let deliveries = deliveries(&store, &alert.id)?;
    match args.format {
        Format::Json => {
            let mut out = tripline_alert::json::alert(&alert);
            if let Some(out) = out.as_object_mut() {
                out.insert("deliveries".into(), deliveries.iter().map(delivery_json).collect());
            }
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
        Format::Text => crate::out!("{}", text(&alert, &deliveries, load::now())),
    }
    Ok(0)
}

fn deliveries(store: &Store, alert: &str) -> Result<Vec<Queued>, String> {
    let query = DeliveryQuery { key: Some(alert.to_string()), ..DeliveryQuery::default() };
    store.deliveries(&query, DELIVERIES).map_err(|error| error.to_string())
}

/// A delivery as machines read it.
pub fn delivery_json(one: &Queued) -> Json {
    json!({
        "id": one.id,
        "destination": one.destination,
        "key": one.key,
        "state": state(one.state),
        "attempts": one.attempts,
        "due": (one.state == DeliveryState::Pending && one.due > 0).then(|| format_time(one.due)),
        "at": format_time(one.at),
        "reason": one.reason,
        "bytes": one.size,
    })
}

/// The name of a state.
pub fn state(state: DeliveryState) -> &'static str {
    match state {
        DeliveryState::Pending => "pending",
        DeliveryState::Delivered => "delivered",
        DeliveryState::Dead => "dead",
    }
}

/// Lines under a heading; nothing where there are none.
fn block(out: &mut String, heading: &str, lines: impl IntoIterator<Item = String>) {
    let mut lines = lines.into_iter().peekable();
    if lines.peek().is_none() {
        return;
    }
    out.push_str(&format!("\n{heading}\n"));
    for line in lines {
        for part in line.lines() {
            out.push_str(&format!("  {}\n", visible(part)));
        }
    }
}

fn text(alert: &Alert, deliveries: &[Queued], now: i64) -> String {
    let mut out = String::new();
    let about = &alert.about;
    let severity = severity_name(alert.severity).to_uppercase();
    out.push_str(&format!("{severity}  {}\n", visible(&alert.title)));
    let mut head = |name: &str, value: &str| {
        if !value.is_empty() {
            out.push_str(&format!("  {name:<11} {}\n", visible(value)));
        }
    };
    head("id", &alert.id);
    head("status", &status(alert, now));
    head("assignee", alert.assignee.as_deref().unwrap_or(""));
    head(
        "snoozed",
        &alert.snoozed.filter(|until| now < *until).map(|t| format!("until {}", times::shown(t))).unwrap_or_default(),
    );
    head("held back", alert.held.as_deref().unwrap_or(""));
    let (first, last) = (times::shown(alert.first_seen), times::shown(alert.last_seen));
    head("seen", &if first == last { first } else { format!("{first} to {last}") });
    head("opened", &format!("{} ({} ago)", times::shown(alert.opened), times::about(now.saturating_sub(alert.opened))));
    head("findings", &format!("{}, {}", counted(alert.count, "finding"), counted(alert.events, "event")));
    head("because of", if alert.severity_by == alert.title { "" } else { &alert.severity_by });
    head("risk", &if alert.risk > 0 { alert.risk.to_string() } else { String::new() });
    head("sources", &alert.sources.join(", "));
    let revision = about.revision.as_deref().map(|revision| format!(", {revision}")).unwrap_or_default();
    head("rule", &format!("{} ({}{revision})", about.name, about.status));
    head("", &about.title);
    head("owner", about.owner.as_deref().unwrap_or(""));
    head("tags", &about.tags.join(", "));
    block(&mut out, "Who and what", alert.entities.iter().map(|one| format!("{:<10} {}", one.kind, one.value)));
    let pair = |(id, name): &(String, String)| format!("{id}  {name}");
    block(&mut out, "ATT&CK", about.tactics.iter().chain(&about.techniques).map(pair));
    let value = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let known = alert.context.iter().chain(&alert.enriched);
    block(&mut out, "Context", known.map(|(name, one)| format!("{name}: {}", value(one))));
    block(&mut out, "Not known", alert.missing.iter().map(|one| format!("{}: {}", one.name, one.why)));
    let left_out = alert.count.saturating_sub(alert.evidence.len() as u64);
    let heading = match left_out {
        0 => "Evidence".to_string(),
        n => format!("Evidence (the latest; {n} before are kept as findings)"),
    };
    block(
        &mut out,
        &heading,
        alert.evidence.iter().flat_map(|one| {
            let at = one.time.map_or_else(|| "without a time".into(), times::shown);
            let mut lines = vec![format!("{at}  {}  {}", severity_name(one.severity).to_lowercase(), one.title)];
            let because = |(test, saw): &(String, Vec<String>)| match saw.is_empty() {
                true => format!("    because {test}"),
                false => format!("    because {test}  ({})", saw.join(", ")),
            };
            lines.extend(one.why.iter().map(because));
            lines.push(format!("    finding {}, {} at {}", one.uid, counted(one.events, "event"), one.origin));
            if !one.raw.is_empty() {
                let shown: String = one.raw.chars().take(EVENT).collect();
                lines.push(format!("    {}", shown.replace(['\n', '\r'], " ")));
            }
            lines
        }),
    );
    block(&mut out, "What to do", about.runbook.clone());
    block(&mut out, "What also looks like it", about.false_positives.clone());
    block(&mut out, "Read on", about.references.clone());
    block(
        &mut out,
        "History",
        alert.history.iter().map(|change| {
            let by = change.by.as_deref().map(|by| format!(" by {by}")).unwrap_or_default();
            let text = if change.text.is_empty() { String::new() } else { format!(": {}", change.text) };
            format!("{}  {}{by}{text}", times::shown(change.at), change.what.words())
        }),
    );
    block(&mut out, "Where it went", went(alert, deliveries));
    out
}

/// Routes, and what became of the messages.
fn went(alert: &Alert, deliveries: &[Queued]) -> Vec<String> {
    let mut lines = Vec::new();
    for track in &alert.tracks {
        let to = if track.to.is_empty() { "nobody".to_string() } else { track.to.join(", ") };
        let when = match (track.at, track.hold) {
            (Some(at), _) => format!("last told {}", times::shown(at)),
            (None, Some(i64::MAX)) => "waits for hours that do not come".into(),
            (None, Some(hold)) => format!("is told at {}, when its hours begin", times::shown(hold)),
            (None, None) if track.limited => "is told in a digest, as its limit was reached".into(),
            (None, None) => "was not told".into(),
        };
        lines.push(format!("by `{}` to {to}: {when}", track.route));
        for rise in &track.steps {
            lines.push(format!("  at {} to {}, while it is open", times::shown(rise.at), rise.step.to.join(", ")));
        }
    }
    if alert.tracks.is_empty() && alert.held.is_none() {
        lines.push("no route took it".into());
    }
    lines.extend(deliveries.iter().map(|one| {
        let mut line =
            format!("message {} to `{}`: {} {}", one.id, one.destination, state(one.state), times::shown(one.at));
        if one.attempts > 0 {
            line.push_str(&format!(", {} failed", counted(u64::from(one.attempts), "attempt")));
        }
        if !one.reason.is_empty() {
            line.push_str(&format!(" ({})", one.reason));
        }
        line
    }));
    lines
}
