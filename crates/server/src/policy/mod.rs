//! Who may call what: one table, in one place.
//!
//! [`table`] is pure and holds every method that the server serves; a method that is not in it is refused.

pub mod limits;
pub mod table;

pub use table::{Access, Grant, access_of, answers_of};
