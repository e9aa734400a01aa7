//! Texts in, a [`Ruleset`] and diagnostics out.

use std::sync::{Arc, OnceLock};

use tripline_base::{Code, Diagnostic, FileId, Level, SourceMap, Span};
use tripline_ir as ir;
use tripline_plan::Options;
use tripline_plan::index::Index;
use tripline_semantic::{Files, Program};
use tripline_syntax::ast;

use crate::packs::{self, Local, Pack};
use crate::sigma::{self, Converted, Sigma};
use crate::told::RuleTold;

/// Takes `.trip` texts and compiles them together.
#[derive(Default)]
pub struct Compiler {
    sources: SourceMap,
    files: Vec<ast::File>,
    diagnostics: Vec<Diagnostic>,
    options: Options,
    sigma: Sigma,
    packs: Vec<Pack>,
    local: Local,
}

/// A compiled program. What could not be used is in `diagnostics`; the rest runs.
#[derive(Debug)]
pub struct Ruleset {
    /// The texts.
    pub sources: SourceMap,
    /// The checked program.
    pub program: Program,
    /// What is evaluated.
    pub ir: Arc<ir::Program>,
    /// Names the rules that can match an event; none where it was switched off.
    pub index: Option<Arc<Index>>,
    /// Everything said about the texts, in their order.
    pub diagnostics: Vec<Diagnostic>,
    /// The packs that there are.
    pub packs: Vec<Pack>,
    /// Per rule, what its findings tell alike.
    told: Vec<OnceLock<Option<Box<RuleTold>>>>,
}

/// Every code that any floor can report, by id.
pub fn all_codes() -> Vec<&'static Code> {
    let mut all: Vec<&'static Code> = [
        tripline_syntax::codes::ALL,
        tripline_semantic::codes::ALL,
        tripline_semantic::lint::ALL,
        tripline_sigma::codes::ALL,
    ]
    .concat();
    all.sort_by_key(|code| code.id);
    all
}

impl Compiler {
    /// An empty compiler.
    pub fn new() -> Self {
        Self::default()
    }

    /// Chooses which passes run.
    #[must_use]
    pub fn with_options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// Takes a text in, under the name that people know it by.
    pub fn add(&mut self, name: &str, text: &str) -> FileId {
        let id = self.sources.add(name, text);
        let parse = tripline_syntax::parse_file(id, text);
        self.files.push(parse.file);
        self.diagnostics.extend(parse.diagnostics);
        id
    }

