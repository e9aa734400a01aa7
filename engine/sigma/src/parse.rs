//! From YAML nodes to documents.

mod detection;
mod global;
mod header;

use indexmap::IndexMap;
use tripline_base::{Diagnostic, FileId, Span, did_you_mean};

use crate::codes;
use crate::condition::place;
use crate::correlation;
use crate::model::{Condition, Document, Filter, LogSource, Named, Rule, Word};
use crate::modifier;
use crate::yaml::{self, Node};

pub(crate) use detection::search;

/// The documents of a file, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Parsed {
    /// Those that could be read, in order.
    pub documents: Vec<Document>,
    /// What is wrong, in order.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads the Sigma documents of a file.
pub fn parse(file: FileId, text: &str) -> Parsed {
    let loaded = yaml::load(file, text);
    let mut parsed = Parsed { documents: Vec::new(), diagnostics: loaded.diagnostics };
    let mut shared = global::Shared::default();
    let mut dashes = Dashes::default();
    for node in &loaded.documents {
        let Some(node) = shared.complete(node, &mut parsed.diagnostics) else { continue };
        if let Some(at) = dashes.exceeded(&node) {
            let message = format!("the dashes of the file come to more than {} values", Dashes::MOST);
            parsed.diagnostics.push(
                Diagnostic::new(&codes::YAML_BOUND, at, message)
                    .help("part the file, or drop `windash` from some values"),
            );
            continue;
        }
        let said = parsed.diagnostics.len();
        let document = document(&node, text, &mut parsed.diagnostics);
        let label = document.as_ref().map(|document| document.header().label().to_string());
        let label = label.or_else(|| node.get("title").and_then(Node::text).map(str::to_string));
        for diagnostic in parsed.diagnostics.iter_mut().skip(said) {
            diagnostic.item.clone_from(&label);
        }
        parsed.documents.extend(document);
    }
    tripline_base::diagnostic::sort(&mut parsed.diagnostics);
    parsed
}

/// Counts what `windash` makes of a file before it is made, over all documents: one value becomes up to 125.
#[derive(Default)]
struct Dashes {
    variants: usize,
}

impl Dashes {
    /// The most variants, with 32 bytes of text in each.
    const MOST: usize = 200_000;

    /// The first value of this document that is one too many.
    fn exceeded(&mut self, node: &Node) -> Option<Span> {
        if let Some(elements) = node.elements() {
            return elements.iter().find_map(|element| self.exceeded(element));
        }
        for entry in node.entries().unwrap_or(&[]) {
            if entry.key.split('|').skip(1).any(|modifier| modifier == "windash") {
                for value in entry.value.one_or_many() {
                    let text = value.text().unwrap_or("");
                    self.variants = self.variants.saturating_add(modifier::variants(text) * (1 + text.len() / 32));
                    if self.variants > Self::MOST {
                        return Some(value.span);
                    }
                }
            }
            if let Some(at) = self.exceeded(&entry.value) {
                return Some(at);
            }
        }
        None
    }
}

/// The first word of a document: enough to point at it.
fn beginning(node: &Node) -> Span {
    node.entries().and_then(<[_]>::first).map_or(node.span, |entry| entry.key_span)
}

fn document(node: &Node, text: &str, out: &mut Vec<Diagnostic>) -> Option<Document> {
    let at = beginning(node);
    let Some(entries) = node.entries() else {
        let span = Span { end: at.end.min(at.start.saturating_add(1)), ..at };
        let span = if node.elements().is_some() { span } else { at };
        out.push(Diagnostic::new(
            &codes::NOT_SIGMA,
            span,
            format!("a Sigma document is a map, and this is {}", node.what()),
        ));
        return None;
    };
    let header = header::read(node, out);
    if let Some(correlation) = node.entry("correlation") {
        return correlation::read(header, correlation, text, out).map(Document::Correlation);
    }
    if let Some(filter) = node.entry("filter") {
        let logsource = logsource(node, at, out);
        let (logsource, filter) = (logsource?, read_filter(filter.key_span, &filter.value, text, out)?);
        let (rules, detections, condition) = filter;
        return Some(Document::Filter(Filter { header, logsource, rules, detections, condition }));
    }
    let Some(detection) = node.entry("detection") else {
        let message = "the document has no `detection`, `correlation` or `filter`";
        let hint = did_you_mean("detection", entries.iter().map(|entry| entry.key.as_str()));
        out.push(Diagnostic::new(&codes::NOT_SIGMA, at, message).maybe_help(hint));
        return None;
    };
    let logsource = logsource(node, at, out);
    let (detections, conditions) = read_detection(detection.key_span, &detection.value, text, &[], out)?;
    let logsource = logsource?;
    Some(Document::Rule(Rule {
        header,
        logsource,
        detections,
        conditions,
        applied: Vec::new(),
        state: IndexMap::new(),
    }))
}

