//! What the tests of this crate share: examples, trees without places, golden files.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests fail by panicking")]
#![allow(dead_code, reason = "each test binary uses a part")]

use std::path::{Path, PathBuf};

use tripline_base::{FileId, SourceMap, terminal};
use tripline_syntax::ast::File;
use tripline_syntax::{Parse, format, parse_file};

pub fn root() -> PathBuf {
    // Asked when the tests run: built files may have come from another clone.
    let here = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Path::new(&here).join("../..")
}

/// The blocks of the reference.
pub fn examples() -> Vec<String> {
    let page = include_str!("../../../../docs/LANGUAGE.md");
    page.split("```trip\n").skip(1).map(|block| block.split("```").next().unwrap().to_string()).collect()
}

/// Every `.trip` file under `folder`, in order.
pub fn trip_files(folder: &str) -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        let Ok(entries) = std::fs::read_dir(folder) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|e| e == "trip") {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    walk(&root().join(folder), &mut paths);
    paths.sort();
    paths.into_iter().filter_map(|path| Some((path.clone(), std::fs::read_to_string(path).ok()?))).collect()
}

pub fn parse(text: &str) -> Parse {
    parse_file(FileId(0), text)
}

/// All diagnostics as a person sees them.
pub fn rendered(name: &str, text: &str) -> String {
    let mut sources = SourceMap::new();
    let id = sources.add(name, text);
    let parse = parse_file(id, text);
    parse
        .diagnostics
        .iter()
        .map(|d| terminal::render(d, &sources, terminal::Colour::Never))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The tree's items without places: what must survive formatting.
pub fn tree(file: &File) -> String {
    let printed = format!("{:?}", file.items);
    let mut out = String::with_capacity(printed.len());
    let mut rest = printed.as_str();
    while let Some(at) = rest.find("Span {") {
        out.push_str(&rest[..at]);
        out.push('_');
        // `Span { file: FileId(0), start: 1, end: 2 }`
        rest = &rest[at..];
        rest = &rest[rest.find('}').unwrap() + 1..];
    }
    out + rest
}

pub fn comments(file: &File) -> Vec<String> {
    let mut all: Vec<String> = file.comments.iter().map(|comment| comment.text.clone()).collect();
    all.sort();
    all
}

/// Formats a text that parses, and checks everything that formatting promises.
pub fn check_format(text: &str) -> Result<String, String> {
    let first = parse(text);
    if !first.diagnostics.is_empty() {
        return Err(format!("does not parse:\n{}\n{text}", rendered("text", text)));
    }
    let once = format::format(&first.file, text);
    let second = parse(&once);
    if !second.diagnostics.is_empty() {
        return Err(format!("formatted text does not parse:\n{}\n{text}\n=>\n{once}", rendered("formatted", &once)));
    }
    if tree(&first.file) != tree(&second.file) {
        return Err(format!(
            "formatting changed the tree:\n{text}\n=>\n{once}\n{}\n{}",
            tree(&first.file),
            tree(&second.file)
        ));
    }
    if comments(&first.file) != comments(&second.file) {
        return Err(format!("formatting changed the comments:\n{text}\n=>\n{once}"));
    }
    let twice = format::format(&second.file, &once);
    if once != twice {
        return Err(format!("formatting twice differs:\n{text}\n=>\n{once}\n=>\n{twice}"));
    }
    if !once.is_empty() && (!once.ends_with('\n') || once.ends_with("\n\n")) {
        return Err(format!("the text does not end with one newline:\n{once:?}"));
    }
    Ok(once)
}

/// Compares with the file `path`, or writes it where `UPDATE_GOLDENS` is set.
pub fn golden(path: &Path, found: &str) {
    if std::env::var_os("UPDATE_GOLDENS").is_some() {
        std::fs::write(path, found).unwrap();
        return;
    }
    let wanted = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        wanted == found,
        "{} differs; run with UPDATE_GOLDENS=1 and read the difference.\nwanted:\n{wanted}\nfound:\n{found}",
        path.display()
    );
}
