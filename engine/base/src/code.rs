//! Diagnostic codes: each is declared once, beside the code that reports it, with the page that
//! `check --explain` prints. The index in the docs is generated from these declarations.

use std::fmt;

/// How grave a diagnostic is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing, changes no exit code.
    Note,
    /// Likely a mistake; the item still loads.
    Warning,
    /// The item cannot be used.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Error => "error",
        })
    }
}

/// A kind of diagnostic.
#[derive(Debug)]
pub struct Code {
    /// Stable id, `T` and four digits.
    pub id: &'static str,
    /// Stable name in kebab case.
    pub name: &'static str,
    /// How grave.
    pub level: Level,
    /// One line: what is wrong.
    pub title: &'static str,
    /// What it means and how to mend it, in Markdown.
    pub page: &'static str,
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
impl Eq for Code {}

/// Declares codes and the list of them: `codes! { pub ALL; NAME = "T0101" error "kebab-name" "title" r"page"; … }`.
#[macro_export]
macro_rules! codes {
    ($(#[$all_meta:meta])* $vis:vis $all:ident; $($name:ident = $id:literal $level:ident $kebab:literal $title:literal $page:literal;)*) => {
        $(
            #[doc = $title]
            $vis static $name: $crate::Code = $crate::Code {
                id: $id,
                name: $kebab,
                level: $crate::codes!(@level $level),
                title: $title,
                page: $page,
            };
        )*
        $(#[$all_meta])*
        $vis static $all: &[&$crate::Code] = &[$(&$name),*];
    };
    (@level error) => { $crate::Level::Error };
    (@level warning) => { $crate::Level::Warning };
    (@level note) => { $crate::Level::Note };
}
