//! Who signs in, and over which connection: the server has each kind of account, and a certificate of an authority of our
//! own.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa};
use serde_json::{Value, json};

use super::*;

impl Server {
    /// What is found by a source with these further keys; `files` are in its folder.
    fn look(&self, scheme: &str, more: &str, files: &[(&str, &str)]) -> Result<Vec<String>, String> {
        for (name, text) in files {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }
        let text = format!("{NAMES}servers = \"{scheme}://localhost:{}\"\n{more}", self.at.port());
        let (settings, said) = read(&text);
        let settings = settings.unwrap_or_else(|| panic!("{said}"));
        let secrets = Secrets::read(settings.secrets(), self.folder.path()).unwrap();
        self.runtime.block_on(settings.check(&secrets, self.folder.path()))
    }

    /// Writes numbers to a new stream, and reads them with a source with these further keys.
    fn reads(&self, options: async_nats::ConnectOptions, scheme: &str, more: &str) {
        let client =
            self.runtime.block_on(options.connect(format!("{scheme}://localhost:{}", self.at.port()))).unwrap();
        self.runtime.block_on(async {
            let context = jetstream::new(client);
            let stream = jetstream::stream::Config {
                name: "LOGS".into(),
                subjects: vec!["logs.>".into()],
                ..Default::default()
            };
            context.create_stream(stream).await.unwrap();
            for n in 0..10 {
                context.publish("logs.a", format!("{{\"n\":{n}}}").into()).await.unwrap().await.unwrap();
            }
        });
        assert_eq!(self.look(scheme, more, &[]).unwrap(), ["connected; the stream `LOGS` has 10 messages"]);
        let text = format!("{NAMES}servers = \"{scheme}://localhost:{}\"\n{more}", self.at.port());
        let settings = read(&text).0.unwrap();
        let secrets = Secrets::read(settings.secrets(), self.folder.path()).unwrap();
        let (intake, arrivals) = Intake::channel("nats", 8);
        let (folder, intake_of) = (self.folder.path(), intake.clone());
        let opening =
            Opening { secrets: &secrets, folder, once: false, position: None, rows: Vec::new(), intake: intake_of };
        let source = settings.open(opening).unwrap();
        let thread = Some(std::thread::spawn(move || source.run()));
        let mut work = Work { arrivals, intake, thread, position: None, numbers: BTreeMap::new(), held: Vec::new() };
        work.until(10, true);
        work.end();
    }
}

const UNKNOWN: &str = "the server does not know the account: check `token`, `user`, `nkey` or `creds`";

/// The files of an authority, and of a certificate for this machine that it signed.
struct Authority {
    ca: String,
    certificate: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate().unwrap()).unwrap();
        let key = rcgen::KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".into(), "127.0.0.1".into()]).unwrap();
        let certificate = params.signed_by(&key, &authority).unwrap();
        Authority { ca: authority.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Its files, and what the configuration of a server says of them.
    fn serve(&self, folder: &Path) -> String {
        for (name, text) in [("ca.pem", &self.ca), ("server.pem", &self.certificate), ("server.key", &self.key)] {
            std::fs::write(folder.join(name), text).unwrap();
        }
        let at = |name: &str| folder.join(name).display().to_string();
        format!("tls {{ cert_file: \"{}\", key_file: \"{}\", timeout: 5 }}\n", at("server.pem"), at("server.key"))
    }
}

