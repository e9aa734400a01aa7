//! TLS and accounts, against a broker that has nothing of librdkafka (`.ci/peers`): it knows accounts by SCRAM, and TLS is
//! spoken before it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tripline_config::Secrets;
use tripline_connect::source::{Done, Intake, Opening};

use super::cluster::{Broker, free, make_topic_as, program, start};
use super::read;

const USER: &str = "tripline";
const PASSWORD: &str = "a b\"c";

/// A broker with an account, and TLS before it.
struct Site {
    _broker: Broker,
    /// The authority, `password` and `wrong`.
    folder: tempfile::TempDir,
    port: u16,
}

impl Site {
    /// None where there is no broker here.
    fn new(mechanism: &str) -> Option<Self> {
        let program = program()?;
        let made = generate_simple_self_signed(["localhost".to_string(), "127.0.0.1".to_string()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("ca.pem", made.cert.pem().as_str()), ("password", PASSWORD), ("wrong", "hush")] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let behind = free();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let port = listener.local_addr().unwrap().port();
        // It serves until the process of the tests ends.
        let serve = async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut tls) = acceptor.accept(stream).await else { return };
                    let Ok(mut plain) = TcpStream::connect(("127.0.0.1", behind)).await else { return };
                    let _ = tokio::io::copy_bidirectional(&mut tls, &mut plain).await;
                });
            }
        };
        std::thread::spawn(move || runtime.block_on(serve));
        let site = Site { _broker: start(&program, behind, port), folder, port };
        make_topic_as(&site.client());
        let made = Command::new(program)
            .args(["user", "create", "--broker", &format!("tcp://127.0.0.1:{behind}"), "--mechanism", mechanism])
            .args([USER, PASSWORD])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.unwrap().success(), "the broker takes no account");
        Some(site)
    }

    /// A client that speaks TLS and has no account.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", format!("127.0.0.1:{}", self.port)).set("security.protocol", "ssl");
        config.set("ssl.ca.location", self.folder.path().join("ca.pem").to_string_lossy());
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
    fn events(&self, more: &str, wanted: usize) -> Vec<String> {
        let settings = read(&self.table(more)).0.unwrap();
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
    for (mechanism, named) in [("scram256", "SCRAM-SHA-256"), ("scram512", "SCRAM-SHA-512")] {
        let Some(site) = Site::new(mechanism) else { return };
        let account = |password: &str| {
            format!(
                "ca = \"ca.pem\"\nuser = \"{USER}\"\nmechanism = \"{named}\"\npassword = {{ file = \"{password}\" }}\n\
                 from = \"beginning\""
            )
        };
        let why = site.check(&account("wrong")).unwrap_err();
        assert_eq!(why, "the broker does not know the account: check `user`, `password` and `mechanism`");
        assert_eq!(site.check(&account("password")).unwrap(), ["`logs` has 3 partitions"]);
        let producer: BaseProducer = site.client().create().unwrap();
        for n in 0..30 {
            let payload = format!("{{\"n\":{n}}}");
            producer.send(BaseRecord::<(), str>::to("logs").partition(n % 3).payload(&payload)).unwrap();
        }
        producer.flush(Duration::from_secs(10)).unwrap();
        let mut events = site.events(&account("password"), 30);
        events.sort_unstable();
        events.dedup();
        assert_eq!(events.len(), 30);
    }
}

#[test]
fn tls_trusts_the_authority_of_its_configuration_alone() {
    let Some(site) = Site::new("scram512") else { return };
    let why = site.check("").unwrap_err();
    assert!(why.contains("certificate is not trusted"), "{why}");
    assert_eq!(site.check("ca = \"ca.pem\"").unwrap(), ["`logs` has 3 partitions"]);
}
