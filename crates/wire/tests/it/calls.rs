//! Calls of one connection run in one task, and yet on their own.

use crate::serve::start;
use finial_proto::server::debug::debug_client::DebugClient;
use finial_proto::server::debug::debug_server::{Debug, DebugServer};
use finial_proto::server::debug::{GetInfoRequest, GetInfoResponse};
use finial_wire::serve::ServeOptions;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

/// Does what the header `do` says.
struct Obeys {
    go: Arc<Notify>,
    /// Hears of calls that wait, and is dropped with them.
    waiting: mpsc::UnboundedSender<mpsc::Sender<()>>,
}

#[tonic::async_trait]
impl Debug for Obeys {
    async fn get_info(&self, request: Request<GetInfoRequest>) -> Result<Response<GetInfoResponse>, Status> {
        match request.metadata().get("do").map(|what| what.to_str().unwrap()) {
            Some("panic") => panic!("as told"),
            Some("wait") => {
                let (alive, _ended) = mpsc::channel(1);
                self.waiting.send(alive).unwrap();
                self.go.notified().await;
                Ok(Response::new(GetInfoResponse::default()))
            }
            Some("yield") => {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                Ok(Response::new(GetInfoResponse::default()))
            }
            Some("elsewhere") => {
                let found = tokio::task::spawn_blocking(|| 7).await.unwrap();
                Ok(Response::new(GetInfoResponse { agents_count: found, ..Default::default() }))
            }
            _ => Ok(Response::new(GetInfoResponse::default())),
        }
    }
}

struct Told {
    routes: Routes,
    go: Arc<Notify>,
    waiting: mpsc::UnboundedReceiver<mpsc::Sender<()>>,
}

fn obeys() -> Told {
    let (sender, waiting) = mpsc::unbounded_channel();
    let go = Arc::new(Notify::new());
    let routes = Routes::new(DebugServer::new(Obeys { go: go.clone(), waiting: sender }));
    Told { routes, go, waiting }
}

async fn tell(channel: &Channel, what: &'static str) -> Result<GetInfoResponse, Status> {
    let mut request = Request::new(GetInfoRequest {});
    request.metadata_mut().insert("do", what.parse().unwrap());
    DebugClient::new(channel.clone()).get_info(request).await.map(Response::into_inner)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_waits_does_not_hold_up_others() {
    let mut told = obeys();
    let running = start(told.routes, ServeOptions::unix());
    let channel = running.channel();
    let waits = tokio::spawn({
        let channel = channel.clone();
        async move { tell(&channel, "wait").await }
    });
    told.waiting.recv().await.unwrap();
    let many = (0..300).map(|number| {
        let channel = channel.clone();
        tokio::spawn(async move { tell(&channel, ["yield", "elsewhere", "nothing"][number % 3]).await })
    });
    for (number, answer) in many.collect::<Vec<_>>().into_iter().enumerate() {
        let expected = if number % 3 == 1 { 7 } else { 0 };
        assert_eq!(answer.await.unwrap().unwrap().agents_count, expected);
    }
    assert!(!waits.is_finished());
    told.go.notify_one();
    waits.await.unwrap().unwrap();
}

#[tokio::test]
async fn one_that_panics_ends_alone() {
    let mut told = obeys();
    let running = start(told.routes, ServeOptions::unix());
    let channel = running.channel();
    let waits = tokio::spawn({
        let channel = channel.clone();
        async move { tell(&channel, "wait").await }
    });
    told.waiting.recv().await.unwrap();
    tell(&channel, "panic").await.unwrap_err();
    told.go.notify_one();
    waits.await.unwrap().expect("a call of the same connection");
}

#[tokio::test]
async fn they_end_with_the_connection() {
    let mut told = obeys();
    let running = start(told.routes, ServeOptions::unix());
    let channel = running.channel();
    let call = tokio::spawn(async move { tell(&channel, "wait").await });
    let alive = told.waiting.recv().await.unwrap();
    assert!(!alive.is_closed());
    call.abort();
    alive.closed().await;
}
