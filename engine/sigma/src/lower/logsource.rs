//! The source and the guard of a log source.

use tripline_base::{Diagnostic, Span};
use tripline_syntax::ast::{CompareOp, Expr, Operand, Prefix};

use super::Options;
use crate::build::{and, compare, list, number, raw, text};
use crate::codes;
use crate::model::{LogSource, Number};
use crate::taxonomy::{Literal, Provider, Resolved, Taxonomy};

/// What the taxonomy says; a source of the log source's own words, without guard, where it says nothing.
pub(super) fn resolve(
    logsource: &LogSource,
    taxonomy: &Taxonomy,
    options: &Options,
    out: &mut Vec<Diagnostic>,
) -> Resolved {
    let LogSource { product, category, service, span } = logsource;
    if let Some(found) = taxonomy.resolve(product.as_deref(), category.as_deref(), service.as_deref()) {
        return found;
    }
    let source = own_name(logsource);
    if !options.any_source {
        let words = [("product", product), ("category", category), ("service", service)];
        let words: Vec<String> =
            words.iter().filter_map(|(key, word)| word.as_ref().map(|word| format!("{key} `{word}`"))).collect();
        let message = format!("no taxonomy knows the log source of {}", words.join(", "));
        let help = format!("name its events with `--source {source}`, or add a `[[logsource]]` entry to a taxonomy");
        out.push(Diagnostic::new(&codes::NO_TAXONOMY, *span, message).help(help));
    }
    Resolved { source, providers: Vec::new() }
}

/// `product.service`, or what of it there is, in words that a source may have.
fn own_name(logsource: &LogSource) -> String {
    let mut steps: Vec<String> = Vec::new();
    let last = logsource.service.as_ref().or(logsource.category.as_ref());
    for word in [logsource.product.as_ref(), last].into_iter().flatten() {
        for step in word.split('.') {
            let mut step: String = step.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
            if !step.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
                step.insert(0, '_');
            }
            // `gcp` with the service `gcp.audit` says its product twice.
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        }
    }
    steps.join(".")
}

/// `raw.Channel == i"…" and raw.EventID in [1, 2]`
pub(super) fn guard(provider: &Provider, at: Span) -> Expr {
    let tests = provider.guard.iter().map(|(field, values)| {
        let mut literals: Vec<Expr> = values.iter().map(|value| literal(value, at)).collect();
        let (op, right) = match (literals.len(), literals.pop()) {
            (1, Some(only)) => (CompareOp::Eq, only),
            (_, last) => {
                literals.extend(last);
                (CompareOp::In, list(literals, at))
            }
        };
        compare(raw(field, at), op, Operand::One(Box::new(right)), at, at)
    });
    and(tests.collect(), at)
}

fn literal(value: &Literal, at: Span) -> Expr {
    match value {
        Literal::Text(value) => text(value, Prefix::IgnoreCase, at),
        Literal::Int(value) => number(Number::Int(*value), at),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_without_taxonomy_has_the_words_of_its_log_source() {
        let own = |product: &str, category: &str, service: &str| {
            let some = |text: &str| (!text.is_empty()).then(|| text.to_string());
            own_name(&LogSource {
                product: some(product),
                category: some(category),
                service: some(service),
                span: Span::default(),
            })
        };
        assert_eq!(own("gcp", "", "gcp.audit"), "gcp.audit");
        assert_eq!(own("", "proxy", ""), "proxy");
        assert_eq!(own("windows", "ps_script", "powershell-classic"), "windows.powershell_classic");
        assert_eq!(own("m365", "", "3d"), "m365._3d");
    }
}
