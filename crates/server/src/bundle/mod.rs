//! Trust bundles as the server holds them: its own, and those of trust domains it federates with.
//!
//! For `authority`, which adds its signing authorities here before it uses them, for the API and for TLS. The
//! rules of change are `finial_identity::bundle`'s, applied by the store in one transaction; this module
//! decides nothing about who may change what.

mod foreign;
mod own;
mod readers;

pub use foreign::ForeignBundles;
pub use own::{OwnBundle, PRUNE_EVERY, REFRESH_EVERY};
pub use readers::BundleReaders;
