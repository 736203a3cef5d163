//! A server to which nothing has happened yet.

use super::server;
use crate::serving;
use anyhow::Result;
use expect_test::expect;

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
