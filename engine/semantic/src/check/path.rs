//! Paths: what each step finds in the schema.

use tripline_base::{Diagnostic, Span, did_you_mean};
use tripline_event::{Path, Segment};
use tripline_schema::{Attribute, Class, Type, ocsf};
use tripline_syntax::ast;

use super::literal::a;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{Kind, Root, Subject, Ty, Typed};

/// Attributes of findings (`on finding`), with their types.
pub(super) const FINDING_FIELDS: [(&str, Ty); 10] = [
    ("rule", Ty::Text),
    ("title", Ty::Text),
    ("severity_id", Ty::Int),
    ("risk", Ty::Int),
    ("entity", Ty::Text),
    ("entity_type", Ty::Text),
    ("tactic", Ty::Text),
    ("technique", Ty::Text),
    ("time", Ty::Time),
    ("group", Ty::Raw),
];

/// The type of an attribute's value (of one element, where it is an array).
pub(super) fn attribute_type(attribute: &'static Attribute) -> Ty {
    if attribute.enumeration.is_some() {
        return Ty::Enum(attribute);
    }
    match attribute.ty {
        Type::Boolean => Ty::Bool,
        Type::Integer | Type::Long | Type::Port => Ty::Int,
        Type::Float => Ty::Float,
        Type::Timestamp | Type::Datetime => Ty::Time,
        Type::Ip => Ty::Ip,
        Type::Subnet => Ty::Cidr,
        Type::String(_) => Ty::Text,
        Type::Json => Ty::Raw,
        Type::Object("object") => Ty::Raw,
        Type::Object(name) => Ty::Object(name),
    }
}

fn whole_type(attribute: &'static Attribute) -> Ty {
    let inner = attribute_type(attribute);
    if attribute.is_array { Ty::Array(Box::new(inner)) } else { inner }
}

