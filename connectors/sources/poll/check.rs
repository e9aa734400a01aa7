//! Looks whether a source would work: one request for each stream, whose events are counted and left.

use std::sync::Arc;
use std::time::Duration;

use tripline_connect::clock::nanos;

use super::poller::Poller;
use super::position::Mark;
use super::service::Service;
use super::spec::{Checkpoint, Means, Stream};

/// How far back is looked.
const HOUR: Duration = Duration::from_secs(3600);

/// Looks at each stream.
///
/// # Errors
/// What is wrong with the first stream that does not work.
pub async fn look(service: &Service, now: i64) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    for stream in &service.connector.streams {
        match stream_at(service, stream, now).await {
            Ok(what) => found.push(what),
            Err(why) => {
                let asks = match service.sign_in.asks() {
                    [] => String::new(),
                    asks => format!("; the credential needs {}", asks.join(", ")),
                };
                let has = service.granted().await.map(|has| format!("; it has {has}")).unwrap_or_default();
                return Err(format!("the stream `{}`: {why}{asks}{has}", stream.name));
            }
        }
    }
    found.extend(service.granted().await.map(|has| format!("the credential has {has}")));
    Ok(found)
}

async fn stream_at(service: &Service, stream: &Stream, now: i64) -> Result<String, String> {
    let from = now.saturating_sub(nanos(HOUR)).saturating_sub(nanos(stream.settle));
    let mark = Mark { upto: Some(from), began: Some(from), ..Mark::default() };
    // Only the first page is looked at, however fast requests may be.
    let spec = Stream { every: HOUR, window: HOUR, ..stream.clone() };
    let mut poller = Poller::looking(Arc::new(spec), mark);
    let mut at = now;
    for _ in 0..2 {
        let turn = poller.turn(service, at).await;
        if !turn.asked {
            // What is spaced is asked at once: people wait for the answer.
            at = turn.due.max(at);
            continue;
        }
        let name = &stream.name;
        match turn.failed {
            Some((Means::Restart, _)) if !stream.before.is_empty() => {
                return Ok(format!("the stream `{name}`: signed in; nothing was begun yet, which the service does"));
            }
            Some((_, why)) => return Err(why),
            None => {}
        }
        let count = poller.mark.taken;
        let more = if poller.mark.next.is_some() && stream.checkpoint == Checkpoint::Time { " or more" } else { "" };
        let what = if stream.fetch.is_some() { "pieces of content" } else { "events" };
        let when = match stream.checkpoint {
            Checkpoint::Time => "in the last hour",
            Checkpoint::Cursor => "on the first page",
        };
        return Ok(format!("the stream `{name}`: signed in; {count}{more} {what} {when}"));
    }
    Err("the limit of requests is reached; try again later".into())
}
