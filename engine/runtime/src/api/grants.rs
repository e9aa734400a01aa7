//! Tokens over the API: which there are, new ones, and their ends. What the store holds decides.

use serde::Deserialize;
use serde_json::json;

use super::reader::unread;
use super::reply::{Refusal, Reply};
use super::routes::Scope;
use super::tokens::{TOKENS, Token};
use super::{Api, Call, end};
use crate::ask::Ask;
use tripline_connect::clock;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    scope: String,
    until: Option<String>,
    r#for: Option<String>,
}

impl Api {
    async fn kept(&self) -> Result<Vec<Token>, Refusal> {
        self.reader.read(|store| Token::all(store).map_err(Refusal::busy)).await
    }

    /// `GET /v1/tokens`
    pub(super) async fn list_tokens(&self) -> Result<Reply, Refusal> {
        let mut kept = self.kept().await?;
        kept.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Reply::Json(json!({ "tokens": kept.iter().map(Token::shown).collect::<Vec<_>>() })))
    }

    /// `POST /v1/tokens`: the answer holds the token, this once.
    pub(super) async fn add_token(&self, call: &Call) -> Result<Reply, Refusal> {
        let Wanted { name, scope, until, r#for } = call.json()?;
        let scope =
            Scope::parse(&scope).ok_or_else(|| Refusal::unusable("`scope` is one of read, triage and admin"))?;
        let now = clock::now();
        let expires = match (&until, &r#for) {
            (None, None) => None,
            _ => Some(end(until.as_deref(), r#for.as_deref(), now)?),
        };
        let (token, secret) = Token::issue(&name, scope, expires, now).map_err(Refusal::unusable)?;
        let _one_after_another = self.making.lock().await;
        if let Some(why) = token.clashes(&self.kept().await?) {
            return Err(Refusal::conflict(why));
        }
        let (kept, value) = token.memo();
        self.done(call.by(), Ask::Keep { name: kept, value: Some(value) }, "token").await?;
        let shown = token.issued(&secret);
        self.tokens.add(token);
        Ok(Reply::Made(shown))
    }

    /// `DELETE /v1/tokens/{id}`
    pub(super) async fn revoke(&self, call: &Call) -> Result<Reply, Refusal> {
        let _one_after_another = self.making.lock().await;
        let name = format!("{TOKENS}{}", call.id());
        let looked = name.clone();
        if self.reader.read(move |store| store.memo(&looked).map_err(unread)).await?.is_none() {
            return Err(Refusal::missing("there is no token with this id"));
        }
        // It admits nobody from here on, whenever that is committed.
        self.tokens.remove(call.id());
        self.done(call.by(), Ask::Keep { name, value: None }, "token").await?;
        Ok(Reply::Nothing)
    }
}
