//! Sigma rules and the taxonomy that tells what they look at, on their way into the compiler.

use std::collections::{BTreeMap, BTreeSet};

use tripline_base::{Diagnostic, FileId, Span};
use tripline_event::{Path, View};
use tripline_semantic::SourceInfo;
use tripline_sigma::{Detect, Document, Literal, Pipeline, SourceView, Taxonomy};
use tripline_syntax::ast;

use crate::Ruleset;

/// The source of events of which someone says that every rule may look at them.
pub const ANY_SOURCE: &str = "any";

/// What was taken in.
#[derive(Default)]
pub struct Sigma {
    documents: Vec<Document>,
    taxonomy: Taxonomy,
    pipelines: Vec<Pipeline>,
    any_source: bool,
}

impl Sigma {
    /// Takes a taxonomy file in.
    pub fn taxonomy(&mut self, file: FileId, name: &str, text: &str) -> Option<Diagnostic> {
        match Taxonomy::parse(name, text) {
            Ok(taxonomy) => self.taxonomy.merge(taxonomy),
            Err(error) => {
                let span = Span::new(file, error.range.start, error.range.end);
                let message = format!("{}{}", error.place, error.reason);
                return Some(Diagnostic::new(&tripline_sigma::codes::TAXONOMY, span, message));
            }
        }
        None
    }

    /// Every rule looks at every event of the source [`ANY_SOURCE`].
    pub fn any_source(&mut self) {
        self.any_source = true;
    }

    /// Takes a processing pipeline in.
    pub fn pipeline(&mut self, file: FileId, text: &str) -> Vec<Diagnostic> {
        let (pipeline, said) = Pipeline::parse(file, text);
        self.pipelines.extend(pipeline);
        said
    }

    /// Takes the documents of a file in.
    pub fn add(&mut self, file: FileId, name: &str, text: &str) -> Vec<Diagnostic> {
        let mut parsed = tripline_sigma::parse(file, text);
        if let Some(stem) = std::path::Path::new(name).file_stem() {
            let stem = stem.to_string_lossy();
            parsed.documents.iter_mut().for_each(|document| document.set_stem(&stem));
        }
        self.documents.extend(parsed.documents);
        parsed.diagnostics
    }

    /// The rules as a file of the native language, the sources that are known, and what is wrong.
    pub fn lower(self) -> (ast::File, BTreeMap<String, SourceInfo>, Vec<Diagnostic>) {
        let options = tripline_sigma::Options { any_source: self.any_source };
        let lowered = tripline_sigma::lower(self.documents, &self.taxonomy, &self.pipelines, &options);
        let mut known: BTreeMap<String, SourceInfo> =
            self.taxonomy.sources.iter().map(|source| (source.name.clone(), info(source))).collect();
        if self.any_source {
            known.insert(ANY_SOURCE.to_string(), everything(&self.taxonomy));
        }
        // A log source that no taxonomy has is reached by its name.
        let named = |rule: &ast::Rule| {
            rule.clauses
                .iter()
                .filter_map(|clause| match clause {
                    ast::RuleClause::On(on) => Some(on.from.iter().map(|name| name.text.clone()).collect::<Vec<_>>()),
                    _ => None,
                })
                .flatten()
                .collect::<Vec<_>>()
        };
        for name in lowered.rules.iter().flat_map(named).collect::<BTreeSet<_>>() {
            known.entry(name).or_default();
        }
        let items = lowered.rules.into_iter().map(ast::Item::Rule).collect();
        (ast::File { items, comments: Vec::new() }, known, lowered.diagnostics)
    }
}

/// A Sigma rule as a rule of this language.
#[derive(Clone, Debug)]
pub struct Converted {
    /// Its name.
    pub name: String,
    /// Its id.
    pub id: Option<String>,
    /// The file that it comes from.
    pub file: FileId,
    /// The source of its events.
    pub source: String,
    /// Its text, formatted; or why there is none.
    pub text: Result<String, String>,
}

/// The rules that have no error, as text.
pub(crate) fn converted(rules: ast::File, ruleset: &Ruleset) -> Vec<Converted> {
    let broken: BTreeSet<&str> = ruleset.broken().into_iter().collect();
    let mut out = Vec::new();
    for item in rules.items {
        let ast::Item::Rule(rule) = item else { continue };
        if broken.contains(rule.name.text.as_str()) {
            continue;
        }
        let checked = ruleset.program.rules.iter().find(|one| one.name == rule.name.text);
        let from = rule.clauses.iter().find_map(|clause| match clause {
            ast::RuleClause::On(on) => on.from.first().map(|name| name.text.clone()),
            _ => None,
        });
        let source = from.unwrap_or_default();
        let mapped = ruleset.program.mappings.iter().any(|mapping| mapping.source == source);
        let laid_out = ruleset.program.sources.get(&source).is_some_and(|info| !info.view.shapes.is_empty());
        let text = match mapped || laid_out {
            true => tripline_sigma::rule_text(&rule).map_err(|_| "it cannot be written in this language".to_string()),
            false => Err(format!(
                "no taxonomy knows its log source; add a source `{source}` and the log source to one, and name it with \
                 `--taxonomy`"
            )),
        };
        out.push(Converted {
            name: rule.name.text.clone(),
            id: checked.and_then(|checked| checked.header.id.clone()),
            file: rule.span.file,
            source,
            text,
        });
    }
    out
}

fn info(source: &SourceView) -> SourceInfo {
    let mut view = View::default();
    lay_out(&mut view, source);
    let wanted = |(field, detect): (&String, &Detect)| {
        let values = match detect {
            Detect::Exists => Vec::new(),
            Detect::OneOf(values) => values
                .iter()
                .map(|value| match value {
                    Literal::Text(text) => text.clone(),
                    Literal::Int(number) => number.to_string(),
                })
                .collect(),
        };
        (Path(View::steps(field)), values)
    };
    let detect = source.detect.iter().map(|fields| fields.iter().map(wanted).collect()).collect();
    SourceInfo { view, detect }
}

/// Adds where the fields of a source stand.
fn lay_out(view: &mut View, source: &SourceView) {
    for shape in &source.shapes {
        view.shape(shape);
    }
    for (field, places) in &source.fields {
        for place in places {
            view.field(field, place);
        }
    }
}

/// The fields of every source, for events of which none is known.
fn everything(taxonomy: &Taxonomy) -> SourceInfo {
    let mut view = View::default();
    view.shape("{}");
    for source in &taxonomy.sources {
        lay_out(&mut view, source);
    }
    SourceInfo { view, detect: Vec::new() }
}