impl Checker<'_> {
    /// A path or a bare word as a value.
    pub(super) fn path(&mut self, path: &ast::Path, scope: &Scope) -> Typed {
        let root = match &path.root {
            ast::Root::Expr(inner) => {
                let base = self.expr(inner, scope, None);
                return self.then(base, &path.steps, inner.span, path.span);
            }
            ast::Root::Name(name) => name,
        };
        if let Some(at) = scope.bindings.iter().rposition(|b| b.name == root.text) {
            let Some(binding) = scope.bindings.get(at).cloned() else { return self.wrong(path.span) };
            if let Some(declared) = binding.declared.and_then(|n| self.program.declared.get_mut(n)) {
                declared.used = true;
            }
            let mut value = binding.value;
            value.span = path.span;
            self.nodes += 1;
            return self.then(value, &path.steps, root.span, path.span);
        }
        if let Some((name, subject)) = scope.steps.iter().find(|(name, _)| *name == root.text).cloned() {
            return self.step_path(&name, &subject, path);
        }
        if let (Some((name, ty)), true) =
            (scope.given.iter().find(|(name, _)| *name == root.text).cloned(), path.steps.is_empty())
        {
            return self.make(Kind::Path(Root::Given, Path::keys([name.as_str()])), ty, path.span);
        }
        if root.text == "raw" {
            if !scope.raw {
                return self.error(&codes::MISPLACED, path.span, format!("`raw` cannot be read in {}", scope.place));
            }
            let start = if scope.loose { Root::Loose } else { Root::Raw };
            let base = self.make(Kind::Path(start, Path::default()), Ty::Raw, path.span);
            return self.then(base, &path.steps, root.span, path.span);
        }
        if let Some(&table) = self.tables.get(&root.text) {
            return self.lookup(table, path, scope);
        }
        if scope.finding {
            return self.finding_path(root, path);
        }
        if let Some(record) = scope.record.clone() {
            return self.record_path(&record, root, path);
        }
        match scope.class {
            Some(class) => self.class_path(class, root, path, scope),
            None => {
                let mut diagnostic =
                    Diagnostic::new(&codes::UNKNOWN_NAME, root.span, format!("`{}` means nothing here", root.text));
                diagnostic = if self.lists.contains_key(&root.text) {
                    diagnostic.help(format!("`{}` is a list; ask `x in {}`", root.text, root.text))
                } else if path.steps.is_empty() {
                    diagnostic.help(format!("text stands in quotes: `\"{}\"`", root.text))
                } else {
                    diagnostic.help(format!("{} sees the original event: `raw.{}`", scope.place, root.text))
                };
                self.report(diagnostic);
                self.wrong(path.span)
            }
        }
    }

    fn finding_path(&mut self, root: &ast::Name, path: &ast::Path) -> Typed {
        match FINDING_FIELDS.iter().find(|(name, _)| *name == root.text) {
            Some((name, ty)) if path.steps.is_empty() || matches!(ty, Ty::Raw) => {
                let base = self.make(Kind::Path(Root::Finding, Path::keys([*name])), ty.clone(), path.span);
                self.then(base, &path.steps, root.span, path.span)
            }
            _ => {
                let names: Vec<&str> = FINDING_FIELDS.iter().map(|(name, _)| *name).collect();
                let help = did_you_mean(&root.text, names.iter().copied())
                    .unwrap_or_else(|| format!("a finding has {}", names.join(", ")));
                self.report(
                    Diagnostic::new(&codes::UNKNOWN_FIELD, root.span, format!("a finding has no `{}`", root.text))
                        .help(help),
                );
                self.wrong(path.span)
            }
        }
    }

    fn step_path(&mut self, name: &str, subject: &Subject, path: &ast::Path) -> Typed {
        let mut steps = path.steps.as_slice();
        let mut out = Vec::new();
        if let Some((ast::PathStep::Each(_) | ast::PathStep::Index(..), rest)) = steps.split_first() {
            out.push(match steps.first() {
                Some(ast::PathStep::Index(n, _)) => Segment::Index(*n),
                _ => Segment::Each,
            });
            steps = rest;
        }
        let root = Root::Step(name.to_string());
        match steps.split_first() {
            Some((ast::PathStep::Field { name, .. }, [])) if name.text == "count" && out.is_empty() => {
                self.make(Kind::Path(root, Path::keys(["count"])), Ty::Int, path.span)
            }
            Some((ast::PathStep::Field { name: field, .. }, rest)) => {
                let Some(whole) = self.step_field(name, subject, field, path.span) else {
                    return self.wrong(path.span);
                };
                out.push(Segment::Key(field.text.as_str().into()));
                let (ty, more) = self.walk(whole, rest, field.span, path.span);
                out.extend(more);
                self.make(Kind::Path(root, Path(out)), ty, path.span)
            }
            _ => self.error(
                &codes::NOT_CONDITION,
                path.span,
                format!("`{name}` is a step; name what of it: `{name}.count`, `{name}.time`, `{name}[].user.uid`"),
            ),
        }
    }

    /// The type of what stands after the name of a step: an attribute, `raw`, or a field of a finding.
    fn step_field(&mut self, name: &str, subject: &Subject, field: &ast::Name, span: Span) -> Option<Ty> {
        let (fields, help): (&[(&str, Ty)], String) = match subject {
            Subject::Class(class) => {
                let attribute = class.attribute(&field.text);
                if attribute.is_none() {
                    self.unknown(field, class.name, class.attributes(), span);
                }
                return attribute.map(whole_type);
            }
            Subject::Event => {
                (&[("raw", Ty::Raw)], format!("`{name}` takes events as they came: `{name}.raw.{}`", field.text))
            }
            Subject::Finding(_) => {
                let names: Vec<&str> = FINDING_FIELDS.iter().map(|(name, _)| *name).collect();
                (&FINDING_FIELDS, format!("a finding has {}", names.join(", ")))
            }
        };
        let found = fields.iter().find(|(own, _)| *own == field.text).map(|(_, ty)| ty.clone());
        if found.is_none() {
            let message = format!("`{name}` has no `{}`", field.text);
            self.report(Diagnostic::new(&codes::UNKNOWN_FIELD, field.span, message).help(help));
        }
        found
    }

    fn class_path(&mut self, class: &'static Class, root: &ast::Name, path: &ast::Path, scope: &Scope) -> Typed {
        let Some(attribute) = class.attribute(&root.text) else {
            if path.steps.is_empty() {
                return self.unknown_word(class, root, path, scope);
            }
            return self.unknown(root, class.name, class.attributes(), path.span);
        };
        self.deprecated(attribute, root.span);
        let (ty, rest) = self.walk(whole_type(attribute), &path.steps, root.span, path.span);
        let mut segments = vec![Segment::Key(root.text.as_str().into())];
        segments.extend(rest);
        self.make(Kind::Path(Root::Event, Path(segments)), ty, path.span)
    }

    fn deprecated(&mut self, attribute: &'static Attribute, span: Span) {
        if attribute.deprecated {
            let message = format!("OCSF has deprecated `{}`", attribute.name);
            self.report(
                Diagnostic::new(&codes::INACTIVE_DEPRECATED, span, message)
                    .help("a later version will drop it: use another attribute, or the original event's `raw.…`"),
            );
        }
    }

    fn unknown_word(&mut self, class: &'static Class, root: &ast::Name, path: &ast::Path, _scope: &Scope) -> Typed {
        let word = &root.text;
        let mut diagnostic = Diagnostic::new(&codes::UNKNOWN_NAME, root.span, format!("`{word}` means nothing here"));
        let kind = self.names.get(word).map(|(kind, _)| *kind);
        diagnostic = match kind {
            Some("list") => diagnostic.help(format!("`{word}` is a list; ask `x in {word}`")),
            Some("def") => diagnostic.help(format!("`{word}` is a definition; call it: `{word}(…)`")),
            Some("feature") => diagnostic.help(format!("`{word}` is a feature; ask `x is new in {word}`")),
            _ => {
                let names = class.attributes().iter().map(|a| a.name).chain(self.names.keys().map(String::as_str));
                let near = did_you_mean(word, names);
                let had = near.is_some();
                let diagnostic = diagnostic.maybe_help(near);
                if had {
                    diagnostic
                } else {
                    diagnostic
                        .help(format!("`{}` has no such attribute; text stands in quotes: `\"{word}\"`", class.name))
                }
            }
        };
        self.report(diagnostic);
        self.wrong(path.span)
    }

    fn unknown(&mut self, name: &ast::Name, holder: &str, attributes: &[Attribute], span: Span) -> Typed {
        let names: Vec<&str> = attributes.iter().map(|a| a.name).collect();
        let help = did_you_mean(&name.text, names.iter().copied())
            .or_else(|| (names.len() <= 30).then(|| format!("`{holder}` has {}", names.join(", "))));
        self.report(
            Diagnostic::new(&codes::UNKNOWN_FIELD, name.span, format!("`{holder}` has no attribute `{}`", name.text))
                .maybe_help(help)
                .help("what the schema has no place for is read from the original event: `raw.…`"),
        );
        self.wrong(span)
    }

    /// Steps into a computed value or a root, which `word` names.
    pub(super) fn then(&mut self, base: Typed, steps: &[ast::PathStep], word: Span, span: Span) -> Typed {
        if steps.is_empty() {
            return base;
        }
        let (ty, more) = self.walk(base.ty.clone(), steps, word, span);
        if matches!(ty, Ty::Error) {
            return self.wrong(span);
        }
        match base.kind {
            Kind::Path(root, mut path) => {
                path.0.extend(more);
                self.make(Kind::Path(root, path), ty, span)
            }
            Kind::Then(inner, mut path) => {
                path.0.extend(more);
                self.make(Kind::Then(inner, path), ty, span)
            }
            Kind::Error => self.wrong(span),
            _ => self.make(Kind::Then(Box::new(base), Path(more)), ty, span),
        }
    }

    /// Walks steps from a value of type `ty`, which `word` names, along the path at `span`; the type is `Error`
    /// where something was wrong and said.
    pub(super) fn walk(
        &mut self,
        mut ty: Ty,
        steps: &[ast::PathStep],
        mut word: Span,
        span: Span,
    ) -> (Ty, Vec<Segment>) {
        let mut out = Vec::new();
        for step in steps {
            let at = step.span();
            let from = std::mem::replace(&mut word, at);
            ty = match (ty, step) {
                (Ty::Error, _) => return (Ty::Error, out),
                (Ty::Raw, ast::PathStep::Field { name, .. }) => {
                    out.push(Segment::Key(name.text.as_str().into()));
                    Ty::Raw
                }
                (Ty::Raw, ast::PathStep::Each(_)) => {
                    out.push(Segment::Each);
                    Ty::Raw
                }
                (Ty::Raw, ast::PathStep::Index(n, _)) => {
                    out.push(Segment::Index(*n));
                    Ty::Raw
                }
                (Ty::Array(inner), ast::PathStep::Each(_)) => {
                    out.push(Segment::Each);
                    *inner
                }
                (Ty::Array(inner), ast::PathStep::Index(n, _)) => {
                    out.push(Segment::Index(*n));
                    *inner
                }
                (Ty::Array(_), ast::PathStep::Field { .. }) => {
                    let before = self.before(at, span);
                    self.report(
                        Diagnostic::new(&codes::ARRAY_PATH, from, format!("`{before}` is an array"))
                            .help(format!("write `{before}[]` for some element, `{before}[0]` for the first")),
                    );
                    return (Ty::Error, out);
                }
                (Ty::Object(holder), ast::PathStep::Field { name, .. }) => {
                    let Some(object) = ocsf().object(holder) else { return (Ty::Error, out) };
                    let Some(attribute) = object.attribute(&name.text) else {
                        self.unknown(name, object.name, object.attributes(), span);
                        return (Ty::Error, out);
                    };
                    self.deprecated(attribute, name.span);
                    out.push(Segment::Key(name.text.as_str().into()));
                    whole_type(attribute)
                }
                (_, ast::PathStep::Lookup(..)) => {
                    self.report(
                        Diagnostic::new(&codes::NOT_OBJECT, at, "only a table is looked up with an expression")
                            .help("an element of an array is `[0]`, every element `[]`"),
                    );
                    return (Ty::Error, out);
                }
                (other, ast::PathStep::Each(_) | ast::PathStep::Index(..)) => {
                    let message = format!("this is {}, not an array", a(&other.name()));
                    self.report(Diagnostic::new(&codes::NOT_OBJECT, at, message).help("leave the brackets out"));
                    return (Ty::Error, out);
                }
                (other, ast::PathStep::Field { .. }) => {
                    let before = self.before(at, span);
                    let message = format!("{} has no fields", a(&other.name()));
                    let mut diagnostic = Diagnostic::new(&codes::NOT_OBJECT, at, message)
                        .help(format!("`{before}` is the value itself: end the path there"));
                    if matches!(other, Ty::Text) {
                        let field = self.sources.slice(at);
                        diagnostic =
                            diagnostic.help(format!("text that holds JSON is read by `json({before}).{field}`"));
                    }
                    self.report(diagnostic);
                    return (Ty::Error, out);
                }
            };
        }
        (ty, out)
    }

    /// The words of the path at `span` before the step at `at` and its dot.
    fn before(&self, at: Span, span: Span) -> String {
        self.sources.slice(Span { end: at.start.saturating_sub(1), ..span }).trim_end().to_string()
    }

    /// A path on the left of a `:` in tests and mappings, as segments.
    pub(super) fn key_path(&mut self, path: &ast::Path) -> Option<Vec<Segment>> {
        let ast::Root::Name(root) = &path.root else { return None };
        let mut out = vec![Segment::Key(root.text.as_str().into())];
        for step in &path.steps {
            out.push(match step {
                ast::PathStep::Field { name, .. } => Segment::Key(name.text.as_str().into()),
                ast::PathStep::Index(n, _) => Segment::Index(*n),
                ast::PathStep::Each(span) | ast::PathStep::Lookup(_, span) => {
                    self.report(Diagnostic::new(
                        &codes::MISPLACED,
                        *span,
                        "a key names one place: write `[0]`, `[1]` …",
                    ));
                    return None;
                }
            });
        }
        Some(out)
    }
}
