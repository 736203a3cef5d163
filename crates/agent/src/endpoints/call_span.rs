//! Puts every log line of a call under a span that says who calls what.

use finial_wire::peer::UnixPeer;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::Service;
use tracing::instrument::{Instrument, Instrumented};
use tracing::{Span, error_span};

/// A service whose calls have a span.
#[derive(Debug, Clone)]
pub(super) struct CallSpan<S> {
    inner: S,
    /// The part of the agent that the log lines name, if any.
    subsystem: Option<&'static str>,
}

impl<S> CallSpan<S> {
    pub(super) fn new(inner: S, subsystem: Option<&'static str>) -> Self {
        Self { inner, subsystem }
    }

    fn span(&self, request: &http::Request<Body>) -> Span {
        let (service, method) = names(request.uri().path());
        let pid = request.extensions().get::<Arc<UnixPeer>>().map(|peer| peer.pid);
        error_span!("call", subsystem_name = self.subsystem, service, method, pid)
    }
}

/// Service and method of a path, as SPIRE logs them.
fn names(path: &str) -> (&str, &str) {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let service = match service {
        "SpiffeWorkloadAPI" => "WorkloadAPI",
        "envoy.service.secret.v3.SecretDiscoveryService" => "SDS.v3",
        "grpc.health.v1.Health" => "Health",
        "spire.api.agent.logger.v1.Logger" => "Logger",
        "spire.agent.debug.v1.Debug" => "Debug",
        "spire.api.agent.delegatedidentity.v1.DelegatedIdentity" => "DelegatedIdentity",
        other => other,
    };
    (service, method)
}

impl<S> Service<http::Request<Body>> for CallSpan<S>
where
    S: Service<http::Request<Body>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let span = self.span(&request);
        let future = span.in_scope(|| self.inner.call(request));
        future.instrument(span)
    }
}
