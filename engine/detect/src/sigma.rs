//! Sigma rules and the taxonomy that tells what they look at, on their way into the compiler.

mod convert;

use std::collections::{BTreeMap, BTreeSet};

use tripline_base::{Diagnostic, FileId, Span};
use tripline_event::{Path, View};
use tripline_semantic::SourceInfo;
use tripline_sigma::{Detect, Document, Literal, Pipeline, SourceView, Taxonomy};
use tripline_syntax::ast;

pub use convert::Converted;
pub(crate) use convert::converted;

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
        for name in lowered.rules.iter().flat_map(convert::sources).collect::<BTreeSet<_>>() {
            known.entry(name.to_string()).or_default();
        }
        let items = lowered.rules.into_iter().map(ast::Item::Rule).collect();
        (ast::File { items, comments: Vec::new() }, known, lowered.diagnostics)
    }
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
    let paths = |fields: &[String]| -> Vec<Path> { fields.iter().map(|field| Path(View::steps(field))).collect() };
    let counter = source.gap.as_ref().map(|gap| (Path(View::steps(&gap.counter)), paths(&gap.by)));
    SourceInfo { view, detect, time: paths(&source.time), id: paths(&source.id), counter }
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
    let mut time: Vec<Path> = Vec::new();
    for field in taxonomy.sources.iter().flat_map(|source| &source.time) {
        let path = Path(View::steps(field));
        if !time.contains(&path) {
            time.push(path);
        }
    }
    SourceInfo { view, time, ..SourceInfo::default() }
}
