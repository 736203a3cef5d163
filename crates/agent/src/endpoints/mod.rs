//! The agent's two sockets: binding, serving, and who calls what in the log.

mod admin_socket;
mod call_span;
mod workload_socket;

pub use admin_socket::serve_admin_socket;
pub use workload_socket::serve_workload_socket;
