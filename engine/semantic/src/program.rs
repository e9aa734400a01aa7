//! Everything that one compilation checked.

use std::collections::BTreeMap;

use tripline_base::Span;
use tripline_event::{Path, View};

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
    /// Sources that are known beside the mappings, with where their fields stand.
    pub sources: BTreeMap<String, SourceInfo>,
    /// Names that were declared, and whether anything uses them.
    pub declared: Vec<Declared>,
}

/// What is known of a source without its mapping.
#[derive(Clone, Debug, Default)]
pub struct SourceInfo {
    /// Where fields stand.
    pub view: View,
    /// Tells its events from others: alternatives, each of fields that must have one of these values (any
    /// value, where none is listed). Empty: only the user can say that an event is of this source.
    pub detect: Vec<Vec<(Path, Vec<String>)>>,
    /// When an event happened, where no mapping tells it: the first of these that is a time.
    pub time: Vec<Path>,
    /// What names an event, where no mapping does: the first of these that is there.
    pub id: Vec<Path>,
    /// The number that goes up by one with every event, and what is numbered by itself: the values of these together.
    pub counter: Option<(Path, Vec<Path>)>,
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
