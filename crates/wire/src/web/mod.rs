//! Small documents over HTTP: one GET with limits, and a server that answers GETs.
//!
//! For bundles that are fetched and bundles that are served. On the `hyper` and `rustls` that are in the binary
//! anyway; it never speaks plain HTTP over a network.

mod get;
mod serve;

pub use get::{Answer, GetError, Via, get};
pub use serve::{WebOptions, serve_web};
