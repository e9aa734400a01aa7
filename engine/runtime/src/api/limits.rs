//! How often a client may ask: a bucket for each token, and for each address of those that have none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many clients are known at once; those beyond share a bucket.
const CLIENTS: usize = 4_096;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Somebody with a token (its id).
    Token(String),
    /// Somebody without one.
    Address(IpAddr),
    /// A destination that calls back, or whoever says so.
    Callback(IpAddr),
    /// Whoever came when there were too many.
    Others,
}

/// What an address is counted as: whoever has one address of IPv6 has all of its network of 64 bits.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        plain => plain,
    }
}

/// What is left to a client.
struct Bucket {
    /// How many requests it may make now.
    free: f64,
    /// As of when.
    at: Instant,
}

/// The buckets.
pub(super) struct Limits {
    /// Requests a minute, which may come at once.
    rate: f64,
    buckets: Mutex<HashMap<Client, Bucket>>,
}

impl Limits {
    /// So many requests a minute for each client.
    pub fn new(rate: u32) -> Self {
        Limits { rate: f64::from(rate), buckets: Mutex::default() }
    }

    /// Takes a request.
    ///
    /// # Errors
    /// Where it is too early: after how many seconds the next is taken.
    pub fn take(&self, client: Client, now: Instant) -> Result<(), u64> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let client = if buckets.contains_key(&client) || buckets.len() < CLIENTS {
            client
        } else {
            // Who has asked for nothing for a minute has a full bucket, as those have who come for the first time.
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < Duration::from_secs(60));
            if buckets.len() < CLIENTS { client } else { Client::Others }
        };
        let bucket = buckets.entry(client).or_insert(Bucket { free: self.rate, at: now });
        let passed = now.saturating_duration_since(bucket.at).as_secs_f64();
        bucket.free = (bucket.free + passed * self.rate / 60.0).min(self.rate);
        bucket.at = now;
        if bucket.free >= 1.0 {
            bucket.free -= 1.0;
            return Ok(());
        }
        let wait = Duration::try_from_secs_f64((1.0 - bucket.free) * 60.0 / self.rate).unwrap_or_default();
        Err(wait.as_secs().saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(n: u32) -> Client {
        Client::Address(IpAddr::from(std::net::Ipv4Addr::from(n)))
    }

    #[test]
    fn a_client_waits_and_the_others_do_not() {
        let limits = Limits::new(60);
        let begin = Instant::now();
        assert!((0..60).all(|_| limits.take(address(1), begin).is_ok()));
        assert_eq!(limits.take(address(1), begin), Err(2));
        assert_eq!(limits.take(address(2), begin), Ok(()));
        assert_eq!(limits.take(address(1), begin + Duration::from_secs(1)), Ok(()));
        assert!(limits.take(address(1), begin + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
        assert_eq!(of("::ffff:192.0.2.7"), "192.0.2.7");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
    }

    #[test]
    fn clients_without_number_take_no_memory_without_bound() {
        let limits = Limits::new(60);
        let begin = Instant::now();
        let refused = (0..10_000).filter(|n| limits.take(address(*n), begin).is_err()).count();
        assert!(limits.buckets.lock().unwrap().len() <= CLIENTS + 1);
        assert_eq!(refused, 10_000 - CLIENTS - 60, "those beyond share one bucket");
        // A client that is known is not one of them, and a minute later there is room again.
        assert_eq!(limits.take(address(0), begin), Ok(()));
        let later = begin + Duration::from_secs(61);
        assert_eq!(limits.take(address(20_000), later), Ok(()));
        assert_eq!(limits.buckets.lock().unwrap().len(), 1);
    }
}
