//! TLS and accounts, against a broker that has nothing of librdkafka (`.ci/peers`). It knows neither in this form: a gate
//! before it speaks TLS, and asks for the account by PLAIN or SCRAM (RFC 5802) where it is told to.

mod gate;

use std::path::Path;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tripline_config::Secrets;
use tripline_connect::source::{Done, Intake, Opening};

use self::gate::Gate;
use super::cluster::{Broker, free, make_topic_as, program, start};
use super::read;

const USER: &str = "tripline";
const PASSWORD: &str = "a b\"c";

/// A broker, and a gate before it.
struct Site {
    _broker: Broker,
    /// The authority, `password` and `wrong`.
    folder: tempfile::TempDir,
    port: u16,
}

impl Site {
    /// None where there is no broker here.
    fn new() -> Option<Self> {
        let program = program()?;
        let behind = free();
        let gate = Gate::new(behind, (USER, PASSWORD));
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("ca.pem", gate.authority.as_str()), ("password", PASSWORD), ("wrong", "hush")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let site = Site { _broker: start(&program, behind, gate.port), folder, port: gate.port };
        make_topic_as(&site.client());
        Some(site)
    }

    /// A client of librdkafka itself.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{}", self.port)).set("security.protocol", "sasl_ssl");
        config.set("ssl.ca.location", self.folder.path().join("ca.pem").to_string_lossy());
        config.set("sasl.mechanism", "PLAIN").set("sasl.username", USER).set("sasl.password", PASSWORD);
        config.set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    fn table(&self, more: &str) -> String {
        format!(
            "topics = \"logs\"\ngroup = \"g\"\nsession_timeout = \"6s\"\nbrokers = \"127.0.0.1:{}\"\n{more}",
            self.port
        )
    }

    fn check(&self, more: &str) -> Result<Vec<String>, String> {
        let (settings, said) = read(&self.table(more));
        let settings = settings.unwrap_or_else(|| panic!("{said}"));
        let secrets = Secrets::read(settings.secrets(), self.folder.path()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(settings.check(&secrets, self.folder.path()))
    }

    /// What is read of the topic until so many events came.
    fn events(&self, more: &str, group: &str, wanted: usize) -> Vec<String> {
        let table = self.table(more).replace("group = \"g\"", &format!("group = \"{group}\""));
        let settings = read(&table).0.unwrap();
        let secrets = Secrets::read(settings.secrets(), self.folder.path()).unwrap();
        let (intake, arrivals) = Intake::channel("kafka", 8);
        let folder: &Path = self.folder.path();
        let opening = Opening {
            secrets: &secrets,
            folder,
            once: false,
            position: None,
            rows: Vec::new(),
            intake: intake.clone(),
        };
        let source = settings.open(opening).unwrap();
        let thread = std::thread::spawn(move || source.run());
        let mut events = Vec::new();
        while events.len() < wanted {
            let arrival = arrivals.recv_timeout(Duration::from_secs(30)).unwrap();
            for record in arrival.pieces.iter().flat_map(|(_, batch)| batch.iter()) {
                events.push(String::from_utf8(record.bytes.to_vec()).unwrap());
            }
            let _ = arrival.done.unwrap().send(Done::default());
        }
        intake.stop().now();
        thread.join().unwrap();
        events
    }
}

#[test]
fn a_topic_is_read_with_tls_and_an_account() {
    let Some(site) = Site::new() else { return };
    let producer: BaseProducer = site.client().create().unwrap();
    for n in 0..30 {
        let payload = format!("{{\"n\":{n}}}");
        producer.send(BaseRecord::<(), str>::to("logs").partition(n % 3).payload(&payload)).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let account = |password: &str| {
            format!(
                "ca = \"ca.pem\"\nuser = \"{USER}\"\nmechanism = \"{mechanism}\"\npassword = {{ file = \"{password}\" }}\n\
                 from = \"beginning\""
            )
        };
        let why = site.check(&account("wrong")).unwrap_err();
        assert_eq!(why, "the broker does not know the account: check `user`, `password` and `mechanism`");
        assert_eq!(site.check(&account("password")).unwrap(), ["`logs` has 3 partitions"]);
        // Each mechanism is a group of its own, and reads everything.
        let mut events = site.events(&account("password"), mechanism, 30);
        events.sort_unstable();
        events.dedup();
        assert_eq!(events.len(), 30, "{mechanism}");
    }
}

#[test]
fn tls_trusts_the_authority_of_its_configuration_alone() {
    let Some(site) = Site::new() else { return };
    let account = format!("user = \"{USER}\"\npassword = {{ file = \"password\" }}\n");
    let why = site.check(&account).unwrap_err();
    assert!(why.contains("certificate is not trusted"), "{why}");
    assert_eq!(site.check(&format!("{account}ca = \"ca.pem\"")).unwrap(), ["`logs` has 3 partitions"]);
}
