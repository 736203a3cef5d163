//! What the agent trusts when it connects to its server: the bundle it holds at that moment.

use crate::directory::Directory;
use finial_identity::{Bundle, TrustDomain};
use finial_wire::tls::TrustSource;
use std::fmt;
use std::sync::Arc;

/// The own bundle of the directory.
pub struct AgentTrust(pub Directory);

impl fmt::Debug for AgentTrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AgentTrust")
    }
}

impl TrustSource for AgentTrust {
    fn authorities(&self, trust_domain: &TrustDomain) -> Option<Arc<Bundle>> {
        let bundles = self.0.bundles();
        if bundles.trust_domain() == trust_domain { bundles.own().cloned() } else { None }
    }
}
