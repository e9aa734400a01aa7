//! Search identifiers: maps are and-linked, lists of maps or-linked, and words without a field are looked for
//! anywhere in the event.

use tripline_base::{Diagnostic, Span};

use crate::codes;
use crate::model::{Search, Word};
use crate::modifier;
use crate::yaml::{Entry, Kind, Node};

/// What a search identifier asks; none where a part of it cannot be read.
pub(crate) fn search(entry: &Entry, out: &mut Vec<Diagnostic>) -> Option<Search> {
    definition(&entry.value, entry.span(), entry.key_span, out)
}

fn definition(node: &Node, span: Span, key_span: Span, out: &mut Vec<Diagnostic>) -> Option<Search> {
    match &node.kind {
        Kind::Mapping(entries) if entries.is_empty() => {
            out.push(Diagnostic::new(&codes::BAD_DETECTION, key_span, "there is nothing to look for"));
            None
        }
        Kind::Mapping(entries) => {
            let parts: Vec<Option<Search>> = entries.iter().map(|entry| field(entry, out)).collect();
            let parts: Option<Vec<Search>> = parts.into_iter().collect();
            parts.map(|parts| joined(parts, |parts| Search::All(parts, span)))
        }
        Kind::Scalar { .. } => words(std::slice::from_ref(node), span, out),
        Kind::Sequence(elements) if elements.iter().all(|element| element.scalar().is_some()) => {
            words(elements, span, out)
        }
        Kind::Sequence(elements) => {
            let parts: Vec<Option<Search>> =
                elements.iter().map(|element| definition(element, element.span, element.span, out)).collect();
            let parts: Option<Vec<Search>> = parts.into_iter().collect();
            parts.map(|parts| joined(parts, |parts| Search::Any(parts, span)))
        }
    }
}

fn joined(mut parts: Vec<Search>, join: impl Fn(Vec<Search>) -> Search) -> Search {
    if parts.len() > 1 {
        return join(parts);
    }
    match parts.pop() {
        Some(only) => only,
        None => join(parts),
    }
}

fn words(values: &[Node], span: Span, out: &mut Vec<Diagnostic>) -> Option<Search> {
    if values.iter().any(Node::is_null) {
        out.push(
            Diagnostic::new(&codes::BAD_DETECTION, span, "nothing cannot be looked for anywhere in the event")
                .help("write `Field: null` to ask for an event without the field"),
        );
        return None;
    }
    modifier::item(None, &[], span, span, values, out).map(Search::Item)
}

/// `Field|modifier|…: values`
fn field(entry: &Entry, out: &mut Vec<Diagnostic>) -> Option<Search> {
    let mut names = entry.key.split('|');
    let field = names.next().unwrap_or("");
    // The modifiers stand in the key, unless its quotes or escapes move them.
    let quoted = entry.key_span.end.saturating_sub(entry.key_span.start) as usize
        - entry.key.len().min(entry.key_span.range().len());
    let mut at = entry.key_span.start as usize + quoted / 2 + field.len();
    let mut modifiers = Vec::new();
    for name in names {
        let span = Span::new(entry.key_span.file, at + 1, at + 1 + name.len());
        let span = if entry.key_span.contains(span) { span } else { entry.key_span };
        modifiers.push(Word { text: name.to_string(), span });
        at += 1 + name.len();
    }
    let field = (!field.is_empty()).then(|| field.to_string());
    if let Kind::Mapping(_) = entry.value.kind {
        out.push(
            Diagnostic::new(&codes::BAD_DETECTION, entry.key_span, "a field cannot have a map as its value")
                .help("name a nested field by its path, as in `a.b.c`"),
        );
        return None;
    }
    let values = entry.value.one_or_many();
    if field.is_none() && values.iter().any(Node::is_null) {
        out.push(Diagnostic::new(
            &codes::BAD_DETECTION,
            entry.span(),
            "nothing cannot be looked for anywhere in the event",
        ));
        return None;
    }
    modifier::item(field, &modifiers, entry.key_span, entry.span(), values, out).map(Search::Item)
}
