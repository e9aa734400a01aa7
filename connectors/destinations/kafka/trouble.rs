//! What librdkafka and brokers say is wrong with a delivery, in words that tell what to do. Their own texts name addresses, so nothing of
//! them is passed on.

use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode as Code;
use tripline_connect::{Outcome, kafka};

/// What a code means for a delivery; `behind` is why the connection failed last.
pub fn outcome(code: Code, behind: Option<&'static str>) -> Outcome {
    let never = |reason: &str| Outcome::Never { reason: reason.into() };
    let reason = match code {
        Code::MessageSizeTooLarge | Code::MessageBatchTooLarge | Code::InvalidMessageSize => {
            return never(
                "it is longer than the topic takes: raise the topic's `max.message.bytes`, or lower `size` so that \
                 less of an alert is told",
            );
        }
        Code::InvalidRecord => return never("the broker refuses the record: does the topic check what is in records?"),
        _ => words(code, behind),
    };
    Outcome::Later { reason, after: matches!(code, Code::QueueFull).then_some(Duration::from_secs(1)) }
}

/// What is wrong, where it may come right.
pub fn words(code: Code, behind: Option<&'static str>) -> String {
    match code {
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition => {
            "there is no such topic, or the account may not see it: create it, or correct `topic`"
        }
        Code::InvalidTopic => "the broker does not take the name of the topic",
        Code::TopicAuthorizationFailed => "the account may not write to the topic: it needs Write and Describe on it",
        Code::ClusterAuthorizationFailed => {
            "the account may not write idempotently: before Kafka 3.0 it needs IdempotentWrite on the cluster"
        }
        Code::NotEnoughReplicas | Code::NotEnoughReplicasAfterAppend | Code::ISRInsufficient => {
            "too few replicas of the topic are in sync"
        }
        Code::LeaderNotAvailable | Code::NotLeaderForPartition => "a partition of the topic has no leader now",
        Code::UnsupportedCompressionType => "the broker does not take this `compression`",
        Code::KafkaStorageError => "the broker's disk fails",
        Code::ThrottlingQuotaExceeded => "the account has used up what it may send for now",
        Code::QueueFull => "more waits to be sent than there is room for",
        Code::MessageTimedOut
        | Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::PurgeQueue
        | Code::PurgeInflight => behind.unwrap_or("no broker answers in time"),
        code => return kafka::connection(code, "").map_or_else(|| format!("Kafka says {code:?}"), str::to_string),
    }
    .to_string()
}
