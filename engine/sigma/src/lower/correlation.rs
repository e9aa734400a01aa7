//! Correlations as rules over several events: a window, a sequence, or steps in any order.
//!
//! A rule that a correlation names is written into it: its sources, its condition, and the fields of the key by the
//! names that its events have for them. Of a correlation that another names the findings are taken, and the key is
//! found in these by name.

use std::collections::{BTreeMap, BTreeSet};

use tripline_base::{Diagnostic, Span};
use tripline_syntax::ast::{
    CompareOp, Dialect, Expr, ExprKind, Group, Name, On, Operand, Path, PathStep, Prefix, Root, Rule as NativeRule,
    RuleClause, Sequence, Step, Where,
};

use super::header::{self, Names};
use super::{Base, asked, logsource};
use crate::build::{and, call, compare, expr, is_word, name, not, number, or, raw, text};
use crate::codes;
use crate::condition::{self, Tree};
use crate::correlation::{Correlation, Kind, When};
use crate::filter::ids;
use crate::model::{Header, Number, Word};

/// What an input of a window gives for the condition.
const VALUE: &str = "value";
/// Which rule an input stands for.
const WHICH: &str = "which";

/// Correlations, lowered.
pub(super) struct Correlated {
    pub rules: Vec<NativeRule>,
    /// The rules, by their number, that give no findings of their own.
    pub hidden: BTreeSet<usize>,
}

/// What a word of `rules` names.
#[derive(Clone, Copy, PartialEq)]
enum Target {
    Rule(usize),
    Correlation(usize),
}

struct All<'a> {
    bases: &'a [Base],
    correlations: &'a [Correlation],
    labels: Vec<String>,
    /// Those that are done, and whether they can be evaluated.
    done: BTreeMap<usize, bool>,
}

/// Lowers all correlations, those that others name before these.
pub(super) fn lower(
    correlations: &[Correlation],
    bases: &[Base],
    names: &mut Names,
    out: &mut Vec<Diagnostic>,
) -> Correlated {
    let labels = correlations.iter().map(|one| names.take(&one.header)).collect();
    let mut all = All { bases, correlations, labels, done: BTreeMap::new() };
    let mut rules: BTreeMap<usize, NativeRule> = BTreeMap::new();
    // By target: whether some correlation that runs asks for its findings.
    let mut told: Vec<(Target, bool)> = Vec::new();
    while all.done.len() < correlations.len() {
        let waits = |at: &usize| {
            all.targets(*at).iter().any(|(_, target)| match target {
                Some(Target::Correlation(other)) => !all.done.contains_key(other),
                _ => false,
            })
        };
        let open = || (0..correlations.len()).filter(|at| !all.done.contains_key(at));
        // There are no circles.
        let Some(at) = open().find(|at| !waits(at)).or_else(|| open().next()) else { break };
        let from = out.len();
        let found = all.one(at, out);
        for said in out.iter_mut().skip(from) {
            said.item = all.labels.get(at).cloned();
        }
        all.done.insert(at, found.is_some());
        if let (Some(rule), Some(correlation)) = (found, correlations.get(at)) {
            told.extend(all.targets(at).into_iter().filter_map(|(_, target)| Some((target?, correlation.generate))));
            rules.insert(at, rule);
        }
    }
    let is_hidden = |target: Target| {
        let mut asks = told.iter().filter(|(other, _)| *other == target).peekable();
        asks.peek().is_some() && asks.all(|(_, generate)| !generate)
    };
    for (at, rule) in &mut rules {
        rule.silent = is_hidden(Target::Correlation(*at));
    }
    let hidden = (0..bases.len()).filter(|at| is_hidden(Target::Rule(*at))).collect();
    Correlated { rules: rules.into_values().collect(), hidden }
}

