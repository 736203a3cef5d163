//! What every workload attestor must do.

use crate::workload_attestor::{WorkloadAttestor, WorkloadRef};
use std::collections::HashSet;

/// Checks an attestor on `workload`, a process that lives as long as the suite runs, and on processes that do
/// not exist.
///
/// # Panics
/// When the contract is broken.
pub async fn check(attestor: &dyn WorkloadAttestor, workload: &WorkloadRef) {
    let selectors = attestor.attest(workload).await.expect("a process that lives can be attested");
    let mut seen = HashSet::new();
    for selector in &selectors {
        assert_eq!(selector.kind, attestor.name(), "selectors are of the attestor's kind");
        assert!(!selector.value.is_empty(), "a selector has a value");
        assert!(seen.insert(selector), "{selector} is there twice");
    }
    let (again, at_once) = tokio::join!(attestor.attest(workload), attestor.attest(workload));
    assert_eq!(again.as_ref(), Ok(&selectors), "nothing changed, so the answer is the same");
    assert_eq!(at_once.as_ref(), Ok(&selectors), "nothing changed, so the answer is the same");

    for pid in [i32::MAX, 0, -1, i32::MIN] {
        let nobody = WorkloadRef { pid, ..*workload };
        let attested = attestor.attest(&nobody).await.unwrap_or_default();
        assert_eq!(attested, [], "a process that is not there (PID {pid}) has no selectors");
    }
}
