//! Files of the shared data: JSON lines, plain or compressed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// Every line of a file, as what it is.
///
/// # Errors
/// Where it cannot be read, with the line.
pub fn lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, String> {
    let mut out = Vec::new();
    for (number, line) in texts(path)?.into_iter().enumerate() {
        let one = serde_json::from_str(&line);
        out.push(one.map_err(|error| format!("`{}`, line {}: {error}", path.display(), number + 1))?);
    }
    Ok(out)
}

/// Every line of a file that is not empty.
///
/// # Errors
/// Where it cannot be read.
pub fn texts(path: &Path) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", path.display());
    let input = BufReader::new(tripline_formats::open(path).map_err(failed)?);
    let mut out = Vec::new();
    for line in input.lines() {
        let line = line.map_err(failed)?;
        if !line.trim().is_empty() {
            out.push(line);
        }
    }
    Ok(out)
}

/// Every line of the files of a folder whose names begin so, in the order of their names.
///
/// # Errors
/// Where it cannot be read.
pub fn folder(folder: &Path, begin: &str) -> Result<Vec<String>, String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(begin)) {
            files.push(path);
        }
    }
    files.sort();
    let mut out = Vec::new();
    for path in files {
        out.extend(texts(&path)?);
    }
    Ok(out)
}

/// The text of a raw JSON value.
pub fn raw(value: &RawValue) -> String {
    value.get().to_string()
}
