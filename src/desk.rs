//! What the commands over alerts have in common: the configuration, its store, and how something is done with it. It is
//! read beside a running service. Where a service runs, it is asked over its HTTP API; where none runs, the same code
//! works on the store.

mod client;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tripline_alert::{Alert, Routing};
use tripline_base::SourceMap;
use tripline_base::terminal::visible;
use tripline_detect::Ruleset;
use tripline_runtime::{Answer, Ask, Client, Config, Load, direct};
use tripline_store::{AlertQuery, Durability, Options, Problem, Store};

use crate::commands::run::{Program, configuration};
use crate::commands::tokens::token;
use crate::load;

/// So many rows are read at once.
const PAGE: usize = 500;
/// How often a store is tried that another command uses for a moment.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(200);

/// Which service.
#[derive(clap::Args, Clone)]
pub struct Where {
    /// The configuration of the service
    #[arg(short, long, value_name = "FILE", default_value = "tripline.toml")]
    pub config: PathBuf,
}

/// How something is done.
#[derive(clap::Args, Clone)]
pub struct Acting {
    #[command(flatten)]
    pub at: Where,
    /// Where a service runs: a file with a token for its HTTP API [default: TRIPLINE_TOKEN, or the `token` of `[api]`]
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Where no service runs: who does it; the name of the user where left out. A service goes by the token
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
}

/// A configuration that was read.
pub struct Desk {
    /// The texts that messages point at.
    pub sources: SourceMap,
    /// What it says.
    pub config: Config,
}

/// What came of something that was asked for.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    /// It was done.
    Done,
    /// There is nothing of that name.
    Unknown,
    /// It was not done, for a reason.
    Refused(String),
}

impl Where {
    /// Reads the configuration.
    pub fn open(&self) -> Result<Desk, String> {
        let mut sources = SourceMap::new();
        let (config, said) = configuration(&mut sources, &self.config)?;
        load::say(&said, &sources, false);
        let config = config.ok_or_else(|| "the configuration cannot be used".to_string())?;
        Ok(Desk { sources, config })
    }
}

impl Desk {
    /// The store, to be read.
    pub fn read(&self) -> Result<Store, String> {
        Store::read_only(&self.config.store.path).map_err(|error| match error.problem() {
            Problem::Missing => format!("{error}; `tripline run` makes it when it starts"),
            _ => error.to_string(),
        })
    }

    /// The rules that it names, and its routes over their lists and tables.
    pub fn rules(&self) -> Result<(Ruleset, Arc<Routing>, Option<String>), String> {
        let loaded = Program.load(&self.config.rules)?;
        let (routing, said) = self.config.with(&self.sources, &loaded.ruleset);
        let wrong = load::of_configuration(&loaded.ruleset, &self.config.rules);
        match load::say(&said, &self.sources, false) {
            0 if !wrong => Ok((loaded.ruleset, Arc::new(routing), loaded.revision)),
            _ => Err("the configuration cannot be used with these rules".into()),
        }
    }
}

/// Gives alerts, those opened last first, until `each` has enough.
pub fn each_alert(store: &Store, query: &AlertQuery, each: &mut dyn FnMut(Alert) -> bool) -> Result<(), String> {
    let mut query = query.clone();
    loop {
        let rows = store.alerts(&query, PAGE).map_err(|error| error.to_string())?;
        let full = rows.len() == PAGE;
        for row in rows {
            query.after = Some((row.opened, row.id.clone()));
            let id = row.id.clone();
            match direct::alert(row) {
                Ok(alert) => {
                    if !each(alert) {
                        return Ok(());
                    }
                }
                Err(why) => eprintln!("tripline: {why}; it is passed over ({})", visible(&id)),
            }
        }
        if !full {
            return Ok(());
        }
    }
}

/// The id that a beginning of it means.
pub fn full_id(store: &Store, given: &str) -> Result<String, String> {
    const SHOWN: usize = 5;
    let shown = given.chars().take(64).collect::<String>();
    if given.is_empty() || !given.chars().all(|c| c.is_ascii_hexdigit()) {
        return Err(format!("`{shown}` is no id of an alert; `tripline alerts list` shows them"));
    }
    let given = given.to_ascii_lowercase();
    let found = store.alert_ids(&given, SHOWN + 1).map_err(|error| error.to_string())?;
    match found.as_slice() {
        [] => {
            Err(format!("there is no alert `{shown}`; `tripline alerts list --status all` shows those that are kept"))
        }
        [one] => Ok(one.clone()),
        [first, ..] if *first == given => Ok(given),
        many => {
            let names: Vec<&str> = many.iter().take(SHOWN).map(String::as_str).collect();
            let more = if many.len() > SHOWN { " and more" } else { "" };
            Err(format!("`{shown}` may be {}{more}; write more of the id", names.join(", ")))
        }
    }
}

/// The alert with this id.
pub fn alert(store: &Store, id: &str) -> Result<Alert, String> {
    let row = store.alert(id).map_err(|error| error.to_string())?;
    direct::alert(row.ok_or_else(|| format!("the alert {id} is gone"))?)
}

impl Acting {
    /// Who does it where no service runs.
    pub fn who(&self) -> String {
        let set = |name: &str| std::env::var(name).ok().filter(|name| !name.trim().is_empty());
        let by = self.by.clone().or_else(|| set("USER")).or_else(|| set("USERNAME"));
        by.map_or_else(|| "command line".into(), |by| by.trim().chars().take(128).collect())
    }

    /// Does things one after another; `told` is given what came of each, by its place.
    pub fn ask(
        &self,
        desk: &Desk,
        asks: Vec<Ask>,
        told: &mut dyn FnMut(usize, Came) -> Result<(), String>,
    ) -> Result<(), String> {
        let mut client = None;
        let mut tries = 0;
        loop {
            // What is done here is as much on the disk as what a service does.
            let durability = if desk.config.store.sync { Durability::Full } else { Durability::Normal };
            let options = Options { durability, max_bytes: desk.config.store.max_bytes, ..Options::default() };
            match Store::open(&desk.config.store.path, options) {
                Ok(store) => return self.directly(desk, store, asks, told),
                Err(error) if !matches!(error.problem(), Problem::InUse(_)) => return Err(error.to_string()),
                Err(error) => {
                    let client = match &client {
                        Some(client) => client,
                        None => client.insert(Client::new(&desk.config, token(self.token_file.as_deref())?)?),
                    };
                    if client.listens() {
                        for (at, ask) in asks.iter().enumerate() {
                            told(at, client::ask(client, ask)?)?;
                        }
                        return Ok(());
                    }
                    tries += 1;
                    if tries == TRIES {
                        return Err(format!(
                            "{error}\nand nobody listens at {}: does the service run with this configuration?",
                            client.address()
                        ));
                    }
                    // It may be another command, which is done in a moment.
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn directly(
        &self,
        desk: &Desk,
        mut store: Store,
        asks: Vec<Ask>,
        told: &mut dyn FnMut(usize, Came) -> Result<(), String>,
    ) -> Result<(), String> {
        let (ruleset, routing, _) = desk.rules()?;
        let by = self.who();
        for (at, ask) in asks.into_iter().enumerate() {
            let done = match direct::ask(&mut store, &ruleset, &routing, &by, ask)? {
                Answer::Done | Answer::Repeated => Came::Done,
                Answer::Unknown => Came::Unknown,
                Answer::Refused(why) | Answer::Bad(why) | Answer::Unreadable(why) => Came::Refused(why),
            };
            told(at, done)?;
        }
        Ok(())
    }
}
