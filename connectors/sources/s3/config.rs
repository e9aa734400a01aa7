//! `kind = "s3"` in the configuration.

use std::sync::Arc;
use std::time::Duration;

use globset::GlobMatcher;
use jiff::civil::Date;
use tripline_config::{At, Place, Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};
use tripline_formats::Layout;

use super::client::Clients;
use super::{Bucket, queue};
use crate::layout::layout;

pub(crate) const KIND: SourceKind = SourceKind { name: "s3", read };

/// Objects of buckets.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The address of the queue that tells of new objects.
    pub queue: Option<String>,
    /// The region; that of the queue's address, or of the environment, where there is none.
    pub region: Option<String>,
    /// Where the services are, other than at AWS.
    pub endpoint: Option<String>,
    /// Keys to sign requests with; without them, what the environment has.
    pub access_key: Option<Place>,
    pub secret_key: Option<Place>,
    pub session_token: Option<Place>,
    /// The role that is taken on, and the id that its trust policy asks for.
    pub role: Option<String>,
    pub external_id: Option<Place>,
    /// Which keys are read; all where there is none.
    pub keys: Option<GlobMatcher>,
    /// What objects are.
    pub layout: Layout,
    /// Whether digests of CloudTrail are read as events.
    pub digests: bool,
    /// After how long a log file that a digest of CloudTrail names is missing; none where that is not looked at.
    pub digest_wait: Option<Duration>,
    /// How many objects are read at once.
    pub objects: usize,
    /// How long a message is hidden from others; it is hidden again while it is worked on.
    pub visibility: Duration,
    /// How often a message may come before it is set aside.
    pub max_receives: u32,
    /// The largest object, decompressed (bytes).
    pub max_object: u64,
    /// Older objects.
    pub backfill: Option<Older>,
}

/// Older objects, by their keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Older {
    pub bucket: String,
    /// How keys begin; `{yyyy}`, `{mm}` and `{dd}` stand for each day.
    pub prefixes: Vec<String>,
    /// The first day and the last, UTC.
    pub from: Date,
    pub to: Option<Date>,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let queue = table.text("queue", said).and_then(|url| address(url, "queue", said));
    let endpoint = table.text("endpoint", said).and_then(|url| address(url, "endpoint", said));
    let region = table.text("region", said).map(|region| region.value);
    let access_key = table.secret("access_key", false, said);
    let secret_key = table.secret("secret_key", false, said);
    let session_token = table.secret("session_token", false, said);
    if access_key.is_some() != secret_key.is_some() {
        said.bad(
            table.span,
            "`access_key` and `secret_key` go together: give both, or neither to use those of the environment",
        );
    }
    let role = table.text("role", said).map(|role| role.value);
    let external_id = table.secret("external_id", false, said);
    let keys = match table.text("keys", said) {
        Some(At { value, span }) => match globset::Glob::new(&value) {
            Ok(glob) => Some(glob.compile_matcher()),
            Err(error) => {
                said.bad(span, format!("the pattern cannot be used: {}", error.kind()));
                None
            }
        },
        None => None,
    };
    let layout = layout(table, said);
    let digests = table.flag("digests", false, said);
    let digest_wait =
        table.has("digest_wait").then(|| table.duration("digest_wait", Duration::from_secs(7200), ("1s", "30d"), said));
    let objects = table.number("objects", 4, 1..=64, said);
    let visibility = table.duration("visibility", Duration::from_secs(300), ("5s", "12h"), said);
    let max_receives = table.number("max_receives", 5, 1..=1000, said);
    let max_object = table.size("max_object", 4 << 30, ("1MiB", "1024GiB"), said);
    let backfill = table.table("backfill", said).map(|table| older(table, said));
    let settings = Settings {
        queue,
        region,
        endpoint,
        access_key,
        secret_key,
        session_token,
        role,
        external_id,
        keys,
        layout: layout?,
        digests,
        digest_wait,
        objects: usize::try_from(objects).unwrap_or(4),
        visibility,
        max_receives: u32::try_from(max_receives).unwrap_or(5),
        max_object,
        backfill: match backfill {
            Some(older) => Some(older?),
            None => None,
        },
    };
    if settings.queue.is_none() && settings.digest_wait.is_some() {
        said.bad(table.span, "`digest_wait` goes with a `queue`: digests are told of by it");
        return None;
    }
    if settings.queue.is_none() && settings.backfill.is_none() {
        table.lacks("queue", "\"https://sqs.eu-central-1.amazonaws.com/111122223333/trail\"", said);
        return None;
    }
    Some(Arc::new(settings))
}

