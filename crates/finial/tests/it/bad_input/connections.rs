//! Abuse of connections (cases 143 to 147): over the Workload API's socket and over the server's port.
//!
//! Whatever one client does, the others are served, memory stays bounded and nothing is left behind.

use super::http2::{
    CONTINUATION, Connection, DATA, END_HEADERS, END_STREAM, End, HEADERS, PADDED, PING, PREFACE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, call, end_of, frame, header, pour, settings,
};
use crate::{EAGER, has_ids, own_uid, serving};
use anyhow::{Context, Result, ensure};
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_testkit::{AgentOptions, Deployment, Process, Workload, eventually};
use finial_wire::tls::{CapturedChain, ExpectedServer, TlsOptions, client_config};
use futures_util::future::try_join_all;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, UnixStream};

const ID: &str = "spiffe://example.org/w";
/// What all abuses together may cost for good.
const GROWTH_KIB: u64 = 64 << 10;
/// How long an honest client may wait while another one misbehaves.
const PROMPT: Duration = Duration::from_secs(10);

const FLOW_CONTROL_ERROR: u32 = 3;
const FRAME_SIZE_ERROR: u32 = 6;
const PROTOCOL_ERROR: u32 = 1;
const ENHANCE_YOUR_CALM: u32 = 11;

/// An abuse: its name, what is sent after the preface and the settings, and how it may end.
struct Abuse(&'static str, Vec<u8>, &'static [End]);

const CALM: &[End] = &[End::GoAway(ENHANCE_YOUR_CALM), End::Closed];
const PROTOCOL: &[End] = &[End::GoAway(PROTOCOL_ERROR), End::Closed];
const ANY: &[End] = &[End::GoAway(ENHANCE_YOUR_CALM), End::GoAway(0), End::Closed, End::Open];

