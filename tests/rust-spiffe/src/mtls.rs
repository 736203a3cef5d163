//! mTLS through `spiffe-rustls`: an X509Source that stays current under both ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use spiffe::{SpiffeId, X509Source};
use spiffe_rustls::{authorizer, mtls_client, mtls_server};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{Options, Outcome};

const LINE: &str = "hello from rust-spiffe\n";

/// The server side: lets in one SPIFFE ID, says who came and who was refused.
pub async fn serve(options: &Options) -> Result<()> {
    let source = options.x509_source().await?;
    let config = mtls_server(source).authorize(authorizer::exact([options.peer_id()?])?).build()?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(options.find("listen").unwrap_or("127.0.0.1:0")).await?;
    println!("LISTENING {}", listener.local_addr()?);
    loop {
        let (tcp, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            if let Err(err) = serve_connection(acceptor, tcp).await {
                println!("{}", Outcome::Refused(format!("{err:#}")));
            }
        });
    }
}

async fn serve_connection(acceptor: TlsAcceptor, tcp: TcpStream) -> Result<()> {
    let mut tls = acceptor.accept(tcp).await?;
    println!("PEER {}", peer_id(tls.get_ref().1.peer_certificates())?);
    let mut buffer = [0; 4096];
    // What goes wrong from here on is the client leaving.
    while let Ok(count @ 1..) = tls.read(&mut buffer).await {
        if tls.write_all(&buffer[..count]).await.is_err() || tls.flush().await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The client side, once.
pub async fn dial(options: &Options) -> Result<()> {
    let source = options.x509_source().await?;
    let connector = connector(options, &source)?;
    println!("OK {}", echo(options, &connector).await?);
    Ok(())
}

/// No handshake ever fails while SVIDs and bundles rotate.
pub async fn hold(options: &Options) -> Result<()> {
    let source = options.x509_source().await?;
    let connector = connector(options, &source)?;
    let end = Instant::now() + Duration::from_secs(options.number("seconds", 10)?);
    let mut count = 0;
    while Instant::now() < end {
        echo(options, &connector)
            .await
            .map_err(|err| Outcome::HoldFailed { after: count, reason: format!("{err:#}") })?;
        count += 1;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    println!("HELD {count}");
    Ok(())
}

fn connector(options: &Options, source: &X509Source) -> Result<TlsConnector> {
    let config = mtls_client(source.clone()).authorize(authorizer::exact([options.peer_id()?])?).build()?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Dials, sends a line and wants it back. With TLS 1.3 a server refuses a client after
/// the client's handshake is over, so everything that fails between the TCP connection
/// and the echo is a refusal.
async fn echo(options: &Options, connector: &TlsConnector) -> Result<SpiffeId> {
    let tcp = TcpStream::connect(options.get("connect")?).await?;
    // rustls wants a name; SPIFFE identifies the peer by its URI SAN.
    let name = ServerName::try_from("spiffe.invalid")?;
    let exchange = async {
        let mut tls = BufReader::new(connector.connect(name, tcp).await?);
        tls.write_all(LINE.as_bytes()).await?;
        tls.flush().await?;
        let mut got = String::new();
        tls.read_line(&mut got).await?;
        let id = peer_id(tls.get_ref().get_ref().1.peer_certificates())?;
        tls.shutdown().await?;
        anyhow::Ok((id, got))
    };
    let (id, got) = tokio::time::timeout(Duration::from_secs(10), exchange)
        .await
        .map_err(anyhow::Error::from)
        .flatten()
        .map_err(|err| Outcome::Refused(format!("{err:#}")))?;
    ensure!(got == LINE, "echo was {got:?}");
    Ok(id)
}

fn peer_id(chain: Option<&[CertificateDer<'_>]>) -> Result<SpiffeId> {
    let leaf = chain.and_then(<[_]>::first).context("peer sent no certificate")?;
    Ok(spiffe::cert::spiffe_id_from_der(leaf)?)
}
