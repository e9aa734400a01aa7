//! Tokens from the command line: through the service where it runs, in the store where it does not.

use serde_json::{Value as Json, json};
use tripline_store::{Commit, Note, Options, Problem, Store};

use super::audit::AUDIT;
use super::client::Client;
use super::routes::Scope;
use super::tokens::{TOKENS, Token};
use crate::config::Config;
use tripline_connect::clock;

/// Who is named in the audit log where nobody showed a token.
const BY: &str = "command line";

/// Where tokens are kept.
pub enum Tokens {
    /// In a store that no service has.
    Store(Box<Store>),
    /// With a service that has the store.
    Service(Client),
}

impl Tokens {
    /// Those of a configuration: of its store, or of the service that has it, which is shown a token.
    ///
    /// # Errors
    /// Where the store cannot be opened, or the service cannot be asked.
    pub fn of(config: &Config, token: Option<String>) -> Result<Self, String> {
        match Store::open(&config.store.path, Options::default()) {
            Ok(store) => Ok(Tokens::Store(Box::new(store))),
            Err(error) if matches!(error.problem(), Problem::InUse(_)) => {
                Client::new(config, token).map(Tokens::Service)
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Makes a token that ends so many nanoseconds from now, or never. Gives what is to be known of it as JSON; under
    /// `token`, this once, the token.
    ///
    /// # Errors
    /// Why it was not made.
    pub fn add(&mut self, name: &str, scope: Scope, lasts: Option<i64>) -> Result<Json, String> {
        let now = clock::now();
        let expires = lasts.map(|lasts| now.saturating_add(lasts));
        match self {
            Tokens::Store(store) => {
                let (token, secret) = Token::issue(name, scope, expires, now)?;
                if let Some(why) = token.clashes(&Token::all(store)?) {
                    return Err(why);
                }
                let (name, value) = token.memo();
                keep(store, name, Some(value))?;
                Ok(token.issued(&secret))
            }
            Tokens::Service(client) => {
                let mut body = json!({ "name": name, "scope": scope });
                if let (Some(expires), Some(body)) = (expires, body.as_object_mut()) {
                    body.insert("until".into(), tripline_event::format_time(expires).into());
                }
                client.ask("POST", "/v1/tokens", Some(&body))
            }
        }
    }

    /// What is known of all tokens, in order of their names: a JSON array.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn list(&self) -> Result<Json, String> {
        match self {
            Tokens::Store(store) => {
                let mut all = Token::all(store)?;
                all.sort_by(|one, other| one.name.cmp(&other.name));
                Ok(all.iter().map(Token::shown).collect())
            }
            Tokens::Service(client) => {
                let told = client.ask("GET", "/v1/tokens", None)?;
                told.get("tokens").cloned().ok_or_else(|| "the service tells no tokens".to_string())
            }
        }
    }

    /// Revokes the token with this name or id.
    ///
    /// # Errors
    /// Where there is none, or it was not revoked.
    pub fn revoke(&mut self, named: &str) -> Result<(), String> {
        let all = self.list()?;
        let is = |one: &&Json| [one.get("name"), one.get("id")].contains(&Some(&named.into()));
        let found = all.as_array().and_then(|all| all.iter().find(is)).and_then(|one| one.get("id")?.as_str());
        let id =
            found.ok_or_else(|| format!("there is no token `{named}`; `tripline tokens list` says which there are"))?;
        match self {
            Tokens::Store(store) => keep(store, format!("{TOKENS}{id}"), None),
            Tokens::Service(client) => client.ask("DELETE", &format!("/v1/tokens/{id}"), None).map(|_| ()),
        }
    }
}

/// Writes what a service would have, with its note in the audit log.
fn keep(store: &mut Store, name: String, value: Option<String>) -> Result<(), String> {
    let at = clock::now();
    let ask = crate::ask::Ask::Keep { name: name.clone(), value: value.clone() };
    let note = Note { kind: AUDIT.into(), time: at, body: json!({ "by": BY, "ask": ask.said() }).to_string() };
    let commit = Commit { at, memos: vec![(name, value)], notes: vec![note], ..Commit::default() };
    store.commit(&commit).map_err(|error| error.to_string())
}
