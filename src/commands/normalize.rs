//! `tripline normalize`: the OCSF form of raw events, and which raw fields a mapping leaves out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tripline_base::terminal::{counted, visible};
use tripline_detect::{Detector, SourceChoice};
use tripline_eval::normalize;
use tripline_event::Value;

use super::Outcome;
use crate::input::Input;
use crate::load;

/// Show the OCSF form of raw events.
#[derive(clap::Args)]
pub struct Args {
    /// Log files; `-` is standard input
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Files and folders with further mappings
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// The source of every event; told from each event where it is left out
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    input: Input,
    /// Hold every event against the schema; print violations instead of events
    #[arg(long)]
    validate: bool,
    /// Print how many events each class got, and which raw fields no definition reads
    #[arg(long, conflicts_with = "validate")]
    coverage: bool,
}

#[derive(Default)]
struct Counts {
    events: u64,
    unknown: u64,
    unparsed: u64,
    failed_conversions: u64,
    violations: BTreeMap<String, u64>,
    classes: BTreeMap<String, u64>,
    unread: BTreeMap<(String, String), u64>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let (ruleset, _) = load::ruleset(&args.rules)?;
    load::say(&ruleset.diagnostics, &ruleset.sources, false);
    let detector = Detector::new(&ruleset);
    let choice = args.source.clone().map_or(SourceChoice::Detect, SourceChoice::Named);
    if let SourceChoice::Named(name) = &choice
        && !ruleset.source_names().contains(&name.as_str())
    {
        let hint = load::hint(name, ruleset.source_names());
        return Err(format!("nothing knows a source `{name}`{hint} (there are {})", load::sources(&ruleset)));
    }
    let layout = args.input.layout()?;
    let read = raw_paths(&ruleset);
    let mut counts = Counts::default();
    for path in &args.files {
        let name = path.display().to_string();
        let failed = |error: std::io::Error| format!("`{name}` cannot be read: {error}");
        let mut reader = tripline_formats::Reader::open(path, &layout).map_err(failed)?;
        while let Some(batch) = reader.next_batch().map_err(failed)? {
            counts.unparsed += batch.unparsed.len() as u64;
            for record in batch.iter() {
                let Ok(raw) = tripline_formats::parse(record.bytes) else {
                    counts.unparsed += 1;
                    continue;
                };
                one(args, &detector, &choice, &raw, &format!("{name}:{}", record.line), &read, &mut counts);
            }
        }
    }
    report(args, &counts);
    Ok(u8::from(args.validate && !counts.violations.is_empty()))
}

fn one(
    args: &Args,
    detector: &Detector<'_>,
    choice: &SourceChoice,
    raw: &Value<'_>,
    place: &str,
    read: &BTreeMap<String, Vec<String>>,
    counts: &mut Counts,
) {
    counts.events += 1;
    let Some(source) = detector.source(choice, raw) else {
        counts.unknown += 1;
        return;
    };
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let Some((_, arm)) = normalize::arm(evaluator, source, raw) else {
        counts.unknown += 1;
        return;
    };
    *counts.classes.entry(format!("{} -> {}", source.name, arm.class.name)).or_default() += 1;
    let event = tripline_detect::event_json(&normalize::normalize(evaluator, arm, raw));
    counts.failed_conversions += evaluator.take_failed_conversions();
    if args.validate {
        for violation in tripline_schema::validate(&event) {
            *counts.violations.entry(violation.to_string()).or_default() += 1;
            crate::outln!("{}", visible(&format!("{place}: {violation}")));
        }
    } else if args.coverage {
        let mut fields = Vec::new();
        leaves(raw, String::new(), 0, &mut fields);
        let read = read.get(&source.name).map(Vec::as_slice).unwrap_or_default();
        for field in fields {
            if !read.iter().any(|path| covers(path, &field)) {
                *counts.unread.entry((source.name.clone(), field)).or_default() += 1;
            }
        }
    } else {
        crate::outln!("{}", tripline_detect::json_line(&event));
    }
}

/// Whether a definition that reads `path` reads `field`: at it, or at an object around it.
fn covers(path: &str, field: &str) -> bool {
    field == path || field.strip_prefix(path).is_some_and(|rest| rest.starts_with(['.', '[']))
}

fn leaves(value: &Value<'_>, at: String, depth: usize, out: &mut Vec<String>) {
    match value {
        Value::Object(members) if depth < 8 => {
            for (key, value) in members {
                leaves(value, if at.is_empty() { key.to_string() } else { format!("{at}.{key}") }, depth + 1, out);
            }
        }
        Value::Array(items) if depth < 8 => {
            for item in items.iter().take(20) {
                leaves(item, format!("{at}[]"), depth + 1, out);
            }
        }
        Value::Null => {}
        _ => {
            if !out.contains(&at) {
                out.push(at);
            }
        }
    }
}

/// The raw paths that each source's mapping reads.
fn raw_paths(ruleset: &tripline_detect::Ruleset) -> BTreeMap<String, Vec<String>> {
    use tripline_semantic::typed::{Kind, Root};
    let mut out = BTreeMap::new();
    for mapping in &ruleset.program.mappings {
        let mut paths: Vec<String> = Vec::new();
        let arms = mapping.arms.iter();
        let typed = arms.flat_map(|arm| arm.condition.iter().chain(arm.definitions.iter().map(|d| &d.value)));
        for typed in typed {
            typed.walk(&mut |node| {
                if let Kind::Path(Root::Raw, path) = &node.kind {
                    let path = path.to_string();
                    if !path.is_empty() && !paths.contains(&path) {
                        paths.push(path);
                    }
                }
            });
        }
        out.insert(mapping.source.clone(), paths);
    }
    out
}

fn report(args: &Args, counts: &Counts) {
    if args.coverage {
        for (class, count) in &counts.classes {
            crate::outln!("{count:>8}  {class}");
        }
        let mut rows: Vec<(&(String, String), &u64)> = counts.unread.iter().collect();
        rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        crate::outln!("raw fields that no definition reads:");
        for ((source, field), count) in rows {
            crate::outln!("{count:>8}  {source} {}", visible(field));
        }
    }
    let violations: u64 = counts.violations.values().sum();
    eprintln!(
        "{}, {} of no known source, {}, {}{}",
        counted(counts.events, "event"),
        counts.unknown,
        counted(counts.unparsed, "unparsed line"),
        counted(counts.failed_conversions, "failed conversion"),
        if args.validate { format!(", {}", counted(violations, "violation")) } else { String::new() }
    );
}
