//! `kind = "kafka"` with `brokers` and `topic`, and how they are spoken to.

use std::path::Path;
use std::sync::Arc;

use tripline_config::{At, Place, Said, Secrets, Table};
use tripline_connect::{Destination, Pace, Parcel, Settings};

use super::encode::{record, too_long};
use crate::trust::Trust;

/// The most brokers to begin with.
const MOST: usize = 100;
/// The longest name of a topic.
const LONGEST: usize = 249;
/// The longest message (bytes), where nothing else is said; what a topic takes unless it is told otherwise is more.
const SIZE: u64 = 1_000_000;
/// What this build lacks, and how to have it.
#[cfg(not(feature = "kafka"))]
const LACKS: &str =
    "this build of Tripline cannot send to Kafka: build it with `cargo build --release --features kafka-tls`";

#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Debug)]
struct Kafka {
    brokers: String,
    topic: String,
    tls: bool,
    account: Option<Account>,
    compression: &'static str,
    size: usize,
    trust: Trust,
}

/// Who signs in, and how.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Debug)]
struct Account {
    mechanism: &'static str,
    user: Place,
    password: Place,
}

pub(super) fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<Arc<dyn Settings>> {
    let brokers = brokers(table, said);
    let topic = table.needed("topic", "\"tripline-alerts\"", said);
    if let Some(topic) = &topic
        && !is_topic(&topic.value)
    {
        said.bad(topic.span, "`topic` takes 1 to 249 letters, digits, `.`, `_` and `-`");
    }
    let tls = table.choice("security", &["tls", "none"], said).unwrap_or("tls") == "tls";
    let account = account(table, tls, said);
    let compression = table.choice("compression", &["none", "gzip", "snappy", "lz4", "zstd"], said).unwrap_or("lz4");
    let size = table.size("size", SIZE, ("4KiB", "64MiB"), said);
    let named = ["ca", "certificate", "key"].into_iter().find(|key| table.has(key));
    let trust = Trust::read(table, said);
    if let (Some(key), false) = (named, tls) {
        said.bad(table.span, format!("`{key}` is for `security = \"tls\"`, and this is `\"none\"`"));
    }
    #[cfg(not(feature = "kafka"))]
    said.bad(table.span, LACKS);
    if cfg!(all(feature = "kafka", not(feature = "kafka-tls"))) && (tls || account.is_some()) {
        said.bad(
            table.span,
            "this build of Tripline speaks to Kafka without TLS and accounts: build it with \
             `cargo build --release --features kafka-tls`, or set `security = \"none\"`",
        );
    }
    Some(Arc::new(Kafka {
        brokers: brokers?,
        topic: topic?.value,
        tls,
        account,
        compression,
        size: usize::try_from(size).unwrap_or(usize::MAX),
        trust,
    }))
}

/// Hosts and ports, as librdkafka takes them.
fn brokers(table: &mut Table<'_>, said: &mut Said<'_>) -> Option<String> {
    let example = "[\"broker1.example.com:9092\"]";
    if !table.has("brokers") {
        table.lacks("brokers", example, said);
    }
    let written = table.texts("brokers", said)?;
    let wrong = |one: &&At<String>| !is_broker(&one.value);
    if let Some(one) = written.iter().find(wrong) {
        said.bad(one.span, format!("`brokers` takes hosts and ports, as in `{example}`"));
        return None;
    }
    if written.is_empty() || written.len() > MOST {
        said.bad(table.span, format!("`brokers` takes 1 to {MOST} hosts and ports, as in `{example}`"));
        return None;
    }
    Some(written.into_iter().map(|one| one.value).collect::<Vec<_>>().join(","))
}

