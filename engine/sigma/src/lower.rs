//! From documents to rules of the native language, so that everything behind is shared.
//!
//! A field F of a Sigma rule is `raw.F`. A rule becomes `on event from SOURCE where GUARD and (DETECTION)`: the
//! guard says which events of the source its log source means, and where those have other field names the
//! detection is lowered again with them. An item whose placeholders have no value is `false`: it matches
//! nothing, and under `not` it takes nothing away.

mod correlation;
mod header;
mod item;
mod logsource;

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use tripline_base::{Diagnostic, Level, Span};
use tripline_syntax::ast::{Dialect, Expr, On, Rule as NativeRule, RuleClause, Where};

use crate::build::{and, name, not, or};
use crate::codes;
use crate::condition::{self, Tree};
use crate::correlation::{Correlation, When, check};
use crate::filter;
use crate::model::{Condition, Document, Item, Named, Rule, Search, Value, Word};
use crate::pipeline::{self, Pipeline};
use crate::taxonomy::{Provider, Resolved, Taxonomy};
use header::Names;

/// The most parts that a rule may come to.
const MAX_PARTS: usize = 100_000;

/// How rules are lowered.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// No guard of the log source, and no source: for events that someone says are meant.
    pub any_source: bool,
}

/// Rules, ready for the checker.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// One for each Sigma rule that could be lowered and gives findings, in order; then the correlations.
    pub rules: Vec<NativeRule>,
    /// Correlations whose every part was found.
    pub correlations: Vec<Correlation>,
    /// What is wrong, or worth knowing.
    pub diagnostics: Vec<Diagnostic>,
}

/// Lowers all documents that are loaded together.
pub fn lower(documents: Vec<Document>, taxonomy: &Taxonomy, pipelines: &[Pipeline], options: &Options) -> Lowered {
    let mut out = Lowered::default();
    let (mut rules, mut correlations, mut filters) = (Vec::new(), Vec::new(), Vec::new());
    for document in documents {
        match document {
            Document::Rule(rule) => rules.push(rule),
            Document::Correlation(correlation) => correlations.push(correlation),
            Document::Filter(filter) => filters.push(filter),
        }
    }
    duplicates(&rules, &correlations, &mut out.diagnostics);
    filter::apply(&filters, &mut rules, &mut out.diagnostics);
    out.correlations = check(correlations, &rules, &mut out.diagnostics);
    ask(&mut rules, &out.correlations);
    pipeline::apply(pipelines, &mut rules, &mut out.diagnostics);

    let mut names = Names::default();
    let mut bases = Vec::new();
    for mut rule in rules {
        let label = names.take(&rule.header);
        let from = out.diagnostics.len();
        let asked = answered(&mut rule);
        let found = one(&rule, &label, taxonomy, options, &mut out.diagnostics);
        for said in out.diagnostics.iter_mut().skip(from) {
            said.item = Some(label.clone());
        }
        let (native, providers) = found.map_or((None, Vec::new()), |(native, providers)| (Some(native), providers));
        bases.push(Base { rule, native, providers, asked });
    }
    let correlated = correlation::lower(&out.correlations, &bases, &mut names, &mut out.diagnostics);
    let shown = bases.into_iter().enumerate().filter(|(at, _)| !correlated.hidden.contains(at));
    out.rules = shown.filter_map(|(_, base)| base.native).collect();
    out.rules.extend(correlated.rules);
    tripline_base::diagnostic::sort(&mut out.diagnostics);
    out
}

/// A rule that correlations may name.
struct Base {
    rule: Rule,
    /// None where something about it is wrong.
    native: Option<NativeRule>,
    /// Kinds of events, where they have other names for fields.
    providers: Vec<Provider>,
    /// Fields that correlations ask for, with the names that pipelines gave them.
    asked: BTreeMap<String, Vec<String>>,
}

/// A search identifier that no condition can name: it holds the fields that correlations ask for, so that pipelines
/// rename them like any other.
const ASKED: &str = "\0asked";

/// The field of a rule that a correlation means by a name.
fn asked<'c>(correlation: &'c Correlation, rule: &Word, name: &'c str) -> &'c str {
    let alias = correlation.aliases.iter().find(|alias| alias.name.text == name);
    let own = alias.and_then(|alias| alias.fields.iter().find(|(of, _)| of.text == rule.text));
    own.map_or(name, |(_, field)| field.as_str())
}

