//! Rotation over weeks: what must hold at every moment.

use super::{DAY, HOUR, Server, World, id};
use crate::authority::testing::key;
use crate::authority::{AuthorityState, JtiSwitch, JwtRequest};
use finial_identity::AuthorityId;
use finial_identity::x509::Certificate;
use proptest::prelude::*;
use std::collections::HashSet;
use std::time::Duration;

/// Looks at a server again and again.
#[derive(Default)]
struct Witness {
    /// Authorities that were in the bundle when the server was last looked at.
    published: HashSet<AuthorityId>,
    /// Serial numbers of certificates.
    serials: HashSet<String>,
    x509: Vec<AuthorityId>,
    jwt: Vec<AuthorityId>,
}

impl Witness {
    async fn look(&mut self, server: &Server) {
        let bundle = server.bundle.current();
        let (x509, jwt) = (server.authority.x509_state(), server.authority.jwt_state());
        check(&x509, server);
        check(&jwt, server);
        let active = bundle.find_x509(&server.active_x509()).next().expect("active and not in the bundle");
        assert!(active.certificate.validity().contains(server.now()) && !active.tainted);
        assert!(bundle.find_jwt(server.active_jwt().as_str()).is_some(), "active and not in the bundle");

        follow(&mut self.x509, &x509, &self.published);
        follow(&mut self.jwt, &jwt, &self.published);
        for authority in &bundle.x509_authorities {
            if self.published.insert(authority.id()) {
                assert!(self.serials.insert(authority.certificate.serial_decimal()));
            }
        }
        self.published.extend(bundle.jwt_authorities.iter().map(|authority| authority.id()));

        let agent = id("/spire/agent/a");
        let issued = server.authority.issue_agent_x509(&agent, key().public_key()).await.unwrap();
        assert_eq!(server.verify(&issued.chain), agent);
        let leaf = Certificate::from_der(&issued.chain[0]).unwrap();
        assert_eq!(leaf.authority_key_id(), active.certificate.subject_key_id());
        assert!(leaf.not_after() <= active.certificate.not_after());
        assert!(self.serials.insert(issued.serial));

        let audience = ["a".to_owned()];
        let request = JwtRequest { id: &agent, audience: &audience, ttl: None, jti: JtiSwitch::Omit };
        let token = server.authority.issue_jwt(request).await.unwrap();
        assert_eq!(server.verify_jwt(&token.token, "a"), agent);
        assert!(token.expires_at <= jwt.active.unwrap().expires_at);
    }
}

fn check(state: &AuthorityState, server: &Server) {
    let active = state.active.as_ref().unwrap();
    assert!(active.expires_at >= server.now());
    assert!(state.prepared.is_none() || state.old.is_none());
    assert_ne!(state.prepared.as_ref(), Some(active));
}

/// Whoever is active now and was not before was in the bundle at the last look already; only the first was
/// not.
fn follow(seen: &mut Vec<AuthorityId>, state: &AuthorityState, published: &HashSet<AuthorityId>) {
    let active = &state.active.as_ref().unwrap().id;
    if seen.last() == Some(active) {
        return;
    }
    assert!(!seen.contains(active), "an authority came back");
    assert!(seen.is_empty() || published.contains(active), "active before anybody could know it");
    seen.push(active.clone());
}

async fn live(ca_ttl: u64, steps: &[u64], restart_every: usize) -> Witness {
    let mut world = World::new();
    world.config.ca_ttl = Duration::from_secs(ca_ttl);
    world.config.agent_ttl = Duration::from_secs(ca_ttl / 6);
    let mut server = world.start().await;
    let mut witness = Witness::default();
    witness.look(&server).await;
    for (at, step) in steps.iter().enumerate() {
        world.clock.advance(Duration::from_secs(*step));
        if at % restart_every == restart_every - 1 {
            server = world.start().await;
        } else {
            server.authority.rotate_if_due().await.unwrap();
        }
        witness.look(&server).await;
        if at % 5 == 0 {
            server.bundle.prune().await.unwrap();
        }
    }
    witness
}

#[tokio::test]
async fn six_weeks_of_daily_authorities() {
    let steps: Vec<u64> = (0..6 * 7 * 24).map(|hour| HOUR + hour % 3).collect();
    let witness = live(DAY, &steps, usize::MAX).await;
    // The life of a successor begins with its preparation, so every 12 hours a new one takes over.
    assert!((83..=85).contains(&witness.x509.len()), "{}", witness.x509.len());
    assert!((83..=85).contains(&witness.jwt.len()), "{}", witness.jwt.len());
}

