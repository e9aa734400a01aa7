//! A whole text: parsed, read, and masked.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tripline_base::{Diagnostic, Level, SourceMap, Span};

use crate::codes;
use crate::table::{Said, Table};

/// Parses a text and has it read; none where it is not TOML or anything said is an error. While it is read the source
/// map holds the whole text; afterwards what may be secret is masked in it.
pub fn read<T>(
    sources: &mut SourceMap,
    name: &str,
    text: &str,
    whole: impl FnOnce(&mut Table<'_>, &mut Said<'_>) -> Option<T>,
) -> (Option<T>, Vec<Diagnostic>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = sources.add(name, text);
    let parsed = DeTable::parse(text);
    let root = match &parsed {
        Ok(root) => root,
        Err(error) => {
            let at = error.span().unwrap_or(0..0);
            let at = Span::new(file, at.start, at.end.max((at.start + 1).min(text.len())));
            let message = error.message().lines().next().unwrap_or("it cannot be read").to_string();
            sources.replace(file, masked_lines(text));
            let said =
                Diagnostic::new(&codes::NOT_TOML, at, message).help("a text stands in quotes: `name = \"value\"`");
            return (None, vec![said]);
        }
    };
    let mut said = Said::new(file, sources);
    let mut table = Table::new("the configuration", Span::new(file, 0, 0), root.get_ref());
    let found = whole(&mut table, &mut said);
    table.finish(&mut said);
    let Said { mut diagnostics, shown, .. } = said;
    let mut bytes = text.as_bytes().to_vec();
    mask(root.get_ref(), &shown, &mut bytes);
    sources.replace(file, String::from_utf8_lossy(&bytes).into_owned());
    tripline_base::diagnostic::sort(&mut diagnostics);
    let usable = diagnostics.iter().all(|one| one.level() != Level::Error);
    (found.filter(|_| usable), diagnostics)
}

fn cover(bytes: &mut [u8], range: Range<usize>) {
    if let Some(part) = bytes.get_mut(range) {
        part.iter_mut().filter(|byte| !byte.is_ascii_whitespace()).for_each(|byte| *byte = b'*');
    }
}

/// Covers every value that was not read as something that may be shown.
fn mask(table: &DeTable<'_>, shown: &[Range<usize>], bytes: &mut [u8]) {
    table.iter().for_each(|(_, value)| mask_value(value, shown, bytes));
}

fn mask_value(value: &Spanned<DeValue<'_>>, shown: &[Range<usize>], bytes: &mut [u8]) {
    match value.get_ref() {
        DeValue::Table(table) => mask(table, shown, bytes),
        DeValue::Array(items) => items.iter().for_each(|item| mask_value(item, shown, bytes)),
        _ if !shown.contains(&value.span()) => cover(bytes, value.span()),
        _ => {}
    }
}

/// A text that is not understood: comments, headers of tables, keys, and the values of `name` and `kind` are shown.
fn masked_lines(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let plain = |c: char| c.is_ascii_alphanumeric() || "[]._- ".contains(c);
        let header = line.starts_with('[') && line.trim_end().chars().all(plain);
        let from = line.find('=').map_or(0, |sign| sign + 1);
        let key = line.get(..from).unwrap_or_default().trim_end_matches('=').trim();
        if !header && !line.starts_with('#') && !matches!(key, "name" | "kind") {
            cover(&mut bytes, at + from..at + line.len());
        }
        at += line.len();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
