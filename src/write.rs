//! A file of the user's in place of itself: whole or not at all, and only where nobody changed it meanwhile. It keeps its
//! owner and mode, and a link to it stays one.

use std::fs::{File, Metadata, OpenOptions};
use std::io::Write as _;
use std::path::Path;

/// Writes `after` where `before` stands.
///
/// # Errors
/// Why it was not written; the file is then as it was.
pub fn replace(path: &Path, before: &str, after: &str) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be written: {error}", path.display());
    if std::fs::read_to_string(path).map_err(failed)? != *before {
        return Err(format!("`{}` has changed meanwhile; try again", path.display()));
    }
    // What a link names is written, and not the link.
    let real = path.canonicalize().map_err(failed)?;
    let about = std::fs::metadata(&real).map_err(failed)?;
    let mut name = real.as_os_str().to_owned();
    name.push(".new");
    let beside = Path::new(&name);
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => format!(
            "`{}` cannot be written: `{}` is there already; where no other command is writing it, remove it",
            path.display(),
            beside.display()
        ),
        _ => format!("`{}` cannot be written by way of `{}`: {error}", path.display(), beside.display()),
    };
    let mut file = create(beside, &about).map_err(failed)?;
    let written = file.write_all(after.as_bytes()).and_then(|()| keep(&file, &about)).and_then(|()| file.sync_all());
    written.and_then(|()| std::fs::rename(beside, &real)).map_err(|error| {
        // What is left of it is of no use to anybody.
        let _ = std::fs::remove_file(beside);
        failed(error)
    })
}

/// A new file that nobody can read who cannot read the old one.
#[cfg(unix)]
fn create(path: &Path, like: &Metadata) -> std::io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    OpenOptions::new().write(true).create_new(true).mode(like.mode() & 0o700).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path, _: &Metadata) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Gives a file the owner of another, where that may be done, and its mode.
fn keep(file: &File, like: &Metadata) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        // Who may not give a file away leaves it his own, as an editor does.
        let owner = std::os::unix::fs::fchown(file, Some(like.uid()), Some(like.gid()));
        let _ = owner.or_else(|_| std::os::unix::fs::fchown(file, None, Some(like.gid())));
    }
    file.set_permissions(like.permissions())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_a_link_names_is_written_with_the_mode_that_it_had() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.toml"), folder.path().join("a.toml"));
        std::fs::write(&real, "before").unwrap();
        std::fs::set_permissions(&real, std::fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.toml", &link).unwrap();
        replace(&link, "before", "after").unwrap();
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "after");
        assert_eq!(std::fs::metadata(&real).unwrap().permissions().mode() & 0o777, 0o640);
        // What another command left behind is named.
        std::fs::write(folder.path().join("real.toml.new"), "").unwrap();
        let why = replace(&link, "after", "again").unwrap_err();
        assert!(why.contains("real.toml.new` is there already"), "{why}");
        assert_eq!(std::fs::read_to_string(&real).unwrap(), "after");
    }
}
