//! `kind = "nats"` with `servers`, a `stream` and a `consumer`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_connect::{Sending, Trust};

pub(crate) const KIND: SourceKind = SourceKind { name: "nats", read };

/// What a build without the feature says.
#[cfg(not(feature = "nats"))]
const LACKS: &str =
    "this build of Tripline cannot read from NATS: build it with `cargo build --release --features nats`";
/// The most servers to begin with.
const MOST: usize = 100;
/// The longest name of a stream or a consumer.
const LONGEST: usize = 255;

/// A stream, and how it is read.
#[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Clone, Debug)]
pub(super) struct Nats {
    pub servers: Vec<String>,
    pub stream: String,
    pub consumer: String,
    /// The subjects that are read; all of the stream where there is none.
    pub subject: Option<String>,
    /// Where a consumer begins that is not there yet.
    pub beginning: bool,
    pub ack_wait: Duration,
    pub max_ack_pending: i64,
    pub account: Account,
    pub trust: Trust,
}

/// Who signs in.
#[cfg_attr(not(feature = "nats"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Clone, Debug)]
pub(super) enum Account {
    Nobody,
    Token(Place),
    User(Place, Place),
    /// The seed of a key pair.
    Nkey(Place),
    /// A file of credentials: a JWT and a seed.
    Creds(PathBuf),
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let servers = servers(table, said);
    let stream = name(table, "stream", "\"LOGS\"", said);
    let consumer = name(table, "consumer", "\"tripline\"", said);
    let subject = table.text("subject", said);
    let beginning = table.choice("from", &["beginning", "end"], said).unwrap_or("beginning") == "beginning";
    let ack_wait = table.duration("ack_wait", Duration::from_secs(60), ("1s", "1h"), said);
    let max_ack_pending = table.number("max_ack_pending", 10_000, 1..=1_000_000, said);
    let account = account(table, said);
    let trust = Trust::read(table, said);
    #[cfg(not(feature = "nats"))]
    said.bad(table.span, LACKS);
    let (servers, account) = (servers?, account?);
    let open = |server: &&String| server.starts_with("nats://") && !is_here(server);
    if let (Account::Token(place) | Account::User(_, place), Some(_)) = (&account, servers.iter().find(open)) {
        said.bad(place.span, "a password is not sent without TLS: write the servers as `tls://…`");
        return None;
    }
    Some(Arc::new(Nats {
        servers,
        stream: stream?,
        consumer: consumer?,
        subject: subject.map(|subject| subject.value),
        beginning,
        ack_wait,
        max_ack_pending: i64::try_from(max_ack_pending).unwrap_or(i64::MAX),
        account,
        trust,
    }))
}

fn servers(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Vec<String>> {
    let example = "[\"tls://nats.example.com:4222\"]";
    if !table.has("servers") {
        table.lacks("servers", example, said);
    }
    let written = table.texts("servers", said)?;
    let fits = |text: &str| {
        let rest = text.strip_prefix("nats://").or_else(|| text.strip_prefix("tls://"));
        // Who signs in stands in keys of their own.
        rest.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic() && !b"/@?#".contains(&b)))
    };
    if let Some(one) = written.iter().find(|one| !fits(&one.value)) {
        said.bad(one.span, format!("`servers` takes addresses without accounts, as in `{example}`"));
        return None;
    }
    if written.is_empty() || written.len() > MOST {
        said.bad(table.span, format!("`servers` takes 1 to {MOST} addresses, as in `{example}`"));
        return None;
    }
    Some(written.into_iter().map(|one| one.value).collect())
}

/// Whether a server is on this machine.
fn is_here(server: &str) -> bool {
    let host = server.trim_start_matches("nats://");
    ["127.", "localhost", "[::1]"].iter().any(|here| host.starts_with(here))
}

/// A name that NATS takes for a stream or a consumer.
fn name(table: &mut Table<'_>, key: &'static str, example: &str, said: &mut Said<'_>) -> Option<String> {
    let found = table.needed(key, example, said)?;
    let text = &found.value;
    let plain = text.bytes().all(|b| b.is_ascii_graphic() && !b".*>/\\".contains(&b));
    if !plain || text.is_empty() || text.len() > LONGEST {
        said.bad(found.span, format!("`{key}` takes 1 to {LONGEST} letters, digits, `_` and `-`"));
        return None;
    }
    Some(found.value)
}

fn account(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Account> {
    let token = table.secret("token", false, said);
    let (user, password) = (table.secret("user", true, said), table.secret("password", false, said));
    let (nkey, creds) = (table.secret("nkey", false, said), table.text("creds", said));
    let ways = [token.is_some(), user.is_some() || password.is_some(), nkey.is_some(), creds.is_some()];
    if ways.iter().filter(|way| **way).count() > 1 {
        said.bad(table.span, "one of `token`, `user` with `password`, `nkey` and `creds` is how it signs in: name one");
        return None;
    }
    match (token, user, password, nkey, creds) {
        (Some(token), ..) => Some(Account::Token(token)),
        (_, Some(user), Some(password), ..) => Some(Account::User(user, password)),
        (_, Some(one), None, ..) | (_, None, Some(one), ..) => {
            said.bad(one.span, "a `user` goes with a `password`");
            None
        }
        (.., Some(nkey), _) => Some(Account::Nkey(nkey)),
        (.., Some(creds)) => Some(Account::Creds(creds.value.into())),
        _ => Some(Account::Nobody),
    }
}

impl SourceSettings for Nats {
    fn place(&self) -> String {
        format!("{} of {}", self.stream, self.servers.join(", "))
    }

    fn secrets(&self) -> Vec<&Place> {
        match &self.account {
            Account::Nobody | Account::Creds(_) => Vec::new(),
            Account::Token(one) | Account::Nkey(one) => vec![one],
            Account::User(user, password) => vec![user, password],
        }
    }

    #[cfg(not(feature = "nats"))]
    fn open(&self, _: Opening<'_>) -> Result<Box<dyn Source>, String> {
        Err(LACKS.into())
    }

    #[cfg(feature = "nats")]
    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { secrets, folder, position, intake, .. } = opening;
        let about = |why: String| format!("the source `{}`: {why}", intake.name());
        let signing = super::connect::Signing::new(self, secrets, folder).map_err(about)?;
        let seen = super::seen::Seen::read(position.as_deref()).map_err(about)?;
        Ok(Box::new(super::source::Reader::new(self.clone(), signing, seen, intake)))
    }

    #[cfg(not(feature = "nats"))]
    fn check<'a>(&'a self, _: &'a Secrets, _: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { Err(LACKS.into()) })
    }

    #[cfg(feature = "nats")]
    fn check<'a>(&'a self, secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let signing = super::connect::Signing::new(self, secrets, folder)?;
            super::connect::look(self, &signing).await
        })
    }
}
