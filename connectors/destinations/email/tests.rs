//! A server of SMTP on loopback, with STARTTLS and AUTH, and the mail that reaches it.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use rcgen::generate_simple_self_signed;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};
use tripline_alert::{Occasion, Verdict};
use tripline_connect::{Content, Destination, Outcome, Parcel, sample};

use super::KIND;
use super::encode::escape;
use crate::testing::{NOON, alert, deliver, monster, open, parcel, read, rendered, wait};
use crate::ticket::tests::{acknowledge, close, digest, found};

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// What the server does otherwise, once: a word that a command begins with, and the reply in its place; an empty reply
/// closes the connection. `.` is the end of a message: it is kept all the same.
type Traps = Arc<Mutex<Vec<(&'static str, &'static str)>>>;

/// Recipients, and the message as it came.
type Got = Vec<(Vec<String>, String)>;

#[derive(Clone)]
struct Server {
    port: u16,
    pem: String,
    tls: Arc<ServerConfig>,
    mail: Arc<Mutex<Got>>,
    traps: Traps,
    starttls: bool,
}

impl Server {
    /// `implicit`: TLS from the beginning.
    fn start(implicit: bool, starttls: bool) -> Self {
        let made = generate_simple_self_signed(["localhost".to_string()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Server {
            port: listener.local_addr().unwrap().port(),
            pem: made.cert.pem(),
            tls: Arc::new(tls),
            mail: Arc::default(),
            traps: Arc::default(),
            starttls,
        };
        let all = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = all.clone();
                std::thread::spawn(move || {
                    let (stream, safe): (Box<dyn Stream>, _) =
                        if implicit { (server.secure(Box::new(stream)), true) } else { (Box::new(stream), false) };
                    server.serve(stream, safe)
                });
            }
        });
        server
    }

    fn secure(&self, stream: Box<dyn Stream>) -> Box<dyn Stream> {
        Box::new(StreamOwned::new(ServerConnection::new(Arc::clone(&self.tls)).unwrap(), stream))
    }

    fn trap(&self, line: &str) -> Option<&'static str> {
        let mut traps = self.traps.lock().unwrap();
        let at = traps.iter().position(|(word, _)| line.starts_with(word))?;
        Some(traps.remove(at).1)
    }

    fn serve(&self, stream: Box<dyn Stream>, mut safe: bool) -> Option<()> {
        let mut stream = BufReader::new(stream);
        let (mut signed, mut to) = (false, Vec::new());
        say(&mut stream, "220 mail.example.com ESMTP")?;
        loop {
            let line = hear(&mut stream)?;
            if let Some(reply) = self.trap(&line) {
                if reply.is_empty() {
                    return None;
                }
                say(&mut stream, reply)?;
                continue;
            }
            let reply = match line.split([' ', ':']).next()? {
                "EHLO" => {
                    let offers = match (safe, self.starttls) {
                        (true, _) => "250-8BITMIME\r\n250 AUTH PLAIN LOGIN",
                        (false, true) => "250-8BITMIME\r\n250 STARTTLS",
                        (false, false) => "250 8BITMIME",
                    };
                    format!("250-mail.example.com\r\n{offers}")
                }
                "STARTTLS" => {
                    say(&mut stream, "220 go ahead")?;
                    assert!(stream.buffer().is_empty());
                    stream = BufReader::new(self.secure(stream.into_inner()));
                    safe = true;
                    continue;
                }
                // `\0tripline\0s3cret`.
                "AUTH" if safe => {
                    signed = line == "AUTH PLAIN AHRyaXBsaW5lAHMzY3JldA==";
                    if signed { "235 welcome".into() } else { "535 5.7.8 authentication failed".into() }
                }
                "MAIL" if safe && !signed => "530 5.7.0 authentication required".into(),
                "MAIL" => "250 fine".into(),
                "RCPT" if line.contains("gone@") => "550 5.1.1 no such user here".into(),
                "RCPT" => {
                    to.push(line.split(['<', '>']).nth(1)?.to_string());
                    "250 fine".into()
                }
                "DATA" => {
                    say(&mut stream, "354 go on")?;
                    let mut text = String::new();
                    loop {
                        match hear(&mut stream)?.as_str() {
                            "." => break,
                            line => text.push_str(&format!("{}\n", line.strip_prefix('.').unwrap_or(line))),
                        }
                    }
                    let trap = self.trap(".");
                    if trap.is_none_or(str::is_empty) {
                        self.mail.lock().unwrap().push((std::mem::take(&mut to), text));
                    }
                    match trap {
                        Some("") => return None,
                        Some(reply) => reply.into(),
                        None => "250 queued".into(),
                    }
                }
                "RSET" => "250 fine".into(),
                "QUIT" => {
                    say(&mut stream, "221 bye")?;
                    return None;
                }
                _ => "502 not known".into(),
            };
            say(&mut stream, &reply)?;
        }
    }

    fn mail(&self) -> Got {
        self.mail.lock().unwrap().clone()
    }

    fn config(&self, more: &str) -> String {
        format!(
            "host = \"localhost\"\nport = {}\nuser = \"tripline\"\npassword = {{ file = \"password\" }}\nca = \"ca.pem\"\n\
             from = \"Tripline <tripline@example.com>\"\n{more}",
            self.port
        )
    }

    fn open(&self, more: &str) -> Box<dyn Destination> {
        open(&KIND, &self.config(more), &[("password", "s3cret"), ("ca.pem", &self.pem)])
    }
}

