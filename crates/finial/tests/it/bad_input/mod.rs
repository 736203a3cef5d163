//! Bad input to a running server, case by case: the numbers are those of `docs/reference/bad-input.md`.
//!
//! Here are the cases whose verdict is that of the whole server: what a call is answered, after decoding, policy,
//! registry and store. With `FINIAL_TEST_BINARY` a real `spire-server` can be asked the same.

mod agents;
mod connections;
mod entries;
mod http2;
mod requests;
mod signing;

use finial_identity::Failure;
use finial_wire::status::{check_item, to_failure};
use std::fmt::Display;
use tonic::Status;

/// What a call was answered: `ok`, or the code and the text.
fn verdict<T>(answer: Result<T, Status>) -> String {
    answer.map_or_else(|status| shown(&to_failure(&status)), |_| "ok".to_owned())
}

/// The same of an item of a batch.
fn item_verdict(status: Option<&finial_proto::types::Status>) -> String {
    check_item(status).map_or_else(|failure| shown(&failure), |()| "ok".to_owned())
}

fn shown(failure: &Failure) -> String {
    format!("{:?}: {}", failure.code, failure.message)
}

/// Compares a verdict; an expectation that ends in `…` is only a beginning, where the rest is that of a library.
#[track_caller]
fn expect(case: impl Display, got: &str, wanted: &str) {
    let is_as_wanted = match wanted.strip_suffix('…') {
        Some(beginning) => got.starts_with(beginning),
        None => got == wanted,
    };
    assert!(is_as_wanted, "case {case}\n got {got}\nwant {wanted}");
}
