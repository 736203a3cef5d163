//! Servers that are away, networks that fail, two of a kind.

use super::{ID, eager};
use crate::{has_ids, own_uid, serving};
use anyhow::{Context, Result};
use finial_testkit::{AgentOptions, Proxy, Workload, entry};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_for_a_server_that_is_not_there_yet() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let token = deployment.token().await?;
    deployment.configure_agent("a", &token, &eager()).await?;
    deployment.server()?.stop().await?;
    let mut agent = deployment.spawn_agent("a")?;
    agent.line("connection refused").await?;
    deployment.restart_server().await?;
    agent.line("Starting agent APIs").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_serves_what_it_has_while_the_server_is_away() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 30).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let mut watch = workload.watch_x509().await?;
    let before = watch.next().await?.svid(ID)?.serial();
    let (_, token) = workload.jwt("somebody").await?.pop().context("no token")?;

    deployment.server()?.kill().await?;
    agent.line("connection refused").await?;
    for _ in 0..5 {
        assert_eq!(workload.x509().await?.svid(ID)?.serial(), before);
        assert_eq!(workload.jwt("somebody").await?, [(ID.to_owned(), token.clone())]);
        assert_eq!(workload.validate("somebody", &token).await?, ID);
    }
    deployment.restart_server().await?;
    // The connected workload gets the next SVID over the stream that it holds.
    let after = watch.next().await?.svid(ID)?.serial();
    assert_ne!(before, after);
    assert!(agent.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_resets_and_fails_is_survived() -> Result<()> {
    let deployment = serving("", "").await?;
    let network = Proxy::to(deployment.port()).await?;
    let options = AgentOptions { server_port: Some(network.port()), ..eager() };
    let (mut agent, parent) = deployment.start_agent("a", &options).await?;
    let mut stored = deployment.create_entry(entry(&parent, ID, &[&own_uid()])?).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let mut watch = workload.watch_x509().await?;
    watch.next().await?;
    for round in 0..3 {
        network.reset();
        stored.dns_names = vec![format!("round-{round}.example.org")];
        stored = deployment.update_entry(stored).await?;
        let update = tokio::time::timeout(Duration::from_secs(20), watch.next()).await??;
        assert_eq!(update.svid(ID)?.leaf().dns_names(), stored.dns_names);
    }
    network.cut();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(workload.x509().await.is_ok());
    network.mend();
    stored.dns_names = vec!["mended.example.org".to_owned()];
    let stored = deployment.update_entry(stored).await?;
    let update = tokio::time::timeout(Duration::from_secs(20), watch.next()).await??;
    assert_eq!(update.svid(ID)?.leaf().dns_names(), stored.dns_names);
    assert!(agent.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_or_agent_on_the_same_socket_gives_way() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 60).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;

    let mut second = deployment.spawn_agent("a")?;
    assert!(!second.ended().await?.success());
    second.line_after_end("already in use").await?;
    let mut first = deployment.server.take().context("server")?;
    let second = deployment.spawn_server()?;
    assert!(!second.ended().await?.success());
    second.line_after_end("already in use").await?;

    assert!(first.is_running() && agent.is_running());
    has_ids(&workload, &[ID]).await?;
    assert_eq!(deployment.entries().await?.len(), 1);
    Ok(())
}
