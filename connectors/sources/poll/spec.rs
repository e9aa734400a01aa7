//! A connector's file as types: what is asked for, how, and what the answers mean. `docs/CONNECTORS.md` describes every
//! key.

mod auth;
mod read;
mod stream;

use std::time::Duration;

use tripline_base::{Diagnostic, SourceMap};

use super::path::Path;
use super::template::Template;

pub use auth::{Assertion, Auth, How, Signing};

/// A connector.
#[derive(Clone, Debug)]
pub struct Connector {
    /// What `connector = "…"` names.
    pub name: String,
    /// What people call the service.
    pub title: String,
    /// Where the service describes what is asked for.
    pub docs: String,
    /// Where requests go; the configuration may say otherwise.
    pub url: Template,
    /// Origins beside that of `url` that answers may lead to.
    pub hosts: Vec<Template>,
    /// Headers of every request.
    pub headers: Vec<(String, Template)>,
    /// What the configuration has to say.
    pub settings: Vec<Setting>,
    /// Ways to sign in; the first whose settings are all there is taken.
    pub auths: Vec<Auth>,
    /// How fast requests may be.
    pub limit: Limit,
    /// What answers mean where that is not plain from the status.
    pub errors: Vec<Rule>,
    /// Where the words of an error are.
    pub message: Option<Path>,
    /// What is read.
    pub streams: Vec<Stream>,
}

/// A setting that the configuration gives.
#[derive(Clone, Debug)]
pub struct Setting {
    /// Its key.
    pub name: String,
    /// What it may be.
    pub kind: SettingKind,
    /// What it is, in a sentence.
    pub help: String,
    /// A value for messages.
    pub example: String,
    /// What it is where it is not given.
    pub default: Option<String>,
    /// Whether it may be left out. Settings of sign-ins may be where another one is used.
    pub optional: bool,
}

/// What a setting may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// A text.
    Text,
    /// The name of a host.
    Host,
    /// One of some words.
    Choice(Vec<String>),
    /// A secret of one line.
    Secret,
    /// A secret of several lines: a key in PEM, or a file of JSON.
    Key,
}

impl SettingKind {
    /// Whether it is a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self, SettingKind::Secret | SettingKind::Key)
    }
}

/// How fast requests may be.
#[derive(Clone, Debug)]
pub struct Limit {
    /// The header that tells how many requests are left.
    pub remaining: Option<String>,
    /// The header that tells when there are more.
    pub reset: Option<String>,
    /// How many requests are left to others.
    pub reserve: u64,
    /// The time between two requests at least.
    pub spacing: Duration,
    /// How long is waited where a limit is reached and nothing says how long.
    pub wait: Duration,
}

/// What an answer means.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its status.
    pub status: u16,
    /// Words of its body, one of which it has; any body where there are none.
    pub has: Vec<String>,
    /// What it means.
    pub means: Means,
    /// How long to wait.
    pub wait: Option<Duration>,
    /// What to do, for people.
    pub help: Option<String>,
}

/// What an answer can mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// It is as good as a success without records.
    Fine,
    /// The cursor is no longer known.
    Expired,
    /// Too many requests.
    Limited,
    /// The sign-in is over: sign in again.
    SignedOut,
    /// It may not be asked; waiting does not help, somebody has to do something.
    Denied,
    /// What was done before the first request is to be done again.
    Restart,
    /// What was asked for is gone; it is passed over, and that is said.
    Skip,
    /// The service is not well.
    Later,
}

/// Each meaning under its name.
pub const MEANINGS: [(&str, Means); 8] = [
    ("fine", Means::Fine),
    ("expired", Means::Expired),
    ("limited", Means::Limited),
    ("signed-out", Means::SignedOut),
    ("denied", Means::Denied),
    ("restart", Means::Restart),
    ("skip", Means::Skip),
    ("later", Means::Later),
];

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Whether it is a POST.
    pub post: bool,
    /// Its path, with parameters of the query where they have to stand as they are.
    pub path: Template,
    /// Its query. A parameter with a name that has no value is left out.
    pub query: Vec<(String, Template)>,
    /// Its body.
    pub json: Option<Json>,
}

/// A body in JSON whose texts are templates. A member with a name that has no value is left out.
#[derive(Clone, Debug)]
pub enum Json {
    /// A text.
    Text(Template),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
    /// Anything else, as it stands.
    Plain(serde_json::Value),
}

/// Where the next page is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// There is one page.
    #[default]
    None,
    /// In the header `Link`, as `rel="next"`.
    Link,
    /// An address in the body.
    Url(Path),
    /// An address in a header.
    UrlHeader(String),
    /// A cursor in the body; where it is an array, its texts joined.
    Cursor(Path, String),
    /// A value of the last record.
    Last(Path),
    /// The number of records so far, in pages of so many.
    Offset(u64),
}

/// How far a stream was read is known by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checkpoint {
    /// Time: windows are read to their ends, each from where the last one ended, less the overlap.
    #[default]
    Time,
    /// The last cursor, which stays valid.
    Cursor,
}

/// Something of its own that is read: an endpoint, an application.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its name, under which its position is kept.
    pub name: String,
    /// The event source of its records.
    pub source: String,
    /// Whether it is read only where the configuration names it.
    pub optional: bool,
    /// What is done once, before the first request.
    pub before: Vec<Request>,
    /// The first request.
    pub first: Request,
    /// The request of later pages.
    pub next: Request,
    /// Where the next page is.
    pub page: Page,
    /// Where a page says whether there is more.
    pub more: Option<Path>,
    /// How many records a full page has: a page with fewer is the last.
    pub size: Option<u64>,
    /// What its position is.
    pub checkpoint: Checkpoint,
    /// Where the records are.
    pub items: Path,
    /// The array within a record whose elements are events of their own.
    pub split: Option<String>,
    /// What is listed is fetched: where its records are.
    pub fetch: Option<Fetch>,
    /// What a record is known by; the record itself where there is nothing.
    pub id: Vec<Path>,
    /// When it happened.
    pub time: Option<Path>,
    /// How often is asked.
    pub every: Duration,
    /// How far back the first request goes.
    pub from: Duration,
    /// How much of what was read is read again, for what comes late.
    pub overlap: Duration,
    /// How long before now a window ends.
    pub settle: Duration,
    /// How long a window is at most.
    pub window: Duration,
    /// How long the service keeps events.
    pub retention: Option<Duration>,
    /// How many ids are remembered.
    pub remember: usize,
}

/// What is listed leads to records.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Where its address is.
    pub url: Path,
    /// What it is known by.
    pub id: Path,
    /// Further parameters.
    pub query: Vec<(String, Template)>,
    /// Where the records are in what is fetched.
    pub items: Path,
}

/// Reads a connector's file; none where anything is wrong with it.
pub fn parse(sources: &mut SourceMap, name: &str, text: &str) -> (Option<Connector>, Vec<Diagnostic>) {
    tripline_config::read(sources, name, text, read::connector)
}
