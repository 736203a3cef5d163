//! `federation create`, `update`, `list`, `show`, `refresh` and `delete`.

use super::server;
use crate::serving;
use anyhow::Result;
use expect_test::expect;
use std::fs;

#[tokio::test(flavor = "multi_thread")]
async fn relationships_from_their_creation_to_their_deletion() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    for (line, expected) in [
        (
            "federation list",
            expect![[r#"
            Found 0 federation relationships
        "#]],
        ),
        (
            "federation list -output json",
            expect![[r#"
            {"federation_relationships":[],"next_page_token":""}
        "#]],
        ),
        (
            "federation create -trustDomain web.test -bundleEndpointURL HTTPS://localhost:1/b \
             -bundleEndpointProfile https_web",
            expect![[r#"

                Trust domain              : web.test
                Bundle endpoint URL       : https://localhost:1/b
                Bundle endpoint profile   : https_web
            "#]],
        ),
        (
            "federation create -trustDomain web.test -bundleEndpointURL https://localhost:1/b \
             -bundleEndpointProfile https_web",
            expect![[r#"

                [stderr]
                Failed to create the following federation relationship (code: Internal, msg: "failed to create federation relationship: datastore-sql: UNIQUE constraint failed: federated_trust_domains.trust_domain"):
                Trust domain              : web.test
                Bundle endpoint URL       : https://localhost:1/b
                Bundle endpoint profile   : https_web
                Error: failed to create one or more federation relationships
                [exit 1]
            "#]],
        ),
        (
            "federation create -trustDomain spiffe://svid.test -bundleEndpointURL https://localhost:1 \
             -bundleEndpointProfile https_spiffe -endpointSpiffeID spiffe://third.test/e -output json",
            expect![[r#"
                {"results":[{"federation_relationship":{"bundle_endpoint_url":"https://localhost:1","https_spiffe":{"endpoint_spiffe_id":"spiffe://third.test/e"},"trust_domain":"svid.test"},"status":{"code":0,"message":"OK"}}]}
            "#]],
        ),
        (
            "federation show -trustDomain web.test",
            expect![[r#"
            Found a federation relationship with trust domain web.test:

            Trust domain              : web.test
            Bundle endpoint URL       : https://localhost:1/b
            Bundle endpoint profile   : https_web
        "#]],
        ),
        (
            "federation show -trustDomain svid.test -output json",
            expect![[r#"
            {"bundle_endpoint_url":"https://localhost:1","https_spiffe":{"endpoint_spiffe_id":"spiffe://third.test/e"},"trust_domain":"svid.test"}
        "#]],
        ),
        (
            "federation show -trustDomain other.test",
            expect![[r#"
            [stderr]
            Error: error showing federation relationship: rpc error: code = NotFound desc = federation relationship does not exist
            [exit 1]
        "#]],
        ),
        (
            "federation update -trustDomain web.test -bundleEndpointURL https://localhost:1/c \
             -bundleEndpointProfile https_spiffe -endpointSpiffeID spiffe://web.test/e",
            expect![[r#"

                Trust domain              : web.test
                Bundle endpoint URL       : https://localhost:1/c
                Bundle endpoint profile   : https_spiffe
                Endpoint SPIFFE ID        : spiffe://web.test/e
            "#]],
        ),
        (
            "federation update -trustDomain other.test -bundleEndpointURL https://localhost:1/c \
             -bundleEndpointProfile https_web",
            expect![[r#"

                [stderr]
                Failed to update the following federation relationship (code: Internal, msg: "failed to update federation relationship: unable to fetch federation relationship: record not found"):
                Trust domain              : other.test
                Bundle endpoint URL       : https://localhost:1/c
                Bundle endpoint profile   : https_web
                Error: failed to update one or more federation relationships
                [exit 1]
            "#]],
        ),
        (
            "federation list",
            expect![[r#"
            Found 2 federation relationships

            Trust domain              : web.test
            Bundle endpoint URL       : https://localhost:1/c
            Bundle endpoint profile   : https_spiffe
            Endpoint SPIFFE ID        : spiffe://web.test/e

            Trust domain              : svid.test
            Bundle endpoint URL       : https://localhost:1
            Bundle endpoint profile   : https_spiffe
            Endpoint SPIFFE ID        : spiffe://third.test/e
        "#]],
        ),
        (
            "federation list -output json",
            expect![[r#"
            {"federation_relationships":[{"bundle_endpoint_url":"https://localhost:1/c","https_spiffe":{"endpoint_spiffe_id":"spiffe://web.test/e"},"trust_domain":"web.test"},{"bundle_endpoint_url":"https://localhost:1","https_spiffe":{"endpoint_spiffe_id":"spiffe://third.test/e"},"trust_domain":"svid.test"}],"next_page_token":""}
        "#]],
        ),
        (
            "federation delete -id spiffe://web.test",
            expect![[r#"
            federation relationship deleted.
        "#]],
        ),
        (
            "federation delete -id web.test",
            expect![[r#"
            [stderr]
            Error: failed to delete federation relationship "web.test": federation relationship not found
            [exit 1]
        "#]],
        ),
        (
            "federation delete -id web.test -output json",
            expect![[r#"
            {"results":[{"status":{"code":5,"message":"federation relationship not found"},"trust_domain":"web.test"}]}
        "#]],
        ),
        (
            "federation delete -id svid.test -output json",
            expect![[r#"
            {"results":[{"status":{"code":0,"message":"OK"},"trust_domain":"svid.test"}]}
        "#]],
        ),
    ] {
        server(d, line, expected).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn relationships_that_are_refused() -> Result<()> {
    let deployment = serving("", "").await?;
    for (url, expected) in [
        (
            "http://x",
            expect![[r#"

            [stderr]
            Failed to create the following federation relationship (code: InvalidArgument, msg: "failed to convert federation relationship: bundle endpoint URL must use the https scheme"):
            Trust domain              : web.test
            Bundle endpoint URL       : http://x
            Bundle endpoint profile   : https_web
            Error: failed to create one or more federation relationships
            [exit 1]
        "#]],
        ),
        (
            "https:///b",
            expect![[r#"

            [stderr]
            Failed to create the following federation relationship (code: InvalidArgument, msg: "failed to convert federation relationship: bundle endpoint URL must specify the host"):
            Trust domain              : web.test
            Bundle endpoint URL       : https:///b
            Bundle endpoint profile   : https_web
            Error: failed to create one or more federation relationships
            [exit 1]
        "#]],
        ),
        (
            "https://u:p@x/",
            expect![[r#"

            [stderr]
            Failed to create the following federation relationship (code: InvalidArgument, msg: "failed to convert federation relationship: bundle endpoint URL must not contain user info"):
            Trust domain              : web.test
            Bundle endpoint URL       : https://u:p@x/
            Bundle endpoint profile   : https_web
            Error: failed to create one or more federation relationships
            [exit 1]
        "#]],
        ),
        (
            "https://x:y/",
            expect![[r#"

            [stderr]
            Failed to create the following federation relationship (code: InvalidArgument, msg: "failed to convert federation relationship: failed to parse bundle endpoint URL: parse \"https://x:y/\": invalid port \":y\" after host"):
            Trust domain              : web.test
            Bundle endpoint URL       : https://x:y/
            Bundle endpoint profile   : https_web
            Error: failed to create one or more federation relationships
            [exit 1]
        "#]],
        ),
    ] {
        let line = format!(
            "federation create -trustDomain web.test -bundleEndpointURL {url} -bundleEndpointProfile https_web"
        );
        server(&deployment, &line, expected).await?;
    }
    for (line, expected) in [
        (
            "federation create -trustDomain example.org -bundleEndpointURL https://x -bundleEndpointProfile https_web",
            expect![[r#"

                [stderr]
                Failed to create the following federation relationship (code: InvalidArgument, msg: "unable to create federation relationship for server trust domain"):
                Trust domain              : example.org
                Bundle endpoint URL       : https://x
                Bundle endpoint profile   : https_web
                Error: failed to create one or more federation relationships
                [exit 1]
            "#]],
        ),
        (
            "federation create -trustDomain Web.test -bundleEndpointURL https://x -bundleEndpointProfile https_web",
            expect![[r#"

                [stderr]
                Failed to create the following federation relationship (code: InvalidArgument, msg: "failed to convert federation relationship: failed to parse trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores"):
                Trust domain              : Web.test
                Bundle endpoint URL       : https://x
                Bundle endpoint profile   : https_web
                Error: failed to create one or more federation relationships
                [exit 1]
            "#]],
        ),
        (
            "federation show -trustDomain Web.test",
            expect![[r#"
            [stderr]
            Error: error showing federation relationship: rpc error: code = InvalidArgument desc = failed to parse trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores
            [exit 1]
        "#]],
        ),
        (
            "federation delete -id Web.test",
            expect![[r#"
            [stderr]
            Error: failed to delete federation relationship "Web.test": failed to parse trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores
            [exit 1]
        "#]],
        ),
        (
            "federation refresh -id Web.test",
            expect![[r#"
            [stderr]
            Error: failed to refresh bundle: rpc error: code = InvalidArgument desc = failed to parse trust domain: trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores
            [exit 1]
        "#]],
        ),
        (
            "federation refresh -id web.test",
            expect![[r#"
            [stderr]
            Error: there is no federation relationship with trust domain "web.test"
            [exit 1]
        "#]],
        ),
    ] {
        server(&deployment, line, expected).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bundles_are_refreshed_now_or_it_is_told_why_not() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    for (line, expected) in [
        (
            "federation create -trustDomain web.test -bundleEndpointURL https://127.0.0.1:1/b \
             -bundleEndpointProfile https_web",
            expect![[r#"

                Trust domain              : web.test
                Bundle endpoint URL       : https://<version>.1:1/b
                Bundle endpoint profile   : https_web
            "#]],
        ),
        (
            "federation refresh -id web.test",
            expect![[r#"
            [stderr]
            Error: failed to refresh bundle: rpc error: code = Internal desc = failed to refresh bundle: failed to fetch federated bundle from endpoint: failed to fetch bundle: Get "https://<version>.1:1/b": dial tcp <version>.1:1: connect: connection refused
            [exit 1]
        "#]],
        ),
        (
            "federation create -trustDomain svid.test -bundleEndpointURL https://127.0.0.1:1/b \
             -bundleEndpointProfile https_spiffe -endpointSpiffeID spiffe://svid.test/e",
            expect![[r#"

                Trust domain              : svid.test
                Bundle endpoint URL       : https://<version>.1:1/b
                Bundle endpoint profile   : https_spiffe
                Endpoint SPIFFE ID        : spiffe://svid.test/e
            "#]],
        ),
        (
            "federation refresh -id spiffe://svid.test",
            expect![[r#"
            [stderr]
            Error: failed to refresh bundle: rpc error: code = Internal desc = failed to refresh bundle: can't perform SPIFFE Authentication: local copy of bundle not found
            [exit 1]
        "#]],
        ),
        (
            "federation refresh -id svid.test -output json",
            expect![[r#"
            [stderr]
            Error: failed to refresh bundle: rpc error: code = Internal desc = failed to refresh bundle: can't perform SPIFFE Authentication: local copy of bundle not found
            [exit 1]
        "#]],
        ),
    ] {
        server(d, line, expected).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn relationships_in_a_document_bring_their_bundles() -> Result<()> {
    let deployment = serving("", "").await?;
    let d = &deployment;
    let pem = d.server_command(&["bundle", "show"]).await?.ok()?;
    let written = |name: &str, more: serde_json::Value| {
        let mut one = serde_json::json!({
            "trustDomain": name,
            "bundleEndpointURL": format!("https://127.0.0.1:1/{name}"),
            "bundleEndpointProfile": "https_web",
        });
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    let bundle = serde_json::json!({ "trustDomainBundle": pem, "trustDomainBundleFormat": "pem" });
    let document = serde_json::json!({ "federationRelationships": [
        written("one.test", bundle),
        written("example.org", serde_json::json!({})),
        written("two.test", serde_json::json!({})),
    ]});
    let path = d.path("relationships.json");
    fs::write(&path, document.to_string())?;
    for (line, expected) in [
        (
            format!("federation create -data {}", path.display()),
            expect![[r#"

            Trust domain              : one.test
            Bundle endpoint URL       : https://<version>.1:1/one.test
            Bundle endpoint profile   : https_web

            Trust domain              : two.test
            Bundle endpoint URL       : https://<version>.1:1/two.test
            Bundle endpoint profile   : https_web

            [stderr]
            Failed to create the following federation relationship (code: InvalidArgument, msg: "unable to create federation relationship for server trust domain"):
            Trust domain              : example.org
            Bundle endpoint URL       : https://<version>.1:1/example.org
            Bundle endpoint profile   : https_web
            Error: failed to create one or more federation relationships
            [exit 1]
        "#]],
        ),
        (
            format!("federation update -data {} -output json", path.display()),
            expect![[r#"
            {"results":[{"federation_relationship":{"bundle_endpoint_url":"https://<version>.1:1/one.test","https_web":{},"trust_domain":"one.test","trust_domain_bundle":{"jwt_authorities":[],"refresh_hint":"0","sequence_number":"0","trust_domain":"one.test","wit_authorities":[],"x509_authorities":[{"asn1":"<base64>","tainted":false}]}},"status":{"code":0,"message":"OK"}},{"status":{"code":13,"message":"failed to update federation relationship: unable to fetch federation relationship: record not found"}},{"federation_relationship":{"bundle_endpoint_url":"https://<version>.1:1/two.test","https_web":{},"trust_domain":"two.test"},"status":{"code":0,"message":"OK"}}]}
        "#]],
        ),
        (
            "federation show -trustDomain one.test -output json".to_owned(),
            expect![[r#"
            {"bundle_endpoint_url":"https://<version>.1:1/one.test","https_web":{},"trust_domain":"one.test","trust_domain_bundle":{"jwt_authorities":[],"refresh_hint":"0","sequence_number":"0","trust_domain":"one.test","wit_authorities":[],"x509_authorities":[{"asn1":"<base64>","tainted":false}]}}
        "#]],
        ),
        (
            "bundle list -id one.test".to_owned(),
            expect![[r#"
            <pem CERTIFICATE>
        "#]],
        ),
        (
            format!("federation create -trustDomain x -data {}", path.display()),
            expect![[r#"
            [stderr]
            Error: cannot use other flags to specify relationship fields when 'data' flag is set
            [exit 1]
        "#]],
        ),
    ] {
        server(d, &line, expected).await?;
    }
    Ok(())
}
