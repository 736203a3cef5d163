//! The whole system: the real binary, in deployments of its own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and some play a workload"
)]

mod authorities;
mod bad_input;
mod cli;
mod crash;
mod databases;
mod entries;
mod faults;
mod federation;
mod lifecycle;
mod logs;
mod nested;
mod real_clients;
mod registry_suites;
mod rotation;
mod spire_swap;
mod upstream;
mod workload_api;

use anyhow::Result;
use finial_testkit::{Deployment, NodeAuthority, ServerOptions, Workload, X509Update, eventually};

/// Lines for an agent that looks at its server every second.
pub(crate) const EAGER: &str = "experimental { sync_interval = \"1s\" }";

/// The parent of node aliases.
pub(crate) const SERVER: &str = "spiffe://example.org/spire/server";

/// A deployment with nothing running, of this binary or of the one that `FINIAL_TEST_BINARY` names.
pub(crate) fn deployment() -> Result<Deployment> {
    Deployment::new(binary())
}

/// A deployment whose server serves, with these lines in its `server` block and these further plugins.
pub(crate) async fn serving(server: &str, plugins: &str) -> Result<Deployment> {
    let mut deployment = deployment()?;
    start_server(&mut deployment, server, plugins).await?;
    Ok(deployment)
}

/// The same with a server that admits nodes with certificates, and their authority.
pub(crate) async fn serving_nodes(server: &str) -> Result<(Deployment, NodeAuthority)> {
    let mut deployment = deployment()?;
    let nodes = NodeAuthority::new(deployment.path("nodes"))?;
    start_server(&mut deployment, server, &nodes.server_plugin()).await?;
    Ok((deployment, nodes))
}

pub(crate) async fn start_server(deployment: &mut Deployment, server: &str, plugins: &str) -> Result<()> {
    let usual = ServerOptions::default();
    let server = format!("{}\n    {server}", usual.server);
    deployment.start_server(&ServerOptions { server, plugins: plugins.to_owned(), ..usual }).await
}

/// The binary, for further deployments.
pub(crate) fn binary() -> String {
    std::env::var("FINIAL_TEST_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_finial").to_owned())
}

/// The selector of this process's user.
pub(crate) fn own_uid() -> String {
    format!("unix:uid:{}", rustix::process::geteuid().as_raw())
}

/// Waits until a workload has exactly these identities, and gives what it has.
pub(crate) async fn has_ids(workload: &Workload, ids: &[&str]) -> Result<X509Update> {
    let mut expected = ids.to_vec();
    expected.sort_unstable();
    eventually(&format!("the identities {expected:?}"), async || {
        let update = workload.x509().await.ok()?;
        let mut found = update.ids();
        found.sort_unstable();
        let is_as_expected = found == expected;
        is_as_expected.then_some(update)
    })
    .await
}
