//! What several modules of X.509 do together.

mod building;
mod key_usage;
mod parsing;
mod verifying;
