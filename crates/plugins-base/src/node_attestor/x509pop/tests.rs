use super::challenge::{Challenge, ChallengeError, Response};
use super::*;
use crate::certificate_files;
use async_trait::async_trait;
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, Code, Failure, TrustDomain, X509Authority};
use finial_plugin::conformance::node_attestor as suite;
use finial_plugin::node_attestor::{AgentNodeAttestor, Attestation, Challenger, Prover, ServerNodeAttestor};
use finial_runtime::clock::TestClock;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::watch;

/// A moment in 2024, at which all but the expired certificate are valid.
const NOW: u64 = 1_704_067_200;

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/x509pop").join(name)
}

fn td() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn external(ca: &str) -> X509PopServerConfig {
    X509PopServerConfig { ca_bundle_path: Some(fixture(ca)), ..Default::default() }
}

fn spiffe() -> X509PopServerConfig {
    X509PopServerConfig { mode: Some("spiffe".into()), ..Default::default() }
}

fn server(config: &X509PopServerConfig) -> X509PopServer {
    server_at(config, NOW)
}

fn server_at(config: &X509PopServerConfig, now: u64) -> X509PopServer {
    let mut bundle = Bundle::new(td());
    let root = certificate_files::load_certificates(&fixture("root.pem")).unwrap().remove(0);
    bundle.x509_authorities.push(X509Authority::new(root));
    let (_, own) = watch::channel(Some(Arc::new(bundle)));
    X509PopServer::new(config, td(), own, Arc::new(TestClock::at_unix(now))).unwrap()
}

/// The intermediate goes along.
fn agent(certificate: &str, key: &str) -> X509PopAgent {
    let config = X509PopAgentConfig {
        private_key_path: fixture(key),
        certificate_path: fixture(certificate),
        intermediates_path: Some(fixture("intermediate.pem")),
        spiffe_endpoint_socket: None,
    };
    X509PopAgent::new(config).unwrap()
}

async fn attest(agent: &X509PopAgent, config: &X509PopServerConfig) -> Result<Attestation, Failure> {
    suite::attest(agent, &server(config), None).await
}

async fn refusal(agent: &X509PopAgent, config: &X509PopServerConfig) -> (Code, String) {
    let failure = attest(agent, config).await.unwrap_err();
    (failure.code, failure.message)
}

fn values(attested: &Attestation) -> Vec<&str> {
    attested.selectors.iter().map(|selector| selector.value.as_str()).collect()
}

#[tokio::test]
async fn keeps_the_contract() {
    let config = external("root.pem");
    for (certificate, key) in [("rsa.crt", "rsa.key"), ("p256.crt", "p256.key"), ("p384.crt", "p384.key")] {
        suite::check(&agent(certificate, key), &server(&config), &td(), None).await;
    }
    suite::check(&agent("svid.crt", "p256.key"), &server(&spiffe()), &td(), None).await;
}

#[tokio::test]
async fn says_what_the_certificate_says() {
    let attested = attest(&agent("rsa.crt", "rsa.key"), &external("roots.pem")).await.unwrap();
    let of =
        |name: &str| describe::fingerprint(&certificate_files::load_certificates(&fixture(name)).unwrap()[0]);
    let expected = [
        "subject:cn:node-1".to_owned(),
        format!("ca:fingerprint:{}", of("intermediate.pem")),
        format!("ca:fingerprint:{}", of("root.pem")),
        "serialnumber:0abc".to_owned(),
        "san:datacenter:us-east-1".to_owned(),
        "san:environment:prod/blue".to_owned(),
    ];
    assert_eq!(values(&attested), expected);
    assert_eq!(attested.agent_id.path(), format!("/spire/agent/x509pop/{}", of("rsa.crt")));
    assert!(attested.can_reattest);
}

