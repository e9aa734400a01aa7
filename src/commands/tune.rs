//! `tripline tune`: an exception for what was judged a false positive, with what else it would take away.

mod archive;
mod fields;
mod print;
mod raw;
mod samples;
mod search;
mod several;
mod sigma;
mod write;

use std::collections::BTreeSet;
use std::path::PathBuf;

use tripline_base::terminal::{counted, visible};
use tripline_detect::{Detector, DiskFiles, Ruleset, SourceChoice};
use tripline_semantic::typed::{Dialect, Rule};

use super::Outcome;
use super::alerts::Format;
use crate::desk::{Desk, Where};
use crate::{load, replay, times};
use archive::Archive;
use samples::{Mark, Sample, Samples};
use search::{Found, Test, search};
use write::Changed;

/// Propose an exception for what was judged a false positive.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    at: Where,
    /// Log files in which to look what else the exception would take away, as for `scan`
    #[arg(long, value_name = "FILE", num_args = 1..)]
    on: Vec<PathBuf>,
    /// With --on: the source of every event; told from each event where it is left out
    #[arg(long, requires = "on")]
    source: Option<String>,
    /// Put the exception into the rule's file
    #[arg(long)]
    write: bool,
    /// Who answers for the exception; the name of the user where it is left out
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// Why; that alerts were judged false positives where it is left out
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long the exception holds
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = times::span)]
    expires: i64,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The rule, by its name
    rule: String,
}

/// An exception, and what it does.
struct Proposal<'p> {
    rule: &'p Rule,
    tests: Vec<Test>,
    /// As it is written, one clause.
    clause: String,
    samples: &'p Samples,
    /// Which samples it takes away, by their places.
    taken: BTreeSet<usize>,
    archive: Option<Archive>,
    /// How many tests of the rule pass with it.
    passed: usize,
    /// The file, once it was written.
    written: Option<String>,
}

impl Proposal<'_> {
    /// How many samples with a mark it takes away, and how many there are.
    fn of(&self, mark: Mark) -> (usize, usize) {
        let all = self.samples.all.iter().enumerate().filter(|(_, sample)| sample.mark == mark);
        let taken = all.clone().filter(|(at, _)| self.taken.contains(at)).count();
        (taken, all.count())
    }

    /// The alerts of the false positives that it takes away.
    fn alerts(&self) -> BTreeSet<&str> {
        let all = self.samples.all.iter().enumerate();
        let taken = all.filter(|(at, sample)| sample.mark == Mark::False && self.taken.contains(at));
        taken.map(|(_, sample)| sample.alert.as_str()).collect()
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    let desk = args.at.open()?;
    let store = desk.read()?;
    let (ruleset, ..) = desk.rules()?;
    let rule = find(&ruleset, &args.rule)?;
    let samples = samples::read(&store, &ruleset, rule)?;
    let wrong = samples.with(Mark::False).count();
    if wrong == 0 {
        let without = match samples.without {
            0 => String::new(),
            n => format!(" ({} of its alerts have no event that is kept)", counted(n, "finding")),
        };
        return Err(format!(
            "no {} of `{}` was judged a false positive{without}; judge alerts with `tripline alerts close ID \
             --verdict false-positive`",
            samples.noun(),
            rule.name
        ));
    }
    let tests = match search(&samples) {
        Found::Tests(tests) => tests,
        Found::Nothing(why) => return nothing(args, rule, &why),
    };
    let texts = load::service_texts(&desk.config.rules)?;
    let answers = answers(args, rule, &samples, &tests);
    let (clause, changed) = if rule.dialect == Dialect::Sigma {
        let filter = sigma::filter(&ruleset, rule, &tests, answers.as_texts())?;
        let changed = write::filtered(&texts, &desk, &ruleset, rule, &filter)?;
        (filter, changed)
    } else {
        let clause = clause(rule, &tests, &answers);
        let changed = write::changed(&texts, &desk, &ruleset, rule, &clause)?;
        (clause, changed)
    };
    let taken = taken(&ruleset, &changed, &samples, &tests)?;
    let mut proposal =
        Proposal { rule, tests, clause, samples: &samples, taken, archive: None, passed: 0, written: None };
    let (hidden, _) = proposal.of(Mark::True);
    if hidden > 0 {
        return nothing(args, rule, "it would hide what was judged a true positive");
    }
    if proposal.of(Mark::False).0 == 0 {
        return nothing(args, rule, "it would take away none of the false positives");
    }
    if !args.on.is_empty() {
        let source = replay::source(&ruleset, args.source.as_deref())?;
        let archive = archive::compare(&ruleset, &changed.ruleset, &rule.name, &source, &args.on)?;
        let known: BTreeSet<&str> = samples.with(Mark::True).map(|sample| sample.uid.as_str()).collect();
        if archive.removed.iter().any(|one| known.contains(one.uid.as_str())) {
            return nothing(args, rule, "it would hide a finding of the archive that was judged a true positive");
        }
        proposal.archive = Some(archive);
    }
    match write::tested(&changed, &rule.name) {
        Ok(passed) => proposal.passed = passed,
        Err(failed) => {
            let why = format!("a test of the rule fails with it, so the rule is meant to find such events:\n{failed}");
            return nothing(args, rule, &why);
        }
    }
    if args.write {
        proposal.written = Some(changed.write(&desk)?);
    }
    match args.format {
        Format::Text => crate::out!("{}", print::text(&proposal)),
        Format::Json => crate::outln!("{}", tripline_detect::json_line(&print::json(&proposal))),
    }
    Ok(0)
}

