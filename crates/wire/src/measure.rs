//! Counts calls around services: how many ended how, and how long they took.
//!
//! A layer outside of everything that may refuse. Names are looked up without making anything once a method was
//! called. A call with one answer is over when the answer is there, one with many when the last was read or
//! nobody listens any more.

use crate::names::metric_name;
use finial_runtime::metrics::{Call, Metrics, Running};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};

const OK: i32 = 0;
const CANCELLED: i32 = 1;
const UNKNOWN: i32 = 2;

/// How many answers a method gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    /// One.
    One,
    /// Any number.
    Many,
}

/// The counters of all methods that are served.
#[derive(Debug, Clone)]
pub struct Measure {
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Counters {
    metrics: Metrics,
    methods: fn(&str) -> Option<Answers>,
    by_path: RwLock<HashMap<String, (Call, Answers)>>,
}

impl Measure {
    /// Counts the methods that `methods` knows. Others are not counted: whoever calls could otherwise make names
    /// without end.
    pub fn new(metrics: &Metrics, methods: fn(&str) -> Option<Answers>) -> Self {
        let metrics = metrics.clone();
        Self { counters: Arc::new(Counters { metrics, methods, by_path: RwLock::default() }) }
    }
}

impl Counters {
    fn start(&self, path: &str) -> Option<(Running, Answers)> {
        if !self.metrics.is_on() {
            return None;
        }
        if let Some((call, answers)) = self.by_path.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Some((call.start(), *answers));
        }
        let answers = (self.methods)(path)?;
        let call = self.metrics.call(&metric_name(path), &[]);
        let running = call.start();
        let mut by_path = self.by_path.write().unwrap_or_else(PoisonError::into_inner);
        by_path.insert(path.to_owned(), (call, answers));
        Some((running, answers))
    }
}

impl<S> Layer<S> for Measure {
    type Service = Measured<S>;

    fn layer(&self, inner: S) -> Measured<S> {
        Measured { counters: Arc::clone(&self.counters), inner }
    }
}

/// Services whose calls are counted.
#[derive(Debug, Clone)]
pub struct Measured<S> {
    counters: Arc<Counters>,
    inner: S,
}

impl<S> Service<Request<Body>> for Measured<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let started = self.counters.start(request.uri().path());
        let answering = self.inner.call(request);
        let Some((running, answers)) = started else { return Box::pin(answering) };
        let mut open = Open(Some(running));
        Box::pin(async move {
            let response = answering.await?;
            Ok(match (status_of(response.headers()), answers) {
                (None, Answers::Many) => response.map(|body| counted_to_the_end(body, open)),
                (status, _) => {
                    open.close(status.unwrap_or(OK));
                    response
                }
            })
        })
    }
}

/// A call that counts as cancelled unless it is closed.
struct Open(Option<Running>);

impl Open {
    fn close(&mut self, status: i32) {
        if let Some(running) = self.0.take() {
            running.done(status);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.close(CANCELLED);
    }
}

fn counted_to_the_end(body: Body, mut open: Open) -> Body {
    Body::new(body.map_frame(move |frame| {
        if let Some(trailers) = frame.trailers_ref() {
            open.close(status_of(trailers).unwrap_or(UNKNOWN));
        }
        frame
    }))
}

/// The status in the headers of an answer without messages, or in the trailers behind them.
pub fn status_of(headers: &HeaderMap) -> Option<i32> {
    let status = headers.get("grpc-status")?;
    Some(status.to_str().ok().and_then(|status| status.parse().ok()).unwrap_or(UNKNOWN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_runtime::metrics::prometheus::Prometheus;
    use finial_runtime::metrics::{Rules, Sink};
    use std::convert::Infallible;
    use tower::{ServiceExt, service_fn};

    fn methods(path: &str) -> Option<Answers> {
        match path {
            "/a.S/One" => Some(Answers::One),
            "/a.S/Many" => Some(Answers::Many),
            _ => None,
        }
    }

    /// What is counted after a call that is answered so; `read` says whether the answer is read to its end.
    async fn counted(path: &str, status: Option<&'static str>, read: bool) -> String {
        let numbers = Arc::new(Prometheus::default());
        let sinks = vec![Arc::clone(&numbers) as Arc<dyn Sink>];
        let measure = Measure::new(&Metrics::new(Rules::default(), sinks), methods);
        let service = measure.layer(service_fn(move |_: Request<Body>| async move {
            let mut trailers = HeaderMap::new();
            trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
            let trailers = async move { Some(Ok(trailers)) };
            let mut response = Response::new(Body::new(Body::empty().with_trailers(trailers)));
            if let Some(status) = status {
                response.headers_mut().insert("grpc-status", http::HeaderValue::from_static(status));
            }
            Ok::<_, Infallible>(response)
        }));
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        if read {
            response.into_body().collect().await.unwrap();
        } else {
            drop(response);
        }
        let text = numbers.exposition();
        text.lines().filter(|line| line.starts_with("rpc") && !line.contains("elapsed")).collect()
    }

    #[tokio::test]
    async fn calls_are_counted_by_how_they_end() {
        for (path, status, read, want) in [
            ("/a.S/One", None, true, "rpc_a_s_one{status=\"OK\"} 1"),
            ("/a.S/One", Some("7"), true, "rpc_a_s_one{status=\"PermissionDenied\"} 1"),
            ("/a.S/Many", None, true, "rpc_a_s_many{status=\"OK\"} 1"),
            ("/a.S/Many", Some("16"), true, "rpc_a_s_many{status=\"Unauthenticated\"} 1"),
            ("/a.S/Many", None, false, "rpc_a_s_many{status=\"Canceled\"} 1"),
            ("/a.S/Nope", None, true, ""),
        ] {
            assert_eq!(counted(path, status, read).await, want, "{path} {status:?} {read}");
        }
    }
}
