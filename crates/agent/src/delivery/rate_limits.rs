//! How many calls per second workloads with the same selectors may make, where the operator limits that.
//!
//! One bucket for each method and set of selectors; it holds a second's worth. A call over the rate is refused
//! at once, after attestation: it is the selectors that are counted.

use finial_identity::Selector;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tonic::Status;
use tracing::info;

/// How often buckets are looked through for those that are full, which are as good as new ones.
const TIDY_EVERY: Duration = Duration::from_secs(60);

/// Calls per second; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RateLimits {
    /// `FetchX509SVID`.
    pub fetch_x509_svid: u32,
    /// `FetchJWTSVID`.
    pub fetch_jwt_svid: u32,
    /// `FetchX509Bundles`.
    pub fetch_x509_bundles: u32,
    /// `FetchJWTBundles`.
    pub fetch_jwt_bundles: u32,
}

/// The methods that can be limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    FetchX509Svid,
    FetchJwtSvid,
    FetchX509Bundles,
    FetchJwtBundles,
}

impl Method {
    const ALL: [Self; 4] =
        [Self::FetchX509Svid, Self::FetchJwtSvid, Self::FetchX509Bundles, Self::FetchJwtBundles];

    fn path(self) -> &'static str {
        match self {
            Self::FetchX509Svid => "/SpiffeWorkloadAPI/FetchX509SVID",
            Self::FetchJwtSvid => "/SpiffeWorkloadAPI/FetchJWTSVID",
            Self::FetchX509Bundles => "/SpiffeWorkloadAPI/FetchX509Bundles",
            Self::FetchJwtBundles => "/SpiffeWorkloadAPI/FetchJWTBundles",
        }
    }

    fn limit(self, limits: &RateLimits) -> u32 {
        match self {
            Self::FetchX509Svid => limits.fetch_x509_svid,
            Self::FetchJwtSvid => limits.fetch_jwt_svid,
            Self::FetchX509Bundles => limits.fetch_x509_bundles,
            Self::FetchJwtBundles => limits.fetch_jwt_bundles,
        }
    }
}

/// What is left of a second's worth of calls at a moment.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    left: f64,
    at: SystemTime,
}

#[derive(Debug, Default)]
struct Buckets {
    by_selectors: HashMap<Arc<[Selector]>, Bucket>,
    tidied: Option<SystemTime>,
}

/// The limits and who has used how much of them.
#[derive(Debug)]
pub(super) struct Limiter {
    limits: RateLimits,
    buckets: [Mutex<Buckets>; Method::ALL.len()],
}

impl Limiter {
    pub(super) fn new(limits: RateLimits) -> Self {
        for method in Method::ALL {
            let limit = method.limit(&limits);
            if limit > 0 {
                let method = method.path();
                info!(limit, method, subsystem_name = "endpoints", "Workload API/SDS rate limiting enabled");
            }
        }
        Self { limits, buckets: Default::default() }
    }

    /// Counts a call of a workload; refuses it in SPIRE's words if there were too many.
    pub(super) fn admit(
        &self,
        method: Method,
        selectors: &Arc<[Selector]>,
        now: SystemTime,
    ) -> Result<(), Status> {
        let limit = method.limit(&self.limits);
        if limit == 0 {
            return Ok(());
        }
        let mut buckets = self.buckets[method as usize].lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.take(f64::from(limit), selectors, now) {
            return Ok(());
        }
        Err(Status::unavailable(format!("rate limit exceeded for {}", method.path())))
    }
}

impl Buckets {
    fn take(&mut self, limit: f64, selectors: &Arc<[Selector]>, now: SystemTime) -> bool {
        if !self.by_selectors.contains_key(selectors) {
            self.tidy(now);
        }
        let bucket =
            self.by_selectors.entry(Arc::clone(selectors)).or_insert(Bucket { left: limit, at: now });
        // A clock that was set back adds nothing, and takes nothing away.
        let passed = now.duration_since(bucket.at).unwrap_or_default();
        bucket.left = (bucket.left + passed.as_secs_f64() * limit).min(limit);
        bucket.at = now;
        let is_enough = bucket.left >= 1.0;
        if is_enough {
            bucket.left -= 1.0;
        }
        is_enough
    }

    fn tidy(&mut self, now: SystemTime) {
        let since = |moment: SystemTime| now.duration_since(moment).unwrap_or_default();
        if since(*self.tidied.get_or_insert(now)) < TIDY_EVERY {
            return;
        }
        self.tidied = Some(now);
        self.by_selectors.retain(|_, bucket| since(bucket.at) < Duration::from_secs(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selectors(text: &str) -> Arc<[Selector]> {
        Arc::from([Selector::parse(text).unwrap()])
    }

    fn at(milliseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000 + milliseconds)
    }

    #[test]
    fn a_second_s_worth_at_once_and_then_at_the_rate() {
        let limiter = Limiter::new(RateLimits { fetch_jwt_svid: 2, ..RateLimits::default() });
        let (one, other) = (selectors("unix:uid:1"), selectors("unix:uid:2"));
        let ask = |who: &Arc<[Selector]>, when| limiter.admit(Method::FetchJwtSvid, who, at(when)).is_ok();
        assert!(ask(&one, 0) && ask(&one, 0));
        let refused = limiter.admit(Method::FetchJwtSvid, &one, at(0)).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unavailable);
        assert_eq!(refused.message(), "rate limit exceeded for /SpiffeWorkloadAPI/FetchJWTSVID");
        assert!(ask(&other, 0), "others have their own bucket");
        assert!(limiter.admit(Method::FetchX509Svid, &one, at(0)).is_ok(), "no limit is set for it");
        assert!(!ask(&one, 499));
        assert!(ask(&one, 500) && !ask(&one, 500));
        assert!(
            ask(&one, 5_000) && ask(&one, 5_000) && !ask(&one, 5_000),
            "never more than a second's worth"
        );
        assert!(!ask(&one, 0), "a clock that is set back gives nothing");
    }

    #[test]
    fn those_who_have_gone_are_forgotten() {
        let limiter = Limiter::new(RateLimits { fetch_x509_svid: 1, ..RateLimits::default() });
        for uid in 0..100 {
            limiter.admit(Method::FetchX509Svid, &selectors(&format!("unix:uid:{uid}")), at(0)).unwrap();
        }
        limiter.admit(Method::FetchX509Svid, &selectors("unix:uid:1000"), at(60_000)).unwrap();
        assert_eq!(limiter.buckets[0].lock().unwrap().by_selectors.len(), 1);
    }
}
