//! A workload: a process of its own that the agent can tell from others by the path of its program.
//!
//! It is this program under another name. It waits for a line on its input, then asks the agent until it is
//! served, keeps the stream open and prints the identities of each message. It ends with its input.

use crate::site::Site;
use anyhow::{Context, Result, anyhow};
use finial_proto::workload::X509svidRequest;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use std::fs;
use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tonic::{Request, Status};

/// The first argument that makes a workload of this program.
pub(crate) const COMMAND: &str = "workload";

/// Longest wait for a message.
const PATIENCE: Duration = Duration::from_secs(90);

/// What the process does: asks at this socket, again after so many milliseconds if it is not served.
pub(crate) fn run(socket: &str, pause: u64) -> Result<()> {
    let mut lines = std::io::stdin().lock().lines();
    if lines.next().is_none() {
        return Ok(());
    }
    std::thread::spawn({
        let (socket, pause) = (socket.to_owned(), Duration::from_millis(pause));
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            // A stream that ends is asked for again, as any client would.
            loop {
                let _refused = runtime.block_on(ask(&socket));
                std::thread::sleep(pause);
            }
        }
    });
    lines.for_each(drop);
    Ok(())
}

async fn ask(socket: &str) -> Result<(), Status> {
    let channel = unix_channel(UnixTarget::new(socket), &ChannelOptions::default());
    let mut request = Request::new(X509svidRequest {});
    request.metadata_mut().insert("workload.spiffe.io", tonic::metadata::MetadataValue::from_static("true"));
    let mut stream = SpiffeWorkloadApiClient::new(channel).fetch_x509svid(request).await?.into_inner();
    while let Some(message) = stream.message().await? {
        let ids: Vec<&str> = message.svids.iter().map(|svid| svid.spiffe_id.as_str()).collect();
        let mut output = std::io::stdout().lock();
        if writeln!(output, "{}", ids.join(" ")).and_then(|()| output.flush()).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// A workload process.
pub(crate) struct Workload {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

/// Programs of a site under names of their own.
pub(crate) struct Programs {
    directory: PathBuf,
    original: PathBuf,
}

impl Programs {
    /// Copies this program into the site, where it can have many names.
    pub(crate) fn of(site: &Site<'_>) -> Result<Self> {
        let directory = fs::canonicalize(site.path("bin"))?;
        let original = directory.join("original");
        fs::copy(std::env::current_exe()?, &original).context("copying this program")?;
        Ok(Self { directory, original })
    }

    /// The path of a program.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Starts a workload, which waits.
    pub(crate) fn start(&self, name: &str, socket: &Path, pause: Duration) -> Result<Workload> {
        let program = self.path(name);
        fs::hard_link(&self.original, &program)?;
        let mut command = Command::new(&program);
        command.arg(COMMAND).arg(socket).arg(pause.as_millis().to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().with_context(|| format!("starting {}", program.display()))?;
        let input = process.stdin.take().context("no input")?;
        let output = process.stdout.take().context("no output")?;
        Ok(Workload { input, output: BufReader::new(output).lines(), _process: process })
    }
}

impl Workload {
    /// From now on it asks.
    pub(crate) async fn ask(&mut self) -> Result<()> {
        Ok(self.input.write_all(b"\n").await?)
    }

    /// Waits for a message; gives when it came, and the identities in it.
    pub(crate) async fn message(&mut self) -> Result<(Instant, Vec<String>)> {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await;
        let line = line.map_err(|_| anyhow!("no message within {} s", PATIENCE.as_secs()))??;
        let line = line.context("the workload has ended")?;
        Ok((Instant::now(), line.split(' ').map(str::to_owned).collect()))
    }
}
