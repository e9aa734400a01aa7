//! `tripline packs promote`: what was found in shadow, and the word in the configuration that tells it from now on.

use serde_json::{Value as Json, json};
use tripline_base::terminal::{counted, visible};
use tripline_detect::{Pack, Ruleset};
use tripline_runtime::Config;
use tripline_runtime::content::Content;
use tripline_semantic::typed::{Mode, Rule};

use super::edit::{What, promoted};
use super::record::Record;
use crate::commands::Outcome;
use crate::commands::alerts::Format;
use crate::desk::{Desk, Where};
use crate::{load, times, write};

/// Show what a rule or a pack in shadow found, and promote it.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// Change the configuration, so that it is told from now on
    #[arg(long)]
    write: bool,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The rule or the pack, by its name
    #[arg(value_name = "RULE|PACK")]
    name: String,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let text = std::fs::read_to_string(&args.at.config).map_err(|error| load::unreadable(&args.at.config, &error))?;
    let desk = args.at.open()?;
    let ruleset = super::rules(&desk)?;
    let what = find(&ruleset, &args.name)?;
    let rules: Vec<(usize, &Rule)> = ruleset
        .program
        .rules
        .iter()
        .enumerate()
        .filter(|(_, rule)| rule.mode == Mode::Shadow && is_of(&ruleset, what, rule))
        .collect();
    if rules.is_empty() {
        return Err(not_in_shadow(what));
    }
    let records = records(&desk, &ruleset, &rules)?;
    let mut after = None;
    if args.write {
        let new = promoted(&args.at.config, &text, what)?;
        write::replace(&args.at.config, &text, &new)?;
        after = Some(still(&args.at.config, &new, &ruleset, &rules)?);
    }
    match args.format {
        Format::Text => {
            records.iter().for_each(|record| crate::out!("{}", text_of(record, &desk.config)));
            crate::out!("{}", ending(args, after.as_deref()));
        }
        Format::Json => {
            let now = load::now();
            let all: Vec<Json> = records.iter().map(|record| json_of(record, &desk.config, now)).collect();
            let out = json!({ "rules": all, "written": args.write, "still_in_shadow": after });
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
    }
    Ok(0)
}

fn find<'r>(ruleset: &'r Ruleset, name: &str) -> Result<What<'r>, String> {
    let rules = &ruleset.program.rules;
    if let Some(rule) = rules.iter().find(|rule| rule.name == name || rule.uid() == name) {
        return Ok(What::Rule(rule, ruleset.pack(rule)));
    }
    if let Some(pack) = ruleset.packs.iter().find(|pack| pack.name == name) {
        return Ok(What::Pack(pack));
    }
    let rules = rules.iter().map(|rule| rule.name.as_str());
    let hint = load::hint(name, rules.chain(ruleset.packs.iter().map(|pack| pack.name.as_str())));
    Err(format!("there is no rule and no pack `{name}`{hint}; `tripline packs --rules` lists them"))
}

fn is_of(ruleset: &Ruleset, what: What<'_>, rule: &Rule) -> bool {
    match what {
        What::Rule(one, _) => one.name == rule.name,
        What::Pack(pack) => ruleset.pack(rule).is_some_and(|of: &Pack| of.name == pack.name),
    }
}

fn not_in_shadow(what: What<'_>) -> String {
    match what {
        What::Rule(rule, _) => format!("the rule `{}` is not in shadow: it is {}", rule.name, rule.mode.name()),
        What::Pack(pack) => format!("no rule of the pack `{}` is in shadow", pack.name),
    }
}

fn records(desk: &Desk, ruleset: &Ruleset, rules: &[(usize, &Rule)]) -> Result<Vec<Record>, String> {
    let store = desk.config.store.path.exists().then(|| desk.read()).transpose()?;
    let content = store.as_ref().map(|store| Content::kept(store).map_err(|error| error.to_string())).transpose()?;
    let kept = store.as_ref().zip(content.as_ref());
    let mut out = Vec::new();
    for (at, rule) in rules {
        out.push(Record::read((ruleset, *at), rule, (&desk.sources, &desk.config), kept)?);
    }
    // Those that would tell most come first.
    out.sort_by(|a, b| b.findings.cmp(&a.findings).then_with(|| a.rule.cmp(&b.rule)));
    Ok(out)
}

/// The rules of these that something else keeps in shadow.
fn still(
    path: &std::path::Path,
    text: &str,
    ruleset: &Ruleset,
    rules: &[(usize, &Rule)],
) -> Result<Vec<String>, String> {
    let (config, _) = crate::commands::run::parsed(&mut tripline_base::SourceMap::new(), path, text);
    let local = config.ok_or("the configuration cannot be read again")?.rules.local;
    let shadow = |rule: &Rule| local.of(&ruleset.packs, &ruleset.sources, rule).mode == Mode::Shadow;
    Ok(rules.iter().filter(|(_, rule)| shadow(rule)).map(|(_, rule)| rule.name.clone()).collect())
}

