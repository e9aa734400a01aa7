//! The intermediate representation: expressions over **raw** events, with mappings substituted. Data
//! only, and a printer for goldens.
//!
//! Invariants: a node refers to nodes before it; equal nodes have one id where interning is on, so a
//! predicate that many rules share is one node; [`Node::closed`] nodes depend on the event alone and
//! may be evaluated once per event.
//!
//! Deliberately lacks: how it is made (`plan`) and how it is evaluated (`eval`).

mod print;
pub mod time;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

use tripline_base::Span;
use tripline_event::{Path, Value};
use tripline_schema::{Attribute, Class};
pub use tripline_semantic::typed::{ArithmeticOp, Function, Item, Op, Pattern, Quantifier, Severity, Ty};

/// A node of an [`Arena`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u32);

/// What a path starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Root {
    /// The raw event.
    Raw,
    /// The raw event; the path reaches through arrays.
    Loose,
    /// The element bound so many quantifiers further out: 0 is the innermost.
    Element(u32),
}

/// What a node computes. A *multiple* node has several values (a path with `[]`); a comparison holds if
/// it holds for some of them.
#[derive(Clone, Debug, Hash)]
pub enum Kind {
    /// A constant; `Null` is absent.
    Const(Value<'static>),
    /// A place.
    Path(Root, Path),
    /// A place in a computed value.
    Then(Id, Path),
    /// The values of all of these, absent ones left out.
    Each(Vec<Id>),
    /// For every element of the array for which the condition holds, the value.
    For {
        /// The array.
        array: Id,
        /// Which elements.
        condition: Option<Id>,
        /// What each becomes.
        value: Id,
    },
    /// A row's column.
    Lookup {
        /// Index of the table.
        table: usize,
        /// The key.
        key: Id,
        /// Index of the column.
        column: usize,
    },
    /// All hold.
    And(Vec<Id>),
    /// Some holds.
    Or(Vec<Id>),
    /// Does not hold.
    Not(Id),
    /// Some value of left compares with some value of right.
    Compare {
        /// How.
        op: Op,
        /// Left.
        left: Id,
        /// Right.
        right: Id,
        /// Whether case is ignored.
        fold: bool,
    },
    /// Some value matches.
    Matches {
        /// What is looked at.
        left: Id,
        /// The pattern.
        pattern: Arc<Pattern>,
    },
    /// Some value equals some item or lies in some range.
    InItems {
        /// What is looked for.
        left: Id,
        /// The items.
        items: Arc<Vec<Item>>,
    },
    /// Some value is in the list of that index.
    InList {
        /// What is looked for.
        left: Id,
        /// Index of the list.
        list: usize,
    },
    /// Some value equals some element of the array, or lies in the range that it is.
    InArray {
        /// What is looked for.
        left: Id,
        /// The array, or a multiple node.
        array: Id,
    },
    /// There is some value.
    Exists(Id),
    /// `any`, `all`, `first` over an array; binds [`Root::Element`] 0 in the condition.
    Quantified {
        /// Which.
        kind: Quantifier,
        /// The array.
        array: Id,
        /// The test.
        condition: Id,
    },
    /// An array of what [`Kind::For`] gives.
    Collect(Id),
    /// Every scalar inside of these values.
    Anywhere(Id),
    /// The first that is not absent.
    Coalesce(Vec<Id>),
    /// Arithmetic.
    Arithmetic {
        /// The operator.
        op: ArithmeticOp,
        /// Left.
        left: Id,
        /// Right.
        right: Id,
    },
    /// A function.
    Call {
        /// Which.
        function: Function,
        /// Its arguments.
        args: Vec<Id>,
        /// The pattern of `extract`.
        pattern: Option<Arc<Pattern>>,
    },
    /// The value of the first case whose condition holds; absent where none does.
    Cases(Vec<(Id, Id)>),
    /// An object; absent fields are left out, an object without fields is absent.
    Object(Vec<(Path, Id)>),
    /// An array; absent elements are left out.
    Array(Vec<Id>),
    /// A conversion.
    Convert(Id, Target),
    /// The caption of an enum's value.
    Caption(Id, &'static Attribute),
}

/// What a conversion gives.
#[derive(Clone, Debug, Hash)]
pub enum Target {
    /// As [`Ty`] says; for an array, every element.
    One(Scalar),
    /// Every element; a single value becomes an array of one.
    Array(Scalar),
}

/// A scalar type to convert to.
#[derive(Clone, Copy, Debug, Hash)]
#[expect(missing_docs, reason = "the types of the language")]
pub enum Scalar {
    Bool,
    Int,
    Float,
    Text,
    Ip,
    Cidr,
    Time,
    /// A number or a caption of the attribute.
    Enum(&'static Attribute),
    /// As it is.
    Any,
}

/// A node.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it computes.
    pub kind: Kind,
    /// Whether it depends on the event alone, and on no element.
    pub closed: bool,
}

/// All nodes of a program.
#[derive(Debug, Default)]
pub struct Arena {
    nodes: Vec<Node>,
    index: HashMap<(u64, u64), Id>,
    prints: Prints,
    /// Whether equal nodes are one.
    pub intern: bool,
    /// What lists and tables are called, for the printer.
    pub names: Names,
}

/// What lists and tables are called. A name stays when others are added before it, and an index does not.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Of lists.
    pub lists: Vec<String>,
    /// Of tables, with their columns.
    pub tables: Vec<(String, Vec<String>)>,
}

impl Names {
    fn list(&self, at: usize) -> String {
        self.lists.get(at).cloned().unwrap_or_else(|| format!("list{at}"))
    }

