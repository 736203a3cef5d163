//! What registration entries say reaches workloads, whichever way it is said.

use crate::{EAGER, SERVER, has_ids, own_uid, serving, serving_nodes};
use anyhow::{Context, Result};
use finial_proto::types::entry::AdditionalAttributes;
use finial_testkit::{AgentOptions, Process, Workload, entry, eventually};
use std::time::{Duration, Instant};
use tonic::Code;

fn eager() -> AgentOptions {
    AgentOptions { agent: EAGER.to_owned(), ..Default::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn node_aliases_token_aliases_and_nested_parents_reach_the_agents_they_stand_for() -> Result<()> {
    let (deployment, nodes) = serving_nodes("").await?;
    let mut agents = Vec::new();
    for node in ["pop-1", "pop-2"] {
        let plugin = nodes.agent_plugin(node, &[("cluster", "test")])?;
        agents.push(deployment.start_agent_with(node, plugin, EAGER).await?);
    }
    let command = ["token", "generate", "-spiffeID", "spiffe://example.org/token-alias"];
    let printed = deployment.server_command(&command).await?.ok()?;
    let token = printed.split_whitespace().nth(1).context("a token")?.to_owned();
    deployment.configure_agent("jt", &token, &eager()).await?;
    agents.push(deployment.restart_agent("jt").await?);

    let uid = own_uid();
    let register = |parent: &'static str, id: &'static str, selector: &str| {
        let selector = selector.to_owned();
        let deployment = &deployment;
        async move { deployment.register(parent, id, &[&selector], 60).await }
    };
    register(SERVER, "spiffe://example.org/cluster", "x509pop:san:cluster:test").await?;
    register("spiffe://example.org/cluster", "spiffe://example.org/everywhere", &uid).await?;
    register("spiffe://example.org/everywhere", "spiffe://example.org/nested", &uid).await?;
    register(SERVER, "spiffe://example.org/only-one", "x509pop:subject:cn:pop-1").await?;
    register("spiffe://example.org/only-one", "spiffe://example.org/here", &uid).await?;
    register("spiffe://example.org/token-alias", "spiffe://example.org/by-token", &uid).await?;

    let workload = |agent: &str| Workload::of(deployment.agent_socket(agent));
    let (everywhere, nested) = ("spiffe://example.org/everywhere", "spiffe://example.org/nested");
    has_ids(&workload("pop-1"), &[everywhere, nested, "spiffe://example.org/here"]).await?;
    has_ids(&workload("pop-2"), &[everywhere, nested]).await?;
    has_ids(&workload("jt"), &["spiffe://example.org/by-token"]).await?;
    assert!(agents.iter_mut().all(Process::is_running));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_reaches_the_open_stream_and_a_deletion_ends_it() -> Result<()> {
    let deployment = serving("", "").await?;
    let (_agent, parent) = deployment.start_agent("a", &eager()).await?;
    let id = "spiffe://example.org/w";
    let mut stored = deployment.create_entry(entry(&parent, id, &[&own_uid()])?).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[id]).await?;
    let mut watch = workload.watch_x509().await?;
    assert!(watch.next().await?.svid(id)?.leaf().dns_names().is_empty());

    stored.dns_names = vec!["b.example.org".to_owned(), "a.example.org".to_owned()];
    deployment.update_entry(stored.clone()).await?;
    let update = loop {
        let update = watch.next().await?;
        if !update.svid(id)?.leaf().dns_names().is_empty() {
            break update;
        }
    };
    let leaf = update.svid(id)?.leaf().clone();
    assert_eq!(leaf.dns_names().len(), 2);
    assert!(leaf.subject().contains(&format!("CN={}", leaf.dns_names()[0])), "{}", leaf.subject());

    deployment.delete_entry(&stored.id).await?;
    let status = loop {
        if let Err(status) = watch.next().await {
            break status;
        }
    };
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "no identity issued"));
    let status = workload.x509().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "no identity issued"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_entry_is_there_for_the_very_next_request() -> Result<()> {
    let deployment = serving("", "").await?;
    // An agent that would look by itself only after a minute.
    let slow = "experimental { sync_interval = \"60s\" }".to_owned();
    let options = AgentOptions { agent: slow, ..Default::default() };
    let (_agent, parent) = deployment.start_agent("a", &options).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    let status = workload.x509().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, "no identity issued"));
    let id = "spiffe://example.org/w";
    deployment.register(&parent, id, &[&own_uid()], 60).await?;
    let created = Instant::now();
    let update = workload.x509().await?;
    let took = created.elapsed();
    eprintln!("entry create to SVID: {} ms", took.as_millis());
    assert_eq!(update.ids(), [id]);
    assert!(took < Duration::from_secs(2), "{took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_tell_identities_apart_and_the_oldest_of_two_equal_ones_wins() -> Result<()> {
    let deployment = serving("", "").await?;
    let (_agent, parent) = deployment.start_agent("a", &eager()).await?;
    let mut expected = Vec::new();
    for (name, hint) in
        [("internal", "internal"), ("external", "external"), ("younger", "internal"), ("none", "")]
    {
        let id = format!("spiffe://example.org/{name}");
        let mut draft = entry(&parent, &id, &[&own_uid()])?;
        draft.hint = hint.to_owned();
        deployment.create_entry(draft).await?;
        if name == "internal" {
            // Creation times are whole seconds.
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
        if name != "younger" {
            expected.push(id);
        }
    }
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let workload = Workload::of(deployment.agent_socket("a"));
    let update = has_ids(&workload, &expected).await?;
    assert_eq!(update.svid("spiffe://example.org/internal")?.hint, "internal");
    assert_eq!(update.svid("spiffe://example.org/external")?.hint, "external");
    assert_eq!(update.svid("spiffe://example.org/none")?.hint, "");
    let tokens = workload.jwt("somebody").await?;
    assert_eq!(tokens.len(), 3);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_of_other_trust_domains_are_delivered_and_kept_up_to_date() -> Result<()> {
    let deployment = serving("", "").await?;
    let other = serving("", "").await?;
    let foreign = deployment.path("foreign.pem");
    let bundle = other.server_command(&["bundle", "show"]).await?.ok()?;
    std::fs::write(&foreign, &bundle)?;
    let set = ["bundle", "set", "-id", "spiffe://other.test", "-path", foreign.to_str().context("path")?];
    deployment.server_command(&set).await?.ok()?;

    let (_agent, parent) = deployment.start_agent("a", &eager()).await?;
    let mut draft = entry(&parent, "spiffe://example.org/w", &[&own_uid()])?;
    draft.federates_with = vec!["other.test".to_owned()];
    deployment.create_entry(draft).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &["spiffe://example.org/w"]).await?;
    let mut watch = workload.watch_x509().await?;
    let update = watch.next().await?;
    assert_eq!(update.federated.into_iter().collect::<Vec<_>>(), [("spiffe://other.test".to_owned(), 1)]);

    let third = serving("", "").await?;
    let more = third.server_command(&["bundle", "show"]).await?.ok()?;
    std::fs::write(&foreign, bundle + &more)?;
    deployment.server_command(&set).await?.ok()?;
    loop {
        if watch.next().await?.federated["spiffe://other.test"] == 2 {
            break;
        }
    }
    let bundles = workload.x509_bundles().await?;
    assert_eq!(
        bundles.into_iter().collect::<Vec<_>>(),
        [("spiffe://example.org".to_owned(), 1), ("spiffe://other.test".to_owned(), 2)]
    );
    let bundles = workload.jwt_bundles().await?;
    assert!(bundles["spiffe://example.org"].contains("\"keys\""), "{bundles:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_without_prefetch_is_signed_when_somebody_asks() -> Result<()> {
    let deployment = serving("", "").await?;
    let (_agent, parent) = deployment.start_agent("a", &eager()).await?;
    for name in ["x", "y"] {
        let id = format!("spiffe://example.org/prefetched-{name}");
        deployment.register(&parent, &id, &["unix:uid:54321"], 60).await?;
    }
    let mut draft = entry(&parent, "spiffe://example.org/lazy", &[&own_uid()])?;
    let lazy = AdditionalAttributes { disable_x509_svid_prefetch: true, ..Default::default() };
    draft.additional_attributes = Some(lazy);
    deployment.create_entry(draft).await?;
    let cached = async || {
        let printed = deployment.agent_admin_command("a", &["debug", "getinfo"]).await.ok()?.ok().ok()?;
        let line = printed.lines().find_map(|line| line.trim().strip_prefix("Cached X.509 SVIDs:"))?;
        line.trim().parse::<u32>().ok()
    };
    eventually("two SVIDs", async || (cached().await == Some(2)).then_some(())).await?;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(cached().await, Some(2), "prefetched though it must not be");
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &["spiffe://example.org/lazy"]).await?;
    // What getinfo says is cached for a moment.
    eventually("three SVIDs", async || (cached().await == Some(3)).then_some(())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_with_an_end_is_stored_with_it() -> Result<()> {
    let deployment = serving("", "").await?;
    let (_agent, parent) = deployment.start_agent("a", &eager()).await?;
    let mut draft = entry(&parent, "spiffe://example.org/w", &[&own_uid()])?;
    draft.expires_at = 1_900_000_000;
    let stored = deployment.create_entry(draft).await?;
    assert_eq!(stored.expires_at, 1_900_000_000);
    let shown = deployment.server_command(&["entry", "show", "-entryID", &stored.id]).await?.ok()?;
    assert!(shown.contains("Expiration time         : 2030-03-17 17:46:40 +0000 UTC"), "{shown}");
    Ok(())
}
