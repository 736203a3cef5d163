//! Selectors, and how lists are filtered by sets.

use finial_identity::spiffe_id::SpiffeIdError;
use finial_identity::{Selector, TrustDomain, selector::SelectorError};
use finial_proto::types;

/// The messages of selectors.
pub fn selectors_to_proto(selectors: &[Selector]) -> Vec<types::Selector> {
    selectors.iter().map(selector_to_proto).collect()
}

/// The message of a selector.
pub fn selector_to_proto(selector: &Selector) -> types::Selector {
    types::Selector { r#type: selector.kind.clone(), value: selector.value.clone() }
}

/// Selectors in the order given; the first bad one decides.
pub fn selectors_from_proto(selectors: &[types::Selector]) -> Result<Vec<Selector>, SelectorError> {
    selectors.iter().map(|selector| Selector::new(&*selector.r#type, &*selector.value)).collect()
}

/// How the set asked for (A) relates to the set of the object (S).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SetMatch {
    /// S = A.
    Exact,
    /// S is a non-empty subset of A.
    Subset,
    /// S is a superset of A.
    Superset,
    /// S and A have a member in common.
    Any,
}

/// Why a filter was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A selector filter without selectors.
    #[error("empty selector set")]
    NoSelectors,
    /// A bad selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// A federation filter without trust domains.
    #[error("empty trust domain set")]
    NoTrustDomains,
    /// A bad trust domain.
    #[error(transparent)]
    TrustDomain(#[from] SpiffeIdError),
    /// A behaviour that is not known.
    #[error("unhandled match behavior {0}")]
    UnknownMatch(i32),
}

impl SetMatch {
    /// The behaviour of a number of `SelectorMatch.MatchBehavior` or `FederatesWithMatch.MatchBehavior`, which
    /// are numbered alike.
    pub fn from_number(number: i32) -> Result<Self, FilterError> {
        match number {
            0 => Ok(Self::Exact),
            1 => Ok(Self::Subset),
            2 => Ok(Self::Superset),
            3 => Ok(Self::Any),
            other => Err(FilterError::UnknownMatch(other)),
        }
    }

    /// The published number.
    pub fn number(self) -> i32 {
        match self {
            Self::Exact => 0,
            Self::Subset => 1,
            Self::Superset => 2,
            Self::Any => 3,
        }
    }
}

/// A filter by selectors; it names at least one.
pub fn selector_filter(filter: &types::SelectorMatch) -> Result<(Vec<Selector>, SetMatch), FilterError> {
    let selectors = selectors_from_proto(&filter.selectors)?;
    if selectors.is_empty() {
        return Err(FilterError::NoSelectors);
    }
    Ok((selectors, SetMatch::from_number(filter.r#match)?))
}

/// A filter by federated trust domains; it names at least one.
pub fn federation_filter(
    filter: &types::FederatesWithMatch,
) -> Result<(Vec<TrustDomain>, SetMatch), FilterError> {
    let trust_domains: Vec<TrustDomain> =
        filter.trust_domains.iter().map(|name| TrustDomain::parse(name)).collect::<Result<_, _>>()?;
    if trust_domains.is_empty() {
        return Err(FilterError::NoTrustDomains);
    }
    Ok((trust_domains, SetMatch::from_number(filter.r#match)?))
}
