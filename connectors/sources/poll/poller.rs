//! One stream, a request at a time: what to ask now, what the answer means, and when to ask again.
//!
//! It never waits and never asks what time it is, so that tests pass hours in no time.

mod window;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tripline_connect::clock::nanos;
use tripline_connect::source::Gap;
use tripline_event::format_time;
use tripline_formats::{Batch, UnparsedLine, excerpt};

use super::failure::Failure;
use super::limit::backoff;
use super::position::{Mark, Next};
use super::records::{Asked, cut, items, json};
use super::seen::print_of;
use super::service::{Service, Target};
use super::spec::{Checkpoint, Means, Page, Stream};
use super::template::Value;
use super::web::{Answer, next_link};

/// How many pages of a window are read, or of a cursor before `every` passes.
const MOST_PAGES: u32 = 10_000;
/// The waits after failures: the first, and the longest.
const LATER: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
const DENIED: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(900));
/// The longest wait where limits are reached and nothing says how long.
const LIMITED: Duration = Duration::from_secs(900);

/// What came of a request.
#[derive(Debug, Default)]
pub struct Turn {
    /// What is new, with how many bytes were read.
    pub taken: Option<(Batch, u64)>,
    /// Whether the mark changed, so that it is to be committed.
    pub moved: bool,
    /// When to come again, nanoseconds since 1970.
    pub due: i64,
    /// What people are told.
    pub said: Vec<String>,
    /// Times whose events may be missing.
    pub gaps: Vec<Gap>,
    /// Whether a request was made.
    pub asked: bool,
    /// What it means that it came to nothing, and why, where it did.
    pub failed: Option<(Means, String)>,
}

/// What is listed and is to be fetched.
#[derive(Debug)]
struct Listed {
    url: String,
    id: String,
}

/// A stream that is being read.
#[derive(Debug)]
pub struct Poller {
    /// What it is.
    pub spec: Arc<Stream>,
    /// How far it was read.
    pub mark: Mark,
    /// Why it fails, where it does.
    pub failing: Option<String>,
    /// Which of the requests that come first is next.
    before: usize,
    /// What is to be fetched before the next page.
    listed: VecDeque<Listed>,
    /// What follows once that is done.
    after: Option<(Option<Next>, bool)>,
    failures: u32,
    /// Whether it was said that ids do not suffice.
    full: bool,
    /// Whether nothing was asked for yet: a window that is open was left by another process.
    resumed: bool,
}

impl Poller {
    /// A stream that goes on at its mark.
    pub fn new(spec: Arc<Stream>, mark: Mark) -> Self {
        Poller {
            spec,
            mark,
            failing: None,
            before: 0,
            listed: VecDeque::new(),
            after: None,
            failures: 0,
            full: false,
            resumed: true,
        }
    }

    /// Like [`Poller::new`], without the requests that come first.
    pub fn looking(spec: Arc<Stream>, mark: Mark) -> Self {
        Poller { before: spec.before.len(), ..Poller::new(spec, mark) }
    }

    /// Makes one request, where there is one to make now.
    pub async fn turn(&mut self, service: &Service, now: i64) -> Turn {
        let mut turn = Turn { due: now, ..Turn::default() };
        if self.before >= self.spec.before.len() && self.listed.is_empty() && !self.open(now, &mut turn) {
            turn.due = now.saturating_add(nanos(self.spec.every));
            return turn;
        }
        if let Err(due) = service.leave(now) {
            turn.due = due;
            return turn;
        }
        turn.asked = true;
        let done = if let Some(request) = self.spec.before.get(self.before) {
            let asked = service.ask(Target::Request(request), &|name| self.name(name), false, now).await;
            asked.map(|_| self.before += 1)
        } else if self.listed.is_empty() {
            self.page(service, now, &mut turn).await
        } else {
            self.fetch(service, now, &mut turn).await
        };
        match done {
            Ok(()) => {
                self.failures = 0;
                self.failing = None;
            }
            Err(failure) => self.failed(service, failure, now, &mut turn),
        }
        turn
    }

    /// What a name stands for now.
    fn name(&self, name: &str) -> Option<Value> {
        let count = match self.mark.next {
            Some(Next::Offset(count)) => count,
            _ => 0,
        };
        match name {
            "since" => self.since().map(Value::Time),
            "until" => self.mark.window.map(|(_, until)| Value::Time(until)),
            "cursor" => match &self.mark.next {
                Some(Next::Cursor(cursor)) => Some(Value::Text(cursor.clone())),
                _ => None,
            },
            "offset" => Some(Value::Text(count.to_string())),
            "page" => Some(Value::Text((u64::from(self.mark.pages) + 1).to_string())),
            "stream" => Some(Value::Text(self.spec.name.clone())),
            _ => None,
        }
    }