/// An address: `https`, or on this machine.
fn address(url: At<String>, key: &str, said: &mut Said<'_>) -> Option<String> {
    match tripline_connect::endpoint(&url.value) {
        Ok(_) => Some(url.value),
        Err(why) => {
            said.bad(url.span, format!("`{key}` cannot be used: {why}"));
            None
        }
    }
}

fn older(mut table: Table<'_>, said: &mut Said<'_>) -> Option<Older> {
    let bucket = table.needed("bucket", "\"my-trail\"", said);
    let prefixes = table.texts("prefix", said).unwrap_or_default();
    let from = table.needed("from", "\"2026-11-01\"", said);
    let to = table.text("to", said);
    table.finish(said);
    let mut day = |text: At<String>| match text.value.parse::<Date>() {
        Ok(day) => Some(day),
        Err(_) => {
            said.bad(text.span, format!("`{}` is no day; write it as 2026-11-01", text.value));
            None
        }
    };
    let from = day(from?)?;
    let to = match to {
        Some(to) => {
            let (span, to) = (to.span, day(to)?);
            if to < from {
                said.bad(span, "`to` is before `from`");
                return None;
            }
            Some(to)
        }
        None => None,
    };
    let prefixes: Vec<String> = prefixes.into_iter().map(|prefix| prefix.value).collect();
    let prefixes = if prefixes.is_empty() { vec![String::new()] } else { prefixes };
    Some(Older { bucket: bucket?.value, prefixes, from, to })
}

impl SourceSettings for Settings {
    fn place(&self) -> String {
        let older = || self.backfill.as_ref().map(|older| format!("s3://{}", older.bucket));
        self.queue.clone().or_else(older).unwrap_or_default()
    }

    fn secrets(&self) -> Vec<&Place> {
        let all = [&self.access_key, &self.secret_key, &self.session_token, &self.external_id];
        all.into_iter().flatten().collect()
    }

    fn ends(&self) -> bool {
        self.backfill.is_some()
    }

    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { secrets, once, position, rows, intake, .. } = opening;
        let clients = Clients::new(self, secrets);
        Ok(Box::new(Bucket { settings: self.clone(), clients, position, rows, once, intake }))
    }

    fn check<'a>(
        &'a self,
        secrets: &'a Secrets,
        _folder: &'a std::path::Path,
    ) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async {
            let clients = Clients::new(self, secrets);
            let mut found = Vec::new();
            if let Some(url) = &self.queue {
                found.push(queue::look(&clients, url).await?);
            }
            if let Some(older) = &self.backfill {
                found.push(super::backfill::look(&clients, &older.bucket).await?);
            }
            Ok(found)
        })
    }

    fn clock<'a>(&'a self, secrets: &'a Secrets, _folder: &'a std::path::Path) -> Sending<'a, Option<i64>> {
        Box::pin(async {
            let at = match (&self.endpoint, &self.queue) {
                (Some(at), _) | (None, Some(at)) => at.clone(),
                (None, None) => format!("https://s3.{}.amazonaws.com", Clients::new(self, secrets).region().await?),
            };
            let http = tripline_connect::Http::new(&tripline_connect::Pace::default(), None, None).ok()?;
            // The queue itself is not asked: that would have to be signed.
            let at = tripline_connect::endpoint(&at).ok()?.join("/").ok()?;
            crate::clock::ahead(http.client(), at).await
        })
    }
}
