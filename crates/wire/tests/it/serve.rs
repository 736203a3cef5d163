//! Limits and shutdown.

use crate::echo::{never_answers, who_calls};
use finial_proto::server::bundle::AppendBundleRequest;
use finial_proto::server::debug::debug_client::DebugClient;
use finial_proto::server::debug::{GetInfoRequest, GetInfoResponse};
use finial_proto::types::X509Certificate;
use finial_runtime::tasks::Shutdown;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::listen::{Listener, UnixListener, UnixSocketOptions};
use finial_wire::serve::{MESSAGE_MAX, ServeOptions, Served, serve};
use finial_wire::status::{RpcError, to_failure};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Code, Request};

pub(crate) struct Running {
    folder: tempfile::TempDir,
    shutdown: Shutdown,
    served: JoinHandle<Served>,
}

pub(crate) fn start(routes: Routes, options: ServeOptions) -> Running {
    let folder = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(folder.path().join("api.sock"), UnixSocketOptions::SERVER).unwrap();
    let shutdown = Shutdown::new();
    let served = tokio::spawn(serve(listener, routes, options, shutdown.clone()));
    Running { folder, shutdown, served }
}

impl Running {
    pub(crate) fn channel(&self) -> Channel {
        unix_channel(UnixTarget::new(self.folder.path().join("api.sock")), &ChannelOptions::default())
    }
}

#[tokio::test]
async fn case_147_large_messages_exhaust() {
    let running = start(who_calls(), ServeOptions::unix());
    let call = async |length: usize| {
        let mut client = tonic::client::Grpc::new(running.channel());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<AppendBundleRequest, GetInfoResponse>::default();
        let path = "/spire.api.server.debug.v1.Debug/GetInfo".parse().unwrap();
        let authority = X509Certificate { asn1: vec![0; length].into(), tainted: false };
        let message = AppendBundleRequest { x509_authorities: vec![authority], ..Default::default() };
        client.unary(Request::new(message), path, codec).await
    };
    assert!(call(MESSAGE_MAX - 100).await.is_ok());
    let status = call(MESSAGE_MAX).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().starts_with("grpc: received message larger than max ("), "{}", status.message());
    assert!(call(10).await.is_ok(), "the connection and the server live on");
}

#[tokio::test]
async fn unknown_services_and_methods() {
    let running = start(who_calls(), ServeOptions::unix());
    for (path, expected) in [
        ("/nope.Nope/Nope", "unknown service nope.Nope"),
        (
            "/spire.api.server.debug.v1.Debug/Nope",
            "unknown method Nope for service spire.api.server.debug.v1.Debug",
        ),
    ] {
        let mut client = tonic::client::Grpc::new(running.channel());
        client.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<GetInfoRequest, GetInfoResponse>::default();
        let path = path.parse().unwrap();
        let status = client.unary(Request::new(GetInfoRequest {}), path, codec).await.unwrap_err();
        assert_eq!((status.code(), status.message()), (Code::Unimplemented, expected));
    }
}

#[tokio::test]
async fn calls_are_cut_when_time_is_up() {
    for (drain, leave_now) in [(Duration::from_millis(50), false), (Duration::from_secs(600), true)] {
        let called = Arc::new(Notify::new());
        let running = start(never_answers(called.clone()), ServeOptions { drain, ..ServeOptions::unix() });
        let channel = running.channel();
        let call = tokio::spawn(async move { DebugClient::new(channel).get_info(GetInfoRequest {}).await });
        called.notified().await;
        running.shutdown.stop();
        if leave_now {
            running.shutdown.leave_now();
        }
        assert_eq!(running.served.await.unwrap(), Served { cut: 1 });
        let failure = to_failure(&call.await.unwrap().unwrap_err());
        assert_eq!(failure.code, finial_identity::Code::Unavailable, "{failure:?}");
        assert!(!running.folder.path().join("api.sock").exists());
    }
}

