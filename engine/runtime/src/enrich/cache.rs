//! Answers that are used again for a while, so many at most.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tripline_alert::Looked;

/// Answers of one service.
#[derive(Debug)]
pub(super) struct Cache {
    ttl: Duration,
    most: usize,
    answers: HashMap<String, (Instant, Looked)>,
    /// Values in the order in which their answers came.
    order: VecDeque<(Instant, String)>,
}

impl Cache {
    pub fn new(ttl: Duration, most: usize) -> Self {
        Cache { ttl, most, answers: HashMap::new(), order: VecDeque::new() }
    }

    pub fn get(&self, value: &str, now: Instant) -> Option<&Looked> {
        let (at, looked) = self.answers.get(value)?;
        (now.saturating_duration_since(*at) < self.ttl).then_some(looked)
    }

    /// Remembers an answer. A failure is none.
    pub fn put(&mut self, value: &str, looked: &Looked, now: Instant) {
        if self.ttl.is_zero() || !matches!(looked, Looked::Found(_) | Looked::Nothing) {
            return;
        }
        self.answers.insert(value.to_string(), (now, looked.clone()));
        self.order.push_back((now, value.to_string()));
        while let Some((at, value)) = self.order.front() {
            let old = now.saturating_duration_since(*at) >= self.ttl;
            if !old && self.order.len() <= self.most {
                break;
            }
            // What was asked anew meanwhile stays for its later place.
            if self.answers.get(value).is_some_and(|(last, _)| last == at) {
                self.answers.remove(value);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_forgotten_by_age_and_number() {
        let (begin, second) = (Instant::now(), Duration::from_secs(1));
        let mut cache = Cache::new(10 * second, 3);
        for n in 0..5u32 {
            cache.put(&n.to_string(), &Looked::Nothing, begin + n * second);
        }
        assert!(cache.get("1", begin + 4 * second).is_none(), "the oldest made room");
        assert!(cache.get("4", begin + 13 * second).is_some());
        assert!(cache.get("4", begin + 14 * second).is_none(), "too old");
        cache.put("f", &Looked::Failed("no".into()), begin);
        assert!(cache.get("f", begin).is_none(), "a failure may pass");
        for n in 0..100 {
            cache.put("same", &Looked::Nothing, begin + n * second / 1000);
        }
        assert!(cache.order.len() <= 3 && cache.get("same", begin + second).is_some());
    }
}
