//! The operator's socket: debug and logger.

use super::call_span;
use crate::delivery::Debug;
use finial_proto::agent::debug::debug_server::DebugServer;
use finial_proto::agent::logger::logger_server::LoggerServer;
use finial_runtime::tasks::Shutdown;
use finial_wire::call_span::CallSpanLayer;
use finial_wire::listen::{UnixListenError, UnixListener, UnixSocketOptions};
use finial_wire::logger::LoggerService;
use finial_wire::measure::Measure;
use finial_wire::serve::{ServeOptions, serve};
use std::path::Path;
use tonic::service::Routes;
use tower::Layer;
use tracing::info;

/// Binds the socket (0770 in a directory 0755) and serves until the shutdown.
pub async fn serve_admin_socket(
    path: &Path,
    debug: Debug,
    logger: LoggerService,
    measure: Measure,
    shutdown: Shutdown,
) -> Result<(), UnixListenError> {
    let listener = UnixListener::bind(path, UnixSocketOptions::AGENT_ADMIN)?;
    let address = path.display();
    info!(network = "unix", %address, "Starting Admin APIs");
    let routes = Routes::new(DebugServer::new(debug)).add_service(LoggerServer::new(logger));
    let service = CallSpanLayer(|request| call_span(None, request)).layer(measure.layer(routes.prepare()));
    let announce = async {
        shutdown.stopping().await;
        info!(network = "unix", %address, "Stopping Admin APIs");
    };
    tokio::join!(serve(listener, service, ServeOptions::unix(), shutdown.clone()), announce);
    info!(network = "unix", %address, "Admin APIs have stopped");
    Ok(())
}
