//! `tripline outbox`: deliveries that were not made yet, or were given up.

use clap::{Subcommand, ValueEnum};
use serde_json::json;
use tripline_base::terminal::{counted, visible};
use tripline_runtime::Ask;
use tripline_store::{DeliveryQuery, DeliveryState, Queued, Store};

use super::Outcome;
use super::alerts::{Format, delivery_json, state};
use crate::desk::{Acting, Came, Desk, Where};
use crate::times;

/// So many rows are read at once.
const PAGE: usize = 1_000;

/// Show what is still to be delivered, and try or drop it.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List deliveries, the oldest first
    List(List),
    /// Make deliveries due at once, also those that were given up
    Retry(Change),
    /// Forget deliveries that were not made
    Drop(Change),
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    at: Where,
    /// Deliveries in this state; pending and dead ones where it is left out
    #[arg(long, value_enum)]
    state: Option<State>,
    /// To this destination or output
    #[arg(long, value_name = "NAME")]
    destination: Option<String>,
    /// The most deliveries to list
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(clap::Args)]
struct Change {
    #[command(flatten)]
    acting: Acting,
    /// All that were given up
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// With --all: to this destination or output alone
    #[arg(long, value_name = "NAME", requires = "all")]
    destination: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Ids of deliveries, as `tripline outbox list` shows them
    #[arg(required_unless_present = "all", value_name = "ID")]
    ids: Vec<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// To be made
    Pending,
    /// Made
    Delivered,
    /// Given up
    Dead,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::List(args) => list(args),
        Command::Retry(args) => change(args, Ask::Retry, "is due at once"),
        Command::Drop(args) => change(args, Ask::Drop, "is forgotten"),
    }
}

/// Deliveries that fit, at most so many.
fn find(
    desk: &Desk,
    store: &Store,
    mut query: DeliveryQuery,
    most: usize,
    fits: &dyn Fn(&Queued) -> bool,
) -> Result<Vec<Queued>, String> {
    if let Some(name) = &query.destination
        && !desk.config.outlets().any(|outlet| outlet.name == *name)
    {
        // What is left of a destination that was taken out of the configuration is found all the same.
        let hint = crate::load::hint(name, desk.config.outlets().map(|outlet| outlet.name.as_str()));
        eprintln!("tripline: the configuration has no destination or output `{}`{hint}", visible(name));
    }
    let mut found = Vec::new();
    loop {
        let page = store.deliveries(&query, PAGE).map_err(|error| error.to_string())?;
        let full = page.len() == PAGE;
        query.after = page.last().map_or(query.after, |last| last.id);
        found.extend(page.into_iter().filter(|one| fits(one)));
        if !full || found.len() >= most {
            found.truncate(most);
            return Ok(found);
        }
    }
}

fn list(args: &List) -> Outcome {
    let desk = args.at.open()?;
    let store = desk.read()?;
    let wanted = args.state.map(|state| match state {
        State::Pending => DeliveryState::Pending,
        State::Delivered => DeliveryState::Delivered,
        State::Dead => DeliveryState::Dead,
    });
    let query = DeliveryQuery { state: wanted, destination: args.destination.clone(), ..DeliveryQuery::default() };
    let fits = |one: &Queued| wanted.is_some() || one.state != DeliveryState::Delivered;
    let mut found = find(&desk, &store, query, args.limit.saturating_add(1), &fits)?;
    let more = found.len() > args.limit;
    found.truncate(args.limit);
    match args.format {
        Format::Json => {
            let all: Vec<_> = found.iter().map(delivery_json).collect();
            crate::outln!("{}", tripline_detect::json_line(&json!({ "deliveries": all, "more": more })));
        }
        Format::Text => {
            found.iter().for_each(|one| crate::outln!("{}", line(one)));
            let count = found.len();
            eprintln!("{}", if count == 1 { "1 delivery".into() } else { format!("{count} deliveries") });
        }
    }
    if more {
        eprintln!("there are more: raise --limit, or ask for less");
    }
    Ok(0)
}

fn line(one: &Queued) -> String {
    let mut line = format!(
        "{:>6}  {:<9}  {:<16}  {}  {}",
        one.id,
        state(one.state),
        one.destination,
        times::shown(one.at),
        visible(&one.key)
    );
    if one.attempts > 0 {
        line.push_str(&format!("  {} failed", counted(u64::from(one.attempts), "attempt")));
    }
    if one.state == DeliveryState::Pending && one.due > 0 {
        line.push_str(&format!(", due {}", times::shown(one.due)));
    }
    if !one.reason.is_empty() {
        line.push_str(&format!(": {}", visible(&one.reason)));
    }
    line
}

fn change(args: &Change, ask: impl Fn(i64) -> Ask, done_words: &str) -> Outcome {
    let desk = args.acting.at.open()?;
    let ids = if args.all {
        let query = DeliveryQuery {
            state: Some(DeliveryState::Dead),
            destination: args.destination.clone(),
            ..DeliveryQuery::default()
        };
        find(&desk, &desk.read()?, query, usize::MAX, &|_| true)?.iter().map(|one| one.id).collect()
    } else {
        args.ids.clone()
    };
    let (mut made, mut refused, mut unknown) = (Vec::new(), 0, 0);
    if !ids.is_empty() {
        args.acting.ask(&desk, ids.iter().map(|id| ask(*id)).collect(), &mut |at, done| {
            let id = ids.get(at).copied().unwrap_or_default();
            match done {
                Came::Done => {
                    if args.format == Format::Text {
                        crate::outln!("delivery {id} {done_words}");
                    }
                    made.push(id);
                }
                Came::Unknown => {
                    unknown += 1;
                    eprintln!(
                        "tripline: no delivery {id} is pending or given up; `tripline outbox list` shows those that are"
                    );
                }
                Came::Refused(why) => {
                    refused += 1;
                    eprintln!("tripline: delivery {id}: {}", visible(&why));
                }
            }
            Ok(())
        })?;
    }
    match args.format {
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&json!({ "deliveries": made }))),
        Format::Text if ids.is_empty() => eprintln!("no delivery was given up"),
        Format::Text => {}
    }
    Ok(if unknown > 0 { 2 } else { u8::from(refused > 0) })
}
