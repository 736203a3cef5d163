//! What comes back after a restart, and what does not.

use super::{DAY, HOUR, NOW, World};
use crate::authority::testing::{MemoryStore, OtherKey};
use bytes::Bytes;
use finial_identity::x509::Certificate;
use finial_identity::{AuthorityId, Bundle, KeyType, PublicKey, UnixTime, X509Authority};
use finial_plugin::key_manager::KeyManager;
use finial_proto::journal::{Entries, Status};
use prost::Message;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

fn stored(store: &MemoryStore) -> Entries {
    let journals = store.journals();
    assert_eq!(journals.len(), 1);
    Entries::decode(journals[0].data.as_slice()).unwrap()
}

#[tokio::test]
async fn the_same_authorities_come_back() {
    let world = World::new();
    let mut before = world.start().await;
    for hours in [0, 13, 8, 5, 8] {
        world.clock.advance(Duration::from_secs(hours * HOUR));
        before.authority.rotate_if_due().await.unwrap();
        let after = world.start().await;
        assert_eq!(after.authority.x509_state(), before.authority.x509_state());
        assert_eq!(after.authority.jwt_state(), before.authority.jwt_state());
        assert_eq!(world.store.journals().len(), 1);
        let active = after.active_x509();
        assert_eq!(world.store.journals()[0].active_x509_authority_id, active.as_str());
        before = after;
    }
    let entries = stored(&world.store);
    let statuses: Vec<_> =
        entries.x509_c_as.iter().map(|entry| (entry.slot_id.as_str(), entry.status())).collect();
    assert_eq!(statuses, [("A", Status::Old), ("B", Status::Old), ("A", Status::Active)]);
    let statuses: Vec<_> =
        entries.jwt_keys.iter().map(|entry| (entry.slot_id.as_str(), entry.status())).collect();
    assert_eq!(statuses, [("A", Status::Old), ("B", Status::Old), ("A", Status::Active)]);
}

#[tokio::test]
async fn ten_are_remembered() {
    let world = World::new();
    let server = world.start().await;
    for _ in 0..40 {
        world.clock.advance(Duration::from_secs(10 * HOUR));
        server.authority.rotate_if_due().await.unwrap();
    }
    let entries = stored(&world.store);
    assert_eq!((entries.x509_c_as.len(), entries.jwt_keys.len()), (10, 10));
    let last = entries.x509_c_as.iter().rfind(|entry| entry.status() == Status::Active).unwrap();
    assert_eq!(last.authority_id, server.active_x509().as_str());
}

#[tokio::test]
async fn nothing_is_saved_before_an_authority_is_active_and_a_failed_save_is_made_good() {
    let world = World::new();
    // Key and bundle work, the journal does not.
    world.store.fail_after(2);
    world.try_start().await.err().expect("no JWT key could be made");
    assert!(world.store.journals().is_empty());
    world.store.faults.heal();
    let server = world.start().await;
    assert_eq!(world.store.journals().len(), 1);

    world.clock.advance(Duration::from_secs(13 * HOUR));
    world.store.fail_after(2);
    server.authority.rotate_if_due().await.unwrap_err();
    let prepared = server.authority.x509_state().prepared.expect("kept in memory");
    assert_eq!(stored(&world.store).x509_c_as.len(), 1);
    world.store.faults.heal();
    server.authority.rotate_if_due().await.unwrap();
    assert_eq!(stored(&world.store).x509_c_as[1].authority_id, prepared.id.as_str());
}

#[tokio::test]
async fn a_row_that_another_server_removed_is_written_anew() {
    let world = World::new();
    let server = world.start().await;
    let row_id = world.store.journals()[0].row_id;
    finial_plugin::datastore::JournalStore::journal_delete(&*world.store, row_id).await.unwrap();
    world.clock.advance(Duration::from_secs(13 * HOUR));
    server.authority.rotate_if_due().await.unwrap();
    assert_eq!(stored(&world.store).x509_c_as.len(), 2);
}

