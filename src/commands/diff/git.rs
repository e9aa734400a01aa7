//! Revisions of rules, read through the program `git`: nothing is checked out, nothing is written.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use tripline_semantic::Files;

use crate::load;

/// The largest list or table, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// A repository.
pub struct Repo {
    top: PathBuf,
}

/// The files of a revision below some paths.
pub struct Tree<'r> {
    repo: &'r Repo,
    /// What stands before the names of its files.
    prefix: String,
    /// The paths that were named, from the top.
    named: Vec<String>,
    /// Name and size of each file's content, by its path from the top.
    blobs: BTreeMap<String, (String, u64)>,
}

impl Repo {
    /// The repository that a path is in, whether it still is there or not.
    pub fn of(path: &Path) -> Result<Self, String> {
        let path = absolute(path)?;
        let folder = path.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("/"));
        let said = git(folder, &["rev-parse", "--show-toplevel"], b"")?
            .map_err(|error| format!("`{}` is in no git repository that can be read: {error}", folder.display()))?;
        let top = PathBuf::from(String::from_utf8_lossy(&said).trim_end_matches(['\n', '\r']));
        let top = top.canonicalize().map_err(|error| format!("`{}` cannot be read: {error}", top.display()))?;
        Ok(Repo { top })
    }

    fn run(&self, args: &[&str], input: &[u8]) -> Result<Result<Vec<u8>, String>, String> {
        git(&self.top, args, input)
    }

    /// The commit that a revision means.
    pub fn commit(&self, revision: &str) -> Result<String, String> {
        let wanted = format!("{revision}^{{commit}}");
        match self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted], b"")? {
            Ok(said) => Ok(line(&said)),
            Err(_) => Err(format!(
                "the repository has no revision `{revision}` (a shallow clone, as CI makes it, lacks older ones)"
            )),
        }
    }

    /// Where two commits parted.
    pub fn parted(&self, one: &str, other: &str) -> Result<String, String> {
        let said = self.run(&["merge-base", one, other], b"")?;
        said.map(|said| line(&said)).map_err(|_| "the two revisions have no commit in common".to_string())
    }

    /// The files of a commit below these paths; their names begin with `prefix`.
    pub fn tree(&self, commit: &str, prefix: &str, paths: &[PathBuf]) -> Result<Tree<'_>, String> {
        let mut args = vec!["--literal-pathspecs", "ls-tree", "-r", "-l", "-z", "--full-tree", commit, "--"];
        let inside = paths.iter().map(|path| self.inside(path)).collect::<Result<Vec<_>, _>>()?;
        // The top itself is meant by naming no path.
        if inside.iter().all(|path| !path.is_empty()) {
            args.extend(inside.iter().map(String::as_str));
        }
        let said = self.run(&args, b"")?.map_err(|error| format!("`{prefix}` cannot be read: {error}"))?;
        let mut blobs = BTreeMap::new();
        for entry in said.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            let Some((about, path)) = entry.split_once('\t') else { continue };
            let mut about = about.split_whitespace();
            let (mode, kind, name, size) = (about.next(), about.next(), about.next(), about.next());
            // No link, and no repository within.
            if let (Some("100644" | "100755"), Some("blob"), Some(name), Some(Ok(size))) =
                (mode, kind, name, size.map(str::parse))
            {
                blobs.insert(path.to_string(), (name.to_string(), size));
            }
        }
        Ok(Tree { repo: self, prefix: format!("{prefix}:"), named: inside, blobs })
    }

    /// A path as git has it: from the top, with `/`.
    fn inside(&self, path: &Path) -> Result<String, String> {
        let whole = absolute(path)?;
        let below = whole
            .strip_prefix(&self.top)
            .map_err(|_| format!("`{}` is not in the repository `{}`", path.display(), self.top.display()))?;
        Ok(below.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/"))
    }
}

