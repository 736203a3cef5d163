//! The public socket: Workload API, health, reflection.

use super::call_span;
use crate::delivery::{HealthService, WorkloadApi, WorkloadRpc, reflection};
use finial_runtime::tasks::Shutdown;
use finial_wire::call_span::CallSpanLayer;
use finial_wire::listen::{UnixListenError, UnixListener, UnixSocketOptions};
use finial_wire::measure::Measure;
use finial_wire::serve::{ServeOptions, serve};
use std::path::Path;
use tonic::service::RoutesBuilder;
use tonic_health::pb::health_server::HealthServer;
use tower::Layer;
use tracing::info;

/// What is served here, in SPIRE's words for the log.
const API_NAMES: &str = "Workload API";
const SUBSYSTEM: &str = "endpoints";

/// Binds the socket (0777 in a directory 0755) and serves until the shutdown. Open streams end with
/// `Unavailable`, so that their readers come back.
pub async fn serve_workload_socket(
    path: &Path,
    api: WorkloadApi,
    measure: Measure,
    shutdown: Shutdown,
) -> Result<(), UnixListenError> {
    let listener = UnixListener::bind(path, UnixSocketOptions::AGENT_PUBLIC)?;
    let address = path.display();
    info!(subsystem_name = SUBSYSTEM, apis = API_NAMES, network = "unix", %address, "Starting agent APIs");
    let workloads = WorkloadRpc::new(api, shutdown.clone());
    let mut routes = RoutesBuilder::default();
    routes.add_service(workloads.clone());
    routes.add_service(HealthServer::new(HealthService::new(workloads)));
    reflection(&mut routes);
    let spans = CallSpanLayer(|request| call_span(Some(SUBSYSTEM), request));
    let service = spans.layer(measure.layer(routes.routes().prepare()));
    let announce = async {
        shutdown.stopping().await;
        info!(subsystem_name = SUBSYSTEM, apis = API_NAMES, "Stopping agent APIs");
    };
    tokio::join!(serve(listener, service, ServeOptions::unix(), shutdown.clone()), announce);
    Ok(())
}
