//! Rules and features over several events: which events they take, what is kept of each, and what is asked of
//! that later.
//!
//! An expression is cut in two: its largest parts that depend on one event alone become *captures*, evaluated when
//! the event is matched; what is left is lowered over a record of captures, aggregates, reads and blocks.

mod inputs;
mod meaning;
mod residual;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use tripline_event::Segment;
use tripline_ir::time::{Feature, FindingInput, Input, Node, Observe, Owner, Say, Sequence, Step, Time, What, Window};
use tripline_ir::{Id, Piece, RulePlan};
use tripline_semantic::Program;
use tripline_semantic::typed::{self, Kind, Negation, Over, Root, Subject, Ty, Typed};

use crate::Options;
use crate::lower::Lowering;
use residual::{Residual, is_pure};

/// Which events of a source an input takes.
pub(crate) struct Observer<'p> {
    /// Index of the input.
    input: usize,
    /// The rule; past all of them for a feature.
    rule: usize,
    /// The class of its events; none takes events as they came.
    class: Option<u64>,
    sources: &'p [String],
    condition: Option<Typed>,
    exceptions: Vec<(usize, Typed)>,
    captures: Vec<Typed>,
}

/// What is learnt while sources are planned.
#[derive(Default)]
pub(crate) struct Seen {
    /// Per input: the sources that it takes events of.
    inputs: BTreeMap<usize, BTreeSet<usize>>,
    /// Per rule that judges each event alone: its sources.
    rules: BTreeMap<usize, BTreeSet<usize>>,
    /// Per input: all that its events must be and what is kept of them.
    words: BTreeMap<usize, String>,
}

impl Seen {
    /// A rule that judges each event alone looks at a source.
    pub fn rule(&mut self, rule: usize, source: usize) {
        self.rules.entry(rule).or_default().insert(source);
    }
}

impl Observer<'_> {
    /// Whether it takes events of an arm with that class (of events as they came, without one).
    pub fn looks_at(&self, source: &str, class: Option<u64>) -> bool {
        self.class == class && (self.sources.is_empty() || self.sources.iter().any(|name| name == source))
    }

    /// Its plan over the events of an arm.
    pub fn plan(&self, guard: Id, source: usize, lowering: &mut Lowering<'_>, seen: &mut Seen) -> RulePlan {
        let mut parts = vec![guard];
        if let Some(condition) = &self.condition {
            parts.push(lowering.bool(condition));
        }
        let condition = lowering.and(parts);
        let exceptions: Vec<(usize, Id)> =
            self.exceptions.iter().map(|(n, condition)| (*n, lowering.bool(condition))).collect();
        let captures: Vec<Id> = self.captures.iter().map(|capture| lowering.value(capture)).collect();
        seen.inputs.entry(self.input).or_default().insert(source);
        let words = seen.words.entry(self.input).or_default();
        for id in [condition].iter().chain(exceptions.iter().map(|(_, id)| id)).chain(&captures) {
            words.push_str(&lowering.arena.print(*id));
            words.push('\n');
        }
        RulePlan {
            rule: self.rule,
            observe: Some(Observe { input: self.input, captures }),
            condition,
            explain: None,
            exceptions,
            title: Vec::new(),
            severity: Vec::new(),
            key: Vec::new(),
            entities: Vec::new(),
            context: Vec::new(),
            risk: None,
        }
    }
}

