//! What holds for any bytes at all: the bodies of the fuzz targets in `testdata/fuzz`, and of the test that
//! replays their corpora. Each takes any bytes and panics where a promise is broken.
//!
//! Deliberately lacks: anything of the fuzzer's; `testdata/fuzz` calls these from its targets.

mod agreeing;
mod content;
mod lines;
mod pushing;
mod reading;
mod scanning;

pub use agreeing::agree;
pub use content::{checker, formatter, parser};
pub use lines::lines;
pub use pushing::{bulk, hec, otlp};
pub use reading::reader;
pub use scanning::scan;

/// A target: its name, which is that of its corpus too, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 10] = [
    ("agree", agree),
    ("bulk", bulk),
    ("hec", hec),
    ("otlp", otlp),
    ("parser", parser),
    ("formatter", formatter),
    ("checker", checker),
    ("lines", lines),
    ("reader", reader),
    ("scan", scan),
];
