//! Tests of connectors: what the service answers is a script, the clock is a number, and whatever was delivered is
//! compared with what was expected. `docs/CONNECTORS.md` describes the file.
//!
//! Each scenario runs twice: once as it stands, and once with a process that is killed before and after every commit.

mod read;
mod run;
mod script;

use std::collections::BTreeMap;
use std::time::Duration;

use tripline_base::{Diagnostic, SourceMap};

use super::config::Settled;
use super::path::Path;
use super::spec::Connector;

/// What a connector's tests say.
#[derive(Debug)]
struct Tests {
    /// What time it is as a scenario begins, nanoseconds since 1970.
    start: i64,
    /// What a record looks like, with `<id>` and `<time>`.
    event: String,
    /// What tells records apart in expectations.
    shown: Option<Path>,
    scenarios: Vec<Scenario>,
}

#[derive(Debug)]
struct Scenario {
    name: String,
    settled: Settled,
    /// How long it goes on.
    lasts: Duration,
    /// Whether it runs with a process that is killed as well.
    killed: bool,
    answers: Vec<Reply>,
    expect: Expect,
}

/// An answer of the script, and to what.
#[derive(Clone, Debug, Default)]
struct Reply {
    post: Option<bool>,
    path: Option<String>,
    query: Vec<(String, String)>,
    without: Vec<String>,
    headers_had: Vec<(String, String)>,
    body_had: Vec<String>,
    /// How often it is given.
    times: Option<u64>,
    /// From when on, and until when, after the beginning.
    from: Option<Duration>,
    until: Option<Duration>,
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    events: Vec<String>,
}

#[derive(Debug, Default)]
struct Expect {
    events: Option<Vec<String>>,
    requests: Option<u64>,
    says: Vec<String>,
    failing: Option<String>,
    aside: Option<u64>,
    gaps: Option<u64>,
    /// Event sources with how many of the events they have.
    sources: Option<BTreeMap<String, u64>>,
}

/// What became of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Its name.
    pub name: String,
    /// What is not as it is expected.
    pub wrong: Vec<String>,
}

/// Runs the tests of a connector.
///
/// # Errors
/// What is wrong with the file of the tests.
pub fn test(
    connector: &Connector,
    sources: &mut SourceMap,
    name: &str,
    text: &str,
) -> Result<Vec<Outcome>, Vec<Diagnostic>> {
    let (tests, said) = tripline_config::read(sources, name, text, |root, said| read::tests(connector, root, said));
    let Some(tests) = tests else { return Err(said) };
    Ok(tests.scenarios.iter().map(|scenario| run::scenario(&tests, scenario)).collect())
}
