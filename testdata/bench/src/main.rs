//! Measures each stage of a scan by itself, in one process, as ratios to reading the same events with a JSON
//! parser. One stage can be run alone, so that a tool that counts instructions sees nothing else.

/// The one of the program: what is measured is what is shipped.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod corpus;
mod formats;
mod service;
mod state;
mod told;
mod transport;

use std::io::Cursor;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use tripline_detect::scan::{Totals, Wanted, scan};
use tripline_detect::{Compiler, Ruleset, SourceChoice};
use tripline_eval::Indexed;
use tripline_formats::{Reader, Slots};
use tripline_semantic::NoFiles;

/// Measure the stages of a scan.
#[derive(Parser)]
struct Args {
    /// JSON lines to measure with; events made from a fixed seed where left out
    #[arg(long)]
    events: Option<PathBuf>,
    /// How many events are made
    #[arg(long, default_value_t = 50_000)]
    count: usize,
    /// A folder of Sigma rules; rules made from a fixed seed where left out
    #[arg(long)]
    rules: Option<PathBuf>,
    /// How many rules are made; several to see the cost grow
    #[arg(long, value_delimiter = ',', default_value = "3139")]
    sizes: Vec<usize>,
    /// One stage alone: parse, locate, match, scan or compile; with `--state`: threshold, sequence, new or set
    #[arg(long)]
    stage: Option<String>,
    /// How often each stage is run; the quickest run counts
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Measure how fast each format becomes events instead, over `--count` events
    #[arg(long)]
    formats: bool,
    /// Measure rules over several events instead, with so many keys
    #[arg(long)]
    state: Option<usize>,
    /// Events of each key, with `--state`
    #[arg(long, default_value_t = 3)]
    each: usize,
    /// Measure the service instead: the program, built for release
    #[arg(long, value_name = "PROGRAM")]
    service: Option<PathBuf>,
    /// Where its log and store are, with `--service`
    #[arg(long, default_value = ".")]
    folder: PathBuf,
    /// How many events a second it gets
    #[arg(long, default_value_t = 20_000)]
    rate: u64,
    /// For how many seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Over HTTP instead of a file
    #[arg(long)]
    http: bool,
    /// Measure how soon a chat is told of alerts instead
    #[arg(long)]
    told: bool,
    /// Measure how many of `--count` events a second it takes over these instead, with all shipped rules: `all`, or names
    /// (`file,http`), of which the first is what the others are compared with
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    transports: Vec<String>,
    /// The same without watching the completeness of sources
    #[arg(long)]
    unwatched: bool,
    /// Measure how many changes of state it commits instead, over so many events
    #[arg(long)]
    durable: Option<usize>,
    /// How many keys they have
    #[arg(long, default_value_t = 100_000)]
    keys: usize,
}

fn main() {
    if let Err(error) = run(&Args::parse()) {
        eprintln!("tripline-bench: {error}");
        std::process::exit(2);
    }
}

/// Taxonomy and mapping, as the program carries them.
const TAXONOMY: &str = include_str!("../../../connectors/taxonomy/windows.toml");

fn compile(rules: &[String]) -> Ruleset {
    let mut compiler = Compiler::new();
    compiler.add_taxonomy("windows.toml", TAXONOMY.as_bytes());
    for (at, rule) in rules.iter().enumerate() {
        compiler.add_sigma(&format!("r{at}.yml"), rule.as_bytes());
    }
    compiler.compile(&NoFiles, 0)
}

struct Bench<'a> {
    args: &'a Args,
    records: Vec<String>,
    bytes: Vec<u8>,
    reference: Option<Duration>,
}

