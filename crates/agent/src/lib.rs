//! The node side: attestation, sync, cache, Workload API.