/// Agent and selectors as a deployed SPIRE recorded them for these files.
#[tokio::test]
async fn says_what_a_deployed_spire_says() {
    // A moment in 2027.
    let server = server_at(&external("spire-ca.pem"), 1_800_000_000);
    let attested = suite::attest(&agent("spire-node.crt", "spire-node.key"), &server, None).await.unwrap();
    let id = "spiffe://example.org/spire/agent/x509pop/5a0420fc4ec9554298bc9fcb6e058669bd3422f8";
    assert_eq!(attested.agent_id.to_string(), id);
    let expected = [
        "subject:cn:node1.example.org",
        "ca:fingerprint:6da9c25408845859e6d4b671f8638438406fec98",
        "serialnumber:32bdf0203bbd4d8a5e6a8167be1c2bd1c18efb23",
    ];
    assert_eq!(values(&attested), expected);
}

#[tokio::test]
async fn names_agents_by_template() {
    let path = async |template: &str| {
        let config =
            X509PopServerConfig { agent_path_template: Some(template.into()), ..external("root.pem") };
        let attested = attest(&agent("rsa.crt", "rsa.key"), &config).await;
        attested.map(|attested| attested.agent_id.path().to_owned()).map_err(|failure| failure.message)
    };
    assert_eq!(path("/cn/{{ .Subject.CommonName }}").await.unwrap(), "/spire/agent/cn/node-1");
    assert_eq!(
        path("/{{ .TrustDomain }}/{{ index .URISanSelectors \"datacenter\" }}/{{ .SerialNumberHex }}/{{ .SerialNumber }}")
            .await
            .unwrap(),
        "/spire/agent/example.org/us-east-1/0abc/2748"
    );
    assert_eq!(
        path("/{{ index .Subject.OrganizationalUnit 1 | lower }}/{{ index .IPAddresses 0 }}/{{ first .DNSNames }}")
            .await
            .unwrap(),
        "/spire/agent/edge/192.0.2.7/node-1.example.org"
    );
    assert_eq!(
        path("/{{ .Issuer.CommonName }}/v{{ .Version }}").await.unwrap(),
        "/spire/agent/Intermediate/v3"
    );
    let failed = path("/{{ .URISanSelectors.nothing }}").await.unwrap_err();
    assert_eq!(failed, "failed to make spiffe id: 1:5: map has no entry for key \"nothing\"");
}

#[tokio::test]
async fn refuses_who_nobody_vouches_for() {
    let foreign = refusal(&agent("p256.crt", "p256.key"), &external("foreign-root.pem")).await;
    let unknown = "certificate verification failed: x509: certificate signed by unknown authority";
    assert_eq!(foreign, (Code::PermissionDenied, unknown.into()));
    let expired = refusal(&agent("expired.crt", "p256.key"), &external("root.pem")).await;
    let out_of_validity =
        "certificate verification failed: x509: certificate has expired or is not yet valid";
    assert_eq!(expired, (Code::PermissionDenied, out_of_validity.into()));
    let alone = X509PopAgentConfig {
        private_key_path: fixture("p256.key"),
        certificate_path: fixture("p256.crt"),
        ..Default::default()
    };
    let without_intermediate = refusal(&X509PopAgent::new(alone).unwrap(), &external("root.pem")).await;
    assert_eq!(without_intermediate, (Code::PermissionDenied, unknown.into()));
    // In 2100 the root has expired as well.
    let late = server_at(&external("root.pem"), 4_102_444_800);
    assert!(suite::attest(&agent("p256.crt", "p256.key"), &late, None).await.is_err());
    let no_usage = refusal(&agent("no-usage.crt", "p256.key"), &external("root.pem")).await;
    let not_for_signatures =
        "unable to generate challenge: certificate not intended for digital signature use";
    assert_eq!(no_usage, (Code::Internal, not_for_signatures.into()));
}

#[tokio::test]
async fn a_pinned_certificate_needs_nobody() {
    let attested = attest(&agent("pinned.crt", "p256.key"), &external("pinned.crt")).await.unwrap();
    assert!(!values(&attested).iter().any(|value| value.starts_with("ca:")));
    assert!(attest(&agent("pinned.crt", "p256.key"), &external("root.pem")).await.is_err());
}

