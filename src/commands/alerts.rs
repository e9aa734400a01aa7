//! `tripline alerts`: what a service holds of alerts, and what people do with them.

mod act;
mod list;
mod show;

use clap::Subcommand;

use super::Outcome;
pub use act::End;
pub use list::{severity, short};
pub use show::{delivery_json, state};

/// Show the alerts of a service, and do something with them.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List alerts, those opened last first
    List(list::Args),
    /// Show everything that is known of an alert
    Show(show::Args),
    /// Take alerts: escalation stops
    Ack(act::Ack),
    /// Give alerts to somebody
    Assign(act::Assign),
    /// Leave alerts alone for a while
    Snooze(act::Snooze),
    /// Judge alerts
    Close(act::Close),
    /// Open closed alerts again
    Reopen(act::Reopen),
    /// Say something of alerts
    Comment(act::Comment),
}

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// JSON, one object
    Json,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Ack(args) => args.run(),
        Command::Assign(args) => args.run(),
        Command::Snooze(args) => args.run(),
        Command::Close(args) => args.run(),
        Command::Reopen(args) => args.run(),
        Command::Comment(args) => args.run(),
    }
}
