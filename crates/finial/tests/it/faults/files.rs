//! Files that are not what they should be.

use super::contents;
use crate::{EAGER, serving, serving_nodes};
use anyhow::{Context, Result, ensure};
use std::fs;

/// What may stand in a file instead of what belongs there.
fn spoiled(whole: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let truncated = whole[..whole.len() / 2].to_vec();
    [("truncated", truncated), ("empty", Vec::new()), ("foreign", b"{\"hello\": [1, 2, 3]}\n".to_vec())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_key_file_stops_the_server_and_is_left_in_place() -> Result<()> {
    let mut deployment = serving("", "").await?;
    deployment.server()?.stop().await?;
    let path = deployment.path("server/keys.json");
    let whole = fs::read(&path)?;
    for (how, spoiled) in spoiled(&whole) {
        fs::write(&path, &spoiled)?;
        let server = deployment.spawn_server()?;
        ensure!(!server.ended().await?.success(), "{how}: it runs");
        let named = server.line_after_end(path.to_str().context("path")?).await;
        named.with_context(|| format!("{how}: it does not name the file"))?;
        let output = server.output();
        ensure!(output.contains("backup"), "{how}: it does not tell the way back: {output}");
        ensure!(fs::read(&path)? == spoiled, "{how}: it changed the file");
    }
    fs::write(&path, &whole)?;
    deployment.restart_server().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_database_stops_the_server_and_is_left_in_place() -> Result<()> {
    let mut deployment = serving("", "").await?;
    deployment.server()?.stop().await?;
    let path = deployment.path("server/datastore.sqlite3");
    let whole = fs::read(&path)?;
    let foreign =
        b"this is not a database, and it is long enough to be looked at as one by mistake ".repeat(20);
    for (how, spoiled) in [("truncated", whole[..whole.len() / 2].to_vec()), ("foreign", foreign)] {
        fs::write(&path, &spoiled)?;
        let server = deployment.spawn_server()?;
        ensure!(!server.ended().await?.success(), "{how}: it runs");
        let named = server.line_after_end(path.to_str().context("path")?).await;
        named.with_context(|| format!("{how}: it does not name the file"))?;
        ensure!(fs::read(&path)? == spoiled, "{how}: it changed the file");
    }
    fs::write(&path, &whole)?;
    deployment.restart_server().await
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_files_of_an_agent_are_set_aside_and_it_attests_again() -> Result<()> {
    let (deployment, nodes) = serving_nodes("").await?;
    let mut agent = deployment.start_agent_with("a", nodes.agent_plugin("node", &[])?, EAGER).await?;
    agent.stop().await?;
    for file in ["agent-data.json", "keys.json"] {
        let path = deployment.path(&format!("a/data/{file}"));
        let whole = fs::read(&path)?;
        for (how, spoiled) in spoiled(&whole) {
            fs::write(&path, &spoiled)?;
            let mut agent = deployment.restart_agent("a").await.with_context(|| format!("{how} {file}"))?;
            agent.line("Node attestation was successful").await?;
            let output = agent.output();
            ensure!(output.contains(path.to_str().context("path")?), "{how} {file} is not named: {output}");
            agent.stop().await?;
            let aside = contents(&deployment.path("a/data"))?.into_iter().any(|(path, kept)| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(file))
                    && !path.ends_with(file)
                    && kept == spoiled
            });
            ensure!(aside, "{how} {file} was not kept aside");
        }
    }
    Ok(())
}
