//! The watcher as a whole.
