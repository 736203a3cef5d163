//! What a list or a count asks for. Pure.
//!
//! The match modes are those of `spire.api.types.SelectorMatch` and `FederatesWithMatch`.

use finial_identity::{AttestedNode, RegistrationEntry, Selector, SpiffeId, TrustDomain, UnixTime};
use finial_wire::convert::selectors::SetMatch;
use std::collections::HashSet;
use std::hash::Hash;

/// A wanted set with its match mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetFilter<T: Eq + Hash> {
    wanted: HashSet<T>,
    mode: SetMatch,
}

impl<T: Eq + Hash> SetFilter<T> {
    /// A filter for a set; doubled elements count once.
    pub fn new(wanted: impl IntoIterator<Item = T>, mode: SetMatch) -> Self {
        Self { wanted: wanted.into_iter().collect(), mode }
    }

    fn accepts(&self, has: &[T]) -> bool {
        let shared = has.iter().filter(|element| self.wanted.contains(*element)).count();
        match self.mode {
            SetMatch::Exact => shared == has.len() && shared == self.wanted.len(),
            SetMatch::Subset => shared > 0 && shared == has.len(),
            SetMatch::Superset => shared == self.wanted.len(),
            SetMatch::Any => shared > 0,
        }
    }
}

/// Selectors wanted, and how.
pub type SelectorMatch = SetFilter<Selector>;

/// Which entries are wanted; all conditions that are set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// This identity.
    pub spiffe_id: Option<SpiffeId>,
    /// This parent.
    pub parent_id: Option<SpiffeId>,
    /// These selectors.
    pub selectors: Option<SelectorMatch>,
    /// These federated trust domains.
    pub federates_with: Option<SetFilter<TrustDomain>>,
    /// This hint.
    pub hint: Option<String>,
    /// Only downstream entries.
    pub only_downstream: bool,
}

impl EntryFilter {
    /// Whether nothing is asked for, so that every entry is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an entry is wanted.
    pub fn accepts(&self, entry: &RegistrationEntry) -> bool {
        let spec = &entry.spec;
        self.spiffe_id.as_ref().is_none_or(|id| *id == spec.spiffe_id)
            && self.parent_id.as_ref().is_none_or(|id| *id == spec.parent_id)
            && self.hint.as_ref().is_none_or(|hint| *hint == spec.hint)
            && (!self.only_downstream || spec.downstream)
            && self.selectors.as_ref().is_none_or(|wanted| wanted.accepts(&spec.selectors))
            && self.federates_with.as_ref().is_none_or(|wanted| wanted.accepts(&spec.federates_with))
    }
}

/// Which agents are wanted; all conditions that are set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFilter {
    /// Attested by this attestor.
    pub attestation_type: Option<String>,
    /// With these selectors.
    pub selectors: Option<SelectorMatch>,
    /// Banned or not.
    pub banned: Option<bool>,
    /// Able to attest again or not.
    pub can_reattest: Option<bool>,
    /// Whose SVID ends before this moment.
    pub expires_before: Option<UnixTime>,
}

impl NodeFilter {
    /// Whether nothing is asked for, so that every agent is wanted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether an agent is wanted.
    pub fn accepts(&self, node: &AttestedNode) -> bool {
        self.attestation_type.as_ref().is_none_or(|kind| *kind == node.attestation_type)
            && self.banned.is_none_or(|banned| banned == node.is_banned())
            && self.can_reattest.is_none_or(|can| can == node.can_reattest)
            && self.expires_before.is_none_or(|moment| node.current.expires_at < moment)
            && self.selectors.as_ref().is_none_or(|wanted| wanted.accepts(&node.selectors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn match_modes() {
        let wanted = |mode| SetFilter::new(["a", "b"], mode);
        for (mode, has, expected) in [
            (SetMatch::Exact, &["a", "b"][..], true),
            (SetMatch::Exact, &["a"], false),
            (SetMatch::Exact, &["a", "b", "c"], false),
            (SetMatch::Subset, &["a"], true),
            (SetMatch::Subset, &["b", "a"], true),
            (SetMatch::Subset, &["a", "c"], false),
            (SetMatch::Subset, &[], false),
            (SetMatch::Superset, &["a", "b", "c"], true),
            (SetMatch::Superset, &["a", "c"], false),
            (SetMatch::Any, &["c", "b"], true),
            (SetMatch::Any, &["c"], false),
        ] {
            assert_eq!(wanted(mode).accepts(has), expected, "{mode:?} {has:?}");
        }
    }
}
