//! Collects the shipped rules, mappings and taxonomy, which the program carries with it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(std::env::var("OUT_DIR").unwrap_or_default()).join("content.rs");
    let mut text = String::new();
    for (name, folder) in [("MAPPINGS", "connectors/mappings"), ("TAXONOMY", "connectors/taxonomy"), ("RULES", "rules")]
    {
        let mut files = Vec::new();
        collect(&root.join(folder), &mut files);
        files.sort();
        let _ = writeln!(text, "pub static {name}: &[(&str, &str)] = &[");
        for file in files {
            let shown = file.strip_prefix(&root).unwrap_or(&file).display().to_string();
            let _ = writeln!(text, "    ({shown:?}, include_str!({:?})),", file.display().to_string());
        }
        let _ = writeln!(text, "];");
        println!("cargo:rerun-if-changed={folder}");
    }
    if let Err(error) = std::fs::write(&out, text) {
        println!("cargo:warning=the shipped content cannot be written: {error}");
        std::process::exit(1);
    }
}

fn collect(folder: &Path, out: &mut Vec<PathBuf>) {
    println!("cargo:rerun-if-changed={}", folder.display());
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, out);
        } else if path.extension().is_some_and(|e| e == "trip" || e == "toml") {
            out.push(path);
        }
    }
}
