//! JWT-SVIDs (JWT-SVID standard): making them, reading them, judging them.
//!
//! For the server (issue), the agent (read what the server sent, validate for workloads) and the
//! doors that publish keys. Signing itself happens elsewhere, because a key may live in a remote key
//! store: [`signing_input`] gives the bytes to sign and [`assemble`] makes the token of them.
//!
//! Only the compact serialization and the nine algorithms of JWT-SVID §2 exist here. Nothing in a
//! token's header ever chooses a key or a kind of key: the `kid` is looked up in the bundle of the
//! subject's trust domain, and the algorithm must fit what is found there.

pub mod algorithm;
mod claims;
mod ecdsa;
mod error;
mod issue;
pub mod json;
pub mod jwk;
mod jws;
mod svid;
mod validate;

pub use algorithm::Algorithm;
pub use error::{JwsError, JwtError};
pub use issue::{JwtClaims, JwtHeader, assemble, signing_input, signing_input_of};
pub use jwk::Jwk;
pub use svid::JwtSvid;
pub use validate::{FindKey, LEEWAY_SECONDS, ValidatedJwtSvid, validate};

/// Longest token in bytes that is read: what fits into one gRPC message.
pub const TOKEN_MAX: usize = 4 << 20;
