//! `tripline timeline`: everything that touches a person, an address or a host, across sources and findings, in order.

mod collect;
mod entity;
mod event;
mod found;
mod html;
mod json;
mod keep;
mod mark;
mod says;
mod text;

use std::path::{Path, PathBuf};

use tripline_base::terminal::counted;
use tripline_detect::Ruleset;
use tripline_event::format_time;
use tripline_formats::Layout;
use tripline_store::{Problem, Store};

use self::collect::{Asked, around, collect, left_out};
use self::entity::{Entity, Wanted};
use self::event::Event;
use self::found::Found;
use super::Outcome;
use crate::desk::Where;
use crate::html::Format;
use crate::{colour, load, replay, times};

/// How long before its first event and after its last a timeline around a finding goes, in nanoseconds.
const AROUND: i64 = 3_600_000_000_000;

/// Lay out every event and finding that touches an entity, in order of time
#[derive(clap::Args)]
pub struct Args {
    /// Who or what: user:alice, ip:203.0.113.9, host:ws1; may be given several times
    #[arg(long = "entity", value_name = "KIND:VALUE", value_parser = entity::entity)]
    entities: Vec<Entity>,
    /// Begin with a finding: its entities, from an hour before its first event to an hour after its last. In a store also
    /// with an alert; the beginning of an id will do where it means one alone
    #[arg(long, value_name = "UID")]
    around: Option<String>,
    /// What happened at this time or later: RFC 3339, a date, or how long ago (24h)
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<i64>,
    /// What happened before this time
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<i64>,
    /// Follow no other names: only what was asked for, as it is written
    #[arg(long)]
    exact: bool,
    /// The most events, and the most findings, that are laid out: the earliest
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Files and folders of rules; the rules of the configuration, or the shipped rules, where none are named
    #[arg(long, value_name = "PATH", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// The configuration of a service: the findings in its store, and its rules
    #[arg(short, long, value_name = "FILE", conflicts_with = "store")]
    config: Option<PathBuf>,
    /// The store of a service: the findings in it
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    #[command(flatten)]
    how: replay::How,
    /// Log files, plain or compressed with gzip or zstd
    files: Vec<PathBuf>,
}

/// A timeline, as it is printed.
pub struct Timeline {
    pub wanted: Wanted,
    pub from: Option<i64>,
    pub to: Option<i64>,
    /// In order of time.
    pub events: Vec<Event>,
    /// In order of time.
    pub findings: Vec<Found>,
    /// What is not in it, and why: sentences.
    pub left_out: Vec<String>,
}

