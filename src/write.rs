//! A file of the user's in place of itself: whole or not at all, and only where nobody changed it meanwhile.

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
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let beside = Path::new(&name);
    let write = || {
        let mut file = std::fs::File::create_new(beside)?;
        file.write_all(after.as_bytes())?;
        file.set_permissions(std::fs::metadata(path)?.permissions())?;
        file.sync_all()?;
        std::fs::rename(beside, path)
    };
    write().map_err(|error| {
        // What is left of it is of no use to anybody.
        if error.kind() != std::io::ErrorKind::AlreadyExists {
            let _ = std::fs::remove_file(beside);
        }
        failed(error)
    })
}
