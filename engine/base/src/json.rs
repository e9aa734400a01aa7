//! Diagnostics for machines, one JSON object each.

use serde_json::{Value, json};

use crate::{Diagnostic, SourceMap, Span};

/// `{code, name, level, message, item, labels: [{file, start: {line, column, offset}, end: {…}, text}], help: […]}`.
pub fn render(diagnostic: &Diagnostic, sources: &SourceMap) -> Value {
    json!({
        "code": diagnostic.code.id,
        "name": diagnostic.code.name,
        "level": diagnostic.level().to_string(),
        "message": diagnostic.message,
        "item": diagnostic.item,
        "labels": diagnostic.labels.iter().map(|label| {
            let mut place = place(label.span, sources);
            if let Some(object) = place.as_object_mut() {
                object.insert("text".into(), json!(label.text));
            }
            place
        }).collect::<Vec<_>>(),
        "help": diagnostic.help,
    })
}

fn place(span: Span, sources: &SourceMap) -> Value {
    let Some(file) = sources.get(span.file) else { return json!({}) };
    let point = |at: u32| {
        let place = file.place(at as usize);
        json!({ "line": place.line, "column": place.column, "offset": at })
    };
    json!({ "file": file.name(), "start": point(span.start), "end": point(span.end) })
}
