//! Hands records to the producer, and waits until the brokers have them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::statistics::Statistics;
use tokio::sync::oneshot::{Receiver, Sender, channel};
use tokio::time::{Instant, timeout_at};
use tripline_connect::kafka::{Behind, creation};
use tripline_connect::{Destination, Made, Outcome, Parcel, Sending};

use super::encode::{record, too_long};
use super::trouble;

/// How many deliveries are made at once.
const MOST: usize = 500;
/// How many bytes of them are under way at once; a larger one goes alone.
const BYTES: usize = 16 << 20;
/// How much later than its time the report on a message may come.
const GRACE: Duration = Duration::from_secs(1);

type Producer = ThreadedProducer<Watch>;
/// What became of a record: its code where it was not taken.
type Report = Result<(), Code>;

/// A topic.
pub(super) struct Topic {
    config: ClientConfig,
    name: String,
    /// The longest message (bytes).
    size: usize,
    timeout: Duration,
    /// Made anew where it is broken for good, and after an attempt at which nothing was taken.
    producer: Mutex<Option<Arc<Producer>>>,
    watch: Watch,
}

/// Listens to what librdkafka tells.
#[derive(Clone, Default)]
struct Watch {
    behind: Behind,
}

impl ClientContext for Watch {
    // Texts of librdkafka hold addresses.
    fn log(&self, _: RDKafkaLogLevel, _: &str, _: &str) {}

    fn stats(&self, _: Statistics) {}

    fn error(&self, error: KafkaError, text: &str) {
        self.behind.told(&error, text);
    }
}

impl ProducerContext for Watch {
    type DeliveryOpaque = Box<Sender<Report>>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Self::DeliveryOpaque) {
        let told = match result {
            Ok(_) => {
                self.behind.set(None);
                Ok(())
            }
            Err((error, _)) => Err(error.rdkafka_error_code().unwrap_or(Code::Unknown)),
        };
        // Nobody listens any more where the report came too late.
        let _ = report.send(told);
    }
}

/// A delivery that was begun.
enum Begun {
    /// Its report comes.
    Waits(Receiver<Report>),
    /// It is known what became of it.
    Known(Outcome),
}

impl Topic {
    /// # Errors
    /// Where a setting cannot be used.
    pub fn new(config: ClientConfig, name: String, size: usize, timeout: Duration) -> Result<Self, String> {
        let topic = Topic { config, name, size, timeout, producer: Mutex::default(), watch: Watch::default() };
        topic.producer()?;
        Ok(topic)
    }

    fn producer(&self) -> Result<Arc<Producer>, String> {
        let mut producer = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*producer {
            return Ok(Arc::clone(producer));
        }
        let made = self.config.create_with_context(self.watch.clone());
        let made: Arc<Producer> = Arc::new(made.map_err(|error| creation(&error))?);
        *producer = Some(Arc::clone(&made));
        Ok(made)
    }

