//! An agent with a workload, as the workload and the operator see it.

use super::{agent, server};
use crate::{EAGER, SERVER, own_uid, serving};
use anyhow::{Context, Result};
use expect_test::expect;
use finial_testkit::{AgentOptions, Deployment, Process, entry, eventually};
use std::fs;

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
    agent(
        d,
        "healthcheck",
        expect![[r#"
        Agent is healthy.
    "#]],
    )
    .await?;
    agent(
        d,
        "api fetch x509",
        expect![[r#"
        Received 1 svid after <duration>

        SPIFFE ID:		spiffe://example.org/w
        Hint:			hint
        SVID Valid After:	<time>
        SVID Valid Until:	<time>
        CA #1 Valid After:	<time>
        CA #1 Valid Until:	<time>

    "#]],
    )
    .await?;
    agent(d, "api fetch x509 -output json", expect![[r#"
        {"crl":[],"federated_bundles":{},"svids":[{"bundle":"<base64>","hint":"hint","spiffe_id":"spiffe://example.org/w","x509_svid":"<base64>","x509_svid_key":"<base64>"}]}
    "#]]).await?;
    agent(
        d,
        "api fetch jwt -audience a",
        expect![[r#"
        token(spiffe://example.org/w):
        	<token>
        hint(spiffe://example.org/w):
        	hint
        bundle(spiffe://example.org):
        	{
            "keys": [
                {
                    "kty": "EC",
                    "kid": "<key>",
                    "crv": "P-256",
                    "x": "<key>",
                    "y": "<key>"
                }
            ]
        }
    "#]],
    )
    .await?;
    agent(
        d,
        "api fetch jwt -audience a -spiffeID spiffe://example.org/other",
        expect![[r#"
        [stderr]
        rpc error: code = PermissionDenied desc = no identity issued
        [exit 1]
    "#]],
    )
    .await?;
    agent(
        d,
        "debug getinfo",
        expect![[r#"
        Agent Debug Info:
          Uptime:                          <duration>
          Last Sync Success:               <time>
          Cached X.509 SVIDs:              1
          Cached JWT SVIDs:                1
          Cached SVID Store X.509 SVIDs:   0
          SVID Chain:
            [0] SPIFFE ID:  spiffe://example.org/spire/agent/join_token/<uuid>
                Subject:    O=SPIRE,C=US
                Expires At: <time>
            [1] SPIFFE ID:  spiffe://example.org
                Subject:    SERIALNUMBER=<serial>,O=SPIFFE,C=US
                Expires At: <time>
    "#]],
    )
    .await?;
    agent(
        d,
        "logger get",
        expect![[r#"
        Logger Level : debug
        Launch Level : debug

    "#]],
    )
    .await?;
    let fetched = d.agent_command("a", &["api", "fetch", "jwt", "-audience", "a"]).await?.ok()?;
    let token = fetched.lines().nth(1).context("a token")?.trim();
    agent(
        d,
        &format!("api validate jwt -audience a -svid {token}"),
        expect![[r#"
        SVID is valid.
        SPIFFE ID : spiffe://example.org/w
        Claims    : {"aud":["a"], "exp":<time>, "iat":<time>, "sub":"spiffe://example.org/w"}
    "#]],
    )
    .await?;
    agent(
        d,
        &format!("api validate jwt -audience b -svid {token}"),
        expect![[r#"
        [stderr]
        SVID is not valid: expected audience in ["b"] (audience=["a"])
        [exit 1]
    "#]],
    )
    .await?;
    agent(d, "api validate jwt -audience a -svid garbage", expect![[r#"
        [stderr]
        SVID is not valid: unable to parse JWT token: go-jose/go-jose: compact JWS format must have three parts
        [exit 1]
    "#]]).await?;
    server(
        d,
        "agent list",
        expect![[r#"
        Found 1 attested agent:

        SPIFFE ID         : spiffe://example.org/spire/agent/join_token/<uuid>
        Attestation type  : join_token
        Expiration time   : <time>
        Serial number     : <serial>
        Can re-attest     : false
        Agent version     : <version>

    "#]],
    )
    .await?;
    server(
        d,
        "agent count",
        expect![[r#"
        1 attested agent
    "#]],
    )
    .await?;
    let nobody = format!("agent show -spiffeID {SERVER}");
    server(d, &nobody, expect![[r#"
        [stderr]
        Error: rpc error: code = InvalidArgument desc = invalid agent ID: "spiffe://example.org/spire/server" is not an agent in trust domain "example.org"; path is not in the agent namespace
        [exit 1]
    "#]]).await?;
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
    expect![[r#"
        bundle.0.pem 644 -----BEGIN CERTIFICATE-----
        svid.0.key 600 -----BEGIN PRIVATE KEY-----
        svid.0.pem 644 -----BEGIN CERTIFICATE-----"#]]
    .assert_eq(&written.join("\n"));
    Ok(())
}
