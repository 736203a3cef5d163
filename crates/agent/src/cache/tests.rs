//! The cache against a naive model.
