//! What is said of a configuration; and with the features, what a cluster on loopback gets.

#[cfg(feature = "kafka")]
mod cluster;
#[cfg(feature = "kafka-tls")]
mod tls;

use tripline_alert::Occasion;

use super::KIND;
use super::encode::record;
use crate::testing::{alert, parcel, read};

/// A table that every build with the feature takes.
const PLAIN: &str = "topic = \"alerts\"\nsecurity = \"none\"\nbrokers = ";

fn said(text: &str) -> String {
    read(&KIND, text).1.join("\n")
}

#[test]
fn a_build_says_what_it_lacks() {
    let plain = said(&format!("{PLAIN}\"localhost:9092\""));
    let tls = said("topic = \"alerts\"\nbrokers = [\"localhost:9092\", \"[::1]:9093\"]\nca = \"ca.pem\"");
    if cfg!(feature = "kafka-tls") {
        assert_eq!((plain.as_str(), tls.as_str()), ("", ""));
    } else if cfg!(feature = "kafka") {
        assert_eq!(plain, "");
        assert!(tls.contains("`cargo build --release --features kafka-tls`, or set `security"), "{tls}");
    } else {
        let lacks = "this build of Tripline cannot send to Kafka: build it with \
                     `cargo build --release --features kafka-tls`";
        assert_eq!((plain.as_str(), tls.as_str()), (lacks, lacks), "and nothing of the keys");
    }
}

#[test]
fn a_configuration_is_helped() {
    let none = said("");
    assert!(none.contains("has no `brokers`") && none.contains("has no `topic`"), "{none}");
    for bad in [
        "\"b\"",
        "\"b:0\"",
        "\"b:70000\"",
        "\"b:+1\"",
        "\"a:1,b:2\"",
        "\"SSL://b:1\"",
        "\"a b:1\"",
        "\":9092\"",
        "\"[b]:1\"",
    ] {
        let said = said(&format!("{PLAIN}{bad}"));
        assert!(said.contains("`brokers` takes hosts and ports"), "{bad}: {said}");
    }
    assert!(said(&format!("{PLAIN}[]")).contains("`brokers` takes 1 to 100"));
    let long = "x".repeat(250);
    for bad in ["", "a b", "a/b", ".", "..", "a\\u0000", long.as_str()] {
        let said = said(&format!("brokers = \"b:1\"\ntopic = \"{bad}\""));
        assert!(said.contains("`topic` takes 1 to 249"), "{bad}: {said}");
    }
    let plain = format!("{PLAIN}\"b:1\"\n");
    let account = "user = \"u\"\npassword = { env = \"P\" }\nmechanism = \"PLAIN\"";
    assert!(said(&format!("{plain}{account}")).contains("a password is not sent without TLS"));
    assert!(said(&format!("{plain}user = \"u\"")).contains("a `user` goes with a `password`"));
    assert!(said(&format!("{plain}mechanism = \"PLAIN\"")).contains("name both"));
    assert!(said(&format!("{plain}mechanism = \"GSSAPI\"")).contains("it is one of PLAIN, SCRAM-SHA-256"));
    assert!(said(&format!("{plain}ca = \"ca.pem\"")).contains("`ca` is for `security = \"tls\"`"));
    assert!(said(&format!("{plain}compression = \"brotli\"")).contains("it is one of none, gzip"));
    assert!(said(&format!("{plain}size = \"1KiB\"")).contains("a size from 4KiB to 64MiB"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_the_record() {
    let shown = record(&parcel(&alert(), Occasion::Opened, None), 1 << 20).unwrap().text();
    let (head, body) = shown.split_once("\n\n").unwrap();
    let id = alert().id;
    assert_eq!(head, format!("key: {id}\ntripline-id: {id}-1\ncontent-type: application/json"));
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["alert"]["id"], id);
}
