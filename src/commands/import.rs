//! `tripline import`: rules of another tool, as far as they can be taken over without reading code.

mod panther;

use std::path::PathBuf;

use clap::Subcommand;

use super::Outcome;

/// Start rules from those of another tool.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    from: From,
}

#[derive(Subcommand)]
enum From {
    /// A tree like panther-analysis: headers and tests become `.trip` files; the Python conditions are left to you
    Panther {
        /// The folder with the YAML files
        dir: PathBuf,
        /// Where the rules go; folders below are those of the tree
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Overwrite files that are already there
        #[arg(long)]
        force: bool,
    },
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.from {
        From::Panther { dir, out, force } => panther::run(dir, out, *force),
    }
}
