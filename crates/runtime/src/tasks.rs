//! Named futures under one supervisor, and the two steps of leaving.
//!
//! For the door and for the rooms' assemblies: parts return futures, the supervisor runs them; nothing
//! spawns in a constructor. A task that fails or panics stops the whole process with its error; work that
//! must survive failure is a [`Reconciler`] or is added with [`Supervisor::add_restarting`].

mod shutdown;

use std::any::Any;
use std::collections::HashMap;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::task::{Id, JoinError, JoinSet};

use crate::backoff::{Backoff, Params, random_unit};
use crate::reconcile::Reconciler;

pub use shutdown::Shutdown;

/// Any error a task may end with.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why [`Supervisor::run`] ended before its tasks were done.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// A task returned an error; the error is the source.
    #[error("{task} failed")]
    Failed {
        /// The task's name.
        task: String,
        /// What it returned.
        source: BoxError,
    },
    /// A task panicked.
    #[error("{task} panicked: {message}")]
    Panicked {
        /// The task's name.
        task: String,
        /// The panic's message.
        message: String,
    },
    /// [`Shutdown::leave_now`] was called while tasks still ran.
    #[error("left at once while these were still running: {}", tasks.join(", "))]
    LeftAtOnce {
        /// The names of the tasks that did not finish.
        tasks: Vec<String>,
    },
}

impl TaskError {
    /// The task's own error, if that is what ended the run.
    #[must_use]
    pub fn into_source(self) -> BoxError {
        match self {
            Self::Failed { source, .. } => source,
            other => Box::new(other),
        }
    }
}

/// Collects named futures and runs them until all are done or one fails.
pub struct Supervisor {
    shutdown: Shutdown,
    tasks: Vec<(String, BoxFuture<'static, Result<(), BoxError>>)>,
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.tasks.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Supervisor").field("shutdown", &self.shutdown).field("tasks", &names).finish()
    }
}

impl Supervisor {
    /// A supervisor whose tasks stop on `shutdown`.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { shutdown, tasks: Vec::new() }
    }

    /// The wish to stop that this supervisor follows and gives when a task fails.
    #[must_use]
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// A task that ends when its work is done or when the shutdown asks for it. It watches
    /// [`Shutdown::stopping`] itself; its error or panic stops everybody.
    pub fn add<F, E>(&mut self, name: impl Into<String>, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        self.tasks.push((name.into(), Box::pin(task.map(|result| result.map_err(Into::into)))));
    }

    /// A task without a stop of its own: it is dropped at its next await when a stop is wanted.
    pub fn add_until_stop<F, E>(&mut self, name: impl Into<String>, task: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let shutdown = self.shutdown.clone();
        self.add(name, async move {
            tokio::select! {
                () = shutdown.stopping() => Ok(()),
                result = task => result.map_err(Into::<BoxError>::into),
            }
        });
    }

    /// A task that is made anew, with growing waits, whenever it fails or panics.
    pub fn add_restarting<M, F, E>(&mut self, name: impl Into<String>, first_wait: Duration, make: M)
    where
        M: FnMut() -> F + Send + 'static,
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError> + 'static,
    {
        let name = name.into();
        let task = restarting(name.clone(), Backoff::new(Params::new(first_wait)), make);
        self.add_until_stop(name, task);
    }

    /// A reconciler: it never fails the process, and ends when a stop is wanted.
    pub fn add_reconciler(&mut self, reconciler: Reconciler) {
        let shutdown = self.shutdown.clone();
        let name = reconciler.name().to_owned();
        self.add(name, async move {
            reconciler.run(shutdown).await;
            Ok::<(), BoxError>(())
        });
    }

    /// Runs everything. The first failure stops all others gracefully and is returned once they have left;
    /// [`Shutdown::leave_now`] ends the run at once.
    pub async fn run(self) -> Result<(), TaskError> {
        let Self { shutdown, tasks } = self;
        let mut running = JoinSet::new();
        let mut names: HashMap<Id, String> = HashMap::new();
        for (name, task) in tasks {
            names.insert(running.spawn(task).id(), name);
        }
        let mut failure = None;
        loop {
            let ended = tokio::select! {
                biased;
                ended = running.join_next_with_id() => ended,
                () = shutdown.leaving_now() => {
                    return Err(failure.unwrap_or_else(|| left_at_once(names)));
                }
            };
            let Some(ended) = ended else { break };
            if let Err(error) = outcome(ended, &mut names) {
                shutdown.stop();
                failure.get_or_insert(error);
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

fn left_at_once(names: HashMap<Id, String>) -> TaskError {
    let mut tasks: Vec<String> = names.into_values().collect();
    tasks.sort();
    TaskError::LeftAtOnce { tasks }
}

fn outcome(
    ended: Result<(Id, Result<(), BoxError>), JoinError>,
    names: &mut HashMap<Id, String>,
) -> Result<(), TaskError> {
    let id = match &ended {
        Ok((id, _)) => *id,
        Err(error) => error.id(),
    };
    let task = names.remove(&id).unwrap_or_default();
    match ended {
        Ok((_, Ok(()))) => Ok(()),
        Ok((_, Err(source))) => Err(TaskError::Failed { task, source }),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => Err(TaskError::Panicked { task, message: panic_message(panic.as_ref()) }),
            Err(cancelled) => Err(TaskError::Failed { task, source: cancelled.into() }),
        },
    }
}

/// What a panic said, as far as it can be known.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "no message".to_owned()
    }
}

