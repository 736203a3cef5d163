//! Clocks that are set.

use super::{ID, eager};
use crate::{deployment, has_ids, own_uid};
use anyhow::{Context, Result};
use finial_testkit::{Deployment, FakeTime, ServerOptions, Workload, eventually, skip};
use std::time::Duration;

/// Processes whose clock the test moves.
fn with_clock(test: &str) -> Result<Option<(Deployment, FakeTime)>> {
    let mut deployment = deployment()?;
    let Some(clock) = FakeTime::new(deployment.directory()) else {
        skip(test, "libfaketime is not on this machine");
        return Ok(None);
    };
    let clock = clock?;
    deployment.environment = clock.environment();
    Ok(Some((deployment, clock)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_forward_renews_everything() -> Result<()> {
    let test = "faults::clocks::a_clock_that_jumps_forward_renews_everything";
    let Some((mut deployment, mut clock)) = with_clock(test)? else { return Ok(()) };
    let server = "agent_ttl = \"12h\"\n    default_x509_svid_ttl = \"1h\"".to_owned();
    deployment.start_server(&ServerOptions { server, ..Default::default() }).await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 3600).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let mut watch = workload.watch_x509().await?;
    let before = watch.next().await?.svid(ID)?.serial();

    clock.set_offset(2 * 3600)?;
    let update = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            // Anything but an SVID that is good by the new clock is passed over, once.
            match watch.next_at(|| clock.now()).await {
                Ok(update) if update.svid(ID)?.serial() != before => return anyhow::Ok(update),
                _ => {}
            }
        }
    });
    update.await.with_context(|| agent.output())??;
    assert!(agent.is_running() && deployment.server()?.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_leaves_workloads_served() -> Result<()> {
    let test = "faults::clocks::a_clock_that_is_set_back_leaves_workloads_served";
    let Some((mut deployment, mut clock)) = with_clock(test)? else { return Ok(()) };
    let server = "default_x509_svid_ttl = \"1h\"".to_owned();
    deployment.start_server(&ServerOptions { server, ..Default::default() }).await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 30).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;

    clock.set_offset(-1800)?;
    for _ in 0..20 {
        assert!(workload.x509().await.is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(agent.is_running() && deployment.server()?.is_running());

    clock.set_offset(0)?;
    let before = workload.x509().await?.svid(ID)?.serial();
    eventually("the next SVID", async || {
        let svid = workload.x509().await.ok()?;
        (svid.svid(ID).ok()?.serial() != before).then_some(())
    })
    .await?;
    Ok(())
}
