//! Passes, one per file. Each keeps the meaning of what it is given; [`crate::Options`] switches it off.

pub(crate) mod cases;
pub(crate) mod fold;
