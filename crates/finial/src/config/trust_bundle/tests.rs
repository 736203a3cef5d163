use super::*;
use finial_identity::pem;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::io;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

const ROOT: &str = include_str!("../../../../identity/src/x509/testdata/spire-root.pem");
const WEB: &str = include_str!("testdata/web.pem");
const WEB_CA: &str = include_str!("testdata/web-ca.pem");
const WEB_KEY: &str = include_str!("testdata/web.key");

fn trust_domain() -> TrustDomain {
    TrustDomain::parse("example.org").unwrap()
}

fn der(text: &str) -> Vec<u8> {
    pem::decode_all(text.as_bytes()).remove(0).der
}

/// Reads one request and answers it; returns its first line.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, response: &str) -> String {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => break,
        }
    }
    let written = async {
        stream.write_all(response.as_bytes()).await?;
        stream.shutdown().await
    };
    let _: io::Result<()> = written.await;
    String::from_utf8_lossy(&request).lines().next().unwrap_or_default().to_owned()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A web server that gives these answers, one for each connection, and its address.
async fn web_server(responses: Vec<String>) -> String {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der(WEB_KEY)));
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(der(WEB))], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for response in responses {
            let (stream, _) = listener.accept().await.unwrap();
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, &response).await;
            }
        }
    });
    format!("https://localhost:{port}")
}

fn over_tls(url: &str) -> BundleUrl {
    BundleUrl::new(url.parse().unwrap(), vouched_by(WEB_CA), None, Format::Pem, trust_domain())
}

fn vouched_by(authority: &str) -> Way {
    Way::Web(WebRoots::Given(vec![CertificateDer::from(der(authority))]))
}

#[tokio::test]
async fn a_file_is_read_at_each_attempt() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bundle");
    let source = BundleFile::new(path.clone(), Format::Pem, trust_domain());
    assert!(source.fetch().await.unwrap_err().contains("No such file"));
    std::fs::write(&path, ROOT).unwrap();
    assert_eq!(source.fetch().await.unwrap().x509_authorities.len(), 1);
    std::fs::write(&path, "garbage").unwrap();
    assert!(source.fetch().await.unwrap_err().starts_with("could not parse trust bundle: "));
    let source = BundleFile::new(path.clone(), Format::Spiffe, trust_domain());
    std::fs::write(&path, r#"{"keys": []}"#).unwrap();
    assert_eq!(source.fetch().await.unwrap_err(), "no certificates found in trust bundle");
}

#[tokio::test]
async fn a_bundle_comes_over_tls() {
    let server = web_server(vec![
        ok(ROOT),
        "HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_owned(),
        ok(ROOT),
        "HTTP/1.1 302 Found\r\nLocation: http://localhost/\r\nContent-Length: 0\r\n\r\n".to_owned(),
        "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(),
    ])
    .await;
    let source = over_tls(&format!("{server}/bundle.pem"));
    assert_eq!(source.fetch().await.unwrap().x509_authorities.len(), 1);
    assert_eq!(source.fetch().await.unwrap().x509_authorities.len(), 1);
    let refused = source.fetch().await.unwrap_err();
    assert!(refused.ends_with(r#"redirected to "http://localhost/", which is not https"#), "{refused}");
    let absent = source.fetch().await.unwrap_err();
    assert!(absent.ends_with("error downloading trust bundle: 404 Not Found"), "{absent}");
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed() {
    let server = web_server(vec![ok(ROOT), ok(ROOT)]).await;
    let port = server.rsplit(':').next().unwrap();
    let other_name = over_tls(&format!("https://127.0.0.1:{port}/")).fetch().await.unwrap_err();
    assert!(other_name.contains("certificate"), "{other_name}");
    let stranger = get(&format!("{server}/").parse().unwrap(), &vouched_by(ROOT)).await.unwrap_err();
    assert!(stranger.contains("certificate signed by unknown authority"), "{stranger}");
}

#[tokio::test]
async fn what_is_too_long_is_not_read() {
    let server = web_server(vec![ok(ROOT)]).await;
    let via = vouched_by(WEB_CA).open().await.unwrap();
    let refused = web::get(&format!("{server}/").parse().unwrap(), &via, 100).await.unwrap_err();
    assert_eq!(refused.to_string(), "length limit exceeded");
}

#[tokio::test]
async fn a_service_behind_a_socket_is_told_who_asks() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("s");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        answer(stream, &ok(ROOT)).await
    });
    let visit = Visit { server: "a b".to_owned(), port: 8081, is_known_here: false };
    let url = "http://localhost/bundle?z=1".parse().unwrap();
    let source = BundleUrl::over_unix(url, path, visit.clone(), Format::Pem, trust_domain());
    assert_eq!(source.fetch().await.unwrap().x509_authorities.len(), 1);
    let request = server.await.unwrap();
    assert!(
        request.starts_with("GET /bundle?spiffe-trust-domain=example.org&spire-attest-mode=bootstrap&"),
        "{request}"
    );
    assert!(
        request.contains("&spire-connection-attempts=1&spire-server-address=a+b&spire-server-port=8081&z=1 "),
        "{request}"
    );

    let now = UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    let source =
        BundleUrl::over_unix("http://x/b".parse().unwrap(), "s".into(), visit, Format::Pem, trust_domain());
    let visit = Visit { server: "h".to_owned(), port: 1, is_known_here: true };
    source.url_of_visit(&visit, now).unwrap();
    assert_eq!(
        source.url_of_visit(&visit, now + Duration::from_secs(9)).unwrap().to_string(),
        "http://x/b?spiffe-trust-domain=example.org&spire-attest-mode=rebootstrap\
         &spire-attest-start-time=2023-11-14T22%3A13%3A20Z&spire-connection-attempts=2&spire-server-address=h\
         &spire-server-port=1"
    );
}
