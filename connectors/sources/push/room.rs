//! How much of what is sent may wait at once: read, being judged, or not committed yet.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Common, Refusal, wrong};

pub(super) fn kibi(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1024).max(1)).unwrap_or(u32::MAX)
}

/// What one request has of the room of its source.
pub(crate) struct Room {
    all: Arc<Semaphore>,
    held: OwnedSemaphorePermit,
    /// All there is, in KiB. A request that takes more has to be the only one.
    whole: u32,
    /// What one request may take, in bytes.
    most: u64,
}

impl Room {
    /// Takes what a request has of which nothing came yet.
    pub(super) fn take(all: &Arc<Semaphore>, common: &Common) -> Result<Self, Refusal> {
        let whole = kibi(common.max_waiting);
        let held = Arc::clone(all).try_acquire_many_owned(kibi(0)).map_err(|_| Refusal::Busy)?;
        // Events take about as much as their text; four times that is much room for what each has besides.
        let most = common.max_waiting.max(common.max_body.saturating_mul(4));
        Ok(Room { all: Arc::clone(all), held, whole, most })
    }

    /// Room for so many bytes, of one request by itself.
    pub(super) fn alone(bytes: u64) -> Option<Self> {
        let whole = kibi(bytes);
        let all = Arc::new(Semaphore::new(usize::try_from(whole).ok()?));
        let held = Arc::clone(&all).try_acquire_many_owned(1).ok()?;
        Some(Room { all, held, whole, most: bytes })
    }

    /// Has so many bytes, more than before where need be.
    ///
    /// # Errors
    /// Where others have the room, or it would be more than one request may take.
    pub(super) fn hold(&mut self, bytes: u64) -> Result<(), Refusal> {
        if bytes > self.most {
            let why = format!("what the body holds takes more than {} bytes as events", self.most);
            return Err(wrong(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        let wanted = kibi(bytes).min(self.whole);
        let lacking = wanted.saturating_sub(u32::try_from(self.held.num_permits()).unwrap_or(u32::MAX));
        if lacking > 0 {
            let more = Arc::clone(&self.all).try_acquire_many_owned(lacking).map_err(|_| Refusal::Busy)?;
            self.held.merge(more);
        }
        Ok(())
    }

    pub(super) fn permit(self) -> OwnedSemaphorePermit {
        self.held
    }
}
