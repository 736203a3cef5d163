//! The agent's two sockets: binding, serving, and who calls what in the log.

mod admin_socket;
mod workload_socket;

pub use admin_socket::serve_admin_socket;
pub use workload_socket::serve_workload_socket;

use finial_wire::call_span::names;
use finial_wire::measure::Answers;
use finial_wire::peer::UnixPeer;
use std::sync::Arc;
use tonic::body::Body;
use tracing::{Span, error_span};

/// Who calls what; in `subsystem` of the agent, if the log names one.
fn call_span(subsystem: Option<&'static str>, request: &http::Request<Body>) -> Span {
    let (service, method) = names(request.uri().path());
    let pid = request.extensions().get::<Arc<UnixPeer>>().map(|peer| peer.pid);
    error_span!("call", subsystem_name = subsystem, service, method, pid)
}

/// How many answers the methods of both sockets give; nothing of others.
pub fn answers_of(path: &str) -> Option<Answers> {
    let (service, method) = names(path);
    match (service, method) {
        ("WorkloadAPI", "FetchX509SVID" | "FetchX509Bundles" | "FetchJWTBundles") => Some(Answers::Many),
        ("WorkloadAPI", "FetchJWTSVID" | "ValidateJWTSVID") => Some(Answers::One),
        ("Health", "Check") | ("Debug", "GetInfo") => Some(Answers::One),
        ("Health", "Watch") => Some(Answers::Many),
        ("Logger", "GetLogger" | "SetLogLevel" | "ResetLogLevel") => Some(Answers::One),
        _ => None,
    }
}
