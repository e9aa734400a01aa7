//! Texts of messages that a team writes itself: templates over the fields of an alert.

use tripline_alert::{Expressions, Template};
use tripline_config::{At, Said, Table};
use tripline_semantic::Program;

/// Templates of messages; where one is not written, a destination has its own text.
#[derive(Clone, Debug, Default)]
pub struct Texts {
    /// The first line.
    pub title: Option<Template>,
    /// What stands below it.
    pub body: Option<Template>,
    /// Lines of a name and a value, in the place of those that the destination has.
    pub fields: Option<Vec<(String, Template)>>,
}

impl Texts {
    /// Reads `title`, `body` and `fields` of a destination's table.
    pub fn read(table: &mut Table<'_>, said: &mut Said<'_>) -> Self {
        let (title, body) = (table.text("title", said), table.text("body", said));
        let fields = table.has("fields").then(|| table.text_map("fields", said));
        let program = Program::default();
        let mut expressions = Expressions::new(&program, said.sources, "a template");
        let mut one = |text: &At<String>| expressions.template(text.span);
        let texts = Texts {
            title: title.as_ref().and_then(&mut one),
            body: body.as_ref().and_then(&mut one),
            fields: fields.map(|fields| {
                fields.iter().filter_map(|(name, text)| Some((name.value.clone(), one(text)?))).collect()
            }),
        };
        let told = expressions.take_diagnostics();
        told.into_iter().for_each(|one| said.push(one));
        texts
    }
}
