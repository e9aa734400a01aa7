//! Packs: rules by the folder that a `pack.toml` names, and what a configuration makes of rules without changing their
//! files.
//!
//! What a configuration says never changes what a rule is called by, and where it leaves a rule's meaning alone it leaves
//! its state alone: severity, owner and mode are no part of that meaning. An exception is, as it is where the rule has it.

mod local;
mod meaning;

use std::collections::BTreeSet;
use std::path::Path;

use tripline_base::{Diagnostic, SourceMap, Span};
use tripline_config::At;
use tripline_semantic::typed::Rule;

pub use local::{Decided, Except, Local, OfPack, Override, Pattern};
pub use meaning::meanings;

/// What the file is called that makes a folder a pack.
pub const FILE: &str = "pack.toml";

/// The shipped pack of rules over what a service tells of itself. A `*` does not stand for it: who switches everything off
/// still hears that a source is silent.
pub const OWN: &str = "tripline";

/// The longest name, version or description (bytes).
const LONGEST: usize = 200;

/// A folder of rules with a name and a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pack {
    /// Its name, by which a configuration knows it.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is, in a sentence.
    pub description: String,
    /// Its folder, as the names of its files begin.
    pub folder: String,
    /// Where its name is written.
    pub span: Span,
}

/// Whether a file says of a folder that it is a pack.
pub fn is_pack_file(name: &str) -> bool {
    Path::new(name).file_name().is_some_and(|file| file == FILE)
}

/// The name that the file of a pack gives it; none where it gives none that can be read.
pub fn name_in(text: &str) -> Option<String> {
    read(&mut SourceMap::new(), &[], FILE, text).0.map(|pack| pack.name)
}

/// Whether a text can be the name of a pack.
fn fits(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(plain)
}

/// Reads the file of a pack; none where it cannot be used, and what is wrong with it.
pub(crate) fn read(sources: &mut SourceMap, known: &[Pack], name: &str, text: &str) -> (Option<Pack>, Vec<Diagnostic>) {
    let mut names: BTreeSet<String> = known.iter().map(|pack| pack.name.clone()).collect();
    let folder = Path::new(name).parent().unwrap_or_else(|| Path::new("")).display().to_string();
    tripline_config::read(sources, name, text, |table, said| {
        table.name = "the pack".into();
        let short = |found: Option<At<String>>, said: &mut tripline_config::Said<'_>| {
            let found = found?;
            if found.value.trim().is_empty() || found.value.len() > LONGEST || found.value.contains('\n') {
                said.bad(found.span, format!("one line of at most {LONGEST} bytes is wanted here"));
                return None;
            }
            Some(found)
        };
        let of_name = table.needed("name", "\"aws\"", said);
        let version = table.needed("version", "\"1.0.0\"", said);
        let version = short(version, said);
        let description = table.needed("description", "\"What happens in Amazon Web Services\"", said);
        let description = short(description, said);
        let At { value: name, span } = of_name?;
        if !fits(&name) {
            said.bad(span, "a pack is called by small letters, digits, `_` and `-`, 64 at most");
            return None;
        }
        if !names.insert(name.clone()) {
            let message = format!("the name `{name}` is that of another pack");
            let own = (name == OWN).then_some(
                "it is that of the shipped rules over what a service tells of itself; \
                                               give this one another name",
            );
            said.push(
                Diagnostic::new(&tripline_config::codes::BAD_VALUE, span, message).maybe_help(own.map(String::from)),
            );
            return None;
        }
        Some(Pack { name, version: version?.value, description: description?.value, folder, span })
    })
}

/// The pack that a rule is of: that of the nearest folder that is one.
pub(crate) fn of<'p>(packs: &'p [Pack], sources: &SourceMap, rule: &Rule) -> Option<&'p Pack> {
    of_file(packs, sources.name(rule.span.file))
}

/// The pack that a file is of.
pub(crate) fn of_file<'p>(packs: &'p [Pack], file: &str) -> Option<&'p Pack> {
    let within = packs.iter().filter(|pack| Path::new(file).starts_with(&pack.folder));
    within.max_by_key(|pack| pack.folder.len())
}

#[cfg(test)]
mod tests;
