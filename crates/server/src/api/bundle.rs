//! `spire.api.server.bundle.v1.Bundle`.

use super::Rooms;
use super::agent::limited;
use super::gate::Admitted;
use super::page::Page;
use super::refuse;
use async_trait::async_trait;
use finial_identity::{Bundle as TrustBundle, Code, Failure, SpiffeId, TrustDomain};
use finial_plugin::datastore::{BundleChange, BundleDeletion, BundleParts};
use finial_proto::server::bundle::batch_delete_federated_bundle_request::Mode;
use finial_proto::server::bundle::bundle_server::Bundle;
use finial_proto::server::bundle::{
    AppendBundleRequest, BatchCreateFederatedBundleRequest, BatchCreateFederatedBundleResponse,
    BatchDeleteFederatedBundleRequest, BatchDeleteFederatedBundleResponse, BatchSetFederatedBundleRequest,
    BatchSetFederatedBundleResponse, BatchUpdateFederatedBundleRequest, BatchUpdateFederatedBundleResponse,
    CountBundlesRequest, CountBundlesResponse, GetBundleRequest, GetFederatedBundleRequest,
    ListFederatedBundlesRequest, ListFederatedBundlesResponse, PublishJwtAuthorityRequest,
    PublishJwtAuthorityResponse, PublishWitAuthorityRequest, PublishWitAuthorityResponse,
    batch_create_federated_bundle_response, batch_delete_federated_bundle_response,
    batch_set_federated_bundle_response, batch_update_federated_bundle_response,
};
use finial_proto::types;
use finial_wire::convert::bundles;
use finial_wire::status::{ToStatus, item_ok, item_status};
use std::sync::Arc;
use tonic::{Request, Response, Status};
use tracing::{debug, info};

/// The service.
pub struct BundleService {
    rooms: Arc<Rooms>,
}

impl BundleService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// Whether others verify with what this caller was given: agents and servers below hand it on.
    fn passes_on(&self, id: &SpiffeId) -> bool {
        id.is_agent() || self.rooms.registry.is_downstream(id)
    }

    /// Reads the name of a foreign trust domain; `doing` completes the refusal of the own one.
    fn foreign(&self, name: &str, doing: &str) -> Result<TrustDomain, Failure> {
        let trust_domain = TrustDomain::parse(name)
            .map_err(|e| Failure::invalid(format!("trust domain argument is not valid: {e}")))?;
        if trust_domain == self.rooms.trust_domain {
            let text = format!("{doing} a federated bundle for the server's own trust domain is not allowed");
            return Err(Failure::invalid(text));
        }
        Ok(trust_domain)
    }

    async fn create(&self, wanted: &types::Bundle) -> Result<TrustBundle, Failure> {
        let trust_domain = self.foreign(&wanted.trust_domain, "creating")?;
        let change = BundleChange::Create(read(wanted)?);
        let created = self.rooms.foreign_bundles.change(&trust_domain, change).await;
        let bundle = created.map_err(|e| match e.code {
            Code::AlreadyExists => Failure::new(Code::AlreadyExists, "bundle already exists"),
            _ => Failure::internal(format!("unable to create bundle: {e}")),
        })?;
        debug!(trust_domain_id = %trust_domain, "Federated bundle created");
        Ok(bundle)
    }

    async fn set(&self, wanted: &types::Bundle) -> Result<TrustBundle, Failure> {
        let trust_domain = self.foreign(&wanted.trust_domain, "setting")?;
        let change = BundleChange::Set(read(wanted)?);
        let set = self.rooms.foreign_bundles.change(&trust_domain, change).await;
        let bundle = set.map_err(|e| Failure::internal(format!("failed to set bundle: {e}")))?;
        info!(trust_domain_id = %trust_domain, "Bundle set successfully");
        Ok(bundle)
    }

    async fn update(
        &self,
        wanted: &types::Bundle,
        mask: Option<&types::BundleMask>,
    ) -> Result<TrustBundle, Failure> {
        let trust_domain = self.foreign(&wanted.trust_domain, "updating")?;
        let parts = mask.map_or(ALL_PARTS, |mask| BundleParts {
            x509: mask.x509_authorities,
            jwt: mask.jwt_authorities,
            refresh_hint: mask.refresh_hint,
            sequence_number: mask.sequence_number,
        });
        let change = BundleChange::Update(read(wanted)?, parts);
        let updated = self.rooms.foreign_bundles.change(&trust_domain, change).await;
        let bundle = updated.map_err(|e| match e.code {
            Code::NotFound => Failure::not_found("bundle not found"),
            _ => Failure::internal(format!("failed to update bundle: {e}")),
        })?;
        debug!(trust_domain_id = %trust_domain, "Federated bundle updated");
        Ok(bundle)
    }

    async fn delete(&self, name: &str, mode: BundleDeletion) -> Result<(), Failure> {
        let trust_domain = TrustDomain::parse(name)
            .map_err(|e| Failure::invalid(format!("trust domain argument is not valid: {e}")))?;
        if trust_domain == self.rooms.trust_domain {
            let text = "removing the bundle for the server trust domain is not allowed";
            return Err(Failure::invalid(text));
        }
        let deleted = self.rooms.foreign_bundles.delete(&trust_domain, mode).await;
        let changed = deleted.map_err(|e| match e.code {
            Code::NotFound => Failure::not_found("bundle not found"),
            code => Failure::new(code, format!("failed to delete federated bundle: {e}")),
        })?;
        let refreshed = self.rooms.registry.refresh_entries(&changed).await;
        refreshed.map_err(|e| Failure::internal(format!("failed to delete federated bundle: {e}")))
    }
}

