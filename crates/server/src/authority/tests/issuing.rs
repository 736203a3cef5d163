//! What is issued: profile, lifetimes, texts, keys of every kind.

use super::{DAY, HOUR, NOW, World, id};
use crate::authority::testing::{MemoryKeys, OtherKey, Reach, key};
use crate::authority::{AuthorityConfig, IssuedX509, JtiSwitch, JwtRequest, JwtSwitch, MintX509};
use expect_test::expect;
use finial_identity::jwt::JwtSvid;
use finial_identity::x509::{AttributeKind, Certificate, DistinguishedName, ExtendedKeyUsage};
use finial_identity::{Code, EntrySpec, KeyType, PrivateKey, SpiffeId, UnixTime};
use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

fn spec(path: &str, ttl: i32, dns_names: &[&str]) -> EntrySpec {
    EntrySpec {
        spiffe_id: id(path),
        parent_id: id("/spire/agent/a"),
        selectors: Vec::new(),
        x509_svid_ttl: ttl,
        jwt_svid_ttl: 0,
        federates_with: Vec::new(),
        admin: false,
        downstream: false,
        expires_at: None,
        dns_names: dns_names.iter().map(|name| (*name).to_owned()).collect(),
        store_svid: false,
        hint: String::new(),
        additional: None,
    }
}

fn leaf(issued: &IssuedX509) -> Certificate {
    let leaf = Certificate::from_der(&issued.chain[0]).unwrap();
    assert_eq!(leaf.serial_decimal(), issued.serial);
    assert_eq!(leaf.not_after(), issued.expires_at);
    assert_eq!(leaf.spiffe_id().unwrap(), issued.id);
    leaf
}

fn at(offset: i64) -> UnixTime {
    UnixTime::from_seconds(NOW as i64 + offset)
}

/// What openssl shows of the samples in `data/spire-outputs`, without what is random.
fn profile(certificate: &Certificate) -> String {
    let mut text = format!("version {}, {}\n", certificate.version(), certificate.subject());
    for extension in certificate.extensions() {
        writeln!(text, "{} {:?}", extension.oid(), extension.criticality()).unwrap();
    }
    writeln!(text, "CA {}, usage {:?}", certificate.is_ca(), certificate.key_usage()).unwrap();
    writeln!(text, "{:?} {:?}", certificate.dns_names(), certificate.uris()).unwrap();
    text
}

