//! The checker: from trees to a [`Program`], with everything that is wrong on the way.

mod call;
mod compare;
mod expr;
mod feature;
mod inputs;
mod literal;
mod mapping;
mod outside;
mod path;
mod rule;
mod stateful;
mod table;
mod test;
mod together;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

pub use outside::{Outside, Record, expression_at};
use tripline_base::{Code, Diagnostic, Level, SourceMap, Span, did_you_mean};
use tripline_schema::{Class, ocsf};
use tripline_syntax::ast;

use crate::codes;
use crate::program::{Declared, Program, SourceInfo};
use crate::typed::{Kind, Linear, Subject, Ty, Typed, VarId};

/// Reads the files that lists and tables name.
pub trait Files {
    /// The text of `name`, as written in the `.trip` file `beside`.
    ///
    /// # Errors
    /// A sentence that says why it cannot be read.
    fn read(&self, beside: &str, name: &str) -> Result<String, String>;
}

/// No files at all.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, _: &str, _: &str) -> Result<String, String> {
        Err("no files can be read here".into())
    }
}

/// The most nodes that one item's expressions may have once definitions are inlined.
pub const MAX_NODES: usize = 50_000;

/// Checks files that were parsed together. `known` are sources that exist beside those that the files map.
pub fn check(
    files: &[ast::File],
    sources: &SourceMap,
    read: &dyn Files,
    known: BTreeMap<String, SourceInfo>,
) -> (Program, Vec<Diagnostic>) {
    let mut checker = Checker::new(sources, read, Program { sources: known, ..Program::default() });
    checker.run(files);
    let mut diagnostics = checker.diagnostics;
    tripline_base::diagnostic::sort(&mut diagnostics);
    (checker.program, diagnostics)
}

struct Checker<'a> {
    sources: &'a SourceMap,
    read: &'a dyn Files,
    program: Program,
    diagnostics: Vec<Diagnostic>,
    /// Every declared name, with its kind and place.
    names: HashMap<String, (&'static str, Span)>,
    defs: HashMap<String, ast::Def>,
    /// Regular expressions that compile, once each: definitions repeat theirs in every place that calls them.
    expressions: HashMap<String, Arc<Linear>>,
    /// Source to the classes its mapping gives.
    known_sources: BTreeMap<String, Vec<&'static str>>,
    features: HashMap<String, usize>,
    lists: HashMap<String, usize>,
    tables: HashMap<String, usize>,
    /// The item being checked.
    item: String,
    next_var: VarId,
    nodes: usize,
    /// The definitions being inlined, outermost first, with the place that calls each.
    def_stack: Vec<(String, Span)>,
    errors_in_item: usize,
    /// Whether the rule being checked was written in Sigma.
    of_sigma: bool,
}

/// What an expression may refer to.
#[derive(Clone)]
struct Scope {
    /// The class of plain paths; none where there are no events of a class (mappings).
    class: Option<&'static Class>,
    /// Plain paths are those of findings.
    finding: bool,
    /// Plain paths are the fields of a record.
    record: Option<std::sync::Arc<Record>>,
    /// Whether `raw.…` may be read.
    raw: bool,
    /// Whether `raw.…` reaches through arrays.
    loose: bool,
    /// Bindings, innermost last.
    bindings: Vec<Binding>,
    /// Steps of the sequence that are visible, with their classes.
    steps: Vec<(String, Subject)>,
    /// What each input of a window with several gives, with the type.
    given: Vec<(String, Ty)>,
    /// Whether aggregates may be used.
    aggregates: bool,
    /// Whether features may be read.
    features: bool,
    /// What this place is called, for messages.
    place: &'static str,
}

#[derive(Clone)]
struct Binding {
    name: String,
    value: Typed,
    declared: Option<usize>,
}

impl Scope {
    fn of_class(class: &'static Class, place: &'static str) -> Self {
        Scope { class: Some(class), ..Scope::raw_only(place) }
    }

    /// Events as they came.
    fn as_they_came(place: &'static str) -> Self {
        Scope { loose: true, ..Scope::raw_only(place) }
    }

    fn of_findings(place: &'static str) -> Self {
        Scope { finding: true, raw: false, ..Scope::raw_only(place) }
    }

    fn raw_only(place: &'static str) -> Self {
        Scope {
            class: None,
            finding: false,
            record: None,
            raw: true,
            loose: false,
            bindings: Vec::new(),
            steps: Vec::new(),
            given: Vec::new(),
            aggregates: false,
            features: false,
            place,
        }
    }
}

impl<'a> Checker<'a> {
    /// One that has seen nothing yet but this program.
    fn new(sources: &'a SourceMap, read: &'a dyn Files, program: Program) -> Self {
        Checker {
            sources,
            read,
            program,
            diagnostics: Vec::new(),
            names: HashMap::new(),
            defs: HashMap::new(),
            expressions: HashMap::new(),
            known_sources: BTreeMap::new(),
            features: HashMap::new(),
            lists: HashMap::new(),
            tables: HashMap::new(),
            item: String::new(),
            next_var: 0,
            nodes: 0,
            def_stack: Vec::new(),
            errors_in_item: 0,
            of_sigma: false,
        }
    }

