//! Whose certificates are believed at the TCP endpoint.

use crate::bundle::{ForeignBundles, OwnBundle};
use finial_identity::{Bundle, SpiffeId, TrustDomain};
use finial_wire::tls::TrustSource;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The own trust domain, and single administrators of others.
pub struct ServerTrust {
    own: Arc<OwnBundle>,
    foreign: Arc<ForeignBundles>,
    trust_domain: TrustDomain,
    foreign_admins: BTreeSet<SpiffeId>,
}

impl ServerTrust {
    /// Believes the own bundle, and foreign bundles only for the IDs in `admin_ids`.
    pub fn new(
        trust_domain: TrustDomain,
        own: Arc<OwnBundle>,
        foreign: Arc<ForeignBundles>,
        admin_ids: &[SpiffeId],
    ) -> Self {
        let foreign_admins =
            admin_ids.iter().filter(|id| *id.trust_domain() != trust_domain).cloned().collect();
        Self { own, foreign, trust_domain, foreign_admins }
    }
}

impl fmt::Debug for ServerTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerTrust").field("trust_domain", &self.trust_domain).finish_non_exhaustive()
    }
}

impl TrustSource for ServerTrust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        if *trust_domain == self.trust_domain {
            return Some(self.own.current());
        }
        let wanted = self.foreign_admins.iter().any(|id| id.trust_domain() == trust_domain);
        if wanted { self.foreign.cached(trust_domain) } else { None }
    }

    fn admits(&self, id: &SpiffeId) -> bool {
        *id.trust_domain() == self.trust_domain || self.foreign_admins.contains(id)
    }
}
