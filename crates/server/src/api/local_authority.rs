//! `spire.api.server.localauthority.v1.LocalAuthority`: operators look at signing authorities and change them.

use super::Rooms;
use super::refuse;
use crate::authority::AuthorityInfo;
use async_trait::async_trait;
use finial_identity::{AuthorityId, Code, Failure};
use finial_proto::server::localauthority as api;
use finial_proto::server::localauthority::local_authority_server::LocalAuthority;
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// The service.
pub struct LocalAuthorityService {
    rooms: Arc<Rooms>,
}

impl LocalAuthorityService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }
}

/// All that there is to say.
fn state(info: &AuthorityInfo) -> api::AuthorityState {
    api::AuthorityState {
        authority_id: info.id.to_string(),
        expires_at: info.expires_at.seconds(),
        upstream_authority_subject_key_id: info.upstream_id.to_string(),
    }
}

/// Of some changes SPIRE says no more than which authority was changed.
fn only_id(authority_id: impl Into<String>) -> api::AuthorityState {
    api::AuthorityState { authority_id: authority_id.into(), ..Default::default() }
}

fn initializing() -> Status {
    refuse(Failure::new(Code::Unavailable, "server is initializing"))
}

fn no_wit<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("WIT-SVID functionality is not yet implemented"))
}

#[async_trait]
impl LocalAuthority for LocalAuthorityService {
    async fn get_jwt_authority_state(
        &self,
        _: Request<api::GetJwtAuthorityStateRequest>,
    ) -> Result<Response<api::GetJwtAuthorityStateResponse>, Status> {
        self.rooms.authority.require_jwt().map_err(refuse)?;
        let known = self.rooms.authority.jwt_state();
        let active = known.active.as_ref().ok_or_else(initializing)?;
        Ok(Response::new(api::GetJwtAuthorityStateResponse {
            active: Some(state(active)),
            prepared: known.prepared.as_ref().map(state),
            old: known.old.as_ref().map(state),
        }))
    }

    async fn prepare_jwt_authority(
        &self,
        _: Request<api::PrepareJwtAuthorityRequest>,
    ) -> Result<Response<api::PrepareJwtAuthorityResponse>, Status> {
        let prepared = self.rooms.authority.prepare_jwt_authority().await.map_err(refuse)?;
        Ok(Response::new(api::PrepareJwtAuthorityResponse { prepared_authority: Some(state(&prepared)) }))
    }

    async fn activate_jwt_authority(
        &self,
        request: Request<api::ActivateJwtAuthorityRequest>,
    ) -> Result<Response<api::ActivateJwtAuthorityResponse>, Status> {
        let id = AuthorityId::new(request.into_inner().authority_id);
        let active = self.rooms.authority.activate_jwt_authority(&id).await.map_err(refuse)?;
        Ok(Response::new(api::ActivateJwtAuthorityResponse { activated_authority: Some(state(&active)) }))
    }

    async fn taint_jwt_authority(
        &self,
        request: Request<api::TaintJwtAuthorityRequest>,
    ) -> Result<Response<api::TaintJwtAuthorityResponse>, Status> {
        let id = AuthorityId::new(request.into_inner().authority_id);
        self.rooms.authority.taint_jwt_authority(&id).await.map_err(refuse)?;
        Ok(Response::new(api::TaintJwtAuthorityResponse { tainted_authority: Some(only_id(id.as_str())) }))
    }

    async fn revoke_jwt_authority(
        &self,
        request: Request<api::RevokeJwtAuthorityRequest>,
    ) -> Result<Response<api::RevokeJwtAuthorityResponse>, Status> {
        let id = AuthorityId::new(request.into_inner().authority_id);
        self.rooms.authority.revoke_jwt_authority(&id).await.map_err(refuse)?;
        Ok(Response::new(api::RevokeJwtAuthorityResponse { revoked_authority: Some(only_id(id.as_str())) }))
    }

    async fn get_x509_authority_state(
        &self,
        _: Request<api::GetX509AuthorityStateRequest>,
    ) -> Result<Response<api::GetX509AuthorityStateResponse>, Status> {
        let known = self.rooms.authority.x509_state();
        let active = known.active.as_ref().ok_or_else(initializing)?;
        Ok(Response::new(api::GetX509AuthorityStateResponse {
            active: Some(state(active)),
            prepared: known.prepared.as_ref().map(state),
            old: known.old.as_ref().map(state),
        }))
    }

