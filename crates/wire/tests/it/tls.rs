//! TLS over loopback, end to end with gRPC.

use crate::ca::{Authority, Trust, trust};
use crate::echo::who_calls;
use finial_identity::{KeyType, SpiffeId};
use finial_proto::server::debug::GetInfoRequest;
use finial_proto::server::debug::debug_client::DebugClient;
use finial_runtime::tasks::Shutdown;
use finial_wire::channel::{ChannelOptions, ServerChannel, TcpTarget, tls_channel};
use finial_wire::listen::{TcpOptions, TlsListener};
use finial_wire::serve::{ServeOptions, serve};
use finial_wire::status::RpcError;
use finial_wire::tls::{
    CapturedChain, ExpectedServer, IdentityCell, KeyExchange, LocalIdentity, TlsOptions, TrustSource,
    client_config, server_config,
};
use std::sync::Arc;
use std::time::Duration;
use tonic::transport::Channel;

const SERVER: &str = "/spire/server";

struct Server {
    target: TcpTarget,
    shutdown: Shutdown,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.leave_now();
    }
}

async fn start(identity: Arc<IdentityCell>, trust: Arc<dyn TrustSource>) -> Server {
    start_with(identity, trust, Duration::from_millis(300)).await
}

async fn start_with(
    identity: Arc<IdentityCell>,
    trust: Arc<dyn TrustSource>,
    handshake_timeout: Duration,
) -> Server {
    let config = server_config(identity, trust, &TlsOptions::default()).unwrap();
    let options = TcpOptions { handshake_timeout, ..TcpOptions::default() };
    let listener = TlsListener::bind("127.0.0.1:0".parse().unwrap(), config, options).await.unwrap();
    let target = TcpTarget::new("127.0.0.1", listener.local_addr().unwrap().port()).unwrap();
    let shutdown = Shutdown::new();
    tokio::spawn(serve(listener, who_calls(), ServeOptions::tcp(), shutdown.clone()));
    Server { target, shutdown }
}

fn is(authority: &Authority, path: &str, trusted: &Authority) -> ExpectedServer {
    let id = SpiffeId::from_path(&authority.trust_domain, path).unwrap();
    ExpectedServer::Is { id, trust: trust(&[trusted]) }
}

fn connect(server: &Server, expected: ExpectedServer, identity: Option<LocalIdentity>) -> Channel {
    let config = client_config(expected, identity.map(IdentityCell::with), &TlsOptions::default()).unwrap();
    let options = ChannelOptions { connect_timeout: Duration::from_secs(5), ..ChannelOptions::default() };
    tls_channel(server.target.clone(), Arc::new(config), &options)
}

/// The path of the SVID that the server saw, empty if there was none; or the error as a command prints it.
async fn caller(channel: Channel) -> Result<String, String> {
    let answer = DebugClient::new(channel).get_info(GetInfoRequest {}).await;
    let answer = answer.map_err(|status| RpcError(&status).to_string())?.into_inner();
    Ok(answer.svid_chain.into_iter().next().and_then(|cert| cert.id).map(|id| id.path).unwrap_or_default())
}

#[tokio::test]
async fn mutual_and_one_sided() {
    let ca = Authority::of("example.org");
    let server = start(IdentityCell::with(ca.identity(SERVER)), trust(&[&ca])).await;
    let channel = connect(&server, is(&ca, SERVER, &ca), Some(ca.identity("/spire/agent/x")));
    assert_eq!(caller(channel).await.unwrap(), "/spire/agent/x");
    let channel = connect(&server, is(&ca, SERVER, &ca), None);
    assert_eq!(caller(channel).await.unwrap(), "");
}

#[tokio::test]
async fn every_kind_of_key() {
    let ca = Authority::of("example.org");
    for key_type in [KeyType::EcP256, KeyType::EcP384, KeyType::Rsa2048] {
        let server = start(IdentityCell::with(ca.with_key(SERVER, key_type)), trust(&[&ca])).await;
        let channel = connect(&server, is(&ca, SERVER, &ca), Some(ca.with_key("/agent", key_type)));
        assert_eq!(caller(channel).await.unwrap(), "/agent", "{key_type}");
    }
}

