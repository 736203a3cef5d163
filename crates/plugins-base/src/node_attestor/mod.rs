//! Node attestors without heavy dependencies.

mod join_token;
pub mod x509pop;

pub use join_token::JoinTokenAgent;