    async fn prepare_x509_authority(
        &self,
        _: Request<api::PrepareX509AuthorityRequest>,
    ) -> Result<Response<api::PrepareX509AuthorityResponse>, Status> {
        let prepared = self.rooms.authority.prepare_x509_authority().await.map_err(refuse)?;
        Ok(Response::new(api::PrepareX509AuthorityResponse { prepared_authority: Some(state(&prepared)) }))
    }

    async fn activate_x509_authority(
        &self,
        request: Request<api::ActivateX509AuthorityRequest>,
    ) -> Result<Response<api::ActivateX509AuthorityResponse>, Status> {
        let id = AuthorityId::new(request.into_inner().authority_id);
        let active = self.rooms.authority.activate_x509_authority(&id).await.map_err(refuse)?;
        Ok(Response::new(api::ActivateX509AuthorityResponse { activated_authority: Some(state(&active)) }))
    }

    async fn taint_x509_authority(
        &self,
        request: Request<api::TaintX509AuthorityRequest>,
    ) -> Result<Response<api::TaintX509AuthorityResponse>, Status> {
        let id = AuthorityId::new(request.into_inner().authority_id);
        let tainted = self.rooms.authority.taint_x509_authority(&id).await.map_err(refuse)?;
        self.rooms.server_identity.bell().ring();
        Ok(Response::new(api::TaintX509AuthorityResponse { tainted_authority: Some(state(&tainted)) }))
    }

    async fn taint_x509_upstream_authority(
        &self,
        request: Request<api::TaintX509UpstreamAuthorityRequest>,
    ) -> Result<Response<api::TaintX509UpstreamAuthorityResponse>, Status> {
        let id = request.into_inner().subject_key_id;
        let tainted = self.rooms.authority.taint_x509_upstream_authority(&id).await.map_err(refuse)?;
        self.rooms.server_identity.bell().ring();
        Ok(Response::new(api::TaintX509UpstreamAuthorityResponse {
            upstream_authority_subject_key_id: tainted.to_string(),
        }))
    }

    async fn revoke_x509_authority(
        &self,
        request: Request<api::RevokeX509AuthorityRequest>,
    ) -> Result<Response<api::RevokeX509AuthorityResponse>, Status> {
        let id = AuthorityId::new(request.into_inner().authority_id);
        self.rooms.authority.revoke_x509_authority(&id).await.map_err(refuse)?;
        Ok(Response::new(api::RevokeX509AuthorityResponse { revoked_authority: Some(only_id(id.as_str())) }))
    }

    async fn revoke_x509_upstream_authority(
        &self,
        request: Request<api::RevokeX509UpstreamAuthorityRequest>,
    ) -> Result<Response<api::RevokeX509UpstreamAuthorityResponse>, Status> {
        let id = request.into_inner().subject_key_id;
        let revoked = self.rooms.authority.revoke_x509_upstream_authority(&id).await.map_err(refuse)?;
        Ok(Response::new(api::RevokeX509UpstreamAuthorityResponse {
            upstream_authority_subject_key_id: revoked.to_string(),
        }))
    }

    async fn get_wit_authority_state(
        &self,
        _: Request<api::GetWitAuthorityStateRequest>,
    ) -> Result<Response<api::GetWitAuthorityStateResponse>, Status> {
        no_wit()
    }

    async fn prepare_wit_authority(
        &self,
        _: Request<api::PrepareWitAuthorityRequest>,
    ) -> Result<Response<api::PrepareWitAuthorityResponse>, Status> {
        no_wit()
    }

    async fn activate_wit_authority(
        &self,
        _: Request<api::ActivateWitAuthorityRequest>,
    ) -> Result<Response<api::ActivateWitAuthorityResponse>, Status> {
        no_wit()
    }

    async fn taint_wit_authority(
        &self,
        _: Request<api::TaintWitAuthorityRequest>,
    ) -> Result<Response<api::TaintWitAuthorityResponse>, Status> {
        no_wit()
    }

    async fn revoke_wit_authority(
        &self,
        _: Request<api::RevokeWitAuthorityRequest>,
    ) -> Result<Response<api::RevokeWitAuthorityResponse>, Status> {
        no_wit()
    }
}
