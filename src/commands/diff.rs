//! `tripline diff`: what a change of rules changes in what they find.

mod git;
mod json;
mod markdown;
mod samples;
mod text;

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tripline_base::Level;
use tripline_base::terminal::visible;
use tripline_detect::diff::{OfRule, Seen, Side, Standing, compare};
use tripline_detect::scan::{Told, Totals, Wanted};
use tripline_detect::{DiskFiles, Ruleset};

use super::Outcome;
use crate::{load, replay};

/// Compare what two revisions of rules in a git repository find in the same logs.
#[derive(clap::Args)]
pub struct Args {
    /// `BASE..HEAD`, or `BASE..` for the files as they are now; with `...`, from where HEAD parted from BASE
    #[arg(value_name = "BASE..HEAD")]
    revisions: String,
    /// Log files, all one stream, as for `scan`; standard input cannot be read twice, and is none
    #[arg(long = "on", value_name = "FILE", num_args = 1.., required = true)]
    files: Vec<PathBuf>,
    /// Files and folders of rules in the repository
    #[arg(long, value_name = "PATH", num_args = 1.., default_value = "rules")]
    rules: Vec<PathBuf>,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Exit with 1 where anything that is found changes, or rules have errors in one revision only
    #[arg(long)]
    fail_on_change: bool,
    #[command(flatten)]
    how: replay::How,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// For a comment on a pull request
    Markdown,
}

/// One of the two.
struct Revision {
    /// As the user names it.
    name: String,
    /// The commit; none for the files as they are.
    commit: Option<String>,
    ruleset: Ruleset,
    /// How many errors its rules have.
    errors: usize,
}

/// What there is to tell.
struct Done {
    base: Revision,
    head: Revision,
    totals: Totals,
    rules: Vec<OfRule>,
    samples: samples::Samples,
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let (base, head, parted) = revisions(&args.revisions)?;
    if args.files.iter().any(|file| file == Path::new("-")) {
        return Err("standard input cannot be read twice; name files with --on".into());
    }
    replay::threads(args.how.threads)?;
    let first = args.rules.first().ok_or("--rules names nothing")?;
    let repo = git::Repo::of(first)?;
    let mut from = repo.commit(base)?;
    let to = head.map(|head| repo.commit(head)).transpose()?;
    if parted {
        let other = match &to {
            Some(commit) => commit.clone(),
            None => repo.commit("HEAD")?,
        };
        from = repo.parted(&from, &other)?;
    }
    let base = revision(args, &repo, base, from)?;
    let head = match (head, to) {
        (Some(name), Some(commit)) => revision(args, &repo, name, commit)?,
        _ => working_tree(args)?,
    };
    if base.ruleset.active().chain(head.ruleset.active()).next().is_none() {
        let names: Vec<String> = args.rules.iter().map(|path| format!("`{}`", path.display())).collect();
        return Err(format!("neither revision has a rule that can be evaluated in {}", names.join(", ")));
    }
    let (before, _, mut failed) = found(args, &base)?;
    let (after, totals, _) = found(args, &head)?;
    let rules = compare((&base.ruleset, before), (&head.ruleset, after));
    let samples = samples::read(&rules, &args.files, &args.how.input.layout()?);
    failed.dedup();
    let done = Done { base, head, totals, rules, samples };
    match args.format {
        Format::Text => crate::out!("{}", text::report(&done)),
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&json::report(&done))),
        Format::Markdown => crate::out!("{}", markdown::report(&done)),
    }
    if !failed.is_empty() {
        return Err(failed.join("\n"));
    }
    Ok(u8::from(args.fail_on_change && done.changes()))
}

/// `BASE..HEAD` taken apart; whether there were three dots.
fn revisions(given: &str) -> Result<(&str, Option<&str>, bool), String> {
    let (base, head) = given.split_once("..").ok_or("write BASE..HEAD, or BASE.. for the files as they are now")?;
    let (head, parted) = head.strip_prefix('.').map_or((head, false), |head| (head, true));
    if base.is_empty() || head.contains("..") {
        return Err("write BASE..HEAD, or BASE.. for the files as they are now".into());
    }
    Ok((base, (!head.is_empty()).then_some(head), parted))
}

fn revision(args: &Args, repo: &git::Repo, name: &str, commit: String) -> Result<Revision, String> {
    let tree = repo.tree(&commit, name, &args.rules)?;
    let (compiler, _) = load::compiler_of(&tree.texts()?, &args.how.sigma())?;
    let ruleset = compiler.compile(&tree, load::now());
    told(args, name.to_string(), Some(commit), ruleset)
}

