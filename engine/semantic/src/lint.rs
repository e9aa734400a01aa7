//! Lints (being written).
