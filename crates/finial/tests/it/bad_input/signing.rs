//! What is asked to be signed (cases 30 to 32 and 41 to 51).

use super::requests::{self, DNS, URI};
use super::{expect, verdict};
use crate::serving;
use anyhow::{Context, Result};
use finial_identity::x509::Certificate;
use finial_identity::{KeyType, PrivateKey};
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::server::svid::{MintJwtsvidRequest, MintX509svidRequest};
use finial_proto::types;
use tonic::transport::Channel;

const ID: (u8, &str) = (URI, "spiffe://example.org/a");

/// Alternative names with their tags.
type Names = Vec<(u8, &'static str)>;

async fn mint(server: &Channel, csr: Vec<u8>) -> String {
    let request = MintX509svidRequest { csr: csr.into(), ttl: 0 };
    verdict(SvidClient::new(server.clone()).mint_x509svid(request).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_41_to_51_requests_to_mint() -> Result<()> {
    let deployment = serving("", "").await?;
    let server = deployment.server_channel();
    let good = requests::with_names(&[ID])?;
    let pem = finial_identity::pem::encode("CERTIFICATE REQUEST", &good).into_bytes();
    for (case, csr, wanted) in [
        (41, Vec::new(), "InvalidArgument: missing CSR"),
        (42, b"garbage".to_vec(), "InvalidArgument: malformed CSR: …"),
        (42, pem, "InvalidArgument: malformed CSR: …"),
        (42, [&good[..], &[0]].concat(), "InvalidArgument: malformed CSR: …"),
        (43, requests::altered(good.clone()), "InvalidArgument: failed to verify CSR signature: …"),
        (50, requests::with_wishes(&PrivateKey::generate(KeyType::EcP256)?, &[ID])?, "ok"),
    ] {
        expect(case, &mint(&server, csr).await, wanted);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_44_to_49_names_of_requests_to_mint() -> Result<()> {
    let deployment = serving("", "").await?;
    let server = deployment.server_channel();
    let dns = |name: &'static str| [ID, (DNS, name)].to_vec();
    let uri = |name: &'static str| vec![(URI, name)];
    let invalid = "InvalidArgument: CSR DNS name is invalid: ";
    let cases: Vec<(u8, Names, String)> = vec![
        (44, vec![], "InvalidArgument: CSR URI SAN is required".into()),
        (44, vec![(DNS, "a.example")], "InvalidArgument: CSR URI SAN is required".into()),
        (45, vec![ID, (URI, "spiffe://example.org/b")], "InvalidArgument: only one URI SAN is expected".into()),
        (45, vec![ID, (URI, "https://example.org")], "InvalidArgument: only one URI SAN is expected".into()),
        (46, uri("https://example.org/a"), "InvalidArgument: CSR URI SAN is invalid: scheme is missing or invalid".into()),
        (46, uri("spiffe://example.org/a/"), "InvalidArgument: CSR URI SAN is invalid: path cannot have a trailing slash".into()),
        (47, uri("spiffe://example.org"), r#"InvalidArgument: CSR URI SAN is invalid: "spiffe://example.org" is not a workload in trust domain "example.org"; path is empty"#.into()),
        (47, uri("spiffe://example.org/spire/server"), r#"InvalidArgument: CSR URI SAN is invalid: "spiffe://example.org/spire/server" is not a workload in trust domain "example.org"; path is in the reserved namespace"#.into()),
        (47, uri("spiffe://other.org/a"), r#"InvalidArgument: CSR URI SAN is invalid: "spiffe://other.org/a" is not a member of trust domain "example.org""#.into()),
        (48, dns("*.*.x"), format!("{invalid}too many wildcards")),
        (48, dns("a.*.b"), format!("{invalid}wildcard must be first label")),
        (48, dns("a."), format!("{invalid}domain ends with dot")),
        (49, vec![ID, (DNS, "*.example.org"), (DNS, "a.example.org")], r#"InvalidArgument: CSR DNS name contains a wildcard that covers another non-wildcard name: name "a.example.org" overlaps with an existing wildcard name in the list: wildcard overlap"#.into()),
        (49, vec![ID, (DNS, "*.example.org"), (DNS, "example.org")], "ok".into()),
    ];
    for (case, names, wanted) in cases {
        let csr = requests::with_names(&names)?;
        expect(format!("{case} {names:?}"), &mint(&server, csr).await, &wanted);
    }
    Ok(())
}

/// What SPIRE refuses with other words, or, as the long ID, takes.
#[tokio::test(flavor = "multi_thread")]
async fn cases_30_48_and_51_are_refused_here() -> Result<()> {
    let deployment = serving("", "").await?;
    let server = deployment.server_channel();
    let long = format!("spiffe://example.org/{}", "a".repeat(2049 - 21));
    let dns = "InvalidArgument: CSR DNS name is invalid: ";
    for (case, csr, wanted) in [
        (
            30,
            requests::with_names(&[(URI, &long)])?,
            "InvalidArgument: CSR URI SAN is invalid: SPIFFE ID …".to_owned(),
        ),
        (48, requests::with_names(&[ID, (DNS, "")])?, format!("{dns}empty or only whitespace")),
        (
            48,
            requests::with_names(&[ID, (DNS, "ä.example")])?,
            "InvalidArgument: malformed CSR: …".to_owned(),
        ),
        (51, requests::with_small_key()?, "InvalidArgument: malformed CSR: unsupported…".to_owned()),
    ] {
        expect(case, &mint(&server, csr).await, &wanted);
    }
    let accepted = format!("spiffe://example.org/{}", "a".repeat(2048 - 21));
    expect(30, &mint(&server, requests::with_names(&[(URI, &accepted)])?).await, "ok");
    Ok(())
}

/// Case 50: of all wishes but names and subject nothing is in the certificate.
#[tokio::test(flavor = "multi_thread")]
async fn case_50_wishes_are_not_granted() -> Result<()> {
    let deployment = serving("", "").await?;
    let csr = requests::with_wishes(&PrivateKey::generate(KeyType::EcP256)?, &[ID, (DNS, "a.example")])?;
    let request = MintX509svidRequest { csr: csr.into(), ttl: 0 };
    let minted = SvidClient::new(deployment.server_channel()).mint_x509svid(request).await?.into_inner();
    let leaf = Certificate::from_der(&minted.svid.context("an SVID")?.cert_chain[0])?;
    assert!(!leaf.is_ca());
    assert_eq!(leaf.ext_key_usage().len(), 2);
    assert_eq!((leaf.dns_names(), leaf.uris()), (&["a.example".to_owned()][..], &[ID.1.to_owned()][..]));
    assert!(leaf.extensions().iter().all(|extension| extension.oid() != "1.2.3.4"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_9_and_30_to_32_ids_of_tokens() -> Result<()> {
    let deployment = serving("", "").await?;
    let mut client = SvidClient::new(deployment.server_channel());
    let id = |name: &str, path: &str| Some(types::Spiffeid { trust_domain: name.into(), path: path.into() });
    for (case, id, wanted) in [
        (
            9,
            id("example.org", ""),
            r#"InvalidArgument: invalid SPIFFE ID: "spiffe://example.org" is not a workload in trust domain "example.org"; path is empty"#,
        ),
        (
            31,
            id("example.org", "/spire/agent/x"),
            r#"InvalidArgument: invalid SPIFFE ID: "spiffe://example.org/spire/agent/x" is not a workload in trust domain "example.org"; path is in the reserved namespace"#,
        ),
        (
            32,
            id("other.org", "/x"),
            r#"InvalidArgument: invalid SPIFFE ID: "spiffe://other.org/x" is not a member of trust domain "example.org""#,
        ),
        (0, None, "InvalidArgument: invalid SPIFFE ID: request must specify SPIFFE ID"),
        (0, id("example.org", "/a"), "ok"),
    ] {
        let request = MintJwtsvidRequest { id, audience: vec!["a".into()], ttl: 0 };
        expect(case, &verdict(client.mint_jwtsvid(request).await), wanted);
    }
    let request = MintJwtsvidRequest {
        id: id("example.org", &format!("/{}", "a".repeat(2049 - 21))),
        audience: vec!["a".into()],
        ttl: 0,
    };
    expect(30, &verdict(client.mint_jwtsvid(request).await), "InvalidArgument: invalid SPIFFE ID: …");
    Ok(())
}
