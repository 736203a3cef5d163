//! Deployments of the real binary, for whole-system tests.
//!
//! A [`Deployment`] is a directory with configuration files and the processes that use it: a server, agents,
//! workloads. Processes are killed when it is dropped. Nothing here has fixed ports, fixed paths or sleeps for
//! luck: everything that is waited for is looked at until it is there or [`PATIENCE`] is over.
#![allow(clippy::print_stderr, reason = "tests tell what they skip")]

mod deployment;
mod fake_time;
mod node_authority;
mod process;
mod proxy;
mod skip;
mod workload;

pub use deployment::{AgentOptions, Deployment, ServerOptions, entry, free_port};
pub use fake_time::FakeTime;
pub use node_authority::NodeAuthority;
pub use process::{Outcome, Process};
pub use proxy::Proxy;
pub use skip::{client_of, is_root, skip};
pub use workload::{SecurityHeader, Svid, Workload, WorkloadClient, X509Update, X509Watch, workload_channel};

use std::time::Duration;

/// How long anything may take to come about.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether something has come about.
pub const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds something; says what was missing if it never does.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> anyhow::Result<T> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if tokio::time::Instant::now() > deadline {
            anyhow::bail!("{what}: not within {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
