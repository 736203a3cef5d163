//! The SQL data store, in SPIRE's schema.
