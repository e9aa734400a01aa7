//! Mappings: arms, what each defines, and what is filled in.

use tripline_base::{Diagnostic, did_you_mean};
use tripline_event::{Path, Segment, Value};
use tripline_schema::{Attribute, Class, Requirement, VERSION, ocsf};
use tripline_syntax::ast::{self, Expr, MappingClause};

use super::compare::is_several;
use super::expr::assignable;
use super::literal::a;
use super::path::attribute_type;
use super::{Checker, Scope};
use crate::codes;
use crate::typed::{Arm, Definition, Function, Kind, Mapping, Root, Ty, Typed};

/// Attributes that are filled in, never missed.
const IMPLIED: [&str; 6] = ["class_uid", "class_name", "category_uid", "category_name", "type_uid", "type_name"];

/// A definition resolved in a class.
struct Resolved {
    steps: Vec<&'static Attribute>,
    path: Path,
    /// The value is free-form from here on.
    open: bool,
}

impl Checker<'_> {
    pub(super) fn mapping(&mut self, mapping: &ast::Mapping) {
        let scope = Scope::raw_only("a mapping");
        let source = mapping.source.text.clone();
        if let Some(other) = self.program.mappings.iter().find(|m| m.source == source).map(|m| m.name_span) {
            self.report(
                Diagnostic::new(
                    &codes::DUPLICATE,
                    mapping.source.span,
                    format!("the source `{source}` has a mapping already"),
                )
                .also(other, "this one"),
            );
        }
        let mut detect = None;
        let mut common: Vec<&ast::Definition> = Vec::new();
        let mut arms = Vec::new();
        let mut tests = Vec::new();
        for clause in &mapping.clauses {
            match clause {
                MappingClause::Detect(condition) => detect = Some(self.condition(&condition.expr, &scope)),
                MappingClause::Definition(definition) => common.push(definition),
                MappingClause::Arm(arm) => arms.push(arm),
                MappingClause::Test(test) => tests.push(test),
            }
        }
        let mut taken = vec![false; common.len()];
        let mut out = Vec::new();
        for arm in &arms {
            let condition = arm.condition.as_ref().map(|c| self.condition(c, &scope));
            let Some(class) = self.class(&arm.class) else { continue };
            let definitions = self.arm(arm, class, &common, &mut taken, mapping.partial);
            out.push(Arm { condition, class, definitions, span: arm.span });
        }
        if arms.is_empty() && !mapping.partial {
            self.report(
                Diagnostic::new(&codes::MISSING_FIELD, mapping.name.span, "a mapping needs at least one arm")
                    .help("add `when raw.… -> CLASS { … }`, or `otherwise -> base_event`"),
            );
        }
        if out.len() == arms.len() && !arms.is_empty() {
            for (definition, taken) in common.iter().zip(&taken) {
                if !taken {
                    self.common_unused(definition, &out);
                }
            }
        }
        let time_path = out.iter().find_map(|arm| {
            let time = arm.definitions.iter().find(|d| d.path == Path::keys(["time"]))?;
            raw_path(&time.value)
        });
        let mut typed = Mapping {
            name: mapping.name.text.clone(),
            name_span: mapping.name.span,
            span: mapping.span,
            source,
            detect,
            arms: out,
            time_path,
            tests: Vec::new(),
            broken: false,
        };
        for test in tests {
            let test = self.mapping_test(test, &typed);
            typed.tests.push(test);
        }
        typed.broken = self.errors_in_item > 0 || mapping.partial;
        self.program.mappings.push(typed);
    }

    fn common_unused(&mut self, definition: &ast::Definition, arms: &[Arm]) {
        let words = self.sources.slice(definition.path.span).to_string();
        let classes: Vec<&str> = arms.iter().map(|arm| arm.class.name).collect();
        let root = match &definition.path.root {
            ast::Root::Name(name) => name.text.clone(),
            ast::Root::Expr(_) => String::new(),
        };
        let names = arms.iter().flat_map(|arm| arm.class.attributes().iter().map(|attribute| attribute.name));
        let mut hint = did_you_mean(&root, names);
        if hint.as_deref().is_some_and(|h| h.contains(&format!("`{root}`"))) {
            // The first word is right; say what is wrong after it.
            hint = arms.iter().find_map(|arm| {
                let segments = key_names(&definition.path)?;
                let error = ocsf().resolve(arm.class, segments.iter().map(String::as_str)).err()?;
                let word = segments.get(error.at)?;
                did_you_mean(word, error.candidates.iter().copied())
                    .or_else(|| Some(format!("`{}` has no `{word}`", error.holder)))
            });
        }
        self.report(
            Diagnostic::new(
                &codes::COMMON_UNUSED,
                definition.path.span,
                format!("no class of this mapping has `{words}`"),
            )
            .maybe_help(hint)
            .help(match unique(&classes).as_slice() {
                [class] => format!("its only class is {class}"),
                classes => format!("its classes are {}", classes.join(", ")),
            }),
        );
    }

    fn arm(
        &mut self,
        arm: &ast::Arm,
        class: &'static Class,
        common: &[&ast::Definition],
        taken: &mut [bool],
        partial: bool,
    ) -> Vec<Definition> {
        let mut out: Vec<Definition> = Vec::new();
        let mut profiles: Vec<&'static str> = Vec::new();
        for definition in &arm.definitions {
            self.define(definition, class, &mut out, &mut profiles);
        }
        for (at, definition) in common.iter().enumerate() {
            let Some(segments) = key_names(&definition.path) else { continue };
            if ocsf().resolve(class, segments.iter().map(String::as_str)).is_err() {
                continue;
            }
            if let Some(slot) = taken.get_mut(at) {
                *slot = true;
            }
            let path = Path::keys(segments.iter().map(String::as_str));
            // The arm's own definition wins, also one of the whole object or of a part of it.
            if arm
                .definitions
                .iter()
                .filter_map(|d| key_names(&d.path))
                .any(|own| Path::keys(own.iter().map(String::as_str)) == path)
            {
                continue;
            }
            self.define(definition, class, &mut out, &mut profiles);
        }
        self.fill_in(class, arm, &mut out, &mut profiles);
        if !partial {
            self.required(class, arm, &out, &profiles);
        }
        out
    }

    fn resolve(&mut self, path: &ast::Path, class: &'static Class) -> Option<Resolved> {
        let segments = match key_names(path) {
            Some(segments) => segments,
            None => {
                self.report(
                    Diagnostic::new(&codes::MISPLACED, path.span, "a definition names one attribute, without brackets")
                        .help("define an array as a whole: `resources: [{ uid: … }]`"),
                );
                return None;
            }
        };
        match ocsf().resolve(class, segments.iter().map(String::as_str)) {
            Ok(found) => {
                let array = found.steps.iter().take(found.steps.len().saturating_sub(1)).find(|s| s.is_array);
                if let Some(array) = array {
                    let message = format!("`{}` is an array", array.name);
                    self.report(
                        Diagnostic::new(&codes::ARRAY_PATH, path.span, message)
                            .help(format!("define it as a whole: `{}: [{{ … }}]`", array.name)),
                    );
                    return None;
                }
                Some(Resolved {
                    path: Path::keys(segments.iter().map(String::as_str)),
                    steps: found.steps,
                    open: found.free_form_at.is_some(),
                })
            }
            Err(error) => {
                let span = match error.at {
                    0 => match &path.root {
                        ast::Root::Name(name) => name.span,
                        ast::Root::Expr(_) => path.span,
                    },
                    at => path.steps.get(at - 1).map_or(path.span, ast::PathStep::span),
                };
                let word = segments.get(error.at).cloned().unwrap_or_default();
                let help = did_you_mean(&word, error.candidates.iter().copied());
                self.report(
                    Diagnostic::new(
                        &codes::UNKNOWN_FIELD,
                        span,
                        format!("`{}` has no attribute `{word}`", error.holder),
                    )
                    .maybe_help(help)
                    .help("what the schema has no place for goes to `unmapped`, or stays in `raw.…`"),
                );
                None
            }
        }
    }

    fn define(
        &mut self,
        definition: &ast::Definition,
        class: &'static Class,
        out: &mut Vec<Definition>,
        profiles: &mut Vec<&'static str>,
    ) {
        let Some(resolved) = self.resolve(&definition.path, class) else { return };
        if out.iter().any(|d| d.path == resolved.path) {
            let words = self.sources.slice(definition.path.span).to_string();
            self.report(Diagnostic::new(
                &codes::DUPLICATE,
                definition.path.span,
                format!("`{words}` is defined twice"),
            ));
            return;
        }
        note_profiles(&resolved.steps, class, profiles);
        let Some(attribute) = resolved.steps.last().copied() else { return };
        let scope = Scope::raw_only("a mapping");
        let ty = if resolved.open { Ty::Raw } else { full_type(attribute) };
        // A whole object is taken apart into its fields.
        if let (Ty::Object(_), ast::ExprKind::Object(entries)) = (&ty, &definition.value.bare().kind) {
            for (path, value) in entries {
                let mut steps = definition.path.steps.clone();
                if let ast::Root::Name(name) = &path.root {
                    steps.push(ast::PathStep::Field { name: name.clone(), quoted: false });
                }
                steps.extend(path.steps.clone());
                let whole = ast::Path { span: path.span, root: definition.path.root.clone(), steps };
                let inner = ast::Definition { span: path.span.to(value.span), path: whole, value: value.clone() };
                self.define(&inner, class, out, profiles);
            }
            return;
        }
        let value = self.value_of(&definition.value, &ty, &scope);
        out.push(Definition { path: resolved.path, value, implied: false });
    }

    /// An expression as a value of an attribute's type.
    fn value_of(&mut self, expr: &Expr, ty: &Ty, scope: &Scope) -> Typed {
        let typed = self.expr(expr, scope, Some(ty));
        let span = typed.span;
        // A rule on the field would see every value, and the normalised event holds one.
        if is_several(&typed) {
            let words = self.sources.slice(span).to_string();
            self.report(
                Diagnostic::new(
                    &codes::TYPE_MISMATCH,
                    span,
                    format!("`{words}` may be several values, and a field holds one"),
                )
                .help(
                    "take one: `raw.list[0]`, `first(x in raw.list, …)`; or make an array: `[x.id for x in raw.list]`",
                ),
            );
            return self.wrong(span);
        }
        if matches!(typed.ty, Ty::Raw) && matches!(ty, Ty::Object(_)) {
            return self.error(
                &codes::TYPE_MISMATCH,
                span,
                format!("{} has fields of its own: define them, as in `{{ uid: … }}`", a(&ty.name())),
            );
        }
        if matches!(typed.ty, Ty::Int) && matches!(ty, Ty::Enum(_)) && !matches!(typed.kind, Kind::Const(_)) {
            return typed;
        }
        if assignable(&typed.ty, ty) && !matches!(typed.ty, Ty::Raw) {
            return self.coerce(typed, ty);
        }
        match (&typed.ty, ty) {
            (Ty::Error, _) => typed,
            (Ty::Raw, _) => self.coerce(typed, ty),
            (Ty::Array(_), Ty::Array(_)) => {
                let coerced = self.coerce(typed, ty);
                if assignable(&coerced.ty, ty) || matches!(coerced.kind, Kind::Convert(_)) {
                    return coerced;
                }
                let message = format!("this is {}, where {} is needed", a(&coerced.ty.name()), a(&ty.name()));
                self.error(&codes::TYPE_MISMATCH, span, message)
            }
            // Text from a function into an address, a number, a time: read as one.
            (Ty::Text, Ty::Ip | Ty::Int | Ty::Float | Ty::Time | Ty::Cidr | Ty::Bool | Ty::Enum(_))
            | (Ty::Ip | Ty::Int | Ty::Float | Ty::Bool | Ty::Time, Ty::Text) => {
                self.make(Kind::Convert(Box::new(typed)), ty.clone(), span)
            }
            (found, wanted) => {
                let message = format!("this is {}, where {} is needed", a(&found.name()), a(&wanted.name()));
                let mut diagnostic = Diagnostic::new(&codes::TYPE_MISMATCH, span, message);
                if matches!(wanted, Ty::Array(_)) {
                    diagnostic = diagnostic.help("put it in brackets: `[…]`");
                }
                self.report(diagnostic);
                self.wrong(span)
            }
        }
    }

    /// `{ uid: …, name: … }` where an object of the schema is needed.
    pub(super) fn object_of(
        &mut self,
        name: &'static str,
        entries: &[(ast::Path, Expr)],
        expr: &Expr,
        scope: &Scope,
    ) -> Typed {
        let mut members: Vec<(Path, Typed)> = Vec::new();
        let mut captions: Vec<(Path, Typed)> = Vec::new();
        for (path, value) in entries {
            let root = match &path.root {
                ast::Root::Name(root) => root,
                ast::Root::Expr(_) => continue,
            };
            let first = ast::PathStep::Field { name: root.clone(), quoted: false };
            let steps: Vec<ast::PathStep> = std::iter::once(first).chain(path.steps.iter().cloned()).collect();
            let (ty, segments) = self.walk(Ty::Object(name), &steps, path.span, path.span);
            if matches!(ty, Ty::Error) {
                continue;
            }
            let value = self.value_of(value, &ty, scope);
            let here = Path(segments);
            if members.iter().any(|(path, _)| *path == here) {
                self.report(Diagnostic::new(&codes::DUPLICATE, path.span, format!("`{here}` is defined twice")));
            }
            if let Ty::Enum(attribute) = &ty
                && let Some(caption) = self.caption(&here, attribute, &value)
            {
                captions.push(caption);
            }
            members.push((here, value));
        }
        for (path, value) in captions {
            if !members.iter().any(|(p, _)| *p == path) {
                members.push((path, value));
            }
        }
        self.make(Kind::Object(members), Ty::Object(name), expr.span)
    }

    /// The caption that stands beside an enum's value.
    fn caption(&mut self, path: &Path, attribute: &'static Attribute, value: &Typed) -> Option<(Path, Typed)> {
        let sibling = attribute.sibling?;
        let mut beside = path.clone();
        beside.0.pop();
        beside.0.push(Segment::Key(sibling.into()));
        let typed = self.make(Kind::Caption(Box::new(value.clone()), attribute), Ty::Text, value.span);
        Some((beside, typed))
    }

    fn fill_in(
        &mut self,
        class: &'static Class,
        arm: &ast::Arm,
        out: &mut Vec<Definition>,
        profiles: &mut Vec<&'static str>,
    ) {
        let span = arm.class.span;
        let add = |out: &mut Vec<Definition>, path: Path, value: Typed| {
            if !out.iter().any(|d| d.path == path) {
                out.push(Definition { path, value, implied: true });
            }
        };
        let constant = |value: Value<'static>, ty: Ty| Typed { kind: Kind::Const(value), ty, span };
        let mut captions = Vec::new();
        for at in 0..out.len() {
            let Some((path, value)) = out.get(at).map(|d| (d.path.clone(), d.value.clone())) else { continue };
            let names = path.0.iter().filter_map(|s| match s {
                Segment::Key(key) => Some(&**key),
                _ => None,
            });
            if let Ok(found) = ocsf().resolve(class, names)
                && found.attribute.enumeration.is_some()
                && found.free_form_at.is_none()
                && !IMPLIED.contains(&found.attribute.name)
            {
                captions.extend(self.caption(&path, found.attribute, &value));
            }
        }
        for (path, value) in captions {
            add(out, path, value);
        }
        let uid = i64::from(class.uid);
        add(out, Path::keys(["class_uid"]), constant(Value::Int(uid), Ty::Int));
        add(out, Path::keys(["class_name"]), constant(Value::text(class.caption), Ty::Text));
        add(out, Path::keys(["category_uid"]), constant(Value::Int(i64::from(class.category_uid)), Ty::Int));
        add(out, Path::keys(["category_name"]), constant(Value::text(class.category_caption), Ty::Text));
        add(out, Path::keys(["metadata", "version"]), constant(Value::text(VERSION), Ty::Text));
        let activity = out.iter().find(|d| d.path == Path::keys(["activity_id"])).map(|d| d.value.clone());
        if let Some(activity) = activity {
            let base = constant(Value::Int(uid * 100), Ty::Int);
            let kind = Kind::Arithmetic {
                op: ast::ArithmeticOp::Add,
                left: Box::new(base),
                right: Box::new(Typed { ty: Ty::Int, ..activity }),
            };
            let type_uid = Typed { kind, ty: Ty::Int, span };
            if let Some(attribute) = class.attribute("type_uid") {
                let caption = Typed { kind: Kind::Caption(Box::new(type_uid.clone()), attribute), ty: Ty::Text, span };
                add(out, Path::keys(["type_name"]), caption);
            }
            add(out, Path::keys(["type_uid"]), type_uid);
        }
        if !profiles.is_empty() {
            profiles.sort_unstable();
            let names = profiles.iter().map(|p| constant(Value::text(*p), Ty::Text)).collect();
            let value = Typed { kind: Kind::Array(names), ty: Ty::Array(Box::new(Ty::Text)), span };
            add(out, Path::keys(["metadata", "profiles"]), value);
        }
    }

    fn required(&mut self, class: &'static Class, arm: &ast::Arm, out: &[Definition], profiles: &[&str]) {
        if !out.iter().any(|d| d.path == Path::keys(["time"])) {
            self.report(
                Diagnostic::new(
                    &codes::MISSING_FIELD,
                    arm.class.span,
                    "nothing defines `time`, by which all is ordered",
                )
                .help("add `time: timestamp(raw.…)` before the arms"),
            );
        }
        let missing: Vec<&str> = class
            .attributes()
            .iter()
            .filter(|attribute| attribute.requirement == Requirement::Required)
            .filter(|attribute| {
                attribute.profiles.is_empty() || attribute.profiles.iter().any(|p| profiles.contains(p))
            })
            .filter(|attribute| attribute.name != "time" && !IMPLIED.contains(&attribute.name))
            .filter(|attribute| {
                !out.iter().any(|d| matches!(d.path.0.first(), Some(Segment::Key(key)) if **key == *attribute.name))
            })
            .map(|attribute| attribute.name)
            .collect();
        if !missing.is_empty() {
            self.report(
                Diagnostic::new(
                    &codes::REQUIRED_MISSING,
                    arm.class.span,
                    format!("`{}` requires {}, and nothing defines it", class.name, backticks(&missing)),
                )
                .help("define it in the arm, or before the arms for all of them"),
            );
        }
    }
}

