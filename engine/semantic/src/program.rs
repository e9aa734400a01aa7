//! Everything that one compilation checked.

use tripline_base::Span;

use crate::typed::{Feature, List, Mapping, Rule, Table};

/// The checked program.
#[derive(Debug, Default)]
pub struct Program {
    /// Rules in the order of their files.
    pub rules: Vec<Rule>,
    /// Mappings.
    pub mappings: Vec<Mapping>,
    /// Lists.
    pub lists: Vec<List>,
    /// Tables.
    pub tables: Vec<Table>,
    /// Features.
    pub features: Vec<Feature>,
    /// Names that were declared, and whether anything uses them.
    pub declared: Vec<Declared>,
}

/// A declared name.
#[derive(Clone, Debug)]
pub struct Declared {
    /// `list`, `table`, `def`, `feature`, `binding` or `parameter`.
    pub kind: &'static str,
    /// The name.
    pub name: String,
    /// Where it is declared.
    pub span: Span,
    /// Whether anything uses it.
    pub used: bool,
}
