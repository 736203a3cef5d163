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
    server(
        d,
        "healthcheck",
        expect![[r#"
        Server is healthy.
    "#]],
    )
    .await?;
    server(
        d,
        "entry show",
        expect![[r#"
        Found 0 entries
    "#]],
    )
    .await?;
    server(
        d,
        "entry count",
        expect![[r#"
        0 registration entries
    "#]],
    )
    .await?;
    server(
        d,
        "entry show -output json",
        expect![[r#"
        {"entries":[],"next_page_token":""}
    "#]],
    )
    .await?;
    server(
        d,
        "agent list",
        expect![[r#"
        No attested agents found
    "#]],
    )
    .await?;
    server(
        d,
        "agent list -output json",
        expect![[r#"
        {"agents":[],"next_page_token":""}
    "#]],
    )
    .await?;
    server(
        d,
        "agent count",
        expect![[r#"
        0 attested agents
    "#]],
    )
    .await?;
    server(
        d,
        "bundle count",
        expect![[r#"
        1 bundle
    "#]],
    )
    .await?;
    server(d, "bundle list", expect![""]).await?;
    server(
        d,
        "bundle show",
        expect![[r#"
        <pem CERTIFICATE>
    "#]],
    )
    .await?;
    server(
        d,
        "bundle show -format spiffe",
        expect![[r#"
        {
            "keys": [
                {
                    "use": "x509-svid",
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "<key>",
                    "y": "<key>",
                    "x5c": [
                        "<base64>"
                    ]
                },
                {
                    "use": "jwt-svid",
                    "kty": "EC",
                    "kid": "<key>",
                    "crv": "P-256",
                    "x": "<key>",
                    "y": "<key>"
                }
            ],
            "spiffe_sequence": 1
        }
    "#]],
    )
    .await?;
    server(d, "bundle show -output json", expect![[r#"
        {"jwt_authorities":[{"expires_at":<number>,"key_id": "<key>","public_key":"<base64>","tainted":false}],"refresh_hint":"0","sequence_number":"1","trust_domain":"example.org","wit_authorities":[],"x509_authorities":[{"asn1":"<base64>","tainted":false}]}
    "#]]).await?;
    server(
        d,
        "token generate",
        expect![[r#"
        Token: <uuid>
        Warning: Missing SPIFFE ID.
    "#]],
    )
    .await?;
    server(
        d,
        "token generate -ttl 0",
        expect![[r#"
        [stderr]
        Error: rpc error: code = InvalidArgument desc = ttl is required, you must provide one
        [exit 1]
    "#]],
    )
    .await?;
    server(
        d,
        "token generate -spiffeID spiffe://example.org/alias",
        expect![[r#"
        Token: <uuid>
    "#]],
    )
    .await?;
    server(
        d,
        "debug getinfo",
        expect![[r#"
        Server Debug Info:
          Uptime:                  <duration>
          Registered Agents:       0
          Registration Entries:    1
          Federated Bundles:       1
          SVID Chain:
            [0] SPIFFE ID:  spiffe://example.org/spire/server
                Subject:    O=SPIRE,C=US
                Expires At: <time>
            [1] SPIFFE ID:  spiffe://example.org
                Subject:    SERIALNUMBER=<serial>,O=SPIFFE,C=US
                Expires At: <time>
    "#]],
    )
    .await?;
    server(
        d,
        "logger get",
        expect![[r#"
        Logger Level : debug
        Launch Level : debug

    "#]],
    )
    .await?;
    server(
        d,
        "logger set -level warn",
        expect![[r#"
        Logger Level : warning
        Launch Level : debug

    "#]],
    )
    .await?;
    server(
        d,
        "logger reset -output json",
        expect![[r#"
        {"current_level":"DEBUG","launch_level":"DEBUG"}
    "#]],
    )
    .await?;
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
    server(
        d,
        full,
        expect![[r#"
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/full
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        Downstream              : true
        X509-SVID TTL           : 3600
        JWT-SVID TTL            : 300
        Expiration time         : <time>
        Selector                : unix:gid:1000
        Selector                : unix:uid:<uid>
        DNS name                : a.example.org
        DNS name                : b.example.org
        Admin                   : true
        Hint                    : h
        DisableX509SvidPrefetch : true
        JwtSvidIncludeJti       : true

    "#]],
    )
    .await?;
    server(
        d,
        full,
        expect![[r#"
        [stderr]
        Failed to create the following entry (code: AlreadyExists, msg: "similar entry already exists"):
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/full
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        Downstream              : true
        X509-SVID TTL           : 3600
        JWT-SVID TTL            : 300
        Expiration time         : <time>
        Selector                : unix:uid:<uid>
        Selector                : unix:gid:1000
        DNS name                : b.example.org
        DNS name                : a.example.org
        Admin                   : true
        Hint                    : h
        DisableX509SvidPrefetch : true
        JwtSvidIncludeJti       : true

        Error: failed to create one or more entries
        [exit 1]
    "#]],
    )
    .await?;
    let json =
        "entry create -output json -node -spiffeID spiffe://example.org/alias -selector a:b -selector c:d";
    server(d, json, expect![[r#"
        {"results":[{"entry":{"admin":false,"created_at":<number>,"dns_names":[],"downstream":false,"expires_at":"0","federates_with":[],"hint":"","id":"<uuid>","jwt_svid_ttl":0,"parent_id":{"path":"/spire/server","trust_domain":"example.org"},"revision_number":"0","selectors":[{"type":"a","value":"b"},{"type":"c","value":"d"}],"spiffe_id":{"path":"/alias","trust_domain":"example.org"},"store_svid":false,"x509_svid_ttl":0},"status":{"code":0,"message":"OK"}}]}
    "#]]).await?;
    server(
        d,
        "entry show -entryID full",
        expect![[r#"
        Found 1 entry
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/full
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        Downstream              : true
        X509-SVID TTL           : 3600
        JWT-SVID TTL            : 300
        Expiration time         : <time>
        Selector                : unix:gid:1000
        Selector                : unix:uid:<uid>
        DNS name                : b.example.org
        DNS name                : a.example.org
        Admin                   : true
        Hint                    : h
        DisableX509SvidPrefetch : true
        JwtSvidIncludeJti       : true

    "#]],
    )
    .await?;
    server(d, "entry show -entryID full -output json", expect![[r#"
        {"entries":[{"additional_attributes":{"disable_x509_svid_prefetch":true,"jwt_svid_include_jti":true},"admin":true,"created_at":<number>,"dns_names":["b.example.org","a.example.org"],"downstream":true,"expires_at":<number>,"federates_with":[],"hint":"h","id":"full","jwt_svid_ttl":300,"parent_id":{"path":"/p","trust_domain":"example.org"},"revision_number":"0","selectors":[{"type":"unix","value":"gid:1000"},{"type":"unix","value":"uid:1000"}],"spiffe_id":{"path":"/full","trust_domain":"example.org"},"store_svid":false,"x509_svid_ttl":3600}],"next_page_token":""}
    "#]]).await?;
    let update = "entry update -entryID full -parentID spiffe://example.org/p -spiffeID spiffe://example.org/new \
                  -selector unix:uid:1001 --jwtSVIDTTL=60";
    server(
        d,
        update,
        expect![[r#"
        Entry ID                : full
        SPIFFE ID               : spiffe://example.org/new
        Parent ID               : spiffe://example.org/p
        Revision                : 1
        X509-SVID TTL           : default
        JWT-SVID TTL            : 60
        Selector                : unix:uid:<uid>

    "#]],
    )
    .await?;
    server(
        d,
        "entry count",
        expect![[r#"
        2 registration entries
    "#]],
    )
    .await?;
    server(
        d,
        "entry delete -entryID full",
        expect![[r#"
        Deleted entry with ID: full


        Deleted 1 entries successfully"#]],
    )
    .await?;
    server(
        d,
        "entry delete -entryID full",
        expect![[r#"


        Failed to delete 1 entries[stderr]
        Failed to delete entry with ID full (code: NotFound, msg: "entry not found")
        Error: failed to delete one or more entries
        [exit 1]
    "#]],
    )
    .await?;
    server(
        d,
        "entry show -entryID full",
        expect![[r#"
        [stderr]
        Error: error fetching entry ID full: rpc error: code = NotFound desc = entry not found
        [exit 1]
    "#]],
    )
    .await?;
    server(
        d,
        "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x",
        expect![[r#"
        [stderr]
        Error: at least one selector is required
        [exit 1]
    "#]],
    )
    .await?;
    let negative = "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector a:b \
                    -x509SVIDTTL -1";
    server(
        d,
        negative,
        expect![[r#"
        [stderr]
        Error: a positive x509-SVID TTL is required
        [exit 1]
    "#]],
    )
    .await?;
    let colon =
        "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector nocolon";
    server(
        d,
        colon,
        expect![[r#"
        [stderr]
        Error: selector "nocolon" must be formatted as type:value
        [exit 1]
    "#]],
    )
    .await?;
    let unknown = "entry create -parentID spiffe://example.org/p -spiffeID spiffe://example.org/x -selector a:b \
                   -federatesWith spiffe://unknown.test";
    server(d, unknown, expect![[r#"
        [stderr]
        Failed to create the following entry (code: Internal, msg: "failed to create entry: unable to find federated bundle \"spiffe://unknown.test\""):
        Entry ID                : (none)
        SPIFFE ID               : spiffe://example.org/x
        Parent ID               : spiffe://example.org/p
        Revision                : 0
        X509-SVID TTL           : default
        JWT-SVID TTL            : default
        Selector                : a:b
        FederatesWith           : spiffe://unknown.test

        Error: failed to create one or more entries
        [exit 1]
    "#]]).await?;
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
    server(
        d,
        &set,
        expect![[r#"
        bundle set.
    "#]],
    )
    .await?;
    server(
        d,
        &set,
        expect![[r#"
        bundle set.
    "#]],
    )
    .await?;
    server(
        d,
        "bundle list",
        expect![[r#"
        ****************************************
        * other.test
        ****************************************
        <pem CERTIFICATE>
    "#]],
    )
    .await?;
    server(
        d,
        "bundle list -id other.test -format spiffe",
        expect![[r#"
        {
            "keys": [
                {
                    "use": "x509-svid",
                    "kty": "EC",
                    "crv": "P-256",
                    "x": "<key>",
                    "y": "<key>",
                    "x5c": [
                        "<base64>"
                    ]
                }
            ]
        }
    "#]],
    )
    .await?;
    server(
        d,
        "bundle count",
        expect![[r#"
        2 bundles
    "#]],
    )
    .await?;
    server(
        d,
        "bundle delete -id spiffe://other.test",
        expect![[r#"
        bundle deleted.
    "#]],
    )
    .await?;
    server(
        d,
        "bundle delete -id spiffe://other.test",
        expect![[r#"
        [stderr]
        Error: failed to delete federated bundle "spiffe://other.test": bundle not found
        [exit 1]
    "#]],
    )
    .await?;
    server(d, "bundle delete -id spiffe://example.org", expect![[r#"
        [stderr]
        Error: failed to delete federated bundle "spiffe://example.org": removing the bundle for the server trust domain is not allowed
        [exit 1]
    "#]]).await?;
    server(
        d,
        "bundle list -id other.test",
        expect![[r#"
        [stderr]
        Error: rpc error: code = NotFound desc = bundle not found
        [exit 1]
    "#]],
    )
    .await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn minted_svids() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    server(
        d,
        "x509 mint -spiffeID spiffe://example.org/minted -ttl 5m",
        expect![[r#"
        X509-SVID:
        <pem CERTIFICATE>

        Private key:
        <pem PRIVATE KEY>

        Root CAs:
        <pem CERTIFICATE>

        [stderr]
        X509-SVID lifetime was capped shorter than specified ttl; expires "<time>"
    "#]],
    )
    .await?;
    server(
        d,
        "x509 mint -spiffeID spiffe://example.org/minted -dns a.b -output json",
        expect![[r#"
        {"x509_svid":["<base64>"],"private_key":"<base64>","root_cas":["<base64>"]}
    "#]],
    )
    .await?;
    server(d, "x509 mint -spiffeID spiffe://example.org/spire/agent/x", expect![[r#"
        [stderr]
        Error: unable to mint SVID: rpc error: code = InvalidArgument desc = CSR URI SAN is invalid: "spiffe://example.org/spire/agent/x" is not a workload in trust domain "example.org"; path is in the reserved namespace
        [exit 1]
    "#]]).await?;
    server(
        d,
        "jwt mint -spiffeID spiffe://example.org/minted -audience a",
        expect![[r#"
        <token>
    "#]],
    )
    .await?;
    server(
        d,
        "jwt mint -spiffeID spiffe://example.org/minted",
        expect![[r#"
        [stderr]
        Error: at least one audience must be specified
        [exit 1]
    "#]],
    )
    .await?;
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
    without_path(
        "healthcheck",
        expect![[r#"
        [stderr]
        Error: server is unhealthy: unable to determine health
        [exit 1]
    "#]],
    )
    .await?;
    without_path("entry show", expect![[r#"
        [stderr]
        Error: error fetching entries: rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: dial unix //<socket>: connect: no such file or directory"
        [exit 1]
    "#]]).await?;
    agent(
        d,
        "healthcheck",
        expect![[r#"
        [stderr]
        Agent is unhealthy: unable to determine health
        [exit 1]
    "#]],
    )
    .await?;
    Ok(())
}
