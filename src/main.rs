//! The program `tripline`: one file per command in `commands/`, nothing clever.
//!
//! Exit codes: 0 fine; 1 findings or failed tests where asked for; 2 usage or broken input.

/// Prints a line; a reader who has gone (`| head`) is no error.
#[macro_export]
macro_rules! outln {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), $($arg)*);
    }};
}

/// Prints text; a reader who has gone is no error.
#[macro_export]
macro_rules! out {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = write!(std::io::stdout(), $($arg)*);
    }};
}

/// Events and state are many small values that come and go, which this allocator is quick with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod colour;
mod commands;
mod desk;
mod html;
mod input;
mod load;
mod replay;
mod routed;
mod times;
mod write;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Parser, Subcommand};
use tripline_base::terminal::visible;

#[derive(Parser)]
#[command(name = "tripline", version, about = "Detection as code: typed rules against normalised logs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check rules, mappings and everything else in `.trip` files
    Check(commands::check::Args),
    /// Write `.trip` files in the one style
    Fmt(commands::fmt::Args),
    /// Evaluate rules over log files
    Scan(commands::scan::Args),
    /// Run as a service: from sources to outputs, until told to stop
    Run(commands::run::Args),
    /// Show the alerts of a service, and do something with them
    Alerts(commands::alerts::Args),
    /// Tell nobody of some alerts for a while
    Silence(commands::silence::Args),
    /// Show whether sources are complete: what came, when, how late, and what is missing
    Sources(commands::sources::Args),
    /// Show whether each rule would fire now, by what became of its canary
    Canary(commands::canary::Args),
    /// Check a configuration against reality
    Doctor(commands::doctor::Args),
    /// Show what is still to be delivered, and try or drop it
    Outbox(commands::outbox::Args),
    /// Show how rules do: how much they tell, and how it was judged
    Rules(commands::rules::Args),
    /// Show packs of rules and what a configuration makes of them, and promote what is in shadow
    Packs(commands::packs::Args),
    /// Propose an exception for what was judged a false positive
    Tune(commands::tune::Args),
    /// Show where an alert would go, and why
    Route(commands::route::Args),
    /// Show the destinations of a configuration, and try them
    Destinations(commands::destinations::Args),
    /// Show which services can be polled, and check and test connectors
    Connectors(commands::connectors::Args),
    /// Make, show and revoke tokens of the HTTP API of a service
    Tokens(commands::tokens::Args),
    /// Build what features hold from an archive, or show it
    Features(commands::features::Args),
    /// Lay out everything that touches a person, an address or a host, in order of time
    Timeline(commands::timeline::Args),
    /// Tell what rules would have found in archived logs
    Backtest(commands::backtest::Args),
    /// Compare what two revisions of rules find in the same logs
    Diff(commands::diff::Args),
    /// Run the tests under rules and mappings
    Test(commands::test::Args),
    /// Show why a rule matches an event or not
    Explain(commands::explain::Args),
    /// Show the OCSF form of raw events
    Normalize(commands::normalize::Args),
    /// Show which ATT&CK techniques the rules cover
    Coverage(commands::coverage::Args),
    /// Start rules from those of another tool
    Import(commands::import::Args),
    /// Turn Sigma rules into rules of this language
    Sigma(commands::sigma::Args),
    /// Start a rule or a mapping
    New(commands::new::Args),
}

/// Where ids and other ways to ask are to be found, for who left them out.
fn with_tip(error: &mut clap::Error) {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return;
    }
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return };
    if !missing.iter().any(|one| one.starts_with("<ID>")) {
        return;
    }
    let command = std::env::args().nth(1).unwrap_or_default();
    let tip = match command.as_str() {
        "alerts" => "`tripline alerts list` shows the ids of alerts; the beginning of one will do",
        "route" => {
            "`tripline alerts list` shows the ids of alerts; `--rule NAME` asks about an alert that a rule would open, and \
             `--finding FILE` about a finding"
        }
        "outbox" => "`tripline outbox list` shows the ids of deliveries; `--all` stands for those that were given up",
        "silence" => "`tripline silence list` shows the ids of silences; the beginning of one will do",
        "tokens" => "`tripline tokens list` shows the ids of tokens",
        _ => return,
    };
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
}

fn main() -> ExitCode {
    let signals = commands::run::listen();
    let cli = Cli::try_parse().unwrap_or_else(|mut error| {
        with_tip(&mut error);
        error.exit()
    });
    let outcome = match cli.command {
        Command::Check(args) => commands::check::run(&args),
        Command::Fmt(args) => commands::fmt::run(&args),
        Command::Scan(args) => commands::scan::run(&args),
        Command::Run(args) => commands::run::run(&args, signals),
        Command::Alerts(args) => commands::alerts::run(&args),
        Command::Silence(args) => commands::silence::run(&args),
        Command::Sources(args) => commands::sources::run(&args),
        Command::Canary(args) => commands::canary::run(&args),
        Command::Doctor(args) => commands::doctor::run(&args),
        Command::Outbox(args) => commands::outbox::run(&args),
        Command::Rules(args) => commands::rules::run(&args),
        Command::Packs(args) => commands::packs::run(&args),
        Command::Tune(args) => commands::tune::run(&args),
        Command::Route(args) => commands::route::run(&args),
        Command::Destinations(args) => commands::destinations::run(&args),
        Command::Connectors(args) => commands::connectors::run(&args),
        Command::Tokens(args) => commands::tokens::run(&args),
        Command::Features(args) => commands::features::run(&args),
        Command::Timeline(args) => commands::timeline::run(&args),
        Command::Backtest(args) => commands::backtest::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Test(args) => commands::test::run(&args),
        Command::Explain(args) => commands::explain::run(&args),
        Command::Normalize(args) => commands::normalize::run(&args),
        Command::Coverage(args) => commands::coverage::run(&args),
        Command::Import(args) => commands::import::run(&args),
        Command::Sigma(args) => commands::sigma::run(&args),
        Command::New(args) => commands::new::run(&args),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(message) => {
            for line in message.lines() {
                eprintln!("tripline: {}", visible(line));
            }
            ExitCode::from(2)
        }
    }
}
