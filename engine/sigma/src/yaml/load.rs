//! From text to nodes: one tree for each document, and whatever is wrong with the others.
//!
//! Documents are cut apart at their `---` lines first, so that a broken one hides no other.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle};
use tripline_base::{Diagnostic, FileId, Span};

use super::{Entry, Kind, MAX_DEPTH, MAX_NODES, Node};
use crate::codes;

/// The documents of a file.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Those that could be read, in order; empty ones are left out.
    pub documents: Vec<Node>,
    /// What is wrong with the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// Reads all documents of a text.
pub fn load(file: FileId, text: &str) -> Loaded {
    let mut loaded = Loaded::default();
    if text.len() > tripline_syntax::MAX_FILE {
        let message = format!("the file is larger than {} MiB", tripline_syntax::MAX_FILE >> 20);
        loaded.diagnostics.push(Diagnostic::new(&codes::YAML_BOUND, Span::new(file, 0, 0), message));
        return loaded;
    }
    let mut nodes = 0;
    for (base, chunk) in documents(text) {
        let mut loader = Loader::new(file, base, chunk, nodes);
        match loader.run() {
            Ok(found) => loaded.documents.extend(found),
            Err(diagnostic) => loaded.diagnostics.push(*diagnostic),
        }
        nodes = loader.nodes;
        loaded.diagnostics.append(&mut loader.diagnostics);
    }
    loaded
}

/// The text cut at its `---` lines, without what holds only comments and directives.
fn documents(text: &str) -> Vec<(usize, &str)> {
    let start = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
    let mut cuts = vec![start];
    let mut at = start;
    for line in text.get(start..).unwrap_or("").split_inclusive('\n') {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && at > start {
            cuts.push(at);
        }
        at += line.len();
    }
    let mut out = Vec::new();
    for (n, from) in cuts.iter().enumerate() {
        let to = cuts.get(n + 1).copied().unwrap_or(text.len());
        let chunk = text.get(*from..to).unwrap_or("");
        let says = |line: &str| {
            !matches!(line.trim(), "" | "---" | "...")
                && !line.starts_with(['#', '%'])
                && !line.trim_start().starts_with('#')
        };
        if chunk.lines().any(says) {
            out.push((*from, chunk));
        }
    }
    out
}

/// A collection that is not yet closed.
enum Open {
    Sequence { anchor: usize, start: usize, elements: Vec<Node> },
    Mapping { anchor: usize, start: usize, entries: Vec<Entry>, index: HashMap<String, usize>, key: Option<Node> },
}

struct Loader<'a> {
    file: FileId,
    base: usize,
    text: &'a str,
    /// The byte at which each character begins, where they differ.
    bytes: Option<Vec<usize>>,
    nodes: usize,
    anchors: HashMap<usize, Node>,
    diagnostics: Vec<Diagnostic>,
}

type Failed = Box<Diagnostic>;

impl<'a> Loader<'a> {
    fn new(file: FileId, base: usize, text: &'a str, nodes: usize) -> Self {
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self { file, base, text, bytes, nodes, anchors: HashMap::new(), diagnostics: Vec::new() }
    }

    fn byte(&self, marker: Marker) -> usize {
        let at = match &self.bytes {
            Some(bytes) => bytes.get(marker.index()).copied().unwrap_or(self.text.len()),
            None => marker.index(),
        };
        at.min(self.text.len())
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span::new(self.file, self.base + start, self.base + end.max(start))
    }

    /// The rest of the line at a place, for a message about it; the last line with words where there is none.
    fn around(&self, at: usize) -> Span {
        let rest = self.text.get(at..).unwrap_or("");
        let rest = rest.lines().next().unwrap_or("").trim_end();
        if !rest.is_empty() {
            return self.span(at, at + rest.len());
        }
        let before = self.text.get(..at).unwrap_or("").trim_end();
        let line = before.rsplit('\n').next().unwrap_or("");
        self.span(before.len() - line.trim_start().len(), before.len())
    }

    fn bound(&self, at: usize, message: String) -> Failed {
        Box::new(Diagnostic::new(&codes::YAML_BOUND, self.around(at), message))
    }

