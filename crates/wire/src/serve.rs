//! Running gRPC services on a listener: HTTP/2 with limits, ageing connections, graceful shutdown.
//!
//! For the rooms' endpoints. Any tower service will do: layers are put around a
//! [`tonic::service::Routes`] with [`tower::ServiceBuilder`] before it comes here. Handlers find who is calling
//! among the request's extensions, as `Arc<UnixPeer>` or `Arc<TcpPeer>`.

mod calls;
mod first_byte;
mod message_limit;

pub use message_limit::MESSAGE_MAX;

use crate::listen::Listener;
use bytes::Bytes;
use calls::{Calls, Intake};
use finial_runtime::backoff::random_unit;
use finial_runtime::tasks::Shutdown;
use first_byte::FirstByte;
use http::{HeaderMap, Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use message_limit::MessageLimit;
use std::error::Error;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;
use tokio::task::JoinSet;
use tonic::transport::server::Connected;
use tower::{Service, ServiceExt};

type BoxError = Box<dyn Error + Send + Sync>;

/// Limits of what [`serve`] runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServeOptions {
    /// Most connections at a time; further ones wait in the kernel.
    pub connections: usize,
    /// Most calls at a time on one connection.
    pub streams: u32,
    /// How much one call may send before it is read, in bytes.
    pub stream_window: u32,
    /// How much one connection may send before it is read, in bytes.
    pub connection_window: u32,
    /// How much of an answer waits in memory for a reader, per call, in bytes.
    pub send_buffer: usize,
    /// Longest header block, in bytes.
    pub headers: u32,
    /// How long a connection may be silent before its first byte.
    pub first_byte: Duration,
    /// HTTP/2 pings, by which peers that are gone are noticed.
    pub ping_interval: Option<Duration>,
    /// After so long, give or take a tenth, a connection is asked to end, so that clients spread over servers
    /// and identities are proved anew. Calls under way are let finish.
    pub max_age: Option<Duration>,
    /// How long calls have to finish when serving stops.
    pub drain: Duration,
}

impl ServeOptions {
    /// For Unix sockets: connections live as long as their process likes.
    pub fn unix() -> Self {
        Self {
            connections: 16_384,
            streams: 256,
            stream_window: 64 << 10,
            connection_window: 128 << 10,
            send_buffer: 64 << 10,
            headers: 16 << 10,
            first_byte: Duration::from_secs(60),
            ping_interval: None,
            max_age: None,
            drain: Duration::from_secs(10),
        }
    }

    /// For TCP: connections end after three minutes, as SPIRE's do.
    pub fn tcp() -> Self {
        Self {
            connections: 65_536,
            first_byte: Duration::from_secs(20),
            ping_interval: Some(Duration::from_secs(60)),
            max_age: Some(Duration::from_secs(180)),
            ..Self::unix()
        }
    }
}

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Served {
    /// Connections that were cut because they did not finish in time.
    pub cut: usize,
}

/// Serves until the shutdown, then stops accepting, lets calls finish for [`ServeOptions::drain`], and cuts
/// what is left; at once if everybody is to leave now.
pub async fn serve<L, S, B>(mut listener: L, service: S, options: ServeOptions, shutdown: Shutdown) -> Served
where
    L: Listener,
    S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < options.connections;
        tokio::select! {
            biased;
            () = shutdown.stopping() => break,
            Some(_) = connections.join_next() => {}
            io = listener.accept(), if has_room => {
                let connection = connection(io, service.clone(), &options, shutdown.clone());
                connections.spawn(connection);
            }
        }
    }
    drop(listener);
    drain(connections, options.drain, &shutdown).await
}

async fn drain(mut connections: JoinSet<()>, limit: Duration, shutdown: &Shutdown) -> Served {
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finished => {}
        () = tokio::time::sleep(limit) => {}
        () = shutdown.leaving_now() => {}
    }
    let cut = connections.len();
    connections.shutdown().await;
    Served { cut }
}

