//! Features: what they remember, and what is asked of them.

use tripline_base::{Diagnostic, did_you_mean};
use tripline_schema::ocsf;
use tripline_syntax::ast;

use super::expr::assignable;
use super::literal::a;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{Ask, Caps, Feature, Kind, Memory, Ty, Typed};

const DAY: i64 = 86_400_000_000_000;
const SECOND: i64 = 1_000_000_000;
/// Into how many buckets a feature cuts what it remembers, unless `per` says how long one is.
const BUCKETS: i64 = 60;
/// How many buckets one may ask for.
const MOST_BUCKETS: i64 = 10_000;

impl Checker<'_> {
    pub(super) fn feature(&mut self, feature: &ast::Feature) {
        let known = Memory::ALL.iter().find(|(name, ..)| *name == feature.aggregate.text);
        match (known, &feature.of) {
            (None, _) => {
                let names: Vec<&str> = Memory::ALL.iter().map(|(name, ..)| *name).collect();
                self.report(
                    Diagnostic::new(
                        &codes::UNKNOWN_FUNCTION,
                        feature.aggregate.span,
                        format!("a feature cannot remember a `{}`", feature.aggregate.text),
                    )
                    .maybe_help(did_you_mean(&feature.aggregate.text, names.iter().copied()))
                    .help(format!("it is one of {}", names.join(", "))),
                );
            }
            (Some((name, _, true)), None) => {
                let message = format!("`{name}` needs what it remembers");
                self.report(
                    Diagnostic::new(&codes::BAD_ARGUMENTS, feature.aggregate.span, message)
                        .help(format!("write `{name} of src_endpoint.ip by user.uid over 90d`")),
                );
            }
            (Some((name, Memory::Intervals, _)), Some(of)) => {
                let message = format!("`{name}` are those between events, whatever is in them");
                self.report(
                    Diagnostic::new(&codes::BAD_ARGUMENTS, of.span, message)
                        .help(format!("leave `of` out: `{name} by src_endpoint.ip, dst_endpoint.ip over 24h`")),
                );
            }
            _ => {}
        }
        let memory = known.map_or(Memory::Count, |(_, memory, _)| *memory);
        let class = ocsf().class(&feature.on.class.text);
        if class.is_none() {
            self.class(&feature.on.class);
        }
        let sources = self.source_names(&feature.on.from);
        let (mut of, mut by, mut condition) = (None, Vec::new(), None);
        if let Some(class) = class {
            let scope = Scope::of_class(class, "a feature");
            of = feature.of.as_ref().map(|of| self.expr(of, &scope, None));
            by = feature.by.iter().map(|key| self.expr(key, &scope, None)).collect();
            condition = feature.condition.as_ref().map(|condition| self.condition(&condition.expr, &scope));
        }
        let numbers = matches!(memory, Memory::Sum | Memory::Avg | Memory::Histogram);
        if let (true, Some(of)) = (numbers, &of)
            && !matches!(of.ty, Ty::Int | Ty::Float | Ty::Raw | Ty::Error)
        {
            let message = format!("`{}` takes numbers, and this is {}", feature.aggregate.text, a(&of.ty.name()));
            self.report(Diagnostic::new(&codes::TYPE_MISMATCH, of.span, message));
        }
        if memory == Memory::Histogram && feature.per.is_none() {
            self.report(
                Diagnostic::new(
                    &codes::MISSING_FIELD,
                    feature.aggregate.span,
                    "a histogram says how long its buckets are",
                )
                .help("write `histogram per 1h`"),
            );
        }
        let over = self.length(&feature.over);
        let bucket = match &feature.per {
            Some(per) => self.length(per),
            None => (over / BUCKETS).max(SECOND.min(over)),
        };
        if over.checked_div(bucket).is_some_and(|buckets| buckets > MOST_BUCKETS)
            && let Some(per) = &feature.per
        {
            let message = format!("this cuts `over` into more than {MOST_BUCKETS} buckets");
            self.report(Diagnostic::new(&codes::BAD_VALUE, per.span, message).help("make them longer"));
        }
        let mut warmup = over.min(14 * DAY);
        for (name, value) in &feature.options {
            if name.text == "warmup" {
                match &value.kind {
                    ast::ExprKind::Duration(duration) => warmup = duration.nanos.max(0),
                    _ => {
                        let message = "`warmup` is a duration, such as `7d`";
                        self.report(Diagnostic::new(&codes::BAD_VALUE, value.span, message));
                    }
                }
            }
        }
        let usual = if memory == Memory::Intervals { Caps::INTERVALS } else { Caps::FEATURE };
        let caps = self.caps(&feature.options, usual);
        let ty = of.as_ref().map_or(Ty::Int, |of| of.ty.clone());
        self.features.insert(feature.name.text.clone(), self.program.features.len());
        self.program.features.push(Feature {
            name: feature.name.text.clone(),
            name_span: feature.name.span,
            span: feature.span,
            memory,
            ty,
            of,
            bucket,
            by,
            over,
            warmup,
            caps,
            class,
            sources,
            condition,
            broken: self.errors_in_item > 0,
        });
    }

    /// Whether a feature that remembers so can be asked so; what is wrong has been said.
    pub(super) fn may_ask(&mut self, index: usize, ask: Ask, span: tripline_base::Span) -> bool {
        let Some((name, memory)) = self.program.features.get(index).map(|f| (f.name.clone(), f.memory)) else {
            return false;
        };
        let (fits, needs) = match ask {
            Ask::New | Ask::Rare(_) => (matches!(memory, Memory::Set | Memory::Distinct), "a `set`"),
            Ask::Zscore => (
                matches!(memory, Memory::Sum | Memory::Avg | Memory::Count | Memory::Histogram),
                "a `sum`, `avg`, `count` or `histogram`",
            ),
            Ask::Deviation => (matches!(memory, Memory::Count | Memory::Histogram), "a `histogram` or `count`"),
            Ask::TravelSpeed => (memory == Memory::Last, "the `last` location"),
            Ask::Value => (memory != Memory::Intervals, "what has one value"),
            Ask::Interval | Ask::Regularity => (memory == Memory::Intervals, "`intervals`"),
            Ask::Silent(_) | Ask::Age | Ask::Observations => (true, ""),
        };
        if !fits {
            let message = format!("this is asked of {needs}, and `{name}` is `{}`", memory.name());
            let help = (ask == Ask::Value).then(|| format!("ask `interval({name})` or `regularity({name})`"));
            self.report(Diagnostic::new(&codes::TYPE_MISMATCH, span, message).maybe_help(help));
        }
        fits
    }

    /// The feature's key, as the rule's events have it: the expressions of the feature, read of the rule's class.
    pub(super) fn same_class(&mut self, index: usize, scope: &Scope, span: tripline_base::Span) {
        let Some(feature) = self.program.features.get(index) else { return };
        let (Some(of_feature), Some(of_rule)) = (feature.class, scope.class) else { return };
        if of_feature.uid != of_rule.uid {
            let message = format!(
                "`{}` remembers events of `{}`, and this rule looks at `{}`",
                feature.name, of_feature.name, of_rule.name
            );
            self.report(
                Diagnostic::new(&codes::TYPE_MISMATCH, span, message)
                    .help("a feature is read under the key of the rule's event, so both look at one class"),
            );
        }
    }

    /// What is asked about is of the event alone; what is wrong has been said.
    pub(super) fn of_the_event(&mut self, subject: &Typed) {
        let mut read = None;
        subject.walk(&mut |node| {
            if matches!(node.kind, Kind::Read { .. }) {
                read.get_or_insert(node.span);
            }
        });
        if let Some(span) = read {
            self.report(
                Diagnostic::new(
                    &codes::MISPLACED,
                    span,
                    "a feature is asked about what the event has, not about a feature",
                )
                .help("compare the two: `value(a) > 3 * value(b)`"),
            );
        }
    }

    /// Whether a value may be looked for in a feature; what is wrong has been said.
    pub(super) fn fits_feature(&mut self, index: usize, typed: &Typed) {
        let Some(feature) = self.program.features.get(index) else { return };
        let (name, ty) = (feature.name.clone(), feature.ty.clone());
        if !assignable(&typed.ty, &ty) && !matches!(typed.ty, Ty::Raw) {
            let message = format!("`{name}` remembers {} values, and this is {}", ty.name(), a(&typed.ty.name()));
            self.report(Diagnostic::new(&codes::TYPE_MISMATCH, typed.span, message));
        }
    }
}
