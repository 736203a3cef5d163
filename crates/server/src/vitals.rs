//! What health checks ask of a running server: each answer is tried out, not remembered.

use crate::api::Rooms;
use crate::authority::MintX509;
use finial_identity::{Failure, KeyType, PrivateKey, PublicKey, SpiffeId};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The path of the identity that is signed and thrown away.
const PROBE_PATH: &str = "/for/health/check/only";
/// The life of that SVID, should anybody get hold of it: its private key is thrown away first.
const PROBE_TTL: Duration = Duration::from_secs(60);
/// With more failures in a row than this, rotation is broken rather than unlucky.
const FAILED_ROTATIONS_MAX: u32 = 10;

/// The probes. Cheap to clone.
#[derive(Clone)]
pub struct Vitals {
    rooms: Arc<Rooms>,
    rotations: Arc<Rotations>,
    key: PublicKey,
}

/// How often the rotation of authorities has failed since it last succeeded.
#[derive(Debug, Default)]
pub(crate) struct Rotations(AtomicU32);

impl Rotations {
    /// Counts the end of a rotation.
    pub(crate) fn note<T, E>(&self, outcome: &Result<T, E>) {
        match outcome {
            Ok(_) => self.0.store(0, Ordering::Relaxed),
            Err(_) => drop(self.0.fetch_add(1, Ordering::Relaxed)),
        }
    }

    fn check(&self) -> Result<(), Failure> {
        match self.0.load(Ordering::Relaxed) {
            0..=FAILED_ROTATIONS_MAX => Ok(()),
            _ => Err(Failure::internal("rotations exceed the threshold number of failures")),
        }
    }
}

impl Vitals {
    pub(crate) fn new(rooms: Arc<Rooms>, rotations: Arc<Rotations>) -> Result<Self, Failure> {
        let key = PrivateKey::generate(KeyType::EcP256)
            .map_err(|e| Failure::internal(format!("cannot make a key: {e}")))?;
        Ok(Self { rooms, rotations, key: key.public_key().clone() })
    }

    /// Whether the store can be read.
    pub async fn store(&self) -> Result<(), Failure> {
        let page = self.rooms.registry.store().bundle_page(0, 1).await;
        page.map(drop).map_err(|e| Failure::internal(e.to_string()))
    }

    /// Whether an X509-SVID can be signed.
    pub async fn signing(&self) -> Result<(), Failure> {
        let id = SpiffeId::from_path(&self.rooms.trust_domain, PROBE_PATH);
        let wish = MintX509 {
            id: id.map_err(|e| Failure::internal(e.to_string()))?,
            key: self.key.clone(),
            dns_names: Vec::new(),
            raw_subject: Vec::new(),
            ttl: Some(PROBE_TTL),
        };
        self.rooms.authority.mint_x509(wish).await.map(drop)
    }

    /// Whether authorities can be rotated.
    pub fn rotation(&self) -> Result<(), Failure> {
        self.rotations.check()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_many_failures_in_a_row_are_an_illness() {
        let rotations = Rotations::default();
        for _ in 0..10 {
            rotations.note(&Err::<(), ()>(()));
        }
        rotations.check().unwrap();
        rotations.note(&Err::<(), ()>(()));
        assert_eq!(
            rotations.check().unwrap_err().message,
            "rotations exceed the threshold number of failures"
        );
        rotations.note(&Ok::<(), ()>(()));
        rotations.check().unwrap();
    }
}
