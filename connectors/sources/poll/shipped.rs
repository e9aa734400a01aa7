//! The connectors that the program carries with it.

/// A connector: its file, and the file of its tests.
pub struct Shipped {
    /// Its name.
    pub name: &'static str,
    /// Its file.
    pub text: &'static str,
    /// Its tests.
    pub tests: Option<&'static str>,
}

include!(concat!(env!("OUT_DIR"), "/connectors.rs"));

/// All of them, by their names.
pub fn all() -> &'static [Shipped] {
    SHIPPED
}

/// Their names.
pub fn names() -> impl Iterator<Item = &'static str> {
    SHIPPED.iter().map(|one| one.name)
}

/// The file of one.
pub fn text(name: &str) -> Option<&'static str> {
    SHIPPED.iter().find(|one| one.name == name).map(|one| one.text)
}
