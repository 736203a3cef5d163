//! The border through its public door: real sockets, real handshakes, real processes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod ca;
mod calls;
mod echo;
mod peer;
mod serve;
mod tls;
mod unix;
