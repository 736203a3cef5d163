//! The writer, against servers made for the purpose.

mod demands;
mod tainted;
