//! `tripline check`: everything that can be known about rules without running them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tripline_base::{Diagnostic, Level, SourceMap, diagnostic, json, sarif, terminal};
use tripline_detect::cost::{Cost, cost};
use tripline_detect::{DiskFiles, Local, Ruleset, harness, packs};
use tripline_semantic::typed::Rule;

use super::Outcome;
use super::run::{Program, configuration};
use crate::{colour, load};

/// Check rules, mappings and everything else in `.trip` files.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders; the shipped rules where none are named. A `.toml` file is the configuration of a service, and
    /// is checked with the rules that it names
    paths: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    sigma: load::Sigma,
    /// Print how much memory the state of each rule over several events can take at worst
    #[arg(long)]
    cost: bool,
    /// Print the page of a diagnostic code, such as T0201
    #[arg(long, value_name = "CODE")]
    explain: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// SARIF 2.1.0
    Sarif,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let codes = tripline_runtime::all_codes();
    if let Some(wanted) = &args.explain {
        let found = codes.iter().find(|code| code.id.eq_ignore_ascii_case(wanted) || code.name == wanted);
        let Some(code) = found else {
            let hint = load::hint(wanted, codes.iter().map(|code| code.id));
            return Err(format!("there is no code `{wanted}`{hint} (docs/DIAGNOSTICS.md lists them all)"));
        };
        crate::outln!("{} {} ({})\n\n{}\n\n{}", code.id, code.name, code.level, code.title, code.page);
        return Ok(0);
    }
    let (configurations, paths): (Vec<PathBuf>, Vec<PathBuf>) =
        args.paths.iter().cloned().partition(|path| is_configuration(path));
    if configurations.len() > 1 {
        return Err("check one configuration at a time: each makes something else of the rules".into());
    }
    let Checked { ruleset, watched } = checked(&configurations, paths, args.sigma.clone())?;
    let count = |level| ruleset.diagnostics.iter().filter(|d| d.level() == level).count();
    let (errors, warnings) = (count(Level::Error), count(Level::Warning));
    match args.format {
        Format::Text => {
            for diagnostic in grouped(&ruleset.diagnostics, &ruleset.sources) {
                crate::outln!("{}", terminal::render(&diagnostic, &ruleset.sources, colour::stdout()));
            }
            let asked = |rule: &&Rule| !watched || !load::is_watched(ruleset.sources.name(rule.span.file));
            let rules: Vec<&Rule> = ruleset.program.rules.iter().filter(asked).collect();
            let raw = rules.iter().filter(|rule| reads_raw(rule)).count();
            crate::outln!(
                "{} ({raw} read raw fields), {}: {}",
                terminal::counted(rules.len() as u64, "rule"),
                terminal::counted(ruleset.program.mappings.len() as u64, "mapping"),
                terminal::tally(&ruleset.diagnostics).unwrap_or_else(|| "nothing to say".into())
            );
            if args.cost {
                costs(&cost(&ruleset));
            }
        }
        Format::Json => {
            let all: Vec<_> = ruleset.diagnostics.iter().map(|d| json::render(d, &ruleset.sources)).collect();
            let mut out = serde_json::json!({ "diagnostics": all, "errors": errors, "warnings": warnings });
            if let (true, Some(out)) = (args.cost, out.as_object_mut()) {
                out.insert("cost".into(), cost(&ruleset).iter().map(cost_json).collect());
            }
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
        Format::Sarif => {
            let out = sarif::render(&ruleset.diagnostics, &ruleset.sources, &codes);
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
    }
    Ok(if errors > 0 || (args.strict && warnings > 0) { 2 } else { 0 })
}

/// Content that was checked.
pub(super) struct Checked {
    /// The content, with what is to be said of it.
    pub ruleset: Ruleset,
    /// Whether the rules over the service itself came beside.
    watched: bool,
}

/// Checks configurations (one at most) with the rules that they name, and the files and folders of `paths`.
pub(super) fn checked(
    configurations: &[PathBuf],
    mut paths: Vec<PathBuf>,
    mut sigma: load::Sigma,
) -> Result<Checked, String> {
    let (mut beside, mut local) = (Vec::new(), Local::default());
    for path in configurations {
        // The rules that it names are checked with it.
        if let (Some(config), _) = configuration(&mut SourceMap::new(), path)? {
            paths.extend(config.rules.paths.iter().cloned());
            sigma.pipelines.extend(config.rules.pipelines.iter().cloned());
            sigma.taxonomies.extend(config.rules.taxonomies.iter().cloned());
            if !config.rules.paths.is_empty() {
                beside = load::configured_texts(&config.rules)?;
            }
            local = config.rules.local;
        }
    }
    let mut texts = load::rule_texts(&paths)?;
    let known: Vec<String> = texts.iter().map(|(name, _)| name.clone()).collect();
    texts.extend(beside.into_iter().filter(|(name, _)| !known.contains(name)));
    let watched = !configurations.is_empty() && load::watched(&mut texts);
    let (mut compiler, mut own) = load::compiler_of(&texts, &sigma)?;
    // Shipped packs that come beside, and the rules over the service itself, are not what was asked about.
    let of_sigma = sigma_names(&sigma);
    own.retain(|name| known.contains(name) || of_sigma.contains(name));
    compiler.configure(&local);
    let mut ruleset = compiler.compile(&DiskFiles, load::now());
    if !configurations.is_empty() && paths.is_empty() {
        own.clear();
    }
    for path in configurations {
        let (config, said) = configuration(&mut ruleset.sources, path)?;
        own.push(path.display().to_string());
        ruleset.diagnostics.extend(said);
        if let Some(config) = config {
            let said = [config.with(&ruleset.sources, &ruleset).1, config.enrichments(&ruleset.sources, &ruleset).1];
            ruleset.diagnostics.extend(said.into_iter().flatten().chain(config.files()));
        }
    }
    let configured = !configurations.is_empty();
    // Of shipped content that was not asked about, only errors are of interest (a name taken twice).
    let named = |said: &Diagnostic| own.iter().any(|name| name == ruleset.sources.name(said.span().file));
    ruleset.diagnostics.retain(|said| said.level() == Level::Error || named(said));
    if !paths.is_empty() {
        ruleset.diagnostics.extend(harness::bad_fixtures(&ruleset, &Program, &own));
    }
    if configured || !paths.is_empty() {
        diagnostic::sort(&mut ruleset.diagnostics);
    }
    Ok(Checked { ruleset, watched })
}

/// So many equal notes are printed each by itself.
const FEW: usize = 3;

/// What is said, where the first of many equal notes stands for all of them.
fn grouped(all: &[Diagnostic], sources: &SourceMap) -> Vec<Diagnostic> {
    let mut notes: BTreeMap<(&str, &str), Vec<&Diagnostic>> = BTreeMap::new();
    for note in all.iter().filter(|said| said.level() == Level::Note) {
        notes.entry((note.code.id, &note.message)).or_default().push(note);
    }
    notes.retain(|_, equal| equal.len() > FEW);
    let mut out = Vec::new();
    for said in all {
        let Some(equal) = notes.get(&(said.code.id, said.message.as_str())) else {
            out.push(said.clone());
            continue;
        };
        let Some((first, others)) = equal.split_first().filter(|(first, _)| std::ptr::eq(**first, said)) else {
            continue;
        };
        let places = others.iter().take(FEW).filter_map(|note| place(note, sources)).collect::<Vec<_>>().join(", ");
        let more = if others.len() > FEW { format!(" and {} more", others.len() - FEW) } else { String::new() };
        out.push(
            (*first)
                .clone()
                .help(format!("the same {} times more: {places}{more}; `--format json` has each", others.len())),
        );
    }
    out
}

/// `FILE:LINE:COLUMN`
fn place(said: &Diagnostic, sources: &SourceMap) -> Option<String> {
    let file = sources.get(said.span().file)?;
    let place = file.place(said.span().start as usize);
    Some(format!("{}:{}:{}", file.name(), place.line, place.column))
}

/// A table of what state can take, with its sum.
fn costs(costs: &[Cost]) {
    if costs.is_empty() {
        crate::outln!("no rule holds state");
        return;
    }
    let line = |[all, key, keys, per_key, events]: [&str; 5], of: &str| {
        crate::outln!("{all:>10}  {key:>10}  {keys:>8}  {per_key:>10}  {events:>10}  {of}");
    };
    crate::outln!();
    line(["at most", "a full key", "keys", "per key", "events"], "state of");
    for cost in costs {
        let [keys, per_key, events] = [cost.keys, cost.per_key, cost.events].map(|n| n.to_string());
        let of = format!("{} {}", cost.kind, cost.name);
        line([&bytes(cost.bytes), &bytes(cost.key_bytes), &keys, &per_key, &events], &of);
    }
    let sum = costs.iter().fold(0_u64, |sum, cost| sum.saturating_add(cost.bytes));
    crate::outln!("{:>10}  in all, at worst: `max_events`, `max_keys` and `per_key` lower it", bytes(sum));
}

fn cost_json(cost: &Cost) -> serde_json::Value {
    serde_json::json!({
        "name": cost.name,
        "kind": cost.kind,
        "max_keys": cost.keys,
        "per_key": cost.per_key,
        "max_events": cost.events,
        "key_bytes": cost.key_bytes,
        "bytes": cost.bytes,
    })
}

/// A number of bytes as people read it.
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut scaled = n as f64;
    let mut unit = "B";
    for next in UNITS {
        unit = next;
        if scaled < 1000.0 {
            break;
        }
        if next != "TB" {
            scaled /= 1000.0;
        }
    }
    if unit == "B" { format!("{n} B") } else { format!("{scaled:.1} {unit}") }
}

/// Whether a path is the configuration of a service, and not what says that a folder is a pack.
fn is_configuration(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "toml") && path.file_name().is_none_or(|name| name != packs::FILE)
}

/// The pipelines and taxonomies that were named.
fn sigma_names(sigma: &load::Sigma) -> Vec<String> {
    sigma.pipelines.iter().chain(&sigma.taxonomies).map(|path| path.display().to_string()).collect()
}

fn reads_raw(rule: &Rule) -> bool {
    use tripline_semantic::typed::{Kind, Root};
    let mut raw = false;
    for typed in rule.condition.iter().chain(rule.exceptions.iter().map(|e| &e.condition)) {
        typed.walk(&mut |node| raw |= matches!(node.kind, Kind::Path(Root::Raw | Root::Loose, _)));
    }
    raw
}
