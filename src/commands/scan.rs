//! `tripline scan`: rules over files.

mod print;

use std::io::Write as _;
use std::path::PathBuf;

use clap::ValueEnum;
use tripline_base::terminal::visible;
use tripline_detect::scan::{Told, Wanted};

use super::Outcome;
use crate::{colour, load, replay};

/// Evaluate rules over log files.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders of rules; the shipped rules where none are named
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// How to print findings
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Print each line that is no event, with its place
    #[arg(long)]
    show_unparsed: bool,
    /// Exit with 1 where there are findings
    #[arg(long)]
    fail_on_findings: bool,
    /// Fail where any rule cannot be used, instead of running the others
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    how: replay::How,
    /// Log files, plain or compressed with gzip or zstd; `-` is standard input
    files: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For an analyst
    Text,
    /// Findings per rule, and events per source
    Summary,
    /// One OCSF Detection Finding a line
    Ndjson,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    replay::threads(args.how.threads)?;
    let (rules, files) = replay::rules_and_logs(&args.rules, &args.files)?;
    let sigma = args.how.sigma();
    let (ruleset, _) = load::ruleset_with(&rules, &sigma)?;
    args.how.sigma.usable(&ruleset)?;
    let errors = load::say(&ruleset.diagnostics, &ruleset.sources, false);
    for name in ruleset.broken() {
        eprintln!("tripline: the rule `{name}` has an error and is left out");
    }
    if args.strict && errors > 0 {
        return Err("some rules cannot be used, and --strict was given".into());
    }
    if ruleset.active().next().is_none() {
        return Err("there is no rule to evaluate".into());
    }
    let layout = args.how.input.layout()?;
    let source = replay::source(&ruleset, args.how.source.as_deref())?;
    let wanted = Wanted { source, findings: args.format != Format::Summary, lines: args.format == Format::Ndjson };
    let colour = colour::stdout();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let replayed = replay::replay(&ruleset, &files, &layout, &wanted, &mut |name, told| match told {
        Told::Unparsed { line, reason, excerpt } => {
            if args.show_unparsed {
                eprintln!("{}:{line}: not an event: {}: {}", visible(name), visible(&reason), visible(&excerpt));
            }
            true
        }
        told => print::told(&mut out, &ruleset, &told, colour).is_ok(),
    });
    if replayed.gone {
        return Ok(0);
    }
    let ended = match args.format {
        Format::Summary => print::counts(&mut out, &ruleset, &replayed.totals),
        _ => Ok(()),
    };
    if ended.and_then(|()| out.flush()).is_err() {
        return Ok(0);
    }
    print::summary(&ruleset, &replayed.totals, replayed.seconds);
    replayed.say_what_was_given_up();
    if !replayed.failed.is_empty() {
        return Err(replayed.failed.join("\n"));
    }
    Ok(u8::from(args.fail_on_findings && replayed.totals.findings > 0))
}