    fn run(&mut self, files: &[ast::File]) {
        for file in files {
            for item in &file.items {
                self.declare(item);
            }
        }
        for source in self.program.sources.keys() {
            self.known_sources.entry(source.clone()).or_default();
        }
        // Mappings first: rules ask which sources and classes there are.
        let items = || files.iter().flat_map(|file| &file.items);
        for item in items() {
            if let ast::Item::Mapping(mapping) = item {
                let classes = self.known_sources.entry(mapping.source.text.clone()).or_default();
                for clause in &mapping.clauses {
                    if let ast::MappingClause::Arm(arm) = clause
                        && let Some(class) = ocsf().class(&arm.class.text)
                    {
                        classes.push(class.name);
                    }
                }
            }
        }
        for item in items() {
            self.item = item.name().text.clone();
            match item {
                ast::Item::List(list) => self.list(list),
                ast::Item::Table(table) => self.table(table),
                _ => {}
            }
        }
        for item in items() {
            self.begin(item);
            if let ast::Item::Feature(feature) = item {
                self.feature(feature);
            }
        }
        for item in items() {
            self.begin(item);
            match item {
                ast::Item::Mapping(mapping) => self.mapping(mapping),
                ast::Item::Rule(rule) => self.rule(rule),
                _ => {}
            }
        }
        self.finding_cycles();
        self.findings_of_readers();
    }

    fn begin(&mut self, item: &ast::Item) {
        self.item = item.name().text.clone();
        self.next_var = 0;
        self.nodes = 0;
        self.errors_in_item = 0;
        self.def_stack.clear();
    }

    fn declare(&mut self, item: &ast::Item) {
        let name = item.name();
        let kind = match item {
            ast::Item::Rule(_) => "rule",
            ast::Item::Mapping(_) => "mapping",
            ast::Item::Feature(_) => "feature",
            ast::Item::List(_) => "list",
            ast::Item::Table(_) => "table",
            ast::Item::Def(_) => "def",
        };
        self.item = name.text.clone();
        if let Some((before, span)) = self.names.get(&name.text).copied() {
            self.report(
                Diagnostic::new(&codes::DUPLICATE, name.span, format!("the name `{}` is taken", name.text))
                    .also(span, format!("by this {before}"))
                    .help("give one of them another name"),
            );
            return;
        }
        self.names.insert(name.text.clone(), (kind, name.span));
        if !matches!(kind, "rule" | "mapping") {
            self.program.declared.push(Declared { kind, name: name.text.clone(), span: name.span, used: false });
        }
        if let ast::Item::Def(def) = item {
            self.defs.insert(name.text.clone(), def.clone());
        }
    }

    fn report(&mut self, mut diagnostic: Diagnostic) {
        diagnostic.item.get_or_insert_with(|| self.item.clone());
        if diagnostic.level() == Level::Error {
            self.errors_in_item += 1;
        }
        self.diagnostics.push(diagnostic);
    }

    fn error(&mut self, code: &'static Code, span: Span, message: impl Into<String>) -> Typed {
        self.report(Diagnostic::new(code, span, message));
        self.wrong(span)
    }

    fn wrong(&self, span: Span) -> Typed {
        Typed { kind: Kind::Error, ty: Ty::Error, span }
    }

    fn make(&mut self, kind: Kind, ty: Ty, span: Span) -> Typed {
        self.nodes += 1;
        Typed { kind, ty, span }
    }

    fn fresh_var(&mut self) -> VarId {
        self.next_var += 1;
        self.next_var
    }

    fn use_name(&mut self, name: &str) {
        for declared in &mut self.program.declared {
            if declared.name == name && !matches!(declared.kind, "binding" | "parameter") {
                declared.used = true;
            }
        }
    }

    fn class(&mut self, name: &ast::Name) -> Option<&'static Class> {
        if let Some(class) = ocsf().class(&name.text) {
            return Some(class);
        }
        let hint = did_you_mean(&name.text, ocsf().classes().map(|class| class.name));
        self.report(
            Diagnostic::new(&codes::UNKNOWN_CLASS, name.span, format!("there is no OCSF class `{}`", name.text))
                .maybe_help(hint),
        );
        None
    }

    fn source_names(&mut self, names: &[ast::Name]) -> Vec<String> {
        for name in names {
            if !self.known_sources.contains_key(&name.text) {
                let hint = did_you_mean(&name.text, self.known_sources.keys().map(String::as_str)).or_else(|| {
                    let all: Vec<String> = self.known_sources.keys().map(|s| format!("`{s}`")).collect();
                    (!all.is_empty() && all.len() <= 12).then(|| format!("the sources are {}", all.join(", ")))
                });
                self.report(
                    Diagnostic::new(&codes::UNKNOWN_SOURCE, name.span, format!("there is no source `{}`", name.text))
                        .maybe_help(hint),
                );
            }
        }
        names.iter().map(|name| name.text.clone()).collect()
    }
}