fn protocol(options: &ServeOptions, intake: Intake) -> http2::Builder<Intake> {
    let mut protocol = http2::Builder::new(intake);
    protocol
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams)
        .initial_stream_window_size(options.stream_window)
        .initial_connection_window_size(options.connection_window)
        .max_send_buf_size(options.send_buffer)
        .max_header_list_size(options.headers)
        .keep_alive_interval(options.ping_interval)
        // gRPC knows no date; SPIRE's answers have none.
        .auto_date_header(false);
    protocol
}

/// One connection to its end.
fn connection<I, S, B>(
    io: I,
    service: S,
    options: &ServeOptions,
    shutdown: Shutdown,
) -> impl Future<Output = ()> + Send + 'static
where
    I: tokio::io::AsyncRead + tokio::io::AsyncWrite + Connected + Unpin + Send + 'static,
    S: Service<Request<tonic::body::Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Into<BoxError> + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let info = io.connect_info();
    let (io, has_spoken) = FirstByte::watch(io);
    let handler = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(info.clone());
        answer(service.clone(), request.map(|body| tonic::body::Body::new(MessageLimit::new(body))))
    });
    let mut calls = Calls::new();
    let served = protocol(options, calls.intake()).serve_connection(TokioIo::new(io), handler);
    let first_byte = options.first_byte;
    let max_age = options.max_age.map(|age| age.mul_f64(0.9 + 0.2 * random_unit()));
    async move {
        let mut served = pin!(served);
        let mut silence = pin!(tokio::time::sleep(first_byte));
        let mut age = pin!(async {
            match max_age {
                Some(age) => tokio::time::sleep(age).await,
                None => std::future::pending().await,
            }
        });
        let (mut is_judged, mut is_ending) = (false, false);
        loop {
            tokio::select! {
                result = poll_fn(|cx| calls.poll_with(served.as_mut(), cx)) => {
                    if let Err(error) = result {
                        tracing::debug!(%error, "Connection failed");
                    }
                    return;
                }
                () = silence.as_mut(), if !is_judged => {
                    is_judged = true;
                    if !has_spoken.get() {
                        return;
                    }
                }
                () = age.as_mut(), if !is_ending => {
                    is_ending = true;
                    served.as_mut().graceful_shutdown();
                }
                () = shutdown.stopping(), if !is_ending => {
                    is_ending = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    }
}

/// One call, within the time that the caller gives it.
async fn answer<S, B>(
    service: S,
    request: Request<tonic::body::Body>,
) -> Result<Response<tonic::body::Body>, BoxError>
where
    S: Service<Request<tonic::body::Body>, Response = Response<B>>,
    S::Error: Into<BoxError>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let limit = grpc_timeout(request.headers());
    let uri = request.uri().clone();
    let answer = service.oneshot(request);
    let response = match limit {
        None => answer.await,
        Some(limit) => match tokio::time::timeout(limit, answer).await {
            Ok(response) => response,
            Err(_) => return Ok(tonic::Status::deadline_exceeded("context deadline exceeded").into_http()),
        },
    };
    let response = response.map_err(Into::into)?.map(tonic::body::Body::new);
    Ok(unimplemented_text(&response, uri.path())
        .map_or(response, |text| tonic::Status::unimplemented(text).into_http()))
}

/// What Go says where tonic says nothing: that a service or a method is not known. A status made by hand, which
/// that of an unknown service is, comes with the response; one of generated code does not.
fn unimplemented_text<B>(response: &Response<B>, path: &str) -> Option<String> {
    const UNIMPLEMENTED: &str = "12";
    let headers = response.headers();
    if headers.get("grpc-status")? != UNIMPLEMENTED || headers.contains_key("grpc-message") {
        return None;
    }
    let (service, method) = path.strip_prefix('/')?.rsplit_once('/')?;
    Some(match response.extensions().get::<tonic::Status>() {
        Some(_) => format!("unknown service {service}"),
        None => format!("unknown method {method} for service {service}"),
    })
}

/// The header `grpc-timeout`: up to eight digits and a unit. What cannot be read does not count.
fn grpc_timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}
