//! The registry: which identities exist, which agents exist, and who may have what.
//!
//! [`index`] and [`filter`] are pure; [`Registry`] is the one writer: it changes the store first and, when
//! the store has said yes, the index, so that the next request of any caller sees the change. Readers never
//! touch the store.

pub mod filter;
pub mod index;
pub mod prune;
mod store;

pub use filter::{EntryFilter, NodeFilter, SelectorMatch};
pub use index::{AuthorizedEntries, IndexedEntry};
pub use store::{Admitted, Registry};
