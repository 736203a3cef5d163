//! Workload attestors: what is this process?
//!
//! Called by the agent for each caller of its sockets, all attestors side by side. An implementer gets a
//! caller that is pinned (the agent checks afterwards that it is still the same process), must not trust
//! anything the process itself can change without privilege, and returns no selectors rather than an error
//! for a process that is simply none of its business. Checked by `conformance::workload_attestor`.

use async_trait::async_trait;
use finial_identity::{Failure, Selector};

/// A local process as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WorkloadRef {
    /// Process ID in the agent's namespace.
    pub pid: i32,
    /// User ID at the time of connecting.
    pub uid: u32,
    /// Group ID at the time of connecting.
    pub gid: u32,
}

/// One way to look at a process.
#[async_trait]
pub trait WorkloadAttestor: Send + Sync {
    /// The attestor's name, which is also the kind of its selectors.
    fn name(&self) -> &str;

    /// The selectors of the process.
    async fn attest(&self, workload: &WorkloadRef) -> Result<Vec<Selector>, Failure>;
}
