//! A server that dies at any operation starts again and is believed.

use super::{DAY, HOUR, World, id};
use crate::authority::testing::{Manner, key};
use crate::authority::{JtiSwitch, JwtRequest};
use std::time::Duration;

/// More operations than any of the runs below has.
const OPERATIONS: u32 = 24;

/// Starts the world's server again and has it sign.
async fn starts_and_is_believed(world: &World, what: &str) {
    world.store.faults.heal();
    let server = world.start().await;
    let bundle = server.bundle.current();
    let active = server.active_x509();
    assert!(bundle.find_x509(&active).any(|authority| !authority.tainted), "{what}");
    let agent = id("/spire/agent/a");
    let issued = server.authority.issue_agent_x509(&agent, key().public_key()).await.unwrap();
    assert_eq!(server.verify(&issued.chain), agent, "{what}");
    let audience = ["a".to_owned()];
    let request = JwtRequest { id: &agent, audience: &audience, ttl: None, jti: JtiSwitch::Omit };
    let token = server.authority.issue_jwt(request).await.unwrap();
    assert_eq!(server.verify_jwt(&token.token, "a"), agent, "{what}");

    // And from then on it comes back to the same authorities.
    let again = world.start().await;
    assert_eq!(again.active_x509(), active, "{what}");
    assert_eq!(again.active_jwt(), server.active_jwt(), "{what}");
}

#[tokio::test]
async fn at_the_first_start() {
    let mut survived = 0;
    for manner in [Manner::Refused, Manner::AnswerLost] {
        for operation in 0..OPERATIONS {
            let world = World::new();
            world.store.faults.set(operation, manner);
            survived += u32::from(world.try_start().await.is_ok());
            starts_and_is_believed(&world, &format!("{manner:?} at {operation}")).await;
        }
    }
    assert!(survived > 0, "not all operations were reached");
}

#[tokio::test]
async fn at_rotations() {
    for manner in [Manner::Refused, Manner::AnswerLost] {
        for operation in 0..OPERATIONS {
            let world = World::new();
            let server = world.start().await;
            world.store.faults.set(operation, manner);
            // Preparation, activation, and preparation in the first slot again.
            for hours in [13, 8, 13, 8] {
                world.clock.advance(Duration::from_secs(hours * HOUR));
                let _ = server.authority.rotate_if_due().await;
            }
            drop(server);
            starts_and_is_believed(&world, &format!("{manner:?} at {operation}")).await;
        }
    }
}

#[tokio::test]
async fn at_the_replacement_of_an_ended_authority() {
    for manner in [Manner::Refused, Manner::AnswerLost] {
        for operation in 0..OPERATIONS {
            let world = World::new();
            drop(world.start().await);
            world.clock.advance(Duration::from_secs(3 * DAY));
            world.store.faults.set(operation, manner);
            drop(world.try_start().await);
            starts_and_is_believed(&world, &format!("{manner:?} at {operation}")).await;
        }
    }
}