    fn column(&self, table: usize, column: usize) -> (String, String) {
        let known = self.tables.get(table);
        let of_table = known.map_or_else(|| format!("table{table}"), |(name, _)| name.clone());
        (of_table, known.and_then(|(_, columns)| columns.get(column).cloned()).unwrap_or_else(|| column.to_string()))
    }
}

/// Fingerprints of what is equal: two keyed hashes, which nobody who writes rules can foresee.
#[derive(Debug, Default)]
pub struct Prints {
    keys: [RandomState; 2],
}

impl Prints {
    /// The fingerprint of a value.
    pub fn of(&self, value: &impl Hash) -> (u64, u64) {
        let [first, second] = self.keys.each_ref().map(|key| key.hash_one(value));
        (first, second)
    }
}

impl Arena {
    /// An empty arena.
    pub fn new(intern: bool) -> Self {
        Arena { intern, ..Arena::default() }
    }

    /// Adds a node, or finds its equal.
    pub fn add(&mut self, kind: Kind) -> Id {
        let key = self.intern.then(|| self.prints.of(&kind));
        if let Some(id) = key.as_ref().and_then(|key| self.index.get(key)) {
            return *id;
        }
        let closed = self.free(&kind, 0) == 0;
        let id = Id(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        self.nodes.push(Node { kind, closed });
        if let Some(key) = key {
            self.index.insert(key, id);
        }
        id
    }

    /// Gives up what is only needed to add nodes.
    pub fn finish(&mut self) {
        self.index = HashMap::new();
        self.nodes.shrink_to_fit();
    }

    /// The node; a constant `null` for an id of another arena.
    pub fn get(&self, id: Id) -> &Node {
        static ABSENT: Node = Node { kind: Kind::Const(Value::Null), closed: true };
        self.nodes.get(id.0 as usize).unwrap_or(&ABSENT)
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The constant a node is, if it is one.
    pub fn constant(&self, id: Id) -> Option<&Value<'static>> {
        match &self.get(id).kind {
            Kind::Const(value) => Some(value),
            _ => None,
        }
    }

    /// The nodes that a node refers to, with how many elements it binds for each.
    pub fn children(kind: &Kind) -> Vec<(Id, u32)> {
        match kind {
            Kind::Const(_) | Kind::Path(..) => Vec::new(),
            Kind::Then(x, _)
            | Kind::Not(x)
            | Kind::Exists(x)
            | Kind::Convert(x, _)
            | Kind::Caption(x, _)
            | Kind::Anywhere(x)
            | Kind::Collect(x) => {
                vec![(*x, 0)]
            }
            Kind::Lookup { key, .. } => vec![(*key, 0)],
            Kind::Each(xs) | Kind::And(xs) | Kind::Or(xs) | Kind::Coalesce(xs) | Kind::Array(xs) => {
                xs.iter().map(|x| (*x, 0)).collect()
            }
            Kind::Compare { left, right, .. } | Kind::Arithmetic { left, right, .. } => vec![(*left, 0), (*right, 0)],
            Kind::Matches { left, .. } | Kind::InItems { left, .. } | Kind::InList { left, .. } => vec![(*left, 0)],
            Kind::InArray { left, array } => vec![(*left, 0), (*array, 0)],
            Kind::For { array, condition, value } => {
                let mut out = vec![(*array, 0), (*value, 1)];
                out.extend(condition.map(|c| (c, 1)));
                out
            }
            Kind::Quantified { array, condition, .. } => vec![(*array, 0), (*condition, 1)],
            Kind::Call { args, .. } => args.iter().map(|x| (*x, 0)).collect(),
            Kind::Cases(cases) => cases.iter().flat_map(|(c, v)| [(*c, 0), (*v, 0)]).collect(),
            Kind::Object(members) => members.iter().map(|(_, x)| (*x, 0)).collect(),
        }
    }

    /// How many elements outside of itself a node reaches for, at most.
    fn free(&self, kind: &Kind, bound: u32) -> u32 {
        if let Kind::Path(Root::Element(n), _) = kind {
            return (n + 1).saturating_sub(bound);
        }
        Arena::children(kind)
            .into_iter()
            .map(|(id, binds)| {
                let node = self.get(id);
                if node.closed { 0 } else { self.free(&node.kind, bound + binds) }
            })
            .max()
            .unwrap_or(0)
    }

    /// How many nodes a node is made of, shared ones counted once.
    pub fn size(&self, id: Id) -> usize {
        let mut seen = std::collections::BTreeSet::new();
        let mut stack = vec![id];
        while let Some(id) = stack.pop() {
            if seen.insert(id) {
                stack.extend(Arena::children(&self.get(id).kind).into_iter().map(|(child, _)| child));
            }
        }
        seen.len()
    }
}

/// A whole program, ready to be evaluated.
#[derive(Debug, Default)]
pub struct Program {
    /// Every expression.
    pub arena: Arena,
    /// Sources, by name in order.
    pub sources: Vec<Source>,
    /// Lists, in the order of [`Kind::InList`].
    pub lists: Vec<Arc<Vec<Item>>>,
    /// Tables, in the order of [`Kind::Lookup`].
    pub tables: Vec<Arc<HashMap<String, Vec<String>>>>,
    /// What is judged over several events.
    pub time: time::Time,
}

impl Program {
    /// The source of that name, by index.
    pub fn source(&self, name: &str) -> Option<usize> {
        self.sources.binary_search_by(|source| source.name.as_str().cmp(name)).ok()
    }
}

/// What is known of a source.
#[derive(Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Tells its events from others.
    pub detect: Option<Id>,
    /// Arms of its mapping, in order.
    pub arms: Vec<Arm>,
    /// Rules that look at every event as it came.
    pub rules: Vec<RulePlan>,
    /// When an event happened, where no arm tells it.
    pub time: Option<Id>,
    /// What names an event, where no arm does.
    pub id: Option<Id>,
    /// What numbers its events.
    pub counter: Option<Counter>,
}

/// A number that goes up by one with every event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counter {
    /// Where it may stand, in the order in which that is tried.
    pub value: Vec<Path>,
    /// The same for each of the fields whose values together say what is numbered by itself.
    pub by: Vec<Vec<Path>>,
}

