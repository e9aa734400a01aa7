//! Lists, tables and fixtures on disk, found from the `.trip` file that names them.

use std::path::{Component, Path, PathBuf};

use tripline_semantic::Files;

/// The largest list, table or fixture, in bytes.
const MAX_FILE: u64 = 64 << 20;

/// Where fixtures are looked for, for people.
pub(crate) const LOOKED_FOR: &str = "fixtures are looked for beside the `.trip` file, then in `fixtures/` and \
                                     `testdata/events/` of its folder and of each folder above";

/// Files beside `.trip` files.
#[derive(Clone, Copy, Debug, Default)]
pub struct DiskFiles;

fn inside(name: &str) -> Result<&Path, String> {
    let path = Path::new(name);
    if path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        Ok(path)
    } else {
        Err("it may not lead out of its folder".into())
    }
}

fn read(path: &Path) -> Result<String, String> {
    let about = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !about.is_file() {
        return Err("it is not a file".into());
    }
    if about.len() > MAX_FILE {
        return Err(format!("it is larger than {} MiB", MAX_FILE >> 20));
    }
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8 text".to_string())
}

impl Files for DiskFiles {
    fn read(&self, beside: &str, name: &str) -> Result<String, String> {
        let folder = Path::new(beside).parent().unwrap_or_else(|| Path::new("."));
        read(&folder.join(inside(name)?))
    }
}

/// Where the fixtures of tests are found.
pub trait FixtureFiles {
    /// The text of the fixture `name` of the `.trip` file `beside`.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn fixture(&self, beside: &str, name: &str) -> Result<String, String>;
}

impl FixtureFiles for DiskFiles {
    fn fixture(&self, beside: &str, name: &str) -> Result<String, String> {
        DiskFiles::fixture(self, beside, name)
    }
}

impl DiskFiles {
    /// The text of a test's fixture: beside the file, then in `fixtures/` and `testdata/events/` of its
    /// folder and of each folder above, up to the root of the repository.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn fixture(&self, beside: &str, name: &str) -> Result<String, String> {
        let name = inside(name)?;
        let start = Path::new(beside).parent().unwrap_or_else(|| Path::new("."));
        let start = if start.as_os_str().is_empty() { Path::new(".") } else { start };
        let mut folder: PathBuf = std::fs::canonicalize(start).map_err(|error| error.to_string())?;
        loop {
            for candidate in
                [folder.join(name), folder.join("fixtures").join(name), folder.join("testdata/events").join(name)]
            {
                if candidate.is_file() {
                    return read(&candidate);
                }
            }
            let root = folder.join(".git").exists() || folder.join("tripline.toml").exists();
            if root || !folder.pop() {
                break;
            }
        }
        Err("there is no such file".into())
    }
}
