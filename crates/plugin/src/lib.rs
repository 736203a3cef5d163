//! The contracts that appliances implement and rooms call.
//!
//! One module per kind of plugin. Traits are object safe, take `&self`, are async where they may do IO,
//! and speak only the words of `finial-identity`: no protobuf, no configuration text, no gRPC status.
//! Each trait says who calls it, what an implementer must guarantee and which conformance suite checks it.

pub mod datastore;
pub mod key_manager;
pub mod node_attestor;
pub mod upstream_authority;
pub mod workload_attestor;

#[cfg(feature = "conformance")]
pub mod conformance;
