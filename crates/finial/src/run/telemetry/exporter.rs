//! The listener that Prometheus asks: the numbers under every path, over HTTP or HTTPS.

use super::SUBSYSTEM;
use crate::config::{PrometheusSettings, TlsFiles};
use bytes::Bytes;
use finial_runtime::clock::SystemClock;
use finial_runtime::metrics::prometheus::{CONTENT_TYPE, Prometheus};
use finial_wire::tls::{KeyExchange, PemTlsError, TlsOptions, pem_server_config};
use http::header::CONTENT_TYPE as CONTENT_TYPE_HEADER;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// More than anybody needs who asks for metrics.
const CONNECTIONS_MAX: usize = 64;
/// After an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

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
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let acceptor = tls.as_ref().map(|tls| tls.0.clone());
                connections.spawn(answer(stream, acceptor, Arc::clone(&numbers)));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn answer(stream: TcpStream, acceptor: Option<TlsAcceptor>, numbers: Arc<Prometheus>) {
    let Some(acceptor) = acceptor else { return answer_all(stream, numbers).await };
    // Whoever does not finish a handshake gets no answer.
    if let Ok(Ok(stream)) = tokio::time::timeout(HEADER_TIMEOUT, acceptor.accept(stream)).await {
        answer_all(stream, numbers).await;
    }
}

async fn answer_all<S: AsyncRead + AsyncWrite + Unpin>(stream: S, numbers: Arc<Prometheus>) {
    let service = service_fn(|_: Request<hyper::body::Incoming>| {
        let mut response = Response::new(Full::new(Bytes::from(numbers.exposition())));
        response.headers_mut().insert(CONTENT_TYPE_HEADER, HeaderValue::from_static(CONTENT_TYPE));
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(16 << 10)
        .serve_connection(TokioIo::new(stream), service);
    // Whoever went away does not want to know.
    let _ = connection.await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_runtime::metrics::{Metrics, Rules};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn numbers_are_under_every_path() {
        let numbers = Arc::new(Prometheus::default());
        Metrics::new(Rules::default(), vec![numbers.clone()]).counter("n", &[]).increment();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(accept(listener, numbers, None));
        for path in ["/metrics", "/"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
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
