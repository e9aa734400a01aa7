//! Items, clauses, tests and definitions in the one style.

use super::doc::{Doc, HARD, LINE, WIDTH, concat, group, group_broken, indent, text};
use super::{ARGUMENTS, Entry, Formatter, LIST, Laid, OBJECT, block, bracketed, commas};
use crate::ast::{
    Alert, AlertField, Arm, Canary, CompareOp, Def, Definition, EventStatement, Except, Expect, ExpectEntry, Expected,
    Expr, Feature, Item, List, ListBody, Mapping, MappingClause, Matcher, Name, On, Operand, Rendered, Routed, Rule,
    RuleClause, Sequence, Statement, Step, Table, Test, Where,
};

/// A line that may begin with a key: `key: value`, values in a column.
struct Keyed {
    /// With its colon.
    key: Option<String>,
    doc: Doc,
}

/// Longer keys take no part in a column: they would push the others far from their values.
#[derive(Clone, Copy)]
struct Column {
    /// Where the lines begin.
    indent: usize,
    /// The longest key, with its colon.
    widest: usize,
}

const HEADER: Column = Column { indent: 2, widest: 10 };
const ALERT: Column = Column { indent: 4, widest: 10 };
const MAPPING: Column = Column { indent: 2, widest: 25 };
const ARM: Column = Column { indent: 4, widest: 25 };
const STEPS: Column = Column { indent: 4, widest: 25 };

/// Puts the values of adjacent lines into a column.
fn align(laid: Laid<Keyed>, column: Column) -> Laid<Doc> {
    let Laid { opener, entries, tail } = laid;
    // Which lines are one line; a column that is too far to the right may take that from a line.
    let mut single: Vec<bool> = entries.iter().map(|e| e.doc.key.is_some() && !e.doc.doc.forced()).collect();
    let mut columns = vec![0; entries.len()];
    loop {
        columns.fill(0);
        let mut run: Vec<usize> = Vec::new();
        let mut widest = 0;
        for (n, entry) in entries.iter().enumerate() {
            let own = single.get(n).copied().unwrap_or(false);
            if !own || entry.blank || !entry.leading.is_empty() {
                finish(&mut run, &mut widest, &mut columns);
            }
            if let (true, Some(key)) = (own, &entry.doc.key) {
                let width = key.chars().count();
                if width <= column.widest {
                    run.push(n);
                    widest = widest.max(width);
                }
            }
        }
        finish(&mut run, &mut widest, &mut columns);
        let mut changed = false;
        for ((entry, single), at) in entries.iter().zip(&mut single).zip(&columns) {
            let key = entry.doc.key.as_ref().map_or(0, |key| key.chars().count());
            let width = column.indent + key.max(*at) + 1 + entry.doc.doc.flat_width();
            if *single && width > WIDTH && entry.doc.doc.breakable() {
                *single = false;
                changed = true;
            }
        }
        if !changed {
            break;
        }
    }
    let entries = entries
        .into_iter()
        .zip(columns)
        .map(|(Entry { leading, blank, doc: Keyed { key, doc }, suffix }, at)| {
            let doc = match key {
                Some(key) => concat([text(format!("{key:at$} ")), doc]),
                None => doc,
            };
            Entry { leading, blank, doc, suffix }
        })
        .collect();
    Laid { opener, entries, tail }
}

fn finish(run: &mut Vec<usize>, widest: &mut usize, columns: &mut [usize]) {
    for n in run.drain(..) {
        if let Some(at) = columns.get_mut(n) {
            *at = *widest;
        }
    }
    *widest = 0;
}

fn names(names: &[Name]) -> Doc {
    commas(names.iter().map(|name| text(&name.text)).collect())
}

fn unkeyed(doc: Doc) -> Keyed {
    Keyed { key: None, doc }
}

fn keyed(name: &str, doc: Doc) -> Keyed {
    Keyed { key: Some(format!("{name}:")), doc }
}

