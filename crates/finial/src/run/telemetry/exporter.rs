//! The listener that Prometheus asks: the numbers under every path, over HTTP or HTTPS.

use super::SUBSYSTEM;
use crate::config::{PrometheusSettings, TlsFiles};
use crate::run::web;
use finial_runtime::clock::SystemClock;
use finial_runtime::metrics::prometheus::{CONTENT_TYPE, Prometheus};
use finial_wire::tls::{KeyExchange, PemTlsError, TlsOptions, pem_server_config};
use http::StatusCode;
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// Why the files of `tls` could not be used.
#[derive(Debug, thiserror::Error)]
pub(in crate::run) enum TlsFileError {
    /// A file could not be read.
    #[error("failed to create TLS config for Prometheus: could not read {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// What is in them is not good.
    #[error("failed to create TLS config for Prometheus")]
    Config(#[source] PemTlsError),
}

/// How the listener proves who it is.
pub(super) struct ExporterTls(TlsAcceptor);

impl ExporterTls {
    /// Reads the files.
    pub(super) fn read(files: &TlsFiles, key_exchange: KeyExchange) -> Result<Self, TlsFileError> {
        let certificates = read(&files.certificate)?;
        let key = read(&files.key)?;
        let client_ca = files.client_ca.as_deref().map(read).transpose()?;
        let options = TlsOptions { key_exchange, clock: SystemClock::shared() };
        let config = pem_server_config(&certificates, &key, client_ca.as_deref(), &options);
        Ok(Self(TlsAcceptor::from(config.map_err(TlsFileError::Config)?)))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFileError> {
    std::fs::read(path).map_err(|source| TlsFileError::Read { path: path.into(), source })
}

/// Answers until it is dropped. An address that is not to be had is worth a warning, not the process, as in
/// SPIRE.
pub(super) async fn serve(
    settings: PrometheusSettings,
    numbers: Arc<Prometheus>,
    tls: Option<ExporterTls>,
) -> Result<(), Infallible> {
    let PrometheusSettings { host, port, .. } = settings;
    if host != "localhost" {
        tracing::warn!(
            subsystem_name = SUBSYSTEM,
            "Agent is now configured to accept remote network connections for Prometheus stats collection. Please \
             ensure access to this port is tightly controlled"
        );
    }
    tracing::info!(host, port, subsystem_name = SUBSYSTEM, "Starting prometheus exporter");
    match TcpListener::bind((host.as_str(), port)).await {
        Ok(listener) => accept(listener, numbers, tls).await,
        Err(error) => {
            tracing::warn!(
                subsystem_name = SUBSYSTEM,
                "Prometheus listener stopped unexpectedly: listen tcp {host}:{port}: {error}"
            );
            Ok(())
        }
    }
}

async fn accept(
    listener: TcpListener,
    numbers: Arc<Prometheus>,
    tls: Option<ExporterTls>,
) -> Result<(), Infallible> {
    let answer = move |_: &str| web::response(StatusCode::OK, CONTENT_TYPE, numbers.exposition());
    web::serve(listener, tls.map(|tls| tls.0), answer).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_runtime::metrics::{Metrics, Rules};

    #[tokio::test]
    async fn numbers_are_under_every_path() {
        let numbers = Arc::new(Prometheus::default());
        Metrics::new(Rules::default(), vec![numbers.clone()]).counter("n", &[]).increment();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(accept(listener, numbers, None));
        for path in ["/metrics", "/"] {
            let response = web::asked(address, path).await;
            assert!(
                response.contains("content-type: text/plain; version=0.0.4; charset=utf-8\r\n"),
                "{response}"
            );
            assert!(response.ends_with("\r\n\r\n# HELP n n\n# TYPE n counter\nn 1\n"), "{response}");
        }
        server.abort();
    }

    #[test]
    fn files_that_are_not_there_are_named() {
        let files =
            TlsFiles { certificate: "/nowhere/c.pem".into(), key: "/nowhere/k.pem".into(), client_ca: None };
        let error = ExporterTls::read(&files, KeyExchange::Any).err().unwrap();
        let want = "failed to create TLS config for Prometheus: could not read /nowhere/c.pem";
        assert_eq!(error.to_string(), want);
    }
}
