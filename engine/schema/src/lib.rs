//! The facts against which detections are checked: OCSF 1.8.0 and ATT&CK.
//!
//! [`ocsf`] holds the classes, objects, attributes, types, enumerations and
//! requirement levels of the OCSF schema; [`Ocsf::resolve`] follows a dotted
//! path through them, and [`validate`] checks a whole event. [`attack`] holds
//! the techniques and tactics of the ATT&CK enterprise matrix with the platforms
//! they are used on, and the platforms that a source's events tell about.
//!
//! Both tables are compiled in and parsed once, on first use; everything
//! handed out lives as long as the program, so callers keep references freely.
//!
//! Invariants, each of them pinned by a test:
//!
//! * every line of the tables is understood, and the numbers of classes,
//!   objects, attributes and techniques are those of the sources;
//! * every object type names an object which exists, and every sibling an
//!   attribute of the same holder (but for one lapse of the schema itself);
//! * attributes are sorted by name, enumerations by value or key, classes by
//!   uid, objects by name.
//!
//! A line which is not understood is skipped, never a reason to stop: a
//! damaged table yields a smaller schema and a failing test, not a crash.
//!
//! What this crate leaves out on purpose: descriptions and other prose of the
//! schema, observables, attribute groups, class inheritance (every class lists
//! all it has), other OCSF versions, and other ATT&CK matrices. It
//! knows nothing of the detection language.

mod attack;
mod load;
mod ocsf;
mod path;
mod validate;

pub use attack::{Attack, Tactic, Technique, attack};
pub use ocsf::{Attribute, Class, Enum, EnumEntry, Object, Ocsf, Requirement, StringKind, Type, VERSION, ocsf};
pub use path::{PathError, PathErrorKind, Resolved};
pub use validate::{Violation, ViolationKind, validate};
