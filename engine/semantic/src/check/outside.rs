//! Expressions that stand outside of rules, over records that are no events: the conditions of routes and silences, and
//! the templates of messages, read from the text of a configuration.

use std::sync::Arc;

use tripline_base::{Diagnostic, SourceMap, Span, did_you_mean};
use tripline_event::Path;
use tripline_syntax::ast::{self, Quote};
use tripline_syntax::{parse_expression, parse_template_between};

use super::{Checker, NoFiles, Scope};
use crate::typed::{Kind, Root, Template, Ty, Typed};
use crate::{Program, codes};

/// What plain paths of an expression name: the fields of a record, with their types. They are lowered to places of the
/// raw value.
#[derive(Debug)]
pub struct Record {
    /// What messages call it: `an alert`.
    pub what: &'static str,
    /// Its fields.
    pub fields: Vec<(&'static str, Ty)>,
}

/// Checks expressions over a record. Lists and tables are those of a program.
pub struct Outside<'a> {
    checker: Checker<'a>,
    scope: Scope,
}

impl<'a> Outside<'a> {
    /// Expressions over `record` in texts of `sources`; `place` is what messages call where they stand.
    pub fn new(program: &Program, sources: &'a SourceMap, record: Arc<Record>, place: &'static str) -> Self {
        let own = Program { lists: program.lists.clone(), tables: program.tables.clone(), ..Program::default() };
        let mut checker = Checker::new(sources, &NoFiles, own);
        for (at, list) in program.lists.iter().enumerate() {
            checker.names.insert(list.name.clone(), ("list", list.name_span));
            checker.lists.insert(list.name.clone(), at);
        }
        for (at, table) in program.tables.iter().enumerate() {
            checker.names.insert(table.name.clone(), ("table", table.name_span));
            checker.tables.insert(table.name.clone(), at);
        }
        let scope = Scope { record: Some(record), raw: false, ..Scope::raw_only(place) };
        Outside { checker, scope }
    }

    fn begin(&mut self) {
        self.checker.nodes = 0;
        self.checker.errors_in_item = 0;
    }

    /// The condition that stands between the quotes at `span`; none where something was wrong and said.
    pub fn condition(&mut self, span: Span) -> Option<Typed> {
        self.parsed(span, |checker, expr, scope| checker.condition(expr, scope))
    }

    /// The value that stands between the quotes at `span`; none where something was wrong and said.
    pub fn value(&mut self, span: Span) -> Option<Typed> {
        self.parsed(span, |checker, expr, scope| checker.expr(expr, scope, None))
    }

    fn parsed(
        &mut self,
        span: Span,
        check: impl FnOnce(&mut Checker<'a>, &ast::Expr, &Scope) -> Typed,
    ) -> Option<Typed> {
        self.begin();
        let (expr, said) = expression_at(self.checker.sources, span);
        said.into_iter().for_each(|one| self.checker.report(one));
        let typed = check(&mut self.checker, &expr?, &self.scope);
        (self.checker.errors_in_item == 0).then_some(typed)
    }

    /// The template that stands in the quotes at `span`, a brace that is only a brace written twice; none where
    /// something was wrong and said.
    pub fn template(&mut self, span: Span) -> Option<Template> {
        self.begin();
        let sources = self.checker.sources;
        let words = sources.slice(span);
        let (quotes, quote) = quotes(words)?;
        // A line break behind three quotes is none of the text.
        let skipped = words
            .get(quotes..)
            .filter(|_| quotes == 3)
            .map_or(0, |text| usize::from(text.starts_with('\n')) + 2 * usize::from(text.starts_with("\r\n")));
        let (start, end) = (span.start as usize + quotes + skipped, (span.end as usize).saturating_sub(quotes));
        let (pieces, said) = parse_template_between(span.file, sources.text(span.file), start, end, quote);
        let scope = self.scope.clone();
        let template = self.checker.pieces(pieces, said, &scope);
        (self.checker.errors_in_item == 0).then_some(template)
    }

    /// What was said since it was last asked.
    pub fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        let mut said = std::mem::take(&mut self.checker.diagnostics);
        said.iter_mut().for_each(|one| one.item = None);
        said
    }
}

/// The expression that stands between the quotes of a text of TOML at `span`, and what is wrong with it. An escape
/// would move what comes after it.
pub fn expression_at(sources: &SourceMap, span: Span) -> (Option<ast::Expr>, Vec<Diagnostic>) {
    let words = sources.slice(span);
    let Some((quotes, quote)) = quotes(words) else { return (None, Vec::new()) };
    if quote == Quote::Double && words.contains('\\') {
        let said = Diagnostic::new(&codes::BAD_PATTERN, span, "an expression is written without escapes")
            .help("put it between single quotes: `'…'`");
        return (None, vec![said]);
    }
    let (start, end) = (span.start as usize + quotes, (span.end as usize).saturating_sub(quotes));
    parse_expression(span.file, sources.text(span.file), start, end)
}

/// How many quotes a text of TOML stands in, and whether there are escapes between them.
fn quotes(words: &str) -> Option<(usize, Quote)> {
    let kinds = [("'''", Quote::Single), ("\"\"\"", Quote::Double), ("'", Quote::Single), ("\"", Quote::Double)];
    kinds.into_iter().find(|(quotes, _)| words.starts_with(quotes)).map(|(quotes, quote)| (quotes.len(), quote))
}

impl Checker<'_> {
    /// A path over a record.
    pub(super) fn record_path(&mut self, record: &Record, root: &ast::Name, path: &ast::Path) -> Typed {
        if let Some((name, ty)) = record.fields.iter().find(|(name, _)| *name == root.text) {
            let place = Path::keys([*name]);
            let base = self.make(Kind::Path(Root::Raw, place), ty.clone(), path.span);
            return self.then(base, &path.steps, root.span, path.span);
        }
        let names: Vec<&str> = record.fields.iter().map(|(name, _)| *name).collect();
        let near = did_you_mean(&root.text, names.iter().copied());
        let message = format!("{} has no `{}`", record.what, root.text);
        let mut said = Diagnostic::new(&codes::UNKNOWN_FIELD, root.span, message);
        said = match near {
            Some(near) => said.help(near),
            None => {
                let quoted = path.steps.is_empty().then(|| format!("text stands in quotes: `\"{}\"`", root.text));
                said.help(format!("it has {}", names.join(", "))).maybe_help(quoted)
            }
        };
        self.report(said);
        self.wrong(path.span)
    }
}