fn say(stream: &mut BufReader<Box<dyn Stream>>, text: &str) -> Option<()> {
    stream.get_mut().write_all(format!("{text}\r\n").as_bytes()).ok()?;
    stream.get_mut().flush().ok()
}

fn hear(stream: &mut BufReader<Box<dyn Stream>>) -> Option<String> {
    let mut line = String::new();
    let length = stream.read_line(&mut line).ok()?;
    (length > 0).then(|| line.trim_end().to_string())
}

/// Headers by name, with folded lines put together, and the body.
fn parts(mail: &str) -> (Vec<(String, String)>, String) {
    let (head, body) = mail.split_once("\n\n").unwrap();
    let head = head.replace("\n ", " ");
    let headers = head.lines().map(|line| line.split_once(": ").unwrap());
    (headers.map(|(name, value)| (name.to_string(), value.to_string())).collect(), body.to_string())
}

fn header(mail: &str, name: &str) -> String {
    let found: Vec<String> = parts(mail).0.into_iter().filter(|(one, _)| one == name).map(|(_, value)| value).collect();
    assert!(found.len() < 2, "{name} stands twice");
    found.concat()
}

/// Without what differs from run to run.
fn steady(mail: &str) -> String {
    let boundary = mail.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap().to_string();
    let date = header(mail, "Date");
    mail.replace(&boundary, "BOUNDARY").replace(&date, "DATE")
}

fn one_thread(server: &Server, more: &str) {
    let email = server.open(&format!("to = [\"soc@example.com\", \"Dana <dana@example.com>\"]\n{more}"));
    let (mut alert, mut handle) = (alert(), None);
    let mut send =
        |alert: &_, occasion| assert_eq!(deliver(&*email, alert, occasion, &mut handle).outcome, Outcome::Taken);
    send(&alert, Occasion::Opened);
    send(&alert, Occasion::Updated);
    assert_eq!(server.mail().len(), 1, "nothing new");
    found(&mut alert, 2);
    send(&alert, Occasion::Updated);
    acknowledge(&mut alert);
    send(&alert, Occasion::Acted);
    close(&mut alert, Verdict::FalsePositive);
    send(&alert, Occasion::Acted);
    let mail = server.mail();
    assert_eq!(mail.len(), 4);
    let root = header(&mail[0].1, "Message-ID");
    let subject = header(&mail[0].1, "Subject");
    for (to, text) in &mail[1..] {
        assert_eq!(to, &["soc@example.com", "dana@example.com"]);
        assert_eq!((header(text, "In-Reply-To"), header(text, "References")), (root.clone(), root.clone()));
        assert_eq!(header(text, "Subject"), format!("Re: {subject}"));
        assert_eq!(header(text, "X-Tripline-Alert"), alert.id);
    }
}

