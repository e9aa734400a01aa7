//! Digests as objects: read, taken, and committed with what follows from them; and the clock that tells what is missing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tripline_connect::clock;
use tripline_connect::source::Arrival;

use super::super::client::told;
use super::super::message::Object;
use super::super::object::Failure;
use super::super::queue::wanted;
use super::super::{Shared, Stopped};
use super::{Digest, Digests};

/// The largest digest, as it is and decompressed (bytes).
const LARGEST: (usize, u64) = (8 << 20, 64 << 20);
/// How often it is looked whether something should have come, at most.
const LOOK: Duration = Duration::from_secs(30);

/// What is known; whoever has it hands over what changes of it, so that rows come in their order.
pub(in super::super) fn locked(digests: &Mutex<Digests>) -> MutexGuard<'_, Digests> {
    digests.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a digest. It comes back once what follows from it is committed.
pub(in super::super) async fn take(shared: &Arc<Shared>, object: &Object) -> Result<(), Failure> {
    let Object { bucket, key, version } = object;
    // One at a time: a digest is held whole.
    let _one = shared.digesting.acquire().await.map_err(|_| Failure::Stopped)?;
    let asked = shared.clients.s3().await.get_object().bucket(bucket).key(key).set_version_id(version.clone());
    let reading = async {
        let mut body = asked
            .send()
            .await
            .map_err(|error| match told(&error) {
                (why, true) => Failure::Object(why),
                (why, false) => Failure::Everything(why),
            })?
            .body;
        let mut whole = Vec::new();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| Failure::Object("the connection broke while it was read".into()))?;
            if whole.len() + chunk.len() > LARGEST.0 {
                return Err(Failure::Object(format!("a digest has at most {} bytes", LARGEST.0)));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    };
    let whole = tokio::select! {
        whole = reading => whole?,
        () = shared.intake.stop().asked_for() => return Err(Failure::Stopped),
    };
    let (shared, object) = (Arc::clone(shared), object.clone());
    let work = move || {
        let digest = parse(whole).map_err(Failure::Object)?;
        let wanted = |key: &str| wanted(&shared, &Object { key: key.to_string(), ..object.clone() });
        let name = format!("s3://{}/{}", object.bucket, object.key);
        let Some(digests) = &shared.digests else { return Ok(None) };
        let mut digests = locked(digests);
        digests.take(&name, &object.key, &digest, &wanted, clock::now()).map_err(Failure::Object)?;
        hand_over(&shared, &mut digests, Vec::new()).map(Some).map_err(|_| Failure::Stopped)
    };
    let committed =
        tokio::task::spawn_blocking(work).await.map_err(|_| Failure::Object("it cannot be read".into()))??;
    match committed {
        Some(committed) => committed.await.map(|_| ()).map_err(|_| Failure::Stopped),
        None => Ok(()),
    }
}

fn parse(whole: Vec<u8>) -> Result<Digest, String> {
    use std::io::Read as _;
    let input = tripline_formats::decompress(std::io::Cursor::new(whole)).map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let read = input.take(LARGEST.1 + 1).read_to_end(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > LARGEST.1 {
        return Err(format!("a digest has at most {} bytes, decompressed", LARGEST.1));
    }
    serde_json::from_slice(&text).map_err(|error| format!("it is no digest of CloudTrail: {error}"))
}

fn hand_over(
    shared: &Shared,
    digests: &mut Digests,
    gaps: Vec<tripline_connect::source::Gap>,
) -> Result<tokio::sync::oneshot::Receiver<tripline_connect::source::Done>, Stopped> {
    let (done, committed) = tokio::sync::oneshot::channel();
    let mut arrival = Arrival::of(Vec::new(), 0, Instant::now());
    (arrival.rows, arrival.gaps, arrival.done) = (digests.changes(), gaps, Some(done));
    shared.intake.hand_over(arrival).map_err(|_| Stopped)?;
    Ok(committed)
}

/// Tells what should have come and did not, as long as the service runs.
pub(in super::super) async fn watch(shared: &Arc<Shared>) -> Result<(), Stopped> {
    let Some(wait) = shared.settings.digest_wait else { return Ok(()) };
    loop {
        shared.wait((wait / 4).clamp(Duration::from_millis(100), LOOK)).await?;
        let shared = Arc::clone(shared);
        let work = move || {
            let Some(digests) = &shared.digests else { return Ok(()) };
            let mut digests = locked(digests);
            // While the queue or its objects cannot be read, what does not come is not missing.
            let gaps = digests.due(clock::now().min(shared.caught.upto()));
            let unjudged = digests.unjudged();
            if unjudged > 0 {
                let files = tripline_base::terminal::counted(unjudged, "log file");
                shared.intake.say(&format!("{files} that digests name are not waited for: too many are"));
            }
            for gap in &gaps {
                shared.intake.say(&format!("{}: {}", gap.of, gap.why));
            }
            match gaps.is_empty() && digests.changed.is_empty() {
                true => Ok(()),
                false => hand_over(&shared, &mut digests, gaps).map(|_| ()),
            }
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| Stopped)??;
    }
}