fn ask(rules: &mut [Rule], correlations: &[Correlation]) {
    for rule in rules {
        let mut wanted: BTreeSet<&str> = BTreeSet::new();
        for correlation in correlations {
            let counted = match &correlation.condition {
                When::Number { fields, .. } => fields.as_slice(),
                _ => &[],
            };
            for word in correlation.rules.iter().filter(|word| rule.header.answers_to(&word.text)) {
                let names = correlation.group_by.iter().chain(counted);
                wanted.extend(names.map(|name| asked(correlation, word, &name.text)));
            }
        }
        let span = rule.header.span;
        let item = |field: &str| {
            let values = vec![(Value::Exists(true), span)];
            let field = Some(field.to_string());
            let item = Item { span, key_span: span, field, values, all: false, negated: false, applied: Vec::new() };
            Search::All(vec![Search::Item(item)], span)
        };
        for field in wanted {
            let name = format!("{ASKED}{field}");
            rule.detections.insert(name, Named { name_span: span, search: item(field) });
        }
    }
}

/// Takes out what was asked: each field with the names that it has now.
fn answered(rule: &mut Rule) -> BTreeMap<String, Vec<String>> {
    let mut out = BTreeMap::new();
    rule.detections.retain(|name, named| {
        let Some(field) = name.strip_prefix(ASKED) else { return true };
        let mut names: Vec<String> = Vec::new();
        named.search.items_mut(&mut |item| names.extend(item.field.clone()));
        if !names.is_empty() {
            out.insert(field.to_string(), names);
        }
        false
    });
    out
}

fn duplicates(rules: &[Rule], correlations: &[Correlation], out: &mut Vec<Diagnostic>) {
    let mut seen = BTreeMap::new();
    let headers = rules.iter().map(|rule| &rule.header).chain(correlations.iter().map(|c| &c.header));
    for id in headers.filter_map(|header| header.id.as_ref()) {
        let first = *seen.entry(id.text.to_lowercase()).or_insert(id.span);
        if first != id.span {
            let message = format!("another rule has the id `{}`", id.text);
            out.push(Diagnostic::new(&codes::DUPLICATE_RULE, id.span, message).also(first, "here"));
        }
    }
}

/// One rule; none where something about it is wrong.
fn one(
    rule: &Rule,
    label: &str,
    taxonomy: &Taxonomy,
    options: &Options,
    out: &mut Vec<Diagnostic>,
) -> Option<(NativeRule, Vec<Provider>)> {
    let from = out.len();
    let trees: Vec<Option<Alternative>> =
        rule.conditions.iter().map(|c| Alternative::read(c, &rule.detections, out)).collect();
    let trees: Vec<Alternative> = trees.into_iter().collect::<Option<_>>()?;
    unused(rule, &trees, out);
    let resolved = logsource::resolve(&rule.logsource, taxonomy, options, out);
    let mut lowering = Lowering { renames: None, spent: 0, too_large: false, out };
    let whole = if options.any_source || resolved.providers.is_empty() {
        lowering.alternatives(&trees, rule)
    } else {
        lowering.guarded(&trees, rule, &resolved)
    };
    if out.iter().skip(from).any(|said| said.level() == Level::Error) {
        return None;
    }
    let at = rule.logsource.span;
    let mut clauses = header::clauses(&rule.header, rule.header.title.as_ref().map_or(at, |title| title.span), label);
    let providers = if options.any_source { Vec::new() } else { resolved.providers };
    let sources = if options.any_source { Vec::new() } else { vec![name(resolved.source, at)] };
    clauses.push(RuleClause::On(On { span: at, class: name("event", at), from: sources }));
    clauses.push(RuleClause::Where(Where { span: whole.span, expr: whole }));
    let span = rule.header.span;
    let name = name(label, rule.header.title.as_ref().map_or(span, |title| title.span));
    let native = NativeRule { span, name, clauses, partial: false, dialect: Dialect::Sigma, silent: false };
    Some((native, providers))
}

/// A condition with its search identifiers, and those that filters and pipelines add to it.
struct Alternative<'r> {
    condition: &'r Condition,
    tree: Tree,
    searches: Vec<&'r Search>,
    also: Vec<(Alternative<'r>, bool)>,
}

impl<'r> Alternative<'r> {
    fn read(
        condition: &'r Condition,
        detections: &'r IndexMap<String, Named>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let names: Vec<&str> = detections.keys().map(String::as_str).collect();
        let tree = condition::read(condition, &names, out)?;
        let searches = detections.values().map(|named| &named.search).collect();
        let mut also = Vec::new();
        for more in &condition.also {
            also.push((Alternative::read(&more.condition, &more.detections, out)?, more.negated));
        }
        Some(Self { condition, tree, searches, also })
    }
}

