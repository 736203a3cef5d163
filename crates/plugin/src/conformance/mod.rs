//! Suites that every implementation of a contract passes, called from a three-line test beside it.
