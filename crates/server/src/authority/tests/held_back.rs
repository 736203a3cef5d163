//! An authority that agents do not know yet waits, but not for ever.

use super::{HOUR, World, id};
use std::time::Duration;

#[tokio::test]
async fn a_prepared_authority_waits_for_agents_that_do_not_know_it() {
    let world = World::new();
    let server = world.start().await;
    let first = (server.active_x509(), server.active_jwt());
    world.clock.advance(Duration::from_secs(20 * HOUR + 60));
    let agent = id("/spire/agent/a");
    server.bundle.give_to(&agent);
    server.authority.rotate_if_due().await.unwrap();
    assert_eq!((server.active_x509(), server.active_jwt()), first, "the agent has the bundle of before");
    server.bundle.give_to(&agent);
    server.authority.rotate_if_due().await.unwrap();
    assert_ne!(server.active_x509(), first.0);
    assert_ne!(server.active_jwt(), first.1);
}

#[tokio::test]
async fn it_does_not_wait_for_long_nor_for_the_absent() {
    let world = World::new();
    let server = world.start().await;
    let first = server.active_x509();
    world.clock.advance(Duration::from_secs(20 * HOUR + 60));
    server.bundle.give_to(&id("/spire/agent/gone"));
    server.authority.rotate_if_due().await.unwrap();
    assert_eq!(server.active_x509(), first);
    world.clock.advance(Duration::from_secs(121));
    server.authority.rotate_if_due().await.unwrap();
    assert_ne!(server.active_x509(), first, "who has not asked for two minutes is not waited for");

    let world = World::new();
    let server = world.start().await;
    let first = server.active_x509();
    server.bundle.give_to(&id("/spire/agent/stubborn"));
    world.clock.advance(Duration::from_secs(13 * HOUR));
    server.authority.rotate_if_due().await.unwrap();
    let stale = server.bundle.current();
    world.clock.advance(Duration::from_secs(9 * HOUR + 60));
    server.bundle.readers().note(&id("/spire/agent/stubborn"), &stale_without(&stale, &first), server.now());
    server.authority.rotate_if_due().await.unwrap();
    assert_ne!(server.active_x509(), first, "half of what was left has passed");
}

#[tokio::test]
async fn an_operator_need_not_wait() {
    let world = World::new();
    let server = world.start().await;
    server.bundle.give_to(&id("/spire/agent/a"));
    let prepared = server.authority.prepare_x509_authority().await.unwrap();
    assert_eq!(server.authority.activate_x509_authority(&prepared.id).await.unwrap(), prepared);
}

/// The state with the first authority only.
fn stale_without(
    bundle: &finial_identity::Bundle,
    first: &finial_identity::AuthorityId,
) -> std::sync::Arc<finial_identity::Bundle> {
    let mut stale = bundle.clone();
    stale.x509_authorities.retain(|authority| authority.id() == *first);
    std::sync::Arc::new(stale)
}
