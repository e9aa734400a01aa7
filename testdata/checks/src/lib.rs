//! The test crate above all floors: the oracle, goldens over the whole compiler, shipped content, real
//! data, and the shape of the tree itself.
//!
//! Deliberately lacks: anything that the program uses.

pub mod fuzz;
pub mod generate;
pub mod oracle;
pub mod picture;
pub mod streaming;

use std::path::PathBuf;

/// The root of the repository: asked when the tests run, as built files may have come from another clone.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    here.map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from).join("../..")
}

/// Real data beside the repository, where it is there.
pub fn shared() -> Option<PathBuf> {
    let data = root().join("../shared/data");
    data.is_dir().then_some(data)
}

/// Takes the shipped taxonomy in.
///
/// # Panics
/// Where it cannot be read.
#[expect(clippy::expect_used, reason = "without the taxonomy there is nothing to test")]
pub fn taxonomy(compiler: &mut tripline_detect::Compiler) {
    let folder = std::fs::read_dir(root().join("connectors/taxonomy")).expect("the taxonomy");
    let mut files: Vec<PathBuf> = folder.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    for path in files {
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        compiler.add_taxonomy(&name, &std::fs::read(&path).expect("a file"));
    }
}
