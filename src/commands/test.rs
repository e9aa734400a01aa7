//! `tripline test`: the tests under rules and mappings, and their mutants.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::ValueEnum;
use serde_json::json;
use tripline_alert::{Enrichments, Routing};
use tripline_base::SourceMap;
use tripline_base::terminal::visible;
use tripline_detect::harness::{self, Outcome as TestOutcome};
use tripline_detect::{DiskFiles, Local, Ruleset, mutate};
use tripline_runtime::{Config, Tested};

use super::Outcome;
use super::run::{Program, configuration};
use crate::load;

/// Run the tests under rules and mappings.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders
    #[arg(required_unless_present = "config")]
    paths: Vec<PathBuf>,
    /// A configuration of the service: its rules where no files are named, what it makes of packs and rules, and its routes
    /// and destinations for tests that expect something of them
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Only tests whose RULE/TEST contains this; with --mutate, only rules that have such a test or such a name
    #[arg(long, default_value = "")]
    filter: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    sigma: load::Sigma,
    /// Mutate each rule and report the mutants that no test of the rule notices
    #[arg(long, conflicts_with = "config")]
    mutate: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// JUnit XML
    Junit,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let mut sigma = args.sigma.clone();
    let mut texts = load::rule_texts(&args.paths)?;
    let mut local = Local::default();
    let mut beside = false;
    if let Some(path) = &args.config
        && let (Some(config), _) = configuration(&mut SourceMap::new(), path)?
    {
        if args.paths.is_empty() {
            texts = load::configured_texts(&config.rules)?;
            sigma.pipelines.extend(config.rules.pipelines);
            sigma.taxonomies.extend(config.rules.taxonomies);
        }
        // What a configuration says of the rules over the service itself is checked, and these are not what is tested.
        beside = load::watched(&mut texts);
        local = config.rules.local;
    }
    let (mut compiler, mut own) = load::compiler_of(&texts, &sigma)?;
    own.retain(|name| !beside || !load::is_watched(name));
    compiler.configure(&local);
    let mut ruleset = compiler.compile(&DiskFiles, load::now());
    sigma.usable(&ruleset)?;
    let config = args.config.as_ref().map(|path| configured(path, &mut ruleset)).transpose()?;
    let errors = load::say(&ruleset.diagnostics, &ruleset.sources, false);
    if args.mutate {
        return mutants(args, &ruleset, errors);
    }
    let begun = Instant::now();
    let tested = config
        .as_ref()
        .map(|(config, routing, enrichments)| Tested::new(&ruleset, config, routing.clone(), enrichments.clone()));
    let routes = tested.as_ref().map(|tested| -> &dyn harness::Routes { tested });
    let mut outcomes = harness::run(&ruleset, &Program, &args.filter, routes);
    // Shipped mappings are loaded beside the user's files, and tested where they are named.
    outcomes.retain(|o| own.iter().any(|name| name == ruleset.sources.name(o.span.file)));
    let failed = outcomes.iter().filter(|o| !o.failures.is_empty()).count();
    let skipped = outcomes.iter().filter(|o| o.skipped.is_some()).count();
    match args.format {
        Format::Text => {
            for outcome in outcomes.iter().filter(|o| !o.passed()) {
                crate::out!("{}", text(&ruleset, outcome));
            }
            crate::outln!(
                "{} passed, {failed} failed, {skipped} skipped in {:.2} s",
                outcomes.len() - failed - skipped,
                begun.elapsed().as_secs_f64()
            );
        }
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&as_json(&ruleset, &outcomes))),
        Format::Junit => crate::out!("{}", junit(&ruleset, &outcomes)),
    }
    if outcomes.is_empty() && errors == 0 {
        return Err("no test was found".into());
    }
    Ok(if errors > 0 { 2 } else { u8::from(failed > 0) })
}

/// The configuration with its routes and enrichments over the rules that are tested.
fn configured(path: &Path, ruleset: &mut Ruleset) -> Result<(Config, Routing, Enrichments), String> {
    let (config, mut said) = configuration(&mut ruleset.sources, path)?;
    let found = config.map(|config| {
        let (routing, of_routes) = config.with(&ruleset.sources, ruleset);
        let (enrichments, of_enrichments) = config.enrichments(&ruleset.sources, ruleset);
        said.extend(of_routes.into_iter().chain(of_enrichments));
        (config, routing, enrichments)
    });
    let errors = load::say(&said, &ruleset.sources, false);
    found.filter(|_| errors == 0).ok_or_else(|| "the configuration cannot be used".to_string())
}

fn place(ruleset: &Ruleset, outcome: &TestOutcome) -> (String, usize) {
    let file = ruleset.sources.get(outcome.span.file);
    let line = file.map_or(0, |file| file.place(outcome.span.start as usize).line);
    (ruleset.sources.name(outcome.span.file).to_string(), line)
}

