//! Tables of a configuration: keys are asked for by name and type, and what nobody asked for is a mistake.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tripline_base::{Diagnostic, FileId, SourceMap, Span, did_you_mean};

use crate::secret::{Place, Reference};
use crate::{codes, unit};

/// What is said of a configuration.
#[derive(Debug)]
pub struct Said<'s> {
    /// The file that is read.
    pub file: FileId,
    /// Its text, among others.
    pub sources: &'s SourceMap,
    /// What was said so far.
    pub diagnostics: Vec<Diagnostic>,
    /// Values that may be shown.
    pub(crate) shown: Vec<Range<usize>>,
}

impl<'s> Said<'s> {
    pub(crate) fn new(file: FileId, sources: &'s SourceMap) -> Self {
        Said { file, sources, diagnostics: Vec::new(), shown: Vec::new() }
    }

    /// A place in the file.
    pub fn span(&self, range: Range<usize>) -> Span {
        Span::new(self.file, range.start, range.end)
    }

    /// Says something.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Says that a value cannot be used.
    pub fn bad(&mut self, at: Span, message: impl Into<String>) {
        self.push(Diagnostic::new(&codes::BAD_VALUE, at, message));
    }

    fn show(&mut self, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Array(items) => items.iter().for_each(|item| self.show(item)),
            DeValue::Table(_) => {}
            _ => self.shown.push(value.span()),
        }
    }
}

/// A table that is being read.
#[derive(Debug)]
pub struct Table<'t> {
    /// What it is, for messages: `[engine]`.
    pub name: String,
    /// Its words in the file.
    pub span: Span,
    entries: Vec<(&'t str, Range<usize>, &'t Spanned<DeValue<'t>>)>,
    asked: Vec<String>,
}

/// A value and where it stands.
#[derive(Clone, Debug)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Its words in the file, quotes among them.
    pub span: Span,
}

