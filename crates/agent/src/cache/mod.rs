//! The middle of the agent: what it may hand out, to whom. Pure: no async, no IO, `now` is an argument.
//!
//! [`Cache`] maps selectors to entries to SVIDs. The one writer (`sync`) tells it what the server says and
//! what was signed, and asks what must be signed next ([`Plan`]); readers see immutable [`View`]s.
//! Workloads with the same selectors are one *group* and share one view, so that a change costs the number
//! of distinct workloads and not the number of connections.

mod bundles;
mod groups;
mod index;
mod material;
mod state;
mod view;

pub use bundles::BundleSet;
pub use groups::GroupId;
pub use material::X509Material;
pub use state::{Cache, CacheOptions, Plan, Touched};
pub use view::{Identity, View};

#[cfg(test)]
mod tests;
