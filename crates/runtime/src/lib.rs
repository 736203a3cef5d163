//! What a process needs that is not about identity: config text, logging, tasks, health, clock.
//!
//! For every room and for the door. It holds no domain decisions: nothing here knows what a SPIFFE ID,
//! an entry or an agent is. Where SPIRE's operators see a surface (config text, log lines, health
//! details, durations), this crate speaks it exactly.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | HCL 1 and JSON text, typed decoding with positions, environment, Go durations |
//! | [`logging`] | logrus-compatible lines on `tracing`, level at run time, reopenable file |
//! | [`tasks`] | named futures under one supervisor, graceful stop and leave-now |
//! | [`signals`] | SIGINT, SIGTERM, SIGUSR1, SIGUSR2 as streams |
//! | [`reconcile`] | idempotent `activate()` with bell, period, backoff and status |
//! | [`backoff`] | pure retry arithmetic with injected randomness |
//! | [`health`] | named checks and their ready and live states |
//! | [`metrics`] | counters, gauges and samples for Prometheus, StatsD, DogStatsD and memory |
//! | [`clock`] | system clock and test clock behind one trait |
//! | [`files`] | atomic writes, bounded reads, set-aside, directories, umask |

pub mod backoff;
pub mod clock;
pub mod config;
pub mod files;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod reconcile;
pub mod signals;
pub mod tasks;
