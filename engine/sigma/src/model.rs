//! What a Sigma document says, after its modifiers are applied and before pipelines and lowering.

use indexmap::IndexMap;
use ipnet::IpNet;
use tripline_base::Span;
use tripline_syntax::ast::CompareOp;

use crate::correlation::Correlation;
use crate::pattern::Pattern;

/// A text with its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The text.
    pub text: String,
    /// Where.
    pub span: Span,
}

/// A document of a Sigma file.
#[derive(Clone, Debug)]
pub enum Document {
    /// `detection:`
    Rule(Rule),
    /// `correlation:`
    Correlation(Correlation),
    /// `filter:`
    Filter(Filter),
}

impl Document {
    /// What all documents have.
    pub fn header(&self) -> &Header {
        match self {
            Document::Rule(x) => &x.header,
            Document::Correlation(x) => &x.header,
            Document::Filter(x) => &x.header,
        }
    }

    /// Gives the name of its file, without folder and ending, to take the place of a missing `name`.
    pub fn set_stem(&mut self, stem: &str) {
        let header = match self {
            Document::Rule(x) => &mut x.header,
            Document::Correlation(x) => &mut x.header,
            Document::Filter(x) => &mut x.header,
        };
        header.stem = Some(stem.to_string());
    }
}

/// What all documents have.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The whole document.
    pub span: Span,
    /// The file's name without folder and ending, where it is known.
    pub stem: Option<String>,
    /// `title`
    pub title: Option<Word>,
    /// `id`
    pub id: Option<Word>,
    /// `name`
    pub name: Option<Word>,
    /// `status`
    pub status: Option<Word>,
    /// `level`
    pub level: Option<Word>,
    /// `description`
    pub description: Option<Word>,
    /// `author`
    pub author: Option<Word>,
    /// `references`
    pub references: Vec<Word>,
    /// `falsepositives`
    pub false_positives: Vec<Word>,
    /// `tags`
    pub tags: Vec<Word>,
    /// Every other attribute that is one text, for conditions of pipelines.
    pub other: Vec<(String, String)>,
}

impl Header {
    /// What people call it.
    pub fn label(&self) -> &str {
        let words = [&self.title, &self.name, &self.id];
        words.into_iter().flatten().next().map(|word| word.text.as_str()).or(self.stem.as_deref()).unwrap_or("?")
    }

    /// Whether `reference` is its id or name.
    pub fn answers_to(&self, reference: &str) -> bool {
        let is = |word: &Option<Word>| word.as_ref().is_some_and(|word| word.text.eq_ignore_ascii_case(reference));
        is(&self.id) || self.name.as_ref().is_some_and(|name| name.text == reference)
    }
}

/// `logsource:`
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSource {
    /// The whole entry.
    pub span: Span,
    /// `product`
    pub product: Option<String>,
    /// `category`
    pub category: Option<String>,
    /// `service`
    pub service: Option<String>,
}

impl LogSource {
    /// Whether everything that `self` asks for is so in `other`.
    pub fn covers(&self, other: &LogSource) -> bool {
        let fits = |a: &Option<String>, b: &Option<String>| a.is_none() || a == b;
        fits(&self.product, &other.product)
            && fits(&self.category, &other.category)
            && fits(&self.service, &other.service)
    }
}

/// A rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its header.
    pub header: Header,
    /// Which events.
    pub logsource: LogSource,
    /// Search identifiers, in order.
    pub detections: IndexMap<String, Named>,
    /// Its conditions; several are alternatives.
    pub conditions: Vec<Condition>,
    /// Ids of the processing items that changed it.
    pub applied: Vec<String>,
    /// States that pipelines set.
    pub state: IndexMap<String, String>,
}

/// A search identifier.
#[derive(Clone, Debug)]
pub struct Named {
    /// Where its name stands.
    pub name_span: Span,
    /// What it asks.
    pub search: Search,
}

