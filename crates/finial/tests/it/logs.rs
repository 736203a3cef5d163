//! Lines that SPIRE's suites, and the alerts of those who run it, look for: text, level and fields.

use crate::{EAGER, deployment, has_ids, own_uid, serving};
use anyhow::{Context, Result};
use finial_testkit::{AgentOptions, Outcome, Process, Workload, eventually};
use std::fs;

/// Waits for a line that has all these parts.
async fn told(process: &mut Process, parts: &[&str]) -> Result<()> {
    let is_there = || process.output().lines().any(|line| parts.iter().all(|part| line.contains(part)));
    eventually(&format!("a line with {parts:?}"), async || is_there().then_some(()))
        .await
        .with_context(|| process.output())
}

const SERVER_LINES: &[&[&str]] = &[
    &["level=info", "Starting Server APIs", "network=tcp", "subsystem_name=endpoints"],
    &["level=info", "Starting Server APIs", "network=unix", "subsystem_name=endpoints"],
    &["level=info", "X509 CA prepared", " local_authority_id=", " upstream_authority_id="],
    &["level=info", "X509 CA activated", " local_authority_id=", " upstream_authority_id="],
    &["level=debug", "Successfully rotated X.509 CA", "subsystem_name=ca_manager"],
    &["level=info", "JWT key prepared", " local_authority_id=", "subsystem_name=ca_manager"],
    &["level=info", "JWT key activated", " local_authority_id=", "subsystem_name=ca_manager"],
    &["level=debug", "Signed X509 SVID", "/spire/server", "subsystem_name=svid_rotator"],
    &["level=info", "Connected to SQL database", "subsystem_name=sql"],
    &["level=info", "Completed building in-memory entry cache", "subsystem_name=endpoints"],
    &["level=info", "Agent attestation request completed", "authorized_as=nobody", "method=AttestAgent"],
    &["level=debug", "Agent status updated", "authorized_as=agent", "authorized_via=datastore", "caller_id="],
    &["level=debug", "Signed X509 SVID", "request_id=", "service=svid.v1.SVID", "subsystem_name=api"],
];

const AGENT_LINES: &[&[&str]] = &[
    &["level=info", "Bundle is not found", "subsystem_name=attestor"],
    &["level=info", "SVID is not found. Starting node attestation", "subsystem_name=attestor"],
    &["level=info", "Node attestation was successful", "reattestable=false", "subsystem_name=attestor"],
    &["level=info", "Starting agent APIs", "subsystem_name=endpoints"],
    &["level=info", "Starting Admin APIs"],
    &["level=info", "Logger service configured", "launch_log_level=debug"],
    &["level=debug", "Entry created", "example.org/w", "selectors_added=1", "subsystem_name=cache_manager"],
    &["level=info", "Creating X509-SVID", "spiffe_id=\"spiffe://example.org/w\"", "subsystem_name=manager"],
    &["level=debug", "SVID updated", "example.org/w", "subsystem_name=cache_manager"],
    &["level=debug", "Fetched JWT SVID", "method=FetchJWTSVID", "spiffe_id=\"spiffe://example.org/w\""],
    &["level=info", "Reconfigure signal received", "subsystem_name=reconfigurer"],
];

#[tokio::test(flavor = "multi_thread")]
async fn server_and_agent_log_what_spire_logs() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (mut agent, id) = deployment.start_agent("a", &options).await?;
    deployment.register(&id, "spiffe://example.org/w", &[&own_uid()], 60).await?;
    has_ids(&Workload::of(deployment.agent_socket("a")), &["spiffe://example.org/w"]).await?;
    deployment.agent_command("a", &["api", "fetch", "jwt", "-audience", "x"]).await?.ok()?;
    let pid = rustix::process::Pid::from_raw(agent.pid().context("a process ID")?.try_into()?);
    rustix::process::kill_process(pid.context("a process ID")?, rustix::process::Signal::USR1)?;
    for line in AGENT_LINES {
        told(&mut agent, line).await?;
    }
    for line in SERVER_LINES {
        told(deployment.server()?, line).await?;
    }

    agent.stop().await?;
    let mut agent = deployment.restart_agent("a").await?;
    told(&mut agent, &["level=info", "Bundle loaded", "trust_domain_id=\"spiffe://example.org\""]).await?;
    told(&mut agent, &["level=info", "SVID loaded", &id, "subsystem_name=attestor"]).await?;

    deployment.server_command(&["agent", "ban", "-spiffeID", &id]).await?.ok()?;
    let server = deployment.server()?;
    told(server, &["level=info", "Agent banned", "authorized_as=local", "authorized_via=transport"]).await?;
    told(server, &["level=error", "Agent is banned", &format!("caller_id=\"{id}\"")]).await?;
    told(server, &["level=error", "Failed to authenticate caller", "code = PermissionDenied"]).await?;
    told(
        &mut agent,
        &["level=error", "Synchronize failed", "failed to fetch authorized entries: rpc error:"],
    )
    .await?;
    told(&mut agent, &["level=warning", "Agent is banned: removing SVID and shutting down"]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_says_how_it_got_its_next_svid() -> Result<()> {
    let deployment = serving("agent_ttl = \"8s\"", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (mut agent, id) = deployment.start_agent("a", &options).await?;
    told(&mut agent, &["level=info", "Successfully rotated agent SVID", &id, "subsystem_name=manager"]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_keys_are_in_the_log() -> Result<()> {
    let deployment = deployment()?;
    let path = deployment.path("bad.conf");
    fs::write(&path, "server { bogus = 1, another = 2 }\nplugins {}\n")?;
    let mut command = deployment.command();
    let outcome = Outcome::of(command.args(["server", "run", "-config"]).arg(&path)).await?;
    assert_eq!(outcome.code, 1);
    let line = outcome.stdout.lines().find(|line| line.contains("Unknown configuration detected"));
    let line = line.with_context(|| outcome.stdout.clone())?;
    assert!(line.contains("level=error") && line.contains("keys=\"another,bogus\""), "{line}");
    assert!(line.ends_with("section=server"), "{line}");
    Ok(())
}

async fn asked(port: u16, path: &str) -> Result<String> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_tells_of_each_part_whether_it_is_well() -> Result<()> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    // Leaves the block of the plugins, whose end then ends this one.
    let health = format!(
        "}}\nhealth_checks {{ listener_enabled = true, bind_address = \"127.0.0.1\", bind_port = \"{port}\""
    );
    let deployment = serving("", &health).await?;
    let well = r#"{"catalog.datastore":{},"server":{},"server.ca":{},"server.ca.rotator":{}}"#;
    for path in ["/live", "/ready"] {
        eventually("health", async || {
            let answer = asked(port, path).await.ok()?;
            (answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with(&format!("{well}\n"))).then_some(())
        })
        .await?;
    }
    drop(deployment);
    Ok(())
}