const ALL_PARTS: BundleParts =
    BundleParts { x509: true, jwt: true, refresh_hint: true, sequence_number: true };

fn read(wanted: &types::Bundle) -> Result<TrustBundle, Failure> {
    bundles::bundle_from_proto(Some(wanted))
        .map_err(|e| Failure::invalid(format!("failed to convert bundle: {e}")))
}

type Outcome = (types::Status, Option<types::Bundle>);

fn outcome(result: Result<TrustBundle, Failure>, mask: Option<&types::BundleMask>) -> Outcome {
    match result {
        Ok(bundle) => (item_ok(), Some(bundles::bundle_to_proto(&bundle, mask))),
        Err(failure) => (failure.to_item_status(), None),
    }
}

#[async_trait]
impl Bundle for BundleService {
    async fn count_bundles(
        &self,
        _: Request<CountBundlesRequest>,
    ) -> Result<Response<CountBundlesResponse>, Status> {
        let count = self.rooms.foreign_bundles.count().await;
        let count = count.map_err(|e| Status::internal(format!("failed to count bundles: {e}")))?;
        Ok(Response::new(CountBundlesResponse { count: i32::try_from(count).unwrap_or(i32::MAX) }))
    }

    async fn get_bundle(
        &self,
        request: Request<GetBundleRequest>,
    ) -> Result<Response<types::Bundle>, Status> {
        let caller = Admitted::of(&request)?;
        let mask = request.into_inner().output_mask;
        let takes_all = mask.as_ref().is_none_or(|mask| mask.x509_authorities && mask.jwt_authorities);
        let bundle = match caller.id.filter(|id| takes_all && self.passes_on(id)) {
            Some(reader) => self.rooms.own_bundle.give_to(&reader),
            None => self.rooms.own_bundle.current(),
        };
        Ok(Response::new(bundles::bundle_to_proto(&bundle, mask.as_ref())))
    }

    async fn append_bundle(
        &self,
        request: Request<AppendBundleRequest>,
    ) -> Result<Response<types::Bundle>, Status> {
        let request = request.into_inner();
        if request.x509_authorities.is_empty() && request.jwt_authorities.is_empty() {
            return Err(Status::invalid_argument("no authorities to append"));
        }
        let jwt = bundles::jwt_authorities_from_proto(&request.jwt_authorities)
            .map_err(|e| Status::invalid_argument(format!("failed to convert JWT authority: {e}")))?;
        let x509 = bundles::x509_authorities_from_proto(&request.x509_authorities)
            .map_err(|e| Status::invalid_argument(format!("failed to convert X.509 authority: {e}")))?;
        let appended = self.rooms.own_bundle.apply(BundleChange::Append { x509, jwt }).await;
        let bundle = appended.map_err(|e| Status::internal(format!("failed to append bundle: {e}")))?;
        Ok(Response::new(bundles::bundle_to_proto(&bundle, request.output_mask.as_ref())))
    }

    async fn publish_jwt_authority(
        &self,
        request: Request<PublishJwtAuthorityRequest>,
    ) -> Result<Response<PublishJwtAuthorityResponse>, Status> {
        let caller = Admitted::of(&request)?;
        let waited = self.rooms.limits.publish.wait(caller.peer, 1).await;
        waited.map_err(|e| limited(e, "rejecting request due to key publishing rate limiting"))?;
        let key = request.into_inner().jwt_authority;
        let key = key.ok_or_else(|| Status::invalid_argument("missing JWT authority"))?;
        let key = bundles::jwt_authority_from_proto(&key)
            .map_err(|e| Status::invalid_argument(format!("invalid JWT authority: {e}")))?;
        let published = self.rooms.authority.publish_jwt_key(key).await;
        let bundle = published.map_err(|e| Status::internal(format!("failed to publish JWT key: {e}")))?;
        let jwt_authorities = bundles::jwt_authorities_to_proto(&bundle.jwt_authorities);
        Ok(Response::new(PublishJwtAuthorityResponse { jwt_authorities }))
    }

    async fn publish_wit_authority(
        &self,
        _: Request<PublishWitAuthorityRequest>,
    ) -> Result<Response<PublishWitAuthorityResponse>, Status> {
        Err(Status::unimplemented("WIT-SVID functionality is not yet implemented"))
    }

