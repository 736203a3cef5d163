//! The section `federation`.

use super::*;
use finial_identity::{BundleEndpointProfile, SpiffeId, TrustDomain};
use finial_server::federation::{
    BundleEndpointConfig, Endpoint, FederationConfig, ServedAs, ServingCertificateFiles,
};

fn federation(keys: &str) -> FederationConfig {
    match server_with(&format!("federation {{\n{keys}\n}}")) {
        Ok(loaded) => loaded.settings.config.federation,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn nothing_is_asked_for() {
    assert_eq!(federation(""), FederationConfig::default());
}

#[test]
fn relationships_arrive_however_their_blocks_are_written() {
    let config = federation(
        r#"
        federates_with "web.test" { bundle_endpoint_url = "HTTPS://web.test/b" bundle_endpoint_profile "https_web" {} }
        federates_with "svid.test" {
            bundle_endpoint_url = "https://svid.test"
            bundle_endpoint_profile { https_spiffe { endpoint_spiffe_id = "spiffe://third.test/e" } }
        }"#,
    );
    let endpoint_id = SpiffeId::parse("spiffe://third.test/e").unwrap();
    let expected = [
        ("web.test", "https://web.test/b", BundleEndpointProfile::HttpsWeb),
        ("svid.test", "https://svid.test", BundleEndpointProfile::HttpsSpiffe { endpoint_id }),
    ];
    let expected = expected.map(|(name, url, profile)| {
        (TrustDomain::parse(name).unwrap(), Endpoint { url: url.to_owned(), profile })
    });
    assert_eq!(config.federates_with, expected.into());
}

#[test]
fn endpoints_arrive_with_their_defaults() {
    let endpoint = |keys: &str| federation(&format!("bundle_endpoint {{ {keys} }}")).bundle_endpoint.unwrap();
    let by_svid = BundleEndpointConfig {
        bind: "0.0.0.0:8443".parse().unwrap(),
        refresh_hint: Duration::from_secs(300),
        served_as: ServedAs::Spiffe,
    };
    assert_eq!(endpoint(r#"port = 8443 profile "https_spiffe" {}"#), by_svid);
    let web = endpoint(
        r#"address = "::1" port = "443" refresh_hint = "10m"
        profile "https_web" { serving_cert_file { cert_file_path = "/c" key_file_path = "/k" } }"#,
    );
    let files = ServingCertificateFiles { certificates: "/c".into(), key: "/k".into(), sync_interval: HOUR };
    let expected = BundleEndpointConfig {
        bind: "[::1]:443".parse().unwrap(),
        refresh_hint: Duration::from_secs(600),
        served_as: ServedAs::Web(files),
    };
    assert_eq!(web, expected);
}

#[test]
fn what_is_doubtful_is_warned_of() {
    check(
        server_with(r#"federation { bundle_endpoint { port = 8443 refresh_hint = "30s" } }"#),
        expect![[r#"
            warning: t.conf:2:30: server.federation.bundle_endpoint.profile: Bundle endpoint is configured but has no profile set, using https_spiffe as default; please configure a profile explicitly. This will be fatal in a future release.
            warning: t.conf:2:59: server.federation.bundle_endpoint.refresh_hint: Bundle endpoint refresh hint set too low. SPIRE will not refresh more often than 1 minute
        "#]],
    );
    check(
        server_with(
            r#"federation { bundle_endpoint { port = 8443 refresh_hint = "24h" profile "https_spiffe" { a = 1 } } }"#,
        ),
        expect![[r#"
            warning: t.conf:2:59: server.federation.bundle_endpoint.refresh_hint: Bundle endpoint refresh hint set to a high value. To cover the case of unscheduled trust bundle updates, it's recommended to have a smaller value, e.g. 5m
            warning: t.conf:2:90: server.federation.bundle_endpoint.profile.https_spiffe.a: unknown key; it has no effect
        "#]],
    );
}

#[test]
fn all_that_is_wrong_comes_out_at_once() {
    check(
        server_with(
            r#"federation {
bundle_endpoint { address = "localhost" refresh_hint = "x" bogus = 1 acme {} profile "https_web" {} }
federates_with "example.org" { bundle_endpoint_url = "https://x" bundle_endpoint_profile "https_web" {} }
federates_with "Bad" { bundle_endpoint_url = "http://x" bundle_endpoint_profile "https_spiffe" {} }
federates_with "a.test" { bundle_endpoint_profile "https_web" {} bundle_endpoint_profile "https_spiffe" {} }
federates_with "b.test" { bundle_endpoint_url = "https://u@x" bundle_endpoint_profile "https_mail" {} }
federates_with "c.test" { bundle_endpoint_url = "https://x:y" }
}"#,
        ),
        expect![[r#"
            t.conf:3:17: server.federation.bundle_endpoint.port: port must be configured
            t.conf:3:29: server.federation.bundle_endpoint.address: "localhost" is not an IP address
            t.conf:3:56: server.federation.bundle_endpoint.refresh_hint: could not parse refresh_hint "x": time: invalid duration "x"
            t.conf:3:60: server.federation.bundle_endpoint.bogus: unknown configuration detected: "bogus" is no key of bundle endpoint
            t.conf:3:75: server.federation.bundle_endpoint.acme: getting certificates by ACME is not available in this version; use serving_cert_file, with files that an ACME client of your choice renews
            t.conf:3:98: server.federation.bundle_endpoint.profile.https_web: malformed https_web profile configuration: 'acme' or 'serving_cert_file' is required
            t.conf:4:16: server.federation.federates_with.example.org: a server does not federate with its own trust domain
            t.conf:5:16: server.federation.federates_with.Bad: could not parse trust domain "Bad": trust domain characters are limited to lowercase letters, numbers, dots, dashes, and underscores
            t.conf:5:46: server.federation.federates_with.Bad.bundle_endpoint_url: federation.federates_with["Bad"].bundle_endpoint_url must use the HTTPS protocol; URL found: "http://x"
            t.conf:5:96: server.federation.federates_with.Bad.bundle_endpoint_profile.https_spiffe.endpoint_spiffe_id: could not get endpoint SPIFFE ID: cannot be empty
            t.conf:6:25: server.federation.federates_with.a.test.bundle_endpoint_url: federation.federates_with["a.test"].bundle_endpoint_url must be configured
            t.conf:6:105: server.federation.federates_with.a.test.bundle_endpoint_profile: exactly one bundle endpoint profile is expected
            t.conf:7:49: server.federation.federates_with.b.test.bundle_endpoint_url: bundle endpoint URL must not contain user info
            t.conf:7:100: server.federation.federates_with.b.test.bundle_endpoint_profile.https_mail: no bundle endpoint profile defined; current supported profiles are "https_spiffe" and "https_web"
            t.conf:8:25: server.federation.federates_with.c.test.bundle_endpoint_profile: federation configuration for trust domain "c.test": missing bundle endpoint configuration
            t.conf:8:49: server.federation.federates_with.c.test.bundle_endpoint_url: failed to parse bundle endpoint URL: parse "https://x:y": invalid port ":y" after host"#]],
    );
    check(
        server_with(
            r#"federation {
bundle_endpoint { port = 8443 profile "https_web" { serving_cert_file { file_sync_interval = "x" } } }
}"#,
        ),
        expect![[r#"
            t.conf:3:71: server.federation.bundle_endpoint.profile.https_web.serving_cert_file.cert_file_path: cert_file_path must be configured
            t.conf:3:71: server.federation.bundle_endpoint.profile.https_web.serving_cert_file.key_file_path: key_file_path must be configured
            t.conf:3:94: server.federation.bundle_endpoint.profile.https_web.serving_cert_file.file_sync_interval: could not parse file_sync_interval "x": time: invalid duration "x""#]],
    );
    check(
        server_with(r#"federation { bundle_endpoint { port = 8443 profile "https_mail" {} } }"#),
        expect![[
            r#"t.conf:2:65: server.federation.bundle_endpoint.profile.https_mail: unknown bundle endpoint profile configured; current supported profiles are "https_spiffe" and "https_web""#
        ]],
    );
    check(
        server_with(
            r#"federation { bundle_endpoint { port = 8443 profile "https_web" { acme { email = "x" } } } }"#,
        ),
        expect![
            "t.conf:2:71: server.federation.bundle_endpoint.profile.https_web.acme: getting certificates by ACME is not available in this version; use serving_cert_file, with files that an ACME client of your choice renews"
        ],
    );
}
