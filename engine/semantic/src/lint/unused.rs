//! T0302: what is declared and never used.

use tripline_base::Diagnostic;

use super::codes;
use crate::program::Program;

pub(super) fn lint(program: &Program, out: &mut Vec<Diagnostic>) {
    // A file of shared lists and definitions, checked alone, is not full of mistakes.
    let in_use = !program.rules.is_empty() || !program.mappings.is_empty();
    for declared in program.declared.iter().filter(|declared| !declared.used) {
        let kind = match declared.kind {
            "def" => "definition",
            kind => kind,
        };
        let local = matches!(kind, "binding" | "parameter");
        if !local && !in_use {
            continue;
        }
        let message = format!("the {kind} `{}` is never used", declared.name);
        let mut diagnostic = Diagnostic::new(&codes::UNUSED, declared.span, message).help("use it or remove it");
        if !local {
            diagnostic.item = Some(declared.name.clone());
        }
        out.push(diagnostic);
    }
}
