//! A real listener, put through what every source is put through, and what a hostile service may answer.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use tokio::sync::watch;
use tripline_base::SourceMap;
use tripline_config::Secrets;
use tripline_connect::source::SourceSettings;
use tripline_serve::Listeners;

use crate::compliance::{self, Peer};
use crate::poll::KIND;

const CONNECTOR: &str = r#"
name = "numbers"
title = "Numbers"
docs = "https://example.com/docs"
url = "http://127.0.0.1"
[settings.token]
kind = "secret"
help = "any"
[[auth]]
kind = "token"
[[stream]]
name = "numbers"
source = "example.numbers"
path = "/numbers"
query = { after = "{cursor}" }
items = "numbers"
page = { cursor = "next" }
checkpoint = "cursor"
id = "n"
every = "1s"
[[stream]]
name = "moved"
like = "numbers"
path = "/moved"
optional = true
[[stream]]
name = "large"
like = "numbers"
path = "/large"
optional = true
"#;

/// How many numbers a page has.
const PAGE: usize = 10;

#[derive(Default)]
struct Numbers {
    records: Vec<String>,
    /// How many were given at most.
    given: usize,
    /// What was shown where a redirect leads.
    shown: Vec<String>,
}

type Shared = Arc<Mutex<Numbers>>;

async fn numbers(State(all): State<Shared>, uri: Uri) -> Response {
    let after = uri.query().and_then(|query| query.strip_prefix("after=")).map_or(0, |at| at.parse::<usize>().unwrap());
    let mut all = all.lock().unwrap();
    let end = (after + PAGE).min(all.records.len());
    all.given = all.given.max(end);
    let page = all.records[after..end].join(",");
    format!("{{\"numbers\": [{page}], \"next\": \"{end}\"}}").into_response()
}

async fn elsewhere(State(all): State<Shared>, headers: HeaderMap) -> Response {
    all.lock().unwrap().shown.push(format!("{headers:?}"));
    "{}".into_response()
}

struct Service {
    all: Shared,
    folder: tempfile::TempDir,
    url: String,
    streams: &'static str,
    _stopping: watch::Sender<bool>,
}

impl Service {
    fn new(streams: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("numbers.toml"), CONNECTOR).unwrap();
        std::fs::write(folder.path().join("token"), "t0ken").unwrap();
        let all = Shared::default();
        let router = Router::new()
            .route("/numbers", get(numbers))
            .route("/moved", get(|| async { Redirect::temporary("/elsewhere") }))
            .route("/elsewhere", get(elsewhere))
            .route("/large", get(|| async { vec![b' '; 1 << 20] }))
            .with_state(Arc::clone(&all));
        let mut listeners = Listeners::default();
        let at = listeners.bind("the peer", ([127, 0, 0, 1], 0).into(), 8, None, router).unwrap();
        let (_stopping, stopped) = watch::channel(false);
        listeners.serve(stopped).unwrap();
        Service { all, folder, url: format!("http://{at}"), streams, _stopping }
    }
}

impl Peer for Service {
    fn settings(&self) -> Arc<dyn SourceSettings> {
        let (url, streams) = (&self.url, self.streams);
        let text = format!(
            "connector = \"./numbers.toml\"\nurl = \"{url}\"\ntoken = {{ file = \"token\" }}\nstreams = \"{streams}\"\n\
             max_body = \"64KiB\"\n"
        );
        let name = self.folder.path().join("tripline.toml");
        let mut sources = SourceMap::new();
        let read =
            tripline_config::read(&mut sources, &name.to_string_lossy(), &text, |root, said| (KIND.read)(root, said));
        read.0.unwrap_or_else(|| panic!("{:?}", read.1))
    }

    fn secrets(&self) -> Secrets {
        let settings = self.settings();
        Secrets::read(settings.secrets(), self.folder.path()).unwrap()
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn offer(&mut self, numbers: std::ops::Range<u64>) {
        self.all.lock().unwrap().records.extend(numbers.map(|n| format!("{{\"n\":{n}}}")));
    }

    fn offer_poison(&mut self) {
        self.all.lock().unwrap().records.push("\"no event\"".into());
    }

    fn most_ahead(&self) -> u64 {
        // One page waits, one is being handed over.
        3 * PAGE as u64
    }

    fn taken(&self) -> Option<u64> {
        Some(self.all.lock().unwrap().given as u64)
    }
}

compliance::complies!(Service::new("numbers"), 500);

fn looked(streams: &'static str) -> (Result<Vec<String>, String>, Service) {
    let mut service = Service::new(streams);
    service.offer(0..4);
    let (settings, secrets) = (service.settings(), service.secrets());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let found = runtime.block_on(settings.check(&secrets, service.folder()));
    (found, service)
}

#[test]
fn what_works_is_said_to_work() {
    assert_eq!(looked("numbers").0.unwrap(), ["the stream `numbers`: signed in; 4 events on the first page"]);
}

#[test]
fn a_redirect_would_carry_the_token_elsewhere() {
    let (found, service) = looked("moved");
    assert!(found.unwrap_err().contains("it leads elsewhere, which is not followed"));
    assert!(service.all.lock().unwrap().shown.is_empty());
}

#[test]
fn an_answer_is_read_up_to_its_bound() {
    assert!(looked("large").0.unwrap_err().contains("larger than 65536 bytes"));
}
