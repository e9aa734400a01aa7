//! Which files a pattern names.

use std::path::{Path, PathBuf};

use globset::GlobBuilder;

use super::identity::{Id, id_of};

/// How deep folders are looked into.
const DEEPEST: usize = 16;

/// The files under a pattern, in the order of their names.
pub(super) fn files(folder: &Path, pattern: &str, most: usize) -> Vec<PathBuf> {
    let base = literal(pattern);
    if base == Path::new(pattern) {
        return vec![folder.join(pattern)];
    }
    let Ok(glob) = GlobBuilder::new(pattern).literal_separator(true).build() else { return Vec::new() };
    let matcher = glob.compile_matcher();
    let deep = if pattern.contains("**") { DEEPEST } else { Path::new(pattern).components().count() };
    let mut out = Vec::new();
    // The folder of the configuration may have a name with `*` in it; what is compared begins after it.
    let fits = |path: &Path| matcher.is_match(path.strip_prefix(folder).unwrap_or(path));
    walk(&folder.join(base), deep, &fits, most, &mut out);
    out.sort();
    out
}

/// The folder above the first part of a pattern that is not a name; the pattern itself where it is one.
fn literal(pattern: &str) -> &Path {
    let Some(special) = pattern.find(['*', '?', '[', '{']) else { return Path::new(pattern) };
    let head = pattern.get(..special).unwrap_or_default();
    Path::new(head.rfind('/').and_then(|at| head.get(..=at)).unwrap_or(""))
}

fn walk(folder: &Path, deep: usize, fits: &dyn Fn(&Path) -> bool, most: usize, out: &mut Vec<PathBuf>) {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if out.len() >= most {
            return;
        }
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() {
            if deep > 0 {
                walk(&path, deep - 1, fits, most, out);
            }
        } else if fits(&path) {
            out.push(path);
        }
    }
}

/// The file in the folder of a path that has an id, whatever its name.
pub(super) fn moved(path: &Path, id: Id) -> Option<PathBuf> {
    let folder = path.parent()?;
    std::fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| std::fs::metadata(path).is_ok_and(|about| about.is_file() && id_of(path, &about) == id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_files_below_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("logs/deep")).unwrap();
        for name in ["logs/b.jsonl", "logs/a.jsonl", "logs/a.txt", "logs/deep/c.jsonl"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let found = |pattern: &str| {
            let relative = |path: PathBuf| path.strip_prefix(folder.path()).unwrap().display().to_string();
            files(folder.path(), pattern, 100).into_iter().map(relative).collect::<Vec<_>>()
        };
        assert_eq!(found("logs/*.jsonl"), ["logs/a.jsonl", "logs/b.jsonl"]);
        assert_eq!(found("logs/**/*.jsonl"), ["logs/a.jsonl", "logs/b.jsonl", "logs/deep/c.jsonl"]);
        assert_eq!(found("logs/a.txt"), ["logs/a.txt"]);
    }
}
