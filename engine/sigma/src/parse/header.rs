//! The attributes that every document may have.

use tripline_base::{Diagnostic, did_you_mean};

use crate::codes;
use crate::model::{Header, Word};
use crate::yaml::{Entry, Node};

const LEVELS: &[&str] = &["informational", "low", "medium", "high", "critical"];
const STATUSES: &[&str] = &["stable", "test", "experimental", "deprecated", "unsupported"];

pub(super) fn read(node: &Node, out: &mut Vec<Diagnostic>) -> Header {
    let mut header = Header { span: node.span, ..Header::default() };
    for entry in node.entries().unwrap_or_default() {
        if entry.value.is_null() {
            continue;
        }
        match entry.key.as_str() {
            "title" => header.title = one(entry, out),
            "name" => header.name = one(entry, out),
            "description" => header.description = one(entry, out),
            "author" => header.author = joined(entry, out),
            "id" => header.id = one(entry, out).filter(|id| uuid(id, out)),
            "level" => header.level = one(entry, out).and_then(|word| known(word, "level", LEVELS, out)),
            "status" => header.status = one(entry, out).and_then(|word| known(word, "status", STATUSES, out)),
            "references" => header.references = many(entry, out),
            "falsepositives" => header.false_positives = many(entry, out),
            "tags" => header.tags = many(entry, out),
            key => {
                if let Some(text) = entry.value.text() {
                    header.other.push((key.to_string(), text.to_string()));
                }
            }
        }
    }
    header
}

fn wrong(entry: &Entry, node: &Node, should: &str) -> Diagnostic {
    let message = format!("`{}` is {should}, and this is {}", entry.key, node.what());
    Diagnostic::new(&codes::BAD_ATTRIBUTE, entry.key_span, message)
}

fn one(entry: &Entry, out: &mut Vec<Diagnostic>) -> Option<Word> {
    match entry.value.text() {
        Some(text) => Some(Word { text: text.trim().to_string(), span: entry.value.span }),
        None => {
            out.push(wrong(entry, &entry.value, "text"));
            None
        }
    }
}

/// Several authors in a list are one text.
fn joined(entry: &Entry, out: &mut Vec<Diagnostic>) -> Option<Word> {
    if entry.value.elements().is_none() {
        return one(entry, out);
    }
    let words = many(entry, out);
    let text = words.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(", ");
    (!words.is_empty()).then_some(Word { text, span: entry.value.span })
}

fn many(entry: &Entry, out: &mut Vec<Diagnostic>) -> Vec<Word> {
    let mut words = Vec::new();
    for node in entry.value.one_or_many() {
        match node.text() {
            Some(text) => words.push(Word { text: text.trim().to_string(), span: node.span }),
            None if node.is_null() => {}
            None => out.push(wrong(entry, node, "a list of texts")),
        }
    }
    words
}

fn known(mut word: Word, what: &str, names: &[&str], out: &mut Vec<Diagnostic>) -> Option<Word> {
    word.text.make_ascii_lowercase();
    if names.contains(&word.text.as_str()) {
        return Some(word);
    }
    let hint = did_you_mean(&word.text, names.iter().copied());
    let hint = hint.unwrap_or_else(|| format!("it is one of `{}`", names.join("`, `")));
    out.push(
        Diagnostic::new(&codes::BAD_ATTRIBUTE, word.span, format!("there is no {what} `{}`", word.text)).help(hint),
    );
    None
}

fn uuid(id: &Word, out: &mut Vec<Diagnostic>) -> bool {
    let digits = id.text.chars().filter(|c| *c != '-').count();
    let groups: Vec<usize> = id.text.split('-').map(str::len).collect();
    let hex = id.text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if hex && digits == 32 && groups == [8, 4, 4, 4, 12] {
        return true;
    }
    out.push(Diagnostic::new(&codes::BAD_ATTRIBUTE, id.span, format!("`{}` is no UUID", id.text)));
    // What names the rule by this id still finds it.
    true
}
