//! What is said of a configuration; and with the feature, what is read from a server on loopback.

#[cfg(feature = "nats")]
mod server;

use std::sync::Arc;

use tripline_connect::source::SourceSettings;

use super::KIND;
use crate::testing;

const NAMES: &str = "stream = \"LOGS\"\nconsumer = \"tripline\"\n";

fn read(text: &str) -> (Option<Arc<dyn SourceSettings>>, String) {
    testing::read(&KIND, text)
}

fn said(text: &str) -> String {
    read(text).1
}

#[test]
fn a_build_says_what_it_lacks() {
    let plain = said(&format!("{NAMES}servers = \"nats://127.0.0.1:4222\""));
    let tls = said(&format!("{NAMES}servers = [\"tls://a.example.com:4222\"]\ncreds = \"a.creds\"\nca = \"ca.pem\""));
    if cfg!(feature = "nats") {
        assert_eq!((plain.as_str(), tls.as_str()), ("", ""));
    } else {
        let lacks = "this build of Tripline cannot read from NATS: build it with \
                     `cargo build --release --features nats`";
        assert_eq!((plain.as_str(), tls.as_str()), (lacks, lacks), "and nothing of the keys");
    }
}

#[test]
fn a_configuration_is_helped() {
    let none = said("");
    for key in ["servers", "stream", "consumer"] {
        assert!(none.contains(&format!("has no `{key}`")), "{none}");
    }
    for bad in ["a:4222", "http://a:4222", "nats://", "nats://u:p@a:4222", "tls://a:4222/b"] {
        let said = said(&format!("{NAMES}servers = \"{bad}\""));
        assert!(said.contains("`servers` takes addresses without accounts"), "{bad}: {said}");
    }
    assert!(said(&format!("{NAMES}servers = []")).contains("`servers` takes 1 to 100"));
    let on = |server: &str, more: &str| said(&format!("{NAMES}servers = \"{server}\"\n{more}"));
    for bad in ["", "a.b", "a b", "a*"] {
        let said = said(&format!("servers = \"nats://127.0.0.1:1\"\nconsumer = \"c\"\nstream = \"{bad}\""));
        assert!(said.contains("`stream` takes 1 to 255"), "{bad}: {said}");
    }
    let token = "token = { env = \"T\" }";
    assert!(on("nats://a.example.com:4222", token).contains("a password is not sent without TLS"));
    assert!(!on("nats://127.0.0.1:4222", token).contains("TLS"));
    assert!(!on("tls://a.example.com:4222", token).contains("TLS"));
    assert!(on("tls://a:1", &format!("{token}\ncreds = \"c\"")).contains("name one"));
    assert!(on("tls://a:1", "user = \"u\"").contains("a `user` goes with a `password`"));
    assert!(on("tls://a:1", "max_ack_pending = 0").contains("from 1 to 1000000"));
    assert!(on("tls://a:1", "certificate = \"c\"").contains("a `certificate` is shown with its `key`"));
}
