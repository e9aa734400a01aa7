//! Routes as they are written in a configuration: read with it, and made ready once lists and tables are known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use tripline_base::{Diagnostic, SourceMap, Span, did_you_mean};
use tripline_config::codes::BAD_VALUE;
use tripline_config::{At, Said, Table};
use tripline_semantic::Program;

use crate::codes;
use crate::expression::{Condition, Expressions};
use crate::fields;
use crate::hours::Hours;
use crate::route::{Inhibit, Limit, Mute, Route, Routing, Step};

/// The most routes, all together, and the deepest that they stand.
const MOST: (usize, usize) = (1_000, 8);

/// Routes as they are written.
#[derive(Clone, Debug, Default)]
pub struct Written {
    routes: Vec<WrittenRoute>,
    mutes: Vec<(Mute, Option<At<String>>)>,
    inhibits: Vec<WrittenInhibit>,
}

#[derive(Clone, Debug)]
struct WrittenRoute {
    route: Route,
    when: Option<At<String>>,
    routes: Vec<WrittenRoute>,
}

#[derive(Clone, Debug)]
struct WrittenInhibit {
    name: String,
    when: At<String>,
    by: At<String>,
    same: Vec<String>,
    within: i64,
    until: Option<i64>,
    reason: String,
}

/// What routes may name.
struct Names<'n> {
    destinations: &'n [String],
    hours: BTreeMap<String, Arc<Hours>>,
    taken: BTreeSet<String>,
}

/// Reads `[hours.NAME]`, `[[route]]`, `[[mute]]` and `[[inhibit]]` of a configuration. `destinations` are the names that
/// routes may lead to.
pub fn read(root: &mut Table<'_>, destinations: &[String], said: &mut Said<'_>) -> Written {
    let mut names = Names { destinations, hours: hours(root, said), taken: BTreeSet::new() };
    let top = Inherited::default();
    let declared = root.tables("route", said);
    let routes = routes(declared, &top, 0, &mut names, said);
    if !destinations.is_empty() && !routes.iter().any(|route| route.when.is_none()) {
        said.push(
            Diagnostic::new(&codes::NO_DEFAULT_ROUTE, root.span, "no route takes what the others leave")
                .help("end with `[[route]]` with a `name` and `to`, and without `when`"),
        );
    }
    let mutes = root.tables("mute", said).into_iter().filter_map(|table| mute(table, &mut names, said)).collect();
    let inhibits =
        root.tables("inhibit", said).into_iter().filter_map(|table| inhibit(table, &mut names, said)).collect();
    Written { routes, mutes, inhibits }
}

fn hours(root: &mut Table<'_>, said: &mut Said<'_>) -> BTreeMap<String, Arc<Hours>> {
    let Some(mut all) = root.table("hours", said) else { return BTreeMap::new() };
    let mut out = BTreeMap::new();
    for (name, mut table) in all.every_table(said) {
        let span = table.span;
        let bad = |at: Span, message: String, help: &str, said: &mut Said<'_>| {
            said.push(Diagnostic::new(&codes::BAD_HOURS, at, message).help(help));
        };
        let zone = table.text("zone", said);
        let zone = match zone {
            None => Some(TimeZone::UTC),
            Some(at) => {
                let found = TimeZone::get(&at.value).ok();
                if found.is_none() {
                    let message = format!("there is no time zone `{}`", at.value);
                    bad(at.span, message, "such as `\"Europe/Berlin\"` or `\"UTC\"`", said);
                }
                found
            }
        };
        let mut days = Vec::new();
        match table.texts("days", said) {
            None => {
                days.extend([Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday])
            }
            Some(written) => {
                for day in written {
                    match weekday(&day.value) {
                        Some(day) => days.push(day),
                        None => {
                            let message = format!("there is no day `{}`", day.value);
                            bad(day.span, message, "the days are mon, tue, wed, thu, fri, sat and sun", said);
                        }
                    }
                }
            }
        }
        let mut time = |key, said: &mut Said<'_>| {
            let written = table.needed(key, "\"09:00\"", said)?;
            let found = clock(&written.value);
            if found.is_none() {
                bad(written.span, format!("`{}` is no time of day", written.value), "such as `\"09:00\"`", said);
            }
            found
        };
        let (from, to) = (time("from", said), time("to", said));
        let mut holidays = Vec::new();
        for day in table.texts("holidays", said).unwrap_or_default() {
            match day.value.parse::<Date>() {
                Ok(day) => holidays.push(day),
                Err(_) => bad(day.span, format!("`{}` is no date", day.value), "such as `\"2026-12-25\"`", said),
            }
        }
        table.finish(said);
        let (Some(zone), Some(from), Some(to)) = (zone, from, to) else { continue };
        if days.is_empty() {
            bad(span, format!("the hours `{name}` have no day"), "leave `days` out for Monday to Friday", said);
            continue;
        }
        out.insert(name.clone(), Arc::new(Hours { name, zone, days, from, to, holidays }));
    }
    out
}

