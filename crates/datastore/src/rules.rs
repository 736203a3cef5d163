//! What SPIRE's store refuses on its own, with its texts: the last check before a row is written.
//!
//! The registry checks much more before it comes here; these hold for every caller.

use finial_identity::{Code, EntryDraft, EntrySpec};
use finial_plugin::datastore::{StoreError, StoreResult};

/// Checks a draft before it is written for the first time.
pub(crate) fn check_draft(draft: &EntryDraft) -> StoreResult<()> {
    let spec = &draft.spec;
    let prefetch_disabled = spec.additional.is_some_and(|more| more.disable_x509_svid_prefetch);
    if !spec.selectors.is_empty() && spec.store_svid && prefetch_disabled {
        return Err(invalid("specifying cache behaviour is incompatible with storable SVIDs"));
    }
    check_spec(spec)
}

/// Checks content that replaces an entry's.
pub(crate) fn check_spec(spec: &EntrySpec) -> StoreResult<()> {
    let Some(first) = spec.selectors.first() else {
        return Err(invalid("invalid registration entry: missing selector list"));
    };
    if spec.store_svid && spec.selectors.iter().any(|selector| selector.kind != first.kind) {
        return Err(invalid(
            "invalid registration entry: selector types must be the same when store SVID is enabled",
        ));
    }
    if spec.x509_svid_ttl < 0 {
        return Err(invalid("invalid registration entry: X509SvidTtl is not set"));
    }
    if spec.jwt_svid_ttl < 0 {
        return Err(invalid("invalid registration entry: JwtSvidTtl is not set"));
    }
    Ok(())
}

fn invalid(text: &str) -> StoreError {
    StoreError::new(Code::InvalidArgument, format!("datastore-validation: {text}"))
}
