//! Routes: which alerts go where, and when.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tripline_event::Value;

use crate::expression::Condition;
use crate::hours::Hours;

/// A route. Routes of its own are tried for the alerts that fit it; where none of them takes an alert, it does.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name, unique.
    pub name: String,
    /// Which alerts; all where there is none.
    pub when: Option<Condition>,
    /// The condition as written.
    pub text: String,
    /// Destinations.
    pub to: Vec<String>,
    /// Whether later routes are tried too.
    pub go_on: bool,
    /// When it is used.
    pub hours: Option<Arc<Hours>>,
    /// Whether it waits for its hours; otherwise it is passed over outside of them.
    pub hold: bool,
    /// How long findings are gathered for an update, nanoseconds.
    pub update_every: i64,
    /// What happens while nobody takes the alert.
    pub escalate: Vec<Step>,
    /// How many alerts it tells one by one.
    pub limit: Option<Limit>,
    /// Routes of its own.
    pub routes: Vec<Route>,
}

/// A step of an escalation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// How long after the alert was told, nanoseconds.
    pub after: i64,
    /// To whom.
    pub to: Vec<String>,
}

/// A limit: so many alerts in so long are told one by one, the others in a digest at the end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// How many.
    pub alerts: u64,
    /// In how long, nanoseconds.
    pub per: i64,
}

/// Alerts that are told to nobody at certain hours.
#[derive(Clone, Debug)]
pub struct Mute {
    /// Its name.
    pub name: String,
    /// Which.
    pub when: Option<Condition>,
    /// At which hours.
    pub hours: Arc<Hours>,
    /// Why.
    pub reason: String,
}

/// Alerts that are told to nobody while there is another.
#[derive(Clone, Debug)]
pub struct Inhibit {
    /// Its name.
    pub name: String,
    /// Which.
    pub when: Condition,
    /// While there is one such, which is not closed.
    pub by: Condition,
    /// Fields that both have a value of in common.
    pub same: Vec<String>,
    /// For how long after the last event of the other, nanoseconds.
    pub within: i64,
    /// Until when, nanoseconds since 1970; none for ever.
    pub until: Option<i64>,
    /// Why.
    pub reason: String,
}

/// Everything that says where alerts go.
#[derive(Clone, Debug, Default)]
pub struct Routing {
    /// Routes, in order.
    pub routes: Vec<Route>,
    /// Hours at which nothing is told.
    pub mutes: Vec<Mute>,
    /// Alerts that silence others.
    pub inhibits: Vec<Inhibit>,
}

/// A way that an alert took, as it is kept with the alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Track {
    /// The route.
    pub route: String,
    /// Its destinations, those of the escalation among them once they were told.
    pub to: Vec<String>,
    /// How many pieces of evidence were told.
    pub told: u64,
    /// When it was told last, nanoseconds of the clock; none where it was not.
    pub at: Option<i64>,
    /// When it is to be told, where it waits for hours.
    pub hold: Option<i64>,
    /// When the next update is due.
    pub update: Option<i64>,
    /// How long updates are gathered, nanoseconds.
    pub every: i64,
    /// Steps that are to come, with the instants at which they are due.
    pub steps: Vec<Rise>,
    /// Whether the limit of the route held it back.
    pub limited: bool,
}

/// A step of an escalation that is to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rise {
    /// When, nanoseconds of the clock.
    pub at: i64,
    /// The step.
    pub step: Step,
}

impl Track {
    /// When it is to be looked at again.
    pub fn due(&self) -> Option<i64> {
        let step = self.steps.iter().map(|rise| rise.at).min();
        [self.hold, self.update, step].into_iter().flatten().min()
    }
}

/// How a route was judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explained {
    /// How deep it stands; 0 for the outermost.
    pub depth: usize,
    /// Its name.
    pub route: String,
    /// Whether it took the alert.
    pub took: bool,
    /// Why, or why not.
    pub why: String,
}

impl Routing {
    /// The routes that take an alert, and how each was judged that was looked at.
    pub fn choose(&self, alert: &Value<'_>, now: i64) -> (Vec<&Route>, Vec<Explained>) {
        let mut chosen = Vec::new();
        let mut said = Vec::new();
        choose(&self.routes, 0, alert, now, &mut chosen, &mut said);
        (chosen, said)
    }

    /// Every route, the outer before the inner.
    pub fn all(&self) -> Vec<&Route> {
        fn walk<'r>(routes: &'r [Route], out: &mut Vec<&'r Route>) {
            for route in routes {
                out.push(route);
                walk(&route.routes, out);
            }
        }
        let mut out = Vec::new();
        walk(&self.routes, &mut out);
        out
    }
}

/// Gives whether the routes that follow are not to be tried.
fn choose<'r>(
    routes: &'r [Route],
    depth: usize,
    alert: &Value<'_>,
    now: i64,
    chosen: &mut Vec<&'r Route>,
    said: &mut Vec<Explained>,
) -> bool {
    let mut taken = false;
    for route in routes {
        let mut say = |took: bool, why: &str| {
            said.push(Explained { depth, route: route.name.clone(), took, why: why.to_string() });
        };
        if route.when.as_ref().is_some_and(|when| !when.holds(alert)) {
            say(false, "its condition does not hold");
            continue;
        }
        let away = route.hours.as_ref().is_some_and(|hours| !hours.contains(now));
        if away && !route.hold {
            say(false, "it is outside of its hours");
            continue;
        }
        let at = said.len();
        let inner = choose(&route.routes, depth + 1, alert, now, chosen, said);
        let why = if inner {
            "a route of its own takes the alert"
        } else if route.to.is_empty() {
            "it takes the alert and tells nobody"
        } else if away {
            "it takes the alert, and waits for its hours"
        } else {
            "it takes the alert"
        };
        said.insert(at, Explained { depth, route: route.name.clone(), took: !inner, why: why.to_string() });
        if !inner {
            chosen.push(route);
        }
        taken = true;
        if !route.go_on {
            break;
        }
    }
    taken
}