fn logsource(node: &Node, at: Span, out: &mut Vec<Diagnostic>) -> Option<LogSource> {
    let Some(entry) = node.entry("logsource") else {
        out.push(
            Diagnostic::new(&codes::BAD_LOGSOURCE, at, "the document has no `logsource`")
                .help("say which events it looks at: `logsource:` with `product`, `category` or `service`"),
        );
        return None;
    };
    let mut source = LogSource { span: entry.span(), ..LogSource::default() };
    let Some(entries) = entry.value.entries() else {
        let message = format!("`logsource` is a map, and this is {}", entry.value.what());
        out.push(Diagnostic::new(&codes::BAD_LOGSOURCE, entry.key_span, message));
        return None;
    };
    for entry in entries {
        let slot = match entry.key.as_str() {
            "product" => &mut source.product,
            "category" => &mut source.category,
            "service" => &mut source.service,
            _ => continue,
        };
        if entry.value.is_null() {
            continue;
        }
        match entry.value.text() {
            Some(text) => *slot = Some(text.trim().to_lowercase()),
            None => {
                let message = format!("`{}` is text, and this is {}", entry.key, entry.value.what());
                out.push(Diagnostic::new(&codes::BAD_LOGSOURCE, entry.value.span, message));
                return None;
            }
        }
    }
    if source.product.is_none() && source.category.is_none() && source.service.is_none() {
        let message = "the log source names no `product`, `category` or `service`";
        out.push(Diagnostic::new(&codes::BAD_LOGSOURCE, entry.key_span, message));
        return None;
    }
    Some(source)
}

type Detection = (IndexMap<String, Named>, Vec<Condition>);

/// Reads search identifiers and conditions; `others` are keys that are neither.
pub(crate) fn read_detection(
    key_span: Span,
    node: &Node,
    text: &str,
    others: &[&str],
    out: &mut Vec<Diagnostic>,
) -> Option<Detection> {
    let Some(entries) = node.entries() else {
        let message = format!("search identifiers are a map, and this is {}", node.what());
        out.push(Diagnostic::new(&codes::BAD_DETECTION, key_span, message));
        return None;
    };
    let mut detections = IndexMap::new();
    let mut conditions = Vec::new();
    let mut failed = false;
    for entry in entries {
        match entry.key.as_str() {
            "condition" => {
                for node in entry.value.one_or_many() {
                    match node.text() {
                        Some(words) => conditions.push(place(words, node.span, text)),
                        None => {
                            let message = format!("a condition is text, and this is {}", node.what());
                            out.push(Diagnostic::new(&codes::BAD_CONDITION, entry.key_span, message));
                            failed = true;
                        }
                    }
                }
            }
            // Of the old aggregations.
            "timeframe" => {}
            key if others.contains(&key) => {}
            name => match search(entry, out) {
                Some(search) => {
                    detections.insert(name.to_string(), Named { name_span: entry.key_span, search });
                }
                None => failed = true,
            },
        }
    }
    if !failed && detections.is_empty() {
        out.push(Diagnostic::new(&codes::BAD_DETECTION, key_span, "there is no search identifier"));
        failed = true;
    }
    if !failed && conditions.is_empty() {
        out.push(
            Diagnostic::new(&codes::BAD_CONDITION, key_span, "there is no `condition`")
                .help("add `condition:` with the search identifiers to join"),
        );
        failed = true;
    }
    (!failed).then_some((detections, conditions))
}

type FilterBody = (Option<Vec<Word>>, IndexMap<String, Named>, Condition);

fn read_filter(key_span: Span, node: &Node, text: &str, out: &mut Vec<Diagnostic>) -> Option<FilterBody> {
    if node.entries().is_none() {
        let message = format!("`filter` is a map, and this is {}", node.what());
        out.push(Diagnostic::new(&codes::BAD_FILTER, key_span, message));
        return None;
    }
    let Some(rules) = node.entry("rules") else {
        out.push(
            Diagnostic::new(&codes::BAD_FILTER, key_span, "the filter does not say which `rules` it is for")
                .help("list their ids or names, or write `rules: any`"),
        );
        return None;
    };
    let mut names = Vec::new();
    for node in rules.value.one_or_many() {
        match node.text() {
            Some(name) => names.push(Word { text: name.to_string(), span: node.span }),
            None => {
                let message = format!("a rule is named by its id or name, and this is {}", node.what());
                out.push(Diagnostic::new(&codes::BAD_FILTER, rules.key_span, message));
                return None;
            }
        }
    }
    let any = names.is_empty()
        || rules.value.elements().is_none() && names.iter().all(|name| name.text.eq_ignore_ascii_case("any"));
    let (detections, mut conditions) = read_detection(key_span, node, text, &["rules"], out)?;
    let condition = conditions.pop()?;
    if !conditions.is_empty() {
        out.push(Diagnostic::new(
            &codes::BAD_FILTER,
            condition.span,
            "a filter has one condition, and this is another",
        ));
        return None;
    }
    Some(((!any).then_some(names), detections, condition))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_full_of_dashes_is_refused_before_it_takes_memory() {
        let rule = |values: usize| {
            let values = vec!["' -a -b -c'"; values].join(", ");
            format!(
                "title: t\nlogsource: {{ product: acme }}\ndetection:\n  s: {{ A|windash: [{values}] }}\n  condition: s\n"
            )
        };
        let fine = parse(FileId(0), &rule(1_000));
        assert_eq!((fine.documents.len(), fine.diagnostics.len()), (1, 0));
        // Each document alone would do; all documents of a file count together.
        let text = vec![rule(1_000); 3].join("---\n");
        let said = parse(FileId(0), &text);
        assert_eq!(said.documents.len(), 1);
        assert!(said.diagnostics.iter().all(|said| said.code == &codes::YAML_BOUND));
        let text = text.replace("-a -b -c", "-a -b  c");
        assert_eq!(parse(FileId(0), &text).documents.len(), 3);
    }
}
