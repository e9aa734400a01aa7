//! `kind = "kafka"` with a cluster, `topics` and a `group`.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tripline_config::{Place, Said, Secrets, Table};
use tripline_connect::Sending;
use tripline_connect::kafka::{self, Cluster};
use tripline_connect::source::{Opening, Source, SourceKind, SourceSettings};

pub(crate) const KIND: SourceKind = SourceKind { name: "kafka", read };

/// What it does, for what a build without the feature says.
const WHAT: &str = "read from Kafka";
/// The most topics.
const MOST: usize = 1_000;
/// The longest name of a group.
const LONGEST: usize = 255;

/// Topics, and how they are read.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Clone, Debug)]
pub(super) struct Kafka {
    pub cluster: Cluster,
    pub topics: Vec<String>,
    pub group: String,
    /// Where a topic is begun of which nothing was read yet.
    pub beginning: bool,
    /// After how long without a sign of life the group gives its partitions to others.
    pub session_timeout: Duration,
}

fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn SourceSettings>> {
    let cluster = kafka::read(table, WHAT, said);
    let topics = topics(table, said);
    let group = table.needed("group", "\"tripline\"", said);
    let beginning = table.choice("from", &["beginning", "end"], said).unwrap_or("beginning") == "beginning";
    let session_timeout = table.duration("session_timeout", Duration::from_secs(45), ("6s", "30m"), said);
    if let Some(group) = &group
        && (group.value.is_empty() || group.value.len() > LONGEST || group.value.chars().any(char::is_control))
    {
        said.bad(group.span, "`group` takes 1 to 255 characters");
        return None;
    }
    let (cluster, topics, group) = (cluster?, topics?, group?.value);
    Some(Arc::new(Kafka { cluster, topics, group, beginning, session_timeout }))
}

fn topics(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Vec<String>> {
    let example = "[\"cloudtrail\"]";
    if !table.has("topics") {
        table.lacks("topics", example, said);
    }
    let written = table.texts("topics", said)?;
    if let Some(one) = written.iter().find(|one| !kafka::is_topic(&one.value)) {
        said.bad(one.span, "a topic has 1 to 249 letters, digits, `.`, `_` and `-`");
        return None;
    }
    if written.is_empty() || written.len() > MOST {
        said.bad(table.span, format!("`topics` takes 1 to {MOST} names, as in `{example}`"));
        return None;
    }
    Some(written.into_iter().map(|one| one.value).collect())
}

impl SourceSettings for Kafka {
    fn place(&self) -> String {
        format!("{} of {}", self.topics.join(", "), self.cluster.brokers())
    }

    fn secrets(&self) -> Vec<&Place> {
        self.cluster.secrets()
    }

    #[cfg(not(feature = "kafka"))]
    fn open(&self, _: Opening<'_>) -> Result<Box<dyn Source>, String> {
        Err(kafka::lacks(WHAT))
    }

    #[cfg(feature = "kafka")]
    fn open(&self, opening: Opening<'_>) -> Result<Box<dyn Source>, String> {
        let Opening { secrets, folder, position, intake, .. } = opening;
        let client = super::client::settings(self, secrets, folder)?;
        Ok(Box::new(super::source::Reader::new(self.clone(), client, position, intake)?))
    }

    #[cfg(not(feature = "kafka"))]
    fn check<'a>(&'a self, _: &'a Secrets, _: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async { Err(kafka::lacks(WHAT)) })
    }

    #[cfg(feature = "kafka")]
    fn check<'a>(&'a self, secrets: &'a Secrets, folder: &'a Path) -> Sending<'a, Result<Vec<String>, String>> {
        Box::pin(async move {
            let client = super::client::settings(self, secrets, folder)?;
            let topics = self.topics.clone();
            let looked = tokio::task::spawn_blocking(move || super::client::look(&client, &topics));
            looked.await.unwrap_or_else(|_| Err("a client of Kafka cannot be started".into()))
        })
    }
}
