//! Reads messages, hands them over, and acknowledges what was committed.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::message::Acker;
use futures_util::StreamExt as _;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;
use tripline_connect::source::{Arrival, Done, Intake, Source};
use tripline_formats::MAX_BATCH;

use super::config::Nats;
use super::connect::{Connection, Signing};
use super::seen::Seen;
use crate::records::Records;

/// How long a message is waited for at once, and how long messages are gathered.
const LINGER: Duration = Duration::from_millis(20);
/// How many messages, and how many bytes of them, are on their way.
const AHEAD: (usize, usize) = (500, 17 << 20);
/// How often the server is asked up to where everything was acknowledged.
const FLOOR: Duration = Duration::from_secs(10);
/// After how long it is tried again, at first and at last.
const AGAIN: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// A stream that is read.
pub(super) struct Reader {
    config: Nats,
    signing: Signing,
    intake: Intake,
    seen: Seen,
    gathered: Records,
    /// What is to be acknowledged once what was gathered is committed.
    ackers: Vec<Acker>,
    since: Option<Instant>,
    /// What was handed over and not committed yet.
    pending: VecDeque<(oneshot::Receiver<Done>, Vec<Acker>)>,
    failing: Option<String>,
}

/// Why reading ended.
enum Exit {
    /// It is to, or nobody takes events any more.
    Stop,
    /// It does not work; why.
    Broken(String),
}

impl Reader {
    pub fn new(config: Nats, signing: Signing, seen: Seen, intake: Intake) -> Self {
        Reader {
            config,
            signing,
            intake,
            seen,
            gathered: Records::default(),
            ackers: Vec::new(),
            since: None,
            pending: VecDeque::new(),
            failing: None,
        }
    }

    async fn work(&mut self) {
        let mut wait = AGAIN.0;
        loop {
            let begun = Instant::now();
            match self.session().await {
                Exit::Stop => return,
                Exit::Broken(why) => self.tell(Some(why)),
            }
            wait = if begun.elapsed() > AGAIN.1 { AGAIN.0 } else { (wait * 2).min(AGAIN.1) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.intake.stop().asked_for() => return,
            }
        }
    }

    /// Reads over one connection, which finds other servers by itself.
    async fn session(&mut self) -> Exit {
        let stop = self.intake.stop().clone();
        let begun = tokio::select! {
            begun = self.begin() => begun,
            () = stop.asked_for() => return Exit::Stop,
        };
        let (connection, mut consumer) = match begun {
            Ok(begun) => begun,
            Err(why) => return Exit::Broken(why),
        };
        let stream = consumer.stream().max_messages_per_batch(AHEAD.0).max_bytes_per_batch(AHEAD.1);
        let mut messages = match stream.messages().await {
            Ok(messages) => messages,
            Err(_) => return Exit::Broken("the consumer cannot be read: is it a pull consumer?".into()),
        };
        let mut asked = Instant::now();
        loop {
            if stop.asked() {
                self.settle().await;
                connection.flush().await;
                return Exit::Stop;
            }
            self.tell(connection.is_down().then(|| "no server is reached: it tries again and again".into()));
            match tokio::time::timeout(LINGER, messages.next()).await {
                Ok(Some(Ok(message))) => {
                    if let Err(why) = self.take(message).await {
                        return Exit::Broken(why);
                    }
                }
                // A server that is silent is asked again; one that is gone is found out above.
                Ok(Some(Err(error))) if error.kind() == pull::MessagesErrorKind::MissingHeartbeat => {}
                Ok(Some(Err(error))) => {
                    let why = match error.kind() {
                        pull::MessagesErrorKind::ConsumerDeleted => "the consumer was deleted: it is made again",
                        pull::MessagesErrorKind::NoResponders => "JetStream does not answer",
                        _ => "messages cannot be read: they are asked for again",
                    };
                    return Exit::Broken(why.into());
                }
                Ok(None) => return Exit::Broken("messages cannot be read: they are asked for again".into()),
                Err(_) => {}
            }
            self.settle().await;
            if asked.elapsed() > FLOOR {
                asked = Instant::now();
                if let Ok(info) = consumer.info().await {
                    self.seen.raise(info.ack_floor.stream_sequence);
                }
            }
            if !self.hand_over().await {
                return Exit::Stop;
            }
        }
    }

