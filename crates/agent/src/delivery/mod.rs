//! What callers of the agent's sockets are told.
//!
//! [`WorkloadApi`] is the front door for workloads: it has a caller attested, subscribes to what the cache
//! has for it, and encodes. [`Debug`] is for the operator. Nothing here writes the cache or
//! speaks to the server; a reader that misses something rings a bell and waits.

mod bundles;
mod debug;
mod health;
mod hints;
mod jwt;
mod outlook;
mod rate_limits;
mod reflection;
mod refusal;
mod rpc;
mod security_header;
mod workload_api;
mod x509;

pub use debug::Debug;
pub(crate) use health::HealthService;
pub use rate_limits::RateLimits;
pub(crate) use reflection::reflection;
pub(crate) use rpc::WorkloadRpc;
pub use workload_api::{WorkloadApi, WorkloadApiOptions, WorkloadApiParts};

#[cfg(test)]
mod tests;