#[tokio::test]
async fn every_server_finds_its_own_row() {
    let one = World::new();
    let mut two = World::new();
    two.store = one.store.clone();
    let (first, second) = (one.start().await, two.start().await);
    assert_ne!(first.active_x509(), second.active_x509());
    assert_eq!(one.store.journals().len(), 2);
    assert_eq!(one.start().await.active_x509(), first.active_x509());
    assert_eq!(two.start().await.active_x509(), second.active_x509());
    assert_eq!(second.bundle.refresh().await.unwrap().x509_authorities.len(), 2);
}

#[tokio::test]
async fn what_must_not_be_used_does_not_come_back() {
    type Damage = fn(&World, &mut Bundle);
    let damages: [(&str, Damage, bool, bool); 6] = [
        ("nothing", |_, _| {}, true, true),
        ("x509 key lost", |world, _| world.keys.remove("x509-CA-A"), false, false),
        ("jwt key lost", |world, _| world.keys.remove("JWT-Signer-A"), true, false),
        ("jwt not in the bundle", |_, bundle| bundle.jwt_authorities.clear(), true, false),
        ("x509 not in the bundle", |_, bundle| bundle.x509_authorities.clear(), false, true),
        (
            "tainted",
            |_, bundle| {
                bundle.x509_authorities[0].tainted = true;
                bundle.jwt_authorities[0].tainted = true;
            },
            false,
            false,
        ),
    ];
    for (what, damage, x509_stays, jwt_stays) in damages {
        let world = World::new();
        let server = world.start().await;
        let mut bundle = (*server.bundle.current()).clone();
        damage(&world, &mut bundle);
        world.store.put_bundle(bundle);
        let after = world.start().await;
        assert_eq!(after.active_x509() == server.active_x509(), x509_stays, "{what}");
        assert_eq!(after.active_jwt() == server.active_jwt(), jwt_stays, "{what}");
    }
}

#[tokio::test]
async fn a_key_of_another_kind_does_not_come_back() {
    let world = World::new();
    let server = world.start().await;
    world.keys.key_generate("JWT-Signer-A", KeyType::EcP256).await.unwrap();
    assert_ne!(world.start().await.active_jwt(), server.active_jwt());
}

#[tokio::test]
async fn a_tainted_authority_comes_back_as_old() {
    let world = World::new();
    let server = world.start().await;
    let mut bundle = (*server.bundle.current()).clone();
    bundle.taint_x509(&server.active_x509()).unwrap();
    world.store.put_bundle(bundle);
    let state = world.start().await.authority.x509_state();
    assert_eq!(state.old.unwrap().id, server.active_x509());
    assert_ne!(state.active.unwrap().id, server.active_x509());
}

#[tokio::test]
async fn an_unreadable_own_journal_is_told() {
    let world = World::new();
    let server = world.start().await;
    let row = &world.store.journals()[0];
    let broken = World { store: MemoryStore::shared(), ..world.clone() };
    broken.store.put_journal(vec![0xff; 3], row.active_x509_authority_id.as_str());
    let error = broken.try_start().await.err().unwrap();
    assert!(error.to_string().starts_with("unable to unmarshal entries from CA journal record"), "{error}");
    drop(server);
}

#[tokio::test]
async fn journals_of_servers_that_are_gone_are_pruned() {
    let world = World::new();
    let server = world.start().await;
    let ends_at = |not_after: i64| {
        let mut entries = stored_of_own(&world.store);
        entries.x509_c_as[0].not_after = not_after;
        entries.jwt_keys[0].not_after = not_after - 1;
        entries.encode_to_vec()
    };
    let now = NOW as i64;
    let gone = world.store.put_journal(ends_at(now - 14 * DAY as i64), "gone");
    let recent = world.store.put_journal(ends_at(now - 14 * DAY as i64 + 1), "recent");
    let broken = world.store.put_journal(vec![0xff; 3], "broken");
    server.authority.prune_journals().await.unwrap_err();
    let left: Vec<i64> = world.store.journals().iter().map(|row| row.row_id).collect();
    assert!(!left.contains(&gone) && left.contains(&recent) && left.contains(&broken));
    assert_eq!(left.len(), 3, "our own among them");
}

