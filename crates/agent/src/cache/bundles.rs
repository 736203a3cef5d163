//! The bundles an agent holds, each encoded once.

use bytes::Bytes;
use finial_identity::bundle::format::encode_jwks_workload;
use finial_identity::{Bundle, TrustDomain};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// A bundle with the encodings in which workloads get it.
#[derive(Debug)]
struct Held {
    bundle: Arc<Bundle>,
    x509_der: OnceLock<Bytes>,
    jwks: OnceLock<Bytes>,
}

/// The own bundle and the federated ones; immutable.
#[derive(Debug, Clone)]
pub struct BundleSet {
    own: TrustDomain,
    held: BTreeMap<TrustDomain, Arc<Held>>,
}

impl BundleSet {
    /// A set with the own bundle only.
    pub fn new(own: Bundle) -> Self {
        let trust_domain = own.trust_domain.clone();
        let mut set = Self { own: trust_domain, held: BTreeMap::new() };
        set.put(own);
        set
    }

    /// The own trust domain.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.own
    }

    /// This set with other bundles; bundles that did not change keep their encodings. The own bundle stays
    /// if `bundles` has none.
    #[must_use]
    pub fn replaced_by(&self, bundles: impl IntoIterator<Item = Bundle>) -> Self {
        let mut next = Self { own: self.own.clone(), held: BTreeMap::new() };
        for bundle in bundles {
            match self.held.get(&bundle.trust_domain) {
                Some(held) if *held.bundle == bundle => {
                    next.held.insert(bundle.trust_domain.clone(), Arc::clone(held));
                }
                _ => next.put(bundle),
            }
        }
        if let (false, Some(own)) = (next.held.contains_key(&self.own), self.held.get(&self.own)) {
            next.held.insert(self.own.clone(), Arc::clone(own));
        }
        next
    }

    fn put(&mut self, bundle: Bundle) {
        let trust_domain = bundle.trust_domain.clone();
        let held = Held { bundle: Arc::new(bundle), x509_der: OnceLock::new(), jwks: OnceLock::new() };
        self.held.insert(trust_domain, Arc::new(held));
    }

    /// Whether both sets hold the same bundles.
    pub fn same_as(&self, other: &Self) -> bool {
        self.held.len() == other.held.len()
            && self.held.iter().all(|(td, held)| {
                other.held.get(td).is_some_and(|o| Arc::ptr_eq(held, o) || held.bundle == o.bundle)
            })
    }

    /// One bundle.
    pub fn get(&self, trust_domain: &TrustDomain) -> Option<&Arc<Bundle>> {
        self.held.get(trust_domain).map(|held| &held.bundle)
    }

    /// The own bundle.
    pub fn own(&self) -> Option<&Arc<Bundle>> {
        self.get(&self.own)
    }

    /// The trust domains of all bundles.
    pub fn trust_domains(&self) -> impl Iterator<Item = &TrustDomain> {
        self.held.keys()
    }

    /// The X.509 authorities of a trust domain, as concatenated DER.
    pub fn x509_der(&self, trust_domain: &TrustDomain) -> Option<Bytes> {
        let held = self.held.get(trust_domain)?;
        Some(held.x509_der.get_or_init(|| held.bundle.x509_roots_der().into()).clone())
    }

    /// The JWT authorities of a trust domain, as the JWK Set that the Workload API hands out.
    pub fn jwks(&self, trust_domain: &TrustDomain) -> Option<Bytes> {
        let held = self.held.get(trust_domain)?;
        Some(held.jwks.get_or_init(|| encode_jwks_workload(&held.bundle).into()).clone())
    }
}
