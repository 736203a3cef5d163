//! TCP with TLS: handshakes side by side, bounded in number and in time.

use super::{Listener, rest_after};
use crate::tls::{self, Contiguous, PeerSvid, keep_alive};
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

/// Limits of a [`TlsListener`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TcpOptions {
    /// How many handshakes may be going on; further connections wait in the kernel. Whoever connects and says
    /// nothing holds a place for the whole timeout, at a few KiB: with few places they would keep others out.
    pub handshakes: usize,
    /// How long a handshake may take.
    pub handshake_timeout: Duration,
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self { handshakes: 4096, handshake_timeout: Duration::from_secs(10) }
    }
}

/// A listening TCP socket that gives connections on which the handshake is done.
#[derive(Debug)]
pub struct TlsListener {
    listener: TcpListener,
    config: Arc<ServerConfig>,
    options: TcpOptions,
    handshakes: JoinSet<Option<TlsConnection>>,
}

impl TlsListener {
    /// Binds. `config` is from [`tls::server_config`]: it follows changes of identity and trust by itself.
    pub async fn bind(
        address: SocketAddr,
        config: Arc<ServerConfig>,
        options: TcpOptions,
    ) -> io::Result<Self> {
        Ok(Self::from_listener(TcpListener::bind(address).await?, config, options))
    }

    /// Takes a socket that listens already.
    pub fn from_listener(listener: TcpListener, config: Arc<ServerConfig>, options: TcpOptions) -> Self {
        Self { listener, config, options, handshakes: JoinSet::new() }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    fn begin_handshake(&mut self, stream: TcpStream, remote: SocketAddr) {
        let handshake = handshake(stream, remote, self.config.clone());
        let timeout = self.options.handshake_timeout;
        self.handshakes.spawn(async move {
            match tokio::time::timeout(timeout, handshake).await {
                Ok(Ok(connection)) => Some(connection),
                Ok(Err(error)) => {
                    tracing::debug!(address = %remote, error = %tls::explain(&error), "TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::debug!(address = %remote, "TLS handshake timed out");
                    None
                }
            }
        });
    }
}

async fn handshake(
    stream: TcpStream,
    remote: SocketAddr,
    config: Arc<ServerConfig>,
) -> io::Result<TlsConnection> {
    stream.set_nodelay(true)?;
    keep_alive(&stream)?;
    let local = stream.local_addr()?;
    let stream = TlsAcceptor::from(config).accept(stream).await?;
    let svid = PeerSvid::of_verified(stream.get_ref().1.peer_certificates())
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(TlsConnection { stream: Contiguous(stream), peer: Arc::new(TcpPeer { remote, local, svid }) })
}

impl Listener for TlsListener {
    type Connection = TlsConnection;

    async fn accept(&mut self) -> TlsConnection {
        loop {
            let has_room = self.handshakes.len() < self.options.handshakes;
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
                accepted = self.listener.accept(), if has_room => match accepted {
                    Ok((stream, remote)) => self.begin_handshake(stream, remote),
                    Err(error) => rest_after(error).await,
                }
            }
        }
    }
}

/// Who is at the other end of a TLS connection.
#[derive(Debug)]
pub struct TcpPeer {
    /// The other end's address.
    pub remote: SocketAddr,
    /// Our address.
    pub local: SocketAddr,
    /// The SVID that it proved to have, verified when the connection was made; it may have expired since.
    pub svid: Option<PeerSvid>,
}

/// An accepted connection. Its `ConnectInfo`, which handlers find among a request's extensions, is an
/// `Arc<TcpPeer>`.
#[derive(Debug)]
pub struct TlsConnection {
    stream: Contiguous<TlsStream<TcpStream>>,
    peer: Arc<TcpPeer>,
}

impl TlsConnection {
    /// Who is at the other end.
    pub fn peer(&self) -> &Arc<TcpPeer> {
        &self.peer
    }
}

impl Connected for TlsConnection {
    type ConnectInfo = Arc<TcpPeer>;

    fn connect_info(&self) -> Arc<TcpPeer> {
        self.peer.clone()
    }
}

impl AsyncRead for TlsConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
