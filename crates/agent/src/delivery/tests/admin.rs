//! Health on the public socket; debug and logger on the operator's.

use super::world::{NOW, Plan, Server, World, eventually, two_entries};
use crate::attest::Ourselves;
use crate::delivery::Debug;
use crate::endpoints::serve_admin_socket;
use finial_identity::Failure;
use finial_proto::agent::debug::GetInfoRequest;
use finial_proto::agent::debug::debug_client::DebugClient;
use finial_proto::agent::logger::logger_client::LoggerClient;
use finial_proto::agent::logger::{GetLoggerRequest, ResetLogLevelRequest, SetLogLevelRequest};
use finial_proto::types::{self, LogLevel};
use finial_runtime::clock::Clock;
use finial_runtime::logging;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::logger::LoggerService;
use finial_wire::tls::IdentityCell;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tonic::{Code, Response};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn health(world: &World) -> ServingStatus {
    let mut client = HealthClient::new(world.channel());
    let answer = client.check(HealthCheckRequest { service: String::new() }).await;
    answer.unwrap().into_inner().status()
}

#[tokio::test]
async fn healthy_with_and_without_an_identity() {
    let ourselves = Ourselves(std::process::id());
    // The server is not asked on behalf of the agent itself.
    let world = World::new(Plan { ourselves, server: Server::Silent, ..Plan::stranger() }).await;
    assert_eq!(health(&world).await, ServingStatus::Serving);
    let world = World::new(Plan { ourselves, ..Plan::default() }).await;
    assert_eq!(health(&world).await, ServingStatus::Serving);
    *world.attestor.answer.lock().unwrap() = Err(Failure::internal("broken"));
    assert_eq!(health(&world).await, ServingStatus::NotServing);
    eventually(|| world.connected() == 0).await;
}

#[tokio::test]
async fn unhealthy_if_its_own_svid_does_not_come() {
    let world =
        World::new(Plan { ourselves: Ourselves(std::process::id()), entries: vec![], ..Plan::default() })
            .await;
    world.set_entries(two_entries());
    let check = health(&world);
    let time_passes = async {
        world.directory.sign_bell().heard().await;
        world.clock.wait_for_sleepers(1).await;
        world.clock.advance(Duration::from_secs(6));
    };
    assert_eq!(tokio::join!(check, time_passes).0, ServingStatus::NotServing);
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn modes_of_the_public_socket() {
    let world = World::new(Plan::default()).await;
    assert_eq!((mode(&world.socket), mode(world.socket.parent().unwrap())), (0o777, 0o755));
}

#[tokio::test]
async fn the_operators_socket() {
    let world = World::new(Plan::default()).await;
    let clock: Arc<dyn Clock> = Arc::new(world.clock.clone());
    let debug = Debug::new(world.directory.clone(), world.jwt.clone(), IdentityCell::empty(), clock);
    let options = logging::Options {
        output: logging::Output::Buffer(logging::Buffer::default()),
        ..Default::default()
    };
    let (handle, _subscriber) = logging::build(options).unwrap();
    let path = world.socket.with_file_name("admin.sock");
    let served = tokio::spawn({
        let (path, shutdown) = (path.clone(), world.shutdown.clone());
        async move {
            serve_admin_socket(&path, debug, LoggerService::new(handle), super::world::uncounted(), shutdown)
                .await
        }
    });
    eventually(|| path.exists()).await;
    assert_eq!(mode(&path), 0o770);
    let channel = unix_channel(UnixTarget::new(&path), &ChannelOptions::default());

    let mut debug = DebugClient::new(channel.clone());
    world.clock.advance(Duration::from_secs(7));
    let info = debug.get_info(GetInfoRequest {}).await.unwrap().into_inner();
    assert_eq!((info.uptime, info.last_sync_success), (7, NOW as i64));
    assert_eq!((info.cached_x509_svids_count, info.cached_jwt_svids_count), (2, 0));
    world.clock.advance(Duration::from_secs(4));
    assert_eq!(debug.get_info(GetInfoRequest {}).await.unwrap().into_inner().uptime, 7, "kept for 5 s");
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(debug.get_info(GetInfoRequest {}).await.unwrap().into_inner().uptime, 12);

    let mut logger = LoggerClient::new(channel);
    let levels = |answer: Response<types::Logger>| {
        let answer = answer.into_inner();
        (answer.current_level(), answer.launch_level())
    };
    let set = |level: LogLevel| SetLogLevelRequest { new_level: level.into() };
    let (info, debug) = (LogLevel::Info, LogLevel::Debug);
    assert_eq!(levels(logger.get_logger(GetLoggerRequest {}).await.unwrap()), (info, info));
    assert_eq!(levels(logger.set_log_level(set(debug)).await.unwrap()), (debug, info));
    assert_eq!(levels(logger.reset_log_level(ResetLogLevelRequest {}).await.unwrap()), (info, info));
    let refused = logger.set_log_level(set(LogLevel::Unspecified)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(refused.message(), "newLevel value cannot be LogLevel_UNSPECIFIED");

    drop(logger);
    world.shutdown.stop();
    served.await.unwrap().unwrap();
}
