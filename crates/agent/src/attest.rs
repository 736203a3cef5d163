//! Caller → selectors: all workload attestors side by side, then a second look at the caller.
//!
//! One attestor that fails costs its selectors and nothing else; only if all fail the caller is not
//! attested. Callers who are one process and ask at the same time share one attestation. Selectors may hold
//! secrets of the workload, so their values are logged only where the operator says so.

use finial_identity::{Failure, Selector};
use finial_plugin::workload_attestor::{WorkloadAttestor, WorkloadRef};
use finial_runtime::clock::Clock;
use finial_wire::peer::{PeerError, UnixPeer};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, join_all};
use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::{debug, error};

/// An attestor that has not answered by then has failed. Longer than any of them retries.
const ATTESTOR_TIMEOUT: Duration = Duration::from_secs(60);
/// An attestation that began longer ago is not joined: the process may have become another program since.
const JOINED_FOR: Duration = Duration::from_secs(1);

/// Why a caller has no selectors.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// No attestor could tell anything.
    #[error(transparent)]
    AllFailed(#[from] AllFailed),
    /// Whoever was attested need not be who called.
    #[error("could not verify existence of the original caller: {0}")]
    Caller(#[source] PeerError),
}

/// What each attestor failed with, one a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct AllFailed(Arc<[String]>);

/// Which selectors may be logged with their values: those that begin with one of these, at a colon.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LoggedSelectors(BTreeSet<String>);

impl LoggedSelectors {
    /// Selectors like `unix:uid:0` are logged by `unix`, `unix:uid` and `unix:uid:0`.
    pub fn new(prefixes: BTreeSet<String>) -> Self {
        Self(prefixes)
    }

    /// Whether this one may be logged.
    pub fn allows(&self, selector: &Selector) -> bool {
        let text = selector.to_string();
        let begins = |prefix: &String| {
            text.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        self.0.iter().any(begins)
    }

    /// Those that may be logged, as one text; `None` if there are none.
    pub fn text(&self, selectors: &[Selector]) -> Option<String> {
        let mut shown: Vec<String> =
            selectors.iter().filter(|selector| self.allows(selector)).map(Selector::to_string).collect();
        shown.sort();
        Some(shown.join(",")).filter(|text| !text.is_empty())
    }
}

/// A process as it was when it connected. The start time makes it a name that is not given again.
type Key = (WorkloadRef, u64);
type Outcome = Result<Arc<[Selector]>, AllFailed>;

/// One attestation that several callers may wait for. It goes away with the last of them.
struct Flight {
    shared: Shared<BoxFuture<'static, Outcome>>,
    begun: SystemTime,
    waiting: usize,
}

/// Recognises callers.
pub struct Attestation {
    attestors: Arc<[Arc<dyn WorkloadAttestor>]>,
    logged: LoggedSelectors,
    ourselves: Ourselves,
    clock: Arc<dyn Clock>,
    flights: Mutex<HashMap<Key, Flight>>,
}

impl Attestation {
    /// Attestation by these attestors.
    pub fn new(
        attestors: Vec<Arc<dyn WorkloadAttestor>>,
        logged: LoggedSelectors,
        ourselves: Ourselves,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { attestors: attestors.into(), logged, ourselves, clock, flights: Mutex::default() }
    }

    /// The selectors of a caller, sorted, each once.
    pub async fn attest(&self, peer: &UnixPeer) -> Result<Arc<[Selector]>, AttestError> {
        let waiting = self.join(peer);
        let selectors = waiting.shared.clone().await?;
        drop(waiting);
        peer.process.is_alive_and_same().map_err(AttestError::Caller)?;
        Ok(selectors)
    }

    fn join(&self, peer: &UnixPeer) -> Waiting<'_> {
        let workload = WorkloadRef { pid: peer.pid, uid: peer.uid, gid: peer.gid };
        let key = (workload, peer.process.start_time());
        let now = self.clock.now();
        let is_fresh = |flight: &Flight| {
            flight.shared.peek().is_none()
                && now.duration_since(flight.begun).is_ok_and(|age| age <= JOINED_FOR)
        };
        let mut flights = self.lock();
        let shared = match flights.get_mut(&key).filter(|flight| is_fresh(flight)) {
            Some(flight) => {
                flight.waiting += 1;
                flight.shared.clone()
            }
            None => {
                let shared = self.begin(workload).shared();
                let flight = Flight { shared: shared.clone(), begun: now, waiting: 1 };
                flights.insert(key, flight);
                shared
            }
        };
        Waiting { attestation: self, key, shared }
    }

    fn begin(&self, workload: WorkloadRef) -> BoxFuture<'static, Outcome> {
        let (attestors, clock) = (Arc::clone(&self.attestors), Arc::clone(&self.clock));
        let (logged, ourselves) = (self.logged.clone(), self.ourselves);
        async move {
            let answers =
                join_all(attestors.iter().map(|attestor| ask(&**attestor, &workload, &*clock))).await;
            let selectors = collect(&workload, answers)?;
            if !ourselves.is(workload.pid) {
                log_selectors(&workload, &selectors, &logged);
            }
            Ok(selectors)
        }
        .boxed()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Flight>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many attestations are under way.
    #[cfg(test)]
    pub(crate) fn under_way(&self) -> usize {
        self.lock().len()
    }

    /// How many callers wait for them.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.lock().values().map(|flight| flight.waiting).sum()
    }
}

