//! What is said of a configuration; and with the feature, what is read from clusters on loopback.

#[cfg(feature = "kafka")]
mod cluster;
#[cfg(feature = "kafka-tls")]
mod tls;

use std::sync::Arc;

use tripline_connect::source::SourceSettings;

use super::KIND;
use crate::testing;

/// A table that every build with the feature takes.
const PLAIN: &str = "topics = \"logs\"\ngroup = \"tripline\"\nsecurity = \"none\"\nbrokers = ";

fn read(text: &str) -> (Option<Arc<dyn SourceSettings>>, String) {
    testing::read(&KIND, text)
}

fn said(text: &str) -> String {
    read(text).1
}

#[test]
fn a_build_says_what_it_lacks() {
    let plain = said(&format!("{PLAIN}\"localhost:9092\""));
    let tls =
        said("topics = [\"a\", \"b\"]\ngroup = \"g\"\nbrokers = [\"localhost:9092\", \"[::1]:9093\"]\nca = \"ca.pem\"");
    if cfg!(feature = "kafka-tls") {
        assert_eq!((plain.as_str(), tls.as_str()), ("", ""));
    } else if cfg!(feature = "kafka") {
        assert_eq!(plain, "");
        assert!(tls.contains("`cargo build --release --features kafka-tls`, or set `security"), "{tls}");
    } else {
        let lacks = "this build of Tripline cannot read from Kafka: build it with \
                     `cargo build --release --features kafka-tls`";
        assert_eq!((plain.as_str(), tls.as_str()), (lacks, lacks), "and nothing of the keys");
    }
}

#[test]
fn a_configuration_is_helped() {
    let none = said("");
    for key in ["brokers", "topics", "group"] {
        assert!(none.contains(&format!("has no `{key}`")), "{none}");
    }
    let with = |text: &str| said(&format!("brokers = \"b:1\"\nsecurity = \"none\"\n{text}"));
    assert!(with("group = \"g\"\ntopics = []").contains("`topics` takes 1 to 1000 names"));
    assert!(with("group = \"g\"\ntopics = \"^logs.*\"").contains("a topic has 1 to 249 letters"));
    assert!(with("group = \"\"\ntopics = \"a\"").contains("`group` takes 1 to 255 characters"));
    assert!(with("group = \"g\"\ntopics = \"a\"\nfrom = \"middle\"").contains("it is one of beginning, end"));
}