#[test]
fn an_alert_is_one_thread_over_starttls() {
    let server = Server::start(false, true);
    one_thread(&server, "");
    let mail = server.mail();
    insta::assert_snapshot!("opened", steady(&mail[0].1));
    insta::assert_snapshot!("closed", steady(&mail[3].1));
}

#[test]
fn an_alert_is_one_thread_over_tls() {
    one_thread(&Server::start(true, false), "security = \"tls\"");
}

#[test]
fn a_test_and_a_digest_are_marked() {
    let server = Server::start(false, true);
    let email = server.open("to = \"soc@example.com\"");
    let test = Parcel { id: "t".into(), attempt: 0, content: Content::Alert(Box::new(sample(NOON))), handle: None };
    for parcel in [test, digest()] {
        assert_eq!(wait(email.send(&parcel)).outcome, Outcome::Taken);
    }
    let mail = server.mail();
    assert!(header(&mail[0].1, "Subject").starts_with("[TEST] "));
    insta::assert_snapshot!("digest", steady(&mail[1].1));
}

#[test]
fn a_message_that_comes_again_has_the_same_id() {
    let server = Server::start(false, true);
    let email = server.open("to = \"soc@example.com\"");
    server.traps.lock().unwrap().push((".", ""));
    let parcel = parcel(&alert(), Occasion::Opened, None);
    let lost = wait(email.send(&parcel));
    assert!(matches!(lost.outcome, Outcome::Later { .. }), "{lost:?}");
    assert_eq!(wait(email.send(&parcel)).outcome, Outcome::Taken);
    let ids: Vec<String> = server.mail().iter().map(|(_, mail)| header(mail, "Message-ID")).collect();
    assert_eq!((ids.len(), &ids[0]), (2, &ids[1]), "receivers know it by that");
}

#[test]
fn a_closed_alert_that_was_never_told_is_not_told() {
    let server = Server::start(false, true);
    let mut alert = alert();
    close(&mut alert, Verdict::TruePositive);
    let made = wait(server.open("to = \"soc@example.com\"").send(&parcel(&alert, Occasion::Acted, None)));
    assert_eq!((made.outcome, made.own, server.mail().len()), (Outcome::Taken, None, 0));
}

#[test]
fn each_recipient_is_answered_for_by_itself() {
    let server = Server::start(false, true);
    let email = server.open("to = [\"soc@example.com\", \"busy@example.com\"]");
    server.traps.lock().unwrap().push(("RCPT TO:<busy@", "451 4.7.1 try again later"));
    let (mut alert, mut handle) = (alert(), None);
    let Outcome::Later { reason, .. } = deliver(&*email, &alert, Occasion::Opened, &mut handle).outcome else {
        panic!()
    };
    assert!(
        reason.contains("busy@example.com: the server answered 451") && reason.contains("1 of the others"),
        "{reason}"
    );
    let mut again = parcel(&alert, Occasion::Opened, None);
    again.attempt = 1;
    assert_eq!(wait(email.send(&again)).outcome, Outcome::Taken);
    let to: Vec<Vec<String>> = server.mail().into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [["soc@example.com"], ["busy@example.com"]], "who has it does not get it again");

    let email = server.open("to = [\"gone@example.com\", \"soc@example.com\"]");
    let mut handle = None;
    let made = deliver(&*email, &alert, Occasion::Opened, &mut handle);
    let Outcome::Never { reason } = &made.outcome else { panic!("{made:?}") };
    assert!(reason.contains("gone@example.com: the server answered 550: 5.1.1 no such user"), "{reason}");
    found(&mut alert, 2);
    let mut next = parcel(&alert, Occasion::Updated, handle);
    next.id.push_str("-next");
    wait(email.send(&next));
    let last = server.mail().pop().unwrap();
    assert_eq!(last.0, ["soc@example.com"]);
    assert!(header(&last.1, "Subject").starts_with("Re: "), "the thread goes on for the others");
    assert!(!parts(&last.1).1.contains("203.0.113.1 (1 event)"), "what was told is not told again");
}

