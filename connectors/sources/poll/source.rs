//! The streams of a source side by side: each asks, hands over what is new with how far it was read, and waits.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tripline_connect::clock;
use tripline_connect::source::{Arrival, Intake, Source, Stopped};

use super::poller::{Poller, Turn};
use super::position::Position;
use super::service::Service;

/// A source that asks.
pub struct Polling {
    service: Service,
    position: Option<Vec<u8>>,
    rows: Vec<(Vec<u8>, Vec<u8>)>,
    intake: Intake,
}

/// What the streams of a source share.
struct Shared {
    service: Service,
    intake: Intake,
    /// How far all of them were read. Who holds it hands over, so that positions come in their order.
    position: tokio::sync::Mutex<Position>,
    /// Which of them fail, and why.
    failing: Mutex<BTreeMap<String, String>>,
    /// Whether the clocks were said to differ.
    skewed: Mutex<bool>,
}

impl Polling {
    /// A source that goes on at its position.
    pub fn new(service: Service, position: Option<Vec<u8>>, rows: Vec<(Vec<u8>, Vec<u8>)>, intake: Intake) -> Self {
        Polling { service, position, rows, intake }
    }
}

/// What a turn hands over, with the position after it; none where nothing changed.
pub fn arrival(name: &str, poller: &mut Poller, turn: &mut Turn, position: &mut Position) -> Option<Arrival> {
    if !turn.moved {
        return None;
    }
    let rows = position.set(&poller.spec.name, &mut poller.mark);
    let (mut batch, bytes) = turn.taken.take().unwrap_or_default();
    batch.event_source = Some(poller.spec.source.as_str().into());
    let name: Arc<str> = format!("{name}/{}", poller.spec.name).into();
    let mut arrival = Arrival::new(name, batch, bytes);
    arrival.pieces.retain(|(_, batch)| !batch.is_empty());
    arrival.position = Some(serde_json::to_vec(position).unwrap_or_default());
    arrival.rows = rows;
    arrival.gaps = std::mem::take(&mut turn.gaps);
    Some(arrival)
}

impl Source for Polling {
    fn announce(&self) -> Option<String> {
        let streams: Vec<&str> = self.service.connector.streams.iter().map(|stream| stream.name.as_str()).collect();
        let origin = self.service.places.base.origin().ascii_serialization();
        Some(format!("asks {} at {origin} for {}", self.service.connector.title, streams.join(", ")))
    }

    fn run(self: Box<Self>) {
        let Polling { service, position: kept, rows, intake } = *self;
        let rows = rows.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
        // Without the position all is read again; what was taken is known by the rows.
        let mut position = Position::read(kept.as_deref(), rows.clone()).unwrap_or_else(|error| {
            intake.say(&format!("its position cannot be read and is left aside: {error}"));
            Position::read(None, rows).unwrap_or_default()
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(4).build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(error) => return intake.failing(Some(&format!("the network cannot be used: {error}"))),
        };
        let pollers: Vec<Poller> = service
            .connector
            .streams
            .iter()
            .map(|stream| {
                let mut mark = position.streams.get_mut(&stream.name).map(std::mem::take).unwrap_or_default();
                // What comes after this says all that is to be said of the stream.
                let seen = std::mem::take(&mut mark.seen);
                position.streams.insert(stream.name.clone(), mark.clone());
                mark.seen = seen;
                Poller::new(Arc::new(stream.clone()), mark)
            })
            .collect();
        let shared = Shared {
            service,
            intake: intake.clone(),
            position: tokio::sync::Mutex::new(position),
            failing: Mutex::default(),
            skewed: Mutex::default(),
        };
        runtime.block_on(async {
            let all = join_all(pollers.into_iter().map(|poller| shared.follow(poller)));
            tokio::select! {
                _ = all => {}
                () = intake.stop().asked_for() => {}
            }
        });
        // Whoever hands over now is let go once the engine takes it or has gone.
        runtime.shutdown_background();
    }
}

impl Shared {
    async fn follow(&self, mut poller: Poller) {
        loop {
            let now = clock::now();
            let mut turn = poller.turn(&self.service, now).await;
            turn.said.iter().for_each(|said| self.intake.say(said));
            self.tell(&poller);
            if self.hand_over(&mut poller, &mut turn).await.is_err() {
                return;
            }
            let wait = turn.due.saturating_sub(clock::now());
            if let Ok(wait) = u64::try_from(wait)
                && wait > 0
            {
                tokio::time::sleep(Duration::from_nanos(wait)).await;
            }
        }
    }

    async fn hand_over(&self, poller: &mut Poller, turn: &mut Turn) -> Result<(), Stopped> {
        let mut position = self.position.lock().await;
        let Some(mut arrival) = arrival(self.intake.name(), poller, turn, &mut position) else { return Ok(()) };
        arrival.at = Instant::now();
        let intake = self.intake.clone();
        let handed = tokio::task::spawn_blocking(move || intake.hand_over(arrival)).await;
        handed.unwrap_or(Err(Stopped))
    }

    /// Tells whether the source works: it does where all its streams do.
    fn tell(&self, poller: &Poller) {
        if let Some(said) = self.service.skewed() {
            let mut skewed = self.skewed.lock().unwrap_or_else(PoisonError::into_inner);
            if !std::mem::replace(&mut *skewed, true) {
                self.intake.say(&said);
            }
        }
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let name = &poller.spec.name;
        match &poller.failing {
            Some(why) if failing.get(name) != Some(why) => {
                let said = format!("the stream `{name}`: {why}");
                let first = failing.is_empty();
                failing.insert(name.clone(), why.clone());
                self.intake.failing(Some(&said));
                if !first {
                    self.intake.say(&said);
                }
            }
            None if failing.remove(name).is_some() => {
                if failing.is_empty() {
                    self.intake.failing(None);
                } else {
                    self.intake.say(&format!("the stream `{name}` works again"));
                }
            }
            _ => {}
        }
    }
}
