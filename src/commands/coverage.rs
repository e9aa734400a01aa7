//! `tripline coverage`: which ATT&CK techniques the rules cover, and which they leave open.

mod html;
mod json;
mod navigator;
mod text;

use std::path::PathBuf;

use clap::ValueEnum;
use tripline_base::terminal::{counted, visible};
use tripline_detect::coverage::{Coverage, Scope, coverage, known_sources};
use tripline_schema::attack;
use tripline_semantic::Program;

use super::Outcome;
use crate::load;

/// Show which ATT&CK techniques the rules cover.
#[derive(clap::Args)]
pub struct Args {
    /// Files and folders of rules, native or Sigma; the shipped rules where none are named
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Consider these sources alone, by name or by the first words of it; those of the rules where left out
    #[arg(long, value_name = "NAME", num_args = 1..)]
    source: Vec<String>,
    /// Consider these ATT&CK platforms; those that the sources tell about where left out
    #[arg(long, value_name = "NAME", num_args = 1..)]
    platform: Vec<String>,
    /// Tell it for each source by itself (text or json)
    #[arg(long, value_enum)]
    by: Option<By>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Each source by itself
    Source,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object, with everything
    Json,
    /// A layer for the ATT&CK Navigator
    Navigator,
    /// One page for a browser
    Html,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    if args.by.is_some() && !matches!(args.format, Format::Text | Format::Json) {
        return Err("--by source is for text and json; choose one source with --source for a layer or a page".into());
    }
    let (ruleset, _) = load::ruleset(&args.rules)?;
    load::say(&ruleset.diagnostics, &ruleset.sources, false);
    let program = &ruleset.program;
    if program.rules.is_empty() {
        return Err("there is no rule in what was named".into());
    }
    let scope = Scope { sources: sources(program, &args.source)?, platforms: platforms(&args.platform)? };
    let found = coverage(program, &scope);
    let out = match (args.format, args.by) {
        (Format::Text, None) => text::report(&found),
        (Format::Text, Some(By::Source)) => {
            let each = each(program, &scope, &found);
            let sections = each.iter().map(|(name, part)| format!("== {} ==\n{}", visible(name), text::report(part)));
            text::by_source(&each) + "\n" + &sections.collect::<Vec<_>>().join("\n")
        }
        (Format::Json, None) => tripline_detect::json_line(&json::report(&ruleset, &found)) + "\n",
        (Format::Json, Some(By::Source)) => {
            let each = each(program, &scope, &found);
            let parts: serde_json::Map<_, _> =
                each.iter().map(|(name, part)| (name.clone(), json::report(&ruleset, part))).collect();
            tripline_detect::json_line(&serde_json::json!({ "by_source": parts })) + "\n"
        }
        (Format::Navigator, _) => tripline_detect::json_line(&navigator::layer(&found)) + "\n",
        (Format::Html, _) => html::page(&found),
    };
    match &args.out {
        None => crate::out!("{out}"),
        Some(path) => {
            std::fs::write(path, out).map_err(|error| format!("`{}` cannot be written: {error}", path.display()))?;
            let rules = counted(found.rules.len() as u64, "rule");
            eprintln!("tripline: wrote {} ({rules})", visible(&path.display().to_string()));
        }
    }
    Ok(0)
}

/// The same for each source by itself.
fn each<'p>(program: &'p Program, scope: &Scope, found: &Coverage<'p>) -> Vec<(String, Coverage<'p>)> {
    let one = |name: &String| {
        let scope = Scope { sources: vec![name.clone()], platforms: scope.platforms.clone() };
        (name.clone(), coverage(program, &scope))
    };
    found.sources.iter().map(one).collect()
}

/// The sources as given; a name that nothing knows is likely mistyped.
fn sources(program: &Program, given: &[String]) -> Result<Vec<String>, String> {
    let known = known_sources(program);
    let begins = |name: &str, with: &str| name.strip_prefix(with).is_some_and(|rest| rest.starts_with('.'));
    let placed: Vec<&str> = attack().placed_sources().collect();
    for name in given {
        let fits = known.iter().any(|source| source == name || begins(source, name));
        if !fits && !placed.contains(&name.as_str()) {
            let hint = load::hint(name, known.iter().chain(&placed).copied());
            return Err(format!("nothing knows a source `{name}`{hint} (there are {})", load::some(&known)));
        }
    }
    Ok(given.to_vec())
}

/// The platforms by their names in ATT&CK, whatever the case they are given in.
fn platforms(given: &[String]) -> Result<Vec<&'static str>, String> {
    let known = attack().platforms();
    let one = |name: &String| {
        known.iter().find(|platform| platform.eq_ignore_ascii_case(name)).copied().ok_or_else(|| {
            let hint = load::hint(name, known.iter().copied());
            format!("ATT&CK has no platform `{name}`{hint} (there are {})", known.join(", "))
        })
    };
    given.iter().map(one).collect()
}
