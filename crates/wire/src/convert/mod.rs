//! Protobuf ⇄ domain, with the verdicts and the texts of SPIRE.
//!
//! Pure. An error's text is what comes after the caller's prefix: `failed to convert entry: ` and the like.
//! A mask that is not there means everything, for output and for input.

pub mod agents;
pub mod bundles;
pub mod entries;
pub mod federation;
pub mod ids;
pub mod log_levels;
pub mod selectors;
pub mod svids;

#[cfg(test)]
mod tests;
