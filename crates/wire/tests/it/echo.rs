//! A service that says who called, and one that never answers.

use finial_proto::server::debug::debug_server::{Debug, DebugServer};
use finial_proto::server::debug::get_info_response::Cert;
use finial_proto::server::debug::{GetInfoRequest, GetInfoResponse};
use finial_wire::convert::ids::id_to_proto;
use finial_wire::listen::TcpPeer;
use finial_wire::peer::UnixPeer;
use std::sync::Arc;
use tokio::sync::Notify;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

pub(crate) struct WhoCalls;

#[tonic::async_trait]
impl Debug for WhoCalls {
    async fn get_info(&self, request: Request<GetInfoRequest>) -> Result<Response<GetInfoResponse>, Status> {
        let mut response = GetInfoResponse::default();
        if let Some(peer) = request.extensions().get::<Arc<TcpPeer>>() {
            let show = |svid: &finial_wire::tls::PeerSvid| Cert {
                id: Some(id_to_proto(&svid.id)),
                expires_at: svid.leaf().not_after().seconds(),
                subject: svid.serial_decimal().to_owned(),
            };
            response.svid_chain.extend(peer.svid.as_ref().map(show));
            assert!(peer.remote.ip().is_loopback());
        }
        if let Some(peer) = request.extensions().get::<Arc<UnixPeer>>() {
            peer.process.is_alive_and_same().unwrap();
            response.agents_count = peer.pid;
            response.entries_count = i32::try_from(peer.uid).unwrap();
        }
        Ok(Response::new(response))
    }
}

pub(crate) fn who_calls() -> Routes {
    Routes::new(DebugServer::new(WhoCalls))
}

/// Tells when it is called, and never answers.
pub(crate) struct NeverAnswers(pub(crate) Arc<Notify>);

#[tonic::async_trait]
impl Debug for NeverAnswers {
    async fn get_info(&self, _: Request<GetInfoRequest>) -> Result<Response<GetInfoResponse>, Status> {
        self.0.notify_one();
        std::future::pending().await
    }
}

pub(crate) fn never_answers(called: Arc<Notify>) -> Routes {
    Routes::new(DebugServer::new(NeverAnswers(called)))
}
