//! Callers who misbehave, go away, or never read (cases 144 to 147).

use super::world::{
    FakeAttestor, Plan, Server, World, eventually, material, selectors, two_entries, with_header,
};
use crate::cache::View;
use finial_identity::Failure;
use finial_plugin::workload_attestor::WorkloadAttestor;
use finial_proto::workload::{ValidateJwtsvidRequest, X509svidRequest};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tonic::{Code, Status};

async fn fetch(world: &World) -> Result<(), Status> {
    let mut stream = world.client().fetch_x509svid(with_header(X509svidRequest {})).await?.into_inner();
    stream.message().await.map(drop)
}

fn shown(refused: &Status) -> (Code, &str) {
    (refused.code(), refused.message())
}

#[tokio::test]
async fn case_144_a_tls_client_hello_is_turned_away() {
    let world = World::new(Plan::default()).await;
    let mut socket = UnixStream::connect(&world.socket).await.unwrap();
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    socket.write_all(&hello).await.unwrap();
    let mut answer = Vec::new();
    // Reset or closed, both are an end.
    let _ = socket.read_to_end(&mut answer).await;
    fetch(&world).await.unwrap();
}

#[tokio::test]
async fn case_145_a_stream_that_is_never_read_holds_only_what_it_showed_last() {
    let world = World::new(Plan::default()).await;
    let stream = world.client().fetch_x509svid(with_header(X509svidRequest {})).await.unwrap().into_inner();
    let caller = selectors(&["unix:gid:0", "unix:uid:0"]);
    let mut views: Vec<Weak<View>> = Vec::new();
    let big = "x".repeat(32 << 10);
    for number in 0..300 {
        let entry = &two_entries()[0];
        world.directory.change(|cache| cache.install(vec![material(entry, &format!("{number}{big}"))]));
        views.push(Arc::downgrade(&world.directory.subscribe(&caller).view()));
        tokio::task::yield_now().await;
    }
    let held = views.iter().filter(|view| view.strong_count() > 0).count();
    assert!(held <= 2, "{held} views are held");
    drop(stream);
    eventually(|| world.connected() == 0).await;
}

#[tokio::test]
async fn case_146_a_caller_who_leaves_while_being_attested_leaves_nothing_behind() {
    let world = World::new(Plan::default()).await;
    world.attestor.gate.send_replace(false);
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let mut client = world.client();
            tokio::spawn(async move { client.fetch_x509svid(with_header(X509svidRequest {})).await })
        })
        .collect();
    world.attestor.somebody_asks.notified().await;
    for call in calls {
        call.abort();
    }
    eventually(|| world.api.attestation().under_way() == 0).await;
    let asked = world.attestor.asked.load(Ordering::SeqCst);
    assert_eq!(world.attestor.given_up.load(Ordering::SeqCst), asked);
    assert_eq!(world.connected(), 0);
    world.attestor.gate.send_replace(true);
    fetch(&world).await.unwrap();
}

#[tokio::test]
async fn callers_at_the_same_time_share_an_attestation() {
    let world = World::new(Plan::default()).await;
    world.attestor.gate.send_replace(false);
    let calls: Vec<_> = (0..8)
        .map(|_| {
            let mut client = world.client();
            tokio::spawn(async move { client.fetch_x509svid(with_header(X509svidRequest {})).await })
        })
        .collect();
    eventually(|| world.api.attestation().waiting() == 8).await;
    world.attestor.gate.send_replace(true);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(world.attestor.asked.load(Ordering::SeqCst), 1);
    assert_eq!(world.api.attestation().under_way(), 0);
    fetch(&world).await.unwrap();
    assert_eq!(world.attestor.asked.load(Ordering::SeqCst), 2, "the next caller is looked at anew");
}

#[tokio::test]
async fn case_147_a_request_that_is_too_large() {
    let world = World::new(Plan::default()).await;
    let request = ValidateJwtsvidRequest { audience: "a".to_owned(), svid: "x".repeat(5 << 20) };
    let refused = world.client().validate_jwtsvid(with_header(request)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    fetch(&world).await.unwrap();
}

#[tokio::test]
async fn one_attestor_is_enough_and_none_is_not() {
    let broken = || -> Arc<dyn WorkloadAttestor> { FakeAttestor::new(Err(Failure::internal("broken"))) };
    let sound: Arc<dyn WorkloadAttestor> = FakeAttestor::new(Ok(selectors(&["unix:uid:0"])));
    let world = World::new(Plan { attestors: Some(vec![broken(), sound]), ..Plan::default() }).await;
    fetch(&world).await.unwrap();
    let world = World::new(Plan { attestors: Some(vec![broken(), broken()]), ..Plan::default() }).await;
    let refused = fetch(&world).await.unwrap_err();
    assert_eq!(shown(&refused), (Code::Unavailable, "workload attestation failed"));
    let world = World::new(Plan { attestors: Some(vec![]), ..Plan::default() }).await;
    assert_eq!(shown(&fetch(&world).await.unwrap_err()), (Code::PermissionDenied, "no identity issued"));
}

#[tokio::test]
async fn an_attestor_that_panics_or_keeps_silent_has_failed() {
    let world = World::new(Plan::default()).await;
    world.attestor.gate.send_replace(false);
    let call = tokio::spawn({
        let mut client = world.client();
        async move { client.fetch_x509svid(with_header(X509svidRequest {})).await.map(drop) }
    });
    world.attestor.somebody_asks.notified().await;
    world.clock.wait_for_sleepers(1).await;
    world.clock.advance(Duration::from_secs(61));
    let refused = call.await.unwrap().unwrap_err();
    assert_eq!(shown(&refused), (Code::Unavailable, "workload attestation failed"));

    struct Panics;
    #[async_trait::async_trait]
    impl WorkloadAttestor for Panics {
        fn name(&self) -> &str {
            "panics"
        }
        async fn attest(
            &self,
            _: &finial_plugin::workload_attestor::WorkloadRef,
        ) -> Result<Vec<finial_identity::Selector>, Failure> {
            panic!("on purpose")
        }
    }
    let world = World::new(Plan { attestors: Some(vec![Arc::new(Panics)]), ..Plan::default() }).await;
    assert_eq!(fetch(&world).await.unwrap_err().code(), Code::Unavailable);
}

/// The server says nothing: the caller is refused after a while.
#[tokio::test]
async fn the_fresh_look_is_bounded() {
    let world = World::new(Plan { server: Server::Silent, ..Plan::stranger() }).await;
    let call = tokio::spawn({
        let mut client = world.client();
        async move { client.fetch_x509svid(with_header(X509svidRequest {})).await.map(drop) }
    });
    world.directory.sync_bell().heard().await;
    world.clock.wait_for_sleepers(1).await;
    assert!(!call.is_finished());
    world.clock.advance(Duration::from_secs(4));
    assert_eq!(shown(&call.await.unwrap().unwrap_err()), (Code::PermissionDenied, "no identity issued"));
}