/// An arm of a mapping, and the rules that look at its class.
#[derive(Debug)]
pub struct Arm {
    /// Holds for the events of this arm: its condition, and the negation of every one before it.
    pub guard: Id,
    /// The class.
    pub class: &'static Class,
    /// The normalised event.
    pub definitions: Vec<(Path, Id)>,
    /// Rules.
    pub rules: Vec<RulePlan>,
}

/// A condition as it was written, for telling why it holds or not.
#[derive(Clone, Debug)]
pub struct Explain {
    /// Where it is written.
    pub span: Span,
    /// The condition.
    pub condition: Id,
    /// The value that a test looks at.
    pub subject: Option<Id>,
    /// How its parts make it up.
    pub shape: Shape,
    /// Its parts.
    pub parts: Vec<Explain>,
}

/// How parts make up a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All parts hold.
    And,
    /// Some part holds.
    Or,
    /// The one part does not hold.
    Not,
    /// A test, without parts.
    Test,
}

/// A rule over the raw events of one arm.
#[derive(Debug)]
pub struct RulePlan {
    /// Index into the checked program's rules; past all of them for a feature.
    pub rule: usize,
    /// Where the event is one of several: what it is kept as.
    pub observe: Option<time::Observe>,
    /// Holds for the events that match: the guard included.
    pub condition: Id,
    /// The rule's condition as written, without the guard.
    pub explain: Option<Explain>,
    /// Exceptions, in order: index and condition.
    pub exceptions: Vec<(usize, Id)>,
    /// The title.
    pub title: Vec<Piece>,
    /// Severities with their conditions.
    pub severity: Vec<(Severity, Option<Id>)>,
    /// The alert's key.
    pub key: Vec<Id>,
    /// Entities: kind and value.
    pub entities: Vec<(&'static str, Id)>,
    /// Context: name and value.
    pub context: Vec<(String, Id)>,
    /// Risk: how much, upon whom.
    pub risk: Option<(i64, &'static str, Id)>,
}

/// A piece of a title.
#[derive(Debug)]
pub enum Piece {
    /// Words.
    Words(String),
    /// A value.
    Value(Id),
}
