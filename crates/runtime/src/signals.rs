//! The signals that a Finial process answers to.
//!
//! For the door. It only turns signals into awaits; what they mean (stop, re-read plugin data, reopen the
//! log) is decided by whoever awaits. Installing must happen inside a tokio runtime.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::logging::{Handle, chain};
use crate::tasks::Shutdown;

/// SIGINT or SIGTERM.
#[derive(Debug)]
pub struct Terminations {
    interrupt: Signal,
    terminate: Signal,
}

impl Terminations {
    /// Replaces the process's default reaction to SIGINT and SIGTERM.
    pub fn install() -> io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// The next of the two signals, by name.
    pub async fn recv(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "interrupt",
            _ = self.terminate.recv() => "terminated",
        }
    }
}

/// Turns signals into shutdown steps: the first asks for a graceful stop, the second to leave now.
///
/// Completes after the second signal, or when the process has no more reason to listen because
/// [`Shutdown::leave_now`] was called by somebody else.
pub async fn stop_on_signals(mut terminations: Terminations, shutdown: Shutdown) {
    tokio::select! {
        () = shutdown.leaving_now() => return,
        name = terminations.recv() => {
            tracing::debug!(signal = name, "Stopping on signal");
            shutdown.stop();
        }
    }
    tokio::select! {
        () = shutdown.leaving_now() => {}
        name = terminations.recv() => {
            tracing::warn!(signal = name, "Leaving at once on second signal");
            shutdown.leave_now();
        }
    }
}

/// SIGUSR1 or SIGUSR2 as a stream.
#[derive(Debug)]
pub struct UserSignal(Signal);

impl UserSignal {
    /// SIGUSR1: re-read the plugins' data files.
    pub fn usr1() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::user_defined1())?))
    }

    /// SIGUSR2: reopen the log file.
    pub fn usr2() -> io::Result<Self> {
        Ok(Self(signal(SignalKind::user_defined2())?))
    }

    /// The next signal. Several that arrive before anybody looks count as one.
    pub async fn recv(&mut self) {
        if self.0.recv().await.is_none() {
            // The runtime is going away: there will be no more signals.
            std::future::pending::<()>().await;
        }
    }
}

/// Reopens the log file on every SIGUSR2 until a stop is wanted. A failure is logged to the old file.
pub async fn reopen_log_on_signal(mut usr2: UserSignal, log: Handle, shutdown: Shutdown) {
    loop {
        tokio::select! {
            () = shutdown.stopping() => return,
            () = usr2.recv() => {}
        }
        if let Err(error) = log.reopen() {
            tracing::error!(error = %chain(&error), "failed to rotate log after signal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Signal as Number, getpid, kill_process};

    // One test, since signals belong to the whole process.
    #[tokio::test]
    async fn first_signal_stops_second_leaves() {
        let shutdown = Shutdown::new();
        let terminations = Terminations::install().unwrap();
        let mut usr2 = UserSignal::usr2().unwrap();
        let listener = tokio::spawn(stop_on_signals(terminations, shutdown.clone()));

        kill_process(getpid(), Number::TERM).unwrap();
        shutdown.stopping().await;
        assert!(!shutdown.is_leaving_now());

        kill_process(getpid(), Number::INT).unwrap();
        shutdown.leaving_now().await;
        listener.await.unwrap();

        kill_process(getpid(), Number::USR2).unwrap();
        usr2.recv().await;
    }
}
