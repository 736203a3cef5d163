//! `spire.agent.debug.v1.Debug`: what the agent says about itself.

use crate::directory::Directory;
use crate::sync::JwtCache;
use async_trait::async_trait;
use finial_identity::UnixTime;
use finial_identity::x509::Certificate;
use finial_proto::agent::debug::debug_server;
use finial_proto::agent::debug::{GetInfoRequest, GetInfoResponse, get_info_response};
use finial_runtime::clock::Clock;
use finial_wire::convert::ids::id_to_proto;
use finial_wire::tls::IdentityCell;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tonic::{Request, Response, Status};

/// For how long an answer is given again.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The service.
pub struct Debug {
    directory: Directory,
    jwt: JwtCache,
    own_svid: Arc<IdentityCell>,
    clock: Arc<dyn Clock>,
    started: SystemTime,
    kept: Mutex<Option<(SystemTime, GetInfoResponse)>>,
}

impl Debug {
    /// A service that looks at these; uptime counts from now.
    pub fn new(
        directory: Directory,
        jwt: JwtCache,
        own_svid: Arc<IdentityCell>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let started = clock.now();
        Self { directory, jwt, own_svid, clock, started, kept: Mutex::new(None) }
    }

    fn look(&self, now: SystemTime) -> GetInfoResponse {
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let x509 = count(self.directory.x509_count());
        let uptime = now.duration_since(self.started).unwrap_or_default().as_secs();
        let last_sync = self.directory.progress().last_success;
        #[expect(deprecated, reason = "old clients read the former name")]
        GetInfoResponse {
            svid_chain: self.chain().iter().map(show).collect(),
            uptime: i32::try_from(uptime).unwrap_or(i32::MAX),
            svids_count: x509,
            last_sync_success: last_sync.map_or(0, |at| UnixTime::from(at).seconds()),
            cached_x509_svids_count: x509,
            cached_jwt_svids_count: count(self.jwt.len()),
            cached_svidstore_x509_svids_count: 0,
        }
    }

    /// The agent's own SVID up to and with the authority of the bundle that it chains to.
    fn chain(&self) -> Vec<Certificate> {
        let mut chain = self.own_svid.current().map(|own| own.svid().chain.clone()).unwrap_or_default();
        let issuer = chain.last().and_then(|last| last.authority_key_id().map(<[u8]>::to_vec));
        let bundles = self.directory.bundles();
        let authorities = bundles.own().into_iter().flat_map(|bundle| &bundle.x509_authorities);
        let mut authorities = authorities.map(|authority| &authority.certificate);
        let root = authorities.find(|root| issuer.is_some() && root.subject_key_id() == issuer.as_deref());
        chain.extend(root.cloned());
        chain
    }
}

fn show(certificate: &Certificate) -> get_info_response::Cert {
    get_info_response::Cert {
        id: certificate.spiffe_id().ok().map(|id| id_to_proto(&id)),
        expires_at: certificate.not_after().seconds(),
        subject: certificate.subject(),
    }
}

#[async_trait]
impl debug_server::Debug for Debug {
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Result<Response<GetInfoResponse>, Status> {
        let now = self.clock.now();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, answer)) = &*kept
            && now.duration_since(*at).is_ok_and(|age| age < KEPT_FOR)
        {
            return Ok(Response::new(answer.clone()));
        }
        let answer = self.look(now);
        *kept = Some((now, answer.clone()));
        Ok(Response::new(answer))
    }
}