    async fn page(&mut self, service: &Service, now: i64, turn: &mut Turn) -> Result<(), Failure> {
        let used = self.mark.next.clone();
        let target = match &used {
            None => Target::Request(&self.spec.first),
            Some(Next::Url(url)) => Target::Url(url, &[]),
            Some(_) => Target::Request(&self.spec.next),
        };
        let cursor = matches!(used, Some(Next::Url(_) | Next::Cursor(_)));
        let answer = service.ask(target, &|name| self.name(name), cursor, now).await?;
        let body = json(&answer.body).map_err(Failure::later)?;
        let found = items(body, &self.spec.items).map_err(Failure::later)?;
        let count = found.len() as u64;
        let (next, more) = self.next(body, &found, &answer);
        let next = next.filter(|next| match next {
            Next::Url(url) | Next::Cursor(url) => !url.is_empty(),
            Next::Offset(_) => true,
        });
        if let Some(Next::Url(url)) = &next {
            service.places.given(url).map_err(Failure::denied)?;
        }
        let bytes = answer.body.len() as u64;
        if self.spec.fetch.is_some() {
            let unparsed = self.list(&found, now);
            if !unparsed.is_empty() {
                turn.taken = Some((Batch { unparsed, ..Batch::default() }, 0));
                turn.moved = true;
            }
            self.mark.count += count;
            let going = self.goes_on(next.as_ref(), used.as_ref(), more, count, turn);
            self.after = Some((next, going));
            if self.listed.is_empty() {
                self.finish(now, turn);
            }
            return Ok(());
        }
        let asked = self.asked(now);
        let cut = cut(&self.spec, &found, &mut self.mark, &asked);
        self.full(&asked, turn);
        self.mark.count += count;
        if !cut.batch.is_empty() {
            turn.taken = Some((cut.batch, bytes));
            turn.moved = true;
        }
        self.newest(cut.newest, now);
        let going = self.goes_on(next.as_ref(), used.as_ref(), more, count, turn);
        self.after = Some((next, going));
        self.finish(now, turn);
        Ok(())
    }

    /// Where the next page is, and whether the answer says that there is one.
    fn next(&self, body: &RawValue, found: &[&RawValue], answer: &Answer) -> (Option<Next>, Option<bool>) {
        let next = match &self.spec.page {
            Page::None => None,
            Page::Link => next_link(&answer.headers).map(Next::Url),
            Page::Url(path) => path.text(body).map(|url| Next::Url(url.into_owned())),
            Page::UrlHeader(header) => answer.header(header).map(|url| Next::Url(url.to_string())),
            Page::Cursor(path, join) => {
                let texts: Vec<_> = path.all(body).into_iter().flat_map(all_texts).collect();
                (!texts.is_empty()).then(|| Next::Cursor(texts.join(join)))
            }
            Page::Last(path) => {
                found.last().and_then(|last| path.text(last)).map(|text| Next::Cursor(text.into_owned()))
            }
            Page::Offset(_) => Some(Next::Offset(self.mark.count + found.len() as u64)),
        };
        let more = self.spec.more.as_ref().and_then(|path| path.text(body)).map(|text| text == "true");
        (next, more)
    }

    /// Keeps what is listed and not known yet; gives what is no listing.
    fn list(&mut self, found: &[&RawValue], now: i64) -> Vec<UnparsedLine> {
        let mut unparsed = Vec::new();
        let spec = Arc::clone(&self.spec);
        let Some(fetch) = &spec.fetch else { return unparsed };
        let (again, mut waiting) = (self.asked(now).again, HashSet::new());
        for item in found {
            self.mark.taken += 1;
            match (fetch.url.text(item), fetch.id.text(item)) {
                (Some(url), Some(id)) => {
                    let print = print_of(&[b"listed", id.as_bytes()]);
                    if self.mark.seen.knows(&print) {
                        self.mark.seen.is_new(print, again, spec.remember);
                    } else if waiting.insert(id.to_string()) {
                        self.listed.push_back(Listed { url: url.into_owned(), id: id.into_owned() });
                    }
                }
                _ => {
                    let text = item.get().as_bytes();
                    let print = print_of(&[b"aside", text]);
                    if self.mark.seen.is_new(print, again, spec.remember) {
                        let reason = "what is listed has no address or no id".into();
                        unparsed.push(UnparsedLine { line: self.mark.taken, reason, excerpt: excerpt(text) });
                    }
                }
            }
        }
        unparsed
    }