impl Bench<'_> {
    /// The quickest of several runs.
    fn time(&self, stage: &str, mut work: impl FnMut() -> u64) -> Option<(Duration, u64)> {
        if self.args.stage.as_ref().is_some_and(|wanted| wanted != stage) {
            return None;
        }
        let mut best: Option<(Duration, u64)> = None;
        for _ in 0..self.args.runs.max(1) {
            let begun = Instant::now();
            let result = work();
            let took = begun.elapsed();
            if best.is_none_or(|(least, _)| took < least) {
                best = Some((took, result));
            }
        }
        best
    }

    fn tell(&mut self, stage: &str, what: &str, measured: Option<(Duration, u64)>) {
        let Some((took, result)) = measured else { return };
        let reference = *self.reference.get_or_insert(took);
        let seconds = took.as_secs_f64().max(1e-9);
        println!(
            "{stage:<10} {what:<22} {:>9.1} ms {:>11.0} events/s {:>8.1} MB/s   {:>5.2} of parse   ({result})",
            seconds * 1e3,
            self.records.len() as f64 / seconds,
            self.bytes.len() as f64 / seconds / 1e6,
            reference.as_secs_f64() / seconds,
        );
    }
}

fn run(args: &Args) -> Result<(), String> {
    if args.formats {
        return formats::run(args.count, args.runs);
    }
    if let Some(keys) = args.state {
        return state::run(keys.max(1), args.each.max(1), args.stage.as_deref().unwrap_or_default());
    }
    if let Some(program) = &args.service {
        let asked = service::Asked {
            program,
            folder: &args.folder,
            rate: args.rate.max(1),
            seconds: args.seconds.max(1),
            http: args.http,
        };
        if !args.transports.is_empty() {
            let all = || transport::KINDS.iter().map(|kind| (*kind).to_string()).collect();
            let kinds = if args.transports == ["all"] { all() } else { args.transports.clone() };
            return transport::run(&asked, &kinds, args.count, !args.unwatched);
        }
        return match args.durable {
            Some(events) => service::durable(program, &args.folder, events, args.keys.max(1)),
            None if args.told => told::told(&asked),
            None => service::latency(&asked),
        };
    }
    let bytes = match &args.events {
        Some(path) => std::fs::read(path).map_err(|error| format!("`{}` cannot be read: {error}", path.display()))?,
        None => corpus::events(args.count),
    };
    let mut records = Vec::new();
    let mut reader = Reader::new(Cursor::new(bytes.clone()));
    while let Some(batch) = reader.next_batch().map_err(|error| error.to_string())? {
        records.extend(batch.iter().map(|record| String::from_utf8_lossy(record.bytes).into_owned()));
    }
    let mut bench = Bench { args, records, bytes, reference: None };
    let parsed = bench.time("parse", || {
        bench.records.iter().filter(|record| serde_json::from_str::<serde_json::Value>(record).is_ok()).count() as u64
    });
    bench.tell("parse", "whole tree", parsed);
    let sizes = if args.rules.is_some() { vec![0] } else { args.sizes.clone() };
    for size in sizes {
        let rules = match &args.rules {
            Some(folder) => corpus::read_rules(folder).map_err(|error| error.to_string())?,
            None => corpus::rules(size),
        };
        let label = format!("{} rules", rules.len());
        if let Some((took, active)) = bench.time("compile", || compile(&rules).active().count() as u64) {
            println!("{:<10} {label:<22} {:>9.1} ms   ({active} active)", "compile", took.as_secs_f64() * 1e3);
        }
        let ruleset = compile(&rules);
        let Some(index) = &ruleset.index else { return Err("there is no index".into()) };
        let mut slots = Slots::default();
        let located = bench.time("locate", || {
            bench.records.iter().filter(|record| index.locator.locate(record, &mut slots).is_ok()).count() as u64
        });
        bench.tell("locate", &label, located);
        let mut indexed = Indexed::new(&ruleset.ir, index);
        let matched = bench.time("match", || {
            let mut found = 0;
            for record in &bench.records {
                if indexed.judge(record, None).is_ok() {
                    found += indexed.matches().len() as u64;
                }
            }
            found
        });
        bench.tell("match", &label, matched);
        let wanted = Wanted { source: SourceChoice::Detect, findings: false, lines: false };
        let scanned = bench.time("scan", || {
            let mut totals = Totals::default();
            let input = Box::new(Cursor::new(bench.bytes.clone()));
            match scan(&ruleset, "bench", input, &wanted, &mut totals, None, &mut |_| ()) {
                Ok(()) => totals.findings,
                Err(_) => 0,
            }
        });
        bench.tell("scan", &label, scanned);
    }
    Ok(())
}
