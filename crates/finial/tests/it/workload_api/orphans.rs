//! Connections that have outlived the process that made them.

use super::{probe_command, with_two_identities};
use anyhow::{Context, Result, ensure};
use finial_proto::workload as api;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_testkit::{Deployment, Process, SecurityHeader, Workload, X509Update, eventually, skip};
use hyper_util::rt::TokioIo;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::process::Command;
use tonic::Status;
use tonic::transport::Endpoint;

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_whose_maker_has_ended_gets_nothing() -> Result<()> {
    let (deployment, _agent) = with_two_identities().await?;
    let mut orphan = Orphan::new(&deployment).await?;
    let answer = orphan.ask().await?;
    ensure!(answer.starts_with("refused"), "{answer}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_got_the_number_of_an_ended_one_lends_it_nothing() -> Result<()> {
    let test = "workload_api::orphans::a_process_that_got_the_number_of_an_ended_one_lends_it_nothing";
    let (deployment, _agent) = with_two_identities().await?;
    let mut orphan = Orphan::new(&deployment).await?;
    let mut successor = None;
    for _ in 0..500 {
        if std::fs::write("/proc/sys/kernel/ns_last_pid", (orphan.maker - 1).to_string()).is_err() {
            break;
        }
        let mut sleep = Command::new("sleep");
        let process = Process::start("sleep", sleep.arg("60"))?;
        if process.pid() == Some(orphan.maker) {
            successor = Some(process);
            break;
        }
    }
    let Some(mut successor) = successor else {
        skip(test, "process numbers cannot be chosen here");
        return Ok(());
    };
    let answer = orphan.ask().await?;
    ensure!(successor.is_running(), "the successor has ended, too");
    ensure!(answer.starts_with("refused"), "{answer}");
    // The successor by itself would have been served.
    assert_eq!(Workload::of(deployment.agent_socket("a")).x509().await?.svids.len(), 2);
    Ok(())
}

/// A connection to an agent, held by another process than the one that made it, which has ended.
struct Orphan {
    maker: u32,
    holder: Process,
    go: std::path::PathBuf,
}

impl Orphan {
    async fn new(deployment: &Deployment) -> Result<Self> {
        let go = deployment.path("go");
        let what = format!("hand-over {} {}", deployment.agent_socket("a").display(), go.display());
        let mut holder = Process::start("maker", &mut probe_command(deployment, &what)?)?;
        let maker = holder.pid().context("the maker has ended already")?;
        holder.ended().await?;
        holder.line_after_end("PROBE waiting").await?;
        Ok(Self { maker, holder, go })
    }

    /// Lets the holder ask for an SVID, and gives what it got.
    async fn ask(&mut self) -> Result<String> {
        std::fs::write(&self.go, "")?;
        let line = self.holder.line_after_end("PROBE answer ").await?;
        Ok(line.split_once("PROBE answer ").map(|(_, answer)| answer.to_owned()).unwrap_or(line))
    }
}

pub(super) async fn hold(maker: i32, go: &Path) -> Result<()> {
    let is_orphan = || rustix::process::getppid().is_none_or(|parent| parent.as_raw_nonzero().get() != maker);
    eventually("the maker's end", async || is_orphan().then_some(())).await?;
    println!("PROBE waiting");
    eventually("the word", async || go.exists().then_some(())).await?;
    let connection = std::os::unix::net::UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    connection.set_nonblocking(true)?;
    let mut connection = Some(tokio::net::UnixStream::from_std(connection)?);
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let connection = connection.take().ok_or_else(|| std::io::Error::other("only one connection"));
        async move { connection.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
    let mut client = SpiffeWorkloadApiClient::with_interceptor(channel, SecurityHeader);
    let answer = async {
        let mut stream = client.fetch_x509svid(api::X509svidRequest {}).await?.into_inner();
        stream.message().await?.ok_or_else(|| Status::unavailable("end of stream"))
    };
    match tokio::time::timeout(Duration::from_secs(10), answer).await {
        Ok(Ok(message)) => {
            let update = X509Update::read(message, SystemTime::now())?;
            println!("PROBE answer SVIDs {:?}", update.ids());
        }
        Ok(Err(status)) => println!("PROBE answer refused {:?} {}", status.code(), status.message()),
        Err(_) => println!("PROBE answer nothing in time"),
    }
    Ok(())
}
