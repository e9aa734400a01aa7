//! Diagnostics as SARIF 2.1.0, which code review tools show beside the lines.

use serde_json::{Value, json};

use crate::{Code, Diagnostic, Level, SourceMap, Span};

/// A whole SARIF log with one run. `codes` are all codes the tool can report.
pub fn render(diagnostics: &[Diagnostic], sources: &SourceMap, codes: &[&'static Code]) -> Value {
    let rules: Vec<Value> = codes
        .iter()
        .map(|code| {
            json!({
                "id": code.id,
                "name": code.name,
                "shortDescription": { "text": code.title },
                "help": { "text": code.page, "markdown": code.page },
                "defaultConfiguration": { "level": level(code.level) },
            })
        })
        .collect();
    let results: Vec<Value> = diagnostics
        .iter()
        .map(|diagnostic| {
            let mut text = diagnostic.message.clone();
            for help in &diagnostic.help {
                text.push_str("\nhelp: ");
                text.push_str(help);
            }
            let mut labels = diagnostic.labels.iter();
            let primary = labels.next();
            json!({
                "ruleId": diagnostic.code.id,
                "ruleIndex": codes.iter().position(|code| *code == diagnostic.code),
                "level": level(diagnostic.level()),
                "message": { "text": text },
                "locations": primary.map(|label| location(label.span, &label.text, sources)).into_iter().collect::<Vec<_>>(),
                "relatedLocations": labels.map(|label| location(label.span, &label.text, sources)).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "tripline", "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn level(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Note => "note",
    }
}

fn location(span: Span, text: &str, sources: &SourceMap) -> Value {
    let Some(file) = sources.get(span.file) else { return json!({}) };
    let start = file.place(span.start as usize);
    let end = file.place(span.end as usize);
    let mut location = json!({
        "physicalLocation": {
            "artifactLocation": { "uri": file.name() },
            "region": {
                "startLine": start.line, "startColumn": start.column,
                "endLine": end.line, "endColumn": end.column,
            },
        },
    });
    if let (Some(object), false) = (location.as_object_mut(), text.is_empty()) {
        object.insert("message".into(), json!({ "text": text }));
    }
    location
}
