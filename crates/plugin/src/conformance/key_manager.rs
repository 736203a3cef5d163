//! What every key manager must do.

use crate::key_manager::{KeyManager, KeyManagerError, SigningKey};
use finial_identity::key::PublicKeyKind;
use finial_identity::{KeyType, PublicKey, SignatureScheme};
use std::sync::Arc;

const MESSAGE: &[u8] = b"the message that is signed";

/// Each kind of key, what it looks like from outside, and a scheme that fits it.
const KINDS: [(KeyType, PublicKeyKind, SignatureScheme); 4] = [
    (KeyType::EcP256, PublicKeyKind::EcP256, SignatureScheme::EcdsaP256Sha256),
    (KeyType::EcP384, PublicKeyKind::EcP384, SignatureScheme::EcdsaP384Sha384),
    (KeyType::Rsa2048, PublicKeyKind::Rsa(2048), SignatureScheme::RsaPkcs1Sha256),
    (KeyType::Rsa4096, PublicKeyKind::Rsa(4096), SignatureScheme::RsaPssSha256),
];

/// Checks a key manager without keys. Leaves keys behind.
///
/// # Panics
/// When the contract is broken.
pub async fn check(manager: &dyn KeyManager) {
    starts_empty(manager).await;
    makes_every_kind(manager).await;
    lists_by_name(manager).await;
    replaces(manager).await;
    takes_concurrent_calls(manager).await;
}

/// Checks that `open`, called again, finds what was made before: the same names and keys. For key managers
/// whose keys outlive the process.
///
/// # Panics
/// When the contract is broken.
pub async fn check_survives_restart<M: KeyManager>(open: impl Fn() -> M) {
    let first = open();
    let key = make(&first, "restart-A", KeyType::EcP256).await;
    make(&first, "restart-B", KeyType::EcP384).await;
    let before = listed(&first).await;
    drop(first);
    let second = open();
    assert_eq!(listed(&second).await, before, "a restart must find the same keys");
    let found = get(&second, "restart-A").await.expect("restart-A survives");
    assert_eq!(found.public_key(), key.public_key());
    signs(&*found, SignatureScheme::EcdsaP256Sha256).await;

    let replaced = make(&second, "restart-A", KeyType::EcP256).await;
    drop(second);
    let found = get(&open(), "restart-A").await.expect("restart-A survives");
    assert_eq!(found.public_key(), replaced.public_key(), "a restart must find the key made last");
}

async fn starts_empty(manager: &dyn KeyManager) {
    assert_eq!(listed(manager).await, [], "the suite needs a key manager without keys");
    assert!(get(manager, "absent").await.is_none(), "a key that is not there is None, not an error");
    let refused = manager.key_generate("", KeyType::EcP256).await;
    assert!(matches!(refused, Err(KeyManagerError::Generate(_))), "a key needs a name");
    assert_eq!(listed(manager).await, [], "a refused key must leave nothing behind");
}

async fn makes_every_kind(manager: &dyn KeyManager) {
    for (kind, outside, scheme) in KINDS {
        let id = format!("kind-{}", kind.name());
        let made = make(manager, &id, kind).await;
        assert_eq!(made.public_key().kind(), outside, "{id}");
        signs(&*made, scheme).await;
        let found = get(manager, &id).await.expect("what was made is there");
        assert_eq!(found.public_key(), made.public_key(), "{id}");
        signs(&*found, scheme).await;
    }
    let key = get(manager, "kind-ec-p256").await.expect("what was made is there");
    let misfit = SignatureScheme::RsaPkcs1Sha256;
    assert!(key.sign(misfit, MESSAGE).await.is_err(), "a scheme that does not fit must be refused");
    assert!(key.sign_inline(misfit, MESSAGE).is_none_or(|signed| signed.is_err()));
}

async fn lists_by_name(manager: &dyn KeyManager) {
    for id in ["order-b", "order-a", "order-C"] {
        make(manager, id, KeyType::EcP256).await;
    }
    let listed = listed(manager).await;
    assert!(listed.is_sorted_by(|a, b| a.0 < b.0), "keys are listed by name, each once");
    for (id, public_key) in listed {
        let found = get(manager, &id).await.expect("what is listed is there");
        assert_eq!(found.public_key(), &public_key, "{id}");
    }
}

async fn replaces(manager: &dyn KeyManager) {
    let old = make(manager, "replaced", KeyType::EcP256).await;
    let count = listed(manager).await.len();
    let new = make(manager, "replaced", KeyType::EcP384).await;
    assert_ne!(new.public_key(), old.public_key());
    assert_eq!(listed(manager).await.len(), count, "a replaced key takes no new place");
    let found = get(manager, "replaced").await.expect("the new key is there");
    assert_eq!(found.public_key(), new.public_key());
    if let Ok(signature) = old.sign(SignatureScheme::EcdsaP256Sha256, MESSAGE).await {
        verify(old.public_key(), SignatureScheme::EcdsaP256Sha256, &signature);
    }
}

async fn takes_concurrent_calls(manager: &dyn KeyManager) {
    let (a, b, c, again) = tokio::join!(
        make(manager, "concurrent-a", KeyType::EcP256),
        make(manager, "concurrent-b", KeyType::EcP256),
        make(manager, "concurrent-c", KeyType::EcP256),
        make(manager, "concurrent-a", KeyType::EcP256),
    );
    let scheme = SignatureScheme::EcdsaP256Sha256;
    tokio::join!(signs(&*b, scheme), signs(&*b, scheme), signs(&*c, scheme));
    for (id, candidates) in
        [("concurrent-a", [&a, &again]), ("concurrent-b", [&b, &b]), ("concurrent-c", [&c, &c])]
    {
        let found = get(manager, id).await.expect("what was made is there");
        let is_known = candidates.iter().any(|made| made.public_key() == found.public_key());
        assert!(is_known, "no concurrent call may lose a key: {id}");
    }
}

async fn make(manager: &dyn KeyManager, id: &str, kind: KeyType) -> Arc<dyn SigningKey> {
    manager.key_generate(id, kind).await.expect("a key can be made")
}

async fn get(manager: &dyn KeyManager, id: &str) -> Option<Arc<dyn SigningKey>> {
    manager.key_get(id).await.expect("the key manager answers")
}

async fn listed(manager: &dyn KeyManager) -> Vec<(String, PublicKey)> {
    let keys = manager.key_list().await.expect("the key manager answers");
    keys.into_iter().map(|(id, key)| (id, key.public_key().clone())).collect()
}

async fn signs(key: &dyn SigningKey, scheme: SignatureScheme) {
    let signature = key.sign(scheme, MESSAGE).await.expect("the key signs");
    verify(key.public_key(), scheme, &signature);
    if let Some(signature) = key.sign_inline(scheme, MESSAGE) {
        verify(key.public_key(), scheme, &signature.expect("what signs inline signs"));
    }
}

fn verify(key: &PublicKey, scheme: SignatureScheme, signature: &[u8]) {
    key.verify(scheme, MESSAGE, signature).expect("the signature is the key's");
}
