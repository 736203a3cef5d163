//! A child process whose output is kept.

use crate::{LOOK_EVERY, PATIENCE, eventually};
use anyhow::{Context, Result, bail};
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};

/// How a command ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code; -1 if a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Outcome {
    /// Runs a command to its end.
    pub async fn of(command: &mut Command) -> Result<Self> {
        let output = command.stdin(Stdio::null()).output().await.context("running a command")?;
        Ok(Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    /// What it printed, if it succeeded.
    pub fn ok(self) -> Result<String> {
        if self.code != 0 {
            bail!("exit code {}\n{}{}", self.code, self.stdout, self.stderr);
        }
        Ok(self.stdout)
    }
}

/// A process that runs on; killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts a command and keeps what it prints.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        let lines = Arc::new(Mutex::new(Vec::new()));
        if let Some(output) = child.stdout.take() {
            keep(output, &lines);
        }
        if let Some(output) = child.stderr.take() {
            keep(output, &lines);
        }
        Ok(Self { name: name.to_owned(), child, lines })
    }

    /// Its process ID, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything printed so far.
    pub fn output(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits for a line that contains `text`, from the line numbered `from` on; gives the line.
    pub async fn line_from(&mut self, from: usize, text: &str) -> Result<String> {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            // Asked first: what it printed before it ended is there only after that.
            let ended = self.child.try_wait()?;
            if ended.is_some() {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            if let Some(line) = self.find(from, text) {
                return Ok(line);
            }
            if ended.is_some() || tokio::time::Instant::now() > deadline {
                bail!("{} did not print {text:?} ({ended:?}); it printed:\n{}", self.name, self.output());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits for a line that contains `text` from a process that has ended, or from one that it left behind.
    pub async fn line_after_end(&self, text: &str) -> Result<String> {
        let found = eventually(text, async || self.find(0, text)).await;
        found.with_context(|| format!("{} printed:\n{}", self.name, self.output()))
    }

    fn find(&self, from: usize, text: &str) -> Option<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().skip(from).find(|line| line.contains(text)).cloned()
    }

    /// Waits for a line that contains `text`.
    pub async fn line(&mut self, text: &str) -> Result<String> {
        self.line_from(0, text).await
    }

    /// How many lines were printed so far.
    pub fn line_count(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?),
            Err(_) => bail!("{} does not end; it printed:\n{}", self.name, self.output()),
        }
    }

    /// Kills it at once (SIGKILL) and waits for its end.
    pub async fn kill(&mut self) -> Result<()> {
        self.child.kill().await.context("killing")
    }

    /// Asks it to end (SIGTERM) and waits for its end.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(pid) = self.pid().and_then(|pid| i32::try_from(pid).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        }
        self.ended().await
    }

    /// Resident memory in KiB, from the kernel.
    pub fn resident_kib(&self) -> Result<u64> {
        let pid = self.pid().context("the process has ended")?;
        let status = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status")))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        Ok(line.trim().trim_end_matches(" kB").trim().parse()?)
    }
}

fn keep(output: impl AsyncRead + Unpin + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    tokio::spawn(async move {
        let mut output = BufReader::new(output).lines();
        while let Ok(Some(line)) = output.next_line().await {
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