    async fn fetch(&mut self, service: &Service, now: i64, turn: &mut Turn) -> Result<(), Failure> {
        let spec = Arc::clone(&self.spec);
        let (Some(fetch), Some(listed)) = (&spec.fetch, self.listed.front()) else { return Ok(()) };
        let target = Target::Url(&listed.url, &fetch.query);
        let came = service.ask(target, &|name| self.name(name), false, now).await;
        let asked = self.asked(now);
        match came {
            Ok(answer) => {
                let body = json(&answer.body).map_err(Failure::later)?;
                let found = items(body, &fetch.items).map_err(Failure::later)?;
                let cut = cut(&spec, &found, &mut self.mark, &asked);
                self.full(&asked, turn);
                turn.taken = Some((cut.batch, answer.body.len() as u64));
            }
            Err(failure) if failure.means == Means::Skip => {
                turn.said.push(format!("the stream `{}` passes over what it cannot fetch: {}", spec.name, failure.why));
            }
            Err(failure) => return Err(failure),
        }
        turn.moved = true;
        if let Some(done) = self.listed.pop_front() {
            self.mark.seen.is_new(print_of(&[b"listed", done.id.as_bytes()]), asked.again, spec.remember);
        }
        if self.listed.is_empty() {
            self.finish(now, turn);
        }
        Ok(())
    }

    /// Says once that ids had to go which will come again.
    fn full(&mut self, asked: &Asked, turn: &mut Turn) {
        if self.mark.seen.lost(asked.again) && !std::mem::replace(&mut self.full, true) {
            turn.said.push(format!(
                "the stream `{}` has more events in its overlap than the {} ids it remembers: some may come twice                  (`remember` of its connector)",
                self.spec.name, self.spec.remember
            ));
        }
    }

    fn failed(&mut self, service: &Service, failure: Failure, now: i64, turn: &mut Turn) {
        let Failure { means, why, wait } = failure;
        let name = self.spec.name.clone();
        let failures = self.failures;
        self.failures += 1;
        turn.failed = Some((means, why.clone()));
        let (first, most) = match means {
            Means::Denied | Means::SignedOut | Means::Skip => DENIED,
            Means::Limited => (service.connector.limit.wait, LIMITED.max(service.connector.limit.wait)),
            _ => LATER,
        };
        let told = wait.is_some();
        let wait = wait.unwrap_or_else(|| backoff(first, most, failures, &name));
        match means {
            Means::Limited => service.pause(wait, now),
            Means::Expired => {
                self.expired(now, &why, turn);
                if failures == 0 && !told {
                    return;
                }
            }
            Means::Restart => self.before = 0,
            _ => {}
        }
        // One hiccup is no failure, and a limit none that somebody has to know of unless it lasts.
        let patience = match means {
            Means::Denied | Means::SignedOut | Means::Skip => 0,
            Means::Limited => 4,
            _ => 1,
        };
        if failures >= patience {
            self.failing = Some(why);
        }
        turn.due = now.saturating_add(nanos(wait));
    }

    /// The cursor is no longer known: what it stood for is read again by time.
    fn expired(&mut self, now: i64, why: &str, turn: &mut Turn) {
        self.listed.clear();
        self.after = None;
        let had = self.mark.next.take().is_some();
        let count = std::mem::take(&mut self.mark.count);
        self.mark.pages = 0;
        turn.moved = had;
        if !had {
            return;
        }
        match self.spec.checkpoint {
            Checkpoint::Time => turn.said.push(format!(
                "the stream `{}` cannot go on with its page and reads its window again: {why}{}",
                self.spec.name,
                if count > self.spec.remember as u64 {
                    "; it has more events than ids are remembered, and some come twice"
                } else {
                    ""
                }
            )),
            // What the service still has is read again by time, where it can be asked for by time.
            Checkpoint::Cursor => {
                let from = self.mark.upto.unwrap_or(now);
                let kept = self.spec.retention.map_or(i64::MIN, |kept| now.saturating_sub(nanos(kept)));
                let until = if self.spec.first.names().contains(&"since") { kept } else { now };
                if from < until {
                    self.lost(from, until, format!("the cursor has expired: {why}"), turn);
                }
                turn.said.push(format!(
                    "the stream `{}` cannot go on with its cursor ({why}) and goes on by time, from {} less the overlap",
                    self.spec.name,
                    format_time(from)
                ));
            }
        }
    }

    /// Tells of a time whose events may be missing.
    fn lost(&mut self, from: i64, until: i64, why: String, turn: &mut Turn) {
        turn.moved = true;
        turn.said.push(format!(
            "the stream `{}` may lack events from {} to {}: {why}",
            self.spec.name,
            format_time(from),
            format_time(until),
        ));
        let mut gap = Gap::times(&self.spec.name, from, until, why);
        gap.event_source = Some(self.spec.source.clone());
        turn.gaps.push(gap);
    }
}

/// The texts of a scalar, or of the elements of an array.
fn all_texts(value: &RawValue) -> Vec<String> {
    match super::path::elements(value) {
        Some(all) => all.into_iter().filter_map(super::path::text).map(std::borrow::Cow::into_owned).collect(),
        None => super::path::text(value).map(std::borrow::Cow::into_owned).into_iter().collect(),
    }
}