fn working_tree(args: &Args) -> Result<Revision, String> {
    // What was deleted is a change like others.
    let there: Vec<PathBuf> = args.rules.iter().filter(|path| path.exists()).cloned().collect();
    let (compiler, _) = load::compiler_of(&load::texts_of(&there, None)?, &args.how.sigma())?;
    told(args, "working tree".into(), None, compiler.compile(&DiskFiles, load::now()))
}

/// A revision, its errors said.
fn told(args: &Args, name: String, commit: Option<String>, ruleset: Ruleset) -> Result<Revision, String> {
    args.how.sigma.usable(&ruleset)?;
    load::say(&ruleset.diagnostics, &ruleset.sources, false);
    for rule in ruleset.broken() {
        eprintln!("tripline: {}: the rule `{}` has an error and is left out", visible(&name), visible(rule));
    }
    let errors = ruleset.diagnostics.iter().filter(|said| said.level() == Level::Error).count();
    Ok(Revision { name, commit, ruleset, errors })
}

/// What a revision finds.
fn found(args: &Args, revision: &Revision) -> Result<(Side, Totals, Vec<String>), String> {
    let layout = args.how.input.layout()?;
    let source = replay::source(&revision.ruleset, args.how.source.as_deref())?;
    let wanted = Wanted { source, findings: true, lines: false };
    let mut side = Side::default();
    let replayed = replay::replay(&revision.ruleset, &args.files, &layout, &wanted, &mut |_, told| {
        if let Told::Finding(finding) = told {
            side.take(&revision.ruleset, *finding);
        }
        true
    });
    Ok((side, replayed.totals, replayed.failed))
}

impl Revision {
    /// Its name, with the beginning of its commit.
    fn title(&self) -> String {
        match &self.commit {
            Some(commit) => format!("{} ({})", self.name, commit.chars().take(12).collect::<String>()),
            None => self.name.clone(),
        }
    }
}

impl Done {
    /// Findings gained, lost, changed, and the same on both sides.
    fn sums(&self) -> [u64; 4] {
        self.rules.iter().fold([0; 4], |[gained, lost, changed, same], of| {
            let (more, other) = (of.gained.len() as u64, of.changed.len() as u64);
            [gained + more, lost + of.lost.len() as u64, changed + other, same + of.found.1 - more - other]
        })
    }

    /// Rules of which there is something to tell: those whose findings differ, then the others.
    fn told(&self) -> Vec<&OfRule> {
        let mut out: Vec<&OfRule> = self.rules.iter().filter(|of| of.differs()).collect();
        out.sort_by_key(|of| !of.found_differs());
        out
    }

    /// Rules with an error, or that are not evaluated, on either side.
    fn broken(&self) -> Vec<&OfRule> {
        let broken = |standing| standing == Standing::Broken;
        self.rules.iter().filter(|of| broken(of.standing.0) || broken(of.standing.1)).collect()
    }

    fn changes(&self) -> bool {
        self.base.errors != self.head.errors
            || self.rules.iter().any(|of| {
                of.found_differs() || (of.standing.0 == Standing::Broken) != (of.standing.1 == Standing::Broken)
            })
    }
}

/// What became of a rule; nothing where it is evaluated on both sides.
fn standing(of: &OfRule) -> &'static str {
    match of.standing {
        (Standing::Runs, Standing::Runs) => "",
        (Standing::Missing, Standing::Runs) => "new",
        (_, Standing::Missing) => "removed",
        (Standing::Missing, Standing::Broken) => "new, and does not run",
        (Standing::Broken, Standing::Broken) => "does not run in either",
        (Standing::Runs, Standing::Broken) => "no longer runs",
        (Standing::Broken, Standing::Runs) => "runs now",
    }
}

/// `user alice, ip 192.0.2.1`.
fn who(seen: &Seen) -> String {
    seen.entities.iter().map(|(kind, value)| format!("{kind} {value}")).collect::<Vec<_>>().join(", ")
}

/// Where its event stands; nothing where it stands in no file.
fn place(seen: &Seen) -> Option<String> {
    (seen.origin.line > 0).then(|| seen.origin.to_string())
}

/// What is another in a finding that changed.
fn what_changed(then: &Seen, now: &Seen) -> String {
    let mut out = Vec::new();
    if then.severity != now.severity {
        out.push(format!("severity {} -> {}", then.severity.name(), now.severity.name()));
    }
    if then.count != now.count {
        out.push(format!("events {} -> {}", then.count, now.count));
    }
    if then.title != now.title {
        out.push(format!("title was: {}", then.title));
    }
    out.join("; ")
}