/// A host of a name or an address, and a port.
fn is_broker(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let name = |host: &str| !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let within = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = within.map_or_else(|| name(host), |host| host.parse::<std::net::Ipv6Addr>().is_ok());
    host && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// A name that Kafka takes.
fn is_topic(text: &str) -> bool {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    plain && (1..=LONGEST).contains(&text.len()) && text != "." && text != ".."
}

fn account(table: &mut Table<'_>, tls: bool, said: &mut Said<'_>) -> Option<Account> {
    let mechanism = table.choice("mechanism", &["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"], said);
    let (user, password) = (table.secret("user", true, said), table.secret("password", false, said));
    match (user, password) {
        (Some(user), Some(password)) => {
            if !tls && mechanism == Some("PLAIN") {
                said.bad(password.span, "a password is not sent without TLS: set `security = \"tls\"`");
            }
            Some(Account { mechanism: mechanism.unwrap_or("SCRAM-SHA-512"), user, password })
        }
        (Some(one), None) | (None, Some(one)) => {
            said.bad(one.span, "a `user` goes with a `password`");
            None
        }
        (None, None) => {
            if mechanism.is_some() {
                said.bad(table.span, "a `mechanism` is how a `user` signs in with a `password`: name both");
            }
            None
        }
    }
}

impl Settings for Kafka {
    fn secrets(&self) -> Vec<&Place> {
        self.account.iter().flat_map(|account| [&account.user, &account.password]).collect()
    }

    fn render(&self, parcel: &Parcel) -> Result<String, String> {
        record(parcel, self.size).map(|record| record.text()).ok_or_else(|| too_long(self.size))
    }

    #[cfg(not(feature = "kafka"))]
    fn open(&self, _: &Secrets, _: &Path, _: &Pace) -> Result<Box<dyn Destination>, String> {
        Err(LACKS.into())
    }

    #[cfg(feature = "kafka")]
    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String> {
        let millis = pace.timeout.as_millis();
        let mut config = rdkafka::ClientConfig::new();
        for (key, value) in [
            ("client.id", "tripline"),
            ("bootstrap.servers", self.brokers.as_str()),
            // A topic with a slip in its name is an error and not a new topic.
            ("allow.auto.create.topics", "false"),
            ("acks", "all"),
            ("enable.idempotence", "true"),
            // Where other clients, which follow the one in Java, put the same key.
            ("partitioner", "murmur2_random"),
            ("compression.type", self.compression),
            ("reconnect.backoff.max.ms", "1000"),
        ] {
            config.set(key, value);
        }
        let size = self.size.to_string();
        config.set("message.max.bytes", size.as_str());
        // What becomes of a message is known before the time of an attempt is over.
        for (key, millis) in [
            ("message.timeout.ms", millis),
            ("request.timeout.ms", millis),
            ("socket.timeout.ms", millis),
            ("socket.connection.setup.timeout.ms", millis.max(1_000)),
            ("topic.metadata.propagation.max.ms", millis / 2),
        ] {
            config.set(key, millis.to_string());
        }
        let protocol = match (self.tls, self.account.is_some()) {
            (true, true) => "sasl_ssl",
            (true, false) => "ssl",
            (false, true) => "sasl_plaintext",
            (false, false) => "plaintext",
        };
        config.set("security.protocol", protocol);
        if let Some(account) = &self.account {
            let of = |place| secrets.of(place).map(tripline_config::Secret::reveal).ok_or("a secret is missing");
            config.set("sasl.mechanism", account.mechanism);
            config.set("sasl.username", of(&account.user)?).set("sasl.password", of(&account.password)?);
        }
        if self.tls {
            trusted(&mut config, &self.trust.open(folder)?)?;
        }
        let topic = super::destination::Topic::new(config, self.topic.clone(), self.size, pace.timeout)?;
        Ok(Box::new(topic))
    }
}

/// Trusts what the system trusts and `ca`, and shows what there is to show.
#[cfg(feature = "kafka-tls")]
fn trusted(config: &mut rdkafka::ClientConfig, trusted: &crate::trust::Trusted) -> Result<(), String> {
    use base64::Engine as _;
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;

    let mut roots = rustls_native_certs::load_native_certs().certs;
    if let Some(pem) = &trusted.ca {
        let further: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        let further = further.map_err(|_| "the certificates of `ca` cannot be read")?;
        if further.is_empty() {
            return Err("there is no certificate in `ca`".into());
        }
        roots.extend(further);
    }
    let mut pem = String::new();
    for root in roots {
        let text = base64::engine::general_purpose::STANDARD.encode(root);
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        // PEM has lines of 64 characters.
        for (at, c) in text.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(c);
        }
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    if !pem.is_empty() {
        config.set("ssl.ca.pem", pem);
    }
    if let Some((certificate, key)) = &trusted.identity {
        let text =
            |pem: &[u8]| String::from_utf8(pem.to_vec()).map_err(|_| "the client's certificate and key cannot be read");
        config.set("ssl.certificate.pem", text(certificate)?).set("ssl.key.pem", text(key)?);
    }
    Ok(())
}

/// Without the feature the configuration has said so, and nothing is opened.
#[cfg(all(feature = "kafka", not(feature = "kafka-tls")))]
fn trusted(_: &mut rdkafka::ClientConfig, _: &crate::trust::Trusted) -> Result<(), String> {
    Err("this build of Tripline speaks to Kafka without TLS".into())
}
