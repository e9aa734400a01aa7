//! What the shipped rules and mappings do with real data, measured and written as a page: labelled tests of others,
//! recordings of attacks, background, raw and normalised pairs, and the schema.
//!
//! Invariants: the same content and data give the same page, byte for byte; it names rules, techniques, tests,
//! attributes and counts, and never an event.
//!
//! Deliberately lacks: the data, which lies beside the repository, and any judgement that no table states.

pub mod activity;
pub mod background;
pub mod content;
pub mod data;
pub mod hear;
pub mod labelled;
pub mod page;
pub mod pairs;
pub mod picture;
pub mod recordings;
pub mod summary;
pub mod tables;

use std::path::Path;

use tripline_detect::{Detector, Ruleset};

use crate::hear::Schema;
use crate::tables::Tables;

/// Everything that was measured.
pub struct Measured {
    /// How many rules run.
    pub rules: usize,
    /// How many sources have a mapping.
    pub mappings: usize,
    /// Labelled tests.
    pub labelled: labelled::Labelled,
    /// Recordings of attacks.
    pub recordings: recordings::Recordings,
    /// Background.
    pub background: background::Background,
    /// Raw and normalised pairs.
    pub pairs: pairs::Pairs,
    /// All logs against the schema.
    pub schema: Schema,
    /// Entries of the tables that no longer say anything true.
    pub stale: Vec<String>,
}

/// Measures everything.
///
/// # Errors
/// A sentence, where data, tables or content cannot be read.
pub fn measure(root: &Path, data: &Path) -> Result<Measured, String> {
    let tables = Tables::read(&root.join("testdata/report/tables"))?;
    let ruleset = content::shipped(root)?;
    let mut schema = Schema::default();
    let mut labelled = labelled::measure(&ruleset, &tables, data, &mut schema)?;
    let recordings = recordings::measure(&ruleset, data, &mut schema)?;
    schema.add(hear::look_all(&ruleset, &data::folder(&data.join("sigma-regression/events"), "")?));
    let background = background::measure(&ruleset, &tables, (root, data), &recordings, &labelled, &mut schema)?;
    let pairs = pairs::measure(&Detector::new(&ruleset), &tables, data, &mut schema)?;
    let mut stale = std::mem::take(&mut labelled.stale);
    stale.extend(background.stale.iter().cloned());
    stale.extend(pairs.stale.iter().cloned());
    Ok(Measured {
        rules: active(&ruleset),
        mappings: ruleset.ir.sources.iter().filter(|source| !source.arms.is_empty()).count(),
        labelled,
        recordings,
        background,
        pairs,
        schema,
        stale,
    })
}

/// How many rules judge logs.
fn active(ruleset: &Ruleset) -> usize {
    ruleset.active().filter(|rule| !rule.name.starts_with("tripline_")).count()
}
