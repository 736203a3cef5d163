//! Authorities change while everything is served.

use crate::{EAGER, has_ids, own_uid, serving};
use anyhow::{Context, Result, ensure};
use finial_identity::jwt::JwtSvid;
use finial_testkit::{AgentOptions, Workload};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long identities are fetched at least.
const WATCHED: Duration = Duration::from_secs(45);
/// By when the authorities must have changed.
const CHANGED_BY: Duration = Duration::from_secs(90);

/// As SPIRE's suite `rotation`, and on until new authorities have taken over.
#[tokio::test(flavor = "multi_thread")]
async fn no_identity_is_ever_unverifiable_while_authorities_change() -> Result<()> {
    let mut deployment = serving("ca_ttl = \"1m\"\n    default_x509_svid_ttl = \"10s\"", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (mut agent, parent) = deployment.start_agent("a", &options).await?;
    let id = "spiffe://example.org/w";
    deployment.register(&parent, id, &[&own_uid()], 10).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[id]).await?;

    let watching = tokio::spawn(watch(workload.clone()));
    let begun = Instant::now();
    let (mut issuers, mut key_ids, mut serials) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    while begun.elapsed() < WATCHED || issuers.len() < 2 || key_ids.len() < 2 {
        let at = begun.elapsed();
        ensure!(at < CHANGED_BY, "issuers {issuers:?}, JWT keys {key_ids:?}");
        let update = workload.x509().await.with_context(|| format!("after {at:?}"))?;
        let svid = update.svid(id)?;
        issuers.insert(svid.issuer());
        serials.insert(svid.serial());
        let (_, token) = workload.jwt("somebody").await?.pop().context("no token")?;
        let subject = workload.validate("somebody", &token).await.with_context(|| format!("after {at:?}"))?;
        ensure!(subject == id, "{subject}");
        key_ids.insert(key_id(&token)?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    ensure!(serials.len() >= 5, "only {} SVIDs in {:?}", serials.len(), begun.elapsed());
    ensure!(!watching.is_finished(), "the stream ended: {:?}", watching.await?);
    watching.abort();
    let server = deployment.server()?;
    for line in ["X509 CA prepared", "X509 CA activated", "JWT key prepared", "JWT key activated"] {
        let found = server.line(line).await?;
        ensure!(found.contains("local_authority_id="), "{found}");
    }
    ensure!(agent.is_running());
    Ok(())
}

/// Reads a stream for as long as everything in it is right.
async fn watch(workload: Workload) -> Result<()> {
    let mut watch = workload.watch_x509().await?;
    loop {
        watch.next().await?;
    }
}

/// The `kid` of a token.
fn key_id(token: &str) -> Result<String> {
    JwtSvid::parse_unverified(token)?.key_id.context("no kid")
}
