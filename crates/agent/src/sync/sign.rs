//! Having X509-SVIDs signed: a fresh key each, in batches, keys never leave the agent.

use super::{Sync, tell};
use crate::cache::X509Material;
use crate::upstream::X509Request;
use bytes::Bytes;
use finial_identity::GrantedEntry;
use finial_identity::x509::{Certificate, CsrRequest, DistinguishedName, X509Svid, build_csr};
use finial_identity::{EntryId, Failure, KeyType, PrivateKey, rotation};
use finial_runtime::backoff::{BatchSize, random_unit};
use std::sync::Arc;
use std::time::Duration;
use tracing::warn;
use zeroize::Zeroizing;

/// Certificates asked for in one call.
const BATCH_MAX: usize = 500;

/// How workload SVIDs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignOptions {
    /// Kind of their keys.
    pub key_type: KeyType,
    /// How much life must always be left of an SVID, if the operator says so.
    pub availability_target: Option<Duration>,
}

impl Sync {
    /// Signs everything that the plan names. What was signed before a fault stays signed.
    pub(super) async fn sign_planned(&self) -> Result<(), Failure> {
        let mut batch = BatchSize::new(BATCH_MAX);
        loop {
            let now = self.clock.now();
            let plan = self.directory.plan(now);
            if plan.sign.is_empty() {
                return Ok(());
            }
            let wanted: Vec<Arc<GrantedEntry>> = self.directory.read(|cache| {
                plan.sign.iter().take(batch.current()).filter_map(|id| cache.entry(id)).cloned().collect()
            });
            match self.sign_batch(wanted).await {
                Ok(Outcome { refused: None }) => batch.succeeded(),
                // The next sync will say why; asking again at once would be a storm.
                Ok(Outcome { refused: Some(failure) }) => return Err(failure),
                Err(failure) if batch.current() > 1 && is_size_related(&failure) => batch.failed(),
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn sign_batch(&self, entries: Vec<Arc<GrantedEntry>>) -> Result<Outcome, Failure> {
        self.directory.read(|cache| tell::signing(cache, &entries));
        let key_type = self.sign.key_type;
        let ids: Vec<EntryId> = entries.iter().map(|entry| entry.id.clone()).collect();
        let made = tokio::task::spawn_blocking(move || make_requests(&ids, key_type)).await;
        let (keys, requests) =
            made.map_err(|e| Failure::internal(format!("making keys was interrupted: {e}")))??;
        let answers = self.upstream.sign_x509(requests).await?;
        if answers.len() != entries.len() {
            let (got, wanted) = (answers.len(), entries.len());
            return Err(Failure::internal(format!("the server answered {got} of {wanted} requests")));
        }
        let mut signed = Vec::with_capacity(answers.len());
        let mut refused = None;
        for ((entry, key), answer) in entries.iter().zip(keys).zip(answers) {
            let material = answer.and_then(|chain| self.accept(entry, key, chain));
            match material {
                Ok(material) => {
                    if self.directory.read(|cache| cache.tainted().contains(&material.authority_key_id)) {
                        refused.get_or_insert_with(still_tainted);
                    }
                    signed.push((entry.id.clone(), material));
                }
                Err(failure) => {
                    warn!(
                        entry_id = %entry.id,
                        spiffe_id = %entry.spiffe_id,
                        error = %failure,
                        "Failed to get an X509-SVID"
                    );
                    refused.get_or_insert(failure);
                }
            }
        }
        self.directory.change(|cache| {
            tell::signed(cache, signed.iter().map(|(id, _)| id));
            cache.install(signed)
        });
        Ok(Outcome { refused })
    }

    /// Checks that what came back is for this entry and this key.
    fn accept(
        &self,
        entry: &GrantedEntry,
        key: PrivateKey,
        chain: Vec<Certificate>,
    ) -> Result<X509Material, Failure> {
        let wrong = |what: String| Failure::internal(format!("the server sent a wrong X509-SVID: {what}"));
        let svid = X509Svid::from_chain(chain).map_err(|e| wrong(e.to_string()))?;
        if svid.id != entry.spiffe_id {
            return Err(wrong(format!("it is for {}", svid.id)));
        }
        let leaf = svid.chain.first().ok_or_else(|| wrong("it is empty".to_owned()))?;
        if leaf.public_key().ok().as_ref() != Some(key.public_key()) {
            return Err(wrong("it is for another key".to_owned()));
        }
        let (not_before, not_after) = (leaf.not_before(), leaf.not_after());
        let target = self.sign.availability_target;
        let rotate_at = rotation::x509_svid_rotate_at(not_before, not_after, target, random_unit());
        let rotate_at = rotation::no_sooner(rotate_at, self.clock.now(), not_after);
        let authority_key_id = issuer_of(&svid.chain);
        let chain: Vec<u8> = svid.chain.iter().flat_map(|certificate| certificate.der()).copied().collect();
        Ok(X509Material {
            chain: Bytes::from(chain),
            key_pkcs8: Zeroizing::new(key.to_pkcs8().to_vec()),
            authority_key_id,
            not_before,
            expires_at: not_after,
            rotate_at,
            revision: entry.revision,
            created_at: entry.created_at,
        })
    }
}

/// How a batch went; the first refusal of one of its requests, if any.
struct Outcome {
    refused: Option<Failure>,
}

/// Asking again at once would not help, and never end.
fn still_tainted() -> Failure {
    Failure::new(finial_identity::Code::Unavailable, "the server still signs with a tainted X.509 authority")
}

/// Whether a smaller batch may help.
fn is_size_related(failure: &Failure) -> bool {
    use finial_identity::Code;
    matches!(failure.code, Code::ResourceExhausted | Code::DeadlineExceeded)
}

fn make_requests(ids: &[EntryId], key_type: KeyType) -> Result<(Vec<PrivateKey>, Vec<X509Request>), Failure> {
    let failed = |e| Failure::internal(format!("cannot make a key: {e}"));
    let subject = DistinguishedName::spire();
    let mut keys = Vec::with_capacity(ids.len());
    let mut requests = Vec::with_capacity(ids.len());
    for id in ids {
        let key = PrivateKey::generate(key_type).map_err(failed)?;
        let request = CsrRequest { subject: subject.clone(), spiffe_id: None, dns_names: &[] };
        let csr = build_csr(&key, &request).map_err(failed)?;
        requests.push(X509Request { entry_id: id.clone(), csr });
        keys.push(key);
    }
    Ok((keys, requests))
}

/// The key ID of the authority of the bundle that the chain ends at.
fn issuer_of(chain: &[Certificate]) -> String {
    chain.last().map(Certificate::authority_key_id_hex).unwrap_or_default()
}