/// The rule, where an exception can be put into it.
fn find<'r>(ruleset: &'r Ruleset, name: &str) -> Result<&'r Rule, String> {
    let rules = &ruleset.program.rules;
    let known = || rules.iter().map(|rule| rule.name.as_str());
    let rule = rules.iter().find(|rule| rule.name == name).ok_or_else(|| load::no_rule(name, known()))?;
    if rule.broken {
        return Err(format!("the rule `{name}` has an error; `tripline check` shows it"));
    }
    if rule.dialect == Dialect::Sigma && rule.stateful.is_some() {
        return Err(format!(
            "`{name}` is a Sigma correlation, which no filter can name: tune one of the rules that it counts, or convert \
             it with `tripline sigma convert --out DIR`, and tune the rule that comes of it"
        ));
    }
    Ok(rule)
}

/// Says that there is no proposal.
fn nothing(args: &Args, rule: &Rule, why: &str) -> Outcome {
    match args.format {
        Format::Text => crate::outln!("no exception is proposed for `{}`:", rule.name),
        Format::Json => {
            let out = serde_json::json!({ "rule": rule.name, "exception": null, "refused": why });
            crate::outln!("{}", tripline_detect::json_line(&out));
        }
    }
    if args.format == Format::Text {
        why.lines().for_each(|line| crate::outln!("  {}", visible(line)));
    }
    Ok(1)
}

/// Whether all tests hold for a sample.
fn holds(sample: &Sample, tests: &[Test]) -> bool {
    tests.iter().all(|test| sample.fields.get(&test.path) == Some(&test.value))
}

/// Who answers for an exception, why, and until when.
struct Answers {
    reason: String,
    owner: String,
    /// A date.
    until: String,
}

impl Answers {
    fn as_texts(&self) -> (&str, &str, &str) {
        (&self.reason, &self.owner, &self.until)
    }
}

fn answers(args: &Args, rule: &Rule, samples: &Samples, tests: &[Test]) -> Answers {
    let owner = args.owner.clone().or_else(|| std::env::var("USER").ok()).unwrap_or_else(|| "nobody".into());
    let alerts: BTreeSet<&str> =
        samples.with(Mark::False).filter(|sample| holds(sample, tests)).map(|sample| sample.alert.as_str()).collect();
    let reason = args.reason.clone().unwrap_or_else(|| {
        let first = alerts.iter().next().map_or("", |id| super::alerts::short(id));
        format!("{} of `{}` judged false positives, such as {first}", counted(alerts.len() as u64, "alert"), rule.name)
    });
    let until = tripline_event::format_date(load::now().saturating_add(args.expires));
    Answers { reason, owner, until }
}

/// The clause as it is written.
fn clause(rule: &Rule, tests: &[Test], answers: &Answers) -> String {
    let (reason, owner, until) = answers.as_texts();
    let condition: Vec<String> =
        tests.iter().map(|test| format!("{} == {}", test.path, write::quoted(&test.value))).collect();
    let reason = write::quoted(&format!("{reason} (owner: {owner})"));
    // A rule that asks features judges each event.
    let findings = rule.stateful.is_some_and(|(what, _)| what != "feature");
    let except = if findings { "except finding" } else { "except" };
    format!("{except} {reason} until {until} where {}", condition.join(" and "))
}

/// Which samples the changed rule does not find any more. The events behind findings are not all kept: there it is what
/// the findings hold that decides.
fn taken(before: &Ruleset, changed: &Changed, samples: &Samples, tests: &[Test]) -> Result<BTreeSet<usize>, String> {
    if samples.parts.is_some() {
        let all = samples.all.iter().enumerate().filter(|(_, sample)| holds(sample, tests));
        return Ok(all.map(|(at, _)| at).collect());
    }
    let finds = |detector: &mut Detector<'_>, ruleset: &Ruleset, sample: &Sample| {
        let judged = detector.judge(&SourceChoice::Named(sample.source.clone()), sample.raw.as_bytes(), None)?;
        let is = |at: &usize| ruleset.program.rules.get(*at).is_some_and(|rule| rule.name == changed.rule);
        Ok::<bool, String>(judged.rules.iter().any(is))
    };
    let (mut old, mut new) = (Detector::new(before), Detector::new(&changed.ruleset));
    let mut taken = BTreeSet::new();
    for (at, sample) in samples.all.iter().enumerate() {
        if finds(&mut old, before, sample)? && !finds(&mut new, &changed.ruleset, sample)? {
            taken.insert(at);
        }
    }
    Ok(taken)
}

/// Compiles texts as the service of a configuration does.
fn compile(desk: &Desk, texts: &[(String, Vec<u8>)]) -> Result<Ruleset, String> {
    let rules = &desk.config.rules;
    let (mut compiler, _) = load::compiler_of(texts, &load::Sigma::of(rules))?;
    compiler.configure(&rules.local);
    Ok(compiler.compile(&DiskFiles, load::now()))
}
