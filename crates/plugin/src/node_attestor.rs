//! Node attestors, both ends: how an agent proves where it runs and how the server believes it.
//!
//! The server's [`ServerNodeAttestor`] is called once for each attestation stream; it must never trust a
//! byte of the payload before it is proven, must bound what it parses, and must return an agent ID below
//! `/spire/agent/<name>/`, unless an operator's template says otherwise. What the other end did wrong is
//! `InvalidArgument` (not understood) or `PermissionDenied` (not believed); a failure of the [`Challenger`] is
//! passed on as it is. The agent's [`AgentNodeAttestor`] is called at each (re-)attestation.
//! Checked by `conformance::node_attestor`, which runs both ends against each other.

use async_trait::async_trait;
use finial_identity::{Failure, Selector, SpiffeId};
use std::net::IpAddr;

/// The server's way to ask the agent for more proof while it attests.
#[async_trait]
pub trait Challenger: Send {
    /// Sends a challenge and waits for the answer. Fails when the agent went away.
    async fn challenge(&mut self, challenge: Vec<u8>) -> Result<Vec<u8>, Failure>;
}

/// What was proven of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    /// The agent's ID.
    pub agent_id: SpiffeId,
    /// Proven properties, of the attestor's own kind.
    pub selectors: Vec<Selector>,
    /// Whether the same proof may be given again later.
    pub can_reattest: bool,
}

/// The server's end.
#[async_trait]
pub trait ServerNodeAttestor: Send + Sync {
    /// The name under which agents ask for it, for example `x509pop`.
    fn name(&self) -> &str;

    /// Judges a payload, asking for more proof where the protocol has it. `peer` is the address the agent
    /// connects from, if it came over TCP.
    async fn attest(
        &self,
        payload: &[u8],
        peer: Option<IpAddr>,
        challenger: &mut dyn Challenger,
    ) -> Result<Attestation, Failure>;
}

/// One attestation in progress at the agent.
#[async_trait]
pub trait Prover: Send {
    /// What opens the attestation.
    fn payload(&self) -> Vec<u8>;

    /// Answers one challenge.
    async fn answer(&mut self, challenge: &[u8]) -> Result<Vec<u8>, Failure>;
}

/// The agent's end.
#[async_trait]
pub trait AgentNodeAttestor: Send + Sync {
    /// The name of the attestor to ask for at the server.
    fn name(&self) -> &str;

    /// Gathers what is needed for one attestation.
    async fn begin(&self) -> Result<Box<dyn Prover>, Failure>;
}
