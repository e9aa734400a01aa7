//! `tripline rules stats`: how rules do, by the alerts that they opened.

mod print;
mod stats;

use clap::Subcommand;
use tripline_store::AlertQuery;

use super::Outcome;
use super::alerts::Format;
use crate::desk::{Where, each_alert};
use crate::{load, times};
use stats::Stats;

/// Show how rules do.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Count the alerts of each rule, and how they were judged; the noisiest first
    Stats(Shown),
}

#[derive(clap::Args)]
struct Shown {
    #[command(flatten)]
    at: Where,
    /// Of alerts that were opened in so long a time up to now
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = times::span)]
    since: i64,
    /// Of this rule alone
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let Command::Stats(args) = &args.command;
    let store = args.at.open()?.read()?;
    let query = AlertQuery { from: Some(load::now().saturating_sub(args.since)), ..AlertQuery::default() };
    let mut stats = Stats::default();
    each_alert(&store, &query, &mut |alert| {
        if args.rule.as_ref().is_none_or(|rule| alert.about.name == *rule || alert.rule == *rule) {
            stats.take(&alert);
        }
        true
    })?;
    let rules = stats.by_noise();
    match args.format {
        Format::Text if rules.is_empty() => eprintln!("no alert was opened in this time"),
        Format::Text => crate::out!("{}", print::text(&rules)),
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&print::json(&rules))),
    }
    Ok(0)
}
