//! How an agent becomes known: proof, identity, record.

use super::{AgentIdSelector, Nodes};
use crate::authority::IssuedX509;
use finial_identity::x509::Csr;
use finial_identity::{AgentSerial, AttestedNode, Code, Failure, Selector, SpiffeId};
use finial_plugin::node_attestor::{Attestation, Challenger};
use std::collections::HashSet;
use std::net::IpAddr;
use tracing::{info, warn};

/// The attestor that lives in the server itself, because its proof is a row of the store.
pub(crate) const JOIN_TOKEN: &str = "join_token";

/// What an agent presents.
pub struct AttestationRequest {
    /// Name of the node attestor.
    pub attestor: String,
    /// Its opening payload.
    pub payload: Vec<u8>,
    /// A certificate request of which only the public key counts.
    pub csr: Vec<u8>,
    /// Where the agent connects from, if over TCP.
    pub peer: Option<IpAddr>,
}

/// What an agent gets.
pub struct Attested {
    /// Its SVID.
    pub svid: IssuedX509,
    /// Whether it may attest again later.
    pub can_reattest: bool,
}

impl Nodes {
    /// Attests an agent and gives it an SVID.
    ///
    /// The proof is checked before anything is signed and the record is written before the SVID leaves, so
    /// that whoever holds an SVID is known.
    pub async fn attest(
        &self,
        request: AttestationRequest,
        challenger: &mut dyn Challenger,
    ) -> Result<Attested, Failure> {
        let proven = if request.attestor == JOIN_TOKEN {
            self.redeem_token(&request.payload).await?
        } else {
            self.prove(&request, challenger).await?
        };
        self.check_agent_id(&proven.agent_id, &request.attestor)?;
        let known = self.registry.node(&proven.agent_id);
        if known.is_some_and(|node| node.value.is_banned()) {
            return Err(Failure::new(Code::PermissionDenied, "failed to attest: agent is banned"));
        }
        let csr =
            Csr::parse(&request.csr).map_err(|e| Failure::invalid(format!("failed to parse CSR: {e}")))?;
        let svid = self.authority.issue_agent_x509(&proven.agent_id, &csr.public_key).await?;
        let can_reattest = proven.can_reattest;
        self.record(proven, &request.attestor, &svid).await?;
        info!(
            address = request.peer.map(tracing::field::display),
            agent_id = %svid.id,
            node_attestor_type = request.attestor,
            "Agent attestation request completed"
        );
        Ok(Attested { svid, can_reattest })
    }

    async fn prove(
        &self,
        request: &AttestationRequest,
        challenger: &mut dyn Challenger,
    ) -> Result<Attestation, Failure> {
        let name = &request.attestor;
        let attestor = self.attestors.get(name).ok_or_else(|| {
            let text = format!("error getting node attestor: could not find node attestor type {name:?}");
            Failure::new(Code::FailedPrecondition, text)
        })?;
        attestor.attest(&request.payload, request.peer, challenger).await
    }

    fn check_agent_id(&self, id: &SpiffeId, attestor: &str) -> Result<(), Failure> {
        self.trust_domain
            .require_member(id)
            .map_err(|e| Failure::internal(format!("invalid agent ID: {e}")))?;
        if *id == self.trust_domain.server_id() {
            return Err(Failure::internal("agent ID cannot collide with the server ID"));
        }
        if !id.path().starts_with(&format!("/spire/agent/{attestor}/")) {
            // SPIRE lets such IDs pass, and there are deployments that depend on it.
            warn!(
                agent_id = %id,
                node_attestor_type = attestor,
                "The node attestor produced an agent ID outside its own namespace"
            );
        }
        Ok(())
    }

    async fn record(&self, proven: Attestation, attestor: &str, svid: &IssuedX509) -> Result<(), Failure> {
        let mut selectors = proven.selectors;
        if self.agent_id_selector == AgentIdSelector::Add {
            selectors.push(Selector { kind: "spiffe_id".into(), value: proven.agent_id.to_string() });
        }
        let mut seen = HashSet::new();
        selectors.retain(|selector| seen.insert(selector.clone()));
        let node = AttestedNode {
            id: proven.agent_id,
            attestation_type: attestor.to_owned(),
            current: AgentSerial { serial: svid.serial.clone(), expires_at: svid.expires_at },
            staged: None,
            can_reattest: proven.can_reattest,
            agent_version: String::new(),
            selectors,
        };
        let written = self.registry.node_attested(node, self.clock.now()).await;
        written.map_err(|e| Failure::internal(format!("failed to update attested agent: {e}")))
    }
}
