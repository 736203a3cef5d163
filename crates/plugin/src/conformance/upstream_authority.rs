//! What every upstream authority must do.

use crate::upstream_authority::{MintedX509Ca, UpstreamAuthority};
use finial_identity::x509::{
    Certificate, CertificateTemplate, CsrRequest, DistinguishedName, Issuer, KeyUsage, Profile, SerialNumber,
    Validity, assemble, build_csr, to_be_signed, verify_svid,
};
use finial_identity::{Code, KeyType, PrivateKey, SpiffeId, TrustDomain, UnixTime};
use futures_util::StreamExt;
use std::time::Duration;

/// How long minted authorities are wished to live.
const TTL: Duration = Duration::from_secs(600);

/// Checks an upstream authority of that trust domain, whose roots are valid at `now` and for some minutes more.
///
/// # Panics
/// When the contract is broken.
pub async fn check(upstream: &dyn UpstreamAuthority, trust_domain: &TrustDomain, now: UnixTime) {
    assert!(!upstream.name().is_empty(), "it has a name");
    let key = PrivateKey::generate(KeyType::EcP256).expect("a key");
    let minted = upstream.mint_x509_ca(&request(&key, &trust_domain.id()), TTL).await.expect("mints");
    is_sound(&minted, &key, trust_domain, now);
    let again = upstream.mint_x509_ca(&request(&key, &trust_domain.id()), TTL).await.expect("mints again");
    assert_ne!(
        minted.chain[0].serial_decimal(),
        again.chain[0].serial_decimal(),
        "every authority has its own serial number"
    );
    refuses_bad_requests(upstream, trust_domain).await;
    follows(upstream, &minted).await;
}

fn request(key: &PrivateKey, id: &SpiffeId) -> Vec<u8> {
    let subject = DistinguishedName::spire();
    build_csr(key, &CsrRequest { subject, spiffe_id: Some(id), dns_names: &[] }).expect("a request")
}

fn is_sound(minted: &MintedX509Ca, key: &PrivateKey, trust_domain: &TrustDomain, now: UnixTime) {
    let authority = minted.chain.first().expect("a certificate");
    assert_eq!(authority.public_key().as_ref(), Ok(key.public_key()), "it is for the key of the request");
    assert!(authority.is_ca(), "it is an authority");
    assert!(authority.key_usage().contains(KeyUsage::CERT_SIGN), "it may sign certificates");
    assert_eq!(authority.uris(), [trust_domain.id().to_string()], "it is the trust domain's");
    assert!(authority.validity().contains(now), "it is valid");
    assert!(authority.not_after() <= now.plus_seconds(600 + 60), "it does not live longer than wished");
    let mut chain = vec![leaf_of(authority, key, trust_domain)];
    chain.extend(minted.chain.iter().cloned());
    verify_svid(&chain, minted.roots.iter(), now)
        .expect("what it signs is believed by those who trust the roots");
}

fn leaf_of(authority: &Certificate, key: &PrivateKey, trust_domain: &TrustDomain) -> Certificate {
    let scheme = key.public_key().certificate_scheme().expect("a key that signs certificates");
    let template = CertificateTemplate {
        serial: SerialNumber::random().expect("random"),
        subject: DistinguishedName::spire(),
        validity: Validity { not_before: authority.not_before(), not_after: authority.not_after() },
        // A leaf with the name and the key of its issuer would be no step at all.
        subject_key: PrivateKey::generate(KeyType::EcP256).expect("a key").public_key().clone(),
        profile: Profile::Svid {
            id: SpiffeId::from_path(trust_domain, "/conformance").expect("an ID"),
            dns_names: Vec::new(),
        },
        extra_extensions: Vec::new(),
    };
    let issuer = Issuer { subject_der: authority.raw_subject(), key_id: authority.subject_key_id(), scheme };
    let tbs = to_be_signed(&template, &issuer);
    let signature = key.sign(scheme, &tbs).expect("a signature");
    Certificate::from_der(&assemble(&tbs, scheme, &signature)).expect("a certificate")
}

async fn refuses_bad_requests(upstream: &dyn UpstreamAuthority, trust_domain: &TrustDomain) {
    let key = PrivateKey::generate(KeyType::EcP256).expect("a key");
    let good = request(&key, &trust_domain.id());
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    for (what, bad) in
        [("nothing", Vec::new()), ("half", good[..good.len() / 2].to_vec()), ("forged", forged)]
    {
        let refused = upstream.mint_x509_ca(&bad, TTL).await.err();
        assert!(refused.is_some(), "a request that is {what} must be refused");
    }
}

async fn follows(upstream: &dyn UpstreamAuthority, minted: &MintedX509Ca) {
    let mut updates = match upstream.follow_local_bundle().await {
        Err(failure) => {
            assert_eq!(failure.code, Code::Unimplemented, "{}", failure.message);
            return;
        }
        Ok(updates) => updates,
    };
    let first = updates.next().await.expect("the bundle of now").expect("it can be had");
    for root in &minted.roots {
        assert!(first.x509_authorities.contains(root), "the bundle above has the roots of what it mints");
    }
}
