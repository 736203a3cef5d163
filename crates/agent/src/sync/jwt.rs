//! JWT-SVIDs: kept until half their life, fetched once for all who ask at the same time.
//!
//! A token that is still valid is handed out even when the server cannot be reached, or does not answer for a
//! while; the fetch of its successor goes on. Tokens of entries that want a `jti` are never kept, and those of a
//! tainted authority are forgotten.

use super::flights::{Flights, Joined};
use crate::upstream::Upstream;
use finial_identity::GrantedEntry;
use finial_identity::jwt::JwtSvid;
use finial_identity::{Code, EntryId, Failure, UnixTime, rotation};
use finial_runtime::backoff::random_unit;
use finial_runtime::clock::Clock;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tracing::{info, warn};

/// How many tokens are kept, and how long a caller waits while a valid one is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JwtCacheOptions {
    /// Hard limit.
    pub max: usize,
    /// How long a fetch may hold up a caller for whom a valid token is kept.
    pub hit_timeout: Duration,
}

/// Longest audience of a token, all values together: tokens are kept by it, and kept tokens are counted, not
/// weighed.
const AUDIENCE_MAX: usize = 64 << 10;

/// What a token is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    entry: EntryId,
    revision: i64,
    audience: BTreeSet<String>,
}

struct Kept {
    token: Arc<JwtSvid>,
    rotate_at: SystemTime,
    used: u64,
}

type Fetched = Result<Arc<JwtSvid>, Failure>;

#[derive(Default)]
struct State {
    kept: HashMap<Key, Kept>,
    uses: u64,
}

/// Tokens at hand. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct JwtCache {
    upstream: Arc<dyn Upstream>,
    clock: Arc<dyn Clock>,
    options: JwtCacheOptions,
    state: Arc<Mutex<State>>,
    flights: Flights<Key, Fetched>,
}

impl JwtCache {
    /// An empty cache.
    pub fn new(upstream: Arc<dyn Upstream>, options: JwtCacheOptions, clock: Arc<dyn Clock>) -> Self {
        Self { upstream, clock, options, state: Arc::default(), flights: Flights::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many tokens are kept.
    pub fn len(&self) -> usize {
        self.lock().kept.len()
    }

    /// How many fetches are under way.
    #[cfg(test)]
    pub(crate) fn fetches(&self) -> usize {
        self.flights.len()
    }

    /// Whether no token is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A token for an entry and an audience.
    pub async fn token(&self, entry: &GrantedEntry, audience: &[String]) -> Fetched {
        if entry.additional.jwt_svid_include_jti {
            return self.upstream.new_jwt(&entry.id, audience).await.map(Arc::new);
        }
        if audience.iter().map(String::len).sum::<usize>() > AUDIENCE_MAX {
            return Err(Failure::invalid(format!("audience is longer than {AUDIENCE_MAX} bytes")));
        }
        let key = Key {
            entry: entry.id.clone(),
            revision: entry.revision,
            audience: audience.iter().cloned().collect(),
        };
        let now = self.clock.now();
        match self.held(&key, now) {
            Some((token, false)) => Ok(token),
            Some((token, true)) => self.renew(key, audience, now, token).await,
            None => self.fetch(key, audience, now).fetch.await,
        }
    }

    /// The kept token, if it is still valid, and whether it is time for a new one.
    fn held(&self, key: &Key, now: SystemTime) -> Option<(Arc<JwtSvid>, bool)> {
        let mut state = self.lock();
        state.uses += 1;
        let uses = state.uses;
        let kept = state.kept.get_mut(key)?;
        if kept.token.expires_at <= UnixTime::from(now) {
            state.kept.remove(key);
            return None;
        }
        kept.used = uses;
        Some((Arc::clone(&kept.token), kept.rotate_at <= now))
    }

    /// Fetches a new token, and settles for the old one if that fails or takes too long. The fetch then goes on
    /// for those who ask later; the server's answer, or its silence, ends it.
    async fn renew(&self, key: Key, audience: &[String], now: SystemTime, old: Arc<JwtSvid>) -> Fetched {
        let renewal = self.fetch(key, audience, now);
        if renewal.is_first {
            tokio::spawn(renewal.fetch.clone());
        }
        let waited = now.duration_since(renewal.begun).unwrap_or_default();
        tokio::select! {
            biased;
            fetched = renewal.fetch => match fetched {
                Err(failure) if is_verdict(&failure) => Err(failure),
                Err(failure) => {
                    warn!(spiffe_id = %old.id, error = %failure, "Unable to renew JWT; returning cached copy");
                    Ok(old)
                }
                renewed => renewed,
            },
            () = self.clock.sleep(self.options.hit_timeout.saturating_sub(waited)) => Ok(old),
        }
    }

    /// Fetches a token, together with all who want the same one now.
    fn fetch(&self, key: Key, audience: &[String], now: SystemTime) -> Joined<Fetched> {
        let (cache, wanted, audience) = (self.clone(), key.clone(), audience.to_vec());
        self.flights.join(key, now, async move {
            let fetched = cache.upstream.new_jwt(&wanted.entry, &audience).await.map(Arc::new);
            if let Ok(token) = &fetched {
                cache.keep(wanted, Arc::clone(token));
            }
            fetched
        })
    }

    fn keep(&self, key: Key, token: Arc<JwtSvid>) {
        let rotate_at = rotation::jwt_svid_rotate_at(token.issued_at, token.expires_at, random_unit());
        let rotate_at = rotation::no_sooner(rotate_at, self.clock.now(), token.expires_at);
        let mut state = self.lock();
        state.uses += 1;
        let used = state.uses;
        state.kept.insert(key, Kept { token, rotate_at, used });
        while state.kept.len() > self.options.max {
            let oldest = state.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone());
            match oldest {
                Some(oldest) => drop(state.kept.remove(&oldest)),
                None => break,
            }
        }
    }

    /// Forgets the tokens that these authorities signed.
    pub fn forget_tainted(&self, key_ids: &BTreeSet<String>) {
        let mut state = self.lock();
        let before = state.kept.len();
        state.kept.retain(|_, kept| !kept.token.key_id.as_ref().is_some_and(|id| key_ids.contains(id)));
        let gone = before - state.kept.len();
        drop(state);
        if gone > 0 {
            let ids: Vec<&str> = key_ids.iter().map(String::as_str).collect();
            // SPIRE says `tainted_jwt_svids`, its suites look for `count_jwt_svids`.
            info!(
                count_jwt_svids = gone,
                tainted_jwt_svids = gone,
                jwt_authority_key_ids = ids.join(","),
                subsystem_name = "cache_manager",
                "JWT-SVIDs were removed from the JWT cache because they were issued by a tainted authority"
            );
        }
    }
}

/// Whether the server has said no, rather than nothing.
fn is_verdict(failure: &Failure) -> bool {
    matches!(
        failure.code,
        Code::NotFound | Code::InvalidArgument | Code::PermissionDenied | Code::Unimplemented
    )
}
