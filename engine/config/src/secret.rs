//! Secrets: named in the configuration, read when the service starts, and never printed.

use std::fmt;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use tripline_base::{Diagnostic, Span};

use crate::codes;

/// The longest secret, in bytes.
const LONGEST: u64 = 64 << 10;

/// Where a secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// In an environment variable.
    Env(String),
    /// In a file.
    File(PathBuf),
    /// In the configuration, which is for addresses that hold nothing secret.
    Plain(String),
}

/// A secret. It has no text that could be printed by accident.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself, for what it is sent to or compared with.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Secret(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Reference {
    /// Reads the secret, which is one line unless it may have several.
    ///
    /// # Errors
    /// Why there is none, without a part of it.
    pub fn read(&self, beside: &Path, lines: bool) -> Result<Secret, String> {
        let text = match self {
            Reference::Plain(text) => text.clone(),
            Reference::Env(name) => match std::env::var(name) {
                Ok(text) => text,
                Err(std::env::VarError::NotPresent) => {
                    return Err(format!("the environment variable `{name}` is not set"));
                }
                Err(_) => return Err(format!("the environment variable `{name}` is not UTF-8")),
            },
            Reference::File(path) => {
                let path = beside.join(path);
                let open = std::fs::File::open(&path).and_then(|file| {
                    let mut text = String::new();
                    file.take(LONGEST + 1).read_to_string(&mut text).map(|_| text)
                });
                match open {
                    Ok(text) if text.len() as u64 > LONGEST => {
                        return Err(format!("the file `{}` is larger than 64 KiB", path.display()));
                    }
                    Ok(text) => text,
                    // What the system says of the file holds nothing of its content.
                    Err(error) => {
                        return Err(format!("the file `{}` cannot be read: {}", path.display(), error.kind()));
                    }
                }
            }
        };
        let text = text.trim();
        if text.is_empty() {
            return Err("it is empty".into());
        }
        if text.chars().any(|c| c.is_control() && !(lines && matches!(c, '\n' | '\r' | '\t'))) {
            return Err("it holds a control character".into());
        }
        Ok(Secret(text.to_string()))
    }
}

/// A place of the configuration that names a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where the secret is kept.
    pub reference: Reference,
    /// Whether it may have several lines.
    pub lines: bool,
    /// Where that is written.
    pub span: Span,
}

/// The secrets that were read.
#[derive(Clone, Debug, Default)]
pub struct Secrets(Vec<(Span, Secret)>);

impl Secrets {
    /// Reads the secrets that these places name; relative paths begin at `folder`.
    ///
    /// # Errors
    /// A diagnostic for each that is not there.
    pub fn read<'p>(places: impl IntoIterator<Item = &'p Place>, folder: &Path) -> Result<Self, Vec<Diagnostic>> {
        let mut found = Vec::new();
        let mut said = Vec::new();
        for Place { reference, lines, span } in places {
            match reference.read(folder, *lines) {
                Ok(secret) => found.push((*span, secret)),
                Err(why) => said.push(Diagnostic::new(&codes::NO_SECRET, *span, format!("there is no secret: {why}"))),
            }
        }
        if said.is_empty() { Ok(Secrets(found)) } else { Err(said) }
    }

    /// The secret that a place names.
    pub fn of(&self, place: &Place) -> Option<&Secret> {
        self.0.iter().find(|(span, _)| *span == place.span).map(|(_, secret)| secret)
    }
}
