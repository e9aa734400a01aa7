//! From pest's pairs to the tree. Every function takes the pair of its rule; a `None` means that the
//! grammar and this file disagree, which the caller reports as a syntax error at that place.

use pest::iterators::Pair;
use tripline_base::{Diagnostic, FileId, Span};

use crate::ast::*;
use crate::codes;
use crate::grammar::Rule as R;
use crate::literal::{Lines, unescape};

type P<'i> = Pair<'i, R>;

/// Builds nodes from pairs of a piece of a file that begins at byte `base`.
pub(crate) struct Builder<'c> {
    pub file: FileId,
    pub base: usize,
    /// The comments of the file, in order.
    pub comments: &'c [Comment],
    pub diagnostics: Vec<Diagnostic>,
}

fn is_keyword(kind: R) -> bool {
    // Keyword rules are named `k_…`.
    format!("{kind:?}").starts_with("k_")
}

impl Builder<'_> {
    pub fn span(&self, pair: &P<'_>) -> Span {
        let span = pair.as_span();
        // pest lets a rule that ends in optional parts include the blanks and comments before them.
        let mut text = span.as_str().trim_end();
        while let Some(comment) = self.comment_at((self.base + span.start() + text.len()).saturating_sub(1)) {
            let before = (comment.span.start as usize).saturating_sub(self.base + span.start());
            match text.get(..before) {
                Some(shorter) if shorter.len() < text.len() => text = shorter.trim_end(),
                _ => break,
            }
        }
        Span::new(self.file, self.base + span.start(), self.base + span.start() + text.len())
    }

    fn comment_at(&self, at: usize) -> Option<&Comment> {
        let after = self.comments.partition_point(|comment| comment.span.start as usize <= at);
        let last = self.comments.get(after.checked_sub(1)?)?;
        (at < last.span.end as usize).then_some(last)
    }

    fn name(&self, pair: &P<'_>) -> Name {
        Name { text: pair.as_str().trim().to_string(), span: self.span(pair) }
    }

    fn report(&mut self, code: &'static tripline_base::Code, span: Span, message: String) -> &mut Diagnostic {
        self.diagnostics.push(Diagnostic::new(code, span, message));
        // The vector was just pushed to.
        let last = self.diagnostics.len() - 1;
        #[expect(clippy::indexing_slicing, reason = "the element was pushed on the line before")]
        &mut self.diagnostics[last]
    }

    pub fn item(&mut self, pair: P<'_>) -> Option<Item> {
        Some(match pair.as_rule() {
            R::rule => Item::Rule(self.rule(pair)?),
            R::mapping => Item::Mapping(self.mapping(pair)?),
            R::feature => Item::Feature(self.feature(pair)?),
            R::list => Item::List(self.list(pair)?),
            R::table => Item::Table(self.table(pair)?),
            R::def => Item::Def(self.def(pair)?),
            _ => return None,
        })
    }

    fn rule(&mut self, pair: P<'_>) -> Option<Rule> {
        let span = self.span(&pair);
        let mut name = None;
        let mut clauses = Vec::new();
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => name = Some(self.name(&kid)),
                R::rule_clause => clauses.push(self.rule_clause(kid)?),
                _ => {}
            }
        }
        Some(Rule { span, name: name?, clauses, partial: false, dialect: Dialect::Native, silent: false })
    }

    pub fn rule_clause(&mut self, pair: P<'_>) -> Option<RuleClause> {
        let kid = pair.into_inner().next()?;
        Some(match kid.as_rule() {
            R::field => RuleClause::Field(self.field(kid)?),
            R::attack => RuleClause::Attack(Attack {
                span: self.span(&kid),
                techniques: kid.into_inner().filter(|p| p.as_rule() == R::technique).map(|p| self.name(&p)).collect(),
            }),
            R::on => RuleClause::On(self.on(kid)?),
            R::where_ => RuleClause::Where(self.condition(kid)?),
            R::having => RuleClause::Having(self.condition(kid)?),
            R::group => RuleClause::Group(self.group(kid)?),
            R::sequence => RuleClause::Sequence(self.sequence(kid)?),
            R::except => RuleClause::Except(self.except(kid)?),
            R::alert => RuleClause::Alert(self.alert(kid)?),
            R::test => RuleClause::Test(self.test(kid)?),
            R::canary => RuleClause::Canary(self.canary(kid)?),
            R::equivalent => {
                let span = self.span(&kid);
                let mut texts = kid.into_inner().filter(|p| p.as_rule() == R::string);
                let label = self.text(texts.next()?)?;
                let reason = self.text(texts.next()?)?;
                RuleClause::Equivalent(Equivalent { span, label, reason })
            }
            _ => return None,
        })
    }

    fn field(&mut self, pair: P<'_>) -> Option<Field> {
        let span = self.span(&pair);
        let mut kids = pair.into_inner();
        let name = self.name(&kids.next()?);
        let value = self.expr(kids.next()?)?;
        Some(Field { span, name, value })
    }

    fn on(&mut self, pair: P<'_>) -> Option<On> {
        let span = self.span(&pair);
        let mut class = None;
        let mut from = Vec::new();
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => class = Some(self.name(&kid)),
                R::from => from = self.from(kid),
                _ => {}
            }
        }
        Some(On { span, class: class?, from })
    }

    fn from(&self, pair: P<'_>) -> Vec<Name> {
        pair.into_inner().filter(|p| p.as_rule() == R::source).map(|p| self.name(&p)).collect()
    }

    fn condition(&mut self, pair: P<'_>) -> Option<Where> {
        let span = self.span(&pair);
        let expr = pair.into_inner().find(|p| p.as_rule() == R::expr)?;
        Some(Where { span, expr: self.expr(expr)? })
    }

    fn by(&mut self, pair: P<'_>) -> Option<Vec<Expr>> {
        pair.into_inner().filter(|p| p.as_rule() == R::coalesce).map(|p| self.expr(p)).collect()
    }

    fn option(&mut self, pair: P<'_>) -> Option<(Name, Expr)> {
        let mut parts = pair.into_inner();
        let option = self.name(&parts.next()?);
        let value = parts.next()?;
        let span = self.span(&value);
        let kind = match value.as_rule() {
            R::duration => ExprKind::Duration(self.duration(&value)),
            _ => ExprKind::Int(i64::try_from(self.count(&value)).unwrap_or(i64::MAX)),
        };
        Some((option, Expr { span, kind }))
    }

    fn group(&mut self, pair: P<'_>) -> Option<Group> {
        let span = self.span(&pair);
        let (mut by, mut within, mut kind, mut options) = (Vec::new(), None, None, Vec::new());
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::by => by = self.by(kid)?,
                R::duration => within = Some(self.duration(&kid)),
                R::window_kind => kind = Some(self.name(&kid)),
                R::option => options.push(self.option(kid)?),
                _ => {}
            }
        }
        Some(Group { span, by, within: within?, kind, options, inputs: Vec::new(), names: Vec::new() })
    }

    fn sequence(&mut self, pair: P<'_>) -> Option<Sequence> {
        let span = self.span(&pair);
        let (mut ordered, mut by, mut within, mut steps) = (true, Vec::new(), None, Vec::new());
        let mut options = Vec::new();
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::k_together => ordered = false,
                R::by => by = self.by(kid)?,
                R::duration => within = Some(self.duration(&kid)),
                R::seq_step => steps.push(self.step(kid)?),
                R::option => options.push(self.option(kid)?),
                _ => {}
            }
        }
        Some(Sequence { span, ordered, by, within: within?, options, steps, names: Vec::new() })
    }

    fn step(&mut self, pair: P<'_>) -> Option<Step> {
        let span = self.span(&pair);
        let mut names = Vec::new();
        let (mut negated, mut from, mut by, mut condition, mut repeat) = (false, Vec::new(), Vec::new(), None, None);
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::k_not => negated = true,
                R::name => names.push(self.name(&kid)),
                R::from => from = self.from(kid),
                R::by => by = self.by(kid)?,
                R::where_ => condition = Some(self.condition(kid)?.expr),
                R::repeat_range => {
                    let span = self.span(&kid);
                    let (mut min, mut max) = (None, None);
                    for end in kid.into_inner() {
                        let value = self.count(&end);
                        match end.as_rule() {
                            R::range_min => min = Some(value),
                            _ => max = Some(value),
                        }
                    }
                    repeat = Some(Repeat { span, min, max });
                }
                _ => {}
            }
        }
        let class = names.pop()?;
        let name = if negated { None } else { Some(names.pop()?) };
        Some(Step { span, name, class, from, by, condition, repeat, values: Vec::new() })
    }

    fn except(&mut self, pair: P<'_>) -> Option<Except> {
        let span = self.span(&pair);
        let (mut finding, mut reason, mut until, mut condition) = (false, None, None, None);
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::k_finding => finding = true,
                R::string => reason = Some(self.text(kid)?),
                R::date => until = Some(self.name(&kid)),
                R::where_ => condition = Some(self.condition(kid)?),
                _ => {}
            }
        }
        Some(Except { span, finding, reason: reason?, until, condition: condition? })
    }

    fn alert(&mut self, pair: P<'_>) -> Option<Alert> {
        let span = self.span(&pair);
        let mut fields = Vec::new();
        for kid in pair.into_inner().filter(|p| p.as_rule() == R::alert_field) {
            let kid = kid.into_inner().next()?;
            let span = self.span(&kid);
            fields.push(match kid.as_rule() {
                R::field => AlertField::Field(self.field(kid)?),
                R::severity_field => {
                    let mut cases = Vec::new();
                    for case in kid.into_inner().filter(|p| p.as_rule() == R::severity_case) {
                        let mut level = None;
                        let mut condition = None;
                        for part in case.into_inner() {
                            match part.as_rule() {
                                R::name => level = Some(self.name(&part)),
                                R::expr => condition = Some(self.expr(part)?),
                                _ => {}
                            }
                        }
                        cases.push((level?, condition));
                    }
                    AlertField::Severity { span, cases }
                }
                R::risk_field => {
                    let mut kids = kid.into_inner().filter(|p| !is_keyword(p.as_rule()));
                    let amount = self.expr(kids.next()?)?;
                    let entity = self.expr(kids.next()?)?;
                    AlertField::Risk { span, amount, entity }
                }
                _ => return None,
            });
        }
        Some(Alert { span, fields })
    }

    pub fn test(&mut self, pair: P<'_>) -> Option<Test> {
        let span = self.span(&pair);
        let (mut name, mut statements) = (None, Vec::new());
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::string => name = Some(self.text(kid)?),
                R::statement => statements.push(self.statement(kid)?),
                _ => {}
            }
        }
        Some(Test { span, name: name?, statements })
    }

    fn canary(&mut self, pair: P<'_>) -> Option<Canary> {
        let span = self.span(&pair);
        let statements = pair.into_inner().filter(|kid| kid.as_rule() == R::statement);
        Some(Canary { span, statements: statements.map(|kid| self.statement(kid)).collect::<Option<Vec<_>>>()? })
    }

    fn statement(&mut self, pair: P<'_>) -> Option<Statement> {
        let kid = pair.into_inner().next()?;
        let span = self.span(&kid);
        Some(match kid.as_rule() {
            R::event => {
                let (mut source, mut from, mut with, mut redelivered) = (None, None, None, false);
                for part in kid.into_inner() {
                    match part.as_rule() {
                        R::source => source = Some(self.name(&part)),
                        R::string => from = Some(self.text(part)?),
                        R::object => with = Some(self.expr(part)?),
                        R::k_redelivered => redelivered = true,
                        _ => {}
                    }
                }
                Statement::Event(EventStatement { span, source, from, with, redelivered })
            }
            R::repeat => {
                let (mut count, mut every, mut binding, mut body) = (None, None, None, Vec::new());
                for part in kid.into_inner() {
                    match part.as_rule() {
                        R::int => count = Some(self.count(&part)),
                        R::duration => every = Some(self.duration(&part)),
                        R::name => binding = Some(self.name(&part)),
                        R::statement => body.push(self.statement(part)?),
                        _ => {}
                    }
                }
                Statement::Repeat { span, count: count?, every, binding, body }
            }
            R::advance => {
                let part = kid.into_inner().find(|p| p.as_rule() == R::duration)?;
                Statement::Advance { span, by: self.duration(&part) }
            }
            R::at => {
                let part = kid.into_inner().find(|p| p.as_rule() == R::string)?;
                Statement::At { span, time: self.text(part)? }
            }
            R::expect => Statement::Expect(self.expect(kid, span)?),
            _ => return None,
        })
    }

    fn expect(&mut self, pair: P<'_>, span: Span) -> Option<Expect> {
        let mut what = None;
        let mut entries = Vec::new();
        let mut routed = None;
        let mut rendered = Vec::new();
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::k_nothing => what = Some(Expected::Nothing),
                R::alerts_expected | R::class_expected => {
                    let is_class = kid.as_rule() == R::class_expected;
                    if !is_class {
                        what = Some(Expected::Alerts(None));
                    }
                    for part in kid.into_inner() {
                        match part.as_rule() {
                            R::int => what = Some(Expected::Alerts(Some(self.count(&part)))),
                            R::name => what = Some(Expected::Event(self.name(&part))),
                            R::expect_body => {
                                for entry in part.into_inner() {
                                    entries.push(self.expect_entry(entry)?);
                                }
                            }
                            R::routed => {
                                let span = self.span(&part);
                                let listed = part.into_inner().find(|kid| kid.as_rule() == R::destinations)?;
                                let to = listed.into_inner().map(|text| self.text(text)).collect::<Option<_>>()?;
                                routed = Some(Routed { span, to });
                            }
                            R::rendered => {
                                let span = self.span(&part);
                                let mut texts = part.into_inner().filter(|kid| kid.as_rule() == R::string);
                                let (by, contains) = (self.text(texts.next()?)?, self.text(texts.next()?)?);
                                rendered.push(Rendered { span, by, contains });
                            }
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        Some(Expect { span, what: what?, entries, routed, rendered })
    }

    fn expect_entry(&mut self, pair: P<'_>) -> Option<ExpectEntry> {
        let span = self.span(&pair);
        let mut kids = pair.into_inner();
        let path = self.path(kids.next()?)?;
        let matcher = kids.next()?.into_inner().next()?;
        let matcher = match matcher.as_rule() {
            R::k_absent => Matcher::Absent(self.span(&matcher)),
            R::bare_exists => Matcher::Exists(self.span(&matcher)),
            R::comparator => {
                let (op, _, operand) = self.comparator(matcher)?;
                Matcher::Compare(op, operand)
            }
            _ => Matcher::Compare(CompareOp::Eq, Operand::One(Box::new(self.expr(matcher)?))),
        };
        Some(ExpectEntry { span, path, matcher })
    }

    fn mapping(&mut self, pair: P<'_>) -> Option<Mapping> {
        let span = self.span(&pair);
        let (mut name, mut source, mut clauses) = (None, None, Vec::new());
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => name = Some(self.name(&kid)),
                R::source => source = Some(self.name(&kid)),
                R::mapping_clause => clauses.push(self.mapping_clause(kid)?),
                _ => {}
            }
        }
        Some(Mapping { span, name: name?, source: source?, clauses, partial: false })
    }

    pub fn mapping_clause(&mut self, pair: P<'_>) -> Option<MappingClause> {
        let kid = pair.into_inner().next()?;
        let span = self.span(&kid);
        Some(match kid.as_rule() {
            R::detect => MappingClause::Detect(self.condition(kid)?),
            R::definition => MappingClause::Definition(self.definition(kid)?),
            R::test => MappingClause::Test(self.test(kid)?),
            R::arm | R::otherwise => {
                let (mut condition, mut class, mut definitions, mut braces) = (None, None, Vec::new(), false);
                for part in kid.into_inner() {
                    match part.as_rule() {
                        R::expr => condition = Some(self.expr(part)?),
                        R::name => class = Some(self.name(&part)),
                        R::arm_body => {
                            braces = true;
                            for definition in part.into_inner() {
                                definitions.push(self.definition(definition)?);
                            }
                        }
                        _ => {}
                    }
                }
                MappingClause::Arm(Arm { span, condition, class: class?, definitions, braces })
            }
            _ => return None,
        })
    }

    fn definition(&mut self, pair: P<'_>) -> Option<Definition> {
        let span = self.span(&pair);
        let mut kids = pair.into_inner();
        let path = self.path(kids.next()?)?;
        let value = self.expr(kids.next()?)?;
        Some(Definition { span: span.to(value.span), path, value })
    }

    fn feature(&mut self, pair: P<'_>) -> Option<Feature> {
        let span = self.span(&pair);
        let (mut name, mut aggregate, mut of, mut per) = (None, None, None, None);
        let (mut by, mut over, mut options, mut on, mut condition) = (Vec::new(), None, Vec::new(), None, None);
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => name = Some(self.name(&kid)),
                R::aggregate => {
                    for part in kid.into_inner() {
                        match part.as_rule() {
                            R::name => aggregate = Some(self.name(&part)),
                            R::coalesce => of = Some(self.expr(part)?),
                            R::duration => per = Some(self.duration(&part)),
                            _ => {}
                        }
                    }
                }
                R::by => by = self.by(kid)?,
                R::duration => over = Some(self.duration(&kid)),
                R::option => options.push(self.option(kid)?),
                R::on => on = Some(self.on(kid)?),
                R::where_ => condition = Some(self.condition(kid)?),
                _ => {}
            }
        }
        Some(Feature {
            span,
            name: name?,
            aggregate: aggregate?,
            of,
            per,
            by,
            over: over?,
            options,
            on: on?,
            condition,
        })
    }

    fn list(&mut self, pair: P<'_>) -> Option<List> {
        let span = self.span(&pair);
        let mut names = Vec::new();
        let mut body = None;
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => names.push(self.name(&kid)),
                R::list_literal => body = Some(ListBody::Inline(self.expr(kid)?)),
                R::string => body = Some(ListBody::File(self.text(kid)?)),
                _ => {}
            }
        }
        let ty = names.pop()?;
        Some(List { span, name: names.pop()?, ty, body: body? })
    }

    fn table(&mut self, pair: P<'_>) -> Option<Table> {
        let span = self.span(&pair);
        let mut names = Vec::new();
        let mut from = None;
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => names.push(self.name(&kid)),
                R::string => from = Some(self.text(kid)?),
                _ => {}
            }
        }
        let key = names.pop()?;
        Some(Table { span, name: names.pop()?, key, from: from? })
    }

    fn def(&mut self, pair: P<'_>) -> Option<Def> {
        let span = self.span(&pair);
        let (mut name, mut params, mut body) = (None, Vec::new(), None);
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::name => name = Some(self.name(&kid)),
                R::param => {
                    let mut parts = kid.into_inner();
                    let param = self.name(&parts.next()?);
                    params.push((param, self.name(&parts.next()?)));
                }
                R::expr => body = Some(self.expr(kid)?),
                _ => {}
            }
        }
        Some(Def { span, name: name?, params, body: body? })
    }

    // Expressions

    pub fn expr(&mut self, pair: P<'_>) -> Option<Expr> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            R::expr => return self.chain(pair, R::k_or, ExprKind::Or),
            R::and_expr => return self.chain(pair, R::k_and, ExprKind::And),
            R::coalesce => return self.chain(pair, R::coalesce, ExprKind::Coalesce),
            R::not_expr => {
                let mut nots = Vec::new();
                let mut inner = None;
                for kid in pair.into_inner() {
                    match kid.as_rule() {
                        R::k_not => nots.push(self.span(&kid)),
                        _ => inner = Some(self.expr(kid)?),
                    }
                }
                let mut expr = inner?;
                if nots.len() > 8 {
                    self.report(&codes::TOO_DEEP, span, "more than eight `not` in a row".into());
                }
                for not in nots.into_iter().rev().take(8) {
                    let span = not.to(expr.span);
                    expr = Expr { span, kind: ExprKind::Not(Box::new(expr)) };
                }
                return Some(expr);
            }
            R::comparison => {
                let mut kids = pair.into_inner();
                let left = self.expr(kids.next()?)?;
                match kids.next() {
                    None => return Some(left),
                    Some(kid) if kid.as_rule() == R::comparator => {
                        let (op, op_span, right) = self.comparator(kid)?;
                        ExprKind::Compare { left: Box::new(left), op, op_span, right }
                    }
                    Some(kid) => ExprKind::Read(Box::new(self.feature_read(left, kid)?)),
                }
            }
            R::exists_expr => {
                let inner = pair.into_inner().find(|p| p.as_rule() == R::postfix)?;
                ExprKind::Exists(Box::new(self.expr(inner)?))
            }
            R::sum | R::product => return self.arithmetic(pair),
            R::unary => {
                let mut negative = false;
                let mut inner = None;
                for kid in pair.into_inner() {
                    match kid.as_rule() {
                        R::negate => negative = true,
                        _ => inner = Some(self.expr(kid)?),
                    }
                }
                let inner = inner?;
                match (negative, inner.kind) {
                    (false, kind) => return Some(Expr { span: inner.span, kind }),
                    (true, ExprKind::Int(n)) => ExprKind::Int(n.saturating_neg()),
                    (true, ExprKind::Float(n)) => ExprKind::Float(-n),
                    (true, kind) => ExprKind::Negate(Box::new(Expr { span: inner.span, kind })),
                }
            }
            R::postfix | R::literal => {
                let kid = pair.into_inner().next()?;
                return self.expr(kid);
            }
            R::string => ExprKind::Text(self.text(pair)?),
            R::duration => ExprKind::Duration(self.duration(&pair)),
            R::int => ExprKind::Int(self.int(&pair)),
            R::float => ExprKind::Float(pair.as_str().replace('_', "").parse().ok()?),
            R::k_true => ExprKind::Bool(true),
            R::k_false => ExprKind::Bool(false),
            R::k_null => ExprKind::Null,
            R::paren => ExprKind::Paren(Box::new(self.expr(pair.into_inner().next()?)?)),
            R::bracket if pair.clone().into_inner().any(|p| p.as_rule() == R::k_for) => {
                let mut kids = pair.into_inner().filter(|p| !is_keyword(p.as_rule()));
                let value = Box::new(self.expr(kids.next()?)?);
                let binding = self.name(&kids.next()?);
                let array = Box::new(self.expr(kids.next()?)?);
                let condition =
                    kids.next().map(|p| self.expr(p)).map_or(Some(None), |e| e.map(|e| Some(Box::new(e))))?;
                ExprKind::Comprehension { value, binding, array, condition }
            }
            R::bracket | R::list_literal => ExprKind::List(self.exprs(pair)?),
            R::object => {
                let mut entries = Vec::new();
                for kid in pair.into_inner() {
                    let mut parts = kid.into_inner();
                    let path = self.path(parts.next()?)?;
                    entries.push((path, self.expr(parts.next()?)?));
                }
                ExprKind::Object(entries)
            }
            R::if_expr => {
                let mut kids = pair.into_inner().filter(|p| !is_keyword(p.as_rule()));
                let condition = Box::new(self.expr(kids.next()?)?);
                let then = Box::new(self.expr(kids.next()?)?);
                let otherwise = Box::new(self.expr(kids.next()?)?);
                ExprKind::If { condition, then, otherwise }
            }
            R::match_expr => {
                let mut kids = pair.into_inner().filter(|p| !is_keyword(p.as_rule()));
                let value = Box::new(self.expr(kids.next()?)?);
                let arms = kids.map(|kid| self.match_arm(kid)).collect::<Option<Vec<_>>>()?;
                ExprKind::Match { value, arms }
            }
            R::path => {
                let path = self.path(pair)?;
                match path {
                    Path { root: Root::Expr(inner), steps, .. } if steps.is_empty() => return Some(*inner),
                    path => ExprKind::Path(path),
                }
            }
            R::call => {
                let mut kids = pair.into_inner();
                let name = self.name(&kids.next()?);
                let args = kids.map(|kid| self.expr(kid)).collect::<Option<Vec<_>>>()?;
                ExprKind::Call { name, args }
            }
            R::quantified => {
                let mut kids = pair.into_inner().filter(|p| !is_keyword(p.as_rule()));
                let kind = match kids.next()?.as_str() {
                    "any" => Quantifier::Any,
                    "all" => Quantifier::All,
                    _ => Quantifier::First,
                };
                let binding = self.name(&kids.next()?);
                let array = Box::new(self.expr(kids.next()?)?);
                let condition = Box::new(self.expr(kids.next()?)?);
                ExprKind::Quantified { kind, binding, array, condition }
            }
            _ => return None,
        };
        Some(Expr { span, kind })
    }

    fn exprs(&mut self, pair: P<'_>) -> Option<Vec<Expr>> {
        pair.into_inner().map(|kid| self.expr(kid)).collect()
    }

    fn chain(&mut self, pair: P<'_>, keyword: R, make: fn(Vec<Expr>) -> ExprKind) -> Option<Expr> {
        let span = self.span(&pair);
        let mut parts = Vec::new();
        for kid in pair.into_inner() {
            if kid.as_rule() != keyword {
                parts.push(self.expr(kid)?);
            }
        }
        if parts.len() == 1 {
            return parts.pop();
        }
        Some(Expr { span, kind: make(parts) })
    }

    fn arithmetic(&mut self, pair: P<'_>) -> Option<Expr> {
        const LONGEST: usize = 64;
        let span = self.span(&pair);
        let mut kids = pair.into_inner();
        let mut left = self.expr(kids.next()?)?;
        let mut length = 0;
        while let Some(op) = kids.next() {
            // What follows the sign may be blanks and a comment.
            let op = match op.as_str().as_bytes().first() {
                Some(b'+') => ArithmeticOp::Add,
                Some(b'-') => ArithmeticOp::Sub,
                Some(b'*') => ArithmeticOp::Mul,
                Some(b'/') => ArithmeticOp::Div,
                _ => ArithmeticOp::Rem,
            };
            let right = self.expr(kids.next()?)?;
            length += 1;
            if length > LONGEST {
                if length == LONGEST + 1 {
                    self.report(&codes::TOO_DEEP, span, format!("more than {LONGEST} arithmetic operators in a row"));
                }
                continue;
            }
            let span = left.span.to(right.span);
            left = Expr { span, kind: ExprKind::Arithmetic { left: Box::new(left), op, right: Box::new(right) } };
        }
        Some(left)
    }

    fn comparator(&mut self, pair: P<'_>) -> Option<(CompareOp, Span, Operand)> {
        let mut kids = pair.into_inner();
        let op_pair = kids.next()?;
        let span = self.span(&op_pair);
        let op = self.compare_op(&op_pair);
        let operand = kids.next()?.into_inner().next()?;
        let operand = match operand.as_rule() {
            R::quantified_list => {
                let span = self.span(&operand);
                let mut parts = operand.into_inner();
                let any = parts.next()?.as_rule() == R::k_any;
                let items = self.exprs(parts.next()?)?;
                if any { Operand::Any(items, span) } else { Operand::All(items, span) }
            }
            _ => Operand::One(Box::new(self.expr(operand)?)),
        };
        Some((op, span, operand))
    }

    fn compare_op(&self, pair: &P<'_>) -> CompareOp {
        match pair.as_str().trim() {
            "==" => CompareOp::Eq,
            "!=" => CompareOp::Ne,
            "<" => CompareOp::Lt,
            "<=" => CompareOp::Le,
            ">" => CompareOp::Gt,
            ">=" => CompareOp::Ge,
            "in" => CompareOp::In,
            "contains" => CompareOp::Contains,
            "starts_with" => CompareOp::StartsWith,
            "ends_with" => CompareOp::EndsWith,
            "matches" => CompareOp::Matches,
            _ => CompareOp::NotIn,
        }
    }

    fn feature_read(&mut self, subject: Expr, pair: P<'_>) -> Option<FeatureRead> {
        let mut negated = false;
        let mut kind = None;
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::k_not => negated = true,
                R::new_in => {
                    let name = kid.into_inner().find(|p| p.as_rule() == R::name)?;
                    kind = Some(ReadKind::NewIn(self.name(&name)));
                }
                R::rare_in => {
                    let (mut feature, mut below) = (None, None);
                    for part in kid.into_inner() {
                        match part.as_rule() {
                            R::name => feature = Some(self.name(&part)),
                            R::percent => below = Some(part.as_str().to_string()),
                            _ => {}
                        }
                    }
                    let below_text = below?;
                    let below = below_text.trim_end_matches('%').parse::<f64>().ok()? / 100.0;
                    kind = Some(ReadKind::RareIn { feature: feature?, below, below_text });
                }
                R::silent_for => {
                    let duration = kid.into_inner().find(|p| p.as_rule() == R::duration)?;
                    kind = Some(ReadKind::Silent(self.duration(&duration)));
                }
                _ => {}
            }
        }
        Some(FeatureRead { subject, negated, kind: kind? })
    }

    fn match_arm(&mut self, pair: P<'_>) -> Option<MatchArm> {
        let span = self.span(&pair);
        let mut patterns = Vec::new();
        let mut value = None;
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::pattern => {
                    let span = self.span(&kid);
                    let mut op = CompareOp::Eq;
                    let mut literal = None;
                    for part in kid.into_inner() {
                        match part.as_rule() {
                            R::compare_op => op = self.compare_op(&part),
                            _ => literal = Some(self.expr(part)?),
                        }
                    }
                    patterns.push(Pattern { span, op, value: literal? });
                }
                R::expr => value = Some(self.expr(kid)?),
                _ => {}
            }
        }
        let value = value?;
        Some(MatchArm { span: span.to(value.span), patterns, value })
    }

    fn path(&mut self, pair: P<'_>) -> Option<Path> {
        let span = self.span(&pair);
        let mut root = None;
        let mut steps = Vec::new();
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::root_name | R::word => root = Some(Root::Name(self.name(&kid))),
                R::quoted_root => {
                    let name = self.quoted(kid.into_inner().next()?)?;
                    root = Some(Root::Name(name));
                }
                R::call | R::quantified => root = Some(Root::Expr(Box::new(self.expr(kid)?))),
                R::step | R::key_step => {
                    let step = kid.into_inner().next()?;
                    let span = self.span(&step);
                    steps.push(match step.as_rule() {
                        R::field_step => {
                            let name = step.into_inner().next()?;
                            if name.as_rule() == R::word {
                                PathStep::Field { name: self.name(&name), quoted: false }
                            } else {
                                PathStep::Field { name: self.quoted(name)?, quoted: true }
                            }
                        }
                        R::each_step => PathStep::Each(span),
                        R::index_step => {
                            let int = step.into_inner().next()?;
                            let value = self.count(&int);
                            PathStep::Index(u32::try_from(value).unwrap_or(u32::MAX), span)
                        }
                        R::lookup_step => PathStep::Lookup(Box::new(self.expr(step.into_inner().next()?)?), span),
                        _ => return None,
                    });
                }
                _ => {}
            }
        }
        Some(Path { span, root: root?, steps })
    }

    fn quoted(&mut self, pair: P<'_>) -> Option<Name> {
        let span = self.span(&pair);
        let double = pair.as_rule() == R::double;
        let body = pair.into_inner().next()?;
        let text = if double {
            let at = self.span(&body).start as usize;
            self.unescape(body.as_str(), &|place| at + place)
        } else {
            body.as_str().to_string()
        };
        Some(Name { text, span })
    }

    // Literals

    pub fn text(&mut self, pair: P<'_>) -> Option<Text> {
        let span = self.span(&pair);
        let mut prefix = Prefix::None;
        let mut found = None;
        for kid in pair.into_inner() {
            match kid.as_rule() {
                R::prefix => {
                    prefix = match kid.as_str() {
                        "i" => Prefix::IgnoreCase,
                        "re" => Prefix::Regex,
                        "glob" => Prefix::Glob,
                        "pcre" => Prefix::Backtrack,
                        _ => Prefix::GlobIgnoreCase,
                    }
                }
                R::double | R::single | R::triple => {
                    let quote = match kid.as_rule() {
                        R::double => Quote::Double,
                        R::single => Quote::Single,
                        _ => Quote::Triple,
                    };
                    let body = kid.into_inner().next()?;
                    let at = self.base + body.as_span().start();
                    let value = match quote {
                        Quote::Single => body.as_str().to_string(),
                        Quote::Double => self.unescape(body.as_str(), &|place| at + place),
                        Quote::Triple => {
                            let lines = Lines::of(body.as_str());
                            self.unescape(&lines.join(), &|place| at + lines.source(place))
                        }
                    };
                    found = Some((value, quote));
                }
                _ => {}
            }
        }
        let (value, quote) = found?;
        Some(Text { span, value, prefix, quote })
    }

    /// Resolves escapes; `place` tells where in the file a place of `raw` is.
    fn unescape(&mut self, raw: &str, place: &dyn Fn(usize) -> usize) -> String {
        let (text, bad) = unescape(raw);
        for (start, end) in bad {
            // A backslash before the end of its line stands alone: what follows in the file is not what it escapes.
            let words = raw.get(start..end).unwrap_or("\\").trim_end_matches('\n');
            let span = Span::new(self.file, place(start), place(start) + words.len());
            let (message, help) = match words {
                r"\u" => (r"`\u` names no character here".into(), r"write its number in hexadecimal, as in `\u{41}`"),
                _ => (
                    format!("`{words}` is not an escape"),
                    r"write `\\` for a backslash, or use '…', where nothing is an escape",
                ),
            };
            self.report(&codes::BAD_ESCAPE, span, message).help.push(help.into());
        }
        text
    }

    fn int(&mut self, pair: &P<'_>) -> i64 {
        match pair.as_str().trim().replace('_', "").parse::<i64>() {
            Ok(n) => n,
            Err(_) => {
                let span = self.span(pair);
                self.report(&codes::BAD_NUMBER, span, "this number does not fit into 64 bits".into());
                0
            }
        }
    }

    fn count(&mut self, pair: &P<'_>) -> u64 {
        u64::try_from(self.int(pair)).unwrap_or(0)
    }

    pub fn duration(&mut self, pair: &P<'_>) -> Duration {
        let span = self.span(pair);
        let text = pair.as_str().trim().to_string();
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let unit = text.get(digits.len()..).unwrap_or("");
        let scale: i64 = match unit {
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "d" => 86_400_000_000_000,
            _ => 604_800_000_000_000,
        };
        let nanos = digits.replace('_', "").parse::<i64>().ok().and_then(|n| n.checked_mul(scale));
        if nanos.is_none() {
            self.report(&codes::BAD_NUMBER, span, "this duration is longer than 292 years".into());
        }
        Duration { span, nanos: nanos.unwrap_or(0), text }
    }
}
