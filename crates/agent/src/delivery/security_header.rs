//! The header that no browser can be tricked into sending (Workload Endpoint §4). Pure.

use http::HeaderMap;
use tonic::Status;

const NAME: &str = "workload.spiffe.io";

/// Demands the header exactly once, and exactly `true`.
pub(super) fn check(headers: &HeaderMap) -> Result<(), Status> {
    let mut values = headers.get_all(NAME).iter();
    match (values.next().map(|value| value.as_bytes()), values.next()) {
        (Some(b"true"), None) => Ok(()),
        _ => Err(Status::invalid_argument("security header missing from request")),
    }
}