/// One who waits; when the last one leaves, the attestation is given up.
struct Waiting<'a> {
    attestation: &'a Attestation,
    key: Key,
    shared: Shared<BoxFuture<'static, Outcome>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut flights = self.attestation.lock();
        let Some(flight) = flights.get_mut(&self.key).filter(|flight| flight.shared.ptr_eq(&self.shared))
        else {
            return;
        };
        flight.waiting -= 1;
        if flight.waiting == 0 || flight.shared.peek().is_some() {
            let gone = flights.remove(&self.key);
            drop(flights);
            drop(gone);
        }
    }
}

/// One attestor's answer or the text of its failure; a panic and a silence are failures too.
async fn ask(
    attestor: &dyn WorkloadAttestor,
    workload: &WorkloadRef,
    clock: &dyn Clock,
) -> Result<Vec<Selector>, String> {
    let attest = AssertUnwindSafe(attestor.attest(workload)).catch_unwind();
    let answer = tokio::select! {
        answer = attest => answer.unwrap_or_else(|_| Err(Failure::internal("the attestor panicked"))),
        () = clock.sleep(ATTESTOR_TIMEOUT) => Err(Failure::internal("the attestor does not answer")),
    };
    answer.map_err(|failure| {
        let name = attestor.name();
        error!(
            subsystem_name = "workload_attestor",
            pid = workload.pid,
            error = %failure,
            "workload attestor {name:?} failed"
        );
        format!("workload attestor {name:?} failed: {failure}")
    })
}

fn collect(workload: &WorkloadRef, answers: Vec<Result<Vec<Selector>, String>>) -> Outcome {
    let asked = answers.len();
    let mut failures = Vec::new();
    let mut selectors = BTreeSet::new();
    for answer in answers {
        match answer {
            Ok(found) => selectors.extend(found),
            Err(failure) => failures.push(failure),
        }
    }
    if asked > 0 && failures.len() == asked {
        return Err(AllFailed(failures.into()));
    }
    if !failures.is_empty() {
        error!(
            subsystem_name = "workload_attestor",
            pid = workload.pid,
            error = failures.join("\n"),
            "Failed to collect all selectors"
        );
    }
    Ok(selectors.into_iter().collect())
}