impl All<'_> {
    fn headers(&self) -> impl Iterator<Item = &Header> {
        self.bases.iter().map(|base| &base.rule.header).chain(self.correlations.iter().map(|one| &one.header))
    }

    /// The first that has this id or name.
    fn target(&self, word: &str) -> Option<Target> {
        let rule = self.bases.iter().position(|base| base.rule.header.answers_to(word));
        let other = || self.correlations.iter().position(|one| one.header.answers_to(word));
        rule.map(Target::Rule).or_else(|| other().map(Target::Correlation))
    }

    /// The words by which a correlation names rules: `rules`, or those of its condition.
    fn words(&self, correlation: &Correlation) -> Vec<Word> {
        let When::Rules(text) = &correlation.condition else { return correlation.rules.clone() };
        if !correlation.rules.is_empty() {
            return correlation.rules.clone();
        }
        let known: Vec<&str> = ids(self.headers()).collect();
        let mut words: Vec<Word> = Vec::new();
        if let Some(tree) = condition::read(text, &known, &mut Vec::new()) {
            tree.names(&mut |n| {
                let word = Word { text: known.get(n).copied().unwrap_or("").to_string(), span: text.span };
                if !words.contains(&word) {
                    words.push(word);
                }
            });
        }
        words
    }

    fn targets(&self, at: usize) -> Vec<(Word, Option<Target>)> {
        let words = self.correlations.get(at).map(|correlation| self.words(correlation)).unwrap_or_default();
        words.into_iter().map(|word| (self.target(&word.text), word)).map(|(target, word)| (word, target)).collect()
    }

    fn one(&self, at: usize, out: &mut Vec<Diagnostic>) -> Option<NativeRule> {
        let (correlation, label) = (self.correlations.get(at)?, self.labels.get(at)?);
        let mut steps = Vec::new();
        let mut words = Vec::new();
        for (word, target) in self.targets(at) {
            let step = match target {
                Some(Target::Rule(base)) => self.of_rule(correlation, &word, base, out),
                Some(Target::Correlation(other)) => self.of_correlation(correlation, &word, other, out),
                None => {
                    out.push(unusable(&word));
                    None
                }
            };
            steps.push(step);
            words.push(word);
        }
        let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
        let span = correlation.header.span;
        let title = correlation.header.title.as_ref().map_or(correlation.seconds_span, |title| title.span);
        let mut clauses = header::clauses(&correlation.header, title, label);
        clauses.extend(self.body(correlation, &words, steps, out)?);
        let name = name(label.as_str(), title);
        Some(NativeRule { span, name, clauses, partial: false, dialect: Dialect::Sigma, silent: false })
    }

    /// The events of a rule.
    fn of_rule(&self, correlation: &Correlation, word: &Word, base: usize, out: &mut Vec<Diagnostic>) -> Option<Step> {
        let base = self.bases.get(base)?;
        let Some(native) = &base.native else {
            out.push(unusable(word));
            return None;
        };
        let (mut from, mut condition) = (Vec::new(), None);
        for clause in &native.clauses {
            match clause {
                RuleClause::On(on) => from.clone_from(&on.from),
                RuleClause::Where(clause) => condition = Some(clause.expr.clone()),
                _ => {}
            }
        }
        let field = |name: &Word| base.field(asked(correlation, word, &name.text), name.span);
        Some(step(correlation, word, "event", from, condition, &field))
    }

    /// The findings of a correlation.
    fn of_correlation(
        &self,
        correlation: &Correlation,
        word: &Word,
        other: usize,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Step> {
        let (Some(true), Some(child), Some(label)) =
            (self.done.get(&other), self.correlations.get(other), self.labels.get(other))
        else {
            out.push(unusable(word));
            return None;
        };
        let wanted = if correlation.kind.needs_field() { fields(correlation) } else { &[] };
        for name in correlation.group_by.iter().chain(wanted) {
            let field = asked(correlation, word, &name.text);
            if !child.group_by.iter().any(|own| own.text == field) {
                let message = format!("the findings of `{}` have no field `{field}`", word.text);
                out.push(
                    Diagnostic::new(&codes::CORRELATION_CANNOT_RUN, name.span, message)
                        .also(child.seconds_span, "the correlation that is counted")
                        .help("they have the fields of its `group-by`: add it there"),
                );
                return None;
            }
        }
        let field = |name: &Word| {
            let field = asked(correlation, word, &name.text);
            let steps = field.split('.').filter(|step| !step.is_empty());
            let steps = steps.map(|step| PathStep::Field { name: self::name(step, name.span), quoted: !is_word(step) });
            let root = Root::Name(self::name("group", name.span));
            expr(name.span, ExprKind::Path(Path { span: name.span, root, steps: steps.collect() }))
        };
        let from = vec![name(label.as_str(), word.span)];
        Some(step(correlation, word, "finding", from, None, &field))
    }

    /// What it makes of them.
    fn body(
        &self,
        correlation: &Correlation,
        words: &[Word],
        mut steps: Vec<Step>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<Vec<RuleClause>> {
        let span = correlation.condition_span;
        let names: Vec<Name> = correlation.group_by.iter().map(|word| name(word.text.as_str(), word.span)).collect();
        let within = super::header::duration(correlation.seconds, correlation.seconds_span);
        let mut having = None;
        if correlation.kind.is_temporal() {
            let tree = self.tree(correlation, words);
            let ordered = correlation.kind == Kind::TemporalOrdered;
            if tree.as_ref().is_none_or(only_and) {
                label(&mut steps, words, ordered);
                let sequence = Sequence { span, ordered, by: Vec::new(), within, options: Vec::new(), steps, names };
                return Some(vec![RuleClause::Sequence(sequence)]);
            }
            let refused = if ordered {
                let message = "a condition over rules in their order joins them with `and` alone";
                Some((message, "leave `condition` out: every rule has to fire"))
            } else if tree.as_ref().is_some_and(negates) {
                let message = "this condition leaves open from when to when a rule must not fire";
                Some((message, "a `sequence` of the native language says it: put `not` between steps or after them"))
            } else {
                None
            };
            if let Some((message, help)) = refused {
                out.push(Diagnostic::new(&codes::CORRELATION_CANNOT_RUN, span, message).help(help));
                return None;
            }
            for (number, step) in steps.iter_mut().enumerate() {
                let which = text(format!("rule_{number}"), Prefix::None, step.span);
                step.values = vec![(name(WHICH, step.span), which)];
            }
            having = tree.map(|tree| fired(&tree, span));
        } else if let When::Number { tests, percentile, .. } = &correlation.condition {
            let alone = steps.len() == 1;
            let value = steps.first().and_then(|step| step.values.first()).map(|(_, value)| value.clone());
            let value = if alone { value } else { value.map(|_| word(VALUE, span)) };
            having = Some(compared(correlation.kind, tests, percentile.unwrap_or(50), value, span));
        }
        let expr = having?;
        let having = RuleClause::Having(Where { span, expr });
        let mut clauses = Vec::new();
        let mut group =
            Group { span, by: Vec::new(), within, kind: None, options: Vec::new(), inputs: Vec::new(), names };
        let whole = correlation.kind.is_temporal() || steps.len() != 1;
        match steps.pop() {
            Some(only) if !whole => {
                clauses.push(RuleClause::On(On { span: only.span, class: only.class, from: only.from }));
                clauses.extend(only.condition.map(|expr| RuleClause::Where(Where { span: expr.span, expr })));
                group.by = only.by;
            }
            last => {
                steps.extend(last);
                group.inputs = steps;
            }
        }
        clauses.extend([RuleClause::Group(group), having]);
        Some(clauses)
    }

    /// The condition over rules, by their place among those that the correlation names.
    fn tree(&self, correlation: &Correlation, words: &[Word]) -> Option<Tree> {
        let When::Rules(text) = &correlation.condition else { return None };
        let known: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
        condition::read(text, &known, &mut Vec::new())
    }
}

fn unusable(word: &Word) -> Diagnostic {
    let message = format!("`{}` has an error, so what is counted of it would be wrong", word.text);
    Diagnostic::new(&codes::CORRELATION_CANNOT_RUN, word.span, message).help("mend that rule first")
}

fn fields(correlation: &Correlation) -> &[Word] {
    match &correlation.condition {
        When::Number { fields, .. } => fields,
        _ => &[],
    }
}

/// Events of one kind with their key, and the value that is counted.
fn step(
    correlation: &Correlation,
    word: &Word,
    class: &str,
    from: Vec<Name>,
    condition: Option<Expr>,
    field: &dyn Fn(&Word) -> Expr,
) -> Step {
    let by = correlation.group_by.iter().map(field).collect();
    let mut values = Vec::new();
    if let (true, Some((first, more))) = (correlation.kind.needs_field(), fields(correlation).split_first()) {
        let whole = match correlation.kind {
            Kind::ValueCount if more.is_empty() => field(first),
            Kind::ValueCount => more.iter().fold(in_words(field(first)), |so_far, one| {
                let parted = plus(so_far, text("\u{1f}", Prefix::None, one.span));
                plus(parted, in_words(field(one)))
            }),
            _ => call("float", vec![field(first)], first.span),
        };
        values.push((name(VALUE, first.span), whole));
    }
    let class = name(class, word.span);
    Step { span: word.span, name: None, class, from, by, condition, repeat: None, values }
}

fn in_words(value: Expr) -> Expr {
    let span = value.span;
    call("string", vec![value], span)
}

fn plus(left: Expr, right: Expr) -> Expr {
    let span = left.span;
    let op = tripline_syntax::ast::ArithmeticOp::Add;
    expr(span, ExprKind::Arithmetic { left: Box::new(left), op, right: Box::new(right) })
}

fn word(text: &str, span: Span) -> Expr {
    expr(span, ExprKind::Path(Path { span, root: Root::Name(name(text, span)), steps: Vec::new() }))
}

/// Names the steps; a rule that fires once for two places in any order is one step.
fn label(steps: &mut Vec<Step>, words: &[Word], ordered: bool) {
    let mut taken: Vec<String> = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut kept = Vec::new();
    for (mut step, word) in std::mem::take(steps).into_iter().zip(words) {
        if !ordered && seen.contains(&word.text.as_str()) {
            continue;
        }
        seen.push(&word.text);
        let wish = header::identifier(&word.text);
        // A plain word could mean something else within the steps after it.
        let wish = if wish.contains('_') { wish } else { format!("{wish}_fires").trim_start_matches('_').to_string() };
        let mut label = wish.clone();
        let mut number = 1;
        while taken.contains(&label) {
            number += 1;
            label = format!("{wish}_{number}");
        }
        taken.push(label.clone());
        step.name = Some(name(label, word.span));
        kept.push(step);
    }
    *steps = kept;
}

fn only_and(tree: &Tree) -> bool {
    match tree {
        Tree::Name(_) => true,
        Tree::And(parts) => parts.iter().all(only_and),
        Tree::Or(_) | Tree::Not(_) => false,
    }
}

fn negates(tree: &Tree) -> bool {
    match tree {
        Tree::Name(_) => false,
        Tree::And(parts) | Tree::Or(parts) => parts.iter().any(negates),
        Tree::Not(_) => true,
    }
}

/// Which rules fired within the window.
fn fired(tree: &Tree, span: Span) -> Expr {
    match tree {
        Tree::Name(n) => {
            let which = text(format!("rule_{n}"), Prefix::None, span);
            let all = call("values", vec![word(WHICH, span)], span);
            compare(which, CompareOp::In, Operand::One(Box::new(all)), span, span)
        }
        Tree::And(parts) => and(parts.iter().map(|part| fired(part, span)).collect(), span),
        Tree::Or(parts) => or(parts.iter().map(|part| fired(part, span)).collect(), span),
        Tree::Not(inner) => not(fired(inner, span)),
    }
}

/// `count() >= 10 and count() < 20`
fn compared(kind: Kind, tests: &[(CompareOp, Number)], percentile: i64, value: Option<Expr>, span: Span) -> Expr {
    let aggregate = match kind {
        Kind::ValueCount => "distinct",
        Kind::ValueSum => "sum",
        Kind::ValueAvg => "avg",
        Kind::ValueMedian => "median",
        Kind::ValuePercentile => "percentile",
        _ => "count",
    };
    let mut args: Vec<Expr> = value.into_iter().collect();
    if kind == Kind::ValuePercentile {
        args.push(number(Number::Int(percentile), span));
    }
    let whole = matches!(kind, Kind::EventCount | Kind::ValueCount);
    let tests = tests.iter().map(|(op, bound)| {
        let bound = if whole { *bound } else { super::item::broad(*bound) };
        let right = Operand::One(Box::new(number(bound, span)));
        compare(call(aggregate, args.clone(), span), *op, right, span, span)
    });
    and(tests.collect(), span)
}

impl Base {
    /// A field of the rule's events, by the names that they have for it.
    fn field(&self, field: &str, span: Span) -> Expr {
        let own = [field.to_string()];
        let fields = self.asked.get(field).map_or(&own[..], Vec::as_slice);
        let mut parts: Vec<Expr> = fields.iter().map(|field| self.of_providers(field, span)).collect();
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => only,
            (_, last) => {
                parts.extend(last);
                expr(span, ExprKind::Coalesce(parts))
            }
        }
    }

    fn of_providers(&self, field: &str, span: Span) -> Expr {
        let mut out = raw(field, span);
        for provider in self.providers.iter().rev() {
            if let Some(other) = provider.fields.get(field) {
                out = expr(
                    span,
                    ExprKind::If {
                        condition: Box::new(logsource::guard(provider, span)),
                        then: Box::new(raw(other, span)),
                        otherwise: Box::new(out),
                    },
                );
            }
        }
        out
    }
}
