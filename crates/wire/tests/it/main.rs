//! The border through its public door: real sockets, real handshakes, real processes.

mod ca;
mod echo;
mod peer;
mod serve;
mod tls;
mod unix;