    /// Lets go of the producer, with all that it has under way.
    fn forget(&self) {
        *self.producer.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Hands a record to the producer; adds its length to `bytes`.
    fn begin(&self, producer: &Producer, parcel: &Parcel, bytes: &mut usize) -> Begun {
        let Some(record) = record(parcel, self.size) else {
            return Begun::Known(Outcome::Never { reason: too_long(self.size) });
        };
        *bytes = bytes.saturating_add(record.body.len());
        let (sender, receiver) = channel();
        let message = BaseRecord::with_opaque_to(&self.name, Box::new(sender));
        let headers = record.headers.iter().fold(OwnedHeaders::new_with_capacity(2), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(value) })
        });
        let message = message.key(&record.key).payload(&record.body).headers(headers);
        match producer.send(message) {
            Ok(()) => Begun::Waits(receiver),
            Err((error, _)) => Begun::Known(self.outcome(error.rdkafka_error_code().unwrap_or(Code::Unknown))),
        }
    }

    /// Waits for what became of deliveries. Those that were refused for their length went there together with others,
    /// so they are told apart.
    async fn settle(&self, begun: Vec<(&Parcel, Begun)>, made: &mut Vec<Made>) {
        let until = Instant::now() + self.timeout + GRACE;
        let several = begun.len() > 1;
        for (parcel, begun) in begun {
            let outcome = match begun {
                Begun::Known(outcome) => outcome,
                Begun::Waits(report) => match self.report(report, until).await {
                    Err(Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) if several => self.alone(parcel).await,
                    Err(code) => self.outcome(code),
                    Ok(()) => Outcome::Taken,
                },
            };
            made.push(outcome.into());
        }
    }

    /// Waits for one report.
    async fn report(&self, report: Receiver<Report>, until: Instant) -> Report {
        match timeout_at(until, report).await {
            Ok(Ok(report)) => report,
            Ok(Err(_)) => Err(Code::PurgeQueue),
            Err(_) => {
                // A producer that keeps messages beyond their time would send them after they were tried anew.
                self.forget();
                Err(Code::MessageTimedOut)
            }
        }
    }

    /// Sends one record with no other in its batch.
    async fn alone(&self, parcel: &Parcel) -> Outcome {
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(reason) => return Outcome::Later { reason, after: None },
        };
        match self.begin(&producer, parcel, &mut 0) {
            Begun::Known(outcome) => outcome,
            Begun::Waits(report) => match self.report(report, Instant::now() + self.timeout + GRACE).await {
                Ok(()) => Outcome::Taken,
                Err(code) => self.outcome(code),
            },
        }
    }

    /// What a code means; where the producer is broken for good, what broke it.
    fn outcome(&self, code: Code) -> Outcome {
        let broken = || self.producer().ok()?.client().fatal_error().map(|(code, _)| code);
        let code = match code {
            Code::Fatal | Code::PurgeQueue | Code::PurgeInflight => broken().unwrap_or(code),
            code => code,
        };
        trouble::outcome(code, self.watch.behind.why())
    }
}

impl Destination for Topic {
    fn send<'a>(&'a self, parcel: &'a Parcel) -> Sending<'a, Made> {
        Box::pin(async move {
            let made = self.send_all(std::slice::from_ref(parcel)).await;
            let lost = || Outcome::Later { reason: "it was not tried".into(), after: None }.into();
            made.into_iter().next().unwrap_or_else(lost)
        })
    }

    fn send_all<'a>(&'a self, parcels: &'a [Parcel]) -> Sending<'a, Vec<Made>> {
        Box::pin(async move {
            let mut made = Vec::with_capacity(parcels.len());
            let mut begun = Vec::new();
            let mut bytes = 0;
            for parcel in parcels {
                let one = match self.producer() {
                    Ok(producer) => self.begin(&producer, parcel, &mut bytes),
                    Err(reason) => Begun::Known(Outcome::Later { reason, after: None }),
                };
                begun.push((parcel, one));
                if bytes > BYTES {
                    self.settle(std::mem::take(&mut begun), &mut made).await;
                    bytes = 0;
                }
            }
            self.settle(begun, &mut made).await;
            // What librdkafka was refused once it holds against a topic for minutes, also where that was put right.
            let refused = made.iter().all(|made| matches!(made.outcome, Outcome::Later { .. }));
            if refused || self.producer().is_ok_and(|producer| producer.client().fatal_error().is_some()) {
                self.forget();
                self.watch.behind.set(None);
            }
            made
        })
    }

    fn batch(&self) -> Option<usize> {
        Some(MOST)
    }

    fn check(&self) -> Sending<'_, Result<Vec<String>, String>> {
        Box::pin(async move {
            let producer = self.producer()?;
            let (name, timeout) = (self.name.clone(), self.timeout);
            let asked = tokio::task::spawn_blocking(move || {
                let told = producer.client().fetch_metadata(Some(&name), timeout);
                let told = told.map_err(|error| error.rdkafka_error_code().unwrap_or(Code::Unknown))?;
                let topic = told.topics().first().ok_or(Code::UnknownTopicOrPartition)?;
                match topic.error() {
                    Some(error) => Err(Code::from(error)),
                    None => Ok((topic.partitions().len(), told.brokers().len())),
                }
            });
            match asked.await.unwrap_or(Err(Code::Unknown)) {
                Ok((partitions, brokers)) => {
                    let partitions =
                        if partitions == 1 { "1 partition".into() } else { format!("{partitions} partitions") };
                    let brokers = if brokers == 1 { "1 broker".into() } else { format!("{brokers} brokers") };
                    Ok(vec![format!("the topic has {partitions}, the cluster {brokers}")])
                }
                Err(code) => Err(trouble::words(code, self.watch.behind.why())),
            }
        })
    }
}
