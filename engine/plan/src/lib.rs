//! From the checked program to the one that is evaluated: mappings are substituted into rules, so that
//! a test on a normalised field becomes a test on the raw one.
//!
//! Invariants: lowering is exact; every pass keeps the result, and each can be switched off ([`Options`]),
//! which the oracle uses to hold them to it. A rule that is broken is not planned.
//!
//! Deliberately lacks: evaluation, of nodes and of the [`index`] alike.

pub mod index;
mod lower;
mod passes;
mod time;

use std::collections::BTreeSet;
use std::sync::Arc;

use tripline_event::Path;
use tripline_ir as ir;
use tripline_semantic::Program;
use tripline_semantic::typed::{self, Subject};

/// Which passes run. All on by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Push comparisons into the cases of `match`, `if` and `??`.
    pub cases: bool,
    /// Evaluate what is constant.
    pub fold: bool,
    /// Make equal expressions one.
    pub intern: bool,
    /// Find candidate rules by an index instead of trying each.
    pub index: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { cases: true, fold: true, intern: true, index: true }
    }
}

impl Options {
    /// No pass at all.
    pub const NONE: Options = Options { cases: false, fold: false, intern: false, index: false };
}

/// Whether a rule is planned.
pub fn is_planned(rule: &typed::Rule) -> bool {
    !rule.broken && rule.mode != typed::Mode::Off
}

/// Whether a rule judges each event alone.
fn is_stateless(rule: &typed::Rule) -> bool {
    is_planned(rule) && rule.stateful.is_none()
}

/// An arena without nodes.
fn arena(program: &Program, options: Options) -> ir::Arena {
    let mut arena = ir::Arena::new(options.intern);
    arena.names = ir::Names {
        lists: program.lists.iter().map(|list| list.name.clone()).collect(),
        tables: program.tables.iter().map(|table| (table.name.clone(), table.columns.clone())).collect(),
    };
    arena
}

/// Plans every rule that can be. Broken mappings are left out.
pub fn plan(program: &Program, options: Options) -> ir::Program {
    let rules: Vec<(usize, &typed::Rule)> = program.rules.iter().enumerate().collect();
    plan_rules(program, &rules, options)
}

/// Plans these rules (by their index in the program, or standing for that rule), and the sources that
/// they look at; with no rules, all sources.
pub fn plan_rules(program: &Program, rules: &[(usize, &typed::Rule)], options: Options) -> ir::Program {
    let mut out = ir::Program {
        arena: arena(program, options),
        lists: program.lists.iter().map(|list| Arc::clone(&list.items)).collect(),
        tables: program.tables.iter().map(|table| Arc::new(table.rows.clone())).collect(),
        ..ir::Program::default()
    };
    let (mut time, observers) = time::plan(program, rules, options);
    let mut seen = time::Seen::default();
    let mut names: BTreeSet<&str> = program.sources.keys().map(String::as_str).collect();
    names.extend(program.mappings.iter().filter(|m| !m.broken).map(|m| m.source.as_str()));
    let every = rules.is_empty() || rules.len() == program.rules.len();
    for name in names {
        let mapping = program.mappings.iter().find(|m| !m.broken && m.source == name);
        let wanted = |rule: &typed::Rule| match &rule.subject {
            Some(Subject::Event) => rule.looks_at_raw(name),
            None if rule.looks_at_raw(name) => true,
            _ => mapping.is_some_and(|mapping| mapping.arms.iter().any(|arm| looks_at(rule, mapping, arm))),
        };
        let tested =
            |rule: &typed::Rule| mapping.is_some() && rule.sources.is_empty() || rule.sources.iter().any(|s| s == name);
        if every || rules.iter().any(|(_, rule)| wanted(rule) || tested(rule)) {
            let mut content = Content { program, rules, observers: &observers, options, seen: &mut seen };
            let source = content.source(out.sources.len(), name, mapping, &mut out.arena);
            out.sources.push(source);
        }
    }
    time::finish(program, &mut time, &seen);
    out.time = time;
    out.arena.finish();
    out
}

/// What is planned for each source.
struct Content<'a, 'p> {
    program: &'a Program,
    rules: &'a [(usize, &'p typed::Rule)],
    observers: &'a [time::Observer<'p>],
    options: Options,
    seen: &'a mut time::Seen,
}

