//! Bundles of other trust domains.

use super::server;
use crate::serving;
use anyhow::Result;
use expect_test::expect;
use std::fs;

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