/// The kind of a destination.
fn kind<'c>(config: &'c Config, name: &str) -> &'c str {
    config.destinations.iter().find(|one| one.name == name).map_or("", |one| one.kind)
}

/// For people.
fn text_of(record: &Record, config: &Config) -> String {
    let now = load::now();
    let pack = record.pack.as_ref().map(|pack| format!(" (pack {pack})")).unwrap_or_default();
    let Some(since) = record.since else {
        return format!("{}{pack} did not run in shadow yet: there is nothing to tell of it\n", record.rule);
    };
    let shown = times::shown(since);
    let about = times::about(now.saturating_sub(since));
    let mut out = format!("{}{pack} is in shadow since {shown} ({about})\n", record.rule);
    let mut line = |name: &str, text: String| out.push_str(&format!("  {name:<12}{text}\n"));
    line("findings", format!("{}, {:.1} a day", record.findings, record.per_day(now)));
    if record.findings > 0 {
        let severities: Vec<String> = record.severities().map(|(name, n)| format!("{n} {name}")).collect();
        line("severity", severities.join(", "));
        let days =
            record.days.iter().map(|(day, n)| format!("{} {n}", times::shown(*day).get(..10).unwrap_or_default()));
        line("last days", days.collect::<Vec<_>>().join(", "));
        let most: Vec<String> = record.most().iter().map(|(name, n)| format!("{} ({n})", visible(name))).collect();
        let least = if record.is_full() { "at least " } else { "" };
        line("entities", format!("{least}{} different: {}", record.entities.len(), most.join(", ")));
        let routed = &record.routed;
        let least = if routed.left_out > 0 { "at least " } else { "" };
        let (alerts, untold) = (routed.alerts, routed.untold);
        line("alerts", format!("{least}{alerts} would have been opened, {untold} of them told to nobody"));
        for (name, sent) in &routed.to {
            let parts = [
                (sent.alerts, "alert"),
                (sent.updates, "update"),
                (sent.escalations, "escalation"),
                (sent.digests, "digest"),
            ];
            let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| counted(*n, what)).collect();
            let told = if parts.is_empty() { "nothing".to_string() } else { parts.join(", ") };
            line("would get", format!("{} ({}): {told}", visible(name), kind(config, name)));
        }
        if routed.left_out > 0 {
            line(
                "",
                format!("{} more are too many to be routed, and in none of this", counted(routed.left_out, "finding")),
            );
        }
        for (time, title) in &record.samples {
            let when = time.map_or_else(|| "at no time".into(), times::shown);
            line("sample", format!("{when}  {}", visible(title)));
        }
    }
    if record.unreadable > 0 {
        line("", format!("{} of the store cannot be read", counted(record.unreadable, "finding")));
    }
    out
}

fn ending(args: &Args, after: Option<&[String]>) -> String {
    let config = args.at.config.display().to_string();
    match after {
        None => format!(
            "nothing was changed; `tripline packs promote {} -c {} --write` tells it from now on\n",
            visible(&args.name),
            visible(&config)
        ),
        Some([]) => format!("{} is changed: it is told from now on\n", visible(&config)),
        Some(still) => format!(
            "{} is changed: it is told from now on, except for what overrides keep in shadow: {}\n",
            visible(&config),
            still.join(", ")
        ),
    }
}

/// For machines.
fn json_of(record: &Record, config: &Config, now: i64) -> Json {
    let routed = &record.routed;
    let to = routed.to.iter().map(|(name, sent)| {
        json!({
            "destination": name, "kind": kind(config, name), "alerts": sent.alerts, "updates": sent.updates,
            "escalations": sent.escalations, "digests": sent.digests,
        })
    });
    let samples = record.samples.iter().map(|(time, title)| json!({ "time": time.map(times::shown), "title": title }));
    let days =
        record.days.iter().map(|(day, n)| (times::shown(*day).get(..10).unwrap_or_default().to_string(), json!(n)));
    let most = record.most().into_iter().map(|(name, n)| json!({ "entity": name, "findings": n }));
    json!({
        "rule": record.rule,
        "pack": record.pack,
        "since": record.since.map(times::shown),
        "findings": record.findings,
        "findings_per_day": record.per_day(now),
        "severity": record.severities().map(|(name, n)| (name, json!(n))).collect::<serde_json::Map<_, _>>(),
        "days": days.collect::<serde_json::Map<_, _>>(),
        "entities": record.entities.len(),
        "entities_complete": !record.is_full(),
        "most": most.collect::<Vec<_>>(),
        "alerts": routed.alerts,
        "untold": routed.untold,
        "not_routed": routed.left_out,
        "to": to.collect::<Vec<_>>(),
        "samples": samples.collect::<Vec<_>>(),
        "unreadable": record.unreadable,
    })
}
