//! Agents come, renew, come again, are banned, evicted and purged.

use crate::{EAGER, has_ids, own_uid, serving, serving_nodes};
use anyhow::{Context, Result};
use finial_testkit::{AgentOptions, Deployment, Workload, eventually};
use std::time::Duration;

fn eager() -> AgentOptions {
    AgentOptions { agent: EAGER.to_owned(), ..Default::default() }
}

async fn only_agent(deployment: &Deployment) -> Result<String> {
    let agents = deployment.agents().await?;
    let id = agents.first().and_then(|agent| agent.id.clone()).context("no agent")?;
    anyhow::ensure!(agents.len() == 1, "{} agents", agents.len());
    Ok(format!("spiffe://{}{}", id.trust_domain, id.path))
}

async fn only_serial(deployment: &Deployment) -> Result<String> {
    let agents = deployment.agents().await?;
    Ok(agents.first().context("no agent")?.x509svid_serial_number.clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_admits_one_agent_once() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let token = deployment.token().await?;
    deployment.configure_agent("first", &token, &eager()).await?;
    let mut first = deployment.restart_agent("first").await?;
    first.line("SVID is not found. Starting node attestation").await?;
    first.line("Node attestation was successful").await?;
    first.line("Starting agent APIs").await?;
    deployment.server()?.line("Agent attestation request completed").await?;
    assert_eq!(
        only_agent(&deployment).await?,
        format!("spiffe://example.org/spire/agent/join_token/{token}")
    );

    deployment.configure_agent("second", &token, &eager()).await?;
    let mut second = deployment.spawn_agent("second")?;
    second.line("failed to attest: join token does not exist or has already been used").await?;
    assert_eq!(deployment.agents().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn case_66_an_expired_join_token_admits_nobody() -> Result<()> {
    let deployment = serving("", "").await?;
    let printed = deployment.server_command(&["token", "generate", "-ttl", "1"]).await?.ok()?;
    let token = printed.split_whitespace().nth(1).context("a token")?.to_owned();
    deployment.configure_agent("late", &token, &eager()).await?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let mut late = deployment.spawn_agent("late")?;
    late.line("join token expired").await?;
    assert!(deployment.agents().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_agent_renews_and_is_itself_after_a_restart() -> Result<()> {
    let deployment = serving("agent_ttl = \"12s\"", "").await?;
    let (mut agent, id) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&id, "spiffe://example.org/w", &[&own_uid()], 60).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &["spiffe://example.org/w"]).await?;
    let mut serial = only_serial(&deployment).await?;
    for _ in 0..2 {
        serial = eventually("another serial", async || {
            let now = only_serial(&deployment).await.ok()?;
            (now != serial).then_some(now)
        })
        .await?;
        assert!(workload.x509().await.is_ok());
    }
    agent.stop().await?;
    let mut agent = deployment.restart_agent("a").await?;
    assert_eq!(only_agent(&deployment).await?, id);
    assert!(!agent.output().contains("Starting node attestation"), "{}", agent.output());
    has_ids(&workload, &["spiffe://example.org/w"]).await?;
    assert!(agent.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_with_a_node_certificate_attests_again_instead_of_renewing() -> Result<()> {
    let (mut deployment, nodes) = serving_nodes("agent_ttl = \"12s\"").await?;
    let plugin = nodes.agent_plugin("node-1", &[])?;
    let _agent = deployment.start_agent_with("a", plugin, EAGER).await?;
    let id = only_agent(&deployment).await?;
    assert!(id.starts_with("spiffe://example.org/spire/agent/x509pop/"), "{id}");
    deployment.register(&id, "spiffe://example.org/w", &[&own_uid()], 60).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &["spiffe://example.org/w"]).await?;
    let serial = only_serial(&deployment).await?;
    let from = deployment.server()?.line_count();
    deployment.server()?.line_from(from, "Agent attestation request completed").await?;
    assert_ne!(only_serial(&deployment).await?, serial);
    assert_eq!(only_agent(&deployment).await?, id);
    assert!(workload.x509().await.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn case_67_a_banned_agent_ends_and_stays_out_until_it_is_evicted() -> Result<()> {
    let (mut deployment, nodes) = serving_nodes("").await?;
    let plugin = nodes.agent_plugin("node-1", &[])?;
    let mut agent = deployment.start_agent_with("a", plugin, EAGER).await?;
    let id = only_agent(&deployment).await?;

    let banned = deployment.server_command(&["agent", "ban", "-spiffeID", &id]).await?.ok()?;
    assert_eq!(banned, "Agent banned successfully\n");
    deployment.server()?.line("Agent banned").await?;
    agent.line("Agent is banned: removing SVID and shutting down").await?;
    assert!(!agent.ended().await?.success());
    let server = deployment.server()?;
    server.line("Agent is banned").await?;

    let mut agent = deployment.spawn_agent("a")?;
    agent.line("failed to attest: agent is banned").await?;
    assert!(!agent.ended().await?.success());

    let evicted = deployment.server_command(&["agent", "evict", "-spiffeID", &id]).await?.ok()?;
    assert_eq!(evicted, "Agent evicted successfully\n");
    deployment.server()?.line("Agent deleted").await?;
    let mut agent = deployment.restart_agent("a").await?;
    agent.line("Node attestation was successful").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_agent_attests_again_if_it_can() -> Result<()> {
    let (mut deployment, nodes) = serving_nodes("").await?;
    let plugin = nodes.agent_plugin("node-1", &[])?;
    let mut agent = deployment.start_agent_with("a", plugin, EAGER).await?;
    let id = only_agent(&deployment).await?;
    deployment.register(&id, "spiffe://example.org/w", &[&own_uid()], 60).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &["spiffe://example.org/w"]).await?;

    deployment.server_command(&["agent", "evict", "-spiffeID", &id]).await?.ok()?;
    let refusal = deployment.server()?.line("Agent is not attested").await?;
    assert!(refusal.contains("caller_id="), "{refusal}");
    eventually("the agent is back", async || only_agent(&deployment).await.ok()).await?;
    assert!(agent.is_running());
    has_ids(&workload, &["spiffe://example.org/w"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_join_token_agent_ends() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, id) = deployment.start_agent("a", &eager()).await?;
    deployment.server_command(&["agent", "evict", "-spiffeID", &id]).await?.ok()?;
    let refusal = deployment.server()?.line("Agent is not attested").await?;
    assert!(refusal.contains(&format!("caller_id=\"{id}\"")), "{refusal}");
    assert!(!agent.ended().await?.success());
    agent.line_after_end("removing SVID and shutting down").await?;
    let remembered = std::fs::read_to_string(deployment.path("a/data/agent-data.json"))?;
    assert!(remembered.starts_with(r#"{"svid":null"#), "{remembered}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_expired_are_purged_on_demand() -> Result<()> {
    let (deployment, nodes) = serving_nodes("agent_ttl = \"2s\"").await?;
    let plugin = nodes.agent_plugin("node-1", &[])?;
    let options = AgentOptions { node_attestor: Some(plugin), ..Default::default() };
    deployment.configure_agent("a", "", &options).await?;
    let mut agent = deployment.spawn_agent("a")?;
    agent.line("Node attestation was successful").await?;
    agent.kill().await?;
    let id = only_agent(&deployment).await?;
    let dry = ["agent", "purge", "-expiredFor", "1s", "-dryRun"];
    let found = eventually("an expired agent", async || {
        let printed = deployment.server_command(&dry).await.ok()?.ok().ok()?;
        (!printed.starts_with("No agents to purge.")).then_some(printed)
    })
    .await?;
    assert!(found.starts_with("Found 1 expired agent\n"), "{found}");
    assert!(found.ends_with(&format!("Agents that can be purged:\nSPIFFE ID         : {id}\n")), "{found}");
    let kept = deployment.server_command(&["agent", "purge"]).await?.ok()?;
    assert_eq!(kept, "No agents to purge.\n");
    let purged = deployment.server_command(&["agent", "purge", "-expiredFor", "1s"]).await?.ok()?;
    assert!(purged.contains(&id), "{purged}");
    assert!(deployment.agents().await?.is_empty());
    Ok(())
}
