//! `spire.api.server.debug.v1.Debug`.

use super::Rooms;
use crate::registry::{EntryFilter, NodeFilter};
use async_trait::async_trait;
use finial_identity::x509::Certificate;
use finial_proto::server::debug::debug_server::Debug;
use finial_proto::server::debug::{GetInfoRequest, GetInfoResponse, get_info_response};
use finial_wire::convert::ids::id_to_proto;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tonic::{Request, Response, Status};

/// For how long an answer is given again.
const KEPT_FOR: Duration = Duration::from_secs(5);

/// The service.
pub struct DebugService {
    rooms: Arc<Rooms>,
    started: SystemTime,
    kept: Mutex<Option<(SystemTime, GetInfoResponse)>>,
}

impl DebugService {
    /// A service on these rooms; uptime counts from now.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        let started = rooms.clock.now();
        Self { rooms, started, kept: Mutex::new(None) }
    }

    async fn look(&self, now: SystemTime) -> Result<GetInfoResponse, Status> {
        let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let bundles = self.rooms.foreign_bundles.count().await;
        let bundles = bundles.map_err(|e| Status::internal(format!("failed to count bundles: {e}")))?;
        let uptime = now.duration_since(self.started).unwrap_or_default().as_secs();
        Ok(GetInfoResponse {
            svid_chain: self.chain(),
            uptime: i32::try_from(uptime).unwrap_or(i32::MAX),
            agents_count: count(self.rooms.registry.count_nodes(&NodeFilter::default())),
            federated_bundles_count: i32::try_from(bundles).unwrap_or(i32::MAX),
            entries_count: count(self.rooms.registry.count_entries(&EntryFilter::default())),
        })
    }

    /// The server's own SVID up to and with the authority of the bundle that it chains to.
    fn chain(&self) -> Vec<get_info_response::Cert> {
        let mut chain: Vec<Certificate> = self.rooms.server_identity.chain();
        let bundle = self.rooms.own_bundle.current();
        let issuer = chain.last().and_then(|last| last.authority_key_id().map(<[u8]>::to_vec));
        let authorities = bundle.x509_authorities.iter().map(|authority| &authority.certificate);
        let root = authorities.into_iter().find(|root| root.subject_key_id() == issuer.as_deref());
        chain.extend(root.cloned());
        let show = |certificate: &Certificate| get_info_response::Cert {
            id: certificate.spiffe_id().ok().map(|id| id_to_proto(&id)),
            expires_at: certificate.not_after().seconds(),
            subject: certificate.subject(),
        };
        chain.iter().map(show).collect()
    }
}

#[async_trait]
impl Debug for DebugService {
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Result<Response<GetInfoResponse>, Status> {
        let now = self.rooms.clock.now();
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, answer)) = kept
            && now.duration_since(at).is_ok_and(|age| age < KEPT_FOR)
        {
            return Ok(Response::new(answer));
        }
        let answer = self.look(now).await?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, answer.clone()));
        Ok(Response::new(answer))
    }
}