fn text(ruleset: &Ruleset, outcome: &TestOutcome) -> String {
    let (file, line) = place(ruleset, outcome);
    let mut out = String::new();
    if let Some(why) = &outcome.skipped {
        let (test, file) = (visible(&outcome.test), visible(&file));
        return format!("SKIPPED {} / {test} ({file}:{line}): {why}\n", outcome.item);
    }
    out.push_str(&format!("FAILED {} / {} ({}:{line})\n", outcome.item, visible(&outcome.test), visible(&file)));
    for failure in &outcome.failures {
        for line in failure.lines() {
            out.push_str(&format!("  {}\n", visible(line)));
        }
    }
    out.push('\n');
    out
}

fn as_json(ruleset: &Ruleset, outcomes: &[TestOutcome]) -> serde_json::Value {
    let all: Vec<_> = outcomes
        .iter()
        .map(|o| {
            let (file, line) = place(ruleset, o);
            json!({
                "item": o.item, "test": o.test, "file": file, "line": line, "passed": o.passed(),
                "skipped": o.skipped, "failures": o.failures,
            })
        })
        .collect();
    json!({ "tests": all })
}

fn junit(ruleset: &Ruleset, outcomes: &[TestOutcome]) -> String {
    let failed = outcomes.iter().filter(|o| !o.failures.is_empty()).count();
    let skipped = outcomes.iter().filter(|o| o.skipped.is_some()).count();
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n<testsuite name=\"tripline\" tests=\"{}\" failures=\"{failed}\" skipped=\"{skipped}\">\n",
        outcomes.len()
    );
    for outcome in outcomes {
        let (file, line) = place(ruleset, outcome);
        out.push_str(&format!(
            "<testcase classname=\"{}\" name=\"{}\" file=\"{}\" line=\"{line}\">",
            xml(&outcome.item),
            xml(&outcome.test),
            xml(&file)
        ));
        if let Some(why) = &outcome.skipped {
            out.push_str(&format!("<skipped message=\"{}\"/>", xml(why)));
        }
        for failure in &outcome.failures {
            let first = failure.lines().next().unwrap_or("");
            out.push_str(&format!("<failure message=\"{}\">{}</failure>", xml(first), xml(failure)));
        }
        out.push_str("</testcase>\n");
    }
    out.push_str("</testsuite>\n</testsuites>\n");
    out
}

fn xml(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_string(),
            '<' => "&lt;".to_string(),
            '>' => "&gt;".to_string(),
            '"' => "&quot;".to_string(),
            c if c.is_control() && !matches!(c, '\n' | '\t') => ' '.to_string(),
            c => c.to_string(),
        })
        .collect()
}

fn mutants(args: &Args, ruleset: &Ruleset, errors: usize) -> Outcome {
    let scores = mutate::run(ruleset, &Program, &args.filter);
    if scores.is_empty() && !args.filter.is_empty() && errors == 0 {
        return Err(format!(
            "no rule has `{}` in its name, nor in the RULE/TEST of one of its tests (`--mutate` changes rules, and no mappings)",
            args.filter
        ));
    }
    let (mut killed, mut all) = (0, 0);
    let mut bad = false;
    let mut rows = Vec::new();
    for score in &scores {
        killed += score.killed;
        all += score.killed + score.survived.len();
        bad |= !score.survived.is_empty() || !score.stale.is_empty() || !score.failing.is_empty();
        rows.push(json!({
            "rule": score.rule, "score": score.percent(), "killed": score.killed, "survived": score.survived,
            "equivalent": score.equivalent.iter().map(|(label, why)| json!({ "mutant": label, "because": why })).collect::<Vec<_>>(),
            "stale": score.stale, "vacuous_tests": score.vacuous, "failing_tests": score.failing,
        }));
        if args.format == Format::Text {
            crate::outln!(
                "{:>5.1} %  {} ({} mutants)",
                score.percent(),
                score.rule,
                score.killed + score.survived.len()
            );
            for label in &score.survived {
                crate::outln!("         survived: {}", visible(label));
            }
            for (label, why) in &score.equivalent {
                crate::outln!("         equivalent: {}, because {}", visible(label), visible(why));
            }
            for label in &score.stale {
                crate::outln!("         declared equivalent, and no such mutant survives: {}", visible(label));
            }
            for test in &score.failing {
                crate::outln!("         left out, it fails without any mutation: {}", visible(test));
            }
            for test in &score.vacuous {
                crate::outln!("         vacuous test (notices no mutant): {}", visible(test));
            }
        }
    }
    match args.format {
        Format::Text => crate::outln!("{killed} of {all} mutants killed in {} rules", scores.len()),
        Format::Json => {
            let out = json!({ "rules": rows, "killed": killed, "mutants": all });
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
        Format::Junit => return Err("mutants are printed as text or json".into()),
    }
    Ok(if errors > 0 { 2 } else { u8::from(bad) })
}
