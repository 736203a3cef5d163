//! What several modules of X.509 do together.

mod building;
mod parsing;
mod verifying;
