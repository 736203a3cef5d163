//! SPIFFE TLS on rustls with aws-lc: identities that change while they are used, peers verified against the
//! bundle of their trust domain.
//!
//! For listeners and channels. A connection keeps the identity with which it was made; new ones get the current
//! one. There is no resumption, so that every connection is verified anew.

mod config;
mod contiguous;
mod identity;
mod pem_server;
mod verify;
mod web;

pub(crate) use contiguous::Contiguous;

pub use config::{ExpectedServer, KeyExchange, TlsOptions, client_config, server_config};
pub use identity::{IdentityCell, IdentityError, LocalIdentity, TlsSigner};
pub use pem_server::{PemTlsError, pem_server_config};
pub use verify::{CapturedChain, PeerSvid, TrustSource, VerifyError};
pub use web::{
    Shown, WebCertificate, WebCertificateCell, WebCertificateError, WebRoots, WebRootsError, WebVerifyError,
    web_client_config, web_server_config,
};

use std::error::Error;
use std::io;
use std::time::Duration;

/// The error of a handshake in words: what the verifier found, if it was the verifier.
pub fn explain(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other))) => {
            with_causes(&*other.0)
        }
        _ => error.to_string(),
    }
}

fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// After so long without a sign of life the kernel begins to ask.
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_COUNT: u32 = 3;
/// Data that is not acknowledged for so long breaks the connection, in milliseconds.
const USER_TIMEOUT: u32 = 60_000;

/// Lets the kernel find out when the other end is gone.
///
/// HTTP/2 pings would do so too, but Go's servers close connections on which more than one comes in five
/// minutes.
pub(crate) fn keep_alive(stream: &tokio::net::TcpStream) -> io::Result<()> {
    use rustix::net::sockopt;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_COUNT)?;
    sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT)?;
    Ok(())
}
