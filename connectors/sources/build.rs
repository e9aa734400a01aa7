//! Collects the files of `connectors/polled`, which the program carries with it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

fn main() {
    let folder = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join("../polled");
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap_or_default()).join("connectors.rs");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut found: BTreeMap<String, (Option<PathBuf>, Option<PathBuf>)> = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        println!("cargo:rerun-if-changed={}", path.display());
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(name) = file.strip_suffix(".test.toml") {
            found.entry(name.to_string()).or_default().1 = Some(path);
        } else if let Some(name) = file.strip_suffix(".toml") {
            found.entry(name.to_string()).or_default().0 = Some(path);
        }
    }
    let mut text = "static SHIPPED: &[Shipped] = &[\n".to_string();
    for (name, (connector, tests)) in found {
        let Some(connector) = connector else { continue };
        let include = |path: &PathBuf| format!("include_str!({:?})", path.display().to_string());
        let tests = tests.map_or_else(|| "None".to_string(), |path| format!("Some({})", include(&path)));
        let _ = writeln!(text, "    Shipped {{ name: {name:?}, text: {}, tests: {tests} }},", include(&connector));
    }
    text.push_str("];\n");
    if let Err(error) = std::fs::write(&out, text) {
        println!("cargo:warning=the connectors cannot be written: {error}");
        std::process::exit(1);
    }
}