/// Plans the rules over several events, and the features that they read.
pub(crate) fn plan<'p>(
    program: &'p Program,
    rules: &[(usize, &'p typed::Rule)],
    options: Options,
) -> (Time, Vec<Observer<'p>>) {
    let time = Time { arena: crate::arena(program, options), ..Time::default() };
    let mut planner =
        Planner { program, rules, options, time, observers: Vec::new(), features: BTreeMap::new(), rule: usize::MAX };
    for (at, rule) in rules {
        if crate::is_planned(rule) && rule.stateful.is_some() {
            planner.rule = *at;
            planner.rule(rule);
        }
    }
    (planner.time, planner.observers)
}

/// The sources that an input reaches: of its events, of the features that it reads, and of the rules that it takes
/// findings of.
fn reached(time: &Time, seen: &Seen, input: &Input, passed: &mut BTreeSet<usize>) -> BTreeSet<usize> {
    let mut out: BTreeSet<usize> = input.sources.iter().copied().collect();
    for read in &input.reads {
        let inputs = time.inputs.iter().filter(|input| input.node == read.feature);
        out.extend(inputs.flat_map(|input| &input.sources));
    }
    for rule in input.findings.iter().flat_map(|findings| &findings.rules) {
        out.extend(seen.rules.get(rule).into_iter().flatten());
        let node = time.nodes.iter().position(|node| node.owner == Owner::Rule(*rule));
        if let Some(node) = node.filter(|_| passed.insert(*rule)) {
            for input in time.inputs.iter().filter(|input| input.node == node) {
                out.extend(reached(time, seen, input, passed));
            }
        }
    }
    out
}

/// Ties nodes together, once it is known which sources they look at.
pub(crate) fn finish(program: &Program, time: &mut Time, seen: &Seen) {
    for (input, sources) in &seen.inputs {
        let Some(input) = time.inputs.get_mut(*input) else { continue };
        input.sources = sources.iter().copied().collect();
        let (node, step) = (input.node, input.step);
        match time.nodes.get_mut(node).map(|node| &mut node.what) {
            Some(What::Feature(feature)) => feature.sources = sources.iter().copied().collect(),
            Some(What::Sequence(sequence)) => {
                if let Some(step) = sequence.steps.get_mut(step) {
                    step.sources = sources.iter().copied().collect();
                }
            }
            _ => {}
        }
    }
    let of_findings = time.inputs.iter().filter(|input| input.findings.is_some());
    let of_findings: Vec<(usize, usize, BTreeSet<usize>)> =
        of_findings.map(|input| (input.node, input.step, reached(time, seen, input, &mut BTreeSet::new()))).collect();
    for (node, step, reached) in of_findings {
        if let Some(What::Sequence(sequence)) = time.nodes.get_mut(node).map(|node| &mut node.what)
            && let Some(step) = sequence.steps.get_mut(step)
        {
            step.sources = reached.into_iter().collect();
        }
    }
    units::tie(time, seen);
    meaning::name(program, time, seen);
    time.arena.finish();
}

struct Planner<'a, 'p> {
    program: &'p Program,
    rules: &'a [(usize, &'p typed::Rule)],
    options: Options,
    time: Time,
    observers: Vec<Observer<'p>>,
    /// Feature to node.
    features: BTreeMap<usize, usize>,
    /// The rule that is planned.
    rule: usize,
}

