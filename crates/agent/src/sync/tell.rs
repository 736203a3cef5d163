//! What the log says of changes: SPIRE's lines, which operators and its suites look for. Changes nothing.

use crate::cache::{BundleSet, Cache};
use crate::upstream::EntrySync;
use finial_identity::{Bundle, EntryId, GrantedEntry};
use finial_runtime::logging::rfc3339;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use tracing::{debug, info};

const CACHE: &str = "cache_manager";

/// Says which entries come, change and go when `synced` replaces what the cache has.
pub(super) fn entries(cache: &Cache, synced: &EntrySync) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    let changed: HashSet<&EntryId> = synced.changed.iter().map(|entry| &entry.id).collect();
    for entry in cache.entries().filter(|e| !synced.kept.contains(&e.id) && !changed.contains(&e.id)) {
        debug!(entry = %entry.id, spiffe_id = %entry.spiffe_id, subsystem_name = CACHE, "Entry removed");
    }
    for entry in &synced.changed {
        match cache.entry(&entry.id) {
            None => debug!(
                entry = %entry.id,
                spiffe_id = %entry.spiffe_id,
                selectors_added = entry.selectors.len(),
                subsystem_name = CACHE,
                "Entry created"
            ),
            Some(_) => {
                debug!(entry = %entry.id, spiffe_id = %entry.spiffe_id, subsystem_name = CACHE, "Entry updated");
            }
        }
    }
}

/// Says which bundles come, change and go, and which authorities must no longer be used.
pub(super) fn bundles(cache: &Cache, next: &BundleSet) {
    let held = cache.bundles();
    if held.same_as(next) || !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    for trust_domain in held.trust_domains().filter(|td| next.get(td).is_none()) {
        debug!(trust_domain_id = %trust_domain, subsystem_name = CACHE, "Bundle removed");
    }
    for trust_domain in next.trust_domains() {
        match held.get(trust_domain) {
            None => debug!(trust_domain_id = %trust_domain, subsystem_name = CACHE, "Bundle added"),
            Some(before) if next.get(trust_domain) != Some(before) => {
                debug!(trust_domain_id = %trust_domain, subsystem_name = CACHE, "Bundle updated");
            }
            Some(_) => {}
        }
    }
    if let Some(own) = next.own() {
        tainted(cache, held.own().map(|bundle| &**bundle), own);
    }
}

fn tainted(cache: &Cache, before: Option<&Bundle>, now: &Bundle) {
    let known = before.map(tainted_x509).unwrap_or_default();
    let new: Vec<String> = tainted_x509(now).difference(&known).cloned().collect();
    if !new.is_empty() {
        debug!(subject_key_ids = new.join(","), "New tainted X.509 authorities found");
        let count = cache.x509().values().filter(|svid| new.contains(&svid.authority_key_id)).count();
        match count {
            0 => debug!(subsystem_name = CACHE, "No SVID entries to process for tainted X.509 authorities"),
            count => debug!(
                count,
                subsystem_name = CACHE,
                "Scheduled rotation for SVID entries due to tainted X.509 authorities"
            ),
        }
    }
    let known = before.map(tainted_jwt).unwrap_or_default();
    let new: Vec<String> = tainted_jwt(now).difference(&known).cloned().collect();
    if !new.is_empty() {
        debug!(jwt_authority_key_ids = new.join(","), "New tainted JWT authorities found");
    }
}

fn tainted_x509(bundle: &Bundle) -> BTreeSet<String> {
    let tainted = bundle.x509_authorities.iter().filter(|authority| authority.tainted);
    tainted.map(|authority| authority.id().to_string()).collect()
}

fn tainted_jwt(bundle: &Bundle) -> BTreeSet<String> {
    let tainted = bundle.jwt_authorities.iter().filter(|authority| authority.tainted);
    tainted.map(|authority| authority.key_id.clone()).collect()
}

/// Says for which entries SVIDs are asked for.
pub(super) fn signing(cache: &Cache, entries: &[Arc<GrantedEntry>]) {
    for entry in entries {
        match cache.x509().get(&entry.id) {
            None => info!(entry_id = %entry.id, spiffe_id = %entry.spiffe_id, "Creating X509-SVID"),
            Some(held) => info!(
                entry_id = %entry.id,
                spiffe_id = %entry.spiffe_id,
                expires_at = rfc3339(held.expires_at.to_system_time()),
                "Renewing X509-SVID"
            ),
        }
    }
}

/// Says for which entries SVIDs came.
pub(super) fn signed<'a>(cache: &Cache, ids: impl Iterator<Item = &'a EntryId>) {
    for entry in ids.filter_map(|id| cache.entry(id)) {
        debug!(entry = %entry.id, spiffe_id = %entry.spiffe_id, subsystem_name = CACHE, "SVID updated");
    }
}
