//! One record's bytes to a value, with errors that a user can act on.

use tripline_event::{Value, parse_json};

/// Parses one record. Bytes that are not UTF-8 are replaced by U+FFFD; the result is owned in that case.
///
/// # Errors
/// Where the bytes are not one JSON object, in a sentence that tells the column.
pub fn parse(bytes: &[u8]) -> Result<Value<'_>, String> {
    // Files with a byte order mark that were concatenated have one within.
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let value = match parse_json(bytes) {
        Ok(value) => value,
        Err(error) if std::str::from_utf8(bytes).is_ok() => return Err(sentence(&error)),
        Err(_) => {
            let text = String::from_utf8_lossy(bytes);
            parse_json(text.as_bytes()).map_err(|error| sentence(&error))?.into_owned()
        }
    };
    match value {
        Value::Object(_) => Ok(value),
        Value::Null => Err("not a JSON object but null".to_string()),
        Value::Bool(_) => Err("not a JSON object but a boolean".to_string()),
        Value::Int(_) | Value::Float(_) => Err("not a JSON object but a number".to_string()),
        Value::Array(_) => Err("not a JSON object but an array".to_string()),
        _ => Err("not a JSON object but a string".to_string()),
    }
}

fn sentence(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    match line {
        0 => what.to_string(),
        1 => format!("{what} at column {column}"),
        _ => format!("{what} at column {column} of the record's line {line}"),
    }
}
