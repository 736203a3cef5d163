//! Puts every log line of a call under a span that says who calls what.
//!
//! For the endpoints of server and agent, which say what is in the span. Services have the names that SPIRE
//! gives them in its log.

use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};

/// Makes the span of a call.
pub type SpanOf = fn(&http::Request<Body>) -> Span;

/// The layer; the first around the services, so that nothing of a call is outside.
#[derive(Debug, Clone, Copy)]
pub struct CallSpanLayer(pub SpanOf);

impl<S> Layer<S> for CallSpanLayer {
    type Service = CallSpan<S>;

    fn layer(&self, inner: S) -> CallSpan<S> {
        CallSpan { inner, span_of: self.0 }
    }
}

/// A service whose calls have a span.
#[derive(Debug, Clone)]
pub struct CallSpan<S> {
    inner: S,
    span_of: SpanOf,
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
        let span = (self.span_of)(&request);
        let future = span.in_scope(|| self.inner.call(request));
        future.instrument(span)
    }
}

/// Service and method of a path, as SPIRE logs them.
#[must_use]
pub fn names(path: &str) -> (&str, &str) {
    let (service, method) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
    let service = match service {
        "SpiffeWorkloadAPI" => "WorkloadAPI",
        "envoy.service.secret.v3.SecretDiscoveryService" => "SDS.v3",
        "grpc.health.v1.Health" => "Health",
        "spire.api.agent.logger.v1.Logger" | "spire.api.server.logger.v1.Logger" => "Logger",
        "spire.agent.debug.v1.Debug" => "Debug",
        "spire.api.agent.delegatedidentity.v1.DelegatedIdentity" => "DelegatedIdentity",
        other => other.strip_prefix("spire.api.server.").unwrap_or(other),
    };
    (service, method)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_the_names_that_spire_logs() {
        for (path, logged) in [
            ("/SpiffeWorkloadAPI/FetchX509SVID", ("WorkloadAPI", "FetchX509SVID")),
            ("/spire.api.server.agent.v1.Agent/BanAgent", ("agent.v1.Agent", "BanAgent")),
            ("/spire.api.server.logger.v1.Logger/GetLogger", ("Logger", "GetLogger")),
            ("/spire.api.agent.logger.v1.Logger/GetLogger", ("Logger", "GetLogger")),
            ("/spire.api.server.debug.v1.Debug/GetInfo", ("debug.v1.Debug", "GetInfo")),
            ("/spire.agent.debug.v1.Debug/GetInfo", ("Debug", "GetInfo")),
        ] {
            assert_eq!(names(path), logged);
        }
    }
}
