//! A server of small documents, for HTTP/1.1 and HTTP/2. What a request brings besides its head is not read.

use crate::listen::Listener;
use bytes::Bytes;
use finial_runtime::tasks::Shutdown;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

/// Limits of [`serve_web`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WebOptions {
    /// Most connections at a time; further ones wait in the kernel.
    pub connections: usize,
    /// How long the head of a request may take.
    pub head: Duration,
    /// After so long a connection is asked to end.
    pub max_age: Duration,
    /// How long it then has.
    pub drain: Duration,
}

impl Default for WebOptions {
    fn default() -> Self {
        Self {
            connections: 1024,
            head: Duration::from_secs(10),
            max_age: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// Longest head of a request, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// Requests at a time on one connection.
const STREAMS: u32 = 16;

/// Serves until the shutdown.
pub async fn serve_web<L, H, F>(mut listener: L, handler: H, options: WebOptions, shutdown: Shutdown)
where
    L: Listener,
    H: Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        let has_room = connections.len() < options.connections;
        tokio::select! {
            biased;
            () = shutdown.stopping() => break,
            Some(_) = connections.join_next() => {}
            io = listener.accept(), if has_room => {
                connections.spawn(connection(io, handler.clone(), options, shutdown.clone()));
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::select! {
        () = finished => {}
        () = shutdown.leaving_now() => {}
    }
}

/// One connection to its end.
async fn connection<I, H, F>(io: I, handler: H, options: WebOptions, shutdown: Shutdown)
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<Full<Bytes>>> + Send + 'static,
{
    let mut protocol = auto::Builder::new(TokioExecutor::new());
    protocol.http1().timer(TokioTimer::new()).header_read_timeout(options.head).max_buf_size(HEAD_MAX);
    protocol.http2().timer(TokioTimer::new()).max_concurrent_streams(STREAMS).max_header_list_size(16 << 10);
    let service = service_fn(|request| {
        let response = handler(request);
        async move { Ok::<_, Infallible>(response.await) }
    });
    let mut served = pin!(protocol.serve_connection(TokioIo::new(io), service));
    tokio::select! {
        // Whoever went away does not want to know.
        _ = served.as_mut() => return,
        () = tokio::time::sleep(options.max_age) => {}
        () = shutdown.stopping() => {}
    }
    served.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(options.drain, served).await;
}