/// An event or a finding, in the order of all.
pub enum Item<'t> {
    Event(usize, &'t Event),
    Finding(usize, &'t Found),
}

impl Timeline {
    /// Events and findings in order; at one time, an event before what was found in it, and that before what was found in
    /// findings.
    fn items(&self) -> Vec<Item<'_>> {
        let events = self.events.iter().enumerate().map(|(at, event)| Item::Event(at, event));
        let mut all: Vec<Item<'_>> = events.collect();
        all.extend(self.findings.iter().enumerate().map(|(at, found)| Item::Finding(at, found)));
        all.sort_by_key(|item| match item {
            Item::Event(at, event) => (event.time, 0, *at),
            Item::Finding(at, found) => (found.time, 1 + usize::from(found.is_over_findings()), *at),
        });
        all
    }

    /// Calls `begins` with each day that something is on, and `is` with what is on it and its clock.
    pub fn days<T: ?Sized>(&self, out: &mut T, begins: impl Fn(&mut T, &str), is: impl Fn(&mut T, &str, &Item<'_>)) {
        let mut day = String::new();
        for item in self.items() {
            let time = match item {
                Item::Event(_, event) => event.time,
                Item::Finding(_, found) => found.time,
            };
            let text = format_time(time);
            let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
            if date != day {
                begins(out, date);
                day = date.to_string();
            }
            is(out, clock, &item);
        }
    }

    /// The sources that something is of, by name.
    pub fn sources(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.events.iter().map(|event| event.source.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// A time, or how long ago.
fn moment(text: &str) -> Result<i64, String> {
    match times::span(text) {
        Ok(span) => Ok(load::now().saturating_sub(span)),
        Err(_) => times::time(text).map_err(|wanted| format!("{wanted}, or how long ago (24h)")),
    }
}

/// Runs the command.
pub fn run(args: &Args) -> Outcome {
    replay::threads(args.how.threads)?;
    let (own, files) = match args.rules.is_empty() && args.files.is_empty() {
        true => (Vec::new(), Vec::new()),
        false if args.config.is_some() || args.store.is_some() => logs_or_none(&args.rules, &args.files)?,
        false => replay::rules_and_logs(&args.rules, &args.files)?,
    };
    if files.iter().any(|path| path.as_os_str() == "-") {
        return Err("files are read more than once; write standard input to a file first".into());
    }
    if files.is_empty() && args.config.is_none() && args.store.is_none() {
        return Err("name log files, or a store (-c tripline.toml, --store FILE)".into());
    }
    if args.entities.is_empty() && args.around.is_none() {
        return Err("say of whom or what: --entity user:alice, or --around UID of a finding".into());
    }
    let (ruleset, store) = opened(args, &own)?;
    for name in ruleset.broken() {
        eprintln!("tripline: the rule `{name}` has an error and is left out");
    }
    let source = replay::source(&ruleset, args.how.source.as_deref())?;
    let layout: Layout = args.how.input.layout()?;
    let mut asked = Asked {
        ruleset: &ruleset,
        store: store.as_ref(),
        files: &files,
        layout: &layout,
        source: &source,
        from: args.from,
        to: args.to,
        limit: args.limit as usize,
    };
    let mut wanted = Wanted { asked: args.entities.clone(), also: Vec::new() };
    let mut said = Vec::new();
    if let Some(uid) = &args.around {
        let about = around(&asked, uid)?;
        match about.span {
            Some((first, last)) => {
                asked.from = asked.from.or(Some(first.saturating_sub(AROUND)));
                asked.to = asked.to.or(Some(last.saturating_add(AROUND)));
            }
            None if asked.from.is_some() || asked.to.is_some() => {}
            None => return Err(format!("the finding `{uid}` has no time; say when with --from and --to")),
        }
        said = left_out::of_alert(&about, wanted.asked.is_empty());
        if wanted.asked.is_empty() {
            wanted.asked = about.entities.iter().filter_map(|(kind, value)| Entity::of(kind, value)).collect();
        }
        if wanted.asked.is_empty() {
            return Err(format!("the finding `{uid}` names no entity; say of whom or what with --entity"));
        }
    }
    if asked.from.zip(asked.to).is_some_and(|(from, to)| from >= to) {
        return Err("--from is not before --to: there is no time between them".into());
    }
    let (mut timeline, failed) = collect(&asked, wanted, !args.exact)?;
    timeline.left_out.extend(said);
    let page = match args.format {
        Format::Text => text::page(&timeline, colour::stdout()),
        Format::Json => json::page(&timeline),
        Format::Html => html::page(&timeline),
    };
    crate::out!("{page}");
    let (events, findings) = (timeline.events.len() as u64, timeline.findings.len() as u64);
    eprintln!("{}, {}", counted(events, "event"), counted(findings, "finding"));
    if args.format != Format::Text {
        timeline.left_out.iter().for_each(|said| eprintln!("{said}"));
    }
    if failed.is_empty() { Ok(0) } else { Err(failed.join("\n")) }
}

/// Rules and logs apart, where a store may stand for the logs.
fn logs_or_none(rules: &[PathBuf], files: &[PathBuf]) -> Result<(Vec<PathBuf>, Vec<PathBuf>), String> {
    match replay::rules_and_logs(rules, files) {
        Err(_) if files.is_empty() => Ok((rules.to_vec(), Vec::new())),
        apart => apart,
    }
}

/// The rules, and the store where one is named.
fn opened(args: &Args, own: &[PathBuf]) -> Result<(Ruleset, Option<Store>), String> {
    if let (Some(config), true) = (&args.config, own.is_empty()) {
        let sigma = &args.how.sigma;
        if !sigma.pipelines.is_empty() || !sigma.taxonomies.is_empty() {
            return Err(
                "--pipeline and --taxonomy are for Sigma rules that --rules names; those of a configuration are \
                 read with what its `[rules]` names (`pipelines`, `taxonomies`)"
                    .into(),
            );
        }
        let desk = Where { config: config.clone() }.open()?;
        let store = desk.read()?;
        return Ok((desk.rules()?.0, Some(store)));
    }
    let (ruleset, _) = load::ruleset_with(own, &args.how.sigma())?;
    args.how.sigma.usable(&ruleset)?;
    load::say(&ruleset.diagnostics, &ruleset.sources, false);
    let store = match (&args.config, &args.store) {
        (Some(config), _) => Some(Where { config: config.clone() }.open()?.read()?),
        (None, Some(path)) => Some(store_at(path)?),
        (None, None) => None,
    };
    Ok((ruleset, store))
}

fn store_at(path: &Path) -> Result<Store, String> {
    Store::read_only(path).map_err(|error| match error.problem() {
        Problem::Missing => format!("{error}; the `[store]` of a configuration says where one is"),
        _ => error.to_string(),
    })
}