    async fn list_federated_bundles(
        &self,
        request: Request<ListFederatedBundlesRequest>,
    ) -> Result<Response<ListFederatedBundlesResponse>, Status> {
        let request = request.into_inner();
        let page = Page::from_request(request.page_size, &request.page_token, "bundles");
        let page = page.map_err(refuse)?;
        let rows = self.rooms.foreign_bundles.page(page.after_row, page.limit).await;
        let rows = rows.map_err(|e| Status::internal(format!("failed to list bundles: {e}")))?;
        let next_page_token = page.next_token(rows.last().map(|row| row.row_id));
        // The own bundle is a row like the others: a page may come out one shorter.
        let foreign = rows.iter().filter(|row| row.value.trust_domain != self.rooms.trust_domain);
        let mask = request.output_mask.as_ref();
        let bundles = foreign.map(|row| bundles::bundle_to_proto(&row.value, mask)).collect();
        Ok(Response::new(ListFederatedBundlesResponse { bundles, next_page_token }))
    }

    async fn get_federated_bundle(
        &self,
        request: Request<GetFederatedBundleRequest>,
    ) -> Result<Response<types::Bundle>, Status> {
        let request = request.into_inner();
        let trust_domain = TrustDomain::parse(&request.trust_domain)
            .map_err(|e| Status::invalid_argument(format!("trust domain argument is not valid: {e}")))?;
        if trust_domain == self.rooms.trust_domain {
            let text = "getting a federated bundle for the server's own trust domain is not allowed";
            return Err(Status::invalid_argument(text));
        }
        let bundle = self.rooms.foreign_bundles.get(&trust_domain).await;
        let bundle = bundle.map_err(|e| Status::internal(format!("failed to fetch bundle: {e}")))?;
        let bundle = bundle.ok_or_else(|| Status::not_found("bundle not found"))?;
        Ok(Response::new(bundles::bundle_to_proto(&bundle, request.output_mask.as_ref())))
    }

    async fn batch_create_federated_bundle(
        &self,
        request: Request<BatchCreateFederatedBundleRequest>,
    ) -> Result<Response<BatchCreateFederatedBundleResponse>, Status> {
        let request = request.into_inner();
        let mut results = Vec::with_capacity(request.bundle.len());
        for wanted in &request.bundle {
            let (status, bundle) = outcome(self.create(wanted).await, request.output_mask.as_ref());
            results.push(batch_create_federated_bundle_response::Result { status: Some(status), bundle });
        }
        Ok(Response::new(BatchCreateFederatedBundleResponse { results }))
    }

    async fn batch_update_federated_bundle(
        &self,
        request: Request<BatchUpdateFederatedBundleRequest>,
    ) -> Result<Response<BatchUpdateFederatedBundleResponse>, Status> {
        let request = request.into_inner();
        let mut results = Vec::with_capacity(request.bundle.len());
        for wanted in &request.bundle {
            let updated = self.update(wanted, request.input_mask.as_ref()).await;
            let (status, bundle) = outcome(updated, request.output_mask.as_ref());
            results.push(batch_update_federated_bundle_response::Result { status: Some(status), bundle });
        }
        Ok(Response::new(BatchUpdateFederatedBundleResponse { results }))
    }

    async fn batch_set_federated_bundle(
        &self,
        request: Request<BatchSetFederatedBundleRequest>,
    ) -> Result<Response<BatchSetFederatedBundleResponse>, Status> {
        let request = request.into_inner();
        let mut results = Vec::with_capacity(request.bundle.len());
        for wanted in &request.bundle {
            let (status, bundle) = outcome(self.set(wanted).await, request.output_mask.as_ref());
            results.push(batch_set_federated_bundle_response::Result { status: Some(status), bundle });
        }
        Ok(Response::new(BatchSetFederatedBundleResponse { results }))
    }

    async fn batch_delete_federated_bundle(
        &self,
        request: Request<BatchDeleteFederatedBundleRequest>,
    ) -> Result<Response<BatchDeleteFederatedBundleResponse>, Status> {
        let request = request.into_inner();
        let mode = match Mode::try_from(request.mode) {
            Ok(Mode::Restrict) => BundleDeletion::Restrict,
            Ok(Mode::Delete) => BundleDeletion::DeleteEntries,
            Ok(Mode::Dissociate) => BundleDeletion::Dissociate,
            Err(_) => {
                let mode = request.mode;
                let text = format!("failed to parse deletion mode: unhandled delete mode \"{mode}\"");
                return Err(Status::invalid_argument(text));
            }
        };
        let mut results = Vec::with_capacity(request.trust_domains.len());
        for trust_domain in request.trust_domains {
            let status = item_status(&self.delete(&trust_domain, mode).await);
            results
                .push(batch_delete_federated_bundle_response::Result { status: Some(status), trust_domain });
        }
        Ok(Response::new(BatchDeleteFederatedBundleResponse { results }))
    }
}
