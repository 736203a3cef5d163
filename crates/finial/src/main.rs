//! The one binary: server, agent, demo.
fn main() {}
