//! A member of a group: how librdkafka is set up, and what it tells.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tripline_config::Secrets;
use tripline_connect::kafka::{Behind, connection, creation};

use super::config::Kafka;

/// How long brokers may take to answer a question.
pub(super) const ANSWER: Duration = Duration::from_secs(10);
/// How often a member gives a sign of life, at least.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How librdkafka reads.
///
/// # Errors
/// What cannot be read, in a sentence without secrets.
pub(super) fn settings(config: &Kafka, secrets: &Secrets, folder: &Path) -> Result<ClientConfig, String> {
    let mut client = config.cluster.client(secrets, folder)?;
    for (key, value) in [
        ("group.id", config.group.as_str()),
        // The store says where reading goes on; the group is told what was committed.
        ("enable.auto.commit", "false"),
        ("enable.auto.offset.store", "false"),
        // Offsets that the broker does not have any more, or not yet, are looked at here: what is between is told.
        ("auto.offset.reset", "error"),
        ("partition.assignment.strategy", "range,roundrobin"),
        ("isolation.level", "read_committed"),
        // What is fetched ahead of what was handed over: KiB in all, and bytes of one partition at once.
        ("queued.max.messages.kbytes", "16384"),
        ("fetch.message.max.bytes", "1048576"),
        ("fetch.max.bytes", "8388608"),
        // Whether any broker is connected.
        ("statistics.interval.ms", "2000"),
    ] {
        client.set(key, value);
    }
    client.set("session.timeout.ms", config.session_timeout.as_millis().to_string());
    client.set("heartbeat.interval.ms", (config.session_timeout / 10).min(HEARTBEAT).as_millis().to_string());
    client.set_log_level(RDKafkaLogLevel::Emerg);
    Ok(client)
}

/// Other partitions are this member's.
#[derive(Clone, Debug)]
pub(super) enum Change {
    /// These are from now on.
    Assigned(Vec<(String, i32)>),
    /// It has none any more; it had these.
    Revoked(Vec<(String, i32)>),
}

/// Listens to what librdkafka tells.
#[derive(Default)]
pub(super) struct Watch {
    behind: Behind,
    /// Whether no broker is reached.
    down: AtomicBool,
    changes: Mutex<VecDeque<Change>>,
    /// Whether the group did not learn what it was told.
    unheard: AtomicBool,
    /// Whether the member leaves, and nobody looks at changes any more.
    leaving: AtomicBool,
}

impl Watch {
    /// The next change that was not taken yet.
    pub fn change(&self) -> Option<Change> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Whether the group did not learn what it was told; asked once.
    pub fn unheard(&self) -> bool {
        self.unheard.swap(false, Ordering::Relaxed)
    }

    /// Why no broker is reached, where none is.
    pub fn down(&self) -> Option<&'static str> {
        let down = self.down.load(Ordering::Relaxed);
        down.then(|| self.behind.why().unwrap_or("no broker answers: check `brokers`"))
    }
}

impl ClientContext for Watch {
    // Texts of librdkafka hold addresses.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats(&self, told: Statistics) {
        if told.brokers.values().any(|broker| broker.state == "UP") {
            self.down.store(false, Ordering::Relaxed);
            self.behind.set(None);
        }
    }

    fn error(&self, error: KafkaError, text: &str) {
        self.behind.told(&error, text);
        let lasting = [Code::AllBrokersDown, Code::Authentication, Code::SaslAuthenticationFailed, Code::SSL];
        if error.rdkafka_error_code().is_some_and(|code| lasting.contains(&code)) {
            self.down.store(true, Ordering::Relaxed);
        }
    }
}

impl ConsumerContext for Watch {
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if result.is_err() {
            self.unheard.store(true, Ordering::Relaxed);
        }
    }

    /// Partitions are assigned and let go of by whoever polls, as soon as the poll returns.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, list: &mut TopicPartitionList) {
        if self.leaving.load(Ordering::SeqCst) {
            // It leaves all the same.
            let _ = consumer.unassign();
            return;
        }
        let list = list.elements().iter().map(|one| (one.topic().to_string(), one.partition())).collect();
        let change = match what {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Change::Assigned(list),
            _ => Change::Revoked(list),
        };
        self.changes.lock().unwrap_or_else(PoisonError::into_inner).push_back(change);
    }
}

/// A member. It leaves the group when it is dropped.
pub(super) struct Member(pub BaseConsumer<Watch>);

impl Member {
    /// # Errors
    /// Where a setting cannot be used.
    pub fn new(client: &ClientConfig) -> Result<Self, String> {
        client.create_with_context(Watch::default()).map(Member).map_err(|error| creation(&error))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.context().leaving.store(true, Ordering::SeqCst);
        // A change that nobody took would be waited for.
        let _ = self.0.unassign();
    }
}

/// What is wrong, where it may come right.
pub(super) fn words(code: Code) -> String {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "there is no such topic, or the account may not see it: create it, or correct `topics`"
        }
        Code::TopicAuthorizationFailed => "the account may not read the topic: it needs Read and Describe on it",
        Code::GroupAuthorizationFailed => "the account may not be a member of the group: it needs Read on `group`",
        Code::InvalidGroupId => "the broker does not take the name of the group",
        Code::OperationTimedOut | Code::RequestTimedOut | Code::BrokerTransportFailure | Code::AllBrokersDown => {
            "no broker answers in time"
        }
        code => return connection(code, "").map_or_else(|| format!("Kafka says {code:?}"), str::to_string),
    }
    .to_string()
}

/// Whether there is what is to be read.
pub(super) fn look(client: &ClientConfig, topics: &[String]) -> Result<Vec<String>, String> {
    let member = Member::new(client)?;
    let mut said = Vec::new();
    for topic in topics {
        let told = member.0.fetch_metadata(Some(topic), ANSWER).map_err(|error| {
            // What librdkafka has to tell is told to who polls.
            let _ = member.0.poll(Duration::from_millis(100));
            let why = member.0.context().behind.why().map(str::to_string);
            why.unwrap_or_else(|| words(error.rdkafka_error_code().unwrap_or(Code::Unknown)))
        })?;
        let found = told.topics().first().ok_or_else(|| words(Code::UnknownTopic))?;
        if let Some(error) = found.error() {
            return Err(format!("`{topic}`: {}", words(Code::from(error))));
        }
        let count = found.partitions().len();
        said.push(format!("`{topic}` has {count} partition{}", if count == 1 { "" } else { "s" }));
    }
    Ok(said)
}
