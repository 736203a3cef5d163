//! The command line as others see it: the binary under its three names, with nobody to talk to.
//! And the documents beside it.
//!
//! Apart from the system tests in `tests/it`, since these need no deployment and take a second.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod documents;
mod finial;
mod recorded;