fn stored_of_own(store: &MemoryStore) -> Entries {
    Entries::decode(store.journals()[0].data.as_slice()).unwrap()
}

/// The journal that a SPIRE server (1.16.0-dev, started 2026-11-23T20:25:08Z with a `ca_ttl` of a week) left.
fn spire_journal() -> Vec<u8> {
    let hex = include_str!("spire-journal.hex").trim();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

const SPIRE_STARTED: u64 = 1_795_465_508;

/// A world that a SPIRE server lived in: its journal, its bundle, its keys.
fn spire_world() -> World {
    let entries = Entries::decode(spire_journal().as_slice()).unwrap();
    let (x509, jwt) = (&entries.x509_c_as[0], &entries.jwt_keys[0]);
    let certificate = Certificate::from_der(&x509.certificate).unwrap();
    let jwt_key = PublicKey::from_spki(&jwt.public_key).unwrap();

    let mut world = World::new();
    world.clock.set(SystemTime::UNIX_EPOCH + Duration::from_secs(SPIRE_STARTED + HOUR));
    world.config.ca_ttl = Duration::from_secs(7 * DAY);
    world.store.put_journal(spire_journal(), &x509.authority_id);
    let mut bundle = Bundle::new(world.config.trust_domain.clone());
    bundle.x509_authorities.push(X509Authority::new(certificate.clone()));
    bundle.jwt_authorities.push(finial_identity::JwtAuthority::new(jwt.kid.clone(), jwt_key.clone()));
    world.store.put_bundle(bundle);
    let only_says = |says| Arc::new(OtherKey { says, signs_with: None });
    world.keys.put("x509-CA-A", only_says(certificate.public_key().unwrap()));
    world.keys.put("JWT-Signer-A", only_says(jwt_key));
    world
}

#[tokio::test]
async fn a_journal_of_spire_is_taken_over() {
    let world = spire_world();
    let server = world.start().await;
    assert_eq!(server.active_x509(), AuthorityId::new("fe4bc88926e6690aa897573f539bf4317b5607d3"));
    assert_eq!(server.active_jwt(), AuthorityId::new("4o0MrfttrYObbnacAxyAB7hg1t9ZMsTE"));
    let ends = UnixTime::from_seconds((SPIRE_STARTED + 7 * DAY) as i64);
    assert_eq!(server.authority.x509_state().active.unwrap().expires_at, ends);
    assert_eq!(server.authority.jwt_state().active.unwrap().expires_at, ends);
    assert_eq!(world.store.journals()[0].data, spire_journal(), "nothing to say, nothing changed");

    world.clock.advance(Duration::from_secs(4 * DAY));
    server.authority.rotate_if_due().await.unwrap();
    let state = server.authority.x509_state();
    assert_eq!(state.active.unwrap().id.as_str(), "fe4bc88926e6690aa897573f539bf4317b5607d3");
    let entries = stored(&world.store);
    let old = Entries::decode(spire_journal().as_slice()).unwrap();
    assert_eq!(entries.x509_c_as[0], old.x509_c_as[0]);
    assert_eq!(entries.x509_c_as[1].slot_id, "B");
    assert_eq!(entries.x509_c_as[1].status(), Status::Prepared);
    assert_eq!(entries.x509_c_as[1].upstream_chain, Vec::<Bytes>::new());
}

#[test]
fn entries_are_written_as_spire_writes_them() {
    let entries = Entries::decode(spire_journal().as_slice()).unwrap();
    assert_eq!(entries.encode_to_vec(), spire_journal());
}
