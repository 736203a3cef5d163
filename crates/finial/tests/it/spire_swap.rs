//! A deployment that SPIRE made goes on under our server and our agents, in place.

use crate::{deployment, own_uid};
use anyhow::{Context, Result, ensure};
use finial_testkit::{Deployment, FakeTime, Workload, eventually, skip};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A moment at which everything in the fixture is valid: 2026-11-24 00:00 UTC.
const THEN: Duration = Duration::from_secs(1_795_478_400);

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/spire-deployment")
}

/// Lays the fixture out as its operator had it.
fn lay_out(deployment: &Deployment) -> Result<()> {
    let fixture = fixture();
    let directory = deployment.directory();
    for place in ["server/data", "agent-jt/data", "agent-pop/data", "certs"] {
        fs::create_dir_all(directory.join(place))?;
    }
    let copies = [
        ("server/keys.json", "server/data/keys.json"),
        ("agent-jt/agent-data.json", "agent-jt/data/agent-data.json"),
        ("agent-jt/keys.json", "agent-jt/data/keys.json"),
        ("agent-pop/agent-data.json", "agent-pop/data/agent-data.json"),
        ("agent-pop/keys.json", "agent-pop/data/keys.json"),
        ("certs/bootstrap.crt", "certs/bootstrap.crt"),
        ("certs/ca.pem", "certs/ca.pem"),
        ("certs/node.key", "certs/node.key"),
        ("certs/node.pem", "certs/node.pem"),
    ];
    for (from, to) in copies {
        fs::copy(fixture.join(from), directory.join(to)).with_context(|| from.to_owned())?;
    }
    for (from, to) in [
        ("server/server.conf", "server.conf"),
        ("agent-jt/agent.conf", "agent-jt.conf"),
        ("agent-pop/agent.conf", "agent-pop.conf"),
    ] {
        let text = fs::read_to_string(fixture.join(from))?;
        let text = text.replace("@DIR@", &directory.display().to_string());
        fs::write(directory.join(to), text.replace("@PORT@", &deployment.port().to_string()))?;
    }
    // The workload of the entries was root; here it is whoever runs the tests.
    let uid = own_uid();
    let uid = uid.trim_start_matches("unix:");
    let sql =
        fs::read_to_string(fixture.join("server/datastore.sql"))?.replace("'uid:0'", &format!("'{uid}'"));
    let database = rusqlite::Connection::open(directory.join("server/data/datastore.sqlite3"))?;
    database.execute_batch(&sql)?;
    Ok(())
}

async fn serials(deployment: &Deployment) -> Result<Vec<String>> {
    let agents = deployment.agents().await?;
    Ok(agents.into_iter().map(|agent| agent.x509svid_serial_number).collect())
}

async fn ids_at(workload: &Workload, clock: &FakeTime) -> Result<Vec<String>> {
    let ids = async {
        let update = workload.watch_x509().await?.next_at(|| clock.now()).await?;
        Ok::<_, tonic::Status>(update.ids().into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    Ok(ids.await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn data_directories_of_spire_are_taken_over_in_place() -> Result<()> {
    let mut deployment = deployment()?;
    let test = "spire_swap::data_directories_of_spire_are_taken_over_in_place";
    let Some(clock) = FakeTime::new(deployment.directory()) else {
        skip(test, "libfaketime is not on this machine");
        return Ok(());
    };
    let mut clock = clock?;
    clock.set(SystemTime::UNIX_EPOCH + THEN)?;
    deployment.environment = clock.environment();
    lay_out(&deployment)?;
    let keys = deployment.path("server/data/keys.json");
    let keys_before = fs::read(&keys)?;

    deployment.restart_server().await.context("the server")?;
    let bundle = deployment.server_command(&["bundle", "show"]).await?.ok()?;
    assert_eq!(bundle.trim(), fs::read_to_string(deployment.path("certs/bootstrap.crt"))?.trim());
    assert_eq!(fs::read(&keys)?, keys_before, "the authority goes on");
    assert_eq!(deployment.entries().await?.len(), 27);
    let before = serials(&deployment).await?;
    assert_eq!(before.len(), 2);

    let expected = [
        ("agent-jt", vec!["spiffe://example.org/w/one", "spiffe://example.org/w/two"]),
        ("agent-pop", vec!["spiffe://example.org/w/pop"]),
    ];
    let mut agents = Vec::new();
    for (agent, expected) in &expected {
        let process = deployment.restart_agent(agent).await.with_context(|| (*agent).to_owned())?;
        ensure!(!process.output().contains("Starting node attestation"), "{}", process.output());
        agents.push(process);
        let workload = Workload::of(deployment.agent_socket(agent));
        let found = eventually(agent, async || ids_at(&workload, &clock).await.ok()).await?;
        assert_eq!(found, *expected, "{agent}");
    }
    assert_eq!(serials(&deployment).await?, before, "nobody had to attest again");

    // What SPIRE wrote can still be changed, and our change is there after a restart.
    deployment.delete_entry("w-two").await?;
    deployment.server()?.stop().await?;
    deployment.restart_server().await?;
    assert_eq!(deployment.entries().await?.len(), 26);
    let workload = Workload::of(deployment.agent_socket("agent-jt"));
    eventually("the deletion", async || {
        let ids = ids_at(&workload, &clock).await.ok()?;
        (ids == ["spiffe://example.org/w/one"]).then_some(())
    })
    .await?;
    Ok(())
}
