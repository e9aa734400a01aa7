//! Windows over several kinds of events, each with its own key.

use tripline_syntax::ast;

use super::stateful::{names, window_kind};
use super::{Checker, Scope};
use crate::typed::{Caps, Over, Step, Ty, Window};

use super::rule::Looks;

impl Checker<'_> {
    /// The inputs of a window, and the scope of its condition.
    pub(super) fn inputs(&mut self, group: &ast::Group, looks: &mut Looks) {
        looks.stateful = Some(("group by", group.span));
        let mut inputs: Vec<Step> = Vec::new();
        for input in &group.inputs {
            let Some((subject, sources, scope)) = self.step_subject(input, "an input") else { continue };
            let by = input.by.iter().map(|key| self.expr(key, &scope, None)).collect();
            let values =
                input.values.iter().map(|(name, value)| (name.text.clone(), self.expr(value, &scope, None))).collect();
            let condition = input.condition.as_ref().map(|condition| self.condition(condition, &scope));
            inputs.push(Step { name: None, subject, sources, by, condition, repeat: None, values, span: input.span });
        }
        let mut scope = Scope::raw_only("a condition over several kinds of events");
        scope.raw = false;
        scope.aggregates = true;
        scope.given = inputs.first().map_or_else(Vec::new, |first| {
            first.values.iter().map(|(name, value)| (name.clone(), value.ty.clone())).collect()
        });
        if inputs.iter().any(|input| input.values.iter().any(|(_, value)| matches!(value.ty, Ty::Error))) {
            scope.given.iter_mut().for_each(|(_, ty)| *ty = Ty::Error);
        }
        let within = self.length(&group.within);
        let caps = self.caps(&group.options, Caps::RULE);
        let names = names(&group.names, inputs.first().map_or(&[][..], |input| input.by.as_slice()));
        let (by, kind) = (Vec::new(), window_kind(group));
        looks.over = Some(Over::Window(Window { by, names, inputs, within, kind, having: None, rearm: None, caps }));
        looks.scope = Some(scope);
    }
}
