//! The store as the API reads it: connections of its own beside the one that writes, off the threads that answer.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tripline_store::{Store, StoreError};

use super::reply::Refusal;
use crate::log::say;

/// How many read at once.
const AT_ONCE: usize = 4;
/// How long a request waits for its turn.
const TURN: Duration = Duration::from_secs(5);

/// Reads the store.
#[derive(Clone)]
pub(super) struct Reader(Arc<Shared>);

struct Shared {
    path: PathBuf,
    free: Mutex<Vec<Store>>,
    room: Semaphore,
}

/// Why what was kept is not read.
#[expect(clippy::needless_pass_by_value, reason = "the shape of an error's way")]
pub(super) fn unread(error: StoreError) -> Refusal {
    say(&error.to_string());
    Refusal::busy("the store cannot be read; the log of the service says why")
}

impl Reader {
    pub fn new(path: PathBuf) -> Self {
        Reader(Arc::new(Shared { path, free: Mutex::default(), room: Semaphore::new(AT_ONCE) }))
    }

    /// Looks something up. What it sees is the last commit.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = || Refusal::busy("too much is being read at once; come again");
        let turn = tokio::time::timeout(TURN, self.0.room.acquire()).await;
        let _turn = turn.map_err(|_| busy())?.map_err(|_| busy())?;
        let shared = Arc::clone(&self.0);
        let looked = tokio::task::spawn_blocking(move || {
            let free = || shared.free.lock().unwrap_or_else(PoisonError::into_inner);
            let kept = free().pop();
            let store = match kept {
                Some(store) => store,
                None => Store::read_only(&shared.path).map_err(unread)?,
            };
            let found = look(&store);
            if found.is_ok() {
                free().push(store);
            }
            found
        });
        looked.await.map_err(|_| busy())?
    }
}
