//! `tripline canary`: whether each rule would fire now, by what became of the canary that a service injected last; or by
//! canaries that are run at once, without a service.

use std::collections::BTreeMap;

use clap::Subcommand;
use serde_json::{Value as Json, json};
use tripline_base::terminal::{counted, visible};
use tripline_detect::Ruleset;
use tripline_runtime::Load;
use tripline_runtime::canary::report::{self, Answer, Bench, Report};

use super::Outcome;
use super::alerts::Format;
use super::run::{Program, rules};
use crate::desk::Where;
use crate::{load, times};

/// Show whether each rule would fire now, by what became of its canary.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what became of the last canary of each rule, as the service keeps it
    Status(Which),
    /// Run canaries at once, without the service: everything but its sources and the other side of its destinations
    Run(Which),
}

#[derive(clap::Args)]
struct Which {
    #[command(flatten)]
    at: Where,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// These rules alone
    #[arg(value_name = "RULE")]
    rules: Vec<String>,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    match &args.command {
        Command::Status(args) => status(args),
        Command::Run(args) => at_once(args),
    }
}

impl Which {
    fn wants(&self, name: &str) -> bool {
        self.rules.is_empty() || self.rules.iter().any(|wanted| wanted == name)
    }

    fn all_known(&self, ruleset: &Ruleset) -> Result<(), String> {
        let names = || ruleset.program.rules.iter().map(|rule| rule.name.as_str());
        match self.rules.iter().find(|wanted| !names().any(|name| name == **wanted)) {
            Some(unknown) => Err(load::no_rule(unknown, names())),
            None => Ok(()),
        }
    }

    /// 1 where a rule would not fire, or a service does not try it any more: somebody has to look. Rules that no source
    /// feeds are what somebody wanted; `doctor` names them.
    fn print(&self, reports: &[Report]) -> Outcome {
        let wrong = |report: &Report| report.answer == Answer::No && report.state != "unfed" || report.state == "stale";
        let wrong = reports.iter().any(wrong);
        match self.format {
            Format::Json => {
                let all: Vec<Json> = reports.iter().map(Report::json).collect();
                crate::outln!("{}", tripline_detect::json_line(&json!({ "rules": all })));
            }
            Format::Text => table(reports).iter().for_each(|line| crate::outln!("{line}")),
        }
        Ok(u8::from(wrong))
    }
}

fn status(args: &Which) -> Outcome {
    let desk = args.at.open()?;
    let ruleset = Program.load(&desk.config.rules)?.ruleset;
    args.all_known(&ruleset)?;
    let mut reports = report::read(&desk.read()?, &desk.config, &ruleset, load::now())?;
    reports.retain(|report| args.wants(&report.rule));
    args.print(&reports)
}

fn at_once(args: &Which) -> Outcome {
    let desk = args.at.open()?;
    let (loaded, routing, enrichments) = rules(&desk.sources, &desk.config)?;
    args.all_known(&loaded.ruleset)?;
    // Before the first run nothing was kept that holds a canary back.
    let store = desk.config.store.path.exists().then(|| desk.read()).transpose()?;
    let bench = Bench {
        config: &desk.config,
        ruleset: &loaded.ruleset,
        routing,
        enrichments,
        store: store.as_ref(),
        files: &Program,
    };
    args.print(&bench.run(&|rule| args.wants(&rule.name))?)
}

/// A line for each rule, under a head, and how many there are of each.
fn table(reports: &[Report]) -> Vec<String> {
    const HEAD: [&str; 5] = ["RULE", "FIRES", "STATE", "LAST", "WHERE, OR WHY NOT"];
    let mut rows = vec![HEAD.map(str::to_string)];
    rows.extend(reports.iter().map(row));
    let wide: Vec<usize> = (0..HEAD.len())
        .map(|at| rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&wide).map(|(cell, wide)| format!("{cell:<wide$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string()
    };
    let mut out: Vec<String> = rows.iter().map(line).collect();
    let mut states: BTreeMap<&str, u64> = BTreeMap::new();
    for report in reports {
        *states.entry(report.state).or_default() += 1;
    }
    let states: Vec<String> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let fires = reports.iter().filter(|report| report.answer == Answer::Yes).count();
    let all = counted(reports.len() as u64, "rule");
    out.push(format!("{fires} of {all} would fire now ({})", states.join(", ")));
    out
}

fn row(report: &Report) -> [String; 5] {
    let last = report.last.as_ref();
    let step = last.and_then(|last| last.step).filter(|_| report.state == "lost");
    let told = match (report.why.as_str(), step) {
        ("", _) => last.map_or_else(String::new, |last| last.to.join(", ")),
        (why, Some(step)) => format!("{}: {why}", step.as_str()),
        (why, None) => why.to_string(),
    };
    [
        visible(&report.rule).into_owned(),
        report.answer.as_str().into(),
        report.state.into(),
        last.map_or_else(
            || "never".into(),
            |last| format!("{} ago", times::about(load::now().saturating_sub(last.at))),
        ),
        visible(&told).into_owned(),
    ]
}