#[test]
fn a_user_with_a_password_signs_in_over_tls_of_an_authority_of_our_own() {
    let authority = Authority::new();
    let files = tempfile::tempdir().unwrap();
    let tls = authority.serve(files.path());
    let users = "authorization { users: [{ user: \"tripline\", password: \"hunter2-hunter2\" }] }";
    let Some(server) = Server::new(&format!("{tls}{users}")) else { return };
    let user = "user = \"tripline\"\npassword = { file = \"password\" }\n";
    let trusting = format!("{user}ca = \"ca.pem\"");
    let kept = [("ca.pem", authority.ca.as_str()), ("password", "hunter2-hunter2")];
    let none = server.look("tls", &trusting, &kept).unwrap_err();
    assert_eq!(none, "there is no stream `LOGS`: create it, or correct `stream`");
    // Nobody is trusted whom nobody named, and no password goes to them.
    let stranger = Authority::new();
    for (more, ca) in [(user, authority.ca.as_str()), (trusting.as_str(), stranger.ca.as_str())] {
        let why = server.look("tls", more, &[("ca.pem", ca)]).unwrap_err();
        assert!(why.starts_with("TLS cannot be agreed on"), "{why}");
    }
    assert_eq!(
        server.look("tls", &trusting, &[("ca.pem", &authority.ca), ("password", "wrong")]).unwrap_err(),
        UNKNOWN
    );
    server.look("tls", &trusting, &kept).unwrap_err();
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut roots = tokio_rustls::rustls::RootCertStore::empty();
    let pem = <rustls_pki_types::CertificateDer<'_> as rustls_pki_types::pem::PemObject>::from_pem_slice(
        authority.ca.as_bytes(),
    );
    roots.add(pem.unwrap()).unwrap();
    let client = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let options = async_nats::ConnectOptions::new()
        .tls_client_config(client)
        .user_and_password("tripline".into(), "hunter2-hunter2".into());
    server.reads(options, "tls", &trusting);
}

#[test]
fn a_key_pair_signs_in_and_another_does_not() {
    let (known, stranger) = (KeyPair::new_user(), KeyPair::new_user());
    let users = format!("authorization {{ users: [{{ nkey: \"{}\" }}] }}", known.public_key());
    let Some(server) = Server::new(&users) else { return };
    let nkey = "nkey = { file = \"seed\" }";
    assert_eq!(server.look("nats", nkey, &[("seed", &stranger.seed().unwrap())]).unwrap_err(), UNKNOWN);
    let none = server.look("nats", nkey, &[("seed", &known.seed().unwrap())]).unwrap_err();
    assert_eq!(none, "there is no stream `LOGS`: create it, or correct `stream`");
    server.reads(async_nats::ConnectOptions::with_nkey(known.seed().unwrap()), "nats", nkey);
}

/// A token as NATS wants it, by whom, of whom.
fn token(by: &KeyPair, of: &KeyPair, name: &str, claims: Value) -> String {
    let encoded = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = encoded(&json!({"typ": "JWT", "alg": "ed25519-nkey"}));
    let body = encoded(&json!({
        "jti": name, "iat": 1_700_000_000, "iss": by.public_key(), "sub": of.public_key(), "name": name, "nats": claims,
    }));
    let signed = by.sign(format!("{head}.{body}").as_bytes()).unwrap();
    format!("{head}.{body}.{}", URL_SAFE_NO_PAD.encode(signed))
}

/// The file of credentials of a user of an account.
fn creds(account: &KeyPair) -> String {
    let user = KeyPair::new_user();
    let jwt =
        token(account, &user, "tripline", json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1}));
    format!(
        "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        user.seed().unwrap()
    )
}

#[test]
fn credentials_of_an_account_sign_in_and_those_of_another_do_not() {
    let (operator, account, system, stranger) =
        (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_account());
    let limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1,
        "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    });
    let plain = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1});
    let of = |account: &KeyPair, name: &str, limits: &Value| {
        token(&operator, account, name, json!({"type": "account", "version": 2, "limits": limits}))
    };
    let boss = token(
        &operator,
        &operator,
        "operator",
        json!({"type": "operator", "version": 2, "system_account": system.public_key()}),
    );
    let config = format!(
        "operator: \"{boss}\"\nsystem_account: \"{}\"\nresolver: MEMORY\nresolver_preload: {{\n{}: \"{}\"\n{}: \"{}\"\n}}",
        system.public_key(),
        account.public_key(),
        of(&account, "logs", &limits),
        system.public_key(),
        of(&system, "system", &plain)
    );
    let Some(server) = Server::new(&config) else { return };
    let by = "creds = \"a.creds\"";
    assert_eq!(server.look("nats", by, &[("a.creds", &creds(&stranger))]).unwrap_err(), UNKNOWN);
    let known = creds(&account);
    let none = server.look("nats", by, &[("a.creds", &known)]).unwrap_err();
    assert_eq!(none, "there is no stream `LOGS`: create it, or correct `stream`");
    server.reads(async_nats::ConnectOptions::with_credentials(&known).unwrap(), "nats", by);
}
