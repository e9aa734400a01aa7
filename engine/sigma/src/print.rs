//! A lowered rule as `.trip` text: for `sigma convert`, through the formatter that `fmt` uses.
//!
//! The formatter takes names and literals from the text that a tree was read from, and that of a Sigma rule is
//! YAML. So the rule is first written out plainly, and read back.

use tripline_base::{Diagnostic, FileId};
use tripline_syntax::ast::{
    ArithmeticOp, CompareOp, Expr, ExprKind, Name, Operand, Path, PathStep, Prefix, Quote, Root, Rule, RuleClause,
    Step, Text,
};
use tripline_syntax::format::format;
use tripline_syntax::parse_file;

/// The formatted text of a rule. What this crate lowers reads back, but for windows without a key or over several
/// rules, which the native language has no words for; these and anything else give diagnostics.
pub fn rule_text(rule: &Rule) -> Result<String, Vec<Diagnostic>> {
    let mut text = format!("rule {} {{\n", rule.name.text);
    for clause in &rule.clauses {
        if matches!(clause, RuleClause::On(_) | RuleClause::Sequence(_)) {
            text.push('\n');
        }
        self::clause(clause, &mut text);
        text.push('\n');
    }
    text.push_str("}\n");
    let parsed = parse_file(FileId::default(), &text);
    if parsed.diagnostics.is_empty() { Ok(format(&parsed.file, &text)) } else { Err(parsed.diagnostics) }
}

fn clause(clause: &RuleClause, out: &mut String) {
    match clause {
        RuleClause::Field(field) => {
            out.push_str(&field.name.text);
            out.push_str(": ");
            expr(&field.value, out);
        }
        RuleClause::Attack(attack) => {
            let names: Vec<&str> = attack.techniques.iter().map(|name| name.text.as_str()).collect();
            out.push_str(&format!("attack: [{}]", names.join(", ")));
        }
        RuleClause::On(on) => {
            out.push_str(&format!("on {}", on.class.text));
            from(&on.from, out);
        }
        RuleClause::Group(group) => {
            out.push_str("group by ");
            between(&group.by, ", ", out);
            out.push_str(&format!(" within {}", group.within.text));
        }
        RuleClause::Having(clause) => {
            out.push_str("having ");
            expr(&clause.expr, out);
        }
        RuleClause::Sequence(sequence) => {
            let word = if sequence.ordered { "sequence" } else { "together" };
            out.push_str(&format!("{word} within {} {{\n", sequence.within.text));
            sequence.steps.iter().for_each(|one| step(one, out));
            out.push('}');
        }
        RuleClause::Where(clause) => {
            out.push_str("where ");
            expr(&clause.expr, out);
        }
        // Sigma rules have no other clauses.
        _ => {}
    }
}

fn from(names: &[Name], out: &mut String) {
    let names: Vec<&str> = names.iter().map(|name| name.text.as_str()).collect();
    if !names.is_empty() {
        out.push_str(&format!(" from {}", names.join(", ")));
    }
}

fn step(step: &Step, out: &mut String) {
    out.push_str(&format!("{}: {}", step.name.as_ref().map_or("", |name| &name.text), step.class.text));
    from(&step.from, out);
    if !step.by.is_empty() {
        out.push_str(" by ");
        between(&step.by, ", ", out);
    }
    if let Some(condition) = &step.condition {
        out.push_str(" where ");
        expr(condition, out);
    }
    out.push('\n');
}

fn between(parts: &[Expr], word: &str, out: &mut String) {
    for (n, part) in parts.iter().enumerate() {
        if n > 0 {
            out.push_str(word);
        }
        expr(part, out);
    }
}

fn brackets(items: &[Expr], out: &mut String) {
    out.push('[');
    between(items, ", ", out);
    out.push(']');
}

fn expr(at: &Expr, out: &mut String) {
    match &at.kind {
        ExprKind::Text(text) => string(text, out),
        ExprKind::Int(value) => out.push_str(&value.to_string()),
        ExprKind::Float(value) => {
            let text = value.to_string();
            out.push_str(&text);
            if !text.contains('.') {
                out.push_str(".0");
            }
        }
        ExprKind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        ExprKind::Path(path) => self::path(path, out),
        ExprKind::List(items) => brackets(items, out),
        ExprKind::Or(parts) => between(parts, " or ", out),
        ExprKind::And(parts) => between(parts, " and ", out),
        ExprKind::Not(inner) => {
            out.push_str("not ");
            expr(inner, out);
        }
        ExprKind::Compare { left, op, right, .. } => {
            expr(left, out);
            out.push_str(&format!(" {} ", CompareOp::as_str(*op)));
            match right {
                Operand::One(value) => expr(value, out),
                Operand::Any(items, _) => {
                    out.push_str("any ");
                    brackets(items, out);
                }
                Operand::All(items, _) => {
                    out.push_str("all ");
                    brackets(items, out);
                }
            }
        }
        ExprKind::Exists(inner) => {
            out.push_str("exists ");
            expr(inner, out);
        }
        ExprKind::Negate(inner) => {
            out.push('-');
            expr(inner, out);
        }
        ExprKind::Call { name, args } => {
            out.push_str(&name.text);
            out.push('(');
            between(args, ", ", out);
            out.push(')');
        }
        ExprKind::Paren(inner) => {
            out.push('(');
            expr(inner, out);
            out.push(')');
        }
        ExprKind::Coalesce(parts) => between(parts, " ?? ", out),
        ExprKind::If { condition, then, otherwise } => {
            out.push_str("(if ");
            expr(condition, out);
            out.push_str(" then ");
            expr(then, out);
            out.push_str(" else ");
            expr(otherwise, out);
            out.push(')');
        }
        ExprKind::Arithmetic { left, op: ArithmeticOp::Add, right } => {
            expr(left, out);
            out.push_str(" + ");
            expr(right, out);
        }
        // Sigma rules hold no other expressions.
        _ => out.push_str("null"),
    }
}

fn path(path: &Path, out: &mut String) {
    match &path.root {
        Root::Name(name) => out.push_str(&name.text),
        Root::Expr(inner) => expr(inner, out),
    }
    for step in &path.steps {
        if let PathStep::Field { name, quoted } = step {
            out.push('.');
            if *quoted { escaped(&name.text, out) } else { out.push_str(&name.text) }
        }
    }
}

fn string(text: &Text, out: &mut String) {
    out.push_str(match text.prefix {
        Prefix::None => "",
        Prefix::IgnoreCase => "i",
        Prefix::Regex => "re",
        Prefix::Glob => "glob",
        Prefix::GlobIgnoreCase => "iglob",
        Prefix::Backtrack => "pcre",
    });
    // Words are written as people write them; patterns and paths without escapes.
    let words = text.prefix == Prefix::None && !text.value.contains(['\\', '"']);
    if text.quote == Quote::Single && !words {
        out.push('\'');
        out.push_str(&text.value);
        out.push('\'');
    } else {
        escaped(&text.value, out);
    }
}

fn escaped(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}
