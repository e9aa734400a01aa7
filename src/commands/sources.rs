//! `tripline sources`: whether the sources of a service are complete, read from its store, beside it or without it.

mod print;
#[cfg(test)]
mod tests;

use clap::Subcommand;
use serde_json::{Value as Json, json};
use tripline_base::terminal::visible;
use tripline_runtime::config::Source;
use tripline_runtime::watch::report::{self, Report};
use tripline_store::Store;

use super::Outcome;
use super::alerts::Format;
use crate::desk::{Desk, Where};
use crate::load;

/// Show whether sources are complete: what came, when, how late, and what is missing.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    list: List,
}

#[derive(Subcommand)]
enum Command {
    /// Show records of a source that are no event, the latest first
    Aside(Aside),
}

#[derive(clap::Args)]
struct List {
    #[command(flatten)]
    at: Where,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// One source, with everything that is known of it
    #[arg(value_name = "NAME")]
    name: Option<String>,
}

#[derive(clap::Args)]
struct Aside {
    #[command(flatten)]
    at: Where,
    /// The most records to list
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The name of the source
    name: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        None => list(&args.list),
        Some(Command::Aside(args)) => aside(args),
    }
}

fn named<'d>(desk: &'d Desk, name: &str) -> Result<&'d Source, String> {
    let all = &desk.config.sources;
    all.iter().find(|source| source.name == name).ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|source| source.name.as_str()).collect();
        let hint = load::hint(name, names.iter().copied());
        format!("there is no source `{name}`{hint} (there are {})", load::some(&names))
    })
}

fn list(args: &List) -> Outcome {
    let desk = args.at.open()?;
    let store: Store = desk.read()?;
    let sources = match &args.name {
        Some(name) => vec![named(&desk, name)?.clone()],
        None => desk.config.sources.clone(),
    };
    let reports = report::read(&store, &sources)?;
    let shown = Shown { format: args.format, one: args.name.is_some(), now: load::now() };
    shown.lines(&sources, &reports).iter().for_each(|line| crate::outln!("{line}"));
    Ok(0)
}

/// How sources are shown, and what time it is (nanoseconds since 1970).
struct Shown {
    format: Format,
    one: bool,
    now: i64,
}

impl Shown {
    fn lines(&self, sources: &[Source], reports: &[Report]) -> Vec<String> {
        let both = sources.iter().zip(reports);
        match self.format {
            Format::Json => {
                let all: Vec<Json> = both.map(|(source, report)| whole(source, report)).collect();
                vec![tripline_detect::json_line(&json!({ "sources": all }))]
            }
            Format::Text if self.one => {
                both.flat_map(|(source, report)| print::one(source, report, self.now)).collect()
            }
            Format::Text => print::table(reports, self.now),
        }
    }
}

fn whole(source: &Source, report: &Report) -> Json {
    json!({
        "name": source.name,
        "kind": source.kind,
        "at": source.settings.place(),
        "source": source.event_source.as_ref().map(|(name, _)| name),
        "watch": report.json(),
    })
}

fn aside(args: &Aside) -> Outcome {
    let desk = args.at.open()?;
    let source = named(&desk, &args.name)?;
    let records = report::aside(&desk.read()?, &source.name, args.limit)?;
    match args.format {
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&json!({ "records": records }))),
        Format::Text if records.is_empty() => eprintln!("no record of `{}` was set aside", source.name),
        Format::Text => {
            for record in &records {
                let text = |name: &str| record.get(name).and_then(Json::as_str).unwrap_or_default();
                let line = record.get("line").and_then(Json::as_u64).unwrap_or(0);
                crate::outln!("{}  {}:{line}: {}", text("at"), visible(text("name")), visible(text("reason")));
                crate::outln!("    {}", visible(text("excerpt")));
            }
        }
    }
    Ok(0)
}
