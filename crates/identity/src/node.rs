//! The server's record of an agent.

use crate::{Selector, SpiffeId, UnixTime};

/// An agent SVID that the server knows: its serial number and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSerial {
    /// Certificate serial number in decimal.
    pub serial: String,
    /// `notAfter` of the certificate.
    pub expires_at: UnixTime,
}

/// An agent as the server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestedNode {
    /// The agent's SPIFFE ID.
    pub id: SpiffeId,
    /// Name of the node attestor that vouched for it.
    pub attestation_type: String,
    /// The SVID in use. An empty serial number means that the agent is banned.
    pub current: AgentSerial,
    /// An SVID handed out by a renewal and not used yet.
    pub staged: Option<AgentSerial>,
    /// Whether the agent may attest again instead of renewing.
    pub can_reattest: bool,
    /// Version the agent reported; empty if it never did.
    pub agent_version: String,
    /// What was attested of the node.
    pub selectors: Vec<Selector>,
}

impl AttestedNode {
    /// Whether the agent is banned: in the store this is an empty serial number.
    pub fn is_banned(&self) -> bool {
        self.current.serial.is_empty()
    }
}
