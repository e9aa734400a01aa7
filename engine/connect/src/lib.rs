//! The seams between the service and what it sends to, and where events come from ([`source`]). They stand in a crate of their own so that a connector is
//! built and tested without the service, and the service without any connector.
//!
//! A connector is a [`Kind`]: it reads its table of the configuration into [`Settings`], which open a [`Destination`].
//! A destination makes one attempt at a delivery and says what came of it ([`Made`]); the service repeats, waits, keeps
//! order, and remembers for each alert what the destination asked it to ([`Handle`]).
//!
//! What a destination has to keep:
//!
//! - A message carries the whole alert. What it shows is made equal to that, whatever it was told before: some messages
//!   may never come (the latest of several that wait is enough), and some may come twice.
//! - Evidence and changes with numbers beyond those of the handle are news; the others were told.
//! - Where the other side lets it, a message that comes twice shows once: by a key of its own (`dedup_key`, an external
//!   id), or, when `attempt` is above 0 or there is no handle, by looking for what an earlier attempt left.
//! - Every value of an alert is hostile: it is escaped for where it goes, and cut to what fits there.
//! - A reason holds no secret, and no address that may be one.
//!
//! Deliberately lacks: retries, rates, and where alerts go.

pub mod callback;
pub mod clock;
mod destination;
mod http;
pub mod kafka;
mod pace;
pub mod source;
mod texts;
mod trust;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tripline_config::{Place, Said, Secrets, Table};

pub use callback::{Asked, Callback, Denied, Received};
pub use destination::{Content, Destination, Handle, Made, Outcome, Parcel, Sending, sample};
pub use http::{Answer, Http, Trouble, endpoint, plainly, retry_after};
pub use pace::Pace;
pub use texts::Texts;
pub use trust::{Trust, Trusted};

/// A kind of destination: what `kind = "…"` names.
#[derive(Clone, Copy)]
pub struct Kind {
    /// As it is written.
    pub name: &'static str,
    /// Whether it takes alerts (`[[destination]]`).
    pub alerts: bool,
    /// Whether it takes findings, one by one (`[[output]]`).
    pub findings: bool,
    /// Reads its own keys of the table; `name`, `kind` and those of [`Pace`] were read before. None where something was
    /// wrong and said.
    pub read: fn(&mut Table<'_>, &mut Said<'_>) -> Option<Arc<dyn Settings>>,
}

/// The kinds that a configuration can name.
#[derive(Clone, Copy, Debug)]
pub struct Kinds {
    /// Of sources.
    pub sources: &'static [source::SourceKind],
    /// Of outputs and destinations.
    pub destinations: &'static [Kind],
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What a table of the configuration says of a destination.
pub trait Settings: fmt::Debug + Send + Sync {
    /// The secrets that it names.
    fn secrets(&self) -> Vec<&Place> {
        Vec::new()
    }

    /// Opens the destination. `folder` is where relative paths begin.
    ///
    /// # Errors
    /// Why it cannot be opened at all, in a sentence without secrets; that it is not reached now is no reason.
    fn open(&self, secrets: &Secrets, folder: &Path, pace: &Pace) -> Result<Box<dyn Destination>, String>;

    /// What is sent for a delivery of which nothing is remembered, as a text without secrets, for tests that expect
    /// something of it. It is made by what makes it when it is sent; the handle is not looked at.
    ///
    /// # Errors
    /// Why nothing would be sent, in words that tell what to do.
    fn render(&self, parcel: &Parcel) -> Result<String, String>;

    /// What the other side sends back when people act there; none where it does not.
    fn callback(&self, _secrets: &Secrets) -> Option<Box<dyn Callback>> {
        None
    }
}
