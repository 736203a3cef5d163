//! The two TLS configurations: of a SPIRE server, and of a client of one.

use super::identity::{IdentityCell, Resolver};
use super::verify::{CapturedChain, ClientVerifier, ServerRule, ServerVerifier, TrustSource};
use finial_identity::SpiffeId;
use finial_runtime::clock::{Clock, SystemClock};
use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{NoServerSessionStorage, ResolvesServerCert};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion, version};
use std::sync::Arc;

const ALPN_HTTP2: &[u8] = b"h2";
const ALPN_HTTP1: &[u8] = b"http/1.1";
/// Hybrid key exchange is of TLS 1.3.
static POST_QUANTUM_VERSIONS: &[&SupportedProtocolVersion] = &[&version::TLS13];

/// Which key exchanges are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyExchange {
    /// X25519MLKEM768 first, then the usual ones; TLS 1.2 and 1.3.
    #[default]
    Any,
    /// X25519MLKEM768 and TLS 1.3 only: SPIRE's `require_pq_kem`.
    PostQuantum,
}

/// What both configurations share.
#[derive(Debug, Clone)]
pub struct TlsOptions {
    /// Which key exchanges are taken.
    pub key_exchange: KeyExchange,
    /// By which certificates are judged.
    pub clock: Arc<dyn Clock>,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { key_exchange: KeyExchange::default(), clock: SystemClock::shared() }
    }
}

impl TlsOptions {
    pub(super) fn provider(&self) -> Arc<CryptoProvider> {
        let provider = aws_lc_rs::default_provider();
        Arc::new(match self.key_exchange {
            KeyExchange::Any => provider,
            KeyExchange::PostQuantum => {
                CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768], ..provider }
            }
        })
    }

    pub(super) fn versions(&self) -> &'static [&'static SupportedProtocolVersion] {
        match self.key_exchange {
            KeyExchange::Any => rustls::ALL_VERSIONS,
            KeyExchange::PostQuantum => POST_QUANTUM_VERSIONS,
        }
    }

    pub(super) fn time(&self) -> Arc<ClockTime> {
        Arc::new(ClockTime(self.clock.clone()))
    }
}

/// Tells rustls the time of our clock.
#[derive(Debug)]
pub(super) struct ClockTime(Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        let since_epoch = self.0.now().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(rustls::pki_types::UnixTime::since_unix_epoch(since_epoch))
    }
}

/// A server's side: HTTP/2; clients are asked for an SVID, need not have one, and are refused if it is not
/// verified by its trust domain's bundle. Neither tickets nor resumption.
pub fn server_config(
    identity: Arc<IdentityCell>,
    trust: Arc<dyn TrustSource>,
    options: &TlsOptions,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let provider = options.provider();
    let verifier = ClientVerifier { trust, algorithms: provider.signature_verification_algorithms };
    let mut config = ServerConfig::builder_with_details(provider, options.time())
        .with_protocol_versions(options.versions())?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(Resolver(identity)));
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A server's side for the web: nobody is asked for a certificate, and each connection is made anew, so that
/// a certificate that was replaced is not shown any more.
pub(super) fn web_server(
    resolver: Arc<dyn ResolvesServerCert>,
    options: &TlsOptions,
) -> Result<Arc<ServerConfig>, rustls::Error> {
    let mut config = ServerConfig::builder_with_details(options.provider(), options.time())
        .with_protocol_versions(options.versions())?
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// A client's side for the web, for HTTP/1.1.
pub(super) fn web_client(
    verifier: Arc<dyn ServerCertVerifier>,
    options: &TlsOptions,
) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_details(options.provider(), options.time())
        .with_protocol_versions(options.versions())?
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN_HTTP1.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// Whom a client expects.
#[derive(Debug)]
pub enum ExpectedServer {
    /// The party with exactly this ID, verified by the bundle of its trust domain.
    Is {
        /// For example `spiffe://example.org/spire/server`.
        id: SpiffeId,
        /// What is trusted.
        trust: Arc<dyn TrustSource>,
    },
    /// Anybody at all: **only** for fetching a bundle when an operator has asked for `insecure_bootstrap`. The
    /// server must still have the key of the certificate that it shows, which is kept for the log.
    Anybody(CapturedChain),
}

/// A client's side: HTTP/2, and the identity in the cell if the server asks for one. Other protocols may be
/// set in `alpn_protocols`.
pub fn client_config(
    expected: ExpectedServer,
    identity: Option<Arc<IdentityCell>>,
    options: &TlsOptions,
) -> Result<ClientConfig, rustls::Error> {
    let provider = options.provider();
    let rule = match expected {
        ExpectedServer::Is { id, trust } => ServerRule::Is(id, trust),
        ExpectedServer::Anybody(captured) => ServerRule::Anybody(captured),
    };
    let verifier = ServerVerifier { rule, algorithms: provider.signature_verification_algorithms };
    let mut config = ClientConfig::builder_with_details(provider, options.time())
        .with_protocol_versions(options.versions())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_cert_resolver(Arc::new(Resolver(identity.unwrap_or_else(IdentityCell::empty))));
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}
