//! A tree of panther-analysis as `.trip` files: headers and tests are taken over, conditions are code and are not.
//!
//! Everything read is hostile: names become words, texts become literals, and nothing is run.

mod names;
mod read;
mod skeleton;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};

use tripline_base::terminal::{counted, visible};
use tripline_detect::coverage::known_sources;

use self::read::{Found, Rule, read};
use self::skeleton::{Skeleton, skeleton};
use crate::commands::Outcome;
use crate::load;

/// What became of the tree.
#[derive(Default)]
struct Tally {
    rules: usize,
    tests: usize,
    alerts: usize,
    correlations: usize,
    kept: usize,
    unread: usize,
    sources: BTreeSet<String>,
}

/// Runs the command.
pub fn run(dir: &Path, out: &Path, force: bool) -> Outcome {
    if !dir.is_dir() {
        return Err(format!("there is no folder `{}`", dir.display()));
    }
    let (shipped, _) = load::ruleset(&[])?;
    let known: BTreeSet<&str> = known_sources(&shipped.program).into_iter().collect();
    let mut tally = Tally::default();
    let mut taken = BTreeMap::new();
    for path in load::files(&[dir.to_path_buf()], &["yml", "yaml"])? {
        let shown = visible(&path.display().to_string()).into_owned();
        let found = match read(&path) {
            Ok(found) => found,
            Err(error) => {
                tally.unread += 1;
                eprintln!("tripline: {shown} is skipped: {}", visible(&error));
                continue;
            }
        };
        for rule in found {
            let Found::Rule(rule) = rule else { continue };
            if rule.analysis_type == "correlation_rule" {
                tally.correlations += 1;
                eprintln!("tripline: {shown} is skipped: a correlation rule has no events of its own to test");
                continue;
            }
            let name = unique(&mut taken, &names::rule_name(&rule.id));
            let made = match skeleton(&rule, &name) {
                Ok(made) => made,
                Err(error) => {
                    tally.unread += 1;
                    eprintln!("tripline: {shown} is skipped: {}", visible(&error));
                    continue;
                }
            };
            let folder = out.join(inside(dir, &path));
            write_rule(&folder, &name, &rule, made, force, &mut tally)?;
        }
    }
    if tally.rules + tally.kept + tally.unread + tally.correlations == 0 {
        return Err(format!("no rule was found in `{}`: no YAML file there has an `AnalysisType`", dir.display()));
    }
    let named = std::mem::take(&mut tally.sources);
    let new: Vec<&String> = named.iter().filter(|source| !known.contains(source.as_str())).collect();
    for source in &new {
        write_source(&out.join("sources"), source, force, &mut tally)?;
    }
    Ok(told(&tally, &new, out))
}

/// What was done, and the exit code.
fn told(tally: &Tally, new: &[&String], out: &Path) -> u8 {
    let out = visible(&out.display().to_string()).into_owned();
    crate::outln!(
        "wrote {} with {}, of which {} an alert",
        counted(tally.rules as u64, "rule"),
        counted(tally.tests as u64, "test"),
        if tally.alerts == 1 { "1 expects".to_string() } else { format!("{} expect", tally.alerts) }
    );
    if !new.is_empty() {
        let names: Vec<&str> = new.iter().map(|name| name.as_str()).collect();
        crate::outln!("new sources, begun in {out}/sources: {}", names.join(", "));
    }
    if tally.correlations > 0 {
        crate::outln!("left out: {}", counted(tally.correlations as u64, "correlation rule"));
    }
    if tally.kept > 0 {
        let files = counted(tally.kept as u64, "file");
        crate::outln!("kept {files} that were there before; --force overwrites");
    }
    if tally.rules > 0 {
        crate::outln!("next: tripline test {out}");
    }
    if tally.unread > 0 { 2 } else { u8::from(tally.kept > 0) }
}

/// A name that no rule has yet.
fn unique(taken: &mut BTreeMap<String, usize>, name: &str) -> String {
    let mut candidate = name.to_string();
    while taken.contains_key(&candidate) {
        let n = taken.entry(name.to_string()).or_insert(1);
        *n += 1;
        candidate = format!("{name}_{n}");
    }
    taken.insert(candidate.clone(), 1);
    candidate
}

/// The folders of a file below the tree, each by a name that leads nowhere else.
fn inside(dir: &Path, path: &Path) -> PathBuf {
    let below = path.parent().and_then(|parent| parent.strip_prefix(dir).ok()).unwrap_or_else(|| Path::new(""));
    below
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(names::rule_name(&name.to_string_lossy())),
            _ => None,
        })
        .collect()
}

fn write_rule(
    folder: &Path,
    name: &str,
    rule: &Rule,
    made: Skeleton,
    force: bool,
    tally: &mut Tally,
) -> Result<(), String> {
    let path = folder.join(format!("{name}.trip"));
    if !write(&path, &made.text, force)? {
        tally.kept += 1;
        eprintln!("tripline: {} is there already, and was kept", visible(&path.display().to_string()));
        return Ok(());
    }
    for (fixture, event) in &made.fixtures {
        let text = serde_json::to_string_pretty(event).map_err(|error| format!("a test of {}: {error}", rule.id))?;
        let path = folder.join("fixtures").join(fixture);
        if !write(&path, &(text + "\n"), force)? {
            tally.kept += 1;
            eprintln!("tripline: {} is there already, and was kept", visible(&path.display().to_string()));
        }
    }
    tally.rules += 1;
    tally.tests += made.tests;
    tally.alerts += made.alerts;
    tally.sources.extend(made.sources);
    Ok(())
}

/// A mapping that makes a source known: it gives every event the class of events without one.
fn write_source(folder: &Path, source: &str, force: bool, tally: &mut Tally) -> Result<(), String> {
    let name = source.replace('.', "_");
    let mut text =
        format!("// Makes the source {source} known. Say how its events are told from others, and what they mean.\n");
    let _ = writeln!(text, "mapping {name} from {source} {{");
    let _ = writeln!(text, "  detect where raw.p_source == \"{source}\"\n");
    let _ = writeln!(text, "  severity_id: \"Informational\"\n  time: timestamp(raw.p_event_time)\n");
    let _ = writeln!(text, "  otherwise -> base_event {{ activity_id: \"Other\" }}\n");
    let _ = writeln!(text, "  test \"an event without a class\" {{");
    let _ = writeln!(text, "    event {{ p_source: \"{source}\", p_event_time: \"2026-01-31T08:00:00Z\" }}");
    let _ = writeln!(text, "    expect base_event {{ activity_id: \"Other\" }}\n  }}\n}}");
    let id = tripline_base::SourceMap::new().add("source", text.as_str());
    let text = tripline_syntax::format::format(&tripline_syntax::parse_file(id, &text).file, &text);
    tally.kept += usize::from(!write(&folder.join(format!("{name}.trip")), &text, force)?);
    Ok(())
}

/// Writes a file with its folders; `false` where one is there already that may not be overwritten.
fn write(path: &Path, text: &str, force: bool) -> Result<bool, String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let options =
        if force { options.write(true).create(true).truncate(true) } else { options.write(true).create_new(true) };
    match options.open(path) {
        Ok(mut file) => std::io::Write::write_all(&mut file, text.as_bytes()).map_err(failed).map(|()| true),
        Err(error) if !force && error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(error)),
    }
}
