//! Appliances with counters around them: what they are asked, how often, how it ended, how long it took.

mod keys;
mod store;

pub use keys::MeasuredKeys;
pub use store::MeasuredStore;
