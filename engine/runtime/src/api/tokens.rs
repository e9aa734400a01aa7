//! Tokens of the API: made once, shown once, kept as a hash under the name `token/ID`.
//!
//! A token is 256 bits of the system's randomness, so its SHA-256 is hash enough: there is nothing to be guessed that a
//! slower one would protect.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tripline_config::Secret;
use tripline_event::format_time;
use tripline_store::Store;

use super::routes::Scope;

/// What the names of tokens begin with in the store.
pub(crate) const TOKENS: &str = "token/";
/// The most tokens that are kept.
pub(crate) const MOST: usize = 1_000;
/// What the token of the configuration is called in histories.
pub(crate) const CONFIGURED: &str = "config";
/// How long the token of the configuration is at least (bytes).
pub(crate) const SHORTEST: usize = 16;
/// The longest token that is looked at (bytes).
const LONGEST: usize = 4 << 10;

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its id, by which it is revoked.
    pub id: String,
    /// Who has it: `by` in histories.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// The SHA-256 of the token, in hex.
    pub hash: String,
    /// When it was made, nanoseconds since 1970.
    pub created: i64,
    /// When it ends; none for never.
    pub expires: Option<i64>,
}

/// Who asks, as their token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bearer {
    /// The id of the token; `config` for that of the configuration.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
}

impl Token {
    /// Makes one; gives what is kept, and the token itself, which is not.
    ///
    /// # Errors
    /// Why it cannot be made, in a sentence.
    pub fn issue(name: &str, scope: Scope, expires: Option<i64>, now: i64) -> Result<(Self, String), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._@-".contains(c);
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            return Err("the name of a token has 1 to 64 letters, digits, `.`, `_`, `@` or `-`".into());
        }
        if name == CONFIGURED {
            return Err(format!("`{CONFIGURED}` is the token of the configuration: choose another name"));
        }
        if expires.is_some_and(|expires| expires <= now) {
            return Err("the token would have expired already".into());
        }
        let secret = format!("trp_{}", random::<32>()?);
        let hash = hex(&digest(&secret));
        let token = Token { id: random::<8>()?, name: name.to_string(), scope, hash, created: now, expires };
        Ok((token, secret))
    }

    /// The tokens of a store; what cannot be read admits nobody.
    ///
    /// # Errors
    /// Where the store cannot be read.
    pub fn all(store: &Store) -> Result<Vec<Self>, String> {
        let kept = store.memos(TOKENS, MOST).map_err(|error| error.to_string())?;
        Ok(kept.iter().filter_map(|(_, text)| serde_json::from_str(text).ok()).collect())
    }

    /// The name and the text under which it is kept.
    pub fn memo(&self) -> (String, String) {
        (format!("{TOKENS}{}", self.id), json!(self).to_string())
    }

    /// Why it cannot stand beside others; none where it can.
    pub fn clashes(&self, others: &[Token]) -> Option<String> {
        if others.iter().any(|other| other.name == self.name) {
            return Some(format!("there is a token `{}` already: revoke it, or choose another name", self.name));
        }
        (others.len() >= MOST).then(|| format!("there are {MOST} tokens already: revoke some"))
    }

    /// As it is shown: without anything that would help to guess it.
    pub fn shown(&self) -> Json {
        json!({
            "id": self.id,
            "name": self.name,
            "scope": self.scope,
            "created": format_time(self.created),
            "expires": self.expires.map(format_time),
        })
    }
}

impl Token {
    /// As it is shown to who asked for it, with the token itself.
    pub(crate) fn issued(&self, secret: &str) -> Json {
        let mut shown = self.shown();
        if let Some(shown) = shown.as_object_mut() {
            shown.insert("token".into(), secret.into());
        }
        shown
    }
}

/// Some bytes of the system's randomness, in hex.
pub(crate) fn random<const N: usize>() -> Result<String, String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(hex(&bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// The tokens that admit somebody.
pub(crate) struct Tokens {
    configured: Option<String>,
    kept: Mutex<Vec<Token>>,
}

impl Tokens {
    /// Those of a store, and that of the configuration.
    ///
    /// # Errors
    /// Where the store cannot be read, or the token of the configuration is too short.
    pub fn new(store: &Store, configured: Option<&Secret>) -> Result<Self, String> {
        if configured.is_some_and(|secret| secret.reveal().len() < SHORTEST) {
            return Err(format!("the `token` of `[api]` may do everything: it needs {SHORTEST} characters or more"));
        }
        let configured = configured.map(|secret| hex(&digest(secret.reveal())));
        Ok(Tokens { configured, kept: Mutex::new(Token::all(store)?) })
    }

    /// Who shows this token. It is compared with all of them, by hash and in constant time.
    pub fn admit(&self, token: &str, now: i64) -> Option<Bearer> {
        if token.len() > LONGEST {
            return None;
        }
        let hash = hex(&digest(token));
        let same = |other: &str| bool::from(hash.as_bytes().ct_eq(other.as_bytes()));
        let mut found = None;
        if self.configured.as_deref().is_some_and(same) {
            let name = CONFIGURED.to_string();
            found = Some(Bearer { id: name.clone(), name, scope: Scope::Admin });
        }
        for kept in self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            if same(&kept.hash) && kept.expires.is_none_or(|expires| now < expires) {
                found = Some(Bearer { id: kept.id.clone(), name: kept.name.clone(), scope: kept.scope });
            }
        }
        found
    }

    /// One more, which is committed.
    pub fn add(&self, token: Token) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).push(token);
    }

    /// Without the one with this id.
    pub fn remove(&self, id: &str) {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).retain(|token| token.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_admits_until_it_ends_and_nothing_else_does() {
        let (token, secret) = Token::issue("alice", Scope::Triage, Some(100), 0).unwrap();
        assert!(secret.starts_with("trp_") && secret.len() == 68);
        assert!(!token.memo().1.contains(&secret) && !token.shown().to_string().contains(&token.hash));
        let tokens = Tokens { configured: None, kept: Mutex::new(vec![token.clone()]) };
        assert_eq!(
            tokens.admit(&secret, 99).map(|bearer| (bearer.name, bearer.scope)),
            Some(("alice".into(), Scope::Triage))
        );
        assert_eq!(tokens.admit(&secret, 100), None);
        for wrong in ["", "trp_", &secret[..67], &format!("{secret}0"), &token.hash, &"x".repeat(5_000)] {
            assert_eq!(tokens.admit(wrong, 0), None, "{wrong}");
        }
        tokens.remove(&token.id);
        assert_eq!(tokens.admit(&secret, 0), None);
    }

    #[test]
    fn names_and_ends_that_cannot_be_meant_are_refused() {
        let said = |name: &str, expires| Token::issue(name, Scope::Read, expires, 5).unwrap_err();
        assert!(said("", None).contains("1 to 64"));
        assert!(said("a b", None).contains("letters"));
        assert!(said("config", None).contains("choose another"));
        assert!(said("a", Some(5)).contains("expired"));
        let (one, _) = Token::issue("a", Scope::Read, None, 0).unwrap();
        let (two, _) = Token::issue("a", Scope::Read, None, 0).unwrap();
        assert!(two.hash != one.hash && two.id != one.id);
        assert!(two.clashes(&[one]).unwrap().contains("already"));
    }
}
