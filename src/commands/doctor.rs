//! `tripline doctor`: a configuration against what is there.

mod analysis;
mod checks;

use serde_json::{Value as Json, json};
use tripline_base::terminal::visible;

use super::Outcome;
use super::alerts::Format;
use crate::desk::{Desk, Where};

/// Check a configuration against reality: the store, the clock, sources, destinations, and rules that can never fire.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// What is only worth knowing counts as wrong, too
    #[arg(long)]
    strict: bool,
    /// Speak to nobody: leave out what sources and destinations say of themselves
    #[arg(long)]
    offline: bool,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// As it should be.
    Good,
    /// Worth knowing.
    Note,
    /// Not as it should be.
    Bad,
}

impl Mark {
    fn sign(self) -> char {
        match self {
            Mark::Good => '✓',
            Mark::Note => '!',
            Mark::Bad => '✗',
        }
    }

    fn word(self) -> &'static str {
        match self {
            Mark::Good => "good",
            Mark::Note => "note",
            Mark::Bad => "bad",
        }
    }
}

/// What was found of one thing.
#[derive(Clone, Debug)]
pub struct Found {
    /// What it is part of: `store`, `source`, …
    pub part: &'static str,
    /// Its name, where there are several.
    pub name: String,
    /// How it is.
    pub mark: Mark,
    /// What is the case.
    pub what: String,
    /// What to do.
    pub advice: String,
}

impl Found {
    /// Something of which nothing is to be done.
    pub fn good(part: &'static str, name: &str, what: impl Into<String>) -> Self {
        Found { part, name: name.into(), mark: Mark::Good, what: what.into(), advice: String::new() }
    }

    /// Something of which something is to be done.
    pub fn new(mark: Mark, part: &'static str, name: &str, what: impl Into<String>, advice: impl Into<String>) -> Self {
        Found { part, name: name.into(), mark, what: what.into(), advice: advice.into() }
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let desk: Desk = args.at.open()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("the network cannot be used: {error}"))?;
    let mut all = Vec::new();
    let running = checks::store(&desk, &mut all);
    checks::clock(&desk, &mut all);
    let secrets = checks::secrets(&desk, &mut all);
    checks::listeners(&desk, running, &mut all);
    if let (Some(secrets), false) = (&secrets, args.offline) {
        checks::sources(&desk, secrets, &runtime, &mut all);
        checks::destinations(&desk, &runtime, &mut all)?;
    }
    analysis::rules(&desk, &mut all)?;
    analysis::warnings(&args.at.config, &mut all)?;
    let count = |mark| all.iter().filter(|found| found.mark == mark).count();
    let (bad, notes) = (count(Mark::Bad), count(Mark::Note));
    match args.format {
        Format::Json => {
            let found: Vec<Json> = all.iter().map(as_json).collect();
            let out = json!({ "found": found, "bad": bad, "notes": notes, "good": count(Mark::Good) });
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
        Format::Text => {
            all.iter().for_each(print);
            crate::outln!("{} good, {notes} worth knowing, {bad} wrong", count(Mark::Good));
        }
    }
    Ok(u8::from(bad > 0 || args.strict && notes > 0))
}

fn as_json(found: &Found) -> Json {
    json!({
        "part": found.part, "name": found.name, "mark": found.mark.word(), "what": found.what, "advice": found.advice,
    })
}

fn print(found: &Found) {
    let name = if found.name.is_empty() { String::new() } else { format!(" {}", visible(&found.name)) };
    crate::outln!("{} {}{name}: {}", found.mark.sign(), found.part, visible(&found.what));
    if !found.advice.is_empty() {
        crate::outln!("    {}", visible(&found.advice));
    }
}
