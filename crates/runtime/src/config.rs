//! Config text: what operators write, read with positions and all problems at once.
//!
//! For the door's loaders and for plugins that decode their own `plugin_data`. It knows the languages (HCL 1
//! and JSON, environment expansion, Go durations) and must not know any key.

pub mod decode;
pub mod duration;
pub mod env;
pub(crate) mod go_text;
pub mod hcl;
pub mod problem;
pub mod value;

pub use decode::{Labelled, Section, UnknownKey};
pub use duration::GoDuration;
pub use env::expand;
pub use hcl::{Document, Position};
pub use problem::{InvalidConfig, Problem, Problems};
pub use value::Value;
