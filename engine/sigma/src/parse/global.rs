//! `action: global`, `repeat` and `reset`: how older files share parts between their documents.

use std::collections::HashMap;

use tripline_base::Diagnostic;

use crate::codes;
use crate::yaml::{Kind, MAX_NODES, Node};

/// What later documents of a file take over.
#[derive(Default)]
pub(super) struct Shared {
    global: Option<Node>,
    last: Option<Node>,
    /// How many nodes were taken over so far.
    taken: usize,
}

impl Shared {
    /// The document with what it shares; none where it only says what others share, or too much is shared.
    pub(super) fn complete(&mut self, node: &Node, out: &mut Vec<Diagnostic>) -> Option<Node> {
        let action = node.get("action").and_then(Node::text);
        let base = if action == Some("repeat") { &self.last } else { &self.global };
        self.taken += base.as_ref().map_or(0, Node::size);
        if self.taken > MAX_NODES {
            let message = format!("documents share more than {MAX_NODES} values");
            let at = node.entries().and_then(<[_]>::first).map_or(node.span, |entry| entry.key_span);
            out.push(Diagnostic::new(&codes::YAML_BOUND, at, message));
            return None;
        }
        match action {
            Some("global") => {
                let mut whole = merged(self.global.as_ref(), node);
                if let Kind::Mapping(entries) = &mut whole.kind {
                    entries.retain(|entry| entry.key != "action");
                }
                self.global = Some(whole);
                None
            }
            Some("reset") => {
                self.global = None;
                None
            }
            Some("repeat") => {
                let whole = merged(self.last.as_ref(), node);
                self.last = Some(whole.clone());
                Some(whole)
            }
            _ => {
                let whole = merged(self.global.as_ref(), node);
                self.last = Some(whole.clone());
                Some(whole)
            }
        }
    }
}

/// `node` upon `base`: maps are joined, anything else of `node` counts.
fn merged(base: Option<&Node>, node: &Node) -> Node {
    let (Some(Node { kind: Kind::Mapping(below), .. }), Kind::Mapping(above)) = (base, &node.kind) else {
        return node.clone();
    };
    let mut entries = below.clone();
    let index: HashMap<&str, usize> = below.iter().enumerate().map(|(n, entry)| (entry.key.as_str(), n)).collect();
    for entry in above.iter().filter(|entry| entry.key != "action") {
        match index.get(entry.key.as_str()).and_then(|n| entries.get_mut(*n)) {
            Some(own) => {
                own.value = merged(Some(&own.value), &entry.value);
                own.key_span = entry.key_span;
            }
            None => entries.push(entry.clone()),
        }
    }
    Node { span: node.span, kind: Kind::Mapping(entries) }
}