impl<'p> Planner<'_, 'p> {
    fn rule(&mut self, rule: &'p typed::Rule) {
        match &rule.over {
            Some(Over::Sequence(sequence)) => self.sequence(rule, sequence),
            Some(Over::Window(window)) if !window.inputs.is_empty() => self.inputs(rule, window),
            over => {
                let mut residual = Residual::new(self.program);
                let (mine, later) = split(rule.condition.as_ref());
                let own: Vec<(usize, &Typed)> = events(rule, false);
                let (pure, mixed): (Vec<_>, Vec<_>) = own.into_iter().partition(|(_, condition)| is_pure(condition));
                let condition = residual.holds(later);
                let exceptions: Vec<(usize, Typed)> = mixed
                    .into_iter()
                    .map(|(n, condition)| (n, residual.holds([condition]).unwrap_or_else(never)))
                    .collect();
                let mut reads = residual.take_reads();
                let what = match over {
                    Some(Over::Window(window)) => {
                        let key = window.by.iter().map(|key| residual.capture(key)).collect();
                        let having = window.having.as_ref().map(|having| residual.value(having));
                        let of_findings = events(rule, true);
                        let of_findings: Vec<(usize, Typed)> =
                            of_findings.into_iter().map(|(n, condition)| (n, residual.value(condition))).collect();
                        let say = self.say(rule, &mut residual);
                        What::Window(Window {
                            key,
                            within: window.within,
                            kind: window.kind,
                            having: having.map(|having| self.lower(&having)),
                            aggregates: residual.take_aggregates(),
                            rearm: window.rearm,
                            caps: window.caps,
                            exceptions: self.lower_all(&of_findings),
                            say,
                        })
                    }
                    _ => What::Each(self.say(rule, &mut residual)),
                };
                let node = self.node(Owner::Rule(self.rule), what);
                let condition = condition.map(|condition| self.lower(&condition));
                let exceptions = self.lower_all(&exceptions);
                for read in &mut reads {
                    read.feature = self.feature(read.feature);
                }
                let captures = residual.take_captures();
                let mine = conjunction(mine);
                let findings = match &rule.subject {
                    Some(Subject::Finding(names)) => Some(self.of_findings(names, mine.as_ref(), &pure, &captures)),
                    _ => None,
                };
                let of_events = findings.is_none();
                let input = self.time.inputs.len();
                self.time.inputs.push(Input {
                    node,
                    step: 0,
                    condition,
                    exceptions,
                    reads,
                    findings,
                    sources: Vec::new(),
                });
                if of_events {
                    self.observers.push(Observer {
                        input,
                        rule: self.rule,
                        class: match &rule.subject {
                            Some(Subject::Class(class)) => Some(u64::from(class.uid)),
                            _ => None,
                        },
                        sources: &rule.sources,
                        condition: mine,
                        exceptions: pure.into_iter().map(|(n, condition)| (n, condition.clone())).collect(),
                        captures,
                    });
                }
            }
        }
    }

    /// How findings come in.
    fn of_findings(
        &mut self,
        names: &[String],
        condition: Option<&Typed>,
        exceptions: &[(usize, &Typed)],
        captures: &[Typed],
    ) -> FindingInput {
        let taken = |rule: &typed::Rule| match names.is_empty() {
            true => !rule.silent && rule.taken().next().is_none(),
            false => names.contains(&rule.name),
        };
        let reader = self.rules.iter().find(|(at, _)| *at == self.rule).map(|(_, rule)| rule.mode).unwrap_or_default();
        let whole: Vec<&(usize, &typed::Rule)> =
            self.rules.iter().filter(|(_, rule)| !rule.broken && taken(rule)).collect();
        let named = whole.iter().map(|(at, _)| *at).collect();
        let rules = whole.iter().filter(|(_, rule)| reader.hears(rule.mode)).map(|(at, _)| *at).collect();
        let condition = condition.map(|condition| self.lower(&fields(condition)));
        let exceptions = exceptions.iter().map(|(n, condition)| (*n, self.lower(&fields(condition)))).collect();
        let captures = captures.iter().map(|capture| self.lower(&fields(capture))).collect();
        FindingInput { rules, named, condition, exceptions, captures }
    }

    fn sequence(&mut self, rule: &'p typed::Rule, sequence: &'p typed::Sequence) {
        let mut residual = Residual::over(self.program, &sequence.steps);
        let mut steps = Vec::new();
        let mut taken = Vec::new();
        let own: Vec<(usize, &Typed)> = events(rule, false);
        for (at, step) in sequence.steps.iter().enumerate() {
            residual.step(at);
            let key = step.by.iter().map(|key| residual.capture(key)).collect();
            let (mine, later) = split(step.condition.as_ref());
            let (refers, reads): (Vec<_>, Vec<_>) = later.into_iter().partition(|part| residual::refers(part));
            let condition = residual.holds(reads);
            let reads = residual.take_reads();
            let refers = conjunction(refers.into_iter().collect()).map(|part| residual.value(&part));
            taken.push((mine, condition, reads));
            let (min, max) = step.repeat.unwrap_or((1, None));
            steps.push(Step {
                negated: step.name.is_none(),
                ranged: step.repeat.is_some(),
                min,
                max,
                key,
                refers: refers.map(|refers| self.lower(&refers)),
                sources: Vec::new(),
            });
        }
        residual.whole();
        let of_findings: Vec<(usize, Typed)> =
            events(rule, true).into_iter().map(|(n, condition)| (n, residual.value(condition))).collect();
        let say = self.say(rule, &mut residual);
        let what = What::Sequence(Sequence {
            ordered: sequence.ordered,
            within: sequence.within,
            steps,
            caps: sequence.caps,
            exceptions: self.lower_all(&of_findings),
            say,
        });
        let node = self.node(Owner::Rule(self.rule), what);
        for (at, ((mine, condition, mut reads), step)) in taken.into_iter().zip(&sequence.steps).enumerate() {
            let condition = condition.map(|condition| self.lower(&condition));
            for read in &mut reads {
                read.feature = self.feature(read.feature);
            }
            let input =
                Input { node, step: at, condition, exceptions: Vec::new(), reads, findings: None, sources: Vec::new() };
            self.input_of(step, input, conjunction(mine), &own, residual.captures_of(at));
        }
    }

    /// An input for the events, or the findings, of a step.
    fn input_of(
        &mut self,
        step: &'p typed::Step,
        mut input: Input,
        condition: Option<Typed>,
        exceptions: &[(usize, &Typed)],
        captures: Vec<Typed>,
    ) {
        if let Subject::Finding(names) = &step.subject {
            input.findings = Some(self.of_findings(names, condition.as_ref(), exceptions, &captures));
            self.time.inputs.push(input);
            return;
        }
        self.observers.push(Observer {
            input: self.time.inputs.len(),
            rule: self.rule,
            class: step.class().map(|class| u64::from(class.uid)),
            sources: &step.sources,
            condition,
            exceptions: exceptions.iter().map(|(n, condition)| (*n, (*condition).clone())).collect(),
            captures,
        });
        self.time.inputs.push(input);
    }

    /// The node of a feature.
    fn feature(&mut self, at: usize) -> usize {
        if let Some(node) = self.features.get(&at) {
            return *node;
        }
        let node = self.time.nodes.len();
        self.features.insert(at, node);
        let Some(feature) = self.program.features.get(at) else { return node };
        let mut residual = Residual::new(self.program);
        let of = feature.of.as_ref().map(|of| residual.capture(of));
        let key = feature.by.iter().map(|key| residual.capture(key)).collect();
        let bucket = feature.bucket.max(1);
        let what = What::Feature(Feature {
            memory: feature.memory,
            of,
            key,
            bucket,
            buckets: feature.over.div_euclid(bucket) + i64::from(feature.over.rem_euclid(bucket) != 0),
            warmup: feature.warmup,
            caps: feature.caps,
            sources: Vec::new(),
        });
        self.node(Owner::Feature(at), what);
        let input = self.time.inputs.len();
        self.time.inputs.push(Input {
            node,
            step: 0,
            condition: None,
            exceptions: Vec::new(),
            reads: Vec::new(),
            findings: None,
            sources: Vec::new(),
        });
        self.observers.push(Observer {
            input,
            rule: usize::MAX,
            class: feature.class.map(|class| u64::from(class.uid)),
            sources: &feature.sources,
            condition: feature.condition.clone(),
            exceptions: Vec::new(),
            captures: residual.take_captures(),
        });
        node
    }

    fn node(&mut self, owner: Owner, what: What) -> usize {
        self.time.nodes.push(Node { owner, unit: 0, meaning: [0; 16], what });
        self.time.nodes.len() - 1
    }

    fn say(&mut self, rule: &typed::Rule, residual: &mut Residual<'_>) -> Say {
        let title = match &rule.alert.title {
            None => vec![Piece::Words(rule.header.title.clone())],
            Some(template) => template
                .0
                .iter()
                .map(|piece| match piece {
                    typed::TemplatePiece::Words(words) => Piece::Words(words.clone()),
                    typed::TemplatePiece::Value(value) => Piece::Value(self.shown(&residual.value(value))),
                })
                .collect(),
        };
        let alert = &rule.alert;
        let severity = alert
            .severity
            .iter()
            .map(|(severity, condition)| {
                let condition = condition.as_ref().map(|c| residual.holds([c]).unwrap_or_else(always));
                (*severity, condition.map(|c| self.lower(&c)))
            })
            .collect();
        let mut value = |typed: &Typed| self.lower(&residual.value(typed));
        let key = alert.key.iter().map(|(_, key)| value(key)).collect();
        let entities = alert.entities.iter().map(|entity| (entity.kind, value(&entity.value))).collect();
        let risk = alert.risk.as_ref().map(|(amount, entity)| (*amount, entity.kind, value(&entity.value)));
        let context =
            alert.context.iter().map(|(name, value)| (name.clone(), self.shown(&residual.value(value)))).collect();
        let mut reads = residual.take_reads();
        for read in &mut reads {
            read.feature = self.feature(read.feature);
        }
        Say { title, severity, key, entities, context, risk, reads }
    }

    fn lower(&mut self, typed: &Typed) -> Id {
        Lowering::new(&mut self.time.arena, self.options, None, None).value(typed)
    }

    fn shown(&mut self, typed: &Typed) -> Id {
        Lowering::new(&mut self.time.arena, self.options, None, None).shown(typed)
    }

    fn lower_all(&mut self, conditions: &[(usize, Typed)]) -> Vec<(usize, Id)> {
        conditions.iter().map(|(n, condition)| (*n, self.lower(condition))).collect()
    }
}