    /// Connects, and finds the consumer or makes it.
    async fn begin(&mut self) -> Result<(Connection, PullConsumer), String> {
        let connection = Connection::new(&self.config, &self.signing).await?;
        let stream = connection.stream(&self.config.stream).await?;
        let made = stream.cached_info().created.unix_timestamp_nanos();
        let made = i64::try_from(made).unwrap_or(0);
        if self.seen.begin(made) {
            self.intake.say("the stream was made anew: nothing of it was read yet");
        }
        let wanted = pull::Config {
            durable_name: Some(self.config.consumer.clone()),
            deliver_policy: if self.config.beginning { DeliverPolicy::All } else { DeliverPolicy::New },
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.config.ack_wait,
            max_ack_pending: self.config.max_ack_pending,
            filter_subject: self.config.subject.clone().unwrap_or_default(),
            ..pull::Config::default()
        };
        let consumer: PullConsumer =
            stream.get_or_create_consumer(&self.config.consumer, wanted).await.map_err(|_| {
                format!(
                    "the consumer `{}` cannot be made: may the account make one, and is `subject` one of the stream?",
                    self.config.consumer
                )
            })?;
        let info = consumer.cached_info();
        if info.config.ack_policy != AckPolicy::Explicit {
            return Err(format!(
                "the consumer `{}` is there and takes no acknowledgement of each message: name another, or delete it",
                self.config.consumer
            ));
        }
        self.seen.raise(info.ack_floor.stream_sequence);
        Ok((connection, consumer))
    }

    async fn take(&mut self, message: async_nats::jetstream::Message) -> Result<(), String> {
        let told = message.info().map(|info| (info.stream_sequence, info.consumer_sequence, info.delivered));
        let Ok((number, delivery, times)) = told else {
            return Err("the server sends messages without numbers".into());
        };
        let new = self.seen.take(number, delivery, times > 1);
        let (message, acker) = message.split();
        if new {
            self.gathered.add(self.intake.name(), number, &message.payload);
            self.since.get_or_insert_with(Instant::now);
            self.ackers.push(acker);
        } else if self.since.is_some() {
            // It may be one of those that wait.
            self.ackers.push(acker);
        } else if let Some((_, ackers)) = self.pending.back_mut() {
            ackers.push(acker);
        } else {
            acknowledge(vec![acker]).await;
        }
        Ok(())
    }

    /// Acknowledges what was committed.
    async fn settle(&mut self) {
        while let Some((done, _)) = self.pending.front_mut() {
            let told = done.try_recv();
            if told == Err(TryRecvError::Empty) {
                return;
            }
            if let (Ok(_), Some((_, ackers))) = (told, self.pending.pop_front()) {
                acknowledge(ackers).await;
            }
        }
    }

    /// Hands over what was gathered long enough; gives whether anybody takes it.
    async fn hand_over(&mut self) -> bool {
        let long = self.since.is_some_and(|since| since.elapsed() >= LINGER);
        if !long && self.gathered.bytes < MAX_BATCH as u64 {
            return true;
        }
        let Some(at) = self.since.take() else { return true };
        let (done, told) = oneshot::channel();
        let records = std::mem::take(&mut self.gathered);
        let bytes = records.bytes;
        let mut pieces = Vec::new();
        records.take(self.intake.name(), &mut pieces);
        self.pending.push_back((told, std::mem::take(&mut self.ackers)));
        let position = Some(self.seen.write());
        let arrival = Arrival { position, done: Some(done), ..Arrival::of(pieces, bytes, at) };
        let intake = self.intake.clone();
        let handed = tokio::task::spawn_blocking(move || intake.hand_over(arrival)).await;
        matches!(handed, Ok(Ok(())))
    }

    /// Tells whether it works, where that is news.
    fn tell(&mut self, why: Option<String>) {
        if why != self.failing {
            self.intake.failing(why.as_deref());
            self.failing = why;
        }
    }
}

async fn acknowledge(ackers: Vec<Acker>) {
    for acker in ackers {
        // What does not reach the server is delivered again, and known.
        let _ = acker.ack().await;
    }
}

impl Source for Reader {
    fn run(mut self: Box<Self>) {
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                runtime.block_on(self.work());
                runtime.shutdown_background();
            }
            Err(error) => self.intake.failing(Some(&format!("the source cannot be started: {error}"))),
        }
    }
}