fn one_line(keyed: Keyed) -> Doc {
    match keyed.key {
        Some(key) => concat([text(key), text(" "), keyed.doc]),
        None => keyed.doc,
    }
}

impl Formatter<'_> {
    pub(super) fn item(&mut self, item: &Item) -> Doc {
        match item {
            Item::Rule(rule) => self.rule(rule),
            Item::Mapping(mapping) => self.mapping(mapping),
            Item::Feature(feature) => self.feature(feature),
            Item::List(list) => self.list(list),
            Item::Table(table) => self.table(table),
            Item::Def(def) => self.def(def),
        }
    }

    fn rule(&mut self, rule: &Rule) -> Doc {
        let (from, to) = (rule.name.span.end as usize, rule.span.end as usize);
        let laid = self.lay(from, to, &rule.clauses, RuleClause::span, Self::rule_clause);
        concat([text(format!("rule {} ", rule.name.text)), block(align(laid, HEADER))])
    }

    fn rule_clause(&mut self, clause: &RuleClause) -> Keyed {
        unkeyed(match clause {
            RuleClause::Field(field) => return keyed(&field.name.text, self.condition(&field.value)),
            RuleClause::Attack(attack) => {
                let (from, to) = (attack.span.start as usize, attack.span.end as usize);
                let laid = self.lay(from, to, &attack.techniques, |t| t.span, |_, t| text(&t.text));
                return keyed("attack", bracketed(LIST, laid, false));
            }
            RuleClause::On(on) => self.on(on),
            RuleClause::Where(x) => self.where_("where ", x),
            RuleClause::Having(x) => self.where_("having ", x),
            RuleClause::Group(x) => {
                let kind = x.kind.as_ref().map_or(String::new(), |kind| format!(" {}", kind.text));
                let within = text(format!(" within {}{kind}", x.within.text));
                concat([text("group "), self.by(&x.by), within, self.options(&x.options)])
            }
            RuleClause::Sequence(x) => self.sequence(x),
            RuleClause::Except(x) => self.except(x),
            RuleClause::Alert(x) => self.alert(x),
            RuleClause::Test(x) => self.test(x),
            RuleClause::Canary(x) => self.canary(x),
            RuleClause::Equivalent(x) => {
                let (label, reason) = (self.string(&x.label), self.string(&x.reason));
                let because = indent(concat([LINE, text("because "), reason]));
                group(concat([text("equivalent "), label, because]))
            }
        })
    }

    /// ` max_keys 10000`
    fn options(&mut self, options: &[(Name, Expr)]) -> Doc {
        let one = |(name, value): &(Name, Expr)| concat([text(format!(" {} ", name.text)), self.expr(value)]);
        Doc::Concat(options.iter().map(one).collect())
    }

    fn on(&mut self, on: &On) -> Doc {
        let class = text(format!("on {}", on.class.text));
        concat([class, self.from(&on.from)])
    }

    fn from(&mut self, from: &[Name]) -> Doc {
        if from.is_empty() { text("") } else { concat([text(" from "), names(from)]) }
    }

    fn by(&mut self, by: &[Expr]) -> Doc {
        let by = self.exprs(by);
        concat([text("by "), commas(by)])
    }

    fn where_(&mut self, word: &str, x: &Where) -> Doc {
        concat([text(word), self.condition(&x.expr)])
    }

    fn sequence(&mut self, x: &Sequence) -> Doc {
        let word = text(if x.ordered { "sequence " } else { "together " });
        let by = if x.by.is_empty() { text("") } else { concat([self.by(&x.by), text(" ")]) };
        let (from, to) = (x.within.span.end as usize, x.span.end as usize);
        let laid = self.lay(from, to, &x.steps, |step| step.span, Self::step);
        let within = text(format!("within {}", x.within.text));
        concat([word, by, within, self.options(&x.options), text(" "), block(align(laid, STEPS))])
    }

    fn step(&mut self, step: &Step) -> Keyed {
        let key = step.name.as_ref().map_or("not".to_string(), |name| format!("{}:", name.text));
        let mut parts = vec![text(&step.class.text), self.from(&step.from)];
        if !step.by.is_empty() {
            parts.extend([text(" "), self.by(&step.by)]);
        }
        let mut last = Vec::new();
        if let Some(condition) = &step.condition {
            last.extend([LINE, text("where "), self.expr(condition)]);
        }
        if let Some(repeat) = &step.repeat {
            let end = |n: Option<u64>| n.map_or(String::new(), |n| n.to_string());
            last.push(text(format!(" [{}..{}]", end(repeat.min), end(repeat.max))));
        }
        parts.push(indent(Doc::Concat(last)));
        Keyed { key: Some(key), doc: group(Doc::Concat(parts)) }
    }

    fn except(&mut self, x: &Except) -> Doc {
        let finding = if x.finding { "finding " } else { "" };
        let until = x.until.as_ref().map_or(String::new(), |until| format!(" until {}", until.text));
        let condition = self.where_("where ", &x.condition);
        concat([
            text(format!("except {finding}")),
            self.string(&x.reason),
            text(until),
            indent(concat([HARD, condition])),
        ])
    }

    fn alert(&mut self, x: &Alert) -> Doc {
        let (from, to) = (x.span.start as usize, x.span.end as usize);
        let laid = self.lay(from, to, &x.fields, AlertField::span, Self::alert_field);
        let first = x.fields.first().map_or(x.span.end, |field| field.span().start);
        let broken = self.breaks(x.span.start, first);
        concat([text("alert "), body(laid, ALERT, broken)])
    }

    fn alert_field(&mut self, field: &AlertField) -> Keyed {
        match field {
            AlertField::Field(field) => keyed(&field.name.text, self.expr(&field.value)),
            AlertField::Severity { cases, .. } => {
                let mut parts = Vec::new();
                for (level, condition) in cases {
                    parts.push(match condition {
                        Some(condition) => concat([text(format!("{} when ", level.text)), self.expr(condition)]),
                        None => text(&level.text),
                    });
                }
                keyed("severity", commas(parts))
            }
            AlertField::Risk { amount, entity, .. } => {
                keyed("risk", concat([self.expr(amount), text(" on "), self.expr(entity)]))
            }
        }
    }

    fn test(&mut self, test: &Test) -> Doc {
        let (from, to) = (test.name.span.end as usize, test.span.end as usize);
        let laid = self.lay(from, to, &test.statements, Statement::span, Self::statement);
        concat([text("test "), self.string(&test.name), text(" "), block(laid)])
    }

    fn canary(&mut self, canary: &Canary) -> Doc {
        let (from, to) = (canary.span.start as usize, canary.span.end as usize);
        let laid = self.lay(from, to, &canary.statements, Statement::span, Self::statement);
        concat([text("canary "), block(laid)])
    }

    fn statement(&mut self, statement: &Statement) -> Doc {
        match statement {
            Statement::Event(event) => self.event(event),
            Statement::Repeat { span, every, binding, body, .. } => {
                let mut head = format!("repeat {} ", self.word_after(span.start as usize + "repeat".len()));
                let mut from = span.start as usize;
                if let Some(every) = every {
                    head.push_str(&format!("every {} ", every.text));
                    from = every.span.end as usize;
                }
                if let Some(binding) = binding {
                    head.push_str(&format!("as {} ", binding.text));
                    from = binding.span.end as usize;
                }
                let laid = self.lay(from, span.end as usize, body, Statement::span, Self::statement);
                concat([text(head), block(laid)])
            }
            Statement::Advance { by, .. } => text(format!("advance {}", by.text)),
            Statement::At { time, .. } => concat([text("at "), self.string(time)]),
            Statement::Expect(expect) => self.expect(expect),
        }
    }

    fn event(&mut self, event: &EventStatement) -> Doc {
        let mut parts = vec![text("event")];
        if let Some(source) = &event.source {
            parts.push(text(format!(" {}", source.text)));
        }
        if let Some(from) = &event.from {
            parts.extend([text(" from "), self.string(from)]);
        }
        if let Some(with) = &event.with {
            parts.push(text(if event.from.is_some() { " with " } else { " " }));
            parts.push(self.expr(with));
        }
        if event.redelivered {
            parts.push(text(" redelivered"));
        }
        Doc::Concat(parts)
    }

    fn expect(&mut self, x: &Expect) -> Doc {
        let what = match &x.what {
            Expected::Nothing => "expect nothing".to_string(),
            Expected::Alerts(None) => "expect alert".to_string(),
            Expected::Alerts(Some(n)) => {
                let number = self.word_after(x.span.start as usize + "expect".len());
                format!("expect {number} {}", if *n == 1 { "alert" } else { "alerts" })
            }
            Expected::Event(class) => format!("expect {}", class.text),
        };
        let beyond = x.routed.iter().map(|routed| routed.span).chain(x.rendered.iter().map(|one| one.span));
        let to = beyond.map(|span| span.start).min().unwrap_or(x.span.end) as usize;
        let mut parts = vec![text(what)];
        if !x.entries.is_empty() {
            let laid = self.lay(x.span.start as usize, to, &x.entries, |entry| entry.span, Self::expect_entry);
            parts.extend([text(" "), bracketed(OBJECT, laid, false)]);
        }
        let mut tail = Vec::new();
        if let Some(Routed { span, to }) = &x.routed {
            let (from, end) = (span.start as usize, span.end as usize);
            let laid = self.lay(from, end, to, |one| one.span, |formatter, one| formatter.string(one));
            tail.extend([LINE, text("routed to "), bracketed(LIST, laid, false)]);
        }
        for Rendered { by, contains, .. } in &x.rendered {
            let (by, contains) = (self.string(by), self.string(contains));
            tail.extend([LINE, text("rendered by "), by, text(" contains "), contains]);
        }
        parts.push(group(indent(Doc::Concat(tail))));
        Doc::Concat(parts)
    }

    fn expect_entry(&mut self, entry: &ExpectEntry) -> Doc {
        let path = self.path(&entry.path);
        let matcher = match &entry.matcher {
            Matcher::Exists(_) => text("exists"),
            Matcher::Absent(_) => text("absent"),
            // `absent` on its own is a matcher, not a path.
            Matcher::Compare(CompareOp::Eq, Operand::One(value))
                if self.word_after(value.span.start as usize) != "absent" =>
            {
                self.expr(value)
            }
            Matcher::Compare(op, operand) => concat([text(format!("{} ", op.as_str())), self.operand(operand)]),
        };
        concat([path, text(": "), matcher])
    }

    fn mapping(&mut self, mapping: &Mapping) -> Doc {
        let (from, to) = (mapping.source.span.end as usize, mapping.span.end as usize);
        let laid = self.lay(from, to, &mapping.clauses, MappingClause::span, Self::mapping_clause);
        let head = format!("mapping {} from {} ", mapping.name.text, mapping.source.text);
        concat([text(head), block(align(laid, MAPPING))])
    }

    fn mapping_clause(&mut self, clause: &MappingClause) -> Keyed {
        unkeyed(match clause {
            MappingClause::Definition(definition) => return self.definition(definition),
            MappingClause::Detect(x) => self.where_("detect where ", x),
            MappingClause::Arm(arm) => self.arm(arm),
            MappingClause::Test(test) => self.test(test),
        })
    }

    fn definition(&mut self, definition: &Definition) -> Keyed {
        let path = self.path_text(&definition.path);
        keyed(&path, self.condition(&definition.value))
    }

    fn arm(&mut self, arm: &Arm) -> Doc {
        let class = &arm.class.text;
        let head = match &arm.condition {
            None => text(format!("otherwise -> {class}")),
            Some(condition) => match self.chain(condition) {
                Some(chain) => group_broken(
                    concat([text("when "), chain.first, indent(chain.rest), LINE, text(format!("-> {class}"))]),
                    chain.broken,
                ),
                None => concat([text("when "), self.expr(condition), text(format!(" -> {class}"))]),
            },
        };
        if !arm.braces {
            return head;
        }
        let (from, to) = (arm.class.span.end as usize, arm.span.end as usize);
        let laid = self.lay(from, to, &arm.definitions, |d| d.span, Self::definition);
        let first = arm.definitions.first().map_or(arm.span.end, |d| d.span.start);
        let broken = self.breaks(arm.class.span.end, first);
        concat([head, text(" "), body(laid, ARM, broken)])
    }

    fn feature(&mut self, x: &Feature) -> Doc {
        let mut first = vec![text(&x.aggregate.text)];
        if let Some(of) = &x.of {
            first.extend([text(" of "), self.expr(of)]);
        }
        if let Some(per) = &x.per {
            first.push(text(format!(" per {}", per.text)));
        }
        first.extend([text(" "), self.by(&x.by), text(format!(" over {}", x.over.text))]);
        first.push(self.options(&x.options));
        let mut second = vec![self.on(&x.on)];
        if let Some(condition) = &x.condition {
            second.extend([LINE, self.where_("where ", condition)]);
        }
        let lines = [HARD, Doc::Concat(first), HARD, group(Doc::Concat(second))];
        concat([text(format!("feature {} =", x.name.text)), indent(concat(lines))])
    }

    fn list(&mut self, list: &List) -> Doc {
        let head = text(format!("list {}: {}", list.name.text, list.ty.text));
        match &list.body {
            ListBody::Inline(entries) => concat([head, text(" = "), self.expr(entries)]),
            ListBody::File(file) => concat([head, text(" from "), self.string(file)]),
        }
    }

    fn table(&mut self, table: &Table) -> Doc {
        let head = format!("table {} key {} from ", table.name.text, table.key.text);
        concat([text(head), self.string(&table.from)])
    }

    fn def(&mut self, def: &Def) -> Doc {
        let (from, to) = (def.name.span.end as usize, def.body.span.start as usize);
        let whole = |(name, ty): &(Name, Name)| name.span.to(ty.span);
        // The parameters end at their bracket: comments by the `=` are the item's.
        let to = self.closing(def.params.last().map_or(from, |(_, ty)| ty.span.end as usize)).min(to);
        let laid = self.lay(from, to, &def.params, whole, |_, (name, ty)| text(format!("{}: {}", name.text, ty.text)));
        let head = concat([text(format!("def {}", def.name.text)), bracketed(ARGUMENTS, laid, false), text(" =")]);
        match self.chain(&def.body) {
            Some(chain) => {
                let body = indent(concat([LINE, chain.first, chain.rest]));
                concat([head, group_broken(body, chain.broken)])
            }
            None => concat([head, text(" "), self.expr(&def.body)]),
        }
    }
}

/// `{ one: entry }` where the author has it so and it fits, else one entry a line.
fn body(laid: Laid<Keyed>, column: Column, broken: bool) -> Doc {
    let plain = |e: &Entry<Keyed>| e.leading.is_empty() && e.suffix.is_none();
    let single = laid.entries.len() == 1 && laid.opener.is_none() && laid.tail.is_empty();
    if broken || !single || !laid.entries.iter().all(plain) {
        return block(align(laid, column));
    }
    let entry = laid.entries.into_iter().next().map(|e| one_line(e.doc)).unwrap_or_else(|| text(""));
    group(concat([text("{"), indent(concat([LINE, entry])), LINE, text("}")]))
}