#[tokio::test]
async fn svids_never_live_shorter_than_a_sixth_of_the_authority() {
    let mut world = World::new();
    world.config.agent_ttl = Duration::from_secs(DAY / 6);
    let server = world.start().await;
    for _ in 0..3 * 24 * 6 {
        world.clock.advance(Duration::from_secs(600));
        server.authority.rotate_if_due().await.unwrap();
        let issued = server.authority.issue_agent_x509(&id("/spire/agent/a"), key().public_key()).await;
        let left = issued.unwrap().expires_at.seconds() - server.now().seconds();
        assert_eq!(left, DAY as i64 / 6);
    }
}

#[tokio::test]
async fn prepares_at_half_and_activates_at_five_sixths() {
    let world = World::new();
    let server = world.start().await;
    let (first, first_jwt) = (server.active_x509(), server.active_jwt());
    let after = async |seconds: u64| {
        world.clock.advance(Duration::from_secs(seconds));
        server.authority.rotate_if_due().await.unwrap();
        server.authority.x509_state()
    };
    assert_eq!(after(12 * HOUR).await.prepared, None);
    let state = after(1).await;
    assert_eq!(state.active.unwrap().id, first);
    let prepared = state.prepared.unwrap().id;
    assert!(server.bundle.current().find_x509(&prepared).next().is_some());
    assert_eq!(server.bundle.current().jwt_authorities.len(), 2);
    assert_eq!(after(8 * HOUR - 1).await.active.unwrap().id, first);
    let state = after(1).await;
    assert_eq!(state.active.unwrap().id, prepared);
    assert_eq!(state.old.unwrap().id, first);
    assert_eq!(server.authority.jwt_state().old.unwrap().id, first_jwt);
    assert_eq!(world.keys.names(), ["JWT-Signer-A", "JWT-Signer-B", "x509-CA-A", "x509-CA-B"]);
}

#[tokio::test]
async fn a_server_that_slept_too_long_begins_anew() {
    let world = World::new();
    let server = world.start().await;
    let first = server.active_x509();
    world.clock.advance(Duration::from_secs(30 * DAY));
    server.authority.rotate_if_due().await.unwrap();
    let state = server.authority.x509_state();
    assert_ne!(state.active.unwrap().id, first);
    assert_eq!((state.prepared, state.old), (None, None));
    Witness::default().look(&server).await;

    // With a prepared one that is still good, that one takes over, and its successor follows in time.
    world.clock.advance(Duration::from_secs(13 * HOUR));
    server.authority.rotate_if_due().await.unwrap();
    let prepared = server.authority.x509_state().prepared.unwrap().id;
    world.clock.advance(Duration::from_secs(12 * HOUR));
    server.authority.rotate_if_due().await.unwrap();
    assert_eq!(server.active_x509(), prepared);
}

#[tokio::test]
async fn an_authority_that_vanished_from_the_bundle_is_replaced() {
    let world = World::new();
    let server = world.start().await;
    let (x509, jwt) = (server.active_x509(), server.active_jwt());
    let mut bundle = (*server.bundle.current()).clone();
    bundle.x509_authorities.clear();
    bundle.jwt_authorities.clear();
    world.store.put_bundle(bundle);
    server.bundle.refresh().await.unwrap();
    server.authority.rotate_if_due().await.unwrap();
    assert_ne!(server.active_x509(), x509);
    assert_ne!(server.active_jwt(), jwt);
    Witness::default().look(&server).await;
}

#[tokio::test]
async fn serves_on_while_the_key_manager_is_away() {
    let world = World::new();
    let server = world.start().await;
    let first = server.active_x509();
    world.clock.advance(Duration::from_secs(21 * HOUR));
    world.store.fail_after(0);
    let error = server.authority.rotate_if_due().await.unwrap_err();
    assert_eq!(
        finial_runtime::logging::chain(&error).to_string(),
        "unable to rotate X509 CA: failed to make a signing key: failed to generate key: the key manager is away"
    );
    Witness::default().look(&server).await;
    assert_eq!(server.active_x509(), first);
    let restarted = world.start().await;
    assert_eq!(restarted.active_x509(), first, "the failure does not stop a start either");
    world.store.faults.heal();
    server.authority.rotate_if_due().await.unwrap();
    assert_ne!(server.active_x509(), first);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_the_steps_and_restarts(
        ca_ttl in 6 * HOUR..10 * DAY,
        parts in prop::collection::vec(1..300u64, 20..60),
        restart_every in 1..9usize,
    ) {
        // Steps of up to three tenths of a lifetime: no longer than from preparation to activation.
        let steps: Vec<u64> = parts.iter().map(|part| part * ca_ttl / 1000).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(live(ca_ttl, &steps, restart_every));
    }
}
