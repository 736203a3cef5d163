//! What the authority counts, under SPIRE's names.

use finial_identity::{Code, TrustDomain};
use finial_runtime::metrics::{Call, Counter, Gauge, Metrics};

/// The instruments, made once.
pub(super) struct Numbers {
    pub(super) x509_svid: Counter,
    pub(super) jwt_svid: Counter,
    pub(super) x509_prepare: Call,
    pub(super) jwt_prepare: Call,
    pub(super) own_svid: Call,
    x509_activate: Counter,
    pub(super) jwt_activate: Counter,
    expiration: Gauge,
    ttl: Gauge,
}

impl Numbers {
    pub(super) fn new(metrics: &Metrics, trust_domain: &TrustDomain) -> Self {
        let own = [("trust_domain_id", trust_domain.as_str())];
        Self {
            x509_svid: metrics.counter("server_ca.sign.x509_svid", &[]),
            jwt_svid: metrics.counter("server_ca.sign.jwt_svid", &[]),
            x509_prepare: metrics.call("ca.manager.x509_ca.prepare", &[]),
            jwt_prepare: metrics.call("ca.manager.jwt_key.prepare", &[]),
            own_svid: metrics.call("svid.rotate", &[]),
            x509_activate: metrics.counter("ca.manager.x509_ca.activate", &[]),
            jwt_activate: metrics.counter("manager.jwt_key.activate", &[]),
            expiration: metrics.gauge("manager.x509_ca.rotate.expiration", &own),
            ttl: metrics.gauge("manager.x509_ca.rotate.ttl", &own),
        }
    }

    /// An X.509 authority signs from now on, until this second of the epoch; so many seconds are left.
    pub(super) fn x509_activated(&self, expiration: i64, left: f64) {
        self.x509_activate.increment();
        // Exact for times until long after the sun.
        #[allow(clippy::cast_precision_loss)]
        self.expiration.set(expiration as f64);
        self.ttl.set(left);
    }
}

/// The status of a failure inside this process.
pub(super) fn internal<E>(_: &E) -> i32 {
    Code::Internal.number()
}
