//! Evaluates expressions over one raw event.
//!
//! Invariants: a comparison with an absent value is false; a closed node is evaluated at most once per
//! event where the program was interned; nothing is normalised unless asked for.
//!
//! Deliberately lacks: state over several events, and anything that waits.

mod compare;
mod evaluator;
pub mod explain;
mod function;
mod indexed;
mod matcher;
pub mod normalize;
pub mod time;

pub use compare::{compare, convert};
pub use evaluator::Evaluator;
pub use function::call;
pub use indexed::Indexed;
pub use matcher::{Match, Matcher};
