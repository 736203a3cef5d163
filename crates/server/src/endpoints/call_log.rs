//! What the log says of every call: who calls what, as whom, and why it was refused.

use crate::api::tell_refusal;
use crate::audit::layer::RequestId;
use finial_wire::call_span::names;
use finial_wire::listen::TcpPeer;
use http::{Request, Response};
use std::sync::Arc;
use tonic::Status;
use tonic::body::Body;
use tracing::{Span, error_span};
use uuid::Uuid;

/// A call with its number.
pub(super) fn numbered(mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(RequestId(Uuid::new_v4()));
    request
}

/// The span of a call. The gate fills in as what the caller was let in.
pub(super) fn span(request: &Request<Body>) -> Span {
    let (service, method) = names(request.uri().path());
    let peer = request.extensions().get::<Arc<TcpPeer>>();
    error_span!(
        "call",
        subsystem_name = "api",
        service,
        method,
        request_id = request.extensions().get::<RequestId>().map(|id| tracing::field::display(id.0)),
        caller_addr = peer.map(|peer| tracing::field::display(peer.remote)),
        caller_id = peer.and_then(|peer| peer.svid.as_ref()).map(|svid| tracing::field::display(&svid.id)),
        authorized_as = tracing::field::Empty,
        authorized_via = tracing::field::Empty,
    )
}

/// Logs the refusal in an answer, if it is one.
pub(super) fn note(response: Response<Body>) -> Response<Body> {
    if let Some(status) = Status::from_header_map(response.headers()) {
        tell_refusal(&status);
    }
    response
}
