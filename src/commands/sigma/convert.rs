//! `tripline sigma convert`: Sigma rules as `.trip` files, with recorded events as their tests.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tripline_base::SourceMap;
use tripline_base::terminal::{counted, visible};
use tripline_detect::{Converted, Detector, DiskFiles, Ruleset, SourceChoice};
use tripline_formats::{Layout, Reader};

use super::super::Outcome;
use crate::load;

/// The most recorded events that become tests of one rule.
const MOST_TESTS: usize = 10;

/// Write Sigma rules as `.trip` files.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders of Sigma rules
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The folder for the files, one for each rule; a single rule is printed where it is left out
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// A folder with recorded events, each file named by the id of its rule (.jsonl, .json, .evtx): they become tests
    #[arg(long, value_name = "DIR", requires = "out")]
    tests: Option<PathBuf>,
    /// Write over files that are there and say something else
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    sigma: load::Sigma,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let paths = load::sigma_files(&args.paths)?;
    if paths.is_empty() {
        return Err("there is no `.yml` file".into());
    }
    let (compiler, _) = load::compiler(&paths, &args.sigma)?;
    let (ruleset, converted) = compiler.convert(&DiskFiles, 0);
    args.sigma.usable(&ruleset)?;
    let mut failed = load::say(&ruleset.diagnostics, &ruleset.sources, false);
    let mut ready = Vec::new();
    for one in &converted {
        match &one.text {
            Ok(text) => ready.push((one, text)),
            Err(why) => {
                failed += 1;
                eprintln!(
                    "tripline: {}: `{}` is not converted: {why}",
                    visible(ruleset.sources.name(one.file)),
                    one.name
                );
            }
        }
    }
    let Some(out) = &args.out else {
        return match ready.as_slice() {
            [(_, text)] => {
                crate::out!("{text}");
                Ok(if failed > 0 { 2 } else { 0 })
            }
            [] => Err("no rule was converted".into()),
            _ => Err(format!("{} rules: name a folder for them with `--out`", ready.len())),
        };
    };
    let recorded = match &args.tests {
        Some(folder) => recorded(folder)?,
        None => BTreeMap::new(),
    };
    std::fs::create_dir_all(out).map_err(|error| format!("`{}` cannot be made: {error}", out.display()))?;
    let mut writer = Writer { force: args.force, refused: 0, tests: 0 };
    let mut detector = Detector::new(&ruleset);
    for (one, text) in &ready {
        let events = one.id.as_ref().and_then(|id| recorded.get(&id.to_lowercase()));
        let text = match events {
            None => (*text).clone(),
            Some(events) => {
                let fired = fired(&ruleset, &mut detector, one, events)?;
                if fired.is_empty() {
                    eprintln!(
                        "tripline: `{}` fires on no event of `{}`",
                        one.name,
                        visible(&events.display().to_string())
                    );
                    failed += 1;
                }
                writer.with_tests(out, one, text, &fired)?
            }
        };
        writer.write(&out.join(format!("{}.trip", one.name)), &text)?;
    }
    crate::outln!(
        "{} of {} converted, {} from recorded events",
        ready.len() - writer.refused.min(ready.len()),
        counted((converted.len()) as u64, "rule"),
        counted(writer.tests as u64, "test")
    );
    Ok(if failed + writer.refused > 0 { 2 } else { 0 })
}

/// The files of a folder and of those below it whose name is the id of a rule; JSON goes before EVTX.
fn recorded(folder: &Path) -> Result<BTreeMap<String, PathBuf>, String> {
    let mut out = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let unreadable = |error: std::io::Error| format!("`{}` cannot be read: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            if entry.file_type().map_err(unreadable)?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let Some(stem) = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()) else { continue };
            let rank =
                |path: &Path| ["jsonl", "json", "evtx"].iter().position(|e| path.extension().is_some_and(|x| x == *e));
            let Some(own) = rank(&path) else { continue };
            if out.get(&stem).and_then(|have: &PathBuf| rank(have)).is_none_or(|have| own < have) {
                out.insert(stem, path);
            }
        }
    }
    Ok(out)
}

/// The events of a file on which a rule fires, as text.
fn fired(ruleset: &Ruleset, detector: &mut Detector<'_>, one: &Converted, path: &Path) -> Result<Vec<String>, String> {
    let unreadable = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut reader = Reader::open(path, &Layout::default()).map_err(unreadable)?;
    let choice = SourceChoice::Named(one.source.clone());
    let fires = |rule: &usize| ruleset.program.rules.get(*rule).is_some_and(|rule| rule.name == one.name);
    let mut out = Vec::new();
    while let Some(batch) = reader.next_batch().map_err(unreadable)? {
        for record in batch.iter() {
            let Ok(judged) = detector.judge(&choice, record.bytes, None) else { continue };
            let value = serde_json::from_slice::<serde_json::Value>(record.bytes);
            if let (true, Ok(value), true) = (judged.rules.iter().any(fires), value, out.len() < MOST_TESTS) {
                out.push(format!("{value:#}\n"));
            }
        }
    }
    Ok(out)
}

struct Writer {
    force: bool,
    /// Files that say something else.
    refused: usize,
    tests: usize,
}

impl Writer {
    fn write(&mut self, path: &Path, text: &str) -> Result<(), String> {
        let unwritable = |error: std::io::Error| format!("`{}` cannot be written: {error}", path.display());
        if !self.force && std::fs::read(path).is_ok_and(|have| have != text.as_bytes()) {
            let path = path.display().to_string();
            eprintln!(
                "tripline: `{}` says something else and is left as it is; `--force` writes over it",
                visible(&path)
            );
            self.refused += 1;
            return Ok(());
        }
        let mut file = std::fs::File::create(path).map_err(unwritable)?;
        file.write_all(text.as_bytes()).map_err(unwritable)
    }

    /// The rule with a test for each event, which goes into a file of its own.
    fn with_tests(&mut self, out: &Path, one: &Converted, text: &str, events: &[String]) -> Result<String, String> {
        let folder = out.join("fixtures");
        let unwritable = |error: std::io::Error| format!("`{}` cannot be made: {error}", folder.display());
        std::fs::create_dir_all(&folder).map_err(unwritable)?;
        let mut longer = text.trim_end().strip_suffix('}').unwrap_or(text).to_string();
        for (n, event) in events.iter().enumerate() {
            let name = format!("{}_{}.json", one.name, n + 1);
            self.write(&folder.join(&name), event)?;
            longer.push_str(&format!(
                "\ntest \"it fires on recorded event {}\" {{\nevent {} from \"{name}\"\nexpect alert\n}}\n",
                n + 1,
                one.source
            ));
            self.tests += 1;
        }
        longer.push_str("}\n");
        let id = SourceMap::new().add(&one.name, longer.as_str());
        Ok(tripline_syntax::format::format(&tripline_syntax::parse_file(id, &longer).file, &longer))
    }
}