/// A condition as written.
#[derive(Clone, Debug)]
pub struct Condition {
    /// The text, on one line.
    pub text: String,
    /// The whole scalar.
    pub span: Span,
    /// For each byte of the text, where it stands in the file.
    pub places: Vec<u32>,
    /// Set by pipelines and filters: further conditions that are and-linked.
    pub also: Vec<Also>,
}

/// A condition that a filter or a pipeline adds.
#[derive(Clone, Debug)]
pub struct Also {
    /// Its own search identifiers.
    pub detections: IndexMap<String, Named>,
    /// Its condition.
    pub condition: Box<Condition>,
    /// Whether the whole is negated.
    pub negated: bool,
}

/// A part of a search identifier.
#[derive(Clone, Debug)]
pub enum Search {
    /// A field (or the whole event) with values.
    Item(Item),
    /// All of these.
    All(Vec<Search>, Span),
    /// Some of these.
    Any(Vec<Search>, Span),
}

impl Search {
    /// Calls `f` for each item.
    pub fn items_mut(&mut self, f: &mut impl FnMut(&mut Item)) {
        match self {
            Search::Item(item) => f(item),
            Search::All(parts, _) | Search::Any(parts, _) => parts.iter_mut().for_each(|part| part.items_mut(f)),
        }
    }

    /// Calls `f` for each item.
    pub fn items<'a>(&'a self, f: &mut impl FnMut(&'a Item)) {
        match self {
            Search::Item(item) => f(item),
            Search::All(parts, _) | Search::Any(parts, _) => parts.iter().for_each(|part| part.items(f)),
        }
    }
}

/// `Field|modifier: values`
#[derive(Clone, Debug)]
pub struct Item {
    /// The whole entry.
    pub span: Span,
    /// The field with its modifiers, or the words of a keyword search.
    pub key_span: Span,
    /// The field; none for words looked for anywhere.
    pub field: Option<String>,
    /// Values with their places.
    pub values: Vec<(Value, Span)>,
    /// Whether all values are needed.
    pub all: bool,
    /// Whether negated (`neq`).
    pub negated: bool,
    /// Ids of the processing items that changed it.
    pub applied: Vec<String>,
}

/// A value after its modifiers.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// The field is absent.
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text with wildcards.
    Text(Pattern),
    /// What `wide` and its like made, for `base64`.
    Bytes(Vec<u8>),
    /// `re`
    Regex(Regex),
    /// `cidr`
    Cidr(IpNet),
    /// `lt`, `lte`, `gt`, `gte`
    Compare(CompareOp, Number),
    /// `fieldref`
    FieldRef(FieldRef),
    /// `exists`
    Exists(bool),
    /// `hour` and its like.
    Time(&'static str, i64),
    /// Some of these, whatever links the values around it.
    AnyOf(Vec<Value>),
}

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// Whole.
    Int(i64),
    /// Other.
    Float(f64),
}

/// A regular expression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Regex {
    /// Its text, and placeholders.
    pub source: Pattern,
    /// `i`
    pub ignore_case: bool,
    /// `m`
    pub multi_line: bool,
    /// `s`
    pub dot_all: bool,
    /// Whether it must begin where the value begins.
    pub from_start: bool,
    /// Whether it must end where the value ends.
    pub to_end: bool,
}

/// A comparison with another field of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRef {
    /// The other field.
    pub field: String,
    /// Which comparison.
    pub op: RefOp,
    /// Whether upper and lower case differ.
    pub cased: bool,
}

/// How two fields compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefOp {
    /// They are equal.
    Equals,
    /// The field begins with the other.
    Starts,
    /// The field ends with the other.
    Ends,
    /// The other is somewhere in the field.
    Contains,
}

/// A filter.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Its header.
    pub header: Header,
    /// Which rules' log sources.
    pub logsource: LogSource,
    /// Which rules; none for any.
    pub rules: Option<Vec<Word>>,
    /// Search identifiers, in order.
    pub detections: IndexMap<String, Named>,
    /// Its condition.
    pub condition: Condition,
}
