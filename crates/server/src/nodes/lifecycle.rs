//! What happens to agents after they are known.

use super::Nodes;
use super::admission::{self, Admission};
use crate::authority::IssuedX509;
use finial_identity::x509::Csr;
use finial_identity::{AgentSerial, Code, DenialReason, Failure, SpiffeId, UnixTime};
use finial_plugin::datastore::{NodeChange, StoreError};
use tracing::{debug, error, info, warn};

/// Longest version text an agent may report.
const VERSION_MAX: usize = 255;

/// The SVID with which an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentSvid<'a> {
    /// Whose it is.
    pub id: &'a SpiffeId,
    /// Serial number in decimal.
    pub serial: &'a str,
    /// When it ends.
    pub expires_at: UnixTime,
}

impl Nodes {
    /// Decides whether an agent may act, and makes a staged SVID the current one at its first use.
    pub async fn admit(&self, svid: AgentSvid<'_>) -> Result<(), Failure> {
        let now = self.clock.now();
        let node = self.registry.node(svid.id);
        let node = node.as_ref().map(|row| &row.value);
        let current = || node.map(|node| node.current.serial.as_str()).unwrap_or_default();
        let id = svid.id;
        let reason = match admission::judge(node, svid.serial, svid.expires_at, now.into()) {
            Admission::Current => return Ok(()),
            Admission::Staged => return self.promote(svid, current()).await,
            Admission::Denied(reason) => reason,
        };
        let text = match reason {
            DenialReason::AgentExpired => {
                error!(caller_id = %id, "Agent SVID is expired");
                format!("agent {:?} SVID is expired", id.as_str())
            }
            DenialReason::AgentNotAttested => {
                error!(caller_id = %id, "Agent is not attested");
                format!("agent {:?} is not attested", id.as_str())
            }
            DenialReason::AgentBanned => {
                error!(caller_id = %id, "Agent is banned");
                format!("agent {:?} is banned", id.as_str())
            }
            DenialReason::AgentNotActive | DenialReason::AgentMustReattest => {
                error!(
                    caller_id = %id,
                    serial_num = current(),
                    svid_serial_num = svid.serial,
                    "Agent SVID is not active"
                );
                let (id, current, serial) = (id.as_str(), current(), svid.serial);
                format!("agent {id:?} expected to have serial number {current:?}; has {serial:?}")
            }
        };
        Err(Failure::denied(reason, text))
    }

    async fn promote(&self, svid: AgentSvid<'_>, current: &str) -> Result<(), Failure> {
        let promoted = self.registry.change_node(svid.id, NodeChange::PromoteStaged, self.clock.now()).await;
        promoted.map_err(|e| {
            warn!(
                caller_id = %svid.id,
                error = %e,
                serial_num = current,
                svid_serial_num = svid.serial,
                "Unable to activate the new agent SVID"
            );
            Failure::internal(format!("unable to activate the new agent SVID: {e}"))
        })
    }

    /// Gives an agent its next SVID, which becomes the current one at its first use.
    pub async fn renew(&self, id: &SpiffeId, csr: Option<&[u8]>) -> Result<IssuedX509, Failure> {
        let node = self.registry.node(id).ok_or_else(|| Failure::not_found("agent not found"))?;
        if node.value.can_reattest {
            let text = "agent must reattest instead of renew";
            return Err(Failure::denied(DenialReason::AgentMustReattest, text));
        }
        info!(caller_id = %id, "Renewing agent SVID");
        let csr = csr.ok_or_else(|| Failure::invalid("params cannot be nil"))?;
        if csr.is_empty() {
            return Err(Failure::invalid("missing CSR"));
        }
        let csr = Csr::parse(csr).map_err(|e| Failure::invalid(format!("failed to parse CSR: {e}")))?;
        let svid = self.authority.issue_agent_x509(id, &csr.public_key).await?;
        let staged = AgentSerial { serial: svid.serial.clone(), expires_at: svid.expires_at };
        self.change(id, NodeChange::Stage(staged)).await?;
        Ok(svid)
    }

    /// Records what an agent says of itself.
    pub async fn post_status(&self, id: &SpiffeId, version: &str) -> Result<(), Failure> {
        if version.is_empty() {
            return Ok(());
        }
        if version.len() > VERSION_MAX {
            return Err(Failure::invalid("agent version is too long (max 255 characters)"));
        }
        let known = self.registry.node(id).is_some_and(|node| node.value.agent_version == version);
        if !known {
            self.change(id, NodeChange::Version(version.to_owned())).await?;
        }
        debug!(agent_version = version, spiffe_id = %id, "Agent status updated");
        Ok(())
    }

    async fn change(&self, id: &SpiffeId, change: NodeChange) -> Result<(), Failure> {
        let changed = self.registry.change_node(id, change, self.clock.now()).await;
        changed.map_err(|e| not_found_or(e, "failed to update agent"))
    }

    /// Bans an agent: it may neither act nor attest again until it is evicted.
    pub async fn ban(&self, id: &SpiffeId) -> Result<(), Failure> {
        let banned = self.registry.change_node(id, NodeChange::Ban, self.clock.now()).await;
        banned.map_err(|e| not_found_or(e, "failed to ban agent"))?;
        info!(spiffe_id = %id, "Agent banned");
        Ok(())
    }

    /// Forgets an agent: it may attest again if its attestor lets it.
    pub async fn evict(&self, id: &SpiffeId) -> Result<(), Failure> {
        let gone = self.registry.delete_node(id, self.clock.now()).await;
        gone.map_err(|e| not_found_or(e, "failed to remove agent"))?;
        info!(spiffe_id = %id, "Agent deleted");
        Ok(())
    }
}

fn not_found_or(error: StoreError, what: &str) -> Failure {
    match error.code {
        Code::NotFound => Failure::not_found("agent not found"),
        _ => Failure::internal(format!("{what}: {error}")),
    }
}
