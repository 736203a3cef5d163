//! Two paths over HTTP/1.1, and nothing else.

use crate::config::HealthListener;
use crate::run::web;
use bytes::Bytes;
use finial_runtime::health::Report;
use http::{Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;
use std::convert::Infallible;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Answers until it is dropped. An address that is not to be had is worth a warning, not the process, as in
/// SPIRE.
pub(super) async fn serve(paths: HealthListener, report: watch::Receiver<Report>) -> Result<(), Infallible> {
    match TcpListener::bind(&paths.address).await {
        Ok(listener) => {
            tracing::info!(address = paths.address, subsystem_name = "health", "Serving health checks");
            accept(listener, paths, report).await
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
    paths: HealthListener,
    report: watch::Receiver<Report>,
) -> Result<(), Infallible> {
    web::serve(listener, None, move |path| answer(path, &paths, &report.borrow())).await
}

fn answer(path: &str, paths: &HealthListener, report: &Report) -> Response<Full<Bytes>> {
    let (is_well, details) = if path == paths.live_path {
        (report.live(), report.live_details())
    } else if path == paths.ready_path {
        (report.ready(), report.ready_details())
    } else {
        return web::response(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n".to_owned(),
        );
    };
    let status = if is_well { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR };
    web::response(status, "application/json", json_line(&details))
}

fn json_line(details: &Value) -> String {
    format!("{details}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_runtime::clock::TestClock;
    use finial_runtime::health::{Registry, State};
    use serde_json::json;
    use std::net::SocketAddr;
    use std::sync::Arc;

    async fn asked(address: SocketAddr, path: &str) -> String {
        let answer = web::asked(address, path).await;
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
        let address = listener.local_addr().unwrap();
        let paths = HealthListener {
            address: address.to_string(),
            live_path: "/live".to_owned(),
            ready_path: "/deep/ready".to_owned(),
        };
        let report = registry.report();
        let server = tokio::spawn(accept(listener, paths, report));
        assert_eq!(asked(address, "/live?x=1").await, "HTTP/1.1 200 OK {\"agent\":{}}\n");
        let ready = asked(address, "/deep/ready").await;
        assert_eq!(ready, "HTTP/1.1 500 Internal Server Error {\"agent\":{\"message\":\"still syncing\"}}\n");
        assert_eq!(asked(address, "/").await, "HTTP/1.1 404 Not Found 404 page not found\n");
        server.abort();
    }
}