#[tokio::test]
async fn certificates_have_the_profile_of_the_samples() {
    let server = World::new().start().await;
    let root = server.bundle.current().x509_authorities[0].certificate.clone();
    let serial = root.serial_decimal();
    expect![[r#"
        version 3, SERIALNUMBER=…,O=SPIFFE,C=US
        2.5.29.15 Critical
        2.5.29.19 Critical
        2.5.29.14 NonCritical
        2.5.29.17 NonCritical
        CA true, usage KeyUsage(0b001100000)
        [] ["spiffe://example.org"]
    "#]]
    .assert_eq(&profile(&root).replace(&serial, "…"));
    assert_eq!(root.raw_issuer(), root.raw_subject());
    assert_eq!(root.authority_key_id(), None);
    assert_eq!(root.subject_key_id().unwrap(), root.public_key().unwrap().key_id());
    assert_eq!((root.not_before(), root.not_after()), (at(-10), at(DAY as i64)));

    let entry = spec("/myservice", 0, &["example.org", "a.example.org"]);
    let issued = server.authority.issue_workload_x509(&entry, key().public_key()).await.unwrap();
    assert_eq!(issued.chain.len(), 1, "the self-signed root stays out");
    let leaf = leaf(&issued);
    expect![[r#"
        version 3, CN=example.org,O=SPIRE,C=US
        2.5.29.15 Critical
        2.5.29.37 NonCritical
        2.5.29.19 Critical
        2.5.29.14 NonCritical
        2.5.29.35 NonCritical
        2.5.29.17 NonCritical
        CA false, usage KeyUsage(0b000010101)
        ["example.org", "a.example.org"] ["spiffe://example.org/myservice"]
    "#]]
    .assert_eq(&profile(&leaf));
    assert_eq!(leaf.ext_key_usage(), [ExtendedKeyUsage::ServerAuth, ExtendedKeyUsage::ClientAuth]);
    assert_eq!(leaf.raw_issuer(), root.raw_subject());
    assert_eq!(leaf.authority_key_id(), root.subject_key_id());
    assert_eq!(leaf.subject_key_id().unwrap(), key().public_key().key_id());
    assert_eq!((leaf.not_before(), leaf.not_after()), (at(-10), at(HOUR as i64)));
    assert_eq!(server.verify(&issued.chain), entry.spiffe_id);
}

#[tokio::test]
async fn lifetimes_come_from_where_they_should_and_end_with_the_authority() {
    let mut world = World::new();
    world.config.agent_ttl = Duration::from_secs(2 * HOUR);
    world.config.default_jwt_svid_ttl = Duration::from_secs(60);
    let server = world.start().await;
    let (authority, key) = (&server.authority, key().public_key());
    let workload = |ttl| authority.issue_workload_x509_owned(spec("/w", ttl, &[]), key.clone());
    assert_eq!(workload(0).await.expires_at, at(HOUR as i64));
    assert_eq!(workload(-1).await.expires_at, at(HOUR as i64));
    assert_eq!(workload(77).await.expires_at, at(77));
    assert_eq!(workload(DAY as i32).await.expires_at, at(DAY as i64));
    assert_eq!(workload(i32::MAX).await.expires_at, at(DAY as i64));
    let agent = authority.issue_agent_x509(&id("/spire/agent/a"), key).await.unwrap();
    assert_eq!(agent.expires_at, at(2 * HOUR as i64));
    assert_eq!(leaf(&agent).subject(), "O=SPIRE,C=US");
    let own = authority.issue_server_x509(key).await.unwrap();
    assert_eq!((own.id, own.expires_at), (id("/spire/server"), at(HOUR as i64)));

    let (subject, audience) = (id("/w"), ["a".to_owned()]);
    let token = |ttl: Option<u64>| {
        let ttl = ttl.map(Duration::from_secs);
        authority.issue_jwt(JwtRequest { id: &subject, audience: &audience, ttl, jti: JtiSwitch::Omit })
    };
    assert_eq!(token(None).await.unwrap().expires_at, at(60));
    assert_eq!(token(Some(0)).await.unwrap().expires_at, at(60));
    assert_eq!(token(Some(5)).await.unwrap().expires_at, at(5));
    assert_eq!(token(Some(u64::MAX)).await.unwrap().expires_at, at(DAY as i64));

    // A minute before the end of an authority that nobody rotated.
    world.clock.advance(Duration::from_secs(DAY - 60));
    assert_eq!(workload(0).await.expires_at, at(DAY as i64));
    assert_eq!(token(Some(61)).await.unwrap().expires_at, at(DAY as i64));
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(workload(0).await.expires_at, at(DAY as i64), "its last second");
    let refused = token(None).await.unwrap_err();
    assert_eq!(refused.message, "failed to sign JWT-SVID: JWT key is not available for signing");
    world.clock.advance(Duration::from_secs(1));
    let refused = authority.issue_agent_x509(&id("/spire/agent/a"), key).await.unwrap_err();
    assert_eq!(refused.code, Code::Internal);
    assert_eq!(refused.message, "failed to sign X509 SVID: X509 CA is not available for signing");
    let refused = authority.issue_workload_x509(&spec("/w", 0, &[]), key).await.unwrap_err();
    assert_eq!(refused.message, "failed to sign X509-SVID: X509 CA is not available for signing");
}

impl crate::authority::Authority {
    async fn issue_workload_x509_owned(
        &self,
        spec: EntrySpec,
        key: finial_identity::PublicKey,
    ) -> IssuedX509 {
        let issued = self.issue_workload_x509(&spec, &key).await.unwrap();
        leaf(&issued);
        issued
    }
}

#[tokio::test]
async fn mints_what_the_request_says() {
    let server = World::new().start().await;
    let subject =
        DistinguishedName::new(&[(AttributeKind::Organization, "Ours"), (AttributeKind::CommonName, "mine")]);
    let wish = MintX509 {
        id: id("/minted"),
        key: key().public_key().clone(),
        dns_names: Vec::new(),
        raw_subject: subject.der().to_vec(),
        ttl: Some(Duration::from_secs(90)),
    };
    let minted = server.authority.mint_x509(wish.clone()).await.unwrap();
    assert_eq!(leaf(&minted).subject(), "CN=mine,O=Ours");
    assert_eq!(minted.expires_at, at(90));
    assert_eq!(server.verify(&minted.chain), wish.id);

    let named = MintX509 { dns_names: vec!["a.test".to_owned()], ttl: None, ..wish.clone() };
    let minted = server.authority.mint_x509(named).await.unwrap();
    assert_eq!(leaf(&minted).subject(), "CN=a.test,O=Ours");
    assert_eq!(minted.expires_at, at(HOUR as i64));

    let foreign = MintX509 { id: SpiffeId::parse("spiffe://other.test/a").unwrap(), ..wish };
    let refused = server.authority.mint_x509(foreign).await.unwrap_err();
    expect![[
        r#"failed to sign X509-SVID: invalid X509-SVID ID: "spiffe://other.test/a" is not a member of trust domain "example.org""#
    ]]
    .assert_eq(&refused.message);
}

#[tokio::test]
async fn tokens() {
    let mut world = World::new();
    world.config.jwt_issuer = Some("https://issuer.test".to_owned());
    let server = world.start().await;
    let (subject, audience) = (id("/w"), ["one".to_owned(), String::new(), "two".to_owned()]);
    let request = JwtRequest { id: &subject, audience: &audience, ttl: None, jti: JtiSwitch::Include };
    let issued = server.authority.issue_jwt(request).await.unwrap();
    assert_eq!(server.verify_jwt(&issued.token, "two"), subject);
    let read = JwtSvid::parse_unverified(issued.token.clone()).unwrap();
    assert_eq!(read.audience, ["one", "two"]);
    assert_eq!((read.issued_at, read.expires_at), (issued.issued_at, issued.expires_at));
    assert_eq!((issued.id, issued.issued_at), (subject.clone(), at(0)));
    let again = server.authority.issue_jwt(request).await.unwrap();
    assert_ne!(issued.token, again.token);
    assert!(!format!("{again:?}").contains(&again.token));

    let nobody = JwtRequest { audience: &audience[1..2], ..request };
    let refused = server.authority.issue_jwt(nobody).await.unwrap_err();
    assert_eq!(refused.message, "failed to sign JWT-SVID: invalid JWT-SVID audience: cannot be empty");

    let mut world = World::new();
    world.config.jwt = JwtSwitch::Disabled;
    let server = world.start().await;
    let refused = server.authority.issue_jwt(request).await.unwrap_err();
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (Code::Unimplemented, "JWT functionality is disabled")
    );
    assert_eq!(server.authority.jwt_state().active, None);
    assert_eq!(world.keys.names(), ["x509-CA-A"]);
    assert!(server.bundle.current().jwt_authorities.is_empty());
}

#[tokio::test]
async fn every_type_of_key() {
    for kind in [KeyType::EcP256, KeyType::EcP384, KeyType::Rsa2048, KeyType::Rsa4096] {
        let mut world = World::new();
        let config = AuthorityConfig { ca_key_type: kind, jwt_key_type: kind, ..world.config };
        world.config = config;
        let server = world.start().await;
        let entry = spec("/w", 0, &[]);
        let issued = server.authority.issue_workload_x509(&entry, key().public_key()).await.unwrap();
        assert_eq!(server.verify(&issued.chain), entry.spiffe_id, "{kind}");
        let audience = ["a".to_owned()];
        let subject = &entry.spiffe_id;
        let request = JwtRequest { id: subject, audience: &audience, ttl: None, jti: JtiSwitch::Omit };
        let token = server.authority.issue_jwt(request).await.unwrap().token;
        assert_eq!(server.verify_jwt(&token, "a"), entry.spiffe_id, "{kind}");

        let identity = server.authority.issue_server_identity().await.unwrap();
        assert_eq!(*identity.id(), id("/spire/server"));
        let leaf_key = identity.svid().leaf().public_key().unwrap();
        let ca_key = server.bundle.current().x509_authorities[0].certificate.public_key().unwrap();
        assert_eq!(leaf_key.kind(), ca_key.kind());
    }
}

#[tokio::test]
async fn batches_keep_their_order_near_and_far() {
    for reach in [Reach::Near, Reach::Far] {
        let mut world = World::new();
        world.keys = MemoryKeys::reached(reach);
        let server = world.start().await;
        let mut specs: Vec<_> = (0..200).map(|n| spec(&format!("/w/{n}"), 0, &[])).collect();
        specs[7].spiffe_id = SpiffeId::parse("spiffe://other.test/a").unwrap();
        let wishes: Vec<_> = specs.iter().map(|spec| (spec, key().public_key())).collect();
        let issued = server.authority.issue_workload_x509_batch(&wishes).await;
        assert_eq!(issued.len(), specs.len());
        let mut serials = HashSet::new();
        for (at, (spec, issued)) in specs.iter().zip(issued).enumerate() {
            if at == 7 {
                assert!(issued.unwrap_err().message.starts_with("failed to sign X509-SVID: invalid"));
                continue;
            }
            let issued = issued.unwrap();
            assert_eq!(server.verify(&issued.chain), spec.spiffe_id);
            assert!(serials.insert(issued.serial));
        }
    }
}

#[tokio::test]
async fn a_key_that_is_not_what_it_says_is_found_out() {
    let world = World::new();
    drop(world.start().await);
    for name in ["x509-CA-A", "JWT-Signer-A"] {
        let (_, honest) = finial_plugin::key_manager::KeyManager::key_list(&*world.keys)
            .await
            .unwrap()
            .into_iter()
            .find(|(id, _)| id == name)
            .unwrap();
        let signs_with = Some(PrivateKey::generate(KeyType::EcP256).unwrap());
        world.keys.put(name, Arc::new(OtherKey { says: honest.public_key().clone(), signs_with }));
    }
    let server = world.start().await;
    let refused = server.authority.issue_server_x509(key().public_key()).await.unwrap_err();
    expect!["failed to sign X509 SVID: failed to sign X509 SVID: the key manager returned a signature that does not verify"]
        .assert_eq(&refused.message);
    let (subject, audience) = (id("/w"), ["a".to_owned()]);
    let request = JwtRequest { id: &subject, audience: &audience, ttl: None, jti: JtiSwitch::Omit };
    server.authority.issue_jwt(request).await.unwrap_err();
}
