//! `tripline features`: what features hold, built from an archive, and shown.

mod json;
mod text;

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Instant;

use clap::Subcommand;
use tripline_base::SourceMap;
use tripline_base::terminal::{counted, visible};
use tripline_detect::Ruleset;
use tripline_event::format_time;
use tripline_runtime::features::{Build, Built, Step, build, held};

use super::alerts::Format;
use super::{Outcome, run};
use crate::input::Input;
use crate::{load, replay};

/// How many keys and values are listed.
const MOST: usize = 20;

/// Build what features hold from an archive, or show it.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fill the store of a service from archived events, so that it begins warm
    Build(BuildArgs),
    /// Show what features hold in the store of a service
    Show(ShowArgs),
}

#[derive(clap::Args)]
struct BuildArgs {
    /// The service's configuration
    #[arg(short, long, value_name = "FILE", default_value = "tripline.toml")]
    config: PathBuf,
    /// The archive: files of logs, plain or compressed with gzip or zstd
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    from: Vec<PathBuf>,
    /// The source of every event, such as aws.cloudtrail; told from each event where it is left out
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    input: Input,
    /// Forget what features hold in the store, and begin anew
    #[arg(long)]
    replace: bool,
}

#[derive(clap::Args)]
struct ShowArgs {
    /// The service's configuration
    #[arg(short, long, value_name = "FILE", default_value = "tripline.toml")]
    config: PathBuf,
    /// A feature; all of them where it is left out
    feature: Option<String>,
    /// What is held of this key; once for each part of `by`, in their order
    #[arg(long, value_name = "PART")]
    key: Vec<String>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Build(args) => build_from(args),
        Command::Show(args) => show(args),
    }
}

fn build_from(args: &BuildArgs) -> Outcome {
    let mut sources = SourceMap::new();
    let config = run::usable(&mut sources, &args.config)?;
    let (rules, ..) = run::rules(&sources, &config)?;
    if args.from.iter().any(|path| path.as_os_str() == "-") {
        return Err("an archive is read from files, as a build that is interrupted reads them again".into());
    }
    let files = archive(&args.from)?;
    let choice = replay::source(&rules.ruleset, args.source.as_deref())?;
    let layout = args.input.layout()?;
    let begun = Instant::now();
    let on = std::io::stderr().is_terminal();
    let mut tell = |step: Step| {
        if on {
            eprint!("\r\x1b[K{}, at {}", counted(step.events, "event"), format_time(step.time));
        }
    };
    let ruleset = &rules.ruleset;
    let built =
        build(&Build { config: &config, ruleset, files: &files, layout, choice, replace: args.replace }, &mut tell);
    if on {
        eprint!("\r\x1b[K");
    }
    summary(&built?, ruleset, begun.elapsed().as_secs_f64().max(1e-9));
    text::overviews(ruleset, &held(&config, ruleset)?.machine().overviews(0));
    Ok(0)
}

/// Files, and those in folders, in order; each once.
fn archive(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut out = Vec::new();
    for path in paths {
        if !path.is_dir() {
            out.push(path.clone());
            continue;
        }
        let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            out.extend(Some(path).filter(|path| path.is_file()));
        }
    }
    out.sort();
    out.dedup();
    if out.is_empty() { Err("there is no file in the archive".into()) } else { Ok(out) }
}

/// What was read, on standard error.
fn summary(built: &Built, ruleset: &Ruleset, seconds: f64) {
    let again = if built.resumed { "gone on where a build was interrupted: " } else { "" };
    eprintln!(
        "{again}{}, of which features look at {}; {}, {seconds:.2} s, {:.0} events/s",
        counted(built.events, "event"),
        built.taken,
        counted(built.unparsed, "unparsed line"),
        built.events as f64 / seconds
    );
    for (source, n) in &built.late {
        eprintln!(
            "{} of {} came too late, behind what was seen of the source, and were not taken",
            counted(*n, "event"),
            visible(source)
        );
    }
    if built.ahead > 0 {
        eprintln!("{} lie too far ahead of the clock and were not taken", counted(built.ahead, "event"));
    }
    if built.without_time > 0 {
        eprintln!("{} without a time: features cannot take them", counted(built.without_time, "event"));
    }
    if built.unknown > 0 {
        eprintln!(
            "{} of no source that is known; name it with --source ({})",
            counted(built.unknown, "event"),
            load::sources(ruleset)
        );
    }
}

fn show(args: &ShowArgs) -> Outcome {
    let mut sources = SourceMap::new();
    let config = run::usable(&mut sources, &args.config)?;
    let (rules, ..) = run::rules(&sources, &config)?;
    let ruleset = &rules.ruleset;
    let mut stream = held(&config, ruleset)?;
    let name = |at: usize| ruleset.program.features.get(at).map_or("", |feature| feature.name.as_str());
    let mut overviews = stream.machine().overviews(if args.feature.is_some() { MOST } else { 0 });
    if let Some(wanted) = &args.feature {
        let names: Vec<&str> = overviews.iter().map(|one| name(one.feature)).collect();
        if !names.contains(&wanted.as_str()) {
            let hint = load::hint(wanted, names.iter().copied());
            return Err(format!("no rule reads a feature `{wanted}`{hint} (there are {})", load::some(&names)));
        }
        overviews.retain(|one| name(one.feature) == wanted);
    }
    if args.key.is_empty() {
        match args.format {
            Format::Text => text::overviews(ruleset, &overviews),
            Format::Json => json::overviews(ruleset, &overviews),
        }
        return Ok(0);
    }
    let mut all = stream.machine().of_key(&args.key);
    all.retain(|one| overviews.iter().any(|overview| overview.feature == one.feature));
    if all.is_empty() {
        let parts = args.key.join(", ");
        return Err(format!("nothing is held of `{parts}`; `by` says of what parts a key is, each is a `--key`"));
    }
    match args.format {
        Format::Text => text::of_key(ruleset, &all, MOST),
        Format::Json => json::of_key(ruleset, &args.key, &all),
    }
    Ok(0)
}

/// `by`, as it is written.
fn by(ruleset: &Ruleset, feature: usize) -> String {
    let by = ruleset.program.features.get(feature).map_or(&[][..], |feature| feature.by.as_slice());
    by.iter().map(|key| ruleset.sources.slice(key.span)).collect::<Vec<_>>().join(", ")
}

/// The name of a feature.
fn name(ruleset: &Ruleset, feature: usize) -> &str {
    ruleset.program.features.get(feature).map_or("", |feature| feature.name.as_str())
}
