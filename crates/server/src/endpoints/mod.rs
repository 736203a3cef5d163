//! Where callers connect: TCP with mutual TLS for agents and administrators, the private socket for the
//! operator. Both lead through the same gate to the same services; some services are on the socket only. And the
//! bundle endpoint, which is open to everybody.

mod bundle_endpoint;
mod call_log;
mod serving_certificate;
mod signer;
mod trust;

pub use bundle_endpoint::{BundleEndpoint, BundleEndpointError};
pub use serving_certificate::{ServingCertificate, ServingCertificateError};
pub use signer::ServerIdentity;
pub use trust::ServerTrust;

use crate::api::Rooms;
use crate::api::agent::AgentService;
use crate::api::bundle::BundleService;
use crate::api::debug::DebugService;
use crate::api::entry::EntryService;
use crate::api::gate::Gate;
use crate::api::health::HealthService;
use crate::api::local_authority::LocalAuthorityService;
use crate::api::svid::SvidService;
use crate::api::trust_domain::TrustDomainService;
use finial_proto::server::agent::agent_server::AgentServer;
use finial_proto::server::bundle::bundle_server::BundleServer;
use finial_proto::server::debug::debug_server::DebugServer;
use finial_proto::server::entry::entry_server::EntryServer;
use finial_proto::server::localauthority::local_authority_server::LocalAuthorityServer;
use finial_proto::server::logger::logger_server::LoggerServer;
use finial_proto::server::svid::svid_server::SvidServer;
use finial_proto::server::trustdomain::trust_domain_server::TrustDomainServer;
use finial_runtime::logging::Handle;
use finial_runtime::tasks::Shutdown;
use finial_wire::call_span::CallSpanLayer;
use finial_wire::listen::{TlsListener, UnixListener};
use finial_wire::logger::LoggerService;
use finial_wire::serve::{MESSAGE_MAX, ServeOptions, serve};
use http::{Request, Response};
use std::convert::Infallible;
use std::sync::Arc;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::{Service, ServiceBuilder};
use tracing::info;

/// The services that agents and administrators reach.
fn remote_services(rooms: &Arc<Rooms>) -> Routes {
    let agent = AgentServer::new(AgentService::new(Arc::clone(rooms)));
    let bundle = BundleServer::new(BundleService::new(Arc::clone(rooms)));
    let entry = EntryServer::new(EntryService::new(Arc::clone(rooms)));
    let svid = SvidServer::new(SvidService::new(Arc::clone(rooms)));
    let trust_domain = TrustDomainServer::new(TrustDomainService::new(Arc::clone(rooms)));
    Routes::new(agent.max_decoding_message_size(MESSAGE_MAX))
        .add_service(bundle.max_decoding_message_size(MESSAGE_MAX))
        .add_service(entry.max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(usize::MAX))
        .add_service(svid.max_decoding_message_size(MESSAGE_MAX))
        .add_service(LocalAuthorityServer::new(LocalAuthorityService::new(Arc::clone(rooms))))
        .add_service(
            trust_domain.max_decoding_message_size(MESSAGE_MAX).max_encoding_message_size(usize::MAX),
        )
}

/// The services of the private socket: all the others, and those about this process.
fn local_services(rooms: &Arc<Rooms>, log: Handle) -> Routes {
    remote_services(rooms)
        .add_service(DebugServer::new(DebugService::new(Arc::clone(rooms))))
        .add_service(LoggerServer::new(LoggerService::new(log)))
        .add_service(HealthServer::new(HealthService::new(Arc::clone(rooms))))
}

/// Serves agents and administrators until the process stops.
pub async fn serve_tcp(
    listener: TlsListener,
    rooms: Arc<Rooms>,
    gate: Gate,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let address = listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
    info!(address, network = "tcp", subsystem_name = "endpoints", "Starting Server APIs");
    let services = behind(gate, &rooms, remote_services(&rooms));
    let serving = serve(listener, services, ServeOptions::tcp(), shutdown.clone());
    tokio::join!(serving, tell_stop(&address, "tcp", &shutdown));
    info!(address, network = "tcp", subsystem_name = "endpoints", "Server APIs have stopped");
    Ok(())
}

/// Serves the operator until the process stops.
pub async fn serve_unix(
    listener: UnixListener,
    rooms: Arc<Rooms>,
    gate: Gate,
    log: Handle,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let address = listener.path().display().to_string();
    info!(address, network = "unix", subsystem_name = "endpoints", "Starting Server APIs");
    let services = behind(gate, &rooms, local_services(&rooms, log));
    let serving = serve(listener, services, ServeOptions::unix(), shutdown.clone());
    tokio::join!(serving, tell_stop(&address, "unix", &shutdown));
    info!(address, network = "unix", subsystem_name = "endpoints", "Server APIs have stopped");
    Ok(())
}

/// The services with the gate before them, the log and the counters around both, and the audit between them.
fn behind(
    gate: Gate,
    rooms: &Rooms,
    services: Routes,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone + Send + use<>
{
    ServiceBuilder::new()
        .map_request(call_log::numbered)
        .layer(CallSpanLayer(call_log::span))
        .layer(rooms.measure.clone())
        .map_response(call_log::note)
        .layer(gate)
        .layer(rooms.auditing.clone())
        .service(services.prepare())
}

/// Says that serving comes to its end.
async fn tell_stop(address: &str, network: &str, shutdown: &Shutdown) {
    shutdown.stopping().await;
    info!(address, network, subsystem_name = "endpoints", "Stopping Server APIs");
}