#[tokio::test]
async fn idle_connections_end_at_once() {
    let running =
        start(who_calls(), ServeOptions { drain: Duration::from_secs(600), ..ServeOptions::unix() });
    DebugClient::new(running.channel()).get_info(GetInfoRequest {}).await.unwrap();
    running.shutdown.stop();
    assert_eq!(running.served.await.unwrap(), Served { cut: 0 });
}

#[tokio::test]
async fn the_callers_deadline_holds() {
    let running = start(never_answers(Arc::new(Notify::new())), ServeOptions::unix());
    let mut request = Request::new(GetInfoRequest {});
    request.set_timeout(Duration::from_millis(20));
    let status = DebugClient::new(running.channel()).get_info(request).await.unwrap_err();
    assert_eq!(
        RpcError(&status).to_string(),
        "rpc error: code = DeadlineExceeded desc = context deadline exceeded"
    );

    // A client that does not look at the clock itself.
    let stream = tokio::net::UnixStream::connect(running.folder.path().join("api.sock")).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::post("http://localhost/spire.api.server.debug.v1.Debug/GetInfo")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", "20m")
        .body(tonic::body::Body::new(Message(Some(vec![0; 5].into()))))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((&*header("grpc-status"), &*header("grpc-message")), ("4", "context%20deadline%20exceeded"));
}

/// A body of one frame.
struct Message(Option<bytes::Bytes>);

impl hyper::body::Body for Message {
    type Data = bytes::Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<bytes::Bytes>, Self::Error>>> {
        Poll::Ready(self.0.take().map(|bytes| Ok(hyper::body::Frame::data(bytes))))
    }
}

#[tokio::test]
async fn connections_age() {
    let options = ServeOptions { max_age: Some(Duration::from_millis(30)), ..ServeOptions::unix() };
    let running = start(who_calls(), options);
    let mut client = DebugClient::new(running.channel());
    for _ in 0..4 {
        client.get_info(GetInfoRequest {}).await.unwrap();
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

#[tokio::test]
async fn the_silent_are_let_go() {
    let options = ServeOptions { first_byte: Duration::from_millis(30), ..ServeOptions::unix() };
    let running = start(who_calls(), options);
    let mut silent = tokio::net::UnixStream::connect(running.folder.path().join("api.sock")).await.unwrap();
    // The server greets first, and then hangs up.
    silent.read_to_end(&mut Vec::new()).await.unwrap();
    let channel = running.channel();
    DebugClient::new(channel.clone()).get_info(GetInfoRequest {}).await.unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    DebugClient::new(channel).get_info(GetInfoRequest {}).await.unwrap();
}

#[tokio::test]
async fn layers_go_around() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let listener = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap();
    let deny = |_: Request<()>| Err(tonic::Status::permission_denied("authorization denied"));
    let layered = tower::ServiceBuilder::new()
        .layer(tonic::service::interceptor::InterceptorLayer::new(deny))
        .service(who_calls());
    let shutdown = Shutdown::new();
    tokio::spawn(serve(listener, layered, ServeOptions::unix(), shutdown.clone()));
    let channel = unix_channel(UnixTarget::new(&path), &ChannelOptions::default());
    let status = DebugClient::new(channel).get_info(GetInfoRequest {}).await.unwrap_err();
    assert_eq!(status.message(), "authorization denied");
    shutdown.leave_now();
}

#[tokio::test]
async fn tonic_can_serve_a_listener_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let listener = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap();
    let server = tonic::transport::Server::builder().add_routes(who_calls());
    let served = tokio::spawn(server.serve_with_incoming(listener.incoming()));
    let channel = unix_channel(UnixTarget::new(&path), &ChannelOptions::default());
    assert!(
        DebugClient::new(channel).get_info(GetInfoRequest {}).await.unwrap().into_inner().agents_count > 0
    );
    served.abort();
}
