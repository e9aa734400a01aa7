//! Predicates: tests on the value of one field.

use std::sync::Arc;

use tripline_event::Value;
use tripline_ir::{Item, Op, Pattern, Scalar};

/// A test on one field. It holds where some value of the field fits.
#[derive(Clone, Debug)]
pub struct Predicate {
    /// The field, by index.
    pub field: u32,
    /// The test.
    pub test: Test,
    /// For a lazy test: the eager predicate that holds wherever this one does.
    pub gate: Option<u32>,
}

/// What is tested.
#[derive(Clone, Debug, Hash)]
pub enum Test {
    /// There is a value. Eager.
    Exists,
    /// The value, as a whole number, is one of these. Eager.
    Ints(Vec<i64>),
    /// The value, as text, fits one of these. Eager.
    Texts(Vec<TextTest>),
    /// Anything else.
    Lazy(Conversion, Check),
}

/// A test on text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextTest {
    /// Where the text stands.
    pub place: Place,
    /// The text.
    pub text: Box<str>,
    /// Whether case is ignored.
    pub fold: bool,
    /// Whether it only says what a lazy predicate implies, so that a hit needs no confirmation.
    pub hint: bool,
}

/// Where a text stands in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// It is the value.
    Whole,
    /// Anywhere.
    Part,
    /// At the beginning.
    Start,
    /// At the end.
    End,
}

/// What a value is read as before it is tested.
#[derive(Clone, Copy, Debug, Hash)]
pub enum Conversion {
    /// As it is.
    None,
    /// As such a scalar.
    To(Scalar),
}

/// A test that is not eager.
#[derive(Clone, Debug, Hash)]
pub enum Check {
    /// Against a constant.
    Compare(Op, Value<'static>, bool),
    /// Against a pattern.
    Pattern(Arc<Pattern>),
    /// Against items and ranges.
    Items(Arc<Vec<Item>>),
}