#[tokio::test]
async fn keeps_its_limits() {
    // The agent sends one more intermediate than the five of the file.
    let deep = agent("deep.crt", "p256.key");
    let too_many = (Code::InvalidArgument, "too many intermediate certificates".to_owned());
    assert_eq!(refusal(&deep, &external("root.pem")).await, too_many);
    let wide = X509PopServerConfig { max_intermediates: Some(6), ..external("root.pem") };
    assert_eq!(values(&attest(&deep, &wide).await.unwrap()).len(), 5 + 1 + 1);
    let small = X509PopServerConfig { max_rsa_key_size: Some(2047), ..external("root.pem") };
    let too_large = (Code::InvalidArgument, "leaf certificate key size too large".to_owned());
    assert_eq!(refusal(&agent("rsa.crt", "rsa.key"), &small).await, too_large);
    assert!(attest(&agent("p256.crt", "p256.key"), &small).await.is_ok());
}

#[tokio::test]
async fn checks_the_address() {
    let config = X509PopServerConfig { verify_client_ip: true, ..external("root.pem") };
    let (server, agent) = (server(&config), agent("rsa.crt", "rsa.key"));
    for known in ["192.0.2.7", "2001:db8::7", "::ffff:192.0.2.7"] {
        assert!(suite::attest(&agent, &server, Some(known.parse().unwrap())).await.is_ok(), "{known}");
    }
    let stranger = suite::attest(&agent, &server, Some("192.0.2.8".parse().unwrap())).await.unwrap_err();
    assert_eq!(stranger.message, "client IP 192.0.2.8 does not match any certificate IP SAN");
    assert_eq!(stranger.code, Code::PermissionDenied);
    let hidden = suite::attest(&agent, &server, None).await.unwrap_err();
    assert_eq!(
        (hidden.code, hidden.message.as_str()),
        (Code::Internal, "client IP not available for verification")
    );
}

#[tokio::test]
async fn exchanges_svids_below_the_prefix() {
    let attested = attest(&agent("svid.crt", "p256.key"), &spiffe()).await.unwrap();
    assert_eq!(attested.agent_id.to_string(), "spiffe://example.org/spire/agent/x509pop/rack/7");
    let other = agent("other-svid.crt", "p256.key");
    let no_match = (Code::PermissionDenied, "x509 cert doesnt match SVID prefix".to_owned());
    assert_eq!(refusal(&other, &spiffe()).await, no_match);
    let any = X509PopServerConfig { spiffe_prefix: Some(String::new()), ..spiffe() };
    assert_eq!(attest(&other, &any).await.unwrap().agent_id.path(), "/spire/agent/x509pop/workload");
    let no_id = refusal(&agent("p256.crt", "p256.key"), &spiffe()).await;
    assert_eq!(no_id, (Code::PermissionDenied, "valid SVID x509 cert not found".into()));

    let (_, none_yet) = watch::channel(None);
    let early = X509PopServer::new(&spiffe(), td(), none_yet, Arc::new(TestClock::at_unix(NOW))).unwrap();
    let failure = suite::attest(&agent("svid.crt", "p256.key"), &early, None).await.unwrap_err();
    assert_eq!(failure.code, Code::Unavailable);
}

/// Sends a certificate and holds another's key.
struct Thief {
    payload: Vec<u8>,
    prover: Box<dyn Prover>,
}

#[async_trait]
impl Challenger for Thief {
    async fn challenge(&mut self, challenge: Vec<u8>) -> Result<Vec<u8>, Failure> {
        self.prover.answer(&challenge).await
    }
}

#[tokio::test]
async fn refuses_the_holder_of_another_key() {
    let server = server(&external("root.pem"));
    let failed = "challenge response verification failed: ";
    for (stolen, own, why) in [
        (agent("p256.crt", "p256.key"), agent("p384.crt", "p384.key"), "ECDSA signature verify failed"),
        (agent("p384.crt", "p384.key"), agent("p256.crt", "p256.key"), "ECDSA signature verify failed"),
    ] {
        let payload = stolen.begin().await.unwrap().payload();
        let mut thief = Thief { payload, prover: own.begin().await.unwrap() };
        let failure = server.attest(&thief.payload.clone(), None, &mut thief).await.unwrap_err();
        assert_eq!((failure.code, failure.message), (Code::PermissionDenied, format!("{failed}{why}")));
    }
    let mut thief = Thief {
        payload: agent("rsa.crt", "rsa.key").begin().await.unwrap().payload(),
        prover: agent("p256.crt", "p256.key").begin().await.unwrap(),
    };
    let failure = server.attest(&thief.payload.clone(), None, &mut thief).await.unwrap_err();
    assert_eq!(failure.message, "failed to calculate challenge response: expecting ECDSA challenge");
}

