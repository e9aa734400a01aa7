//! `tripline explain RULE EVENT`: the rule's condition with each part's truth and what it saw.

use std::path::{Path, PathBuf};

use tripline_base::terminal::visible;
use tripline_detect::{Detector, Ruleset, Shape, SourceChoice};
use tripline_eval::explain::{Seen, see};
use tripline_eval::normalize;
use tripline_formats::{Layout, Reader};

use super::Outcome;
use crate::input::Input;
use crate::load;

/// Show why a rule matches an event or not.
#[derive(clap::Args)]
pub struct Args {
    /// The rule's name
    rule: String,
    /// A file with the event (the first one in it), or FILE:N for the N-th; `-` is standard input
    event: String,
    /// Files and folders of rules; the shipped rules where none are named
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// The event's source; told from the event where it is left out
    #[arg(long)]
    source: Option<String>,
    #[command(flatten)]
    input: Input,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let (ruleset, _) = load::ruleset(&args.rules)?;
    load::say(&ruleset.diagnostics, &ruleset.sources, false);
    let names = || ruleset.program.rules.iter().map(|rule| rule.name.as_str());
    let Some(at) = names().position(|name| name == args.rule) else {
        return Err(load::no_rule(&args.rule, names()));
    };
    let bytes = event(&args.event, &args.input.layout()?)?;
    let raw = tripline_formats::parse(&bytes)?;
    let detector = Detector::new(&ruleset);
    let choice = args.source.clone().map_or(SourceChoice::Detect, SourceChoice::Named);
    let Some(source) = detector.source(&choice, &raw) else {
        return Err(format!(
            "no mapping knows this event's source; name it with --source ({})",
            load::sources(&ruleset)
        ));
    };
    let evaluator = detector.matcher().evaluator();
    evaluator.next_event();
    let arm = normalize::arm(evaluator, source, &raw).map(|(_, arm)| arm);
    match arm {
        Some(arm) => crate::outln!("source {}, class {}", source.name, arm.class.name),
        None => crate::outln!("source {}; no mapping gives this event a class", source.name),
    }
    let plans = source.rules.iter().chain(arm.iter().flat_map(|arm| &arm.rules));
    let Some(plan) = plans.into_iter().find(|plan| plan.rule == at) else {
        crate::outln!("the rule {} does not look at such events", args.rule);
        return Ok(1);
    };
    match &plan.explain {
        Some(explain) => tree(&ruleset, &see(evaluator, explain, &raw), 0),
        None => crate::outln!("true   every event of the class"),
    }
    let matched = evaluator.test(plan.condition, &raw);
    let mut excepted = false;
    for (index, condition) in &plan.exceptions {
        let holds = evaluator.test(*condition, &raw);
        excepted |= holds;
        let reason = ruleset.program.rules.get(at).and_then(|rule| rule.exceptions.get(*index)).map(|e| &e.reason);
        crate::outln!("{:<6} exception \"{}\"", holds, visible(reason.map_or("", String::as_str)));
    }
    crate::outln!("=> {}", if matched && !excepted { "the rule fires" } else { "the rule does not fire" });
    Ok(u8::from(!matched || excepted))
}

fn tree(ruleset: &Ruleset, seen: &Seen, depth: usize) {
    let words: Vec<&str> = ruleset.sources.slice(seen.span).split_whitespace().collect();
    let text = match seen.shape {
        Shape::And => "all of".to_string(),
        Shape::Or => "any of".to_string(),
        Shape::Not => "not".to_string(),
        Shape::Test => words.join(" "),
    };
    let saw = match (seen.shape, seen.values.as_slice()) {
        (Shape::Test, []) if seen.test => "   <- absent".to_string(),
        (Shape::Test, values) if !values.is_empty() => format!("   <- {}", values.join(", ")),
        _ => String::new(),
    };
    crate::outln!("{:<6} {}{}", seen.truth, "  ".repeat(depth), visible(&format!("{text}{saw}")));
    for part in &seen.parts {
        tree(ruleset, part, depth + 1);
    }
}

/// The bytes of one event: the first of a file, or the N-th with `FILE:N`.
fn event(given: &str, layout: &Layout) -> Result<Vec<u8>, String> {
    let (path, number) = match given.rsplit_once(':') {
        Some((path, number)) if !Path::new(given).exists() => match number.parse::<usize>() {
            Ok(number) if number > 0 => (path, number),
            _ => (given, 1),
        },
        _ => (given, 1),
    };
    let opened = Reader::open(Path::new(path), layout);
    let mut reader = opened.map_err(|error| format!("`{path}` cannot be read: {error}"))?;
    let mut left = number;
    while let Some(batch) = reader.next_batch().map_err(|error| format!("`{path}` cannot be read: {error}"))? {
        for record in batch.iter() {
            left -= 1;
            if left == 0 {
                return Ok(record.bytes.to_vec());
            }
        }
    }
    Err(format!("`{path}` has fewer than {number} events"))
}
