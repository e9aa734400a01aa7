//! The shipped content, read from the repository and compiled.

use std::path::{Path, PathBuf};

use tripline_base::{Level, terminal};
use tripline_detect::{Compiler, DiskFiles, Ruleset};

/// 2026-06-01: exceptions are judged as of a day that does not move.
const TODAY: i64 = 1_780_272_000_000_000_000;

/// Every file below a folder with this ending, in order.
fn files(folder: &Path, ending: &str) -> Result<Vec<PathBuf>, String> {
    let mut out = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", folder.display());
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|found| found == ending) {
                out.push(path);
            }
        }
    }
    out.sort();
    Ok(out)
}

/// The rules, mappings and taxonomy of the repository.
///
/// # Errors
/// Where a file cannot be read, or the content has an error.
pub fn shipped(root: &Path) -> Result<Ruleset, String> {
    let mut compiler = Compiler::new();
    let read = |path: &Path| {
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        let text = std::fs::read(path).map_err(|error| format!("`{name}` cannot be read: {error}"))?;
        Ok::<_, String>((name, text))
    };
    for path in files(&root.join("connectors/taxonomy"), "toml")? {
        let (name, text) = read(&path)?;
        compiler.add_taxonomy(&name, &text);
    }
    for folder in ["connectors/mappings", "rules"] {
        for path in files(&root.join(folder), "trip")? {
            let (name, text) = read(&path)?;
            compiler.add_bytes(&name, &text);
        }
    }
    let ruleset = compiler.compile(&DiskFiles, TODAY);
    let wrong: String = ruleset
        .diagnostics
        .iter()
        .filter(|said| said.level() == Level::Error)
        .map(|said| terminal::render(said, &ruleset.sources, terminal::Colour::Never))
        .collect();
    if wrong.is_empty() { Ok(ruleset) } else { Err(format!("the shipped content has errors\n{wrong}")) }
}

/// The root of the repository: where the command runs, as built files may have come from another clone.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from).join("../..")
}