fn leaf(name: &str) -> Certificate {
    certificate_files::load_certificates(&fixture(name)).unwrap().remove(0)
}

fn answer(name: &str) -> Response {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

#[test]
fn answers_of_spire_are_accepted_and_only_to_their_challenge() {
    for (certificate, file) in [
        ("rsa.crt", "answer-rsa.json"),
        ("rsa.crt", "answer-rsa-short-salt.json"),
        ("p256.crt", "answer-p256.json"),
        ("p384.crt", "answer-p384.json"),
        ("p521.crt", "answer-p521.json"),
    ] {
        let key = leaf(certificate).public_key().unwrap();
        let challenge = Challenge::with_nonce(&key, vec![1; 32]).unwrap();
        assert_eq!(challenge.verify(&key, &answer(file)), Ok(()), "{file}");
        // A replay: the same answer to another challenge.
        let another = Challenge::with_nonce(&key, vec![3; 32]).unwrap();
        assert!(another.verify(&key, &answer(file)).is_err(), "{file}");
        let text = std::fs::read_to_string(fixture(file)).unwrap();
        // The agent's nonce with one bit changed.
        let tampered = serde_json::from_str(&text.replacen("AgIC", "AgID", 1)).unwrap();
        assert!(challenge.verify(&key, &tampered).is_err(), "{file}");
        let shorter = serde_json::from_str(&text.replacen("AgIC", "", 1)).unwrap();
        assert_eq!(challenge.verify(&key, &shorter), Err(ChallengeError::BadResponseNonce), "{file}");
    }
    let key = leaf("p256.crt").public_key().unwrap();
    let challenge = Challenge::with_nonce(&key, vec![1; 32]).unwrap();
    assert_eq!(challenge.verify(&key, &answer("answer-rsa.json")), Err(ChallengeError::NoEcdsaResponse));
    let huge = serde_json::json!({"ecdsa_signature": {
        "nonce": "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=", "r": "AAAA".repeat(100), "s": "AA=="}});
    let huge = serde_json::from_value(huge).unwrap();
    assert_eq!(challenge.verify(&key, &huge), Err(ChallengeError::BadEcdsaSignature));
}

#[test]
fn the_wire_is_spires() {
    let key = leaf("p256.crt").public_key().unwrap();
    let challenge = Challenge::with_nonce(&key, vec![0; 32]).unwrap();
    let nonce = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    assert_eq!(
        serde_json::to_string(&challenge).unwrap(),
        format!("{{\"rsa_signature\":null,\"ecdsa_signature\":{{\"nonce\":\"{nonce}\"}}}}")
    );
    let payload = Payload { certificates: vec![Bytes(vec![0, 1]), Bytes(vec![2])] };
    assert_eq!(serde_json::to_string(&payload).unwrap(), r#"{"certificates":["AAE=","Ag=="]}"#);
    for file in ["answer-rsa.json", "answer-p256.json"] {
        let text = std::fs::read_to_string(fixture(file)).unwrap();
        assert_eq!(serde_json::to_string(&answer(file)).unwrap(), text);
    }
}

#[test]
fn every_problem_of_a_server_is_reported() {
    let texts = |config: &X509PopServerConfig| -> Vec<String> {
        config.validate().iter().map(ToString::to_string).collect()
    };
    assert_eq!(texts(&external("root.pem")), [""; 0]);
    assert_eq!(texts(&spiffe()), [""; 0]);
    assert_eq!(
        texts(&X509PopServerConfig {
            agent_path_template: Some("/{{ .Extensions }}".into()),
            max_intermediates: Some(0),
            max_rsa_key_size: Some(-1),
            ..Default::default()
        })
        .len(),
        4
    );
    let both = X509PopServerConfig { ca_bundle_paths: vec![fixture("root.pem")], ..external("root.pem") };
    assert_eq!(
        texts(&both),
        ["ca_bundle_paths: only one of ca_bundle_path or ca_bundle_paths can be configured, not both"]
    );
    assert_eq!(
        texts(&X509PopServerConfig { mode: Some("tpm".into()), ..Default::default() }),
        ["mode: mode can only be either spiffe or external_pki"]
    );
    let spiffe = X509PopServerConfig { ca_bundle_path: Some(fixture("root.pem")), ..spiffe() };
    assert_eq!(
        texts(&spiffe),
        ["ca_bundle_path: you can not use ca_bundle_path or ca_bundle_paths in spiffe mode"]
    );
    let absent = texts(&external("absent.pem")).remove(0);
    assert!(absent.starts_with("ca_bundle_path: unable to load trust bundle \""), "{absent}");
    let unsupported =
        X509PopServerConfig { agent_path_template: Some("/{{ now }}".into()), ..external("root.pem") };
    assert_eq!(
        texts(&unsupported),
        [
            "agent_path_template: failed to parse agent svid template: \"/{{ now }}\": 1:5: function \"now\" not defined"
        ]
    );
}

#[test]
fn every_problem_of_an_agent_is_reported() {
    let texts = |certificate: &str, key: &str| -> Vec<String> {
        let path = |name: &str| if name.is_empty() { PathBuf::new() } else { fixture(name) };
        let config = X509PopAgentConfig {
            private_key_path: path(key),
            certificate_path: path(certificate),
            ..Default::default()
        };
        config.validate().iter().map(ToString::to_string).collect()
    };
    assert_eq!(texts("p256.crt", "p256.key"), [""; 0]);
    assert_eq!(
        texts("", ""),
        ["private_key_path: private_key_path is required", "certificate_path: certificate_path is required"]
    );
    assert_eq!(
        texts("p256.crt", "wrong.key"),
        ["private_key_path: unable to load keypair: private key does not match public key"]
    );
    assert_eq!(
        texts("p521.crt", "p521.key"),
        ["private_key_path: unable to load keypair: unsupported private key type"]
    );
    assert!(texts("p256.key", "p256.key")[0].contains("no certificates found in file"));
    assert!(texts("p256.crt", "p256.crt")[0].contains("no private key found in file"));
    assert!(texts("absent.crt", "p256.key")[0].contains("absent.crt"));
    let socket =
        X509PopAgentConfig { spiffe_endpoint_socket: Some("unix:///a".into()), ..Default::default() };
    assert_eq!(socket.validate()[0].key, "spiffe_endpoint_socket");
    assert!(X509PopAgent::new(socket).is_err());
}

#[tokio::test]
async fn foreign_bytes_are_refused() {
    let server = server(&external("root.pem"));
    let wrong = async |payload: &[u8]| server.attest(payload, None, &mut Silent).await.unwrap_err();
    assert_eq!(wrong(b"{}").await, Failure::invalid("no certificate to attest"));
    assert_eq!(wrong(b"{\"certificates\":null}").await, Failure::invalid("no certificate to attest"));
    for bad in
        [&b"{\"certificates\":[\"%\"]}"[..], b"{\"certificates\":[null]}", b"{\"certificates\":[\"AAAA\"]}"]
    {
        assert_eq!(wrong(bad).await.code, Code::InvalidArgument);
    }
    let long = vec![b' '; (1 << 20) + 1];
    assert_eq!(wrong(&long).await, Failure::invalid("failed to unmarshal data: too long"));
}

struct Silent;

#[async_trait]
impl Challenger for Silent {
    async fn challenge(&mut self, _challenge: Vec<u8>) -> Result<Vec<u8>, Failure> {
        Err(Failure::new(Code::Cancelled, "gone"))
    }
}
