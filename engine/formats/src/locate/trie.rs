//! The paths that are looked for, as a tree of keys.

use std::collections::HashMap;

use tripline_event::Segment;

use super::NONE;

#[derive(Debug, Default)]
struct Node {
    /// Open addressing: the key's number and the child's; the length is a power of two.
    table: Vec<(u32, u32)>,
    any: Option<u32>,
    slot: u32,
    depth: u8,
    /// The slots of this node and all below.
    leaves: Vec<u32>,
    /// All nodes below.
    below: Vec<u32>,
    /// Whether it has children.
    inner: bool,
}

/// A tree of keys.
#[derive(Debug, Default)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    keys: Vec<Box<[u8]>>,
    paths: usize,
}

/// Cheap, and good enough for a few hundred known keys: both ends and the length.
#[inline]
fn hash(key: &[u8]) -> usize {
    let word = |bytes: Option<&[u8; 8]>| bytes.map(|b| u64::from_le_bytes(*b));
    let (first, last) = match (word(key.first_chunk()), word(key.last_chunk())) {
        (Some(first), Some(last)) => (first, last),
        _ => (key.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte)), 0),
    };
    let mixed = (first ^ last.rotate_left(29) ^ (key.len() as u64)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32) as usize
}

impl Trie {
    pub const ROOT: u32 = 0;

    pub fn new(paths: &[Vec<Segment>]) -> (Trie, Vec<usize>) {
        let mut children: Vec<HashMap<&str, u32>> = vec![HashMap::new()];
        let mut trie =
            Trie { nodes: vec![Node { slot: NONE, ..Node::default() }], keys: Vec::new(), paths: paths.len() };
        let mut refused = Vec::new();
        for (slot, path) in paths.iter().enumerate() {
            if !trie.add(path, u32::try_from(slot).unwrap_or(NONE), &mut children) {
                refused.push(slot);
            }
        }
        for (node, known) in children.iter().enumerate() {
            trie.hash_children(node, known);
        }
        trie.gather(Self::ROOT as usize);
        (trie, refused)
    }

    fn add<'p>(&mut self, path: &'p [Segment], slot: u32, children: &mut Vec<HashMap<&'p str, u32>>) -> bool {
        if path.is_empty() || path.len() > 100 || !self.fits(path, children) {
            return false;
        }
        let mut at = 0usize;
        for segment in path {
            let next = match segment {
                Segment::Key(key) => children.get(at).and_then(|known| known.get(&**key)).copied(),
                _ => self.nodes.get(at).and_then(|node| node.any),
            };
            at = match next {
                Some(next) => next as usize,
                None => {
                    let new = self.nodes.len();
                    let depth = self.nodes.get(at).map_or(0, |node| node.depth) + 1;
                    self.nodes.push(Node { slot: NONE, depth, ..Node::default() });
                    children.push(HashMap::new());
                    let number = u32::try_from(new).unwrap_or(NONE);
                    match segment {
                        Segment::Key(key) => {
                            children.get_mut(at).map(|known| known.insert(key, number));
                        }
                        _ => {
                            if let Some(node) = self.nodes.get_mut(at) {
                                node.any = Some(number);
                            }
                        }
                    }
                    new
                }
            };
        }
        match self.nodes.get_mut(at) {
            Some(node) if node.slot == NONE => {
                node.slot = slot;
                true
            }
            _ => false,
        }
    }

    /// Whether a path can be added: no other steps than keys, and none of them beside an any-key.
    fn fits(&self, path: &[Segment], children: &[HashMap<&str, u32>]) -> bool {
        let mut at = Some(0usize);
        for segment in path {
            let node = at.and_then(|at| self.nodes.get(at));
            let known = at.and_then(|at| children.get(at));
            at = match segment {
                Segment::Key(key) => {
                    if node.is_some_and(|node| node.any.is_some()) {
                        return false;
                    }
                    known.and_then(|known| known.get(&**key)).map(|next| *next as usize)
                }
                Segment::AnyKey => {
                    if known.is_some_and(|known| !known.is_empty()) {
                        return false;
                    }
                    node.and_then(|node| node.any).map(|next| next as usize)
                }
                Segment::Each | Segment::Index(_) => return false,
            };
        }
        true
    }

    fn hash_children(&mut self, node: usize, known: &HashMap<&str, u32>) {
        let size = (known.len() * 2 + 1).next_power_of_two();
        let mut table = vec![(NONE, NONE); if known.is_empty() { 0 } else { size }];
        for (key, child) in known {
            let number = u32::try_from(self.keys.len()).unwrap_or(NONE);
            self.keys.push(key.as_bytes().into());
            let mut at = hash(key.as_bytes()) & (size - 1);
            while table.get(at).is_some_and(|(taken, _)| *taken != NONE) {
                at = (at + 1) & (size - 1);
            }
            if let Some(place) = table.get_mut(at) {
                *place = (number, *child);
            }
        }
        if let Some(node) = self.nodes.get_mut(node) {
            node.inner = !known.is_empty() || node.any.is_some();
            node.table = table;
        }
    }

    fn gather(&mut self, at: usize) -> (Vec<u32>, Vec<u32>) {
        let Some(node) = self.nodes.get(at) else { return Default::default() };
        let mut leaves: Vec<u32> = if node.slot == NONE { Vec::new() } else { vec![node.slot] };
        let mut below = Vec::new();
        let children: Vec<u32> =
            node.table.iter().map(|(_, child)| *child).filter(|child| *child != NONE).chain(node.any).collect();
        for child in children {
            let (more_leaves, more_below) = self.gather(child as usize);
            leaves.extend(more_leaves);
            below.push(child);
            below.extend(more_below);
        }
        if let Some(node) = self.nodes.get_mut(at) {
            node.leaves.clone_from(&leaves);
            node.below.clone_from(&below);
        }
        (leaves, below)
    }

    pub fn paths(&self) -> usize {
        self.paths
    }

    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The child of a key, and whether it is the one of any key.
    #[inline]
    pub fn child(&self, node: u32, key: &[u8]) -> (u32, bool) {
        let Some(node) = self.nodes.get(node as usize) else { return (NONE, false) };
        if let Some(any) = node.any {
            return (any, true);
        }
        if node.table.is_empty() {
            return (NONE, false);
        }
        let mask = node.table.len() - 1;
        let mut at = hash(key) & mask;
        loop {
            match node.table.get(at) {
                Some((number, child)) if *number != NONE => {
                    if self.keys.get(*number as usize).is_some_and(|known| **known == *key) {
                        return (*child, false);
                    }
                }
                _ => return (NONE, false),
            }
            at = (at + 1) & mask;
        }
    }

    pub fn any_child(&self, node: u32) -> Option<u32> {
        self.nodes.get(node as usize).and_then(|node| node.any)
    }

    pub fn slot(&self, node: u32) -> u32 {
        self.nodes.get(node as usize).map_or(NONE, |node| node.slot)
    }

    pub fn depth(&self, node: u32) -> u8 {
        self.nodes.get(node as usize).map_or(0, |node| node.depth)
    }

    pub fn has_children(&self, node: u32) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.inner)
    }

    pub fn leaves(&self, node: u32) -> &[u32] {
        self.nodes.get(node as usize).map_or(&[], |node| &node.leaves)
    }

    pub fn below(&self, node: u32) -> &[u32] {
        self.nodes.get(node as usize).map_or(&[], |node| &node.below)
    }
}
