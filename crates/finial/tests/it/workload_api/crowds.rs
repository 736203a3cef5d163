//! Many callers at once, and callers of nobody.

use super::ID;
use crate::{EAGER, deployment, has_ids, own_uid, serving};
use anyhow::Result;
use finial_testkit::{AgentOptions, Workload, entry, eventually};
use std::time::{Duration, Instant};
use tonic::Status;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_workloads_watch_at_once() -> Result<()> {
    const STREAMS: usize = 1000;
    let mut deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    let mut stored = deployment.create_entry(entry(&parent, ID, &[&own_uid()])?).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let idle = agent.resident_kib()?;
    more_files();

    let begun = Instant::now();
    let mut opening = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let workload = workload.clone();
        opening.spawn(async move {
            let mut watch = workload.watch_x509().await?;
            watch.next().await?;
            Ok::<_, Status>(watch)
        });
    }
    let mut watches = Vec::new();
    while let Some(opened) = opening.join_next().await {
        watches.push(opened??);
    }
    let opened = begun.elapsed();

    stored.dns_names = vec!["changed.example.org".to_owned()];
    deployment.update_entry(stored).await?;
    let begun = Instant::now();
    let mut told = tokio::task::JoinSet::new();
    for mut watch in watches {
        told.spawn(async move {
            loop {
                let update = watch.next().await?;
                if !update.svids[0].leaf().dns_names().is_empty() {
                    return Ok::<_, Status>(watch);
                }
            }
        });
    }
    let mut watches = Vec::new();
    while let Some(heard) = tokio::time::timeout(Duration::from_secs(30), told.join_next()).await? {
        watches.push(heard??);
    }
    let (told, resident) = (begun.elapsed(), agent.resident_kib()?);
    eprintln!(
        "{STREAMS} streams opened in {opened:?}, told of a change in {told:?}; {idle} KiB, then {resident} KiB"
    );
    drop(watches);
    assert!(deployment.server()?.is_running());
    Ok(())
}

/// Lets this process have as many files as it may.
pub(crate) fn more_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    let _ = setrlimit(Resource::Nofile, limit);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_hangs_while_there_is_no_agent() -> Result<()> {
    let deployment = deployment()?;
    let workload = Workload::of(deployment.agent_socket("a"));
    let begun = Instant::now();
    assert_eq!(workload.x509().await.unwrap_err().code(), tonic::Code::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(5));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn workloads_that_call_too_often_are_refused_and_the_agent_stays_well() -> Result<()> {
    let deployment = serving("", "").await?;
    let options = AgentOptions {
        agent:
            "experimental { sync_interval = \"1s\" ratelimit { fetch_jwt_svid = 1 fetch_x509_bundles = 1 } }"
                .to_owned(),
        ..Default::default()
    };
    let (_agent, id) = deployment.start_agent("a", &options).await?;
    deployment.register(&id, "spiffe://example.org/w", &[&own_uid()], 60).await?;
    has_ids(&Workload::of(deployment.agent_socket("a")), &["spiffe://example.org/w"]).await?;
    let call = || deployment.agent_command("a", &["api", "fetch", "jwt", "-audience", "x"]);
    // The calls of one round are at the same time, so that a slow machine does not spread them over seconds.
    let refused = eventually("a refusal", async || {
        let outcomes = futures_util::future::try_join_all((0..8).map(|_| call())).await.ok()?;
        assert!(outcomes.iter().any(|outcome| outcome.code == 0), "{outcomes:?}");
        outcomes.into_iter().find(|outcome| outcome.code != 0)
    })
    .await?;
    let text = "code = Unavailable desc = rate limit exceeded for /SpiffeWorkloadAPI/FetchJWTSVID";
    assert!(refused.stderr.contains(text), "{refused:?}");
    deployment.agent_command("a", &["healthcheck"]).await?.ok()?;
    Ok(())
}
