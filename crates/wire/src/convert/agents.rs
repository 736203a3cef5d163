//! Agents as the server's API shows them.

use super::ids::{IdError, id_from_proto, id_to_proto};
use super::selectors::{selectors_from_proto, selectors_to_proto};
use finial_identity::selector::SelectorError;
use finial_identity::{AgentSerial, AttestedNode, UnixTime};
use finial_proto::types;

/// Every field.
pub const AGENT_MASK_ALL: types::AgentMask = types::AgentMask {
    attestation_type: true,
    x509svid_serial_number: true,
    x509svid_expires_at: true,
    selectors: true,
    banned: true,
    can_reattest: true,
    agent_version: true,
};

/// Why the message of an agent was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// Bad ID.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Bad selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
}

/// The message of an agent, with the fields of the mask. The ID is always there.
pub fn agent_to_proto(node: &AttestedNode, mask: Option<&types::AgentMask>) -> types::Agent {
    let mask = mask.unwrap_or(&AGENT_MASK_ALL);
    let text = |wanted: bool, text: &str| if wanted { text.to_owned() } else { String::new() };
    types::Agent {
        id: Some(id_to_proto(&node.id)),
        attestation_type: text(mask.attestation_type, &node.attestation_type),
        x509svid_serial_number: text(mask.x509svid_serial_number, &node.current.serial),
        x509svid_expires_at: if mask.x509svid_expires_at { node.current.expires_at.seconds() } else { 0 },
        selectors: if mask.selectors { selectors_to_proto(&node.selectors) } else { Vec::new() },
        banned: mask.banned && node.is_banned(),
        can_reattest: mask.can_reattest && node.can_reattest,
        agent_version: text(mask.agent_version, &node.agent_version),
    }
}

/// An agent as a server showed it. What a mask left out is empty, and a staged SVID is never shown.
pub fn agent_from_proto(agent: &types::Agent) -> Result<AttestedNode, AgentError> {
    let serial = if agent.banned { String::new() } else { agent.x509svid_serial_number.clone() };
    Ok(AttestedNode {
        id: id_from_proto(agent.id.as_ref())?,
        attestation_type: agent.attestation_type.clone(),
        current: AgentSerial { serial, expires_at: UnixTime::from_seconds(agent.x509svid_expires_at) },
        staged: None,
        can_reattest: agent.can_reattest,
        agent_version: agent.agent_version.clone(),
        selectors: selectors_from_proto(&agent.selectors)?,
    })
}