#[tokio::test]
async fn post_quantum_only() {
    let ca = Authority::of("example.org");
    let options = TlsOptions { key_exchange: KeyExchange::PostQuantum, ..TlsOptions::default() };
    let server = start(IdentityCell::with(ca.identity(SERVER)), trust(&[&ca])).await;
    let config = client_config(is(&ca, SERVER, &ca), None, &options).unwrap();
    let channel = tls_channel(server.target.clone(), Arc::new(config), &ChannelOptions::default());
    assert_eq!(caller(channel).await.unwrap(), "");
}

#[tokio::test]
async fn servers_that_are_refused() {
    let (ca, other) = (Authority::of("example.org"), Authority::of("other.org"));
    let twin = Authority::of("example.org");
    let failed = |why: &str| {
        let text = format!("transport: authentication handshake failed: {why}");
        format!("rpc error: code = Unavailable desc = connection error: desc = {text:?}")
    };
    let wrong = start(IdentityCell::with(ca.identity("/workload")), trust(&[&ca])).await;
    assert_eq!(
        caller(connect(&wrong, is(&ca, SERVER, &ca), None)).await.unwrap_err(),
        failed(r#"unexpected ID "spiffe://example.org/workload""#)
    );
    let right = start(IdentityCell::with(ca.identity(SERVER)), trust(&[&ca])).await;
    assert_eq!(
        caller(connect(&right, is(&ca, SERVER, &other), None)).await.unwrap_err(),
        failed(r#"x509svid: could not get X509 bundle: no bundle found for trust domain "example.org""#)
    );
    assert_eq!(
        caller(connect(&right, is(&ca, SERVER, &twin), None)).await.unwrap_err(),
        failed("x509svid: could not verify leaf certificate: certificate signed by unknown authority")
    );
    let expired = start(IdentityCell::with(ca.expired(SERVER)), trust(&[&ca])).await;
    assert_eq!(
        caller(connect(&expired, is(&ca, SERVER, &ca), None)).await.unwrap_err(),
        failed("x509svid: could not verify leaf certificate: certificate has expired")
    );
    let nobody = start(IdentityCell::empty(), trust(&[&ca])).await;
    assert!(
        caller(connect(&nobody, is(&ca, SERVER, &ca), None)).await.unwrap_err().contains("handshake failed")
    );
}

#[tokio::test]
async fn clients_that_are_refused() {
    let (ca, other) = (Authority::of("example.org"), Authority::of("other.org"));
    let twin = Authority::of("example.org");
    let shunned = SpiffeId::from_path(&ca.trust_domain, "/shunned").unwrap();
    let policy = Trust { bundles: trust(&[&ca]).bundles.clone(), shunned: Some(shunned) };
    let server = start(IdentityCell::with(ca.identity(SERVER)), Arc::new(policy)).await;
    for identity in [other.identity("/a"), twin.identity("/a"), ca.expired("/a"), ca.identity("/shunned")] {
        let channel = connect(&server, is(&ca, SERVER, &ca), Some(identity));
        let error = caller(channel).await.unwrap_err();
        let expected = "rpc error: code = Unavailable desc = error reading from server: ";
        assert!(error.starts_with(expected), "{error}");
    }
    let channel = connect(&server, is(&ca, SERVER, &ca), Some(ca.identity("/a")));
    assert_eq!(caller(channel).await.unwrap(), "/a", "the server is still well");
}

#[tokio::test]
async fn bootstrap_captures_the_chain() {
    let ca = Authority::of("example.org");
    let identity = ca.identity(SERVER);
    let server = start(IdentityCell::with(identity.clone()), trust(&[&ca])).await;
    let captured = CapturedChain::default();
    assert!(captured.chain().is_empty());
    let channel = connect(&server, ExpectedServer::Anybody(captured.clone()), None);
    assert_eq!(caller(channel).await.unwrap(), "");
    assert_eq!(captured.chain(), identity.svid().chain);
}

#[tokio::test]
async fn identities_change_while_serving() {
    let ca = Authority::of("example.org");
    let served = IdentityCell::with(ca.identity("/before"));
    let server = start(served.clone(), trust(&[&ca])).await;
    let ours = IdentityCell::empty();
    let config =
        |path: &str| client_config(is(&ca, path, &ca), Some(ours.clone()), &TlsOptions::default()).unwrap();
    let before =
        ServerChannel::new(server.target.clone(), config("/before"), ours.clone(), ChannelOptions::default());
    assert_eq!(caller(before.get()).await.unwrap(), "");

    let mut changes = ours.changes();
    ours.set(ca.identity("/first"));
    changes.changed().await.unwrap();
    assert_eq!(caller(before.get()).await.unwrap(), "/first", "remade by itself");

    served.set(ca.identity("/after"));
    assert_eq!(caller(before.get()).await.unwrap(), "/first", "a connection keeps what it has");
    before.reset();
    assert!(
        caller(before.get()).await.unwrap_err().contains(r#"unexpected ID \"spiffe://example.org/after\""#)
    );
    let after =
        ServerChannel::new(server.target.clone(), config("/after"), ours.clone(), ChannelOptions::default());
    ours.set(ca.identity("/second"));
    assert_eq!(caller(after.get()).await.unwrap(), "/second");
    ours.clear();
    assert_eq!(caller(after.get()).await.unwrap(), "");
}

#[tokio::test]
async fn case_134_certificate_and_key_belong_together() {
    let ca = Authority::of("example.org");
    let (one, other) = (ca.identity("/a"), ca.identity("/a"));
    let key = finial_identity::PrivateKey::generate(KeyType::EcP256).unwrap();
    assert!(LocalIdentity::new(one.svid().chain.clone(), Arc::new(key)).is_err());
    assert_ne!(one.svid(), other.svid());
}

#[tokio::test]
async fn silent_and_garbled_clients_do_not_stop_the_others() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ca = Authority::of("example.org");
    let server = start(IdentityCell::with(ca.identity(SERVER)), trust(&[&ca])).await;
    let address = server.target.to_string();
    let mut silent = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut garbled = tokio::net::TcpStream::connect(&address).await.unwrap();
    garbled.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let channel = connect(&server, is(&ca, SERVER, &ca), None);
    assert_eq!(caller(channel).await.unwrap(), "");
    let mut rest = Vec::new();
    assert_eq!(silent.read_to_end(&mut rest).await.unwrap(), 0, "the handshake timed out");
}

/// None of them is let go while the test runs, and still there is a place.
#[tokio::test]
async fn case_145_a_flood_of_silent_connections_keeps_nobody_out() {
    let ca = Authority::of("example.org");
    let patience = Duration::from_secs(600);
    let server = start_with(IdentityCell::with(ca.identity(SERVER)), trust(&[&ca]), patience).await;
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(tokio::net::TcpStream::connect(server.target.to_string()).await.unwrap());
    }
    assert_eq!(caller(connect(&server, is(&ca, SERVER, &ca), None)).await.unwrap(), "");
    drop(silent);
}

#[tokio::test]
async fn nobody_there() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let ca = Authority::of("example.org");
    let server = Server { target: TcpTarget::new("127.0.0.1", port).unwrap(), shutdown: Shutdown::new() };
    let error = caller(connect(&server, is(&ca, SERVER, &ca), None)).await.unwrap_err();
    assert_eq!(
        error,
        format!(
            "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial tcp 127.0.0.1:{port}: connect: connection refused\""
        )
    );
}

#[test]
fn targets() {
    for (host, port, expected) in [
        ("a.example", 1, Some("a.example:1")),
        ("::1", 2, Some("[::1]:2")),
        ("[::1]", 3, Some("[::1]:3")),
        ("", 4, None),
        ("a b", 5, None),
        ("a_b", 6, Some("a_b:6")),
    ] {
        assert_eq!(
            TcpTarget::new(host, port).ok().map(|target| target.to_string()).as_deref(),
            expected,
            "{host}"
        );
    }
}
