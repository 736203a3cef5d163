//! One look at an endpoint: fetch, compare with what is stored, store what is different.

use super::Federation;
use super::config::Endpoint;
use super::fetch::FetchError;
use finial_identity::federation::says_the_same;
use finial_identity::{Bundle, TrustDomain};
use finial_plugin::datastore::{BundleChange, StoreError};
use std::sync::Arc;

/// Why a bundle was not brought up to date. The texts are SPIRE's.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError {
    /// The relationships could not be read.
    #[error("failed to reload configs")]
    Relationships(#[source] StoreError),
    /// The bundle that vouches for the endpoint could not be read.
    #[error("failed to fetch local copy of bundle for {:?}", .0.as_str())]
    Vouching(TrustDomain, #[source] StoreError),
    /// There is no bundle that could vouch for the endpoint.
    #[error("can't perform SPIFFE Authentication: local copy of bundle not found")]
    NothingVouches,
    /// The stored bundle could not be read.
    #[error("failed to fetch local federated bundle")]
    Local(#[source] StoreError),
    /// The endpoint did not give a bundle.
    #[error("failed to fetch federated bundle from endpoint")]
    Fetch(#[from] FetchError),
    /// What it gave could not be stored.
    #[error("failed to store fetched federated bundle")]
    Store(#[source] StoreError),
}

/// What became of the stored bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It was replaced.
    Replaced,
    /// The endpoint says the same.
    Same,
}

/// How a look ended.
#[derive(Debug)]
pub(super) struct Updated {
    /// The bundle that is stored now, as far as that was found out.
    pub(super) known: Option<Arc<Bundle>>,
    /// What came of it.
    pub(super) outcome: Result<Change, UpdateError>,
}

impl From<UpdateError> for Updated {
    fn from(error: UpdateError) -> Self {
        Self { known: None, outcome: Err(error) }
    }
}

impl Federation {
    /// Brings the stored bundle of a trust domain up to date.
    pub(super) async fn update_bundle(&self, trust_domain: &TrustDomain, endpoint: &Endpoint) -> Updated {
        let turn = self.turn(trust_domain);
        let _turn = turn.lock().await;
        let vouching = match self.vouching(endpoint).await {
            Ok(vouching) => vouching,
            Err(error) => return error.into(),
        };
        let known = match self.bundles.get(trust_domain).await {
            Ok(known) => known,
            Err(error) => return UpdateError::Local(error).into(),
        };
        let fetched = match self.fetcher.fetch(trust_domain, endpoint, vouching).await {
            Ok(fetched) => fetched,
            Err(error) => return Updated { known, outcome: Err(error.into()) },
        };
        if known.as_ref().is_some_and(|known| says_the_same(&fetched, known)) {
            return Updated { known, outcome: Ok(Change::Same) };
        }
        match self.bundles.change(trust_domain, BundleChange::Set(fetched)).await {
            Ok(bundle) => Updated { known: Some(Arc::new(bundle)), outcome: Ok(Change::Replaced) },
            Err(error) => Updated { known, outcome: Err(UpdateError::Store(error)) },
        }
    }

    /// The bundle of the trust domain that the endpoint's SVID is of, as it is stored now.
    async fn vouching(&self, endpoint: &Endpoint) -> Result<Option<Arc<Bundle>>, UpdateError> {
        let Some(id) = endpoint.profile.endpoint_id() else { return Ok(None) };
        let vouching = self.bundles.get(id.trust_domain()).await;
        match vouching.map_err(|error| UpdateError::Vouching(id.trust_domain().clone(), error))? {
            Some(bundle) => Ok(Some(bundle)),
            None => Err(UpdateError::NothingVouches),
        }
    }
}
