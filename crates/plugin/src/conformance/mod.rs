//! Suites that every implementation of a contract passes, called from a three-line test beside it.

pub mod datastore;
pub mod key_manager;
pub mod node_attestor;
pub mod upstream_authority;
pub mod workload_attestor;
