//! What SPIRE's store refuses on its own, with its texts: the last check before a row is written.
//!
//! The registry checks much more before it comes here; these hold for every caller.

use finial_identity::bundle::{AuthorityError, PruneError};
use finial_identity::{Bundle, Code, EntryDraft, EntrySpec, FederationRelationship};
use finial_plugin::datastore::{
    BundleChange, BundleDeletion, BundleParts, RelationshipParts, StoreError, StoreResult,
};

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

/// Applies a change to a bundle that is there.
pub(crate) fn alter_bundle(bundle: &mut Bundle, change: BundleChange) -> Result<(), StoreError> {
    match change {
        BundleChange::Append { x509, jwt } => {
            let mut more = Bundle::new(bundle.trust_domain.clone());
            (more.x509_authorities, more.jwt_authorities) = (x509, jwt);
            bundle.append(&more);
        }
        BundleChange::Prune { expired_before } => {
            let pruned = bundle.prune(expired_before).map_err(prune_error)?;
            for authority in &pruned.x509_authorities {
                tracing::info!(
                    serial_number = authority.certificate.serial_decimal(),
                    expiration = authority.certificate.not_after().seconds(),
                    "Pruning CA certificate due to expiration"
                );
            }
            for authority in &pruned.jwt_authorities {
                tracing::info!(
                    kid = authority.key_id,
                    expiration = authority.expires_at.seconds(),
                    "Pruning JWT signing key due to expiration"
                );
            }
        }
        BundleChange::TaintX509(id) => bundle.taint_x509(&id).map_err(authority_error)?,
        BundleChange::RevokeX509(id) => drop(bundle.revoke_x509(&id).map_err(authority_error)?),
        BundleChange::TaintJwt(id) => drop(bundle.taint_jwt(&id).map_err(authority_error)?),
        BundleChange::RevokeJwt(id) => drop(bundle.revoke_jwt(&id).map_err(authority_error)?),
        BundleChange::Update(newer, parts) => replace_parts(bundle, newer, parts),
        BundleChange::Set(newer) | BundleChange::Create(newer) => *bundle = newer,
    }
    Ok(())
}

fn replace_parts(bundle: &mut Bundle, newer: Bundle, parts: BundleParts) {
    if parts.x509 {
        bundle.x509_authorities = newer.x509_authorities;
    }
    if parts.jwt {
        bundle.jwt_authorities = newer.jwt_authorities;
    }
    if parts.refresh_hint {
        bundle.refresh_hint = newer.refresh_hint;
    }
    if parts.sequence_number {
        bundle.sequence_number = newer.sequence_number;
    }
}

/// Replaces what the parts name of how the bundle is fetched; the bundle itself has its own table.
pub(crate) fn replace_endpoint(
    stored: &mut FederationRelationship,
    newer: &FederationRelationship,
    parts: RelationshipParts,
) {
    if parts.bundle_endpoint_url {
        stored.bundle_endpoint_url.clone_from(&newer.bundle_endpoint_url);
    }
    if parts.bundle_endpoint_profile {
        stored.profile.clone_from(&newer.profile);
    }
}

fn authority_error(error: AuthorityError) -> StoreError {
    StoreError::new(error.code(), error.to_string())
}

fn prune_error(error: PruneError) -> StoreError {
    StoreError::new(Code::FailedPrecondition, format!("prune failed: {error}"))
}

/// Checks that a bundle to which so many entries are linked may go.
pub(crate) fn check_bundle_deletion(linked: i64, mode: BundleDeletion) -> StoreResult<()> {
    if linked == 0 || mode != BundleDeletion::Restrict {
        return Ok(());
    }
    let text = format!("datastore-sql: cannot delete bundle; federated with {linked} registration entries");
    Err(StoreError::new(Code::FailedPrecondition, text))
}