fn weekday(text: &str) -> Option<Weekday> {
    Some(match text {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// `09:00`.
fn clock(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<i8>().ok()).flatten();
    Time::new(number(hour)?, number(minute)?, 0, 0).ok()
}

/// What a route has of the one that it stands in.
#[derive(Clone, Default)]
struct Inherited {
    to: Vec<String>,
    update_every: Option<i64>,
    escalate: Vec<Step>,
    limit: Option<Limit>,
}

fn routes(
    tables: Vec<Table<'_>>,
    outer: &Inherited,
    depth: usize,
    names: &mut Names<'_>,
    said: &mut Said<'_>,
) -> Vec<WrittenRoute> {
    let mut out: Vec<WrittenRoute> = Vec::new();
    let mut all: Option<String> = None;
    for table in tables {
        let span = table.span;
        if names.taken.len() >= MOST.0 || depth >= MOST.1 {
            said.bad(span, format!("there are at most {} routes, at most {} deep", MOST.0, MOST.1));
            return out;
        }
        if let Some(before) = &all {
            said.push(
                Diagnostic::new(&codes::UNREACHABLE_ROUTE, span, format!("no alert comes here: `{before}` takes all"))
                    .help(format!("move `{before}` to the end, or give it `when` or `continue = true`")),
            );
        }
        if let Some(found) = route(table, outer, depth, names, said) {
            if found.when.is_none() && found.route.hours.is_none() && !found.route.go_on {
                all = Some(found.route.name.clone());
            }
            out.push(found);
        }
    }
    out
}

/// A name that no other route, mute or inhibition has.
fn named(table: &mut Table<'_>, names: &mut Names<'_>, said: &mut Said<'_>) -> Option<String> {
    let fits: fn(&str) -> bool = |name| (1..=64).contains(&name.len()) && !name.chars().any(char::is_control);
    table.own_name("\"identity\"", &mut names.taken, (fits, "a name has 1 to 64 characters"), said)
}

/// Names of destinations.
fn destinations(written: Vec<At<String>>, names: &Names<'_>, said: &mut Said<'_>) -> Vec<String> {
    let mut out = Vec::new();
    for At { value, span } in written {
        if names.destinations.contains(&value) {
            if !out.contains(&value) {
                out.push(value);
            }
            continue;
        }
        let known = names.destinations.join(", ");
        said.push(
            Diagnostic::new(&codes::UNKNOWN_DESTINATION, span, format!("there is no destination `{value}`"))
                .maybe_help(did_you_mean(&value, names.destinations.iter().map(String::as_str)))
                .maybe_help((!known.is_empty()).then(|| format!("the destinations are {known}")))
                .maybe_help(known.is_empty().then(|| "add a `[[destination]]` with this name".to_string())),
        );
    }
    out
}

fn route(
    mut table: Table<'_>,
    outer: &Inherited,
    depth: usize,
    names: &mut Names<'_>,
    said: &mut Said<'_>,
) -> Option<WrittenRoute> {
    let span = table.span;
    let name = named(&mut table, names, said);
    let when = table.text("when", said);
    let own = table.has("to");
    let to = table.texts("to", said).map(|to| destinations(to, names, said));
    let go_on = table.flag("continue", false, said);
    let hours = table.text("hours", said).and_then(|name| hours_of(&name, names, said));
    let hold = table.flag("hold", false, said);
    if hold && hours.is_none() {
        said.bad(span, "`hold` waits for hours, and the route has none: add `hours`");
    }
    let minute = Duration::from_secs(60);
    let update_every = if table.has("update_every") {
        Some(nanos(table.duration("update_every", minute, ("1s", "7d"), said)))
    } else {
        outer.update_every
    };
    let escalate = if table.has("escalate") { steps(&mut table, names, said) } else { outer.escalate.clone() };
    let limit = match table.table("limit", said) {
        Some(mut table) => {
            let alerts = table.number("alerts", 20, 1..=1_000_000, said);
            let per = nanos(table.duration("per", 60 * minute, ("1s", "7d"), said));
            table.finish(said);
            Some(Limit { alerts, per })
        }
        None => outer.limit,
    };
    let inherited = Inherited {
        to: to.clone().unwrap_or_else(|| outer.to.clone()),
        update_every,
        escalate: escalate.clone(),
        limit,
    };
    let inner = table.tables("route", said);
    let nested = !inner.is_empty();
    let routes = routes(inner, &inherited, depth + 1, names, said);
    table.finish(said);
    if !own && inherited.to.is_empty() && !nested {
        said.push(
            Diagnostic::new(&codes::ROUTE_NOWHERE, span, "this route has no destination")
                .help("add `to = [\"…\"]`; `to = []` keeps its alerts from everybody"),
        );
    }
    let text = when.as_ref().map(|when| when.value.clone()).unwrap_or_default();
    let route = Route {
        name: name?,
        when: None,
        text,
        to: inherited.to,
        go_on,
        hours,
        hold,
        update_every: update_every.unwrap_or_else(|| nanos(minute)),
        escalate,
        limit,
        routes: Vec::new(),
    };
    Some(WrittenRoute { route, when, routes })
}

fn hours_of(name: &At<String>, names: &Names<'_>, said: &mut Said<'_>) -> Option<Arc<Hours>> {
    let found = names.hours.get(&name.value).map(Arc::clone);
    if found.is_none() {
        said.push(
            Diagnostic::new(&codes::UNKNOWN_HOURS, name.span, format!("there are no hours `{}`", name.value))
                .maybe_help(did_you_mean(&name.value, names.hours.keys().map(String::as_str)))
                .help(format!("add a table `[hours.{}]` with `days`, `from`, `to` and `zone`", name.value)),
        );
    }
    found
}

fn steps(table: &mut Table<'_>, names: &Names<'_>, said: &mut Said<'_>) -> Vec<Step> {
    let mut out = Vec::new();
    for mut step in table.tables("escalate", said) {
        let after = if step.has("after") {
            nanos(step.duration("after", Duration::ZERO, ("1s", "30d"), said))
        } else {
            step.lacks("after", "\"15m\"", said);
            0
        };
        if !step.has("to") {
            step.lacks("to", "[\"…\"]", said);
        }
        let to = step.texts("to", said).map(|to| destinations(to, names, said)).unwrap_or_default();
        step.finish(said);
        out.push(Step { after, to });
    }
    out.sort_by_key(|step| step.after);
    out
}

fn mute(mut table: Table<'_>, names: &mut Names<'_>, said: &mut Said<'_>) -> Option<(Mute, Option<At<String>>)> {
    let name = named(&mut table, names, said);
    let when = table.text("when", said);
    let hours = table.needed("hours", "\"maintenance\"", said).and_then(|name| hours_of(&name, names, said));
    let reason = table.needed("reason", "\"why\"", said).map(|reason| reason.value);
    table.finish(said);
    Some((Mute { name: name?, when: None, hours: hours?, reason: reason? }, when))
}

fn inhibit(mut table: Table<'_>, names: &mut Names<'_>, said: &mut Said<'_>) -> Option<WrittenInhibit> {
    let name = named(&mut table, names, said);
    let when = table.needed("when", "'severity < \"High\"'", said);
    let by = table.needed("while", "'severity >= \"High\"'", said);
    let record = fields::record();
    let mut same = Vec::new();
    for field in table.texts("same", said).unwrap_or_default() {
        if record.fields.iter().any(|(name, _)| *name == field.value) {
            same.push(field.value);
        } else {
            said.push(
                Diagnostic::new(&BAD_VALUE, field.span, format!("an alert has no `{}`", field.value))
                    .maybe_help(did_you_mean(&field.value, record.fields.iter().map(|(name, _)| *name))),
            );
        }
    }
    let within = nanos(table.duration("within", Duration::from_secs(3_600), ("1s", "30d"), said));
    let until = match table.text("until", said) {
        None => None,
        Some(at) => {
            let found = tripline_event::parse_time(&at.value)
                .or_else(|| Some(tripline_event::parse_date(&at.value)?.saturating_add(86_400_000_000_000)));
            if found.is_none() {
                said.bad(at.span, "`until` takes a date or a time, such as `\"2026-12-31\"`");
            }
            found
        }
    };
    let reason = table.needed("reason", "\"why\"", said).map(|reason| reason.value);
    table.finish(said);
    Some(WrittenInhibit { name: name?, when: when?, by: by?, same, within, until, reason: reason? })
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

impl Written {
    /// The names of the routes that lead to a destination, by themselves or as a step of an escalation.
    pub fn leading_to(&self, destination: &str) -> Vec<&str> {
        fn walk<'w>(routes: &'w [WrittenRoute], destination: &str, out: &mut Vec<&'w str>) {
            for WrittenRoute { route, routes, .. } in routes {
                let mut to = route.to.iter().chain(route.escalate.iter().flat_map(|step| &step.to));
                if to.any(|to| to == destination) {
                    out.push(&route.name);
                }
                walk(routes, destination, out);
            }
        }
        let mut out = Vec::new();
        walk(&self.routes, destination, &mut out);
        out
    }

    /// Makes the routes ready: their conditions are checked, over the lists and tables of a program.
    pub fn compile(&self, sources: &SourceMap, program: &Program) -> (Routing, Vec<Diagnostic>) {
        let mut expressions = Expressions::new(program, sources, "a route");
        let mut condition =
            |when: &Option<At<String>>| -> Option<Condition> { expressions.condition(when.as_ref()?.span) };
        let routes = self.routes.iter().map(|route| compiled(route, &mut condition)).collect();
        let mutes = self.mutes.iter().map(|(mute, when)| Mute { when: condition(when), ..mute.clone() }).collect();
        let mut inhibits = Vec::new();
        for one in &self.inhibits {
            let (when, by) = (condition(&Some(one.when.clone())), condition(&Some(one.by.clone())));
            let (Some(when), Some(by)) = (when, by) else { continue };
            inhibits.push(Inhibit {
                name: one.name.clone(),
                when,
                by,
                same: one.same.clone(),
                within: one.within,
                until: one.until,
                reason: one.reason.clone(),
            });
        }
        (Routing { routes, mutes, inhibits }, expressions.take_diagnostics())
    }
}

fn compiled(written: &WrittenRoute, condition: &mut dyn FnMut(&Option<At<String>>) -> Option<Condition>) -> Route {
    let when = condition(&written.when);
    let routes = written.routes.iter().map(|route| compiled(route, condition)).collect();
    Route { when, routes, ..written.route.clone() }
}
