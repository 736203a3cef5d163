//! What every data store must do: each line of the contract in `crate::datastore`, asserted.
//!
//! An implementation calls [`check`] from a test; each part gets a fresh, empty store.

mod bundles;
mod entries;
mod federation;
mod nodes;
mod small;

pub use bundles::{bundle_changes, bundle_deletion, bundle_rules};
pub use entries::{
    entry_admission, entry_batch, entry_concurrency, entry_crowds, entry_federation, entry_pages,
    entry_pruning, entry_refusals, entry_update_and_delete,
};
pub use federation::{relationship_changes, relationship_pages};
pub use nodes::{event_pruning, node_attestation, node_changes, node_deletion, node_pruning};
pub use small::{journals, tokens};

use crate::datastore::{DataStore, StoreError, StoreResult};
use finial_identity::x509::{
    AttributeKind, Certificate, CertificateTemplate, DistinguishedName, Issuer, Profile, SerialNumber,
    Validity, assemble, to_be_signed,
};
use finial_identity::{
    Code, EntryDraft, EntryId, EntrySpec, JwtAuthority, KeyType, PrivateKey, Selector, SpiffeId, TrustDomain,
    UnixTime, X509Authority,
};
use std::fmt::Debug;
use std::time::{Duration, SystemTime};

/// Runs the whole suite; `open` gives a fresh, empty store.
pub async fn check<S: DataStore, F: Future<Output = S>>(open: impl Fn() -> F) {
    entry_admission(&open().await).await;
    entry_crowds(&open().await).await;
    entry_refusals(&open().await).await;
    entry_federation(&open().await).await;
    entry_batch(&open().await).await;
    entry_pages(&open().await).await;
    entry_update_and_delete(&open().await).await;
    entry_pruning(&open().await).await;
    entry_concurrency(&open().await).await;
    node_attestation(&open().await).await;
    node_changes(&open().await).await;
    node_deletion(&open().await).await;
    node_pruning(&open().await).await;
    event_pruning(&open().await).await;
    bundle_changes(&open().await).await;
    bundle_rules(&open().await).await;
    bundle_deletion(&open().await).await;
    relationship_changes(&open().await).await;
    relationship_pages(&open().await).await;
    tokens(&open().await).await;
    journals(&open().await).await;
}

/// The moment of the suite, with a part of a second to be rounded down.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_800_000_000, 400_000_000)
}

fn later(seconds: u64) -> SystemTime {
    now() + Duration::from_secs(seconds)
}

fn id(path: &str) -> SpiffeId {
    SpiffeId::from_path(&trust_domain("example.org"), path).expect("the suite's own path")
}

fn trust_domain(name: &str) -> TrustDomain {
    TrustDomain::parse(name).expect("the suite's own trust domain")
}

fn selectors(texts: &[&str]) -> Vec<Selector> {
    texts.iter().map(|text| Selector::parse(text).expect("the suite's own selector")).collect()
}

fn entry_id(text: &str) -> EntryId {
    EntryId::parse(text).expect("the suite's own entry ID")
}

/// The plainest entry.
fn spec(path: &str, selector_texts: &[&str]) -> EntrySpec {
    EntrySpec {
        spiffe_id: id(path),
        parent_id: id("/spire/agent/test/parent"),
        selectors: selectors(selector_texts),
        x509_svid_ttl: 0,
        jwt_svid_ttl: 0,
        federates_with: Vec::new(),
        admin: false,
        downstream: false,
        expires_at: None,
        dns_names: Vec::new(),
        store_svid: false,
        hint: String::new(),
        additional: None,
    }
}

fn draft(path: &str, selector_texts: &[&str]) -> EntryDraft {
    EntryDraft { id: None, spec: spec(path, selector_texts) }
}

/// A self-signed authority that ends at `not_after`.
fn x509_authority(not_after: i64) -> X509Authority {
    let key = PrivateKey::generate(KeyType::EcP256).expect("a key");
    let scheme = key.public_key().certificate_scheme().expect("a scheme for P-256");
    let subject = DistinguishedName::new(&[(AttributeKind::Organization, "SPIFFE")]);
    let validity =
        Validity { not_before: UnixTime::from_seconds(1), not_after: UnixTime::from_seconds(not_after) };
    let template = CertificateTemplate {
        serial: SerialNumber::random().expect("a serial number"),
        subject: subject.clone(),
        validity,
        subject_key: key.public_key().clone(),
        profile: Profile::Authority { uri: trust_domain("example.org").id() },
        extra_extensions: Vec::new(),
    };
    let tbs = to_be_signed(&template, &Issuer { subject_der: subject.der(), key_id: None, scheme });
    let signature = key.sign(scheme, &tbs).expect("a signature");
    let der = assemble(&tbs, scheme, &signature);
    X509Authority::new(Certificate::from_der(&der).expect("our own certificate"))
}

fn jwt_authority(key_id: &str, expires_at: i64) -> JwtAuthority {
    let key = PrivateKey::generate(KeyType::EcP256).expect("a key");
    let expires_at = UnixTime::from_seconds(expires_at);
    JwtAuthority { expires_at, ..JwtAuthority::new(key_id, key.public_key().clone()) }
}

/// Asserts that a result is a failure with this code.
#[track_caller]
fn refused<T: Debug>(result: StoreResult<T>, code: Code) -> StoreError {
    let error = result.expect_err("the store must refuse this");
    assert_eq!(error.code, code, "{error}");
    error
}
