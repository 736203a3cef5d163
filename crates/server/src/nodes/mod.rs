//! Agents: attestation, renewal, bans, join tokens, and the question whether an agent may act.
//!
//! Pure rules are in [`admission`]; the rest calls the registry and the authority. API types stay outside.

pub mod admission;
mod attest;
mod lifecycle;
mod tokens;

pub use attest::{AttestationRequest, Attested};
pub use lifecycle::AgentSvid;
pub use tokens::TokenRequest;

use crate::authority::Authority;
use crate::registry::Registry;
use finial_identity::TrustDomain;
use finial_plugin::node_attestor::ServerNodeAttestor;
use finial_runtime::clock::Clock;
use std::collections::HashMap;
use std::sync::Arc;

/// Whether each attested agent also gets the selector `spiffe_id:<its ID>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentIdSelector {
    /// It does not (SPIRE's default).
    Omit,
    /// It does.
    Add,
}

/// What agents ask of the server and operators ask about agents.
pub struct Nodes {
    trust_domain: TrustDomain,
    registry: Arc<Registry>,
    authority: Arc<Authority>,
    attestors: HashMap<String, Arc<dyn ServerNodeAttestor>>,
    agent_id_selector: AgentIdSelector,
    clock: Arc<dyn Clock>,
}

impl Nodes {
    /// Takes the attestors by their names.
    pub fn new(
        trust_domain: TrustDomain,
        registry: Arc<Registry>,
        authority: Arc<Authority>,
        attestors: Vec<Arc<dyn ServerNodeAttestor>>,
        agent_id_selector: AgentIdSelector,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let attestors =
            attestors.into_iter().map(|attestor| (attestor.name().to_owned(), attestor)).collect();
        Self { trust_domain, registry, authority, attestors, agent_id_selector, clock }
    }
}
