//! Files through rules, one after another as one stream: what `scan`, `backtest` and `diff` have in common.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Instant;

use tripline_base::terminal::{counted, visible};
use tripline_detect::scan::{Told, Totals, Wanted, finish, scan_batches};
use tripline_detect::{Load, Ruleset, SourceChoice, Stream};
use tripline_formats::{Layout, Reader};

use crate::input::Input;
use crate::load;

/// How files are read: what `scan`, `backtest` and `diff` are told alike.
#[derive(clap::Args)]
pub struct How {
    /// The source of every event, such as aws.cloudtrail; told from each event where it is left out. With
    /// `any`, every Sigma rule looks at every event
    #[arg(long)]
    pub source: Option<String>,
    #[command(flatten)]
    pub input: Input,
    #[command(flatten)]
    pub sigma: load::Sigma,
    /// Worker threads; all cores where left out
    #[arg(long)]
    pub threads: Option<usize>,
}

impl How {
    /// What Sigma rules are read with.
    pub fn sigma(&self) -> load::Sigma {
        let any_source = self.source.as_deref() == Some(tripline_detect::ANY_SOURCE);
        load::Sigma { any_source, ..self.sigma.clone() }
    }
}

/// What became of the files.
pub struct Replayed {
    /// What was counted.
    pub totals: Totals,
    /// Events that rules over several events did not take, as they came too late. Where everything is sorted first
    /// there are none.
    pub late: u64,
    /// Rules and features that gave something up, each with how much.
    pub gave_up: Vec<(String, Load)>,
    /// Sentences about files that could not be read to their end.
    pub failed: Vec<String>,
    /// How long it took.
    pub seconds: f64,
    /// Nobody listens any longer, so not everything was read.
    pub gone: bool,
}

/// Evaluates rules over files; `tell` is given the name of the file (none for what several events gave), and says
/// whether it still listens.
pub fn replay(
    ruleset: &Ruleset,
    files: &[PathBuf],
    layout: &Layout,
    wanted: &Wanted,
    tell: &mut dyn FnMut(&str, Told) -> bool,
) -> Replayed {
    let mut totals = Totals::default();
    let mut stream = Stream::new(ruleset);
    let begun = Instant::now();
    let mut failed = Vec::new();
    let mut gone = false;
    for path in files {
        let name = path.display().to_string();
        let reader = match Reader::open(path, layout) {
            Ok(reader) => reader,
            Err(error) => {
                failed.push(format!("`{name}` cannot be read: {error}"));
                continue;
            }
        };
        let progress = Progress::new(&name);
        let mut each = |told| match told {
            Told::Progress(bytes) => progress.show(bytes),
            told => gone |= !tell(&name, told),
        };
        let result = scan_batches(ruleset, &name, reader, wanted, &mut totals, stream.as_mut(), &mut each);
        progress.end();
        if gone {
            break;
        }
        if let Err(error) = result {
            failed.push(format!("`{name}` was read only in part: {error}"));
        }
    }
    if let Some(stream) = stream.as_mut().filter(|_| !gone) {
        finish(ruleset, wanted, &mut totals, stream, &mut |told| gone |= !tell("", told));
    }
    let late = stream.as_ref().map_or(0, |stream| stream.counts().late.values().sum());
    let loads = stream.map(|stream| stream.loads()).unwrap_or_default().into_iter();
    let gave_up = |load: &Load| [load.evicted, load.dropped, load.limited, load.uncovered].iter().any(|n| *n > 0);
    let gave_up = loads.filter(|(_, load)| gave_up(load)).map(|(name, load)| (name.to_string(), load)).collect();
    Replayed { totals, late, gave_up, failed, seconds: begun.elapsed().as_secs_f64().max(1e-9), gone }
}

impl Replayed {
    /// Says what rules and features gave up, on standard error: a line for each.
    pub fn say_what_was_given_up(&self) {
        for (name, load) in &self.gave_up {
            let parts = [
                (load.evicted, "key", "evicted"),
                (load.dropped, "event", "dropped beyond `per_key`"),
                (load.limited, "search", "given up at 100,000 combinations"),
                (load.uncovered, "absence", "not told, as a source was not covered"),
            ];
            let parts = parts.iter().filter(|(n, ..)| *n > 0).map(|(n, what, how)| match *what {
                "search" if *n > 1 => format!("{n} searches {how}"),
                _ => format!("{} {how}", counted(*n, what)),
            });
            eprintln!("`{}` gave up: {}", visible(name), parts.collect::<Vec<_>>().join(", "));
        }
    }
}

/// Rules and logs apart: `--rules DIR FILE` names a log too, as what is no rule file and no folder is one.
pub fn rules_and_logs(rules: &[PathBuf], files: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    let is_rules =
        |path: &PathBuf| path.is_dir() || path.extension().is_some_and(|e| e == "trip") || load::is_sigma(path);
    let (own, mut logs): (Vec<PathBuf>, Vec<PathBuf>) = rules.iter().cloned().partition(is_rules);
    if own.is_empty() && !rules.is_empty() {
        return Err("--rules names no `.trip` or `.yml` file and no folder".into());
    }
    logs.extend(files.iter().cloned());
    if logs.is_empty() {
        return Err("name a log file, or `-` for standard input".into());
    }
    Ok((own, logs))
}

/// How sources are told, as the user says it.
pub fn source(ruleset: &Ruleset, given: Option<&str>) -> Result<SourceChoice, String> {
    let Some(name) = given else { return Ok(SourceChoice::Detect) };
    let known = ruleset.source_names();
    if known.contains(&name) {
        return Ok(SourceChoice::Named(name.to_string()));
    }
    let hint = load::hint(name, known.iter().copied());
    Err(format!("nothing knows a source `{name}`{hint} (there are {})", load::sources(ruleset)))
}

/// Sets the number of worker threads.
pub fn threads(given: Option<usize>) -> Result<(), String> {
    let Some(threads) = given else { return Ok(()) };
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().map_err(|error| error.to_string())
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