/// Runs a future and turns its panic into an error.
pub(crate) async fn catch_panic<F, E>(future: F) -> Result<(), BoxError>
where
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    match AssertUnwindSafe(future).catch_unwind().await {
        Ok(result) => result.map_err(Into::into),
        Err(panic) => Err(format!("panicked: {}", panic_message(panic.as_ref())).into()),
    }
}

async fn restarting<M, F, E>(name: String, mut backoff: Backoff, mut make: M) -> Result<(), BoxError>
where
    M: FnMut() -> F,
    F: Future<Output = Result<(), E>>,
    E: Into<BoxError>,
{
    while let Err(error) = catch_panic(make()).await {
        let wait = backoff.next_wait(Duration::ZERO, random_unit()).unwrap_or_default();
        tracing::error!(task = name, error = %crate::logging::chain(error.as_ref()), "Task failed, restarting");
        tokio::time::sleep(wait).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[tokio::test]
    async fn a_failure_stops_the_others_and_is_returned() {
        let mut supervisor = Supervisor::new(Shutdown::new());
        let shutdown = supervisor.shutdown();
        let finished = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&finished);
        supervisor.add("server", async move {
            shutdown.stopping().await;
            counter.fetch_add(1, Ordering::Relaxed);
            Ok::<(), BoxError>(())
        });
        supervisor.add_until_stop("timer", std::future::pending::<Result<(), BoxError>>());
        supervisor.add("bad", async { Err(io::Error::other("port in use")) });
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "bad failed");
        assert_eq!(error.into_source().to_string(), "port in use");
        assert_eq!(finished.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let mut supervisor = Supervisor::new(Shutdown::new());
        supervisor.add::<_, BoxError>("bad", async { panic!("oh {}", "no") });
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "bad panicked: oh no");
    }

    #[tokio::test]
    async fn leaving_now_does_not_wait() {
        let shutdown = Shutdown::new();
        let mut supervisor = Supervisor::new(shutdown.clone());
        supervisor.add("stuck", std::future::pending::<Result<(), BoxError>>());
        shutdown.leave_now();
        let error = supervisor.run().await.unwrap_err();
        assert_eq!(error.to_string(), "left at once while these were still running: stuck");
        assert!(shutdown.is_stopping());
    }

    #[tokio::test(start_paused = true)]
    async fn a_restarting_task_is_made_anew() {
        let mut supervisor = Supervisor::new(Shutdown::new());
        let mut attempts = 0;
        supervisor.add_restarting("flaky", Duration::from_secs(1), move || {
            attempts += 1;
            let attempt = attempts;
            async move {
                match attempt {
                    1 => panic!("first"),
                    2 => Err("second"),
                    _ => Ok(()),
                }
            }
        });
        supervisor.run().await.unwrap();
    }
}
