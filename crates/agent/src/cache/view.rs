//! What one group of workloads sees.

use super::{BundleSet, X509Material};
use bytes::Bytes;
use finial_identity::GrantedEntry;
use std::sync::{Arc, OnceLock};

/// An identity that a workload may have.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The entry that gives it.
    pub entry: Arc<GrantedEntry>,
    /// Its X509-SVID, once signed.
    pub x509: Option<Arc<X509Material>>,
}

/// Everything a group of workloads may have at one moment; immutable and shared.
#[derive(Debug)]
pub struct View {
    /// Identities, in the order of their entry IDs.
    pub identities: Vec<Identity>,
    /// All bundles the agent holds; an identity names those it may see.
    pub bundles: Arc<BundleSet>,
    /// The `X509SVIDResponse` of this view, encoded by whoever needs it first.
    pub x509_response: OnceLock<Bytes>,
}

impl View {
    pub(super) fn new(identities: Vec<Identity>, bundles: Arc<BundleSet>) -> Self {
        Self { identities, bundles, x509_response: OnceLock::new() }
    }

    /// Whether no entry matches.
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty()
    }

    /// Whether every identity has its X509-SVID.
    pub fn is_complete(&self) -> bool {
        self.identities.iter().all(|identity| identity.x509.is_some())
    }
}