    fn run(&mut self) -> Result<Vec<Node>, Failed> {
        let mut parser = Parser::new_from_str(self.text);
        let mut stack: Vec<Open> = Vec::new();
        let mut roots = Vec::new();
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| {
                let at = self.byte(*error.marker());
                Box::new(Diagnostic::new(&codes::YAML, self.around(at), format!("this is not YAML: {}", error.info())))
            })?;
            let (start, end) = (self.byte(span.start), self.byte(span.end));
            let node = match event {
                Event::Scalar(text, style, anchor, _) => {
                    self.count(1, start)?;
                    let plain = style == ScalarStyle::Plain;
                    let kind = Kind::Scalar { text: text.into_owned(), plain };
                    let node = Node { span: self.trimmed(start, end), kind };
                    self.anchor(anchor, &node);
                    node
                }
                Event::SequenceStart(anchor, _) | Event::MappingStart(anchor, _) => {
                    self.count(1, start)?;
                    if stack.len() >= MAX_DEPTH {
                        return Err(self.bound(start, format!("collections nest deeper than {MAX_DEPTH}")));
                    }
                    stack.push(match event {
                        Event::SequenceStart(..) => Open::Sequence { anchor, start, elements: Vec::new() },
                        _ => Open::Mapping { anchor, start, entries: Vec::new(), index: HashMap::new(), key: None },
                    });
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match stack.pop() {
                    Some(open) => self.close(open, end),
                    None => continue,
                },
                Event::Alias(id) => self.alias(id, start, end, stack.len())?,
                Event::DocumentStart(_) | Event::DocumentEnd => {
                    self.anchors.clear();
                    continue;
                }
                _ => continue,
            };
            self.place(node, &mut stack, &mut roots);
        }
        roots.retain(|node| !node.is_null());
        Ok(roots)
    }

    fn place(&mut self, node: Node, stack: &mut [Open], roots: &mut Vec<Node>) {
        match stack.last_mut() {
            None => roots.push(node),
            Some(Open::Sequence { elements, .. }) => elements.push(node),
            Some(Open::Mapping { entries, index, key, .. }) => match key.take() {
                None => *key = Some(node),
                Some(name) => {
                    let Kind::Scalar { text, plain } = &name.kind else {
                        let message = "a key is not text".to_string();
                        self.diagnostics.push(Diagnostic::new(&codes::YAML, name.span, message));
                        return;
                    };
                    if *plain && text == "<<" {
                        merge(entries, index, node);
                        return;
                    }
                    let entry = Entry { key: text.clone(), key_span: name.span, value: node };
                    let first = index.get(text).and_then(|at| entries.get_mut(*at));
                    let Some(first) = first else {
                        index.insert(text.clone(), entries.len());
                        entries.push(entry);
                        return;
                    };
                    let message = format!("`{text}` is given twice; the last one counts");
                    let help = "join both into one list of values, or put each into a search identifier of its own";
                    self.diagnostics.push(
                        Diagnostic::new(&codes::DUPLICATE_KEY, name.span, message)
                            .also(first.key_span, "first here")
                            .help(help),
                    );
                    *first = entry;
                }
            },
        }
    }

    fn close(&mut self, open: Open, end: usize) -> Node {
        let (anchor, start, last, kind) = match open {
            Open::Sequence { anchor, start, elements } => {
                let last = elements.iter().map(|node| node.span.end as usize).max();
                (anchor, start, last, Kind::Sequence(elements))
            }
            Open::Mapping { anchor, start, entries, .. } => {
                let last = entries.iter().map(|entry| entry.span().end as usize).max();
                (anchor, start, last, Kind::Mapping(entries))
            }
        };
        // A block ends where the next one begins; its words end with its last element.
        let flow = self.text.get(start..).is_some_and(|rest| rest.starts_with(['[', '{']));
        let end = if flow { end } else { last.map_or(end, |last| last.saturating_sub(self.base).min(end.max(start))) };
        let node = Node { span: self.trimmed(start, end), kind };
        self.anchor(anchor, &node);
        node
    }

    /// The span without blanks and line ends after the last word.
    fn trimmed(&self, start: usize, end: usize) -> Span {
        let words = self.text.get(start..end).unwrap_or("").trim_end();
        self.span(start, start + words.len())
    }

    fn anchor(&mut self, id: usize, node: &Node) {
        if id > 0 {
            self.anchors.insert(id, node.clone());
        }
    }

    fn alias(&mut self, id: usize, start: usize, end: usize, depth: usize) -> Result<Node, Failed> {
        let Some(mut node) = self.anchors.get(&id).cloned() else {
            let message = "an alias stands inside of what it names".to_string();
            return Err(Box::new(Diagnostic::new(&codes::YAML, self.span(start, end), message)));
        };
        let (size, deep) = measure(&node);
        if depth + deep > MAX_DEPTH {
            return Err(self.bound(start, format!("collections nest deeper than {MAX_DEPTH}")));
        }
        self.count(size, start)?;
        node.span = self.trimmed(start, end);
        Ok(node)
    }

    fn count(&mut self, more: usize, at: usize) -> Result<(), Failed> {
        self.nodes += more;
        if self.nodes > MAX_NODES {
            return Err(self.bound(at, format!("the file holds more than {MAX_NODES} values, aliases expanded")));
        }
        Ok(())
    }
}