fn abuses(path: &str) -> Vec<Abuse> {
    let block = call(path);
    let open = |stream: u32| frame(HEADERS, END_HEADERS, stream, &block);
    let whole = |stream: u32| [open(stream), frame(DATA, END_STREAM, stream, &[0; 5])].concat();
    let streams = |count: u32| (0..count).map(|number| 2 * number + 1);
    let reset = |stream: u32| [open(stream), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat();
    let continued = [frame(HEADERS, 0, 1, &block), frame(CONTINUATION, 0, 1, &[0x0f; 8192]).repeat(200)];
    let filler = [&[0, 1, b'x', 0x7f, 0x81, 0x7e][..], &[b'y'; 16_256]].concat();
    let long_headers = [frame(HEADERS, 0, 1, &block), frame(CONTINUATION, END_HEADERS, 1, &filler)].concat();
    vec![
        Abuse(
            "a frame larger than agreed",
            header(DATA, 0, 1, 1 << 20).to_vec(),
            &[End::GoAway(FRAME_SIZE_ERROR), End::Closed],
        ),
        Abuse(
            "the largest frame there is",
            [open(1), header(DATA, 0, 1, (1 << 24) - 1).to_vec()].concat(),
            &[End::GoAway(FRAME_SIZE_ERROR), End::Closed],
        ),
        Abuse(
            "headers without end",
            continued.concat(),
            &[End::GoAway(ENHANCE_YOUR_CALM), End::GoAway(PROTOCOL_ERROR), End::GoAway(9), End::Closed],
        ),
        Abuse("headers that are too long", long_headers, ANY),
        Abuse("calls that are reset at once", streams(50_000).flat_map(reset).collect(), CALM),
        Abuse("more calls than agreed", streams(20_000).flat_map(open).collect(), ANY),
        Abuse("calls whose answers are never read", streams(2_000).flat_map(whole).collect(), ANY),
        Abuse("pings whose answers are never read", frame(PING, 0, 0, b"12345678").repeat(200_000), ANY),
        Abuse("settings whose answers are never read", frame(SETTINGS, 0, 0, &[]).repeat(200_000), ANY),
        Abuse(
            "a window that overflows",
            frame(WINDOW_UPDATE, 0, 0, &[0x7f, 255, 255, 255]).repeat(2),
            &[End::GoAway(FLOW_CONTROL_ERROR), End::Closed],
        ),
        Abuse(
            "more data than the window",
            [open(1), frame(DATA, 0, 1, &[0; 16_384]).repeat(64)].concat(),
            &[End::GoAway(FLOW_CONTROL_ERROR), End::Closed],
        ),
        Abuse("data of no call", frame(DATA, 0, 0, b"x"), PROTOCOL),
        Abuse("a call with a number of the server's", open(2), PROTOCOL),
        Abuse("padding longer than its frame", frame(DATA, PADDED, 1, &[255, 0]), PROTOCOL),
        Abuse(
            "a message of four GiB",
            [open(1), frame(DATA, 0, 1, &[0, 255, 255, 255, 255])].concat(),
            &[End::Open],
        ),
        Abuse(
            "a message compressed with nothing",
            [open(1), frame(DATA, END_STREAM, 1, &[1, 0, 0, 0, 1, 7])].concat(),
            &[End::Open],
        ),
    ]
}

async fn commit(connection: &mut dyn Connection, abuse: &Abuse) -> End {
    pour(connection, &[PREFACE, &settings(0)].concat()).await;
    pour(connection, &abuse.1).await;
    end_of(connection).await
}

fn open_files(process: &Process) -> Result<usize> {
    Ok(fs::read_dir(format!("/proc/{}/fd", process.pid().context("it has ended")?))?.count())
}

/// What a process had before, to be compared with what it has in the end.
struct Before {
    files: usize,
    resident: u64,
}

impl Before {
    fn of(process: &Process) -> Result<Self> {
        Ok(Self { files: open_files(process)?, resident: process.resident_kib()? })
    }

    /// Files are closed again, and memory has not grown for good.
    async fn compare(&self, process: &Process) -> Result<()> {
        eventually("all connections closed", async || {
            (open_files(process).ok()? <= self.files + 4).then_some(())
        })
        .await?;
        let now = process.resident_kib()?;
        ensure!(now < self.resident + GROWTH_KIB, "{} KiB became {now} KiB", self.resident);
        Ok(())
    }
}

async fn with_agent() -> Result<(Deployment, Process)> {
    let deployment = serving("", "").await?;
    let options = AgentOptions { agent: EAGER.to_owned(), ..Default::default() };
    let (agent, parent) = deployment.start_agent("a", &options).await?;
    deployment.register(&parent, ID, &[&own_uid()], 600).await?;
    has_ids(&Workload::of(deployment.agent_socket("a")), &[ID]).await?;
    Ok((deployment, agent))
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_143_to_147_frames_on_the_workload_socket() -> Result<()> {
    let (deployment, mut agent) = with_agent().await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    let before = Before::of(&agent)?;
    let all = abuses("/SpiffeWorkloadAPI/FetchX509SVID");
    let offences = all.iter().map(async |abuse| {
        let mut connection = UnixStream::connect(deployment.agent_socket("a")).await?;
        let end = commit(&mut connection, abuse).await;
        ensure!(abuse.2.contains(&end), "{}: {end:?}", abuse.0);
        // The offender is still there.
        tokio::time::timeout(PROMPT, workload.x509()).await.context(abuse.0)?.context(abuse.0)?;
        Ok(())
    });
    try_join_all(offences).await?;
    ensure!(agent.is_running());
    before.compare(&agent).await
}

/// A TLS connection to the server's port, as nobody.
async fn dial(deployment: &Deployment) -> Result<tokio_rustls::client::TlsStream<TcpStream>> {
    let server = ExpectedServer::Anybody(CapturedChain::default());
    let config = Arc::new(client_config(server, None, &TlsOptions::default())?);
    let stream = TcpStream::connect(("127.0.0.1", deployment.port())).await?;
    let name = rustls::pki_types::ServerName::try_from("localhost")?;
    Ok(tokio_rustls::TlsConnector::from(config).connect(name, stream).await?)
}

async fn is_served(deployment: &Deployment) -> Result<()> {
    let channel = super::agents::connect(deployment, None)?;
    let mut client = BundleClient::new(channel);
    tokio::time::timeout(PROMPT, client.get_bundle(GetBundleRequest::default())).await??;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn cases_145_to_147_frames_on_the_server_port() -> Result<()> {
    let mut deployment = serving("", "").await?;
    is_served(&deployment).await?;
    let before = Before::of(deployment.server()?)?;
    let all = abuses("/spire.api.server.bundle.v1.Bundle/GetBundle");
    let offences = all.iter().map(async |abuse| {
        let mut connection = dial(&deployment).await?;
        let end = commit(&mut connection, abuse).await;
        ensure!(abuse.2.contains(&end), "{}: {end:?}", abuse.0);
        is_served(&deployment).await.context(abuse.0)
    });
    try_join_all(offences).await?;
    before.compare(deployment.server()?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn case_145_a_flood_of_silent_connections_to_the_workload_socket() -> Result<()> {
    crate::workload_api::more_files();
    let (deployment, agent) = with_agent().await?;
    let before = Before::of(&agent)?;
    let mut silent = Vec::new();
    for _ in 0..2000 {
        silent.push(UnixStream::connect(deployment.agent_socket("a")).await?);
    }
    let workload = Workload::of(deployment.agent_socket("a"));
    tokio::time::timeout(PROMPT, workload.x509()).await??;
    drop(silent);
    before.compare(&agent).await
}

/// Case 144: TLS where none is spoken, nothing at all, other protocols.
#[tokio::test(flavor = "multi_thread")]
async fn case_144_other_protocols() -> Result<()> {
    let (mut deployment, mut agent) = with_agent().await?;
    let hello = [&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3][..], &[7; 506]].concat();
    let cases: [&[u8]; 5] = [
        &hello,
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"PRI * HTTP/1.0\r\n\r\n",
        &[0; 4096],
        b"SSH-2.0-x\r\n",
    ];
    for bytes in cases {
        let mut connection = UnixStream::connect(deployment.agent_socket("a")).await?;
        pour(&mut connection, bytes).await;
        ensure!(end_of(&mut connection).await != End::Open, "{bytes:?}");
        let mut connection = TcpStream::connect(("127.0.0.1", deployment.port())).await?;
        pour(&mut connection, bytes).await;
        ensure!(end_of(&mut connection).await != End::Open, "{bytes:?}");
    }
    Workload::of(deployment.agent_socket("a")).x509().await?;
    is_served(&deployment).await?;
    ensure!(agent.is_running() && deployment.server()?.is_running());
    Ok(())
}
