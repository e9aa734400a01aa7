//! `tripline sigma`: what concerns Sigma rules alone.

use clap::Subcommand;

use super::Outcome;

mod convert;

/// Turn Sigma rules into rules of this language.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write Sigma rules as `.trip` files
    Convert(convert::Args),
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Convert(args) => convert::run(args),
    }
}
