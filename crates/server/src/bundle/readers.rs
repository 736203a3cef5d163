//! Who was given which state of the own bundle: an authority that those who verify do not know yet should not
//! sign.
//!
//! Agents and servers below ask for the bundle every few seconds and show who they are. Only those count that
//! have asked lately; who stays away is not waited for. What was given out counts as known.

use finial_identity::{Bundle, SpiffeId, UnixTime};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who has not asked for so many seconds is not waited for.
const RECENT: i64 = 120;

/// The last state that each reader was given.
#[derive(Debug, Default)]
pub struct BundleReaders {
    last: Mutex<HashMap<SpiffeId, Given>>,
}

#[derive(Debug)]
struct Given {
    bundle: Arc<Bundle>,
    at: UnixTime,
}

impl BundleReaders {
    fn lock(&self) -> MutexGuard<'_, HashMap<SpiffeId, Given>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a reader was given a state.
    pub fn note(&self, reader: &SpiffeId, bundle: &Arc<Bundle>, now: UnixTime) {
        let given = Given { bundle: Arc::clone(bundle), at: now };
        let mut last = self.lock();
        match last.get_mut(reader) {
            Some(known) => *known = given,
            None => drop(last.insert(reader.clone(), given)),
        }
    }

    /// How many of those that asked lately were given a state that `lacks` something.
    pub fn count_lacking(&self, now: UnixTime, lacks: impl Fn(&Bundle) -> bool) -> usize {
        let mut judged: Vec<(Arc<Bundle>, bool)> = Vec::new();
        let mut count = 0;
        for given in self.lock().values().filter(|given| is_recent(given, now)) {
            // Few states are about, and looking into one may mean checking signatures.
            let known = judged.iter().find(|(bundle, _)| Arc::ptr_eq(bundle, &given.bundle));
            let is_lacking = match known {
                Some((_, verdict)) => *verdict,
                None => {
                    let verdict = lacks(&given.bundle);
                    judged.push((Arc::clone(&given.bundle), verdict));
                    verdict
                }
            };
            count += usize::from(is_lacking);
        }
        count
    }

    /// Forgets who has not asked lately.
    pub fn forget_absent(&self, now: UnixTime) {
        self.lock().retain(|_, given| is_recent(given, now));
    }
}

fn is_recent(given: &Given, now: UnixTime) -> bool {
    now.seconds() - given.at.seconds() <= RECENT
}

#[cfg(test)]
mod tests {
    use super::*;
    use finial_identity::TrustDomain;

    #[test]
    fn who_asked_lately_counts() {
        let trust_domain = TrustDomain::parse("example.org").unwrap();
        let id = |path: &str| SpiffeId::from_path(&trust_domain, path).unwrap();
        let state = |number| {
            let mut bundle = Bundle::new(trust_domain.clone());
            bundle.sequence_number = number;
            Arc::new(bundle)
        };
        let (old, new, at) = (state(1), state(2), UnixTime::from_seconds);
        let readers = BundleReaders::default();
        let lacking = |now| readers.count_lacking(at(now), |bundle| bundle.sequence_number < 2);
        assert_eq!(lacking(0), 0);
        readers.note(&id("/spire/agent/a"), &old, at(0));
        readers.note(&id("/spire/agent/b"), &old, at(60));
        assert_eq!(lacking(60), 2);
        readers.note(&id("/spire/agent/b"), &new, at(61));
        assert_eq!(lacking(61), 1);
        assert_eq!(lacking(RECENT), 1);
        assert_eq!(lacking(RECENT + 1), 0, "who stays away is not waited for");
        readers.forget_absent(at(RECENT + 1));
        assert_eq!(readers.lock().len(), 1);
    }
}
