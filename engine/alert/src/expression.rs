//! Conditions and templates over alerts, checked and ready to be evaluated.

use std::sync::Arc;

use tripline_base::{Diagnostic, SourceMap, Span};
use tripline_eval::Evaluator;
use tripline_event::{Value, to_text};
use tripline_ir::{Arena, Id};
use tripline_plan::{Options, bare, lower_expression, lower_shown};
use tripline_semantic::typed::TemplatePiece;
use tripline_semantic::{Outside, Program};

use crate::fields;

/// The most characters that one value of a template gives.
const LONGEST: usize = 2_000;
/// The most values of one place of a template.
const MOST: usize = 20;

/// Checks what is written over alerts. Lists and tables are those of a program.
pub struct Expressions<'a> {
    outside: Outside<'a>,
    program: Arc<tripline_ir::Program>,
}

impl<'a> Expressions<'a> {
    /// Expressions in texts of `sources`; `place` is what messages call where they stand.
    pub fn new(program: &Program, sources: &'a SourceMap, place: &'static str) -> Self {
        let outside = Outside::new(program, sources, fields::record(), place);
        Expressions { outside, program: Arc::new(bare(program)) }
    }

    /// The condition between the quotes at a place; none where something was wrong and said.
    pub fn condition(&mut self, span: Span) -> Option<Condition> {
        let typed = self.outside.condition(span)?;
        let mut arena = Arena::new(false);
        let id = lower_expression(&typed, None, None, &mut arena, Options::NONE);
        arena.finish();
        Some(Condition(Arc::new(Lowered { program: Arc::clone(&self.program), arena }), id))
    }

    /// The value between the quotes at a place; none where something was wrong and said.
    pub fn value(&mut self, span: Span) -> Option<Computed> {
        let typed = self.outside.value(span)?;
        let mut arena = Arena::new(false);
        let id = lower_shown(&typed, &mut arena, Options::NONE);
        arena.finish();
        Some(Computed(Arc::new(Lowered { program: Arc::clone(&self.program), arena }), id))
    }

    /// The template in the quotes at a place; none where something was wrong and said.
    pub fn template(&mut self, span: Span) -> Option<Template> {
        let template = self.outside.template(span)?;
        let mut arena = Arena::new(false);
        let pieces = template.0.into_iter().map(|piece| match piece {
            TemplatePiece::Words(words) => Piece::Words(words),
            TemplatePiece::Value(value) => Piece::Value(lower_shown(&value, &mut arena, Options::NONE)),
        });
        let pieces = pieces.collect();
        arena.finish();
        Some(Template { lowered: Arc::new(Lowered { program: Arc::clone(&self.program), arena }), pieces })
    }

    /// What was said since it was last asked.
    pub fn take_diagnostics(&mut self) -> Vec<Diagnostic> {
        self.outside.take_diagnostics()
    }
}

#[derive(Debug)]
struct Lowered {
    program: Arc<tripline_ir::Program>,
    arena: Arena,
}

/// A condition over alerts.
#[derive(Clone, Debug)]
pub struct Condition(Arc<Lowered>, Id);

impl Condition {
    /// Whether it holds for an alert, as [`fields::value`] gives it.
    pub fn holds(&self, alert: &Value<'_>) -> bool {
        Evaluator::over(&self.0.program, &self.0.arena).test(self.1, alert)
    }

    /// A condition that was kept as a text.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub fn parse(text: &str, program: &Program) -> Result<Self, String> {
        let mut sources = SourceMap::new();
        // Quotes of the kind that the text may not end.
        let file = sources.add("condition", format!("'''{text}'''"));
        let span = Span::new(file, 0, text.len() + 6);
        let mut expressions = Expressions::new(program, &sources, "a condition");
        let condition = expressions.condition(span);
        match (condition, expressions.take_diagnostics().into_iter().next()) {
            (Some(condition), _) => Ok(condition),
            (None, said) => Err(said.map_or_else(
                || "it cannot be read".to_string(),
                |said| [vec![said.message.clone()], said.help.clone()].concat().join("; "),
            )),
        }
    }
}