    /// Takes a taxonomy file in, which tells what sources there are and what log sources of Sigma mean. What it says
    /// counts before what earlier ones say.
    pub fn add_taxonomy(&mut self, name: &str, bytes: &[u8]) -> FileId {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let id = self.sources.add(name, text);
                self.diagnostics.extend(self.sigma.taxonomy(id, name, text));
                id
            }
            Err(error) => self.not_text(name, bytes, error.valid_up_to()),
        }
    }

    /// Every Sigma rule looks at every event of the source `any`, whatever its log source.
    pub fn any_source(&mut self) {
        self.sigma.any_source();
    }

    /// Takes a processing pipeline of Sigma rules in.
    pub fn add_pipeline(&mut self, name: &str, bytes: &[u8]) -> FileId {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let id = self.sources.add(name, text);
                self.diagnostics.extend(self.sigma.pipeline(id, text));
                id
            }
            Err(error) => self.not_text(name, bytes, error.valid_up_to()),
        }
    }

    /// Takes the Sigma documents of a file in.
    pub fn add_sigma(&mut self, name: &str, bytes: &[u8]) -> FileId {
        match std::str::from_utf8(bytes) {
            Ok(text) => {
                let id = self.sources.add(name, text);
                self.diagnostics.extend(self.sigma.add(id, name, text));
                id
            }
            Err(error) => self.not_text(name, bytes, error.valid_up_to()),
        }
    }

    fn not_text(&mut self, name: &str, bytes: &[u8], at: usize) -> FileId {
        let text = String::from_utf8_lossy(bytes);
        let id = self.sources.add(name, text.as_ref());
        let span = tripline_base::Span::new(id, at, at);
        self.diagnostics.push(
            Diagnostic::new(&tripline_syntax::codes::NOT_TEXT, span, "the file is not UTF-8 text from here on")
                .help("save it as UTF-8"),
        );
        id
    }

    /// Takes a file's bytes in: rules and mappings, or what says that a folder is a pack. What is no UTF-8 is a
    /// diagnostic.
    pub fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        match std::str::from_utf8(bytes) {
            Ok(text) if packs::is_pack_file(name) => {
                let (pack, said) = packs::read(&mut self.sources, &self.packs, name, text);
                self.packs.extend(pack);
                self.diagnostics.extend(said);
            }
            Ok(text) => {
                self.add(name, text);
            }
            Err(error) => {
                self.not_text(name, bytes, error.valid_up_to());
            }
        }
    }

    /// What a configuration makes of packs and rules.
    pub fn configure(&mut self, local: &Local) {
        self.local = local.clone();
    }

    /// The Sigma rules that were taken in as text of this language, and what compiling them comes to.
    pub fn convert(self, read: &dyn Files, today: i64) -> (Ruleset, Vec<Converted>) {
        let (of_sigma, ruleset) = self.whole(read, today, true);
        let converted = sigma::converted(of_sigma, &ruleset);
        (ruleset, converted)
    }

    /// Compiles what was taken in. `today` (nanoseconds since 1970, UTC) is what expired exceptions are
    /// judged by.
    pub fn compile(self, read: &dyn Files, today: i64) -> Ruleset {
        self.whole(read, today, false).1
    }

    /// The tree of the rules that come from Sigma, where it is to be kept, and the whole.
    fn whole(self, read: &dyn Files, today: i64, keep: bool) -> (ast::File, Ruleset) {
        let Compiler { mut sources, mut files, mut diagnostics, options, sigma, packs, local } = self;
        let (of_sigma, known, said) = sigma.lower();
        files.push(of_sigma);
        diagnostics.extend(said);
        diagnostics.extend(local.except(&packs, &mut sources, &mut files));
        let (mut program, found) = tripline_semantic::check(&files, &sources, read, known);
        diagnostics.extend(found);
        local.apply(&packs, &sources, &mut program.rules);
        diagnostics.extend(tripline_semantic::lint::lint(&program, &sources, today));
        tripline_base::diagnostic::sort(&mut diagnostics);
        // What is wrong with an exception of a configuration is wrong with each rule that it is of.
        diagnostics.dedup_by(|a, b| (a.code.id, a.span(), &a.message) == (b.code.id, b.span(), &b.message));
        // The trees are as large as the program, and done with.
        let of_sigma = if keep { files.pop() } else { None };
        drop(files);
        let ir = Arc::new(tripline_plan::plan(&program, options));
        let index = options.index.then(|| Arc::new(Index::new(&ir)));
        let told = program.rules.iter().map(|_| OnceLock::new()).collect();
        (of_sigma.unwrap_or_default(), Ruleset { sources, program, ir, index, diagnostics, packs, told })
    }
}

impl Ruleset {
    /// Whether any diagnostic is an error.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(|d| d.level() == Level::Error)
    }

    /// What all findings of a rule tell alike.
    pub(crate) fn told(&self, rule: usize) -> Option<&RuleTold> {
        let make = || RuleTold::new(self.program.rules.get(rule)?).map(Box::new);
        self.told.get(rule)?.get_or_init(make).as_deref()
    }

    /// What is written there, on one line.
    pub(crate) fn words(&self, span: Span) -> String {
        self.sources.slice(span).split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The pack that a rule is of.
    pub fn pack(&self, rule: &tripline_semantic::typed::Rule) -> Option<&Pack> {
        packs::of(&self.packs, &self.sources, rule)
    }

    /// Rules that run.
    pub fn active(&self) -> impl Iterator<Item = &tripline_semantic::typed::Rule> {
        self.program.rules.iter().filter(|rule| tripline_plan::is_planned(rule))
    }

    /// Rules with an error, by name.
    pub fn broken(&self) -> Vec<&str> {
        self.program.rules.iter().filter(|rule| rule.broken).map(|rule| rule.name.as_str()).collect()
    }

    /// The names of all sources.
    pub fn source_names(&self) -> Vec<&str> {
        self.ir.sources.iter().map(|source| source.name.as_str()).collect()
    }
}
