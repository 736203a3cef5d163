//! Listeners whose connections know who is at the other end.
//!
//! A [`Listener`] goes to [`serve`](crate::serve::serve); `incoming()` gives the same connections as a stream,
//! for tonic's own server.

mod path_authority;
mod tcp;
mod unix;

pub use tcp::{TcpOptions, TcpPeer, TlsConnection, TlsListener};
pub use unix::{UnixConnection, UnixListenError, UnixListener, UnixSocketOptions};

use futures_util::{Stream, stream};
use std::convert::Infallible;
use std::future::Future;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tonic::transport::server::Connected;

/// Gives connections, one after another, for ever.
pub trait Listener: Send + 'static {
    /// What it gives.
    type Connection: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;

    /// The next connection. What fails meanwhile is logged and passed over, since no failure of one connection
    /// is a reason to stop. Dropping the future loses nothing.
    fn accept(&mut self) -> impl Future<Output = Self::Connection> + Send;

    /// All connections as a stream, for `tonic::transport::Server::serve_with_incoming`.
    fn incoming(self) -> impl Stream<Item = Result<Self::Connection, Infallible>> + Send
    where
        Self: Sized,
    {
        stream::unfold(self, |mut listener| async move {
            let connection = listener.accept().await;
            Some((Ok(connection), listener))
        })
    }
}

/// For how long to rest when the process has run out of descriptors or memory.
const EXHAUSTED_REST: Duration = Duration::from_millis(100);

/// Logs a failed `accept`; rests if it was for want of something that is to be had again only later.
async fn rest_after(error: std::io::Error) {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted) {
        return;
    }
    tracing::warn!(%error, "Failed to accept a connection");
    tokio::time::sleep(EXHAUSTED_REST).await;
}
