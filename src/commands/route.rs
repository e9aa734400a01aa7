//! `tripline route explain`: where an alert would go, and why.

mod print;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::Value as Json;
use tripline_alert::{About, Alert, Beside, Desk, Explained, Route, Told, ocsf, severity_name};
use tripline_detect::Ruleset;
use tripline_runtime::{Kept, direct};
use tripline_semantic::typed::{ENTITY_KINDS, Rule};

use super::Outcome;
use super::alerts::{Format, severity};
use crate::desk::{self, Where};
use crate::{load, times};

/// The largest file with a finding (bytes).
const LARGEST: u64 = 64 << 20;

/// Show where an alert would go, and why.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show each route that is looked at, what holds the alert back, and who is told when
    Explain(Explain),
}

#[derive(clap::Args)]
struct Explain {
    #[command(flatten)]
    at: Where,
    /// Of a finding in OCSF, as `tripline scan --format ndjson` prints it: the first line of a file, or of `-`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["id", "rule"])]
    finding: Option<PathBuf>,
    /// Of an alert that this rule would open
    #[arg(long, value_name = "NAME", conflicts_with = "id")]
    rule: Option<String>,
    /// With --rule: its severity; that of the rule where it is left out
    #[arg(long, value_name = "SEVERITY", value_parser = severity, requires = "rule")]
    severity: Option<i64>,
    /// With --rule: whom it is about, such as user:alice; may be given several times
    #[arg(long = "entity", value_name = "KIND:VALUE", value_parser = entity, requires = "rule")]
    entities: Vec<(String, String)>,
    /// As of this time: RFC 3339 or a date, UTC; now where it is left out
    #[arg(long = "at", value_name = "TIME", value_parser = times::time)]
    now: Option<i64>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Of an alert that there is: its id, or the beginning of it
    #[arg(required_unless_present_any = ["finding", "rule"])]
    id: Option<String>,
}

fn entity(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((kind, value)) if ENTITY_KINDS.contains(&kind) && !value.is_empty() => Ok((kind.into(), value.into())),
        _ => Err(format!("write KIND:VALUE; the kinds are {}", ENTITY_KINDS.join(", "))),
    }
}

/// What there is to tell.
struct Way<'t> {
    alert: &'t Alert,
    now: i64,
    held: Option<String>,
    looked: [usize; 3],
    said: Vec<(Explained, Option<&'t Route>)>,
    chosen: Vec<&'t Route>,
    to: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let Command::Explain(args) = &args.command;
    explain(args)
}

fn explain(args: &Explain) -> Outcome {
    let opened = args.at.open()?;
    let (ruleset, routing, revision) = opened.rules()?;
    let now = args.now.unwrap_or_else(load::now);
    // Routes can be tried before the first run; then nothing was kept that holds an alert back.
    let store = (args.id.is_some() || opened.config.store.path.exists()).then(|| opened.read()).transpose()?;
    let alert = match (&args.id, &store) {
        (Some(id), Some(store)) => desk::alert(store, &desk::full_id(store, id)?)?,
        _ => imagined(args, &ruleset, revision.as_deref(), now)?,
    };
    let (desk, silences) = match &store {
        Some(store) => {
            let on = direct::silences(store)?.iter().filter(|silence| silence.is_on(now)).count();
            (direct::desk(store, &ruleset, &routing)?, on)
        }
        None => (Desk::new(routing, Vec::new(), &ruleset.program).0, 0),
    };
    let tripline_alert::Way { held, said, to } = match &store {
        Some(store) => desk.explain(&Kept(store), &alert, now)?,
        None => desk.explain(&Beside(None), &alert, now)?,
    };
    let routing = desk.routing();
    let all = routing.all();
    let of = |name: &str| all.iter().copied().find(|route| route.name == name);
    // A route takes an alert where none of its own does.
    let chosen = said.iter().filter(|one| one.took).filter_map(|one| of(&one.route)).collect();
    let looked = [silences, routing.mutes.len(), routing.inhibits.len()];
    let said = said.into_iter().map(|one| (one.clone(), of(&one.route))).collect();
    let way = Way { alert: &alert, now, held, looked, said, chosen, to };
    match args.format {
        Format::Text => crate::out!("{}", print::text(&way)),
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&print::json(&way))),
    }
    Ok(u8::from(way.held.is_some() || way.to.is_empty()))
}

/// An alert that a finding would open.
fn imagined(args: &Explain, ruleset: &Ruleset, revision: Option<&str>, now: i64) -> Result<Alert, String> {
    let rules = &ruleset.program.rules;
    if let Some(path) = &args.finding {
        let wrong = |why: String| format!("the finding in `{}` cannot be used: {why}", path.display());
        let json: Json = serde_json::from_str(&first_line(path)?).map_err(|error| wrong(error.to_string()))?;
        let (uid, about, told) = ocsf::finding(&json).map_err(wrong)?;
        // What the rules say now counts, where they still have it.
        let about = rules.iter().find(|rule| rule.uid() == uid).map_or(about, |rule| About::of(rule, revision));
        return Ok(Alert::open(&uid, &about, &told, now));
    }
    let name = args.rule.as_deref().unwrap_or("");
    let known = || rules.iter().map(|rule| rule.name.as_str());
    let rule: &Rule = rules
        .iter()
        .find(|rule| rule.name == name || rule.uid() == name)
        .ok_or_else(|| load::no_rule(name, known()))?;
    if rule.silent {
        return Err(format!("the rule `{name}` is silent: its findings are for other rules, and open no alerts"));
    }
    // What a rule says nothing of is medium, as for findings.
    let own = rule.header.severity.map_or(3, |severity| severity.id());
    let told = Told {
        uid: "explained".into(),
        title: rule.header.title.clone(),
        severity: args.severity.unwrap_or(own),
        time: Some(now),
        events: 1,
        entities: args.entities.clone(),
        ..Told::default()
    };
    Ok(Alert::open(rule.uid(), &About::of(rule, revision), &told, now))
}

fn first_line(path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(LARGEST).read_to_string(&mut text).map_err(wrong)?;
    } else {
        let file = std::fs::File::open(path).map_err(wrong)?;
        file.take(LARGEST).read_to_string(&mut text).map_err(wrong)?;
    }
    // One object over many lines is read too.
    let whole = serde_json::from_str::<Json>(&text).is_ok();
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("").to_string();
    Ok(if whole { text } else { line })
}

/// The name of an alert's severity.
fn severity_of(alert: &Alert) -> String {
    severity_name(alert.severity).to_lowercase()
}
