//! The queue that tells of new objects: messages are hidden while they are worked on, and deleted once everything that
//! they tell of is committed.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::{Message, MessageSystemAttributeName, QueueAttributeName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tripline_connect::clock;

use super::client::{Clients, told};
use super::digest;
use super::message::{self, Object};
use super::object::{Failure, aside, take};
use super::{Shared, Stopped};

/// How long the queue is asked to wait for messages (seconds), the most that it allows.
const WAIT: i32 = 20;
/// How many messages the queue gives at once, the most that it allows.
const MOST: usize = 10;
/// The first and the longest wait after a failure.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Takes messages until the service stops.
pub(super) async fn run(shared: &Arc<Shared>, url: &str) -> Result<(), Stopped> {
    let room = Arc::new(Semaphore::new(shared.settings.objects));
    let mut working = JoinSet::new();
    let mut backoff = BACKOFF.0;
    // What does not come is missing once the queue has answered that there is nothing.
    let wait = shared.settings.digest_wait.map_or(WAIT, |wait| seconds(wait / 2).clamp(1, WAIT));
    loop {
        let place = tokio::select! {
            place = Arc::clone(&room).acquire_owned() => place.map_err(|_| Stopped)?,
            () = shared.intake.stop().asked_for() => return Err(Stopped),
        };
        while working.try_join_next().is_some() {}
        let most = (room.available_permits() + 1).min(MOST);
        let asked = shared
            .clients
            .sqs()
            .await
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(i32::try_from(most).unwrap_or(1))
            .wait_time_seconds(wait)
            .visibility_timeout(seconds(shared.settings.visibility))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp);
        let answer = tokio::select! {
            answer = asked.send() => answer,
            () = shared.intake.stop().asked_for() => return Err(Stopped),
        };
        match answer {
            Ok(answer) => {
                shared.intake.failing(None);
                backoff = BACKOFF.0;
                let mut place = Some(place);
                let messages = answer.messages.unwrap_or_default();
                if messages.is_empty() && working.is_empty() {
                    shared.caught.up(clock::now());
                }
                for message in messages {
                    let place = place.take().or_else(|| Arc::clone(&room).try_acquire_owned().ok());
                    working.spawn(work(Arc::clone(shared), url.to_string(), message, place));
                }
            }
            Err(error) => {
                shared.intake.failing(Some(&format!("the queue gives no messages: {}", told(&error).0)));
                shared.wait(backoff).await?;
                backoff = (backoff * 2).min(BACKOFF.1);
            }
        }
    }
}

fn seconds(long: Duration) -> i32 {
    i32::try_from(long.as_secs()).unwrap_or(43_200)
}

/// Works on a message, and hides it from others meanwhile.
async fn work(shared: Arc<Shared>, url: String, message: Message, _place: Option<OwnedSemaphorePermit>) {
    let (Some(receipt), Some(body)) = (message.receipt_handle.clone(), message.body.clone()) else { return };
    let number = |name| message.attributes.as_ref().and_then(|all| all.get(&name)?.parse::<i64>().ok());
    let receives = number(MessageSystemAttributeName::ApproximateReceiveCount).and_then(|n| u32::try_from(n).ok());
    let receives = receives.unwrap_or(1);
    let sent = number(MessageSystemAttributeName::SentTimestamp).map(|sent| sent.saturating_mul(1_000_000));
    let id = message.message_id.clone().unwrap_or_default();
    let hide = |long: Duration| {
        let (shared, url, receipt) = (Arc::clone(&shared), url.clone(), receipt.clone());
        async move {
            let sqs = shared.clients.sqs().await;
            let asked = sqs.change_message_visibility().queue_url(url).receipt_handle(receipt);
            asked.visibility_timeout(seconds(long)).send().await
        }
    };
    let whole = async {
        let objects = match message::objects(&body) {
            Ok(objects) => objects,
            Err(why) => return set_aside(&shared, &url, &id, why, &body).await,
        };
        for object in &objects {
            let digest = shared.digests.is_some() && digest::is_digest(&object.key);
            let taken = match (digest, wanted(&shared, object)) {
                (true, false) => digest::take(&shared, object).await,
                (true, true) => match take(&shared, object, None).await {
                    Ok(()) => digest::take(&shared, object).await,
                    failed => failed,
                },
                (false, true) => take(&shared, object, None).await,
                (false, false) => continue,
            };
            match taken {
                Ok(()) => {}
                Err(Failure::Object(why)) if receives >= shared.settings.max_receives => {
                    let why = format!("s3://{}/{}: {why} ({receives} times)", object.bucket, object.key);
                    set_aside(&shared, &url, &format!("{id}/{}", object.key), why, &body).await?;
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    };
    let visibility = shared.settings.visibility;
    let hiding = async {
        loop {
            tokio::time::sleep(visibility / 2).await;
            // Where it fails, the message comes again, and counts once all the same.
            let _ = hide(visibility).await;
        }
    };
    let worked = tokio::select! {
        worked = whole => worked,
        () = hiding => return,
    };
    // What is hidden comes again; until then nobody knows what it tells of.
    let again = match &worked {
        Ok(()) | Err(Failure::Stopped) => Duration::ZERO,
        Err(Failure::Object(_)) => (BACKOFF.0 * 2u32.saturating_pow(receives.min(10))).min(visibility),
        Err(Failure::Everything(_)) => BACKOFF.1.min(visibility),
    };
    shared.caught.behind(clock::now(), again);
    match worked {
        Ok(()) => {
            sent.into_iter().for_each(|sent| shared.caught.up(sent));
            for wait in [0, 1, 5] {
                tokio::time::sleep(Duration::from_secs(wait)).await;
                let sqs = shared.clients.sqs().await;
                if sqs.delete_message().queue_url(&url).receipt_handle(&receipt).send().await.is_ok() {
                    break;
                }
            }
        }
        Err(Failure::Stopped) => {}
        Err(Failure::Object(why)) => {
            shared.intake.say(&format!("an object cannot be read, and is tried again: {why}"));
            let _ = hide(again).await;
        }
        Err(Failure::Everything(why)) => {
            shared.intake.failing(Some(&format!("no object can be read: {why}")));
            let _ = hide(again).await;
        }
    }
}

async fn set_aside(shared: &Arc<Shared>, url: &str, id: &str, why: String, body: &str) -> Result<(), Failure> {
    Ok(aside(shared, url.to_string(), format!("message {id}"), why, body).await?)
}

/// Whether an object is one to be read.
pub(super) fn wanted(shared: &Shared, object: &Object) -> bool {
    let settings = &shared.settings;
    let digest = digest::is_digest(&object.key);
    if object.key.ends_with('/') || digest && !settings.digests {
        return false;
    }
    settings.keys.as_ref().is_none_or(|keys| keys.is_match(&object.key))
}

/// Whether the queue is there, and how much waits in it.
pub(super) async fn look(clients: &Clients, url: &str) -> Result<String, String> {
    clients.signs().await?;
    let asked = clients.sqs().await.get_queue_attributes().queue_url(url);
    let asked = asked.attribute_names(QueueAttributeName::ApproximateNumberOfMessages);
    let answer = asked.send().await.map_err(|error| format!("the queue does not answer: {}", told(&error).0))?;
    let waiting = answer.attributes.as_ref().and_then(|all| all.get(&QueueAttributeName::ApproximateNumberOfMessages));
    let waiting = waiting.and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(format!("the queue has about {}", tripline_base::terminal::counted(waiting, "message")))
}
