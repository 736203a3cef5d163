//! The Workload API under the hands of all kinds of callers.
//!
//! Some callers must be processes of their own: this test executable started again, as [`probe`].

mod crowds;
mod orphans;
mod statuses;

pub(crate) use crowds::more_files;

use crate::{EAGER, has_ids, own_uid, serving};
use anyhow::Result;
use finial_testkit::{AgentOptions, Deployment, Process, Workload};
use std::os::fd::OwnedFd;
use std::path::Path;
use tokio::process::Command;

/// What [`probe`] is to do.
const PROBE: &str = "FINIAL_TEST_PROBE";

const ID: &str = "spiffe://example.org/myservice";

/// An agent that serves two identities to this user.
async fn with_two_identities() -> Result<(Deployment, Process)> {
    let deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    let (first, second) = (ID, "spiffe://example.org/myservice2");
    for id in [first, second] {
        deployment.register(&parent, id, &[&own_uid()], 600).await?;
    }
    has_ids(&Workload::of(deployment.agent_socket("a")), &[first, second]).await?;
    Ok((deployment, agent))
}

/// This test executable, to do something else.
fn probe_command(deployment: &Deployment, what: &str) -> Result<Command> {
    let mut command = Command::new(deployment.copy_named(&std::env::current_exe()?, "probe")?);
    command.args(["--exact", "workload_api::probe", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(PROBE, what).current_dir("/");
    Ok(command)
}

/// Not a test: what the tests above start as processes of their own.
#[tokio::test]
#[ignore = "started by other tests"]
async fn probe() -> Result<()> {
    let what = std::env::var(PROBE).unwrap_or_default();
    match what.split(' ').collect::<Vec<_>>().as_slice() {
        ["statuses", socket] => {
            for line in statuses::statuses(Path::new(socket)).await? {
                println!("PROBE {line}");
            }
        }
        ["hand-over", socket, go] => {
            let connection = std::os::unix::net::UnixStream::connect(socket)?;
            let mut holder = std::process::Command::new(std::env::current_exe()?);
            holder.args(std::env::args_os().skip(1)).env(PROBE, format!("hold {} {go}", std::process::id()));
            holder.stdin(OwnedFd::from(connection)).spawn()?;
        }
        ["hold", maker, go] => orphans::hold(maker.parse()?, Path::new(go)).await?,
        _ => {}
    }
    Ok(())
}
