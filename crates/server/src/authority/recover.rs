//! From the journal back to slots: which of the remembered authorities may still be used.
//!
//! An authority comes back only if its key is still in the key manager, if it has not ended, and if it is in
//! the bundle; one that is tainted there comes back as old. So a restored database, a lost key file or a
//! crash between two writes costs at most a new authority, and never trust.

use super::journal::{Journal, Keys};
use super::signing::{JwtKey, X509Ca};
use super::slot::{Held, SigningAuthority, Slot, SlotId, SlotPair, Stage, key_id};
use finial_identity::x509::Certificate;
use finial_identity::{Bundle, PublicKey, UnixTime};
use finial_plugin::key_manager::SigningKey;
use finial_proto::journal::{JwtKeyEntry, Status, X509caEntry};
use std::sync::Arc;
use std::time::SystemTime;
use tracing::warn;

/// The X.509 slots as the journal has them.
pub(super) fn x509_slots(
    journal: &Journal,
    keys: &Keys,
    bundle: &Bundle,
    now: SystemTime,
) -> SlotPair<X509Ca> {
    let entries = journal.entries().x509_c_as.iter().rev();
    arrange(entries.filter_map(|entry| {
        let slot = usable_x509(entry, keys, bundle, now.into());
        if let Err(reason) = &slot {
            warn!(
                slot = entry.slot_id,
                issued_at = entry.issued_at,
                status = entry.status().as_str_name(),
                local_authority_id = entry.authority_id,
                upstream_authority_id = entry.upstream_authority_id,
                error = reason,
                "X509CA slot unusable"
            );
        }
        slot.ok()
    }))
}

/// The JWT slots as the journal has them.
pub(super) fn jwt_slots(
    journal: &Journal,
    keys: &Keys,
    bundle: &Bundle,
    now: SystemTime,
) -> SlotPair<JwtKey> {
    let entries = journal.entries().jwt_keys.iter().rev();
    arrange(entries.filter_map(|entry| {
        let slot = usable_jwt(entry, keys, bundle, now.into());
        if let Err(reason) = &slot {
            warn!(
                slot = entry.slot_id,
                issued_at = entry.issued_at,
                status = entry.status().as_str_name(),
                local_authority_id = entry.authority_id,
                error = reason,
                "JWT key slot unusable"
            );
        }
        slot.ok()
    }))
}

fn usable_x509(
    entry: &X509caEntry,
    keys: &Keys,
    bundle: &Bundle,
    now: UnixTime,
) -> Result<Slot<X509Ca>, &'static str> {
    let certificate =
        Certificate::from_der(&entry.certificate).map_err(|_| "unable to parse CA certificate")?;
    let public_key = certificate.public_key().map_err(|_| "unsupported public key")?;
    let (slot, key) = find_key::<X509Ca>(&entry.slot_id, certificate.not_after(), &public_key, keys, now)?;
    let authority = restore_x509(entry, key, certificate)?;
    let mut known = bundle.x509_authorities.iter();
    let is_known = known.any(|known| authority.is_or_hangs_on(&known.certificate));
    let tainted = match authority.is_trusted_by(bundle) {
        true => false,
        false if is_known => true,
        false => return Err("not in the trust bundle"),
    };
    Ok(hold(slot, authority, entry.issued_at, entry.status(), tainted))
}

/// An authority that was signed above comes back with what leads from it to the root.
fn restore_x509(
    entry: &X509caEntry,
    key: Arc<dyn SigningKey>,
    certificate: Certificate,
) -> Result<X509Ca, &'static str> {
    let chain: Result<Vec<_>, _> =
        entry.upstream_chain.iter().map(|der| Certificate::from_der(der)).collect();
    let chain = chain.map_err(|_| "unable to parse upstream chain certificate")?;
    let restored = match chain.first() {
        None => X509Ca::new(key, certificate),
        Some(first) if *first == certificate => X509Ca::signed_above(key, chain),
        Some(_) => return Err("upstream chain is of another certificate"),
    };
    restored.ok_or("unsupported public key")
}

fn usable_jwt(
    entry: &JwtKeyEntry,
    keys: &Keys,
    bundle: &Bundle,
    now: UnixTime,
) -> Result<Slot<JwtKey>, &'static str> {
    let public_key = PublicKey::from_spki(&entry.public_key).map_err(|_| "unsupported public key")?;
    let known = bundle.find_jwt(&entry.kid).filter(|known| known.public_key == public_key);
    let tainted = known.ok_or("not in the trust bundle")?.tainted;
    let not_after = UnixTime::from_seconds(entry.not_after);
    let (slot, key) = find_key::<JwtKey>(&entry.slot_id, not_after, &public_key, keys, now)?;
    let authority = JwtKey::new(key, &entry.kid, not_after).map_err(|_| "unsupported public key")?;
    Ok(hold(slot, authority, entry.issued_at, entry.status(), tainted))
}

/// The reasons are SPIRE's.
fn find_key<A: SigningAuthority>(
    slot_id: &str,
    not_after: UnixTime,
    public_key: &PublicKey,
    keys: &Keys,
    now: UnixTime,
) -> Result<(SlotId, Arc<dyn SigningKey>), &'static str> {
    let slot = SlotId::parse(slot_id).ok_or("no slot id")?;
    if not_after < now {
        return Err("slot expired");
    }
    let key = keys.get(&key_id::<A>(slot)).ok_or("no key manager key")?;
    if key.public_key() != public_key {
        return Err("public key does not match key manager key");
    }
    Ok((slot, Arc::clone(key)))
}

fn hold<A: SigningAuthority>(
    id: SlotId,
    authority: A,
    issued_at: i64,
    status: Status,
    tainted: bool,
) -> Slot<A> {
    let info = authority.info().clone();
    let stage = match status {
        Status::Old => Stage::Old,
        _ if tainted => {
            warn!(local_authority_id = info.id.as_str(), "A tainted authority is not used again");
            Stage::Old
        }
        Status::Active => Stage::Active(Arc::new(authority)),
        // A journal that is older than the status has authorities that were to be used in turn.
        Status::Prepared | Status::Unknown => Stage::Prepared(Arc::new(authority)),
    };
    let issued_at = UnixTime::from_seconds(issued_at).to_system_time();
    Slot { id, held: Some(Held { info, issued_at, stage }) }
}

/// Takes the youngest active authority and the youngest other one that is not in the same slot.
fn arrange<A: SigningAuthority>(youngest_first: impl Iterator<Item = Slot<A>>) -> SlotPair<A> {
    let mut current: Option<Slot<A>> = None;
    let mut next: Option<Slot<A>> = None;
    for slot in youngest_first {
        let taken = |place: &Option<Slot<A>>| place.as_ref().is_some_and(|other| other.id == slot.id);
        if taken(&current) || taken(&next) {
            continue;
        }
        let is_active = slot.held.as_ref().is_some_and(|held| matches!(held.stage, Stage::Active(_)));
        if is_active && current.is_none() {
            current = Some(slot);
        } else if next.is_none() {
            next = Some(slot);
        }
    }
    let Some(next) = next else {
        return current.map_or_else(SlotPair::empty, |current| SlotPair::new(current, None));
    };
    let next_id = next.id;
    let mut held = next.held;
    if let Some(held) = &mut held
        && matches!(held.stage, Stage::Active(_))
    {
        held.stage = Stage::Old;
    }
    SlotPair::new(current.unwrap_or_else(|| Slot::empty(next_id.other())), held)
}
