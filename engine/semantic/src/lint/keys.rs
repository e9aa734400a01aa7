//! Structural keys: two expressions with one key are the same expression, whatever their places in
//! the text. Bound variables are named by their depth, so that renaming does not matter.
//!
//! A key is exact (no hashes), so equality of keys proves equality of meaning.

use std::fmt::Write;

use crate::typed::{Item, Kind, Pattern, Ty, Typed, VarId};

/// The key of an expression; none where something in it is wrong.
pub(super) fn key(typed: &Typed) -> Option<String> {
    let mut writer = Writer { out: String::new(), bound: Vec::new(), wrong: false };
    writer.typed(typed);
    (!writer.wrong).then_some(writer.out)
}

struct Writer {
    out: String,
    bound: Vec<VarId>,
    wrong: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        let _ = write!(self.out, "{text:?}");
    }

    fn item(&mut self, item: &Item) {
        let _ = write!(self.out, "{:?}/{};", item.value, item.fold);
    }

    fn pattern(&mut self, pattern: &Pattern) {
        let _ = write!(self.out, "{:?}{:?}", pattern.prefix, pattern.text);
    }

    fn node(&mut self, name: &str, parts: &[&Typed]) {
        self.out.push_str(name);
        self.out.push('(');
        for part in parts {
            self.typed(part);
            self.out.push(',');
        }
        self.out.push(')');
    }

    fn all(&mut self, name: &str, parts: &[Typed]) {
        let parts: Vec<&Typed> = parts.iter().collect();
        self.node(name, &parts);
    }

    fn binding(&mut self, var: VarId, parts: &[Option<&Typed>]) {
        self.bound.push(var);
        for part in parts {
            match part {
                Some(part) => self.typed(part),
                None => self.out.push('-'),
            }
            self.out.push(',');
        }
        self.bound.pop();
        self.out.push(')');
    }

    fn typed(&mut self, typed: &Typed) {
        match &typed.kind {
            Kind::Error => self.wrong = true,
            Kind::Const(value) => {
                let _ = write!(self.out, "={value:?}");
            }
            Kind::Path(root, path) => {
                match root {
                    crate::typed::Root::Var(var) => match self.bound.iter().rposition(|bound| bound == var) {
                        Some(at) => {
                            let _ = write!(self.out, "b{at}");
                        }
                        None => {
                            let _ = write!(self.out, "v{var}");
                        }
                    },
                    root => {
                        let _ = write!(self.out, "{root:?}");
                    }
                }
                let _ = write!(self.out, ":{:?}", path.0);
            }
            Kind::Then(inner, path) => {
                self.node("then", &[inner]);
                let _ = write!(self.out, "{:?}", path.0);
            }
            Kind::Lookup { table, key, column } => {
                let _ = write!(self.out, "table{table}.{column}");
                self.node("", &[key]);
            }
            Kind::And(parts) => self.all("and", parts),
            Kind::Or(parts) => self.all("or", parts),
            Kind::Not(inner, _) => self.node("not", &[inner]),
            Kind::Compare { op, left, right, fold } => {
                let _ = write!(self.out, "{op:?}{fold}");
                self.node("", &[left, right]);
            }
            Kind::Matches { left, pattern } => {
                self.node("matches", &[left]);
                self.pattern(pattern);
            }
            Kind::InItems { left, items } => {
                self.node("in", &[left]);
                for item in items.iter() {
                    self.item(item);
                }
                self.out.push('.');
            }
            Kind::InList { left, list } => {
                self.node("list", &[left]);
                let _ = write!(self.out, "{list}");
            }
            Kind::InArray { left, array, fold } => {
                let _ = write!(self.out, "among{fold}");
                self.node("", &[left, array]);
            }
            Kind::Exists(inner) => self.node("exists", &[inner]),
            Kind::Quantified { kind, var, array, condition, .. } => {
                let _ = write!(self.out, "{kind:?}(");
                self.typed(array);
                self.out.push(',');
                self.binding(*var, &[Some(condition)]);
            }
            Kind::Comprehension { var, array, condition, value } => {
                self.out.push_str("for(");
                self.typed(array);
                self.out.push(',');
                self.binding(*var, &[condition.as_deref(), Some(value)]);
            }
            Kind::Coalesce(parts) => self.all("first", parts),
            Kind::Arithmetic { op, left, right } => {
                let _ = write!(self.out, "{op:?}");
                self.node("", &[left, right]);
            }
            Kind::Call { function, args, pattern } => {
                self.all(function.name(), args);
                if let Some(pattern) = pattern {
                    self.pattern(pattern);
                }
            }
            Kind::If(a, b, c) => self.node("if", &[a, b, c]),
            Kind::Match(arms) => {
                self.out.push_str("match");
                for (test, value) in arms {
                    self.node("", &[test, value]);
                }
                self.out.push('.');
            }
            Kind::Object(members) => {
                self.out.push('{');
                for (path, value) in members {
                    let _ = write!(self.out, "{:?}", path.0);
                    self.node("", &[value]);
                }
                self.out.push('}');
            }
            Kind::Array(parts) => self.all("array", parts),
            Kind::Convert(inner) => {
                let name = type_key(&typed.ty);
                self.node(&name, &[inner]);
            }
            Kind::Caption(inner, attribute) => {
                self.node("caption", &[inner]);
                // Attributes of one name have different captions in different classes.
                let _ = write!(self.out, "{:p}", std::ptr::from_ref(*attribute));
            }
            Kind::Aggregate { name, args } => {
                self.out.push_str("aggregate ");
                self.all(name, args);
            }
            // What a read asks (`new`, `rare below`, `silent for` …) is not in the tree.
            Kind::Read { .. } => self.wrong = true,
        }
        // Two types may be read from one raw value.
        if let Kind::Const(_) = typed.kind {
            self.text(&type_key(&typed.ty));
        }
    }
}

fn type_key(ty: &Ty) -> String {
    match ty {
        Ty::Enum(attribute) => format!("to enum {:p}", std::ptr::from_ref(*attribute)),
        Ty::Array(inner) => format!("to array {}", type_key(inner)),
        other => format!("to {}", other.name()),
    }
}
