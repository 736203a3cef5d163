//! `spire.api.server.svid.v1.SVID`.

use super::Rooms;
use super::agent::{limited, svid_to_proto};
use super::gate::Admitted;
use super::refuse;
use crate::authority::{IssuedJwt, IssuedX509, IssuedX509Ca, JtiSwitch, JwtRequest, MintX509};
use crate::registry::AuthorizedEntries;
use async_trait::async_trait;
use finial_identity::dns::{check_wildcard_overlap, validate_dns_name};
use finial_identity::x509::Csr;
use finial_identity::{Failure, RegistrationEntry, SpiffeId};
use finial_proto::server::svid::svid_server::Svid;
use finial_proto::server::svid::{
    BatchNewWitsvidRequest, BatchNewWitsvidResponse, BatchNewX509svidRequest, BatchNewX509svidResponse,
    MintJwtsvidRequest, MintJwtsvidResponse, MintWitsvidRequest, MintWitsvidResponse, MintX509svidRequest,
    MintX509svidResponse, NewDownstreamX509caRequest, NewDownstreamX509caResponse, NewJwtsvidRequest,
    NewJwtsvidResponse, NewX509svidParams, batch_new_x509svid_response,
};
use finial_proto::types;
use finial_runtime::logging::rfc3339;
use finial_wire::convert::ids::{id_to_proto, workload_from_proto};
use finial_wire::status::{ToStatus, item_ok};
use std::sync::Arc;
use std::time::Duration;
use tonic::{Request, Response, Status};
use tracing::debug;

/// The service.
pub struct SvidService {
    rooms: Arc<Rooms>,
}

