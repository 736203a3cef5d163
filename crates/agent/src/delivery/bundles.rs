//! The bundles that concern a caller. Pure.

use crate::cache::View;
use bytes::Bytes;
use finial_identity::TrustDomain;
use finial_proto::workload::{JwtBundlesResponse, X509BundlesResponse};
use std::collections::{BTreeSet, HashMap};

/// The trust domains whose bundles a caller may have: its own, and those that its identities federate with.
pub(super) fn trust_domains(view: &View) -> BTreeSet<&TrustDomain> {
    let own = view.bundles.trust_domain();
    federated(view).chain([own]).collect()
}

/// Those of other trust domains only.
pub(super) fn federated(view: &View) -> impl Iterator<Item = &TrustDomain> {
    let own = view.bundles.trust_domain();
    let named = view.identities.iter().flat_map(|identity| &identity.entry.federates_with);
    named.filter(move |trust_domain| *trust_domain != own)
}

/// `FetchX509Bundles`.
pub(super) fn x509(view: &View) -> X509BundlesResponse {
    X509BundlesResponse { crl: vec![], bundles: by_id(view, |td| view.bundles.x509_der(td)) }
}

/// `FetchJWTBundles`.
pub(super) fn jwt(view: &View) -> JwtBundlesResponse {
    JwtBundlesResponse { bundles: by_id(view, |td| view.bundles.jwks(td)) }
}

fn by_id(view: &View, encode: impl Fn(&TrustDomain) -> Option<Bytes>) -> HashMap<String, Bytes> {
    let bundles = trust_domains(view).into_iter();
    bundles.filter_map(|td| Some((td.id().as_str().to_owned(), encode(td)?))).collect()
}
