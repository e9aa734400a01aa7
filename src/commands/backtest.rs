//! `tripline backtest`: what rules would have found in an archive, counted.

mod html;
mod json;
mod text;

use std::path::{Path, PathBuf};

use tripline_base::SourceMap;
use tripline_base::terminal::{counted, visible};
use tripline_detect::backtest::{Backtest, Period, Report};
use tripline_detect::scan::{Told, Wanted};
use tripline_detect::{DiskFiles, Ruleset};
use tripline_runtime::Config;

use super::Outcome;
use super::run::configuration;
use crate::html::Format;
use crate::replay::Replayed;
use crate::routed::{Routed, Routing};
use crate::{load, replay};

/// Tell what rules would have found in archived logs: findings, keys and alerts per rule and day.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders of rules, native or Sigma; where none are named those of the configuration, or the shipped ones
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Report findings from this time on: RFC 3339 or a date, UTC. Events before it are judged all the same, so that
    /// rules over several events know what came before
    #[arg(long, value_name = "TIME", value_parser = crate::times::time)]
    from: Option<i64>,
    /// Report findings before this time
    #[arg(long, value_name = "TIME", value_parser = crate::times::time)]
    to: Option<i64>,
    /// Judge by the packs and overrides of this configuration, and tell what its routes would have sent, too, were
    /// nobody to do anything
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    how: replay::How,
    /// Log files, all one stream, as for `scan`; `-` is standard input
    files: Vec<PathBuf>,
}

/// What there is to tell.
struct Done<'d> {
    ruleset: &'d Ruleset,
    report: &'d Report,
    replayed: &'d Replayed,
    routed: Option<&'d Routed>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let period = Period { from: args.from, to: args.to };
    if let (Some(from), Some(to)) = (period.from, period.to)
        && from >= to
    {
        return Err("--from is not before --to, so that no finding can be reported".into());
    }
    replay::threads(args.how.threads)?;
    let (rules, files) = replay::rules_and_logs(&args.rules, &args.files)?;
    let config = args.config.as_ref().map(|path| usable(path)).transpose()?;
    let mut watched = false;
    let ruleset = match &config {
        None => load::ruleset_with(&rules, &args.how.sigma())?.0,
        Some((_, config)) => {
            let mut sigma = args.how.sigma();
            sigma.pipelines.extend(config.rules.pipelines.iter().cloned());
            sigma.taxonomies.extend(config.rules.taxonomies.iter().cloned());
            let mut texts = match rules.is_empty() {
                true => load::configured_texts(&config.rules)?,
                false => load::texts_of(&rules, None)?,
            };
            watched = load::watched(&mut texts);
            let (mut compiler, _) = load::compiler_of(&texts, &sigma)?;
            compiler.configure(&config.rules.local);
            compiler.compile(&DiskFiles, load::now())
        }
    };
    args.how.sigma.usable(&ruleset)?;
    load::say(&ruleset.diagnostics, &ruleset.sources, false);
    if config.as_ref().is_some_and(|(_, config)| load::of_configuration(&ruleset, &config.rules)) {
        return Err("the configuration cannot be used".into());
    }
    for name in ruleset.broken() {
        eprintln!("tripline: the rule `{}` has an error and is left out", visible(name));
    }
    let of = |rule: &tripline_semantic::typed::Rule| ruleset.sources.name(rule.span.file);
    if ruleset.active().all(|rule| watched && load::is_watched(of(rule))) {
        return Err("there is no rule to evaluate".into());
    }
    let layout = args.how.input.layout()?;
    let source = replay::source(&ruleset, args.how.source.as_deref())?;
    let wanted = Wanted { source, findings: true, lines: false };
    let mut backtest = Backtest::new(&ruleset, period);
    let mut routing = match &config {
        Some((sources, config)) if !config.destinations.is_empty() => Some(Routing::new(&ruleset, sources, config)?),
        _ => None,
    };
    let replayed = replay::replay(&ruleset, &files, &layout, &wanted, &mut |_, told| {
        if let Told::Finding(finding) = told {
            if let Some(routing) = routing.as_mut().filter(|_| period.holds(finding.time)) {
                routing.take(&finding);
            }
            backtest.take(*finding);
        }
        true
    });
    let mut report = backtest.report();
    // Logs hold nothing of what a service tells of itself, and nobody asked about the rules over it.
    let rules = &ruleset.program.rules;
    report.silent.retain(|at| !watched || !rules.get(*at).is_some_and(|rule| load::is_watched(of(rule))));
    let routed = routing.map(Routing::report).transpose()?;
    let done = Done { ruleset: &ruleset, report: &report, replayed: &replayed, routed: routed.as_ref() };
    let out = match args.format {
        Format::Text => text::report(&done),
        Format::Json => tripline_detect::json_line(&json::report(&done)) + "\n",
        Format::Html => html::page(&done),
    };
    match &args.out {
        None => crate::out!("{out}"),
        Some(path) => {
            std::fs::write(path, out).map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
            let findings = counted(report.sums.findings, "finding");
            eprintln!("tripline: wrote {} ({findings})", visible(&path.display().to_string()));
        }
    }
    replayed.say_what_was_given_up();
    if replayed.failed.is_empty() { Ok(0) } else { Err(replayed.failed.join("\n")) }
}

/// The configuration without errors, and the text that messages point at.
fn usable(path: &Path) -> Result<(SourceMap, Config), String> {
    let mut sources = SourceMap::new();
    let (config, said) = configuration(&mut sources, path)?;
    load::say(&said, &sources, false);
    let config = config.ok_or("the configuration cannot be used")?;
    Ok((sources, config))
}

impl Done<'_> {
    /// A rule's name, title, and severity as its header has it.
    fn rule(&self, at: usize) -> (&str, &str, &'static str) {
        self.ruleset.program.rules.get(at).map_or(("", "", ""), |rule| {
            let severity = rule.header.severity.map_or("medium", |severity| severity.name());
            (&rule.name, &rule.header.title, severity)
        })
    }

    /// What exceptions took away, in the whole of the files.
    fn excepted(&self) -> u64 {
        self.replayed.totals.excepted.values().sum()
    }

    /// Events in a second.
    fn speed(&self) -> f64 {
        self.replayed.totals.events as f64 / self.replayed.seconds
    }

    /// What was read and is of interest to whoever doubts the numbers: how many of what.
    fn doubts(&self) -> Vec<(u64, &'static str)> {
        let totals = &self.replayed.totals;
        [
            (totals.unparsed, "pieces of input that are no event"),
            (totals.unknown, "events of no source that is known"),
            (totals.without_time, "events without a time, which rules over several events cannot judge"),
            (self.replayed.late, "events that came too late for rules over several events"),
            (totals.redelivered, "events that came twice, and count once for rules over several events"),
            (self.report.sums.without_time, "findings without a time, which no day has"),
            (self.excepted(), "findings that exceptions took away"),
            (self.report.outside, "findings outside of the period, not reported"),
        ]
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .collect()
    }
}
