//! Workload attestors without heavy dependencies.

pub mod unix;

pub use unix::{UnixAttestor, UnixConfig};
