//! The printer: one line per expression, in the language's own notation, for goldens and for people.

use std::fmt::Write as _;

use tripline_event::Value;

use crate::{Arena, Id, Kind, Program, Quantifier, Root, Scalar, Target};

impl Arena {
    /// An expression, written out.
    pub fn print(&self, id: Id) -> String {
        let list = |ids: &[Id], by: &str| ids.iter().map(|id| self.print(*id)).collect::<Vec<_>>().join(by);
        match &self.get(id).kind {
            Kind::Const(value) => constant(value),
            Kind::Path(root, path) => {
                let base = match root {
                    Root::Raw => "raw".to_string(),
                    Root::Loose => "raw*".to_string(),
                    Root::Element(n) => format!("element{n}"),
                };
                after(&base, &path.to_string())
            }
            Kind::Then(x, path) => after(&self.print(*x), &path.to_string()),
            Kind::Each(xs) => format!("each({})", list(xs, ", ")),
            Kind::For { array, condition, value } => {
                let condition = condition.map(|c| format!(" if {}", self.print(c))).unwrap_or_default();
                format!("each({} for element0 in {}{condition})", self.print(*value), self.print(*array))
            }
            Kind::Lookup { table, key, column } => {
                let (table, column) = self.names.column(*table, *column);
                format!("{table}[{}].{column}", self.print(*key))
            }
            Kind::And(xs) => format!("({})", list(xs, " and ")),
            Kind::Or(xs) => format!("({})", list(xs, " or ")),
            Kind::Not(x) => format!("not {}", self.print(*x)),
            Kind::Compare { op, left, right, fold } => {
                format!("{} {} {}{}", self.side(*left), op.as_str(), if *fold { "i" } else { "" }, self.side(*right))
            }
            Kind::Matches { left, pattern } => format!("{} matches '{}'", self.side(*left), pattern.text),
            Kind::InItems { left, items } => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| format!("{}{}", if item.fold { "i" } else { "" }, constant(&item.value)))
                    .collect();
                format!("{} in [{}]", self.side(*left), items.join(", "))
            }
            Kind::InList { left, list } => format!("{} in {}", self.side(*left), self.names.list(*list)),
            Kind::InArray { left, array } => format!("{} in {}", self.side(*left), self.side(*array)),
            Kind::Exists(x) => format!("exists {}", self.print(*x)),
            Kind::Quantified { kind, array, condition } => {
                let word = match kind {
                    Quantifier::Any => "any",
                    Quantifier::All => "all",
                    Quantifier::First => "first",
                };
                format!("{word}(element0 in {}, {})", self.print(*array), self.print(*condition))
            }
            Kind::Anywhere(x) => format!("anywhere({})", self.print(*x)),
            Kind::Collect(x) => format!("[{}]", self.print(*x)),
            Kind::Coalesce(xs) => format!("({})", list(xs, " ?? ")),
            Kind::Arithmetic { op, left, right } => {
                format!("({} {} {})", self.print(*left), op.as_str(), self.print(*right))
            }
            Kind::Call { function, args, pattern } => {
                let pattern = pattern.as_ref().map(|p| format!(", re'{}'", p.text)).unwrap_or_default();
                format!("{}({}{pattern})", function.name(), list(args, ", "))
            }
            Kind::Cases(cases) => {
                let cases: Vec<String> =
                    cases.iter().map(|(c, v)| format!("{} => {}", self.print(*c), self.print(*v))).collect();
                format!("cases {{ {} }}", cases.join(", "))
            }
            Kind::Object(members) => {
                let members: Vec<String> =
                    members.iter().map(|(path, value)| format!("{path}: {}", self.print(*value))).collect();
                format!("{{ {} }}", members.join(", "))
            }
            Kind::Array(xs) => format!("[{}]", list(xs, ", ")),
            Kind::Convert(x, target) => {
                let name = match target {
                    Target::One(scalar) => scalar_name(*scalar),
                    Target::Array(scalar) => format!("array<{}>", scalar_name(*scalar)),
                };
                format!("{name}({})", self.print(*x))
            }
            Kind::Caption(x, attribute) => format!("caption<{}>({})", attribute.name, self.print(*x)),
        }
    }

    /// One side of a test; a test itself stands in parentheses there.
    fn side(&self, id: Id) -> String {
        let test = matches!(
            self.get(id).kind,
            Kind::Not(_)
                | Kind::Compare { .. }
                | Kind::Matches { .. }
                | Kind::InItems { .. }
                | Kind::InList { .. }
                | Kind::InArray { .. }
                | Kind::Exists(_)
        );
        if test { format!("({})", self.print(id)) } else { self.print(id) }
    }
}

impl Program {
    /// Every arm with its rules' conditions.
    pub fn print(&self, rule_name: &dyn Fn(usize) -> String) -> String {
        let mut out = String::new();
        for source in &self.sources {
            let _ = writeln!(out, "source {}", source.name);
            for arm in &source.arms {
                let _ = writeln!(out, "  arm {}: {}", arm.class.name, self.arena.print(arm.guard));
                for rule in &arm.rules {
                    let _ = writeln!(out, "    rule {}", rule_name(rule.rule));
                    let _ = writeln!(out, "      where {}", self.arena.print(rule.condition));
                    for (_, exception) in &rule.exceptions {
                        let _ = writeln!(out, "      except {}", self.arena.print(*exception));
                    }
                }
            }
        }
        out
    }
}

fn after(base: &str, path: &str) -> String {
    match path.chars().next() {
        None => base.to_string(),
        Some('[') => format!("{base}{path}"),
        Some(_) => format!("{base}.{path}"),
    }
}

fn scalar_name(scalar: Scalar) -> String {
    match scalar {
        Scalar::Bool => "bool".into(),
        Scalar::Int => "int".into(),
        Scalar::Float => "float".into(),
        Scalar::Text => "string".into(),
        Scalar::Ip => "ip".into(),
        Scalar::Cidr => "cidr".into(),
        Scalar::Time => "timestamp".into(),
        Scalar::Enum(attribute) => attribute.name.into(),
        Scalar::Any => "any".into(),
    }
}

fn constant(value: &Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Text(text) => format!("{text:?}"),
        Value::Array(items) => format!("[{}]", items.iter().map(constant).collect::<Vec<_>>().join(", ")),
        other => tripline_event::to_text(other).map_or_else(|| "{…}".into(), |text| text.into_owned()),
    }
}
