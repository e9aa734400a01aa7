//! `tripline scan`: rules over files.

mod print;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;
use tripline_base::terminal::visible;
use tripline_detect::scan::{Told, Totals, Wanted, finish, scan};
use tripline_detect::{SourceChoice, Stream};

use super::Outcome;
use crate::{colour, load};

/// Evaluate rules over log files.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders of rules; the shipped rules where none are named
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// The source of every event, such as aws.cloudtrail; told from each event where it is left out. With
    /// `any`, every Sigma rule looks at every event
    #[arg(long)]
    source: Option<String>,
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
    sigma: load::Sigma,
    /// Worker threads; all cores where left out
    #[arg(long)]
    threads: Option<usize>,
    /// Log files: JSON or Windows event logs, plain or compressed with gzip or zstd; `-` is standard input
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
    if let Some(threads) = args.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|error| error.to_string())?;
    }
    // `--rules DIR FILE`: what is no rule file and no folder is a log.
    let is_rules =
        |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|e| e == "trip") || load::is_sigma(path);
    let (rules, mut files): (Vec<PathBuf>, Vec<PathBuf>) = args.rules.iter().cloned().partition(is_rules);
    if rules.is_empty() && !args.rules.is_empty() {
        return Err("--rules names no `.trip` or `.yml` file and no folder".into());
    }
    files.extend(args.files.iter().cloned());
    if files.is_empty() {
        return Err("name a log file, or `-` for standard input".into());
    }
    let mut sigma = args.sigma.clone();
    sigma.any_source = args.source.as_deref() == Some(tripline_detect::ANY_SOURCE);
    let (ruleset, _) = load::ruleset_with(&rules, &sigma)?;
    args.sigma.usable(&ruleset)?;
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
    let source = match &args.source {
        None => SourceChoice::Detect,
        Some(name) => {
            let known = ruleset.source_names();
            if !known.contains(&name.as_str()) {
                let hint = load::hint(name, known.iter().copied());
                return Err(format!("nothing knows a source `{name}`{hint} (there are {})", load::sources(&ruleset)));
            }
            SourceChoice::Named(name.clone())
        }
    };
    let wanted = Wanted { source, findings: args.format != Format::Summary, lines: args.format == Format::Ndjson };
    let mut totals = Totals::default();
    let mut stream = Stream::new(&ruleset);
    let colour = colour::stdout();
    let begun = Instant::now();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut failed: Vec<String> = Vec::new();
    let mut pipe_closed = false;
    for path in &files {
        let name = path.display().to_string();
        let input = match tripline_formats::open(path) {
            Ok(input) => input,
            Err(error) => {
                failed.push(format!("`{name}` cannot be read: {error}"));
                continue;
            }
        };
        let progress = Progress::new(&name);
        let mut tell = |told| match told {
            Told::Unparsed { line, reason, excerpt } => {
                if args.show_unparsed {
                    eprintln!("{}:{line}: not an event: {}: {}", visible(&name), visible(&reason), visible(&excerpt));
                }
            }
            Told::Progress(bytes) => progress.show(bytes),
            told => pipe_closed |= print::told(&mut out, &ruleset, &told, colour).is_err(),
        };
        let result = scan(&ruleset, &name, input, &wanted, &mut totals, stream.as_mut(), &mut tell);
        progress.end();
        if pipe_closed {
            return Ok(0);
        }
        if let Err(error) = result {
            failed.push(format!("`{name}` was read only in part: {error}"));
        }
    }
    if let Some(stream) = &mut stream {
        finish(&ruleset, &wanted, &mut totals, stream, &mut |told| {
            pipe_closed |= print::told(&mut out, &ruleset, &told, colour).is_err();
        });
    }
    if pipe_closed {
        return Ok(0);
    }
    let seconds = begun.elapsed().as_secs_f64().max(1e-9);
    let ended = match args.format {
        Format::Summary => print::counts(&mut out, &ruleset, &totals),
        _ => Ok(()),
    };
    if ended.and_then(|()| out.flush()).is_err() {
        return Ok(0);
    }
    print::summary(&ruleset, &totals, seconds);
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    Ok(u8::from(args.fail_on_findings && totals.findings > 0))
}

/// Progress on a terminal.
struct Progress {
    name: String,
    on: bool,
}

impl Progress {
    fn new(name: &str) -> Self {
        Progress { name: name.to_string(), on: std::io::stderr().is_terminal() && !std::io::stdout().is_terminal() }
    }

    fn show(&self, bytes: u64) {
        if self.on {
            eprint!("\r\x1b[K{}: {} MiB", visible(&self.name), bytes >> 20);
        }
    }

    fn end(&self) {
        if self.on {
            eprint!("\r\x1b[K");
        }
    }
}