#[test]
fn a_monster_ends_no_header_and_no_tag() {
    let server = Server::start(false, true);
    let email = server.open(
        "to = \"soc@example.com\"\nlink = \"https://example.com/?t={title}&a={id}\"\ntitle = \"{title} {assignee}\"",
    );
    let (mut monster, mut handle) = (monster(), None);
    assert_eq!(deliver(&*email, &monster, Occasion::Opened, &mut handle).outcome, Outcome::Taken);
    found(&mut monster, 9);
    assert_eq!(deliver(&*email, &monster, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
    for (to, mail) in server.mail() {
        assert_eq!(to, ["soc@example.com"]);
        let names: Vec<String> = parts(&mail).0.into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name == "Bcc"), "{names:?}");
        assert!(mail.lines().all(|line| line.len() <= 998));
        assert!(mail.is_ascii());
    }
    assert_eq!(escape("</a><script>'\"&"), "&lt;/a&gt;&lt;script&gt;&#39;&quot;&amp;");
}

#[test]
fn what_a_server_says_is_told_in_words() {
    let server = Server::start(false, true);
    let email = server.open("to = \"soc@example.com\"");
    assert_eq!(wait(email.check()).unwrap(), ["connected over TLS and signed in", "it takes mail for 1 recipients"]);
    let send = |email: &dyn Destination| wait(email.send(&parcel(&alert(), Occasion::Opened, None))).outcome;
    let later = |outcome| match outcome {
        Outcome::Later { reason, .. } => reason,
        other => panic!("{other:?}"),
    };
    for (word, reply, never, wanted) in [
        ("MAIL", "421 4.3.2 shutting down", false, "421: 4.3.2 shutting down"),
        ("MAIL", "553 5.7.1 sender not allowed", true, "553"),
        (".", "552 5.3.4 too large", true, "552"),
        (".", "451 4.3.0 no disk", false, "451"),
        ("EHLO", "", false, "closed the connection"),
        ("AUTH", "454 4.7.0 temporary", false, "`user` and `password` are refused: the server answered 454"),
        ("STARTTLS", "454 no TLS now", false, "454"),
    ] {
        server.traps.lock().unwrap().push((word, reply));
        match send(&*email) {
            Outcome::Never { reason } if never => assert!(reason.contains(wanted), "{reason}"),
            Outcome::Later { reason, .. } if !never => assert!(reason.contains(wanted), "{reason}"),
            other => panic!("{word} {reply}: {other:?}"),
        }
    }
    let wrong = server.config("to = \"soc@example.com\"");
    let wrong = open(&KIND, &wrong, &[("password", "guess"), ("ca.pem", &server.pem)]);
    assert!(wait(wrong.check()).unwrap_err().contains("`user` and `password` are refused"));
    let stranger = server.config("to = \"soc@example.com\"").replace("ca = \"ca.pem\"\n", "");
    let stranger = open(&KIND, &stranger, &[("password", "s3cret")]);
    assert!(later(send(&*stranger)).contains("certificate is not trusted"));
    assert!(wait(server.open("to = \"gone@example.com\"").check()).unwrap_err().contains("no such user"));
    let plain = Server::start(false, false);
    assert!(later(send(&*plain.open("to = \"soc@example.com\""))).contains("no STARTTLS"));
    assert!(plain.mail().is_empty(), "nothing is sent without TLS");
    let hanging = TcpListener::bind("127.0.0.1:0").unwrap();
    let text = |port| {
        format!(
            "host = \"127.0.0.1\"\nport = {port}\nfrom = \"a@example.com\"\nto = \"b@example.com\"\nsecurity = \"none\""
        )
    };
    let port = hanging.local_addr().unwrap().port();
    assert!(later(send(&*open(&KIND, &text(port), &[]))).contains("no answer in time"));
    drop(hanging);
    assert!(later(send(&*open(&KIND, &text(port), &[]))).contains("refused"));
    assert!(server.mail().is_empty());
}

