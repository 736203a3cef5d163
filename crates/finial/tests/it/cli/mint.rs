//! SVIDs made by hand.

use super::server;
use crate::serving;
use anyhow::Result;
use expect_test::expect;

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
