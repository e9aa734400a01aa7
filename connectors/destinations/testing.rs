//! A server on loopback that a test tells how to answer, and alerts to send.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use tripline_alert::{About, Act, Alert, Message, Occasion, Told, Verdict};
use tripline_connect::{Content, Destination, Handle, Made, Outcome, Parcel};

/// A request as the server got it.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// The path, with what stands behind `?`.
    pub target: String,
    /// Names are in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Json {
        serde_json::from_slice(&self.body).unwrap_or(Json::Null)
    }

    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A value behind `?`, as it was before it was encoded.
    pub fn query(&self, name: &str) -> Option<String> {
        let url = reqwest::Url::parse(&format!("http://x{}", self.target)).unwrap();
        url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What the server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// It says nothing until the client has gone.
    Hang,
    /// It closes the connection without an answer, once it has the request.
    Cut,
}

impl Reply {
    pub fn json(status: u16, body: &Json) -> Self {
        let headers = vec![("content-type", "application/json".into())];
        Reply::Answer { status, headers, body: body.to_string() }
    }

    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        if let Reply::Answer { headers, .. } = &mut self {
            headers.push((name, value.into()));
        }
        self
    }
}

/// A server on loopback. It ends when it is dropped; what connects to `url` is refused then.
pub struct Fake {
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    ended: Arc<AtomicBool>,
}

impl Fake {
    pub fn start(handler: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (seen, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (requests, end, handler) = (Arc::clone(&seen), Arc::clone(&ended), Arc::new(handler));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::SeqCst) {
                    break;
                }
                let (requests, handler) = (Arc::clone(&requests), Arc::clone(&handler));
                std::thread::spawn(move || serve(stream, &requests, &*handler));
            }
        });
        Fake { url, seen, ended }
    }

    /// What came, in order.
    pub fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(stream: TcpStream, requests: &Mutex<Vec<Request>>, handler: &dyn Fn(&Request) -> Reply) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_string());
    }
    let length = headers.get("content-length").and_then(|text: &String| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let request = Request { method, target, headers, body };
    let reply = handler(&request);
    requests.lock().unwrap().push(request);
    let mut stream = stream;
    match reply {
        Reply::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
            headers.iter().for_each(|(name, value)| head.push_str(&format!("{name}: {value}\r\n")));
            stream.write_all(format!("{head}\r\n{body}").as_bytes()).ok()
        }
        // The client closes the connection when it has waited long enough.
        Reply::Hang => reader.read(&mut [0]).map(|_| ()).ok(),
        Reply::Cut => None,
    }
}

/// Waits for a future.
pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// 2026-11-21 12:00:00 UTC.
pub const NOON: i64 = 1_795_262_400_000_000_000;
/// A second.
pub const SECOND: i64 = 1_000_000_000;

/// A finding, the n-th of its alert.
pub fn finding(n: i64) -> Told {
    Told {
        uid: format!("finding-{n}"),
        title: format!("Root sign-in to 111122223333 from 203.0.113.{n}"),
        severity: 4,
        time: Some(NOON + n * SECOND),
        events: 1,
        key: vec!["111122223333".into()],
        window: 3_600 * SECOND,
        entities: vec![("account".into(), "111122223333".into()), ("ip".into(), format!("203.0.113.{n}"))],
        context: vec![("user_agent".into(), "curl/8 <b>".into())],
        sources: vec!["aws.cloudtrail".into()],
        origin: format!("trail.json:{n}"),
        why: vec![("actor.user.type == \"Root\"".into(), vec!["Root".into()])],
        raw: "{\"eventName\":\"ConsoleLogin\"}".into(),
        ..Told::default()
    }
}

/// An alert of one finding.
pub fn alert() -> Alert {
    let about = About {
        name: "aws_root_login".into(),
        title: "The root account signed in".into(),
        owner: Some("cloud".into()),
        status: "stable".into(),
        revision: Some("0123abc".into()),
        tags: vec!["identity".into()],
        tactics: vec![("TA0001".into(), "Initial Access".into())],
        techniques: vec![("T1078.004".into(), "Cloud Accounts".into())],
        runbook: Some("1. Ask the owner.\n2. Escalate where nobody knows of it.".into()),
        references: vec!["https://example.com/root".into()],
        false_positives: vec!["A yearly drill".into()],
    };
    Alert::open("aws_root_login", &about, &finding(1), NOON)
}

/// An alert as large as alerts become, whose values try to break out of where they stand.
pub fn monster() -> Alert {
    let evil = "<!channel> @everyone <@U1> </a><script>alert(1)</script> {code} |~_*`\\ = \u{202e}gnp.exe \r\nBcc: x@example.com \u{0}\u{7}😀";
    let mut alert = alert();
    alert.about.title = evil.repeat(50);
    alert.about.runbook = Some(evil.repeat(200));
    alert.about.references = (0..40).map(|n| format!("https://example.com/{n}/{evil}")).collect();
    alert.about.false_positives = vec![evil.repeat(30); 30];
    alert.assignee = Some(evil.into());
    for n in 1..=60 {
        let told = Told {
            title: format!("{n} {}", evil.repeat(60)),
            severity: 5,
            entities: (0..5).map(|m| ("user".into(), format!("{n}-{m} {}", evil.repeat(20)))).collect(),
            context: vec![(format!("context{n}"), Json::from(evil.repeat(100)))],
            sources: vec![format!("source.{n}")],
            origin: evil.repeat(40),
            why: (0..20).map(|m| (format!("{m} {evil}"), vec![evil.repeat(9); 30])).collect(),
            raw: evil.repeat(500),
            ..finding(n)
        };
        alert.add(&told, NOON);
    }
    for _ in 0..120 {
        alert.note(NOON, Some(evil), tripline_alert::What::Commented, evil.repeat(40));
    }
    alert
}