/// A value that is made of an alert.
#[derive(Clone, Debug)]
pub struct Computed(Arc<Lowered>, Id);

impl Computed {
    /// Its texts for an alert, as [`fields::value`] gives it: one for each value, none for what is absent.
    pub fn texts(&self, alert: &Value<'_>) -> Vec<String> {
        flat(&Evaluator::over(&self.0.program, &self.0.arena).values(self.1, alert))
    }
}

#[derive(Clone, Debug)]
enum Piece {
    Words(String),
    Value(Id),
}

/// A text with values of an alert in it.
#[derive(Clone, Debug)]
pub struct Template {
    lowered: Arc<Lowered>,
    pieces: Vec<Piece>,
}

impl Template {
    /// The text for an alert, as [`fields::value`] gives it. Every value goes through `escape`; the words of the
    /// template do not. A value that is absent is `-`.
    pub fn render(&self, alert: &Value<'_>, escape: &dyn Fn(&str) -> String) -> String {
        let evaluator = Evaluator::over(&self.lowered.program, &self.lowered.arena);
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Words(words) => out.push_str(words),
                Piece::Value(id) => out.push_str(&escape(&shown(&evaluator.values(*id, alert)))),
            }
        }
        out
    }
}

/// Values and those in arrays, as texts.
fn flat(values: &[Value<'_>]) -> Vec<String> {
    let flat = values.iter().flat_map(|value| match value {
        Value::Array(items) => items.as_slice(),
        other => std::slice::from_ref(other),
    });
    flat.filter(|value| !value.is_absent()).map(one).collect()
}

fn shown(values: &[Value<'_>]) -> String {
    let words = flat(values);
    if words.is_empty() {
        return "-".into();
    }
    let mut text = words.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ");
    if words.len() > MOST {
        text.push_str(&format!(" and {} more", words.len() - MOST));
    }
    if text.chars().count() > LONGEST { text.chars().take(LONGEST).chain(['…']).collect() } else { text }
}

fn one(value: &Value<'_>) -> String {
    to_text(value).map_or_else(|| tripline_eval::explain::show(value), |text| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{About, Alert, Entity};

    fn alert() -> Alert {
        Alert {
            about: About { owner: Some("cloud".into()), tags: vec!["identity".into()], ..About::default() },
            title: "A <title>".into(),
            severity: 4,
            count: 3,
            entities: vec![
                Entity { kind: "user".into(), value: "alice".into() },
                Entity { kind: "user".into(), value: "bob".into() },
            ],
            ..Alert::default()
        }
    }

    fn holds(text: &str) -> bool {
        Condition::parse(text, &Program::default()).unwrap().holds(&fields::value(&alert()))
    }

    #[test]
    fn conditions_are_those_of_the_language() {
        assert!(holds(r#"severity >= "High" and "identity" in tags"#));
        assert!(!holds(r#"severity == "Critical""#));
        assert!(holds(r#"users[] == "bob" and count > 2 and owner != "endpoint""#));
        assert!(holds("not exists verdict"));
    }

    #[test]
    fn what_cannot_be_meant_is_said_with_a_way_out() {
        let said = |text: &str| Condition::parse(text, &Program::default()).unwrap_err();
        assert!(said(r#"sevrity == "High""#).contains("did you mean `severity`"), "{}", said(r#"sevrity == "High""#));
        assert!(said(r#"severity == "Hgh""#).contains("High"), "{}", said(r#"severity == "Hgh""#));
        assert!(!said("count >").is_empty());
        assert!(!said("'''").is_empty());
        assert!(!said("title").is_empty(), "a text is no condition");
    }

    #[test]
    fn values_are_escaped_and_words_are_not() {
        let mut sources = SourceMap::new();
        let text = r#"'<b>{title}</b> {users} {verdict} {severity}'"#;
        let file = sources.add("t", text);
        let mut expressions = Expressions::new(&Program::default(), &sources, "a template");
        let template = expressions.template(Span::new(file, 0, text.len())).unwrap();
        let escape = |text: &str| text.replace('<', "&lt;");
        assert_eq!(template.render(&fields::value(&alert()), &escape), "<b>A &lt;title></b> alice, bob - High");
    }
}