fn full_type(attribute: &'static Attribute) -> Ty {
    let inner = attribute_type(attribute);
    if attribute.is_array { Ty::Array(Box::new(inner)) } else { inner }
}

fn note_profiles(steps: &[&'static Attribute], class: &'static Class, profiles: &mut Vec<&'static str>) {
    for step in steps {
        if step.profiles.is_empty() || step.profiles.iter().any(|p| profiles.contains(p)) {
            continue;
        }
        let profile = step.profiles.iter().find(|p| class.profiles.contains(p)).or_else(|| step.profiles.first());
        profiles.extend(profile.copied());
    }
}

/// The names of a path without brackets.
fn key_names(path: &ast::Path) -> Option<Vec<String>> {
    let ast::Root::Name(root) = &path.root else { return None };
    let mut out = vec![root.text.clone()];
    for step in &path.steps {
        match step {
            ast::PathStep::Field { name, .. } => out.push(name.text.clone()),
            _ => return None,
        }
    }
    Some(out)
}

/// The first raw path that a value reads through conversions alone.
fn raw_path(value: &Typed) -> Option<Path> {
    match &value.kind {
        Kind::Path(Root::Raw, path) => Some(path.clone()),
        Kind::Convert(inner) => raw_path(inner),
        Kind::Call { function: Function::Timestamp, args, .. } => args.first().and_then(raw_path),
        Kind::Coalesce(parts) => parts.first().and_then(raw_path),
        _ => None,
    }
}

fn backticks(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn unique<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let mut out: Vec<&str> = Vec::new();
    for name in names {
        if !out.contains(name) {
            out.push(name);
        }
    }
    out
}
