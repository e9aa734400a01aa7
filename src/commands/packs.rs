//! `tripline packs`: packs of rules, what a configuration makes of them, what an upgrade changes, and what rules in shadow
//! would have told.

mod edit;
mod list;
mod promote;
mod record;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use tripline_base::Diagnostic;
use tripline_base::terminal::visible;
use tripline_runtime::config::Rules;
use tripline_runtime::content::Content;
use tripline_runtime::{Load, codes};

use super::Outcome;
use super::alerts::Format;
use super::run::Program;
use crate::desk::{Desk, Where};
use crate::load;

/// Show packs of rules, and promote what is in shadow.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    shown: Shown,
}

#[derive(Subcommand)]
enum Command {
    /// Show what is another than when the service ran last: rules that are new, gone, or mean something else
    Diff(Diff),
    /// Show what a rule or a pack in shadow found, and with --write tell it from now on
    Promote(promote::Args),
}

#[derive(clap::Args)]
struct Shown {
    /// The configuration of the service [default: tripline.toml where there is one, otherwise the shipped packs]
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Show every rule, and not those alone that a configuration changes
    #[arg(long)]
    rules: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(clap::Args)]
struct Diff {
    #[command(flatten)]
    at: Where,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 1 where something is another
    #[arg(long)]
    fail_on_change: bool,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        None => list(&args.shown),
        Some(Command::Diff(args)) => diff(args),
        Some(Command::Promote(args)) => promote::run(args),
    }
}

/// The configuration with its rules; what is wrong with them has been said.
fn rules(desk: &Desk) -> Result<tripline_detect::Ruleset, String> {
    let loaded = Program.load(&desk.config.rules)?;
    if load::of_configuration(&loaded.ruleset, &desk.config.rules) {
        return Err("the configuration cannot be used".into());
    }
    Ok(loaded.ruleset)
}

fn list(args: &Shown) -> Outcome {
    let usual = Path::new("tripline.toml");
    let config = args.config.clone().or_else(|| usual.is_file().then(|| usual.to_path_buf()));
    let desk = config.map(|config| Where { config }.open()).transpose()?;
    let ruleset = match &desk {
        Some(desk) => rules(desk)?,
        None => Program.load(&Rules::default())?.ruleset,
    };
    let local = desk.as_ref().map(|desk| &desk.config.rules.local);
    let packs = list::packs(&ruleset, local);
    match args.format {
        Format::Json if args.rules => return Err("`--format json` has every rule: leave `--rules` out".into()),
        Format::Text => crate::out!("{}", list::text(&packs, args.rules)),
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&list::json(&packs, local))),
    }
    if let Some(desk) = &desk {
        load::say(&about_packs(desk, &ruleset), &desk.sources, true);
    }
    Ok(0)
}

/// What is said of packs and overrides that are of nothing.
fn about_packs(desk: &Desk, ruleset: &tripline_detect::Ruleset) -> Vec<Diagnostic> {
    let own = [&codes::UNKNOWN_PACK, &codes::UNMATCHED_OVERRIDE, &codes::UNHEARD];
    let (_, said) = desk.config.with(&desk.sources, ruleset);
    said.into_iter().filter(|one| own.iter().any(|code| code.id == one.code.id)).collect()
}

fn diff(args: &Diff) -> Outcome {
    let desk = args.at.open()?;
    let ruleset = rules(&desk)?;
    let before = match desk.config.store.path.exists() {
        true => Content::kept(&desk.read()?).map_err(|error| error.to_string())?,
        false => Content::default(),
    };
    let known = !before.is_empty();
    let changed = Content::of(&ruleset, load::now()).since(&before);
    let said = about_packs(&desk, &ruleset);
    match args.format {
        Format::Text if !known => {
            crate::outln!(
                "no rules ran on `{}` yet, so nothing is another",
                visible(&desk.config.store.path.display().to_string())
            );
        }
        Format::Text if changed.is_empty() => crate::outln!("nothing is another than when the service ran last"),
        Format::Text => changed.lines().iter().for_each(|line| crate::outln!("{line}")),
        Format::Json => {
            let moved = |all: &[(String, String, String)]| -> Vec<_> {
                all.iter().map(|(rule, before, now)| json!({ "rule": rule, "before": before, "now": now })).collect()
            };
            let packs = changed.packs.iter();
            let packs: Vec<_> =
                packs.map(|(name, before, now)| json!({ "pack": name, "before": before, "now": now })).collect();
            let said: Vec<_> = said.iter().map(|one| tripline_base::json::render(one, &desk.sources)).collect();
            let out = json!({
                "ran": known, "packs": packs, "added": changed.added, "removed": changed.removed,
                "changed": changed.changed, "severity": moved(&changed.severity), "mode": moved(&changed.mode),
                "diagnostics": said,
            });
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
    }
    if args.format == Format::Text {
        load::say(&said, &desk.sources, true);
    }
    Ok(u8::from(args.fail_on_change && known && !changed.is_empty()))
}