impl Tree<'_> {
    /// The rules of the revision: names and bytes.
    pub fn texts(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        // As on disk: a hidden folder is passed over, unless it is named.
        let below = |path: &str| self.named.iter().filter(|name| path.starts_with(*name)).map(String::len).max();
        let hidden = |path: &str| {
            let rest = path.get(below(path).unwrap_or(0)..).unwrap_or("");
            rest.rsplit('/').skip(1).any(|folder| folder.starts_with('.'))
        };
        let is_rules = |path: &str| {
            let path = Path::new(path);
            path.extension().is_some_and(|e| e == "trip") || load::is_sigma(path)
        };
        let wanted: Vec<(&String, &str)> = self
            .blobs
            .iter()
            .filter(|(path, _)| is_rules(path) && !hidden(path))
            .map(|(path, (name, _))| (path, name.as_str()))
            .collect();
        let names: String = wanted.iter().map(|(_, name)| format!("{name}\n")).collect();
        let said = self.repo.run(&["cat-file", "--batch"], names.as_bytes())??;
        let mut rest = said.as_slice();
        let mut out = Vec::with_capacity(wanted.len());
        for (path, _) in wanted {
            let bytes = next(&mut rest).ok_or_else(|| format!("git gives no content of `{}{path}`", self.prefix))?;
            out.push((format!("{}{path}", self.prefix), bytes.to_vec()));
        }
        Ok(out)
    }
}

/// One answer of `cat-file --batch`: `NAME blob SIZE`, the bytes, and the end of a line.
fn next<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (head, after) = rest.split_at_checked(end + 1)?;
    let size: usize = std::str::from_utf8(head).ok()?.trim_end().rsplit(' ').next()?.parse().ok()?;
    let (bytes, after) = after.split_at_checked(size)?;
    *rest = after.get(1..)?;
    Some(bytes)
}

/// Lists and tables of the revision, beside its rules.
impl Files for Tree<'_> {
    fn read(&self, beside: &str, name: &str) -> Result<String, String> {
        let beside = beside.strip_prefix(&self.prefix).ok_or("no files can be read here")?;
        let mut parts: Vec<&str> = beside.split('/').collect();
        parts.pop();
        for part in Path::new(name).components() {
            match part {
                Component::Normal(part) => parts.push(part.to_str().ok_or("its name is not UTF-8 text")?),
                Component::CurDir => {}
                _ => return Err("it may not lead out of its folder".into()),
            }
        }
        let (blob, size) = self.blobs.get(&parts.join("/")).ok_or("the revision has no such file")?;
        if *size > MAX_FILE {
            return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
        }
        let bytes = self.repo.run(&["cat-file", "blob", blob], b"")??;
        String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_string())
    }
}

fn line(said: &[u8]) -> String {
    String::from_utf8_lossy(said).trim().to_string()
}

/// A path from the root, links followed as far as it exists.
fn absolute(path: &Path) -> Result<PathBuf, String> {
    let whole = std::path::absolute(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    let mut missing = Vec::new();
    let mut there = whole.as_path();
    loop {
        if let Ok(found) = there.canonicalize() {
            return Ok(missing.iter().rev().fold(found, |path, part| path.join(part)));
        }
        match (there.file_name(), there.parent()) {
            (Some(name), Some(parent)) => {
                missing.push(name);
                there = parent;
            }
            _ => return Ok(whole),
        }
    }
}

/// Runs git; what it said, or its complaint. The outer error is that it could not be run.
fn git(folder: &Path, args: &[&str], input: &[u8]) -> Result<Result<Vec<u8>, String>, String> {
    let cannot = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            "there is no program `git`; install it, as revisions are read by it".to_string()
        }
        _ => format!("git cannot be run: {error}"),
    };
    let mut child = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(args)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(cannot)?;
    let pipe = child.stdin.take();
    let output = std::thread::scope(|scope| {
        // Written beside the reading, so that neither waits for the other.
        scope.spawn(move || pipe.map(|mut pipe| pipe.write_all(input)));
        child.wait_with_output()
    });
    let output = output.map_err(cannot)?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Ok(Err(said.lines().next().unwrap_or("git says nothing").trim_start_matches("fatal: ").to_string()))
}
