//! `tripline alerts list`.

use clap::ValueEnum;
use serde_json::json;
use tripline_alert::{Alert, SEVERITIES, Status, severity_name};
use tripline_base::terminal::{counted, visible};
use tripline_runtime::direct::state_of;
use tripline_semantic::typed::ENTITY_KINDS;
use tripline_store::AlertQuery;

use super::Format;
use crate::commands::Outcome;
use crate::desk::{Where, each_alert};
use crate::{load, times};

/// List alerts, those opened last first.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// Alerts with this status; those that are not closed where it is left out
    #[arg(long, value_enum)]
    status: Option<Wanted>,
    /// As grave as this or graver: informational, low, medium, high, critical
    #[arg(long, value_name = "SEVERITY", value_parser = severity)]
    severity: Option<i64>,
    /// Of this rule, by its name
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// Opened at this time or later: RFC 3339 or a date, UTC
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    from: Option<i64>,
    /// Opened before this time
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    until: Option<i64>,
    /// About this: user:alice, ip:203.0.113.9, or a value of any kind
    #[arg(long, value_name = "KIND:VALUE")]
    entity: Option<String>,
    /// Given to this person
    #[arg(long, value_name = "NAME")]
    assignee: Option<String>,
    /// The most alerts to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Wanted {
    /// Nobody has it
    Open,
    /// Somebody looks at it
    Acknowledged,
    /// It was judged
    Closed,
    /// Whatever its status
    All,
}

/// A severity by its name.
pub fn severity(text: &str) -> Result<i64, String> {
    let at = SEVERITIES.iter().position(|name| name.eq_ignore_ascii_case(text));
    let at = at.and_then(|at| i64::try_from(at + 1).ok());
    at.ok_or_else(|| format!("the severities are {}", SEVERITIES.join(", ").to_lowercase()))
}

/// Kind and value of an entity; none of a kind where only a value is given.
fn entity(text: &str) -> (Option<&str>, &str) {
    match text.split_once(':') {
        Some((kind, value)) if ENTITY_KINDS.contains(&kind) => (Some(kind), value),
        _ => (None, text),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let desk = args.at.open()?;
    let store = desk.read()?;
    let states = match args.status {
        None => vec![Status::Open, Status::Acknowledged],
        Some(Wanted::Open) => vec![Status::Open],
        Some(Wanted::Acknowledged) => vec![Status::Acknowledged],
        Some(Wanted::Closed) => vec![Status::Closed],
        Some(Wanted::All) => Vec::new(),
    };
    let query = AlertQuery {
        states: states.into_iter().map(state_of).collect(),
        severity: args.severity,
        from: args.from,
        until: args.until,
        ..AlertQuery::default()
    };
    let about = args.entity.as_deref().map(entity);
    let fits = |alert: &Alert| {
        args.rule.as_ref().is_none_or(|rule| alert.about.name == *rule || alert.rule == *rule)
            && args.assignee.as_ref().is_none_or(|name| alert.assignee.as_ref() == Some(name))
            && about.is_none_or(|(kind, value)| {
                let mut entities = alert.entities.iter();
                entities.any(|one| one.value == value && kind.is_none_or(|kind| one.kind == kind))
            })
    };
    let (mut found, mut more) = (Vec::new(), false);
    each_alert(&store, &query, &mut |alert| {
        if fits(&alert) {
            more = found.len() >= args.limit;
            if !more {
                found.push(alert);
            }
        }
        !more
    })?;
    match args.format {
        Format::Json => {
            let alerts: Vec<_> = found.iter().map(tripline_alert::json::alert).collect();
            crate::outln!("{}", tripline_detect::json_line(&json!({ "alerts": alerts, "more": more })));
        }
        Format::Text => {
            let now = load::now();
            found.iter().for_each(|alert| crate::outln!("{}", line(alert, now)));
            eprintln!("{}", counted(found.len() as u64, "alert"));
        }
    }
    if more {
        eprintln!("there are more: raise --limit, or ask for less");
    }
    Ok(0)
}

/// How much of an id is shown; `tripline alerts show` takes it.
pub const SHORT: usize = 10;

/// The beginning of an id.
pub fn short(id: &str) -> &str {
    id.get(..SHORT).unwrap_or(id)
}

/// The status, and what else there is to say of it.
pub fn status(alert: &Alert, now: i64) -> String {
    match (alert.verdict, alert.is_snoozed(now)) {
        (Some(verdict), _) => format!("{}: {}", alert.status.as_str(), verdict.words()),
        (None, true) => format!("{}, snoozed", alert.status.as_str()),
        (None, false) => alert.status.as_str().to_string(),
    }
}

fn line(alert: &Alert, now: i64) -> String {
    let mut line = format!(
        "{}  {:<13}  {:<20}  {}  {:>5}  {}",
        short(&alert.id),
        severity_name(alert.severity).to_lowercase(),
        status(alert, now),
        times::shown(alert.opened),
        alert.count,
        visible(&alert.title)
    );
    if let Some(name) = &alert.assignee {
        line.push_str(&format!("  ({})", visible(name)));
    }
    if alert.held.is_some() {
        line.push_str("  (held back)");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entity_is_a_kind_and_a_value_or_a_value() {
        assert_eq!(entity("user:alice"), (Some("user"), "alice"));
        assert_eq!(entity("2001:db8::1"), (None, "2001:db8::1"));
        assert_eq!(entity("ip:2001:db8::1"), (Some("ip"), "2001:db8::1"));
        assert_eq!(severity("High"), Ok(4));
        assert!(severity("urgent").is_err());
    }
}
