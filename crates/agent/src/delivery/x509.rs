//! The answer to `FetchX509SVID`: encoded once for all workloads that see the same. Pure.
//!
//! Private keys are in it, so what is made here is wiped when the last reader is done with it.

use super::{bundles, hints};
use crate::cache::{Identity, View};
use bytes::Bytes;
use finial_proto::workload::{X509svid, X509svidResponse};
use prost::Message;
use std::collections::{BTreeSet, HashMap};
use zeroize::Zeroizing;

/// The encoded `X509SVIDResponse`; `None` while an identity waits for its SVID. Equal views have equal bytes.
pub(super) fn response(view: &View) -> Option<Bytes> {
    view.is_complete().then(|| view.x509_response.get_or_init(|| encode(view)).clone())
}

/// The identities that a workload is told of.
pub(super) fn shown(view: &View) -> impl Iterator<Item = &Identity> {
    let ignored = hints::duplicates(view.identities.iter().map(|identity| &*identity.entry));
    view.identities.iter().filter(move |identity| !ignored.contains(&identity.entry.id))
}

fn encode(view: &View) -> Bytes {
    let own_bundle = view.bundles.x509_der(view.bundles.trust_domain()).unwrap_or_default();
    let svids = shown(view).filter_map(|identity| {
        let material = identity.x509.as_ref()?;
        Some(X509svid {
            spiffe_id: identity.entry.spiffe_id.as_str().to_owned(),
            x509_svid: material.chain.clone(),
            x509_svid_key: Bytes::from_owner(material.key_pkcs8.clone()),
            bundle: own_bundle.clone(),
            hint: identity.entry.hint.clone(),
        })
    });
    let mut parts = vec![X509svidResponse { svids: svids.collect(), ..Default::default() }];
    // Encoded one by one in order, for a hash map is encoded in any order. Messages put one after another
    // are one message.
    let federated: BTreeSet<_> = bundles::federated(view).collect();
    parts.extend(federated.into_iter().filter_map(|td| {
        let bundle = (td.id().as_str().to_owned(), view.bundles.x509_der(td)?);
        Some(X509svidResponse { federated_bundles: HashMap::from([bundle]), ..Default::default() })
    }));
    let length = parts.iter().map(Message::encoded_len).sum();
    let mut encoded = Zeroizing::new(Vec::with_capacity(length));
    for part in &parts {
        // Growing would leave a copy behind, but there is room: it was just measured.
        part.encode_raw(&mut *encoded);
    }
    Bytes::from_owner(encoded)
}
