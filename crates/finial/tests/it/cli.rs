//! Outputs of commands, to the byte but for what differs from run to run.
//!
//! The expectations were recorded with real `spire-server` and `spire-agent`: run these tests with
//! `FINIAL_TEST_BINARY` set to a script around them and `UPDATE_EXPECT=1` to record them again.

use crate::{EAGER, SERVER, own_uid, serving};
use anyhow::{Context, Result};
use expect_test::{Expect, expect};
use finial_testkit::{AgentOptions, Deployment, Outcome, Process, entry, eventually};
use regex::Regex;
use std::fs;

/// What an operator sees, with everything masked that is different each time.
fn shape(outcome: &Outcome) -> String {
    let masks = [
        (r"(?s)-----BEGIN ([A-Z ]+)-----.*?-----END [A-Z ]+-----", "<pem $1>"),
        (r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", "<token>"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<uuid>"),
        (r"[0-9]{4}-[0-9][0-9]-[0-9][0-9] [0-9][0-9]:[0-9][0-9]:[0-9][0-9](\.[0-9]+)? \+0000 UTC", "<time>"),
        (r"[0-9]{4}-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z", "<time>"),
        (
            r#""((created|expires)_at|x509svid_expires_at|uptime|last_sync_success)":"?[0-9]{2,}"?"#,
            "\"$1\":<number>",
        ),
        (r#""(exp|iat)":[0-9]+"#, "\"$1\":<time>"),
        (r#""(x|y|n|kid|key_id)": ?"[A-Za-z0-9_-]+""#, "\"$1\": \"<key>\""),
        (r"[0-9]{30,}", "<serial>"),
        (r"[A-Za-z0-9+/]{60,}=*", "<base64>"),
        (r"after [0-9.]+(µs|ms|s)", "after <duration>"),
        (r"(Uptime: +)[0-9hms]+", "$1<duration>"),
        (r"unix:uid:[0-9]+", "unix:uid:<uid>"),
        (r"1\.16\.0-dev-unk|[0-9]+\.[0-9]+\.[0-9]+(-[A-Za-z0-9.]+)?", "<version>"),
    ];
    let mut text = outcome.stdout.clone();
    if !outcome.stderr.is_empty() {
        text += &format!("[stderr]\n{}", outcome.stderr);
    }
    if outcome.code != 0 {
        text += &format!("[exit {}]\n", outcome.code);
    }
    for (pattern, mask) in masks {
        text = Regex::new(pattern).unwrap().replace_all(&text, mask).into_owned();
    }
    text
}

/// Runs a command of the server, written as on a command line.
async fn server(deployment: &Deployment, line: &str, expected: Expect) -> Result<Outcome> {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let outcome = deployment.server_command(&arguments).await?;
    expected.assert_eq(&shape(&outcome));
    Ok(outcome)
}

async fn agent(deployment: &Deployment, line: &str, expected: Expect) -> Result<Outcome> {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let is_admin = matches!(arguments.first(), Some(&"debug" | &"logger"));
    let outcome = match is_admin {
        true => deployment.agent_admin_command("a", &arguments).await?,
        false => deployment.agent_command("a", &arguments).await?,
    };
    expected.assert_eq(&shape(&outcome));
    Ok(outcome)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_server() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    server(d, "healthcheck", expect![""]).await?;
    server(d, "entry show", expect![""]).await?;
    server(d, "entry count", expect![""]).await?;
    server(d, "entry show -output json", expect![""]).await?;
    server(d, "agent list", expect![""]).await?;
    server(d, "agent list -output json", expect![""]).await?;
    server(d, "agent count", expect![""]).await?;
    server(d, "bundle count", expect![""]).await?;
    server(d, "bundle list", expect![""]).await?;
    server(d, "bundle show", expect![""]).await?;
    server(d, "bundle show -format spiffe", expect![""]).await?;
    server(d, "bundle show -output json", expect![""]).await?;
    server(d, "token generate", expect![""]).await?;
    server(d, "token generate -ttl 0", expect![""]).await?;
    server(d, "token generate -spiffeID spiffe://example.org/alias", expect![""]).await?;
    server(d, "debug getinfo", expect![""]).await?;
    server(d, "logger get", expect![""]).await?;
    server(d, "logger set -level warn", expect![""]).await?;
    server(d, "logger reset -output json", expect![""]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_from_their_creation_to_their_deletion() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    let full = "entry create -entryID full -parentID spiffe://example.org/p -spiffeID spiffe://example.org/full \
                -x509SVIDTTL 3600 -jwtSVIDTTL 300 -selector unix:uid:1000 -selector unix:gid:1000 -admin \
                -downstream -entryExpiry 1900000000 -dns b.example.org -dns a.example.org -hint h \
                -disableX509SVIDPrefetch -jwtSVIDIncludeJTI";
    server(d, full, expect![""]).await?;
    server(d, full, expect![""]).await?;
    let json =
        "entry create -output json -node -spiffeID spiffe://example.org/alias -selector a:b -selector c:d";
    server(d, json, expect![""]).await?;
    server(d, "entry show -entryID full", expect![""]).await?;
    server(d, "entry show -entryID full -output json", expect![""]).await?;
    let update = "entry update -entryID full -parentID spiffe://example.org/p -spiffeID spiffe://example.org/new \
                  -selector unix:uid:1001 --jwtSVIDTTL=60";
    server(d, update, expect![""]).await?;
    server(d, "entry count", expect![""]).await?;
    server(d, "entry delete -entryID full", expect![""]).await?;
    server(d, "entry delete -entryID full", expect![""]).await?;
    server(d, "entry show -entryID full", expect![""]).await?;
    server(d, "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x", expect![""])
        .await?;
    let negative = "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector a:b \
                    -x509SVIDTTL -1";
    server(d, negative, expect![""]).await?;
    let colon =
        "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector nocolon";
    server(d, colon, expect![""]).await?;
    let unknown = "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector a:b \
                   -federatesWith spiffe://unknown.test";
    server(d, unknown, expect![""]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_from_their_setting_to_their_deletion() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    let bundle = d.server_command(&["bundle", "show"]).await?.ok()?;
    let path = d.path("foreign.pem");
    fs::write(&path, bundle)?;
    let set = format!("bundle set -id spiffe://other.test -path {}", path.display());
    server(d, &set, expect![""]).await?;
    server(d, &set, expect![""]).await?;
    server(d, "bundle list", expect![""]).await?;
    server(d, "bundle list -id other.test -format spiffe", expect![""]).await?;
    server(d, "bundle count", expect![""]).await?;
    server(d, "bundle delete -id spiffe://other.test", expect![""]).await?;
    server(d, "bundle delete -id spiffe://other.test", expect![""]).await?;
    server(d, "bundle delete -id spiffe://example.org", expect![""]).await?;
    server(d, "bundle list -id other.test", expect![""]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn minted_svids() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    server(d, "x509 mint -spiffeID spiffe://example.org/minted -ttl 5m", expect![""]).await?;
    server(d, "x509 mint -spiffeID spiffe://example.org/minted -dns a.b -output json", expect![""]).await?;
    server(d, "x509 mint -spiffeID spiffe://example.org/spire/agent/x", expect![""]).await?;
    server(d, "jwt mint -spiffeID spiffe://example.org/minted -audience a", expect![""]).await?;
    server(d, "jwt mint -spiffeID spiffe://example.org/minted", expect![""]).await?;
    Ok(())
}

/// A server and an agent with one workload: this process.
async fn with_workload() -> Result<(Deployment, Process)> {
    let deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    let mut draft = entry(&parent, "spiffe://example.org/w", &[&own_uid()])?;
    draft.hint = "hint".to_owned();
    deployment.create_entry(draft).await?;
    let fetch = ["api", "fetch", "x509"];
    eventually("an SVID", async || {
        let outcome = deployment.agent_command("a", &fetch).await.ok()?;
        (outcome.code == 0).then_some(())
    })
    .await?;
    Ok((deployment, agent))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_and_its_workload() -> Result<()> {
    let (deployment, _agent) = with_workload().await?;
    let d = &deployment;
    agent(d, "healthcheck", expect![""]).await?;
    agent(d, "api fetch x509", expect![""]).await?;
    agent(d, "api fetch x509 -output json", expect![""]).await?;
    agent(d, "api fetch jwt -audience a", expect![""]).await?;
    agent(d, "api fetch jwt -audience a -spiffeID spiffe://example.org/other", expect![""]).await?;
    agent(d, "debug getinfo", expect![""]).await?;
    agent(d, "logger get", expect![""]).await?;
    let fetched = d.agent_command("a", &["api", "fetch", "jwt", "-audience", "a"]).await?.ok()?;
    let token = fetched.lines().nth(1).context("a token")?.trim();
    agent(d, &format!("api validate jwt -audience a -svid {token}"), expect![""]).await?;
    agent(d, &format!("api validate jwt -audience b -svid {token}"), expect![""]).await?;
    agent(d, "api validate jwt -audience a -svid garbage", expect![""]).await?;
    server(d, "agent list", expect![""]).await?;
    server(d, "agent count", expect![""]).await?;
    let nobody = format!("agent show -spiffeID {SERVER}");
    server(d, &nobody, expect![""]).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn written_svids_are_files_that_only_their_owner_reads() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let (deployment, _agent) = with_workload().await?;
    let directory = deployment.path("written");
    fs::create_dir(&directory)?;
    let to = directory.to_str().context("path")?;
    deployment.agent_command("a", &["api", "fetch", "x509", "-write", to]).await?.ok()?;
    let mut written = Vec::new();
    for file in fs::read_dir(&directory)? {
        let file = file?;
        let text = fs::read_to_string(file.path())?;
        let mode = file.metadata()?.permissions().mode() & 0o777;
        let label = text.lines().next().unwrap_or_default().to_owned();
        written.push(format!("{} {mode:o} {label}", file.file_name().to_string_lossy()));
    }
    written.sort();
    expect![""].assert_eq(&written.join("\n"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_home() -> Result<()> {
    let deployment = crate::deployment()?;
    let d = &deployment;
    let without_path = async |line: &str, expected: Expect| {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let mut outcome = d.server_command(&arguments).await?;
        outcome.stderr = outcome.stderr.replace(d.server_socket().to_str().unwrap_or_default(), "<socket>");
        expected.assert_eq(&shape(&outcome));
        anyhow::Ok(())
    };
    without_path("healthcheck", expect![""]).await?;
    without_path("entry show", expect![""]).await?;
    agent(d, "healthcheck", expect![""]).await?;
    Ok(())
}
