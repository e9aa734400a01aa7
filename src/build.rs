//! Collects the shipped rules with their fixtures, mappings and taxonomy, which the program carries with it.

use std::collections::BTreeSet;
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
    fixtures(&root, &mut text);
    if let Err(error) = std::fs::write(&out, text) {
        println!("cargo:warning=the shipped content cannot be written: {error}");
        std::process::exit(1);
    }
}

/// The fixtures that shipped rules name: a service tries its rules with them.
fn fixtures(root: &Path, out: &mut String) {
    let folder = root.join("testdata/events");
    println!("cargo:rerun-if-changed=testdata/events");
    let mut rules = Vec::new();
    collect(&root.join("rules"), &mut rules);
    let mut names = BTreeSet::new();
    for rule in rules {
        let text = std::fs::read_to_string(rule).unwrap_or_default();
        let named = text.split("from \"").skip(1).filter_map(|rest| rest.split('"').next());
        names.extend(named.filter(|name| folder.join(name).is_file()).map(str::to_string));
    }
    let _ = writeln!(out, "pub static FIXTURES: &[(&str, &str)] = &[");
    for name in names {
        let _ = writeln!(out, "    ({name:?}, include_str!({:?})),", folder.join(&name).display().to_string());
    }
    let _ = writeln!(out, "];");
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
