//! Asks services for values while alerts wait, in a thread of its own. Every value that is asked for is answered, by what
//! the service says or by why it does not, within twice the budget.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tripline_alert::{Answered, Looked, Wanted};
use tripline_config::Secrets;

use super::cache::Cache;
use super::service::Service;
use super::settings::Enrichment;
use crate::metrics::Metrics;
use tripline_connect::clock;

/// The most values that are asked for and not answered.
const MOST: usize = 10_000;

/// The engine's side of the thread.
pub(crate) struct Asker {
    send: UnboundedSender<Wanted>,
    answers: Receiver<Answered>,
    /// How many answers are still to come.
    outstanding: usize,
    /// What was answered here, as too much is asked for.
    refused: Vec<Answered>,
}

impl Asker {
    /// Starts the thread.
    ///
    /// # Errors
    /// Where a service cannot be asked at all.
    pub fn start(
        enrichments: &[Enrichment],
        secrets: &Secrets,
        folder: &Path,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, String> {
        let mut services = HashMap::new();
        for one in enrichments {
            let Some(http) = one.http() else { continue };
            let (name, budget) = (&one.common.name, one.common.budget);
            let service = Service::open(http, budget, secrets, folder);
            let service = service.map_err(|why| format!("the enrichment `{name}`: {why}"))?;
            let cache = Cache::new(http.ttl, http.entries);
            services.insert(name.clone(), (Arc::new(service), cache));
        }
        let (send, wanted) = unbounded_channel();
        let (tell, answers) = channel();
        if !services.is_empty() {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.map_err(|error| format!("enrichments cannot be started: {error}"))?;
            let thread = Thread { services, waiting: HashMap::new(), tell, metrics: Arc::clone(metrics) };
            std::thread::spawn(move || runtime.block_on(thread.run(wanted)));
        }
        Ok(Asker { send, answers, outstanding: 0, refused: Vec::new() })
    }

    /// Asks for a value.
    pub fn ask(&mut self, wanted: Wanted) {
        let failed = |wanted: Wanted, why: &str| {
            let Wanted { alert, name, value, .. } = wanted;
            Answered { alert, name, value, looked: Looked::Failed(why.into()) }
        };
        if self.outstanding >= MOST {
            self.refused.push(failed(wanted, "too many others are asked for at once"));
        } else if let Err(lost) = self.send.send(wanted) {
            self.refused.push(failed(lost.0, "nobody can be asked"));
        } else {
            self.outstanding += 1;
        }
    }

    /// Answers that came, at most so many.
    pub fn take(&mut self, most: usize) -> Vec<Answered> {
        let refused = self.refused.len().min(most);
        let mut out: Vec<Answered> = self.refused.drain(..refused).collect();
        let before = out.len();
        out.extend(self.answers.try_iter().take(most - before));
        self.outstanding = self.outstanding.saturating_sub(out.len() - before);
        out
    }

    /// Whether answers are still to come.
    pub fn waits(&self) -> bool {
        self.outstanding > 0 || !self.refused.is_empty()
    }
}

/// What a value is asked by: enrichment and value.
type Key = (String, String);

struct Thread {
    services: HashMap<String, (Arc<Service>, Cache)>,
    /// The alerts that wait for each value that is asked for.
    waiting: HashMap<Key, Vec<String>>,
    tell: Sender<Answered>,
    metrics: Arc<Metrics>,
}

impl Thread {
    /// Runs until the engine has gone.
    async fn run(mut self, mut wanted: UnboundedReceiver<Wanted>) {
        let mut asking: JoinSet<(Key, Looked)> = JoinSet::new();
        loop {
            tokio::select! {
                one = wanted.recv() => match one {
                    Some(one) => self.begin(one, &mut asking),
                    None => return,
                },
                Some(Ok((key, looked))) = asking.join_next(), if !asking.is_empty() => self.end(key, &looked),
            }
        }
    }

    fn begin(&mut self, wanted: Wanted, asking: &mut JoinSet<(Key, Looked)>) {
        let Wanted { alert, name, value, until } = wanted;
        let Some((service, cache)) = self.services.get(&name) else {
            return self.answer((name, value), alert, Looked::Nothing);
        };
        if let Some(known) = cache.get(&value, std::time::Instant::now()) {
            let known = known.clone();
            self.count(&name, "cached");
            return self.answer((name, value), alert, known);
        }
        let key = (name, value);
        let waiting = self.waiting.entry(key.clone()).or_default();
        waiting.push(alert);
        if waiting.len() > 1 {
            // It is asked for already.
            return;
        }
        let left = u64::try_from(until.saturating_sub(clock::now())).unwrap_or(0);
        let until = Instant::now() + Duration::from_nanos(left);
        let service = Arc::clone(service);
        asking.spawn(async move {
            let looked = service.ask(&key.1, until).await;
            (key, looked)
        });
    }

    fn end(&mut self, key: Key, looked: &Looked) {
        if let Some((_, cache)) = self.services.get_mut(&key.0) {
            cache.put(&key.1, looked, std::time::Instant::now());
        }
        let outcome = match looked {
            Looked::Found(_) => "found",
            Looked::Nothing => "nothing",
            Looked::Failed(_) | Looked::Later => "failed",
        };
        self.count(&key.0, outcome);
        for alert in self.waiting.remove(&key).unwrap_or_default() {
            self.answer(key.clone(), alert, looked.clone());
        }
    }

    fn answer(&self, (name, value): Key, alert: String, looked: Looked) {
        // Where the engine has gone nobody waits.
        let _ = self.tell.send(Answered { alert, name, value, looked });
    }

    fn count(&self, name: &str, outcome: &str) {
        self.metrics.lookups.with_label_values(&[name, outcome]).inc();
    }
}
