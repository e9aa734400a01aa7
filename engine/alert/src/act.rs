//! What people do with an alert.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Alert, Status, What};

/// The longest comment and name (bytes).
const LONGEST: usize = 4 << 10;

/// How an alert was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It was what the rule is for.
    TruePositive,
    /// It was what the rule describes, and meant no harm.
    BenignTruePositive,
    /// It was something else.
    FalsePositive,
    /// Another alert tells of it.
    Duplicate,
}

impl Verdict {
    /// All, in order.
    pub const ALL: [Verdict; 4] =
        [Verdict::TruePositive, Verdict::BenignTruePositive, Verdict::FalsePositive, Verdict::Duplicate];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Verdict::TruePositive => "true_positive",
            Verdict::BenignTruePositive => "benign_true_positive",
            Verdict::FalsePositive => "false_positive",
            Verdict::Duplicate => "duplicate",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Verdict::TruePositive => "true positive",
            Verdict::BenignTruePositive => "benign true positive",
            Verdict::FalsePositive => "false positive",
            Verdict::Duplicate => "duplicate",
        }
    }

    /// From how it is written; `-` stands for `_` too.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('-', "_");
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// Something that somebody does with an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum Act {
    /// Takes it.
    Acknowledge {
        /// What they say of it.
        #[serde(default)]
        comment: String,
    },
    /// Gives it to somebody.
    Assign {
        /// To whom.
        to: String,
        /// What they say of it.
        #[serde(default)]
        comment: String,
    },
    /// Leaves it alone for a while.
    Snooze {
        /// Until when, nanoseconds since 1970.
        until: i64,
        /// Why.
        #[serde(default)]
        comment: String,
    },
    /// Judges it.
    Close {
        /// How.
        verdict: Verdict,
        /// Why.
        #[serde(default)]
        comment: String,
    },
    /// Opens it again.
    Reopen {
        /// Why.
        #[serde(default)]
        comment: String,
    },
    /// Says something of it.
    Comment {
        /// What.
        comment: String,
    },
}

/// Why an act is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no alert with this id.
    Unknown,
    /// It is like that already.
    Already(&'static str),
    /// What was given cannot be used.
    Bad(&'static str),
    /// What was kept cannot be read.
    Unreadable(String),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unknown => f.write_str("there is no alert with this id"),
            Refused::Already(what) => write!(f, "the alert is {what} already"),
            Refused::Bad(why) => f.write_str(why),
            Refused::Unreadable(why) => write!(f, "the alert cannot be read: {why}"),
        }
    }
}

impl Act {
    /// Does it to an alert.
    ///
    /// # Errors
    /// Where it cannot be done; then nothing is changed.
    pub fn to(&self, alert: &mut Alert, by: &str, now: i64) -> Result<(), Refused> {
        let comment = self.comment();
        if comment.len() > LONGEST {
            return Err(Refused::Bad("a comment has at most 4,096 bytes"));
        }
        let closed = alert.status == Status::Closed;
        match self {
            Act::Acknowledge { .. } => {
                if alert.status != Status::Open {
                    return Err(Refused::Already(alert.status.as_str()));
                }
                alert.status = Status::Acknowledged;
                alert.acknowledged.get_or_insert(now);
                alert.assignee.get_or_insert_with(|| by.to_string());
                alert.snoozed = None;
            }
            Act::Assign { to, .. } => {
                if to.trim().is_empty() || to.len() > 256 {
                    return Err(Refused::Bad("a name has 1 to 256 bytes"));
                }
                if closed {
                    return Err(Refused::Already("closed"));
                }
                alert.assignee = Some(to.trim().to_string());
            }
            Act::Snooze { until, .. } => {
                if closed {
                    return Err(Refused::Already("closed"));
                }
                if *until <= now {
                    return Err(Refused::Bad("the end lies in the past"));
                }
                alert.snoozed = Some(*until);
            }
            Act::Close { verdict, .. } => {
                if closed && alert.verdict == Some(*verdict) {
                    return Err(Refused::Already("closed"));
                }
                alert.status = Status::Closed;
                alert.verdict = Some(*verdict);
                alert.acknowledged.get_or_insert(now);
                alert.snoozed = None;
            }
            Act::Reopen { .. } => {
                if !closed {
                    return Err(Refused::Already(alert.status.as_str()));
                }
                alert.status = Status::Open;
                alert.verdict = None;
            }
            Act::Comment { comment } if comment.trim().is_empty() => return Err(Refused::Bad("there is no comment")),
            Act::Comment { .. } => {}
        }
        let said = match self {
            Act::Assign { to, .. } => format!("to {}", to.trim()),
            Act::Snooze { until, .. } => format!("until {}", tripline_event::format_time(*until)),
            Act::Close { verdict, .. } => verdict.words().to_string(),
            _ => String::new(),
        };
        let text = [said.as_str(), comment.trim()].into_iter().filter(|part| !part.is_empty());
        alert.note(now, Some(by), self.what(), text.collect::<Vec<_>>().join(": "));
        Ok(())
    }

    fn comment(&self) -> &str {
        match self {
            Act::Acknowledge { comment }
            | Act::Assign { comment, .. }
            | Act::Snooze { comment, .. }
            | Act::Close { comment, .. }
            | Act::Reopen { comment }
            | Act::Comment { comment } => comment,
        }
    }

    /// What it makes of the alert.
    pub fn what(&self) -> What {
        match self {
            Act::Acknowledge { .. } => What::Acknowledged,
            Act::Assign { .. } => What::Assigned,
            Act::Snooze { .. } => What::Snoozed,
            Act::Close { .. } => What::Closed,
            Act::Reopen { .. } => What::Reopened,
            Act::Comment { .. } => What::Commented,
        }
    }
}
