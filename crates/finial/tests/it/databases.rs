//! A whole deployment whose server keeps its memory on a database server.

use crate::{EAGER, deployment, has_ids, own_uid};
use anyhow::{Context, Result, ensure};
use finial_testkit::{
    AgentOptions, DatabaseServer, Deployment, Engine, ServerOptions, Workload, eventually, skip,
};

const WORKLOAD: &str = "spiffe://example.org/workload";
const LATER: &str = "spiffe://example.org/later";

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_workloads_on_postgres() -> Result<()> {
    serve("databases::agents_and_workloads_on_postgres", Engine::Postgres, "postgres").await
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_and_workloads_on_mysql() -> Result<()> {
    serve("databases::agents_and_workloads_on_mysql", Engine::MariaDb, "mysql").await
}

async fn serve(test: &str, engine: Engine, database_type: &'static str) -> Result<()> {
    if let Some(missing) = engine.missing() {
        skip(test, missing);
        return Ok(());
    }
    let mut database = DatabaseServer::start(engine, &[])?;
    let name = database.create_database()?;
    let mut deployment = deployment()?;
    let options = ServerOptions {
        database: Some((database_type, database.connection_string(&name))),
        ..ServerOptions::default()
    };
    deployment.start_server(&options).await?;
    let log = deployment.server()?.output();
    ensure!(log.contains("Connected to SQL database"), "{log}");

    let eager = AgentOptions { agent: EAGER.to_owned(), ..AgentOptions::default() };
    let (_agent, parent) = deployment.start_agent("agent", &eager).await?;
    deployment.register(&parent, WORKLOAD, &[&own_uid()], 0).await?;
    let workload = Workload::of(deployment.agent_socket("agent"));
    has_ids(&workload, &[WORKLOAD]).await?;

    // The server remembers everything over a restart: its authorities, the agent, the entry.
    let before = workload.x509().await?.svid(WORKLOAD)?.issuer();
    deployment.server()?.kill().await?;
    deployment.restart_server().await?;
    deployment.register(&parent, LATER, &[&own_uid()], 0).await?;
    let update = has_ids(&workload, &[WORKLOAD, LATER]).await?;
    ensure!(update.svid(LATER)?.issuer() == before, "the authority is the same");
    ensure!(deployment.agents().await?.len() == 1);

    // While the database is away writes are refused; when it is back they go on by themselves.
    database.stop();
    let refused = deployment.register(&parent, "spiffe://example.org/refused", &[&own_uid()], 0).await;
    ensure!(refused.is_err(), "nothing can be written");
    database.restart()?;
    written_again(&deployment, &parent).await.context("after the database is back")
}

async fn written_again(deployment: &Deployment, parent: &str) -> Result<()> {
    eventually("an entry is admitted", async || {
        deployment.register(parent, "spiffe://example.org/again", &[&own_uid()], 0).await.ok()
    })
    .await
    .map(drop)
}