/// Where `aiosmtpd` is installed for `python3`, or for what `PYTHON` names, a server that we did not write takes our mail.
#[test]
fn aiosmtpd_takes_it() {
    let python = std::env::var("PYTHON").unwrap_or_else(|_| "python3".into());
    let has = Command::new(&python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
    if !has.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: `{python}` has no aiosmtpd (install it with pip, and name that Python in `PYTHON`)");
        return;
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut server = Command::new(&python)
        .args([
            "-u",
            "-m",
            "aiosmtpd",
            "-n",
            "-l",
            &format!("127.0.0.1:{port}"),
            "-c",
            "aiosmtpd.handlers.Debugging",
            "stdout",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = server.stdout.take().unwrap();
    let heard = std::thread::spawn(move || {
        let mut said = String::new();
        out.read_to_string(&mut said).map(|_| said)
    });
    let text = format!(
        "host = \"127.0.0.1\"\nport = {port}\nfrom = \"a@example.com\"\nto = \"b@example.com\"\nsecurity = \"none\""
    );
    let email = open(&KIND, &text, &[]);
    let up = (0..100).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        wait(email.check()).is_ok()
    });
    let (mut monster, mut handle) = (monster(), None);
    let opened = deliver(&*email, &monster, Occasion::Opened, &mut handle).outcome;
    found(&mut monster, 9);
    let updated = deliver(&*email, &monster, Occasion::Updated, &mut handle).outcome;
    server.kill().unwrap();
    server.wait().unwrap();
    let said = heard.join().unwrap().unwrap();
    assert!(up && opened == Outcome::Taken && updated == Outcome::Taken, "{opened:?} {updated:?}");
    assert_eq!(said.matches("\nX-Tripline-Alert: ").count(), 2);
    assert_eq!(said.matches("\nIn-Reply-To: ").count(), 1);
}

#[test]
fn a_configuration_is_helped() {
    let said = |text: &str| read(&KIND, &format!("host = \"h\"\n{text}")).1.join("\n");
    let both = "from = \"a@example.com\"\nto = \"b@example.com\"\n";
    assert_eq!(said(both), "");
    assert!(said("from = \"a@example.com\"").contains("has no `to`"));
    for bad in ["nobody", "a@b\\r\\nBcc: c@d", "ü@example.com"] {
        assert!(said(&format!("from = \"a@example.com\"\nto = \"{bad}\"")).contains("`to` takes addresses"), "{bad}");
    }
    let secret = "user = \"u\"\npassword = { env = \"P\" }\nsecurity = \"none\"";
    assert!(said(&format!("{both}{secret}")).contains("a password is not sent without TLS"));
    assert!(said(&format!("{both}user = \"u\"")).contains("goes with a `password`"));
    assert!(said(&format!("{both}hostname = \"a b\"")).contains("`hostname` takes the name"));
}

#[test]
fn what_a_test_of_a_rule_sees_is_what_is_sent() {
    let server = Server::start(false, true);
    let more = "to = \"soc@example.com\"\nlink = 'https://tripline.example.com/alerts/{id}'";
    let email = server.open(more);
    for parcel in [parcel(&alert(), Occasion::Opened, None), digest()] {
        assert_eq!(wait(email.send(&parcel)).outcome, Outcome::Taken);
        let (_, mail) = server.mail().pop().unwrap();
        let text = mail.split("quoted-printable\n\n").nth(1).unwrap().split("\n--").next().unwrap();
        let text = text.replace("=\n", "").replace("=3D", "=");
        let shown = rendered(&KIND, &server.config(more), &parcel).unwrap();
        assert_eq!(shown, format!("Subject: {}\n\n{text}", header(&mail, "Subject")));
    }
}
