//! What every long-running process does around its work: log, signals, threads, the last line.

use crate::config::{LoadError, Loaded, LogSettings, UnknownKeys};
use crate::output::Fault;
use finial_runtime::files;
use finial_runtime::logging::{self, Handle, Options, chain};
use finial_runtime::signals::{Terminations, UserSignal, reopen_log_on_signal, stop_on_signals};
use finial_runtime::tasks::{BoxError, Shutdown};
use std::fmt::{self, Display};
use std::path::Path;
use std::time::Duration;
use tokio::task::JoinSet;

/// More threads make a process bigger and hardly faster: the work is short, and most of it waits.
const WORKERS_MAX: usize = 4;
/// Threads for what blocks: files, the database, making keys.
const BLOCKING_MAX: usize = 32;
/// An idle thread costs memory; a new one costs microseconds.
const BLOCKING_KEPT: Duration = Duration::from_secs(5);
/// How long blocking work may hold up the end of the process.
const BLOCKING_LAST: Duration = Duration::from_secs(5);

/// Which process this is, for its last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Server,
    Agent,
}

impl Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "Server",
            Self::Agent => "Agent",
        })
    }
}

/// Starts the log and says what the configuration came to.
pub(super) fn start_log<T>(settings: &LogSettings, loaded: &Loaded<T>) -> Result<Handle, Fault> {
    let log = logging::init(settings.options())
        .map_err(|error| Fault::new(format!("could not start logger: {}", chain(&error))))?;
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    let shown: Vec<String> = loaded
        .values
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(path, value)| format!("{path}={value:?}"))
        .collect();
    tracing::debug!(values = shown.join(" "), "Effective configuration");
    Ok(log)
}

/// Says what is wrong with the configuration; of unknown keys also in the log, as SPIRE does. What the file says
/// about the log cannot be relied on then, so the log is on standard output.
pub(super) fn refused(error: LoadError) -> Fault {
    if let LoadError::Invalid { unknown, .. } = &error
        && !unknown.is_empty()
        && logging::init(Options::default()).is_ok()
    {
        for UnknownKeys { section, keys } in unknown {
            tracing::error!(keys = keys.join(","), section, "Unknown configuration detected");
        }
    }
    Fault::new(error.to_string())
}

/// Makes a directory that the file names, if it is not there.
pub(super) fn prepare_directory(path: &Path, what: &'static str) -> Result<(), files::FileError> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    tracing::info!(dir = %path.display(), "Creating {what}");
    files::create_directory(path, 0o755)
}

/// Runs `main` on its own threads, with signals turned into the wish to stop.
pub(super) fn run<F, Fut>(log: Handle, main: F) -> Result<(), BoxError>
where
    F: FnOnce(Shutdown) -> Fut,
    Fut: Future<Output = Result<(), BoxError>>,
{
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.min(WORKERS_MAX))
        .max_blocking_threads(BLOCKING_MAX)
        .thread_keep_alive(BLOCKING_KEPT)
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let mut listeners = JoinSet::new();
        listeners.spawn(stop_on_signals(Terminations::install()?, shutdown.clone()));
        listeners.spawn(reopen_log_on_signal(UserSignal::usr2()?, log, shutdown.clone()));
        listeners.spawn(answer_usr1(UserSignal::usr1()?));
        Box::pin(main(shutdown)).await
    });
    runtime.shutdown_timeout(BLOCKING_LAST);
    result
}

/// SPIRE re-reads plugins' files on SIGUSR1; the signal must at least not end the process.
async fn answer_usr1(mut usr1: UserSignal) {
    loop {
        usr1.recv().await;
        tracing::info!(subsystem_name = "reconfigurer", "Reconfigure signal received");
    }
}

/// The last line, and how the process ends.
pub(super) fn finish(role: Role, result: Result<(), BoxError>) -> Result<(), Fault> {
    match result {
        Ok(()) => {
            tracing::info!("{role} stopped gracefully");
            Ok(())
        }
        Err(error) => {
            let error = chain(error.as_ref());
            if role == Role::Server {
                tracing::error!(error = %error, "Fatal run error");
            }
            tracing::error!(error = %error, "{role} crashed");
            Err(Fault::Silent)
        }
    }
}
