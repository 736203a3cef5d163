//! `finial demo`: the main job, shown on the operator's own machine in a few seconds.
//!
//! Everything is real: a server and an agent as separate processes with configuration files on disk, workloads
//! as separate processes that know nothing but a socket path. No root, no other install; everything lies in
//! one temporary directory that is removed at the end, unless the operator wants to keep it.

mod deployment;
mod stage;
pub(crate) mod workload;

use anyhow::{Context, Result, bail};
use deployment::{Deployment, Workload};
use stage::Story;
use std::time::{Duration, Instant};

/// What to do when the story is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Afterwards {
    /// Stop everything and remove it.
    CleanUp,
    /// Leave everything running until the operator interrupts.
    Keep,
}

/// The workload that serves.
const BILLING: &str = "spiffe://example.org/billing";
/// The workload that calls it.
const SHOP: &str = "spiffe://example.org/shop";
/// Lifetime of the workloads' X509-SVIDs: short, so that a rotation can be watched.
const SVID_TTL_SECONDS: i32 = 12;
/// How long a rotation may take to be seen.
const ROTATION_PATIENCE: Duration = Duration::from_secs(30);

/// Tells the story.
pub(crate) async fn run(afterwards: Afterwards) -> Result<()> {
    let started = Instant::now();
    let mut story = Story::begin("Finial demo: identities for programs, without shared secrets");
    let mut demo = Deployment::create()?;

    story.stage("server starts on an embedded database", demo.start_server()).await?;
    let registered = async {
        demo.register("billing", BILLING, SVID_TTL_SECONDS).await?;
        demo.register("shop", SHOP, SVID_TTL_SECONDS).await
    };
    story.stage("two workloads are registered, recognised by their executables", registered).await?;
    story.stage("agent attests with a one-time join token", demo.start_agent()).await?;

    let mut billing = demo.start_workload("billing", &["serve", "--peer", SHOP])?;
    let first = story
        .stage("billing asks the local socket who it is", async { billing.expect("svid").await })
        .await?;
    let since_start = started.elapsed();
    story.note(&first);
    story.note(&format!("first SVID {} ms after start", since_start.as_millis()));
    let address = billing.expect("listening").await?;

    let mut shop = demo.start_workload("shop", &["visit", "--connect", &address, "--peer", BILLING])?;
    let greeting = async { shop.expect("answer").await };
    let greeting = story.stage("shop and billing talk over mutual TLS, by SPIFFE ID", greeting).await?;
    story.note(&greeting);

    let mut stranger = demo.start_workload("stranger", &["introduce"])?;
    let refusal = async { stranger.expect("refused").await };
    let refusal = story.stage("a third process, not registered, gets nothing", refusal).await?;
    story.note(&refusal);

    let mut token = demo.start_workload("shop", &["token", "--audience", "billing"])?;
    let verdict = async { token.expect("valid").await };
    let verdict = story.stage("shop gets a JWT-SVID for billing, and it is validated", verdict).await?;
    story.note(&verdict);

    let rotation = watch_rotation(&mut shop);
    let rotation = story.stage("identities rotate while the traffic goes on", rotation).await?;
    story.note(&rotation);

    story.end(&format!("done in {:.1} s; nothing was configured, no secret was shared", {
        started.elapsed().as_secs_f64()
    }));
    if afterwards == Afterwards::Keep {
        story.hints(&demo.hints()?);
        tokio::signal::ctrl_c().await.context("waiting for an interrupt")?;
    }
    demo.stop().await;
    Ok(())
}

/// Waits until the shop has changed its SVID and has been answered after that.
async fn watch_rotation(shop: &mut Workload) -> Result<String> {
    let watched = tokio::time::timeout(ROTATION_PATIENCE, async {
        let svid = shop.expect("rotated").await?;
        let visits = shop.expect("visits").await?;
        Ok::<_, anyhow::Error>(format!("{svid}; {visits}"))
    });
    match watched.await {
        Ok(rotated) => rotated,
        Err(_) => bail!("no rotation was seen within {} s", ROTATION_PATIENCE.as_secs()),
    }
}