impl SvidService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// Issues the X509-SVID of one entry for the key of one certificate request; nothing else of the
    /// request counts.
    async fn new_x509(
        &self,
        authorized: &AuthorizedEntries,
        param: &NewX509svidParams,
    ) -> Result<IssuedX509, Failure> {
        if param.entry_id.is_empty() {
            return Err(Failure::invalid("missing entry ID"));
        }
        if param.csr.is_empty() {
            return Err(Failure::invalid("missing CSR"));
        }
        let entry = find(authorized, &param.entry_id)?;
        let csr = Csr::parse(&param.csr).map_err(|e| Failure::invalid(format!("malformed CSR: {e}")))?;
        csr.verify_signature().map_err(|e| Failure::invalid(format!("invalid CSR signature: {e}")))?;
        let svid = self.rooms.authority.issue_workload_x509(&entry.spec, &csr.public_key).await?;
        debug!(
            entry_id = param.entry_id,
            spiffe_id = %svid.id,
            serial_num = svid.serial,
            expiration = rfc3339(svid.expires_at.to_system_time()),
            revision_number = entry.revision,
            "Signed X509 SVID"
        );
        Ok(svid)
    }

    async fn mint_x509_svid(&self, request: MintX509svidRequest) -> Result<IssuedX509, Failure> {
        let (id, csr) = self.read_mint_csr(&request.csr)?;
        let ttl = u64::try_from(request.ttl).ok().filter(|ttl| *ttl > 0).map(Duration::from_secs);
        let wish =
            MintX509 { id, key: csr.public_key, dns_names: csr.dns_names, raw_subject: csr.raw_subject, ttl };
        self.rooms.authority.mint_x509(wish).await
    }

    /// Signs an authority for the key of a request; nothing else of the request counts.
    async fn new_downstream(&self, request: &NewDownstreamX509caRequest) -> Result<IssuedX509Ca, Failure> {
        let csr = Csr::parse(&request.csr).map_err(|e| Failure::invalid(format!("malformed CSR: {e}")))?;
        csr.verify_signature().map_err(|e| Failure::invalid(format!("invalid CSR signature: {e}")))?;
        let ttl = u64::try_from(request.preferred_ttl).ok().map(Duration::from_secs);
        let issued = self.rooms.authority.issue_downstream_x509_ca(&csr.public_key, ttl).await?;
        debug!(
            spiffe_id = %self.rooms.trust_domain.id(),
            expires_at = issued.expires_at.seconds(),
            "Signed X509 CA SVID"
        );
        Ok(issued)
    }

    fn read_mint_csr(&self, csr: &[u8]) -> Result<(SpiffeId, Csr), Failure> {
        if csr.is_empty() {
            return Err(Failure::invalid("missing CSR"));
        }
        let csr = Csr::parse(csr).map_err(|e| Failure::invalid(format!("malformed CSR: {e}")))?;
        csr.verify_signature()
            .map_err(|e| Failure::invalid(format!("failed to verify CSR signature: {e}")))?;
        let uri = match csr.uris.as_slice() {
            [] => return Err(Failure::invalid("CSR URI SAN is required")),
            [uri] => uri,
            _ => return Err(Failure::invalid("only one URI SAN is expected")),
        };
        let invalid = |e: &dyn std::fmt::Display| Failure::invalid(format!("CSR URI SAN is invalid: {e}"));
        let id = SpiffeId::parse(uri).map_err(|e| invalid(&e))?;
        self.rooms.trust_domain.require_workload(&id).map_err(|e| invalid(&e))?;
        for name in &csr.dns_names {
            validate_dns_name(name).map_err(|e| Failure::invalid(format!("CSR DNS name is invalid: {e}")))?;
        }
        check_wildcard_overlap(&csr.dns_names).map_err(|e| {
            let what = "CSR DNS name contains a wildcard that covers another non-wildcard name";
            Failure::invalid(format!("{what}: {e}"))
        })?;
        Ok((id, csr))
    }

    async fn issue_jwt(
        &self,
        id: &SpiffeId,
        audience: &[String],
        ttl: i32,
        jti: JtiSwitch,
    ) -> Result<types::Jwtsvid, Failure> {
        let trust_domain = &self.rooms.trust_domain;
        trust_domain.require_workload(id).map_err(|e| Failure::invalid(format!("invalid SPIFFE ID: {e}")))?;
        if audience.is_empty() {
            return Err(Failure::invalid("at least one audience is required"));
        }
        let ttl = u64::try_from(ttl).ok().filter(|ttl| *ttl > 0).map(Duration::from_secs);
        let token = self.rooms.authority.issue_jwt(JwtRequest { id, audience, ttl, jti }).await?;
        debug!(
            spiffe_id = %id,
            audience = format!("[{}]", audience.join(" ")),
            expiration = rfc3339(token.expires_at.to_system_time()),
            "Server CA successfully signed JWT SVID"
        );
        Ok(jwt_to_proto(token))
    }
}

fn find<'a>(authorized: &'a AuthorizedEntries, id: &str) -> Result<&'a RegistrationEntry, Failure> {
    let found = authorized.get(id).map(|entry| &entry.value);
    found.ok_or_else(|| Failure::not_found("entry not found or not authorized"))
}

fn jwt_to_proto(token: IssuedJwt) -> types::Jwtsvid {
    types::Jwtsvid {
        id: Some(id_to_proto(&token.id)),
        token: token.token,
        expires_at: token.expires_at.seconds(),
        issued_at: token.issued_at.seconds(),
        hint: String::new(),
    }
}

fn wit_disabled() -> Status {
    Status::unimplemented("WIT functionality is disabled")
}

#[async_trait]
impl Svid for SvidService {
    async fn mint_x509svid(
        &self,
        request: Request<MintX509svidRequest>,
    ) -> Result<Response<MintX509svidResponse>, Status> {
        let svid = self.mint_x509_svid(request.into_inner()).await.map_err(refuse)?;
        Ok(Response::new(MintX509svidResponse { svid: Some(svid_to_proto(&svid)) }))
    }