fn log_selectors(workload: &WorkloadRef, selectors: &[Selector], logged: &LoggedSelectors) {
    debug!(
        subsystem_name = "workload_attestor",
        pid = workload.pid,
        count = selectors.len(),
        selectors = logged.text(selectors),
        "PID attested to have selectors"
    );
}

/// The agent's own process. It looks after its own health by the way that workloads take; that it does, and
/// that it mostly has no identity, is nothing to write home about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ourselves(pub u32);

impl Ourselves {
    /// Whether the caller with this process ID is the agent.
    pub fn is(self, pid: i32) -> bool {
        i64::from(pid) == i64::from(self.0)
    }
}

impl fmt::Debug for Attestation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.attestors.iter().map(|attestor| attestor.name()).collect();
        f.debug_struct("Attestation").field("attestors", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use finial_runtime::clock::SystemClock;
    use finial_wire::peer::ProcessHandle;
    use std::os::unix::fs::MetadataExt;
    use std::process::{Child, Command};

    fn selectors(texts: &[&str]) -> Vec<Selector> {
        texts.iter().map(|text| Selector::parse(text).unwrap()).collect()
    }

    /// Ends the process that it looks at, if there is one, and answers all the same.
    struct Slow(Mutex<Option<Child>>, &'static [&'static str]);

    #[async_trait]
    impl WorkloadAttestor for Slow {
        fn name(&self) -> &str {
            "slow"
        }

        async fn attest(&self, _: &WorkloadRef) -> Result<Vec<Selector>, Failure> {
            if let Some(mut child) = self.0.lock().unwrap().take() {
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Ok(selectors(self.1))
        }
    }

    fn peer(pid: u32) -> UnixPeer {
        let owner = std::fs::metadata(format!("/proc/{pid}")).unwrap();
        let (pid, uid, gid) = (i32::try_from(pid).unwrap(), owner.uid(), owner.gid());
        UnixPeer { pid, uid, gid, process: ProcessHandle::pin(pid, uid, gid, None).unwrap() }
    }

    fn attestation(attestors: Vec<Arc<dyn WorkloadAttestor>>) -> Attestation {
        Attestation::new(attestors, LoggedSelectors::default(), Ourselves(0), SystemClock::shared())
    }

    #[tokio::test]
    async fn a_caller_that_ends_meanwhile_gets_nothing() {
        let child = Command::new("sleep").arg("1000").spawn().unwrap();
        let peer = peer(child.id());
        let attestation = attestation(vec![Arc::new(Slow(Mutex::new(Some(child)), &["a:1"]))]);
        let refused = attestation.attest(&peer).await.unwrap_err();
        assert!(matches!(refused, AttestError::Caller(_)), "{refused:?}");
        assert!(refused.to_string().starts_with("could not verify existence of the original caller: "));
        assert_eq!(attestation.under_way(), 0);
    }

    #[tokio::test]
    async fn selectors_of_all_attestors_come_together() {
        let one = Arc::new(Slow(Mutex::default(), &["b:2", "a:1"]));
        let two = Arc::new(Slow(Mutex::default(), &["c:3", "a:1"]));
        let found = attestation(vec![one, two]).attest(&peer(std::process::id())).await.unwrap();
        assert_eq!(*found, selectors(&["a:1", "b:2", "c:3"]));
    }

    #[test]
    fn only_the_selectors_that_the_operator_names_are_logged() {
        let all = selectors(&["unix:uid:0", "unix:user:root", "docker:env:KEY=secret", "unixy:a:b"]);
        let text = |prefixes: &[&str]| {
            LoggedSelectors::new(prefixes.iter().map(|p| (*p).to_owned()).collect()).text(&all)
        };
        assert_eq!(text(&[]), None);
        assert_eq!(text(&["unix"]).as_deref(), Some("unix:uid:0,unix:user:root"));
        assert_eq!(text(&["unix:uid", "docker:label"]).as_deref(), Some("unix:uid:0"));
        assert_eq!(text(&["unix:u"]), None);
    }
}
