//! What people do with alerts: one command for each act.

use serde_json::json;
use tripline_alert::{Act, Verdict};
use tripline_base::terminal::visible;
use tripline_runtime::Ask;

use super::Format;
use super::list::{short, status};
use crate::commands::Outcome;
use crate::desk::{self, Acting, Came};
use crate::{load, times};

/// What all of them take.
#[derive(clap::Args)]
struct Common {
    #[command(flatten)]
    acting: Acting,
    /// What you say of it
    #[arg(short = 'm', long = "message", value_name = "TEXT", default_value = "")]
    message: String,
    /// How to print
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Ids of alerts, or beginnings of them
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

/// Take alerts: escalation stops.
#[derive(clap::Args)]
pub struct Ack {
    #[command(flatten)]
    common: Common,
}

/// Give alerts to somebody.
#[derive(clap::Args)]
pub struct Assign {
    /// To whom
    #[arg(long, value_name = "NAME")]
    to: String,
    #[command(flatten)]
    common: Common,
}

/// Leave alerts alone for a while.
#[derive(clap::Args)]
pub struct Snooze {
    #[command(flatten)]
    end: End,
    #[command(flatten)]
    common: Common,
}

/// Judge alerts.
#[derive(clap::Args)]
pub struct Close {
    /// How: true-positive, benign-true-positive, false-positive or duplicate
    #[arg(long, value_name = "true-positive|…|duplicate", value_parser = verdict)]
    verdict: Verdict,
    #[command(flatten)]
    common: Common,
}

/// Open closed alerts again.
#[derive(clap::Args)]
pub struct Reopen {
    #[command(flatten)]
    common: Common,
}

/// Say something of alerts.
#[derive(clap::Args)]
pub struct Comment {
    #[command(flatten)]
    common: Common,
}

/// When something ends.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
pub struct End {
    /// For so long: 30m, 2h, 7d
    #[arg(long = "for", value_name = "TIME", value_parser = times::span)]
    span: Option<i64>,
    /// Until then: RFC 3339 or a date, UTC
    #[arg(long, value_name = "TIME", value_parser = times::time)]
    until: Option<i64>,
}

impl End {
    /// The instant, nanoseconds.
    pub fn at(&self, now: i64) -> i64 {
        self.until.unwrap_or_else(|| now.saturating_add(self.span.unwrap_or(0)))
    }
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let names: Vec<String> = Verdict::ALL.iter().map(|one| one.as_str().replace('_', "-")).collect();
    Verdict::parse(text).ok_or_else(|| format!("the verdicts are {}", names.join(", ")))
}

impl Ack {
    pub fn run(&self) -> Outcome {
        self.common.run(|comment| Act::Acknowledge { comment })
    }
}

impl Assign {
    pub fn run(&self) -> Outcome {
        self.common.run(|comment| Act::Assign { to: self.to.clone(), comment })
    }
}

impl Snooze {
    pub fn run(&self) -> Outcome {
        let until = self.end.at(load::now());
        self.common.run(|comment| Act::Snooze { until, comment })
    }
}

impl Close {
    pub fn run(&self) -> Outcome {
        self.common.run(|comment| Act::Close { verdict: self.verdict, comment })
    }
}

impl Reopen {
    pub fn run(&self) -> Outcome {
        self.common.run(|comment| Act::Reopen { comment })
    }
}

impl Comment {
    pub fn run(&self) -> Outcome {
        if self.common.message.trim().is_empty() {
            return Err("there is no comment: write it after `-m`".into());
        }
        self.common.run(|comment| Act::Comment { comment })
    }
}

impl Common {
    fn run(&self, act: impl Fn(String) -> Act) -> Outcome {
        let desk = self.acting.at.open()?;
        let store = desk.read()?;
        // What is meant is known before anything is done.
        let ids: Vec<String> =
            self.ids.iter().map(|given| desk::full_id(&store, given)).collect::<Result<_, String>>()?;
        let asks = ids.iter().map(|id| Ask::Act { id: id.clone(), act: act(self.message.clone()) }).collect();
        let mut refused = 0;
        let mut shown = Vec::new();
        self.acting.ask(&desk, asks, &mut |at, done| {
            let id = ids.get(at).map_or("", String::as_str);
            match done {
                Came::Done => {
                    let alert = desk::alert(&store, id)?;
                    if self.format == Format::Text {
                        let status = status(&alert, load::now());
                        crate::outln!("{}  {status}  {}", short(id), visible(&alert.title));
                    }
                    shown.push(tripline_alert::json::alert(&alert));
                }
                Came::Unknown => {
                    refused += 1;
                    eprintln!("tripline: {}: there is no such alert any more", short(id));
                }
                Came::Refused(why) => {
                    refused += 1;
                    eprintln!("tripline: {}: {}", short(id), visible(&why));
                }
            }
            Ok(())
        })?;
        if self.format == Format::Json {
            crate::outln!("{}", tripline_detect::json_line(&json!({ "alerts": shown })));
        }
        Ok(u8::from(refused > 0))
    }
}
