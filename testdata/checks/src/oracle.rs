//! The naive evaluator (being written).