/// A delivery of an alert.
pub fn parcel(alert: &Alert, occasion: Occasion, handle: Option<Handle>) -> Parcel {
    let message = Message { occasion, route: "soc".into(), alert: alert.clone() };
    Parcel { id: format!("{}-1", alert.id), attempt: 0, content: Content::Alert(Box::new(message)), handle }
}

/// Remembers of an attempt what the service does.
pub fn remember(handle: &mut Option<Handle>, made: &Made, alert: &Alert) {
    let known = handle.take().unwrap_or_default();
    let own = made.own.clone().unwrap_or(known.own);
    let (evidence, history) = match made.outcome {
        tripline_connect::Outcome::Taken => alert.numbers,
        _ => (known.evidence, known.history),
    };
    *handle = Some(Handle { own, evidence, history });
}

/// Sends an alert and remembers what the service does.
pub fn deliver(to: &dyn Destination, alert: &Alert, occasion: Occasion, handle: &mut Option<Handle>) -> Made {
    let made = wait(to.send(&parcel(alert, occasion, handle.clone())));
    remember(handle, &made, alert);
    made
}

/// A destination that a text of a configuration opens; texts of `{ file = … }` are files beside it.
pub fn open(kind: &tripline_connect::Kind, text: &str, files: &[(&str, &str)]) -> Box<dyn Destination> {
    let folder = tempfile::tempdir().unwrap();
    let (settings, secrets) = settings(kind, text, folder.path(), files);
    let pace = tripline_connect::Pace { timeout: Duration::from_millis(1_500), ..tripline_connect::Pace::default() };
    settings.open(&secrets, folder.path(), &pace).unwrap()
}

/// What a text of a configuration says, with its secrets.
pub fn settings(
    kind: &tripline_connect::Kind,
    text: &str,
    folder: &std::path::Path,
    files: &[(&str, &str)],
) -> (Arc<dyn tripline_connect::Settings>, tripline_config::Secrets) {
    files.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
    let (settings, said) = read(kind, text);
    assert!(said.is_empty(), "{said:#?}");
    let settings = settings.unwrap();
    let secrets = tripline_config::Secrets::read(settings.secrets(), folder).unwrap();
    (settings, secrets)
}

/// Reads a text of a configuration; gives what was said of it.
pub fn read(kind: &tripline_connect::Kind, text: &str) -> (Option<Arc<dyn tripline_connect::Settings>>, Vec<String>) {
    let mut sources = tripline_base::SourceMap::new();
    let (settings, said) = tripline_config::read(&mut sources, "t.toml", text, |table, said| (kind.read)(table, said));
    (settings, said.iter().map(|one| [vec![one.message.clone()], one.help.clone()].concat().join("; ")).collect())
}

/// What a test of a rule sees of a delivery.
pub fn rendered(kind: &tripline_connect::Kind, text: &str, parcel: &Parcel) -> Result<String, String> {
    read(kind, text).0.unwrap().render(parcel)
}

/// What a test of a rule sees of an alert and of a digest is what a server gets, but for what is secret; findings are
/// refused.
pub fn renders_what_is_sent(kind: &tripline_connect::Kind, text: &str, files: &[(&str, &str)], server: &Fake) {
    let to = open(kind, text, files);
    for parcel in [parcel(&alert(), Occasion::Opened, None), crate::ticket::tests::digest()] {
        let before = server.requests().len();
        assert_eq!(wait(to.send(&parcel)).outcome, Outcome::Taken);
        let shown: Json = serde_json::from_str(&rendered(kind, text, &parcel).unwrap()).unwrap();
        let mut sent: Vec<Json> = server.requests()[before..].iter().map(Request::json).collect();
        for body in &mut sent {
            _ = body.as_object_mut().and_then(|body| body.remove("routing_key"));
        }
        assert!(sent.contains(&shown), "{}\n{sent:#?}", pretty(&shown));
    }
    let content = Content::Finding { uid: "f1".into(), revision: 0, line: "{}".into() };
    let finding = Parcel { id: "f1-0".into(), attempt: 0, content, handle: None };
    assert_eq!(rendered(kind, text, &finding), Err(crate::facts::FINDINGS.into()));
}

/// A JSON value as a golden shows it.
pub fn pretty(value: &Json) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

/// Somebody does something with an alert.
pub fn act(alert: &mut Alert, act: Act) {
    act.to(alert, "alice", NOON + 60 * SECOND).unwrap();
}

/// Somebody closes an alert.
pub fn close(alert: &mut Alert) {
    act(alert, Act::Close { verdict: Verdict::FalsePositive, comment: "a drill".into() });
}

/// Opens an alert, adds to it, closes it; an attempt that fails is made again, with what the service remembers of it or,
/// after a crash, without.
pub fn story(to: &dyn Destination, crash: bool) {
    let (mut alert, mut handle) = (alert(), None);
    for step in 0..3 {
        match step {
            1 => _ = alert.add(&finding(2), NOON),
            2 => close(&mut alert),
            _ => {}
        }
        let before = handle.clone();
        if deliver(to, &alert, Occasion::Updated, &mut handle).outcome != Outcome::Taken {
            if crash {
                handle = before;
            }
            assert_eq!(deliver(to, &alert, Occasion::Updated, &mut handle).outcome, Outcome::Taken);
        }
    }
}
