//! The test crate above all floors: the oracle, goldens over the whole compiler, shipped content, real
//! data, and the shape of the tree itself.
//!
//! Deliberately lacks: anything that the program uses.

pub mod fuzz;
pub mod generate;
pub mod oracle;
pub mod picture;

use std::path::PathBuf;

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Real data beside the repository, where it is there.
pub fn shared() -> Option<PathBuf> {
    let data = root().join("../shared/data");
    data.is_dir().then_some(data)
}
