//! May this agent SVID act? Pure.
//!
//! The order of the questions and their answers are an interface: agents act on the reason.

use finial_identity::{AttestedNode, DenialReason, UnixTime};

/// The verdict on an agent's SVID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is the current one.
    Current,
    /// It was handed out by a renewal and is used for the first time: it becomes the current one.
    Staged,
    /// It may not act.
    Denied(DenialReason),
}

/// Judges the SVID with serial number `serial` (decimal) that ends at `expires_at`.
pub fn judge(node: Option<&AttestedNode>, serial: &str, expires_at: UnixTime, now: UnixTime) -> Admission {
    if expires_at < now {
        return Admission::Denied(DenialReason::AgentExpired);
    }
    match node {
        None => Admission::Denied(DenialReason::AgentNotAttested),
        Some(node) if node.is_banned() => Admission::Denied(DenialReason::AgentBanned),
        Some(node) if node.current.serial == serial => Admission::Current,
        Some(node) if node.staged.as_ref().is_some_and(|staged| staged.serial == serial) => Admission::Staged,
        Some(_) => Admission::Denied(DenialReason::AgentNotActive),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_identity::{AgentSerial, SpiffeId};

    fn node(current: &str, staged: Option<&str>) -> AttestedNode {
        let serial =
            |text: &str| AgentSerial { serial: text.into(), expires_at: UnixTime::from_seconds(100) };
        AttestedNode {
            id: SpiffeId::parse("spiffe://example.org/spire/agent/x/1").unwrap(),
            attestation_type: "x".into(),
            current: serial(current),
            staged: staged.map(serial),
            can_reattest: false,
            agent_version: String::new(),
            selectors: vec![],
        }
    }

    #[test]
    fn verdicts_in_order() {
        let at = UnixTime::from_seconds;
        let judge = |node: Option<AttestedNode>, serial, end| judge(node.as_ref(), serial, at(end), at(50));
        assert_eq!(judge(Some(node("1", None)), "1", 100), Admission::Current);
        assert_eq!(judge(Some(node("1", None)), "1", 50), Admission::Current);
        assert_eq!(judge(Some(node("1", None)), "1", 49), Admission::Denied(DenialReason::AgentExpired));
        assert_eq!(judge(None, "1", 100), Admission::Denied(DenialReason::AgentNotAttested));
        assert_eq!(judge(Some(node("", None)), "", 100), Admission::Denied(DenialReason::AgentBanned));
        assert_eq!(judge(Some(node("1", Some("2"))), "2", 100), Admission::Staged);
        assert_eq!(judge(Some(node("1", Some("2"))), "1", 100), Admission::Current);
        assert_eq!(
            judge(Some(node("1", Some("2"))), "3", 100),
            Admission::Denied(DenialReason::AgentNotActive)
        );
    }
}
