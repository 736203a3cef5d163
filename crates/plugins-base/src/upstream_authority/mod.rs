//! Who signs a server's authorities: files, or another server.

pub mod disk;
mod sign;
pub mod spire;
