//! Processing pipelines, in pySigma's YAML: steps that change rules before they are lowered.
//!
//! Pipelines go in the order of their priority, and their steps in order. A step has conditions on the rule, on
//! the item and on the field; a pipeline with a step that is not known here is not applied at all.

mod act;
mod read;
mod test;

use indexmap::IndexMap;
use tripline_base::{Diagnostic, FileId, Span};

use crate::codes;
use crate::condition::Tree;
use crate::model::{LogSource, Named, Rule, Value};

/// A processing pipeline.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    /// `name`
    pub name: String,
    /// `priority`: those with lower numbers go first.
    pub priority: i64,
    /// `vars`: what placeholders stand for.
    vars: IndexMap<String, Vec<String>>,
    steps: Vec<Step>,
}

impl Pipeline {
    /// Reads a pipeline; none where a step of it cannot be read.
    pub fn parse(file: FileId, text: &str) -> (Option<Pipeline>, Vec<Diagnostic>) {
        read::read(file, text)
    }
}

#[derive(Clone, Debug)]
struct Step {
    id: Option<String>,
    span: Span,
    rule: Gate,
    item: Gate,
    field: Gate,
    action: Action,
}

/// Conditions with how they are joined; without any it is open.
#[derive(Clone, Debug, Default)]
struct Gate {
    tests: Vec<Test>,
    /// Whether one of them is enough.
    any: bool,
    negated: bool,
    /// In place of `any`.
    expression: Option<Tree>,
}

#[derive(Clone, Debug)]
enum Test {
    Logsource(LogSource),
    ContainsField(String),
    ContainsItem(String, Value),
    Applied(String),
    State(String, String),
    IsRule(bool),
    Attribute { attribute: String, value: String, op: String },
    Tag(String),
    MatchString { pattern: regex::Regex, negated: bool, any: bool },
    MatchValue { value: Value, any: bool },
    Wildcard { any: bool },
    Null { any: bool },
    Fields { names: Vec<String>, patterns: Vec<regex::Regex>, included: bool },
}

/// Old names with what takes their place.
type Mapping = IndexMap<String, Vec<String>>;

#[derive(Clone, Debug)]
enum Action {
    MapFields(Mapping),
    MapPrefixes(Mapping),
    Prefix(String),
    Suffix(String),
    Drop,
    ChangeLogsource(LogSource),
    AddCondition { detections: IndexMap<String, Named>, template: bool, negated: bool },
    Replace { pattern: regex::Regex, replacement: String },
    MapStrings(Mapping),
    SetValue(Value),
    ToText,
    ToNumber,
    Case(String),
    Hashes { algorithms: Vec<String>, prefix: String, drop_algorithm: bool },
    Placeholders { wildcard: bool, include: Option<Vec<String>>, exclude: Vec<String> },
    SetState(String, String),
    RuleFailure(String),
    ItemFailure(String),
    Nest(Vec<Step>),
    Ignored(String),
}

/// Applies pipelines to the rules; one that a pipeline refuses is left out.
pub(crate) fn apply(pipelines: &[Pipeline], rules: &mut Vec<Rule>, out: &mut Vec<Diagnostic>) {
    let mut ordered: Vec<&Pipeline> = pipelines.iter().collect();
    ordered.sort_by_key(|pipeline| pipeline.priority);
    // What one pipeline gives a value, all may use.
    let mut vars = IndexMap::new();
    for pipeline in &ordered {
        vars.extend(pipeline.vars.clone());
        for step in &pipeline.steps {
            if let Action::Ignored(name) = &step.action {
                let message = format!("`{name}` does nothing here");
                out.push(Diagnostic::new(&codes::PIPELINE_IGNORED, step.span, message));
            }
        }
    }
    rules.retain_mut(|rule| {
        let from = out.len();
        let mut kept = true;
        for pipeline in &ordered {
            kept = kept && act::steps(&pipeline.steps, rule, &vars, out);
        }
        for said in out.iter_mut().skip(from) {
            said.item = Some(rule.header.label().to_string());
        }
        kept
    });
}
