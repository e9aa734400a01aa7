//! Clusters of Kafka: how the configuration names them, and how librdkafka is told to speak to them. What sends and what
//! reads share it.
//!
//! librdkafka is compiled in by the feature `kafka`; TLS and SCRAM, which take OpenSSL, by `kafka-tls`. Without them the
//! configuration is read all the same, and says how to build with them.

#[cfg(feature = "kafka")]
mod trouble;

#[cfg(feature = "kafka")]
use std::path::Path;

#[cfg(feature = "kafka")]
use tripline_config::Secrets;
use tripline_config::{At, Place, Said, Table};

use crate::Trust;

#[cfg(feature = "kafka")]
pub use trouble::{Behind, connection, creation};

/// The most brokers to begin with.
const MOST: usize = 100;
/// The longest name of a topic.
const LONGEST: usize = 249;
/// How a build that speaks to Kafka is made.
const BUILD: &str = "build it with `cargo build --release --features kafka-tls`";

/// A cluster: `brokers`, `security`, and who signs in.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Clone, Debug)]
pub struct Cluster {
    brokers: String,
    tls: bool,
    account: Option<Account>,
    trust: Trust,
}

/// Who signs in, and how.
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "without the feature nothing is opened"))]
#[derive(Clone, Debug)]
struct Account {
    mechanism: &'static str,
    user: Place,
    password: Place,
}

/// What a build without the feature `kafka` says; `what` is what it cannot: "send to Kafka".
pub fn lacks(what: &str) -> String {
    format!("this build of Tripline cannot {what}: {BUILD}")
}

/// Reads the keys of a cluster, and says where this build cannot speak to it; `what` is as in [`lacks`]. None where
/// something was wrong and said.
pub fn read(table: &mut Table<'_>, what: &str, said: &mut Said<'_>) -> Option<Cluster> {
    let brokers = brokers(table, said);
    let tls = table.choice("security", &["tls", "none"], said).unwrap_or("tls") == "tls";
    let account = account(table, tls, said);
    let named = ["ca", "certificate", "key"].into_iter().find(|key| table.has(key));
    let trust = Trust::read(table, said);
    if let (Some(key), false) = (named, tls) {
        said.bad(table.span, format!("`{key}` is for `security = \"tls\"`, and this is `\"none\"`"));
    }
    if cfg!(not(feature = "kafka")) {
        said.bad(table.span, lacks(what));
    } else if cfg!(not(feature = "kafka-tls")) && (tls || account.is_some()) {
        said.bad(
            table.span,
            format!(
                "this build of Tripline speaks to Kafka without TLS and accounts: {BUILD}, or set `security = \"none\"`"
            ),
        );
    }
    Some(Cluster { brokers: brokers?, tls, account, trust })
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

/// Whether Kafka takes a name for a topic.
pub fn is_topic(text: &str) -> bool {
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

impl Cluster {
    /// The brokers to begin with, as librdkafka takes them.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The secrets that it names.
    pub fn secrets(&self) -> Vec<&Place> {
        self.account.iter().flat_map(|account| [&account.user, &account.password]).collect()
    }

    /// How librdkafka is told to speak to it.
    ///
    /// # Errors
    /// What cannot be read, in a sentence without secrets.
    #[cfg(feature = "kafka")]
    pub fn client(&self, secrets: &Secrets, folder: &Path) -> Result<rdkafka::ClientConfig, String> {
        let mut config = rdkafka::ClientConfig::new();
        for (key, value) in [
            ("client.id", "tripline"),
            ("bootstrap.servers", self.brokers.as_str()),
            // A topic with a slip in its name is an error and not a new topic.
            ("allow.auto.create.topics", "false"),
            ("reconnect.backoff.max.ms", "1000"),
        ] {
            config.set(key, value);
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
        Ok(config)
    }
}

/// Trusts what the system trusts and `ca`, and shows what there is to show.
#[cfg(feature = "kafka-tls")]
fn trusted(config: &mut rdkafka::ClientConfig, trusted: &crate::Trusted) -> Result<(), String> {
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
fn trusted(_: &mut rdkafka::ClientConfig, _: &crate::Trusted) -> Result<(), String> {
    Err("this build of Tripline speaks to Kafka without TLS".into())
}