    async fn mint_jwtsvid(
        &self,
        request: Request<MintJwtsvidRequest>,
    ) -> Result<Response<MintJwtsvidResponse>, Status> {
        self.rooms.authority.require_jwt().map_err(refuse)?;
        let request = request.into_inner();
        let id = workload_from_proto(&self.rooms.trust_domain, request.id.as_ref())
            .map_err(|e| Status::invalid_argument(format!("invalid SPIFFE ID: {e}")))?;
        let svid = self.issue_jwt(&id, &request.audience, request.ttl, JtiSwitch::Omit).await;
        Ok(Response::new(MintJwtsvidResponse { svid: Some(svid.map_err(refuse)?) }))
    }

    async fn mint_witsvid(
        &self,
        _: Request<MintWitsvidRequest>,
    ) -> Result<Response<MintWitsvidResponse>, Status> {
        Err(wit_disabled())
    }

    async fn batch_new_x509svid(
        &self,
        request: Request<BatchNewX509svidRequest>,
    ) -> Result<Response<BatchNewX509svidResponse>, Status> {
        let caller = Admitted::of(&request)?;
        let params = &request.get_ref().params;
        if params.is_empty() {
            return Err(Status::invalid_argument("missing parameters"));
        }
        let waited = self.rooms.limits.x509.wait(caller.peer, params.len()).await;
        waited.map_err(|e| limited(e, "rejecting request due to certificate signing rate limiting"))?;
        let now = self.rooms.clock.now().into();
        let authorized = self.rooms.registry.authorized(caller.require_id()?, now);
        let mut results = Vec::with_capacity(params.len());
        for param in params {
            let (status, svid) = match self.new_x509(&authorized, param).await {
                Ok(svid) => (item_ok(), Some(svid_to_proto(&svid))),
                Err(failure) => (failure.to_item_status(), None),
            };
            results.push(batch_new_x509svid_response::Result { status: Some(status), svid });
        }
        Ok(Response::new(BatchNewX509svidResponse { results }))
    }

    async fn new_jwtsvid(
        &self,
        request: Request<NewJwtsvidRequest>,
    ) -> Result<Response<NewJwtsvidResponse>, Status> {
        let caller = Admitted::of(&request)?;
        let waited = self.rooms.limits.jwt.wait(caller.peer, 1).await;
        waited.map_err(|e| limited(e, "rejecting request due to JWT signing request rate limiting"))?;
        self.rooms.authority.require_jwt().map_err(refuse)?;
        let now = self.rooms.clock.now().into();
        let authorized = self.rooms.registry.authorized(caller.require_id()?, now);
        let request = request.get_ref();
        let entry = find(&authorized, &request.entry_id).map_err(refuse)?;
        let wants_jti = entry.spec.additional.is_some_and(|more| more.jwt_svid_include_jti);
        let jti = if wants_jti { JtiSwitch::Include } else { JtiSwitch::Omit };
        let spec = &entry.spec;
        let svid = self.issue_jwt(&spec.spiffe_id, &request.audience, spec.jwt_svid_ttl, jti).await;
        Ok(Response::new(NewJwtsvidResponse { svid: Some(svid.map_err(refuse)?) }))
    }

    async fn batch_new_witsvid(
        &self,
        _: Request<BatchNewWitsvidRequest>,
    ) -> Result<Response<BatchNewWitsvidResponse>, Status> {
        Err(wit_disabled())
    }

    async fn new_downstream_x509ca(
        &self,
        request: Request<NewDownstreamX509caRequest>,
    ) -> Result<Response<NewDownstreamX509caResponse>, Status> {
        let caller = Admitted::of(&request)?;
        let waited = self.rooms.limits.downstream.wait(caller.peer, 1).await;
        waited.map_err(|e| limited(e, "rejecting request due to downstream CA signing rate limit"))?;
        let request = request.into_inner();
        let issued = self.new_downstream(&request).await.map_err(refuse)?;
        let bundle = self.rooms.own_bundle.current();
        let roots = bundle.x509_authorities.iter().map(|root| root.certificate.der().to_vec().into());
        Ok(Response::new(NewDownstreamX509caResponse {
            ca_cert_chain: issued.chain,
            x509_authorities: roots.collect(),
        }))
    }
}