impl<'t> Table<'t> {
    /// A table, by what messages call it.
    pub fn new(name: &str, span: Span, table: &'t DeTable<'t>) -> Self {
        let entries = table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value)).collect();
        Table { name: name.to_string(), span, entries, asked: Vec::new() }
    }

    /// Remembers that there is such a key.
    fn ask(&mut self, key: &str) {
        if !self.asked.iter().any(|asked| asked == key) {
            self.asked.push(key.to_string());
        }
    }

    fn find(&mut self, key: &str) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        self.ask(key);
        let (_, at, value) = self.entries.iter().find(|(name, ..)| *name == key)?;
        Some((at.clone(), value))
    }

    /// A value that is no secret.
    fn get(&mut self, key: &str, said: &mut Said<'_>) -> Option<(Range<usize>, &'t Spanned<DeValue<'t>>)> {
        let (at, value) = self.find(key)?;
        said.show(value);
        Some((at, value))
    }

    /// Whether the key is there; it is one that the table knows.
    pub fn has(&mut self, key: &str) -> bool {
        self.ask(key);
        self.entries.iter().any(|(name, ..)| *name == key)
    }

    fn wrong(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str, said: &mut Said<'_>) {
        let found = article(value.get_ref().type_str());
        said.push(
            Diagnostic::new(
                &codes::WRONG_TYPE,
                said.span(value.span()),
                format!("`{key}` takes {wanted}, and this is {found}"),
            )
            .help(format!("give {wanted}")),
        );
    }

    /// A text.
    pub fn text(&mut self, key: &str, said: &mut Said<'_>) -> Option<At<String>> {
        let (_, value) = self.get(key, said)?;
        match value.get_ref().as_str() {
            Some(text) => Some(At { value: text.to_string(), span: said.span(value.span()) }),
            None => {
                self.wrong(key, value, "a text in quotes", said);
                None
            }
        }
    }

    /// The `name` of the table, which no other has and `fits`; `wanted` says which do.
    pub fn own_name(
        &mut self,
        example: &str,
        names: &mut BTreeSet<String>,
        (fits, wanted): (fn(&str) -> bool, &str),
        said: &mut Said<'_>,
    ) -> Option<String> {
        let At { value, span } = self.needed("name", example, said)?;
        if !fits(&value) {
            said.bad(span, wanted);
            return None;
        }
        if !names.insert(value.clone()) {
            let message = format!("the name `{value}` is taken");
            said.push(Diagnostic::new(&codes::NAME_TWICE, span, message).help("give each its own name"));
            return None;
        }
        Some(value)
    }

    /// Like [`Table::text`], and says so where it is not there.
    pub fn needed(&mut self, key: &str, example: &str, said: &mut Said<'_>) -> Option<At<String>> {
        if !self.has(key) {
            self.lacks(key, example, said);
        }
        self.text(key, said)
    }

    /// Says that a key is needed, with an example of its value.
    pub fn lacks(&mut self, key: &str, example: &str, said: &mut Said<'_>) {
        self.ask(key);
        said.push(
            Diagnostic::new(&codes::MISSING_KEY, self.span, format!("{} has no `{key}`", self.name))
                .help(format!("add `{key} = {example}`")),
        );
    }

    /// A day, as a text (`"2027-01-31"`) or as TOML writes it (`2027-01-31`).
    pub fn day(&mut self, key: &str, said: &mut Said<'_>) -> Option<At<String>> {
        let (_, value) = self.get(key, said)?;
        let day = value.get_ref().as_datetime().filter(|at| at.date.is_some() && at.time.is_none());
        let day = day.map(ToString::to_string).or_else(|| value.get_ref().as_str().map(str::to_string));
        if day.is_none() {
            self.wrong(key, value, "a day such as `2027-01-31`", said);
        }
        Some(At { value: day?, span: said.span(value.span()) })
    }

    /// A text or a list of texts.
    pub fn texts(&mut self, key: &str, said: &mut Said<'_>) -> Option<Vec<At<String>>> {
        let (_, value) = self.get(key, said)?;
        if let Some(text) = value.get_ref().as_str() {
            return Some(vec![At { value: text.to_string(), span: said.span(value.span()) }]);
        }
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(key, value, "a text or a list of texts", said);
            return None;
        };
        let mut out = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(text) => out.push(At { value: text.to_string(), span: said.span(item.span()) }),
                None => self.wrong(key, item, "a list of texts", said),
            }
        }
        Some(out)
    }

    /// A path or a list of paths, as written.
    pub fn paths(&mut self, key: &str, said: &mut Said<'_>) -> Vec<PathBuf> {
        self.texts(key, said).unwrap_or_default().into_iter().map(|text| text.value.into()).collect()
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &str, default: bool, said: &mut Said<'_>) -> bool {
        let Some((_, value)) = self.get(key, said) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(key, value, "`true` or `false`", said);
            default
        })
    }

    /// A whole number within bounds.
    pub fn number(
        &mut self,
        key: &str,
        default: u64,
        bounds: std::ops::RangeInclusive<u64>,
        said: &mut Said<'_>,
    ) -> u64 {
        let Some((_, value)) = self.get(key, said) else { return default };
        let Some(written) = value.get_ref().as_integer() else {
            self.wrong(key, value, "a whole number", said);
            return default;
        };
        let digits = written.as_str().trim_start_matches('+');
        match u64::from_str_radix(digits, written.radix()) {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                let (least, most) = bounds.into_inner();
                self.bad(key, value.span(), &format!("a whole number from {least} to {most}"), said);
                default
            }
        }
    }

    /// A duration within bounds, which are written as durations.
    pub fn duration(&mut self, key: &str, default: Duration, bounds: (&str, &str), said: &mut Said<'_>) -> Duration {
        let Some((_, value)) = self.get(key, said) else { return default };
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(key, value, "a duration such as `\"5m\"`", said);
            return default;
        };
        let within = |found: &Duration| {
            unit::duration(bounds.0).is_none_or(|least| *found >= least)
                && unit::duration(bounds.1).is_none_or(|most| *found <= most)
        };
        unit::duration(text).filter(within).unwrap_or_else(|| {
            let wanted = format!(
                "a duration from {} to {}, written with one of the units ms, s, m, h and d",
                bounds.0, bounds.1
            );
            self.bad(key, value.span(), &wanted, said);
            default
        })
    }

    /// A size in bytes within bounds, which are written as sizes.
    pub fn size(&mut self, key: &str, default: u64, bounds: (&str, &str), said: &mut Said<'_>) -> u64 {
        let Some((_, value)) = self.get(key, said) else { return default };
        let Some(text) = value.get_ref().as_str() else {
            self.wrong(key, value, "a size such as `\"16MiB\"`", said);
            return default;
        };
        let within = |found: &u64| {
            unit::size(bounds.0).is_none_or(|least| *found >= least)
                && unit::size(bounds.1).is_none_or(|most| *found <= most)
        };
        unit::size(text).filter(within).unwrap_or_else(|| {
            let wanted =
                format!("a size from {} to {}, written with one of the units KiB, MiB and GiB", bounds.0, bounds.1);
            self.bad(key, value.span(), &wanted, said);
            default
        })
    }

    fn bad(&self, key: &str, at: Range<usize>, wanted: &str, said: &mut Said<'_>) {
        said.push(Diagnostic::new(&codes::BAD_VALUE, said.span(at), format!("`{key}` takes {wanted}")));
    }

    /// A reference to a secret: `{ env = "NAME" }` or `{ file = "PATH" }`; a plain text where one is allowed.
    pub fn secret(&mut self, key: &str, plain: bool, said: &mut Said<'_>) -> Option<Place> {
        let (_, value) = self.find(key)?;
        reference(key, value, plain, said)
    }

    /// A reference to a secret that may have several lines, as keys in PEM and files of JSON do.
    pub fn secret_of_lines(&mut self, key: &str, plain: bool, said: &mut Said<'_>) -> Option<Place> {
        Some(Place { lines: true, ..self.secret(key, plain, said)? })
    }

    /// Like [`Table::secret`], and says so where it is not there.
    pub fn needed_secret(&mut self, key: &str, plain: bool, said: &mut Said<'_>) -> Option<Place> {
        if !self.has(key) {
            let example = if plain { "\"https://…\"" } else { "{ env = \"NAME\" }" };
            self.lacks(key, example, said);
        }
        self.secret(key, plain, said)
    }

    /// References by name, as in a table of headers.
    pub fn secrets(&mut self, key: &str, said: &mut Said<'_>) -> Vec<(String, Place)> {
        let Some((_, value)) = self.find(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, value, "a table", said);
            return Vec::new();
        };
        let names = table.iter().map(|(name, value)| (name.get_ref().to_string(), value));
        names.filter_map(|(name, value)| reference(&name, value, true, said).map(|found| (name, found))).collect()
    }

    /// A table within.
    pub fn table(&mut self, key: &str, said: &mut Said<'_>) -> Option<Table<'t>> {
        let (at, value) = self.get(key, said)?;
        match value.get_ref().as_table() {
            Some(table) => Some(Table::new(&format!("[{key}]"), said.span(at), table)),
            None => {
                self.wrong(key, value, "a table", said);
                None
            }
        }
    }

    /// Every table within, by its name.
    pub fn every_table(&mut self, said: &mut Said<'_>) -> Vec<(String, Table<'t>)> {
        let mut out = Vec::new();
        for (name, at, value) in &self.entries {
            match value.get_ref().as_table() {
                Some(table) => {
                    let title = format!("{}.{name}]", self.name.trim_end_matches(']'));
                    out.push((name.to_string(), Table::new(&title, said.span(at.clone()), table)));
                }
                None => self.wrong(name, value, "a table", said),
            }
        }
        out
    }

    /// Tables within, each under `[[key]]`.
    pub fn tables(&mut self, key: &str, said: &mut Said<'_>) -> Vec<Table<'t>> {
        let Some((at, value)) = self.get(key, said) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            said.push(
                Diagnostic::new(&codes::WRONG_TYPE, said.span(at), format!("there may be several of `{key}`"))
                    .help(format!("begin each with `[[{key}]]`")),
            );
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_table() {
                Some(table) => out.push(Table::new(&format!("[[{key}]]"), said.span(item.span()), table)),
                None => self.wrong(key, item, "a table", said),
            }
        }
        out
    }

    /// Names of a table with texts, in the order of the names.
    pub fn text_map(&mut self, key: &str, said: &mut Said<'_>) -> Vec<(At<String>, At<String>)> {
        let Some((_, value)) = self.find(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, value, "a table of texts", said);
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in table.iter() {
            said.show(value);
            match value.get_ref().as_str() {
                Some(text) => {
                    let at = At { value: text.to_string(), span: said.span(value.span()) };
                    out.push((At { value: name.get_ref().to_string(), span: said.span(name.span()) }, at));
                }
                None => self.wrong(name.get_ref(), value, "a text in quotes", said),
            }
        }
        out
    }

    /// One of some words, with help where it is none of them.
    pub fn choice(&mut self, key: &str, choices: &[&'static str], said: &mut Said<'_>) -> Option<&'static str> {
        self.choice_at(key, choices, said).map(|(found, _)| found)
    }

    /// Like [`Table::choice`], with where it stands.
    pub fn choice_at(
        &mut self,
        key: &str,
        choices: &[&'static str],
        said: &mut Said<'_>,
    ) -> Option<(&'static str, Span)> {
        let found = self.text(key, said)?;
        let known = choices.iter().copied().find(|choice| *choice == found.value);
        if known.is_none() {
            said.push(
                Diagnostic::new(&codes::BAD_VALUE, found.span, format!("there is no `{}` for `{key}`", found.value))
                    .maybe_help(did_you_mean(&found.value, choices.iter().copied()))
                    .help(format!("it is one of {}", choices.join(", "))),
            );
        }
        known.map(|known| (known, found.span))
    }

    /// Names of a table with durations.
    pub fn durations(&mut self, key: &str, said: &mut Said<'_>) -> Vec<(At<String>, Duration)> {
        let Some((_, value)) = self.find(key) else { return Vec::new() };
        let Some(table) = value.get_ref().as_table() else {
            self.wrong(key, value, "a table of durations", said);
            return Vec::new();
        };
        let mut out = Vec::new();
        for (name, value) in table.iter() {
            said.show(value);
            match value.get_ref().as_str().and_then(unit::duration) {
                Some(duration) => {
                    let name = At { value: name.get_ref().to_string(), span: said.span(name.span()) };
                    out.push((name, duration));
                }
                None => self.bad(name.get_ref(), value.span(), "a duration such as `\"5m\"`", said),
            }
        }
        out
    }

    /// Leaves what nobody asked for: it cannot be known what it means.
    pub fn leave(&mut self) {
        self.asked.extend(self.entries.iter().map(|(name, ..)| (*name).to_string()));
    }

    /// Says what nobody asked for.
    pub fn finish(&self, said: &mut Said<'_>) {
        for (name, at, _) in &self.entries {
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let hint = did_you_mean(name, self.asked.iter().map(String::as_str));
            let known = self.asked.join(", ");
            said.push(
                Diagnostic::new(
                    &codes::UNKNOWN_KEY,
                    said.span(at.clone()),
                    format!("{} has no key `{name}`", self.name),
                )
                .maybe_help(hint)
                .help(format!("its keys are {known}")),
            );
        }
    }
}

fn reference(key: &str, value: &Spanned<DeValue<'_>>, plain: bool, said: &mut Said<'_>) -> Option<Place> {
    let span = said.span(value.span());
    let help = "name where it is kept: `{ env = \"NAME\" }` or `{ file = \"PATH\" }`";
    if let Some(text) = value.get_ref().as_str() {
        if plain {
            return Some(Place { reference: Reference::Plain(text.to_string()), lines: false, span });
        }
        said.push(Diagnostic::new(&codes::WRITTEN_SECRET, span, format!("`{key}` is a secret")).help(help));
        return None;
    }
    let found = value.get_ref().as_table().and_then(|table| {
        let mut entries = table.iter();
        let (name, value) = entries.next()?;
        let text = value.get_ref().as_str()?.to_string();
        match (name.get_ref().as_ref(), entries.next()) {
            ("env", None) => Some(Reference::Env(text)),
            ("file", None) => Some(Reference::File(text.into())),
            _ => None,
        }
    });
    if found.is_none() {
        said.push(
            Diagnostic::new(&codes::WRONG_TYPE, span, format!("`{key}` does not say where it is kept")).help(help),
        );
    }
    if found.is_some() {
        value.get_ref().as_table().into_iter().flat_map(|table| table.iter()).for_each(|(_, value)| said.show(value));
    }
    found.map(|reference| Place { reference, lines: false, span })
}

fn article(name: &str) -> String {
    match name {
        "integer" | "array" => format!("an {name}"),
        _ => format!("a {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_table_are_listed_once_each_with_those_that_are_seldom_there() {
        let mut sources = SourceMap::new();
        let (_, said) = crate::read(&mut sources, "tripline.toml", "evry = \"5m\"\n", |root, said| {
            root.needed("path", "\"a\"", said);
            root.flag("watch", true, said);
            // What is looked for before it is read is a key as well.
            root.has("every").then(|| root.duration("every", Duration::ZERO, ("0s", "1d"), said))
        });
        let unknown = said.iter().find(|one| one.code.id == codes::UNKNOWN_KEY.id).unwrap();
        assert_eq!(unknown.help, ["did you mean `every`?", "its keys are path, watch, every"]);
    }
}
