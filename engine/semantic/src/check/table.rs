//! Lists and tables, and looking a table up.

use std::collections::HashMap;
use std::sync::Arc;

use tripline_base::{Diagnostic, Span, did_you_mean};
use tripline_event::Value;
use tripline_syntax::ast::{self, ExprKind, ListBody, PathStep};

use super::{Checker, Scope};
use crate::codes;
use crate::typed::{Item, Kind, List, Table, Ty, Typed};

impl Checker<'_> {
    pub(super) fn list(&mut self, list: &ast::List) {
        let Some(ty) = self.type_name(&list.ty) else { return };
        let mut items = Vec::new();
        match &list.body {
            ListBody::Inline(expr) => {
                if let ExprKind::List(entries) = &expr.kind {
                    for entry in entries {
                        if !super::literal::is_literal(entry) {
                            self.report(Diagnostic::new(
                                &codes::BAD_LITERAL,
                                entry.span,
                                "an entry of a list is a literal",
                            ));
                            continue;
                        }
                        items.extend(self.literal(entry, &ty, false));
                    }
                }
            }
            ListBody::File(name) => {
                let beside = self.sources.name(list.span.file).to_string();
                match self.read.read(&beside, &name.value) {
                    Ok(text) => self.list_lines(&text, name, &ty, &mut items),
                    Err(why) => self.unreadable("list", name, &why),
                }
            }
        }
        self.lists.insert(list.name.text.clone(), self.program.lists.len());
        self.program.lists.push(List {
            name: list.name.text.clone(),
            name_span: list.name.span,
            ty,
            items: Arc::new(items),
        });
    }

    fn unreadable(&mut self, what: &str, name: &ast::Text, why: &str) {
        let message = format!("the {what}'s file `{}` cannot be read: {why}", name.value);
        self.report(
            Diagnostic::new(&codes::UNREADABLE_FILE, name.span, message)
                .help("it is looked for from the folder of this `.trip` file, there or below"),
        );
    }

    fn list_lines(&mut self, text: &str, name: &ast::Text, ty: &Ty, items: &mut Vec<Item>) {
        for (number, line) in text.lines().enumerate() {
            let line = line.split(" #").next().unwrap_or("").trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let value = match ty {
                Ty::Text => Some(Value::text(line.to_string())),
                Ty::Ip => line.parse::<std::net::IpAddr>().ok().map(|ip| Value::Ip(ip.to_canonical())),
                Ty::Cidr => line
                    .parse::<ipnet::IpNet>()
                    .ok()
                    .or_else(|| line.parse::<std::net::IpAddr>().ok().map(ipnet::IpNet::from))
                    .map(Value::Cidr),
                Ty::Int => line.parse().ok().map(Value::Int),
                Ty::Float => line.parse().ok().filter(|x: &f64| x.is_finite()).map(Value::Float),
                Ty::Time => tripline_event::parse_time(line).map(Value::Time),
                Ty::Bool => line.parse().ok().map(Value::Bool),
                _ => None,
            };
            match value {
                Some(value) => items.push(Item { value, fold: false, span: name.span }),
                None => {
                    let shown: String = line.chars().take(60).collect();
                    self.report(Diagnostic::new(
                        &codes::BAD_LITERAL,
                        name.span,
                        format!("line {} of `{}` is no {}: `{shown}`", number + 1, name.value, ty.name()),
                    ));
                    return;
                }
            }
        }
    }

    pub(super) fn table(&mut self, table: &ast::Table) {
        let beside = self.sources.name(table.span.file).to_string();
        let mut columns = Vec::new();
        let mut rows = HashMap::new();
        match self.read.read(&beside, &table.from.value) {
            Ok(text) => {
                if let Err(why) = read_csv(&text, &table.key.text, &mut columns, &mut rows) {
                    let message = format!("the table's file `{}` cannot be read: {why}", table.from.value);
                    self.report(
                        Diagnostic::new(&codes::UNREADABLE_FILE, table.from.span, message)
                            .help("a table is CSV: its first line names the columns, and one of them is the key"),
                    );
                }
            }
            Err(why) => self.unreadable("table", &table.from, &why),
        }
        self.tables.insert(table.name.text.clone(), self.program.tables.len());
        self.program.tables.push(Table { name: table.name.text.clone(), name_span: table.name.span, columns, rows });
    }

    /// `assets[device.hostname].criticality`
    pub(super) fn lookup(&mut self, table: usize, path: &ast::Path, scope: &Scope) -> Typed {
        let Some((name, columns)) = self.program.tables.get(table).map(|t| (t.name.clone(), t.columns.clone())) else {
            return self.wrong(path.span);
        };
        self.use_name(&name);
        let (key, rest): (Typed, &[PathStep]) = match path.steps.split_first() {
            Some((PathStep::Lookup(key, _), rest)) => {
                let key = self.expr(key, scope, Some(&Ty::Text));
                let key = match key.ty {
                    Ty::Text | Ty::Error => key,
                    Ty::Raw | Ty::Int | Ty::Ip => {
                        let span = key.span;
                        self.make(Kind::Convert(Box::new(key)), Ty::Text, span)
                    }
                    _ => return self.error(&codes::TYPE_MISMATCH, key.span, "the key of a table is text"),
                };
                (key, rest)
            }
            _ => {
                return self.error(
                    &codes::NOT_OBJECT,
                    path.span,
                    format!("`{name}` is a table; look a row up: `{name}[device.hostname].COLUMN`"),
                );
            }
        };
        let [PathStep::Field { name: column, .. }] = rest else {
            return self.error(
                &codes::NOT_OBJECT,
                path.span,
                format!("name a column of `{name}`: {}", columns.join(", ")),
            );
        };
        match columns.iter().position(|c| *c == column.text) {
            Some(at) => self.make(Kind::Lookup { table, key: Box::new(key), column: at }, Ty::Text, path.span),
            None => {
                self.unknown_column(&name, column, &columns, column.span);
                self.wrong(path.span)
            }
        }
    }

    fn unknown_column(&mut self, table: &str, column: &ast::Name, columns: &[String], span: Span) {
        self.report(
            Diagnostic::new(
                &codes::UNKNOWN_FIELD,
                span,
                format!("the table `{table}` has no column `{}`", column.text),
            )
            .maybe_help(did_you_mean(&column.text, columns.iter().map(String::as_str)))
            .help(format!("its columns are {}", columns.join(", "))),
        );
    }
}

fn read_csv(
    text: &str,
    key: &str,
    columns: &mut Vec<String>,
    rows: &mut HashMap<String, Vec<String>>,
) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    *columns = reader.headers().map_err(|e| e.to_string())?.iter().map(str::to_string).collect();
    let at = columns
        .iter()
        .position(|c| c == key)
        .ok_or_else(|| format!("it has no column `{key}`; its columns are {}", columns.join(", ")))?;
    for record in reader.records() {
        let record = record.map_err(|e| e.to_string())?;
        if let Some(key) = record.get(at) {
            rows.insert(key.to_string(), record.iter().map(str::to_string).collect());
        }
    }
    Ok(())
}
