//! Two paths over HTTP/1.1, and nothing else.

use crate::config::HealthListener;
use bytes::Bytes;
use finial_runtime::health::Report;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// More probes at once than anybody needs.
const CONNECTIONS_MAX: usize = 64;
/// After an error of the system, such as too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Answers until it is dropped. An address that is not to be had is worth a warning, not the process, as in
/// SPIRE.
pub(super) async fn serve(
    listener: HealthListener,
    report: watch::Receiver<Report>,
) -> Result<(), Infallible> {
    let paths = Arc::new(listener);
    match TcpListener::bind(&paths.address).await {
        Ok(listener) => {
            tracing::info!(address = paths.address, subsystem_name = "health", "Serving health checks");
            accept(listener, &paths, &report).await
        }
        Err(error) => {
            let error = format!("listen tcp {}: {error}", paths.address);
            tracing::warn!(error, subsystem_name = "health", "Error serving health checks");
            Ok(())
        }
    }
}

async fn accept(
    listener: TcpListener,
    paths: &Arc<HealthListener>,
    report: &watch::Receiver<Report>,
) -> Result<(), Infallible> {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                connections.spawn(answer_all(stream, Arc::clone(paths), report.clone()));
            }
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn answer_all(stream: TcpStream, paths: Arc<HealthListener>, report: watch::Receiver<Report>) {
    let service = service_fn(move |request: Request<hyper::body::Incoming>| {
        let response = answer(request.uri().path(), &paths, &report.borrow());
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

fn answer(path: &str, paths: &HealthListener, report: &Report) -> Response<Full<Bytes>> {
    let (is_well, details) = if path == paths.live_path {
        (report.live(), report.live_details())
    } else if path == paths.ready_path {
        (report.ready(), report.ready_details())
    } else {
        return of(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned());
    };
    let status = if is_well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    of(status, "application/json", json_line(&details))
}

fn json_line(details: &Value) -> String {
    format!("{details}\n")
}

fn of(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_runtime::clock::TestClock;
    use finial_runtime::health::{Registry, State};
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    async fn asked(address: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        format!("{} {body}", head.lines().next().unwrap())
    }

    #[tokio::test]
    async fn both_paths_answer_with_details() {
        let registry = Registry::new(Arc::new(TestClock::at_unix(100)));
        let check = || State { live: true, live_details: json!({}), ..State::unwell("still syncing") };
        registry.add("agent", check).unwrap();
        registry.check_all().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let paths = HealthListener {
            address: address.clone(),
            live_path: "/live".to_owned(),
            ready_path: "/deep/ready".to_owned(),
        };
        let report = registry.report();
        let server = tokio::spawn(async move { accept(listener, &Arc::new(paths), &report).await });
        assert_eq!(asked(&address, "/live?x=1").await, "HTTP/1.1 200 OK {\"agent\":{}}\n");
        let ready = asked(&address, "/deep/ready").await;
        assert_eq!(ready, "HTTP/1.1 500 Internal Server Error {\"agent\":{\"message\":\"still syncing\"}}\n");
        assert_eq!(asked(&address, "/").await, "HTTP/1.1 404 Not Found 404 page not found\n");
        server.abort();
    }
}
