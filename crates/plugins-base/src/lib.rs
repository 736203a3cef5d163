//! Built-in plugins without heavy dependencies.
//!
//! One folder per kind, one file or folder per plugin, both ends of a protocol side by side. For the door, which
//! reads an operator's text into the `…Config` of a plugin and calls its constructor. A config has the keys of
//! SPIRE's plugin of the same name; its `validate` returns every [`Problem`] at once, and so does the
//! constructor. Nothing here knows where configuration text comes from or who calls the plugins.

pub mod agent_path_template;
pub mod key_manager;
pub mod node_attestor;
pub mod upstream_authority;
pub mod workload_attestor;

mod certificate_files;
mod hex;
mod problem;

pub use problem::{InvalidConfig, Problem};