/// `<<: *other`: the other's entries, where the mapping has none of its own.
fn merge(entries: &mut Vec<Entry>, index: &mut HashMap<String, usize>, node: Node) {
    let others = match node.kind {
        Kind::Sequence(elements) => elements,
        _ => vec![node],
    };
    for other in others {
        if let Kind::Mapping(more) = other.kind {
            for entry in more {
                if !index.contains_key(&entry.key) {
                    index.insert(entry.key.clone(), entries.len());
                    entries.push(entry);
                }
            }
        }
    }
}

/// How many nodes a tree has, and how deep it is.
fn measure(node: &Node) -> (usize, usize) {
    let parts: Vec<(usize, usize)> = match &node.kind {
        Kind::Scalar { .. } => return (1, 0),
        Kind::Sequence(elements) => elements.iter().map(measure).collect(),
        Kind::Mapping(entries) => entries.iter().map(|entry| measure(&entry.value)).collect(),
    };
    parts.iter().fold((1, 1), |(size, deep), (more, deeper)| (size + more + 1, deep.max(deeper + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(text: &str, span: Span) -> &str {
        &text[span.range()]
    }

    #[test]
    fn spans_are_bytes_of_the_words() {
        let text = "título: 'é è'\nmap:\n  - ü: 1 # note\n    b: |\n      two\n\n  - [c, \"d\"]\n---\nlast: x\n";
        let loaded = load(FileId(0), text);
        assert!(loaded.diagnostics.is_empty(), "{:?}", loaded.diagnostics);
        let first = &loaded.documents[0];
        assert_eq!(slice(text, first.entries().unwrap()[0].span()), "título: 'é è'");
        let list = first.get("map").unwrap().elements().unwrap();
        assert_eq!(slice(text, list[0].entry("ü").unwrap().span()), "ü: 1");
        assert!(slice(text, list[0].entry("b").unwrap().span()).starts_with("b: |\n      two"));
        assert_eq!(slice(text, list[1].span), "[c, \"d\"]");
        assert_eq!(slice(text, list[1].elements().unwrap()[1].span), "\"d\"");
        assert_eq!(slice(text, loaded.documents[1].entry("last").unwrap().span()), "last: x");
    }

    #[test]
    fn a_broken_document_hides_no_other() {
        let text = "a: 1\n---\nb: [1, 2\n---\nc: 3\n";
        let loaded = load(FileId(0), text);
        assert_eq!(loaded.documents.len(), 2);
        assert_eq!(loaded.diagnostics.len(), 1);
        assert_eq!(loaded.diagnostics[0].code, &codes::YAML);
    }

    #[test]
    fn the_last_of_two_equal_keys_counts() {
        let text = "a: 1\nb: 2\na: 3\n";
        let loaded = load(FileId(0), text);
        assert_eq!(loaded.documents[0].get("a").unwrap().text(), Some("3"));
        assert_eq!(loaded.diagnostics[0].code, &codes::DUPLICATE_KEY);
        assert_eq!(loaded.diagnostics[0].span().start, 10);
    }

    #[test]
    fn a_billion_laughs_is_an_error() {
        let mut text = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let alias = format!("*a{}", n - 1);
            text.push_str(&format!("a{n}: &a{n} [{}]\n", vec![alias; 10].join(", ")));
        }
        let loaded = load(FileId(0), &text);
        assert!(loaded.documents.is_empty());
        assert_eq!(loaded.diagnostics[0].code, &codes::YAML_BOUND);
        let deep = "[".repeat(100);
        assert_eq!(load(FileId(0), &deep).diagnostics[0].code, &codes::YAML_BOUND);
    }

    #[test]
    fn a_merge_key_brings_entries() {
        let text = "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\n";
        let loaded = load(FileId(0), text);
        let own = loaded.documents[0].get("own").unwrap();
        assert_eq!(own.get("x").unwrap().text(), Some("1"));
        assert_eq!(own.get("y").unwrap().text(), Some("3"));
    }
}
