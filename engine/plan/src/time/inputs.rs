//! Windows over several kinds of events: an input for each, all of which feed one window. What is kept of an event
//! stands in one order, whatever its input: the parts of the key, then the values that the condition names.

use tripline_event::{Path, Segment};
use tripline_ir::time::{Input, Owner, What, Window};
use tripline_semantic::typed::{self, Kind, Root, Ty, Typed};

use super::residual::Residual;
use super::{Planner, always};

impl<'p> Planner<'_, 'p> {
    pub(super) fn inputs(&mut self, rule: &'p typed::Rule, window: &'p typed::Window) {
        let mut residual = Residual::new(self.program);
        let parts = window.inputs.first().map_or(0, |input| input.by.len());
        let key = (0..parts).map(|part| residual.capture(&part_of_key(part))).collect();
        for (name, _) in window.inputs.first().iter().flat_map(|input| &input.values) {
            residual.capture(&given(name));
        }
        let having = window.having.as_ref().map(|having| residual.value(having));
        let say = self.say(rule, &mut residual);
        let what = What::Window(Window {
            key,
            within: window.within,
            kind: window.kind,
            having: having.map(|having| self.lower(&having)),
            aggregates: residual.take_aggregates(),
            rearm: window.rearm,
            caps: window.caps,
            exceptions: Vec::new(),
            say,
        });
        let node = self.node(Owner::Rule(self.rule), what);
        for (at, step) in window.inputs.iter().enumerate() {
            let captures = step.by.iter().chain(step.values.iter().map(|(_, value)| value)).cloned().collect();
            let input = Input {
                node,
                step: at,
                condition: None,
                exceptions: Vec::new(),
                reads: Vec::new(),
                findings: None,
                sources: Vec::new(),
            };
            self.input_of(step, input, Some(step.condition.clone().unwrap_or_else(always)), &[], captures);
        }
    }
}

/// Stands for a part of the key of whatever input.
fn part_of_key(part: usize) -> Typed {
    let index = Segment::Index(u32::try_from(part).unwrap_or(u32::MAX));
    Typed { kind: Kind::Path(Root::Given, Path(vec![index])), ty: Ty::Raw, span: tripline_base::Span::default() }
}

/// Stands for a value of whatever input.
fn given(name: &str) -> Typed {
    let path = Path::keys([name]);
    Typed { kind: Kind::Path(Root::Given, path), ty: Ty::Raw, span: tripline_base::Span::default() }
}