impl Content<'_, '_> {
    fn source(&mut self, at: usize, name: &str, mapping: Option<&typed::Mapping>, arena: &mut ir::Arena) -> ir::Source {
        let info = self.program.sources.get(name);
        let view = info.map(|info| &info.view);
        let declared = mapping.and_then(|mapping| mapping.detect.as_ref());
        let mut lowering = lower::Lowering::new(arena, self.options, None, view);
        let detect = match (declared, info) {
            (Some(detect), _) => Some(lowering.bool(detect)),
            (None, Some(info)) if !info.detect.is_empty() => Some(lowering.detect(&info.detect)),
            _ => None,
        };
        let (time, id) = info.map_or((None, None), |info| (lowering.first_time(&info.time), lowering.first(&info.id)));
        let always = lowering.constant(tripline_event::Value::Bool(true));
        let as_they_came = |rule: &typed::Rule| {
            matches!(rule.subject, Some(Subject::Event))
                && (rule.sources.is_empty() || rule.sources.iter().any(|source| source == name))
        };
        let of_events = self.plans(at, name, None, always, &as_they_came, &mut lowering);
        let mut before: Vec<ir::Id> = Vec::new();
        let mut arms = Vec::new();
        for (mapping, arm) in mapping.into_iter().flat_map(|mapping| mapping.arms.iter().map(move |arm| (mapping, arm)))
        {
            let mut lowering = lower::Lowering::new(arena, self.options, Some(arm), view);
            let mut parts: Vec<ir::Id> = Vec::new();
            for condition in &before {
                parts.push(lowering.not(*condition));
            }
            if let Some(condition) = &arm.condition {
                let condition = lowering.bool(condition);
                parts.push(condition);
                before.push(condition);
            }
            let guard = lowering.and(parts);
            if arm.condition.is_none() {
                before.push(lowering.constant(tripline_event::Value::Bool(true)));
            }
            let definitions = arm.definitions.iter().map(|d| (d.path.clone(), lowering.value(&d.value))).collect();
            let wanted = |rule: &typed::Rule| looks_at(rule, mapping, arm);
            let rules = self.plans(at, name, Some(u64::from(arm.class.uid)), guard, &wanted, &mut lowering);
            arms.push(ir::Arm { guard, class: arm.class, definitions, rules });
        }
        let counter = info.and_then(|info| {
            let (value, by) = info.counter.as_ref()?;
            let places = |path: &Path| info.view.places(path, false);
            Some(ir::Counter { value: places(value), by: by.iter().map(places).collect() })
        });
        ir::Source { name: name.to_string(), detect, arms, rules: of_events, time, id, counter }
    }

    /// The plans of the rules that look at an arm, or at events as they came.
    fn plans(
        &mut self,
        source: usize,
        name: &str,
        class: Option<u64>,
        guard: ir::Id,
        wanted: &dyn Fn(&typed::Rule) -> bool,
        lowering: &mut lower::Lowering<'_>,
    ) -> Vec<ir::RulePlan> {
        let mut out = Vec::new();
        for (at, rule) in self.rules.iter().filter(|(_, rule)| is_stateless(rule) && wanted(rule)) {
            self.seen.rule(*at, source);
            out.push(rule_plan(*at, rule, guard, lowering));
        }
        for observer in self.observers.iter().filter(|observer| observer.looks_at(name, class)) {
            out.push(observer.plan(guard, source, lowering, self.seen));
        }
        out
    }
}

fn looks_at(rule: &typed::Rule, mapping: &typed::Mapping, arm: &typed::Arm) -> bool {
    matches!(&rule.subject, Some(Subject::Class(class)) if class.uid == arm.class.uid)
        && (rule.sources.is_empty() || rule.sources.contains(&mapping.source))
}

fn rule_plan(at: usize, rule: &typed::Rule, guard: ir::Id, lowering: &mut lower::Lowering<'_>) -> ir::RulePlan {
    let mut parts = vec![guard];
    if let Some(condition) = &rule.condition {
        parts.push(lowering.bool(condition));
    }
    let condition = lowering.and(parts);
    let explain = rule.condition.as_ref().map(|condition| lowering.explain(condition));
    let exceptions = rule.exceptions.iter().enumerate().map(|(n, e)| (n, lowering.bool(&e.condition))).collect();
    let title = match &rule.alert.title {
        None => vec![ir::Piece::Words(rule.header.title.clone())],
        Some(template) => template
            .0
            .iter()
            .map(|piece| match piece {
                typed::TemplatePiece::Words(words) => ir::Piece::Words(words.clone()),
                typed::TemplatePiece::Value(value) => ir::Piece::Value(lowering.shown(value)),
            })
            .collect(),
    };
    let severity = rule.alert.severity.iter().map(|(s, c)| (*s, c.as_ref().map(|c| lowering.bool(c)))).collect();
    let key = rule.alert.key.iter().map(|(_, value)| lowering.value(value)).collect();
    let entities = rule.alert.entities.iter().map(|e| (e.kind, lowering.value(&e.value))).collect();
    let context = rule.alert.context.iter().map(|(name, value)| (name.clone(), lowering.shown(value))).collect();
    let risk = rule.alert.risk.as_ref().map(|(n, e)| (*n, e.kind, lowering.value(&e.value)));
    ir::RulePlan {
        rule: at,
        observe: None,
        condition,
        explain,
        exceptions,
        title,
        severity,
        key,
        entities,
        context,
        risk,
    }
}

/// Lowers one expression over the events of an arm, for callers that judge an event by it (tests,
/// `explain`); without an arm only `raw.…` has values.
pub fn lower_expression(
    value: &typed::Typed,
    arm: Option<&typed::Arm>,
    view: Option<&tripline_event::View>,
    arena: &mut ir::Arena,
    options: Options,
) -> ir::Id {
    lower::Lowering::new(arena, options, arm, view).value(value)
}

/// A program of lists and tables alone, for expressions that stand outside of rules.
pub fn bare(program: &Program) -> ir::Program {
    ir::Program {
        lists: program.lists.iter().map(|list| Arc::clone(&list.items)).collect(),
        tables: program.tables.iter().map(|table| Arc::new(table.rows.clone())).collect(),
        ..ir::Program::default()
    }
}

/// Lowers an expression whose value people read: an enum is its caption. See [`lower_expression`].
pub fn lower_shown(value: &typed::Typed, arena: &mut ir::Arena, options: Options) -> ir::Id {
    lower::Lowering::new(arena, options, None, None).shown(value)
}