fn unused(rule: &Rule, trees: &[Alternative<'_>], out: &mut Vec<Diagnostic>) {
    let mut used = vec![false; rule.detections.len()];
    for alternative in trees {
        alternative.tree.names(&mut |n| {
            if let Some(slot) = used.get_mut(n) {
                *slot = true;
            }
        });
    }
    for ((name, named), used) in rule.detections.iter().zip(used) {
        if !used && !name.starts_with('_') {
            let message = format!("no condition names `{name}`");
            out.push(Diagnostic::new(&codes::UNUSED_IDENTIFIER, named.name_span, message));
        }
    }
}

/// The state of lowering one rule.
pub(crate) struct Lowering<'a> {
    /// Other names of fields, for the events of one provider.
    renames: Option<&'a BTreeMap<String, String>>,
    spent: usize,
    too_large: bool,
    out: &'a mut Vec<Diagnostic>,
}

impl<'a> Lowering<'a> {
    fn renamed<'s>(&'s self, field: &'s str) -> &'s str {
        self.renames.and_then(|renames| renames.get(field)).map_or(field, String::as_str)
    }

    fn report(&mut self, diagnostic: Diagnostic) {
        // A detection may be lowered several times.
        if !self.out.contains(&diagnostic) {
            self.out.push(diagnostic);
        }
    }

    fn spend(&mut self, span: Span) {
        self.spent += 1;
        if self.spent > MAX_PARTS && !self.too_large {
            self.too_large = true;
            let message = format!("the rule comes to more than {MAX_PARTS} parts");
            self.out.push(Diagnostic::new(&codes::TOO_LARGE, span, message));
        }
    }

    fn alternatives(&mut self, trees: &[Alternative<'_>], rule: &Rule) -> Expr {
        let parts: Vec<Expr> = trees.iter().filter_map(|alternative| self.alternative(alternative)).collect();
        let span = rule.conditions.first().map_or(rule.header.span, |condition| condition.span);
        or(parts, span)
    }

    /// None where pipelines dropped every part of it; so below.
    fn alternative(&mut self, alternative: &Alternative<'_>) -> Option<Expr> {
        let mut parts: Vec<Expr> = self.tree(&alternative.tree, alternative).into_iter().collect();
        for (more, negated) in &alternative.also {
            let found = self.alternative(more);
            parts.extend(found.map(|found| if *negated { not(found) } else { found }));
        }
        (!parts.is_empty()).then(|| and(parts, alternative.condition.span))
    }

    fn tree(&mut self, tree: &Tree, of: &Alternative<'_>) -> Option<Expr> {
        if self.too_large {
            return None;
        }
        match tree {
            Tree::Name(n) => of.searches.get(*n).and_then(|search| self.search(search)),
            Tree::And(parts) | Tree::Or(parts) => {
                let found: Vec<Expr> = parts.iter().filter_map(|part| self.tree(part, of)).collect();
                let join = if matches!(tree, Tree::And(_)) { and } else { or };
                (!found.is_empty()).then(|| join(found, of.condition.span))
            }
            Tree::Not(inner) => self.tree(inner, of).map(not),
        }
    }

    fn search(&mut self, search: &Search) -> Option<Expr> {
        let (parts, span, join) = match search {
            Search::Item(item) => return Some(self.item(item)),
            Search::All(parts, span) => (parts, *span, and as fn(Vec<Expr>, Span) -> Expr),
            Search::Any(parts, span) => (parts, *span, or as fn(Vec<Expr>, Span) -> Expr),
        };
        let found: Vec<Expr> = parts.iter().filter_map(|part| self.search(part)).collect();
        (!found.is_empty()).then(|| join(found, span))
    }

    /// The detection for each provider, guarded; providers that see it alike share one.
    fn guarded(&mut self, trees: &[Alternative<'_>], rule: &Rule, resolved: &'a Resolved) -> Expr {
        let at = rule.logsource.span;
        let mut seen: Vec<(Expr, Vec<Expr>)> = Vec::new();
        for provider in &resolved.providers {
            self.renames = (!provider.fields.is_empty()).then_some(&provider.fields);
            let detection = self.alternatives(trees, rule);
            let guard = logsource::guard(provider, at);
            match seen.iter_mut().find(|(have, _)| *have == detection) {
                Some((_, guards)) => guards.push(guard),
                None => seen.push((detection, vec![guard])),
            }
        }
        let parts = seen.into_iter().map(|(detection, guards)| and(vec![or(guards, at), detection], at)).collect();
        or(parts, at)
    }
}
