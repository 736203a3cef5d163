//! The certificate authority and its registry.