/// The parts of a condition that one event decides, and the others.
fn split(condition: Option<&Typed>) -> (Vec<&Typed>, Vec<&Typed>) {
    let parts = match condition {
        None => &[],
        Some(Typed { kind: Kind::And(parts), .. }) => parts.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    parts.iter().partition(|part| is_pure(part))
}

fn conjunction(parts: Vec<&Typed>) -> Option<Typed> {
    let span = parts.first()?.span;
    match parts.as_slice() {
        [one] => Some((*one).clone()),
        _ => Some(Typed { kind: Kind::And(parts.into_iter().cloned().collect()), ty: Ty::Bool, span }),
    }
}

/// The exceptions of events, or those of findings.
fn events(rule: &typed::Rule, findings: bool) -> Vec<(usize, &Typed)> {
    let exceptions = rule.exceptions.iter().enumerate();
    exceptions.filter(|(_, e)| e.finding == findings).map(|(n, e)| (n, &e.condition)).collect()
}

/// A path of a finding is one of the record that stands for it.
fn fields(typed: &Typed) -> Typed {
    typed.map(&mut |node| match &node.kind {
        Kind::Path(Root::Finding, path) => {
            let mut path = path.clone();
            if residual::is_list(&path) {
                path.0.push(Segment::Each);
            }
            Some(Typed { kind: Kind::Path(Root::Raw, path), ty: node.ty.clone(), span: node.span })
        }
        _ => None,
    })
}

fn constant(truth: bool) -> Typed {
    Typed { kind: Kind::Const(tripline_event::Value::Bool(truth)), ty: Ty::Bool, span: tripline_base::Span::default() }
}

fn always() -> Typed {
    constant(true)
}

fn never() -> Typed {
    constant(false)
}

/// `not x`
fn not(typed: Typed) -> Typed {
    let span = typed.span;
    Typed { kind: Kind::Not(Box::new(typed), Negation::Not), ty: Ty::Bool, span }
}
