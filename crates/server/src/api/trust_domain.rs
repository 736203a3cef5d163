//! `spire.api.server.trustdomain.v1.TrustDomain`.

use super::page::Page;
use super::{Rooms, refuse};
use crate::federation::Refreshed;
use async_trait::async_trait;
use finial_identity::{Code, Failure, FederationRelationship, TrustDomain};
use finial_plugin::datastore::RelationshipParts;
use finial_proto::server::trustdomain::trust_domain_server::TrustDomain as TrustDomainApi;
use finial_proto::server::trustdomain::{
    BatchCreateFederationRelationshipRequest, BatchCreateFederationRelationshipResponse,
    BatchDeleteFederationRelationshipRequest, BatchDeleteFederationRelationshipResponse,
    BatchUpdateFederationRelationshipRequest, BatchUpdateFederationRelationshipResponse,
    GetFederationRelationshipRequest, ListFederationRelationshipsRequest,
    ListFederationRelationshipsResponse, RefreshBundleRequest, batch_create_federation_relationship_response,
    batch_delete_federation_relationship_response, batch_update_federation_relationship_response,
};
use finial_proto::types::{self, FederationRelationshipMask as Mask};
use finial_runtime::logging::chain;
use finial_wire::convert::federation::{relationship_from_proto, relationship_to_proto};
use finial_wire::status::{ToStatus, item_ok, item_status};
use std::fmt::Display;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use tracing::{debug, error, warn};

/// The service.
pub struct TrustDomainService {
    rooms: Arc<Rooms>,
}

impl TrustDomainService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    async fn create(
        &self,
        wanted: &types::FederationRelationship,
        mask: Option<&Mask>,
    ) -> Result<types::FederationRelationship, Failure> {
        let name = &wanted.trust_domain;
        let relationship = read(wanted)?;
        if relationship.trust_domain == self.rooms.trust_domain {
            const OWN: &str = "unable to create federation relationship for server trust domain";
            error!(trust_domain_id = name, "Invalid argument: {OWN}");
            return Err(Failure::invalid(OWN));
        }
        let given = relationship.bundle.clone();
        let created = self.rooms.federation.create(relationship).await.map_err(|error| {
            error!(trust_domain_id = name, %error, "Failed to create federation relationship");
            Failure::internal(format!("failed to create federation relationship: {error}"))
        })?;
        self.warn_without_bundle(name, &created.value).await;
        debug!(trust_domain_id = name, "Federation relationship created");
        // As in SPIRE, a bundle that was stored before is not told here.
        let told = FederationRelationship { bundle: given, ..created.value };
        Ok(relationship_to_proto(&told, mask))
    }

    async fn update(
        &self,
        wanted: &types::FederationRelationship,
        input: Option<&Mask>,
        output: Option<&Mask>,
    ) -> Result<types::FederationRelationship, Failure> {
        let name = &wanted.trust_domain;
        let relationship = read(wanted)?;
        let parts = input.map_or(ALL_PARTS, |mask| RelationshipParts {
            bundle_endpoint_url: mask.bundle_endpoint_url,
            bundle_endpoint_profile: mask.bundle_endpoint_profile,
            trust_domain_bundle: mask.trust_domain_bundle,
        });
        let updated = self.rooms.federation.update(relationship, parts).await.map_err(|error| {
            let why = match error.code {
                Code::NotFound => "unable to fetch federation relationship: record not found".to_owned(),
                _ => error.to_string(),
            };
            error!(trust_domain_id = name, error = why, "Failed to update federation relationship");
            Failure::internal(format!("failed to update federation relationship: {why}"))
        })?;
        self.warn_without_bundle(name, &updated.value).await;
        debug!(trust_domain_id = name, "Federation relationship updated");
        Ok(relationship_to_proto(&updated.value, output))
    }

    async fn delete(&self, name: &str) -> (String, Result<(), Failure>) {
        if name.is_empty() {
            error!("Invalid argument: missing trust domain");
            return (String::new(), Err(Failure::invalid("missing trust domain")));
        }
        let trust_domain = match parse(name) {
            Ok(trust_domain) => trust_domain,
            Err(failure) => return (name.to_owned(), Err(failure)),
        };
        let deleted = self.rooms.federation.delete(&trust_domain).await.map_err(|error| match error.code {
            Code::NotFound => {
                error!(trust_domain_id = name, "Federation relationship not found");
                Failure::not_found("federation relationship not found")
            }
            _ => {
                error!(trust_domain_id = name, %error, "Failed to delete federation relationship");
                Failure::internal(format!("failed to delete federation relationship: {error}"))
            }
        });
        if deleted.is_ok() {
            debug!(trust_domain_id = name, "Federation relationship deleted");
        }
        (trust_domain.as_str().to_owned(), deleted)
    }

    /// An endpoint that proves itself by an SVID is of no use without the bundle that vouches for it.
    async fn warn_without_bundle(&self, name: &str, relationship: &FederationRelationship) {
        let Some(id) = relationship.profile.endpoint_id() else { return };
        if relationship.bundle.is_some() {
            return;
        }
        match self.rooms.foreign_bundles.get(id.trust_domain()).await {
            Ok(Some(_)) => {}
            Ok(None) => warn!(
                endpoint_spiffe_id = %id,
                trust_domain_id = name,
                "bundle not found for the endpoint SPIFFE ID trust domain"
            ),
            Err(_) => warn!(
                endpoint_spiffe_id = %id,
                trust_domain_id = name,
                "failed to check whether a bundle exists for the endpoint SPIFFE ID trust domain"
            ),
        }
    }
}

const ALL_PARTS: RelationshipParts =
    RelationshipParts { bundle_endpoint_url: true, bundle_endpoint_profile: true, trust_domain_bundle: true };

/// A refusal of what the caller sent, which SPIRE logs.
fn invalid(name: &str, doing: &str, why: impl Display) -> Failure {
    error!(trust_domain_id = name, error = %why, "Invalid argument: {doing}");
    Failure::invalid(format!("{doing}: {why}"))
}

fn read(wanted: &types::FederationRelationship) -> Result<FederationRelationship, Failure> {
    let doing = "failed to convert federation relationship";
    relationship_from_proto(wanted).map_err(|error| invalid(&wanted.trust_domain, doing, error))
}

fn parse(name: &str) -> Result<TrustDomain, Failure> {
    TrustDomain::parse(name).map_err(|error| invalid(name, "failed to parse trust domain", error))
}

type Outcome = (types::Status, Option<types::FederationRelationship>);

fn outcome(result: Result<types::FederationRelationship, Failure>) -> Outcome {
    match result {
        Ok(relationship) => (item_ok(), Some(relationship)),
        Err(failure) => (failure.to_item_status(), None),
    }
}

#[async_trait]
impl TrustDomainApi for TrustDomainService {
    async fn list_federation_relationships(
        &self,
        request: Request<ListFederationRelationshipsRequest>,
    ) -> Result<Response<ListFederationRelationshipsResponse>, Status> {
        let request = request.into_inner();
        let page = Page::from_request(request.page_size, &request.page_token, "federation relationships");
        let page = page.map_err(refuse)?;
        let rows = self.rooms.federation.page(page.after_row, page.limit).await.map_err(|error| {
            error!(%error, "Failed to list federation relationships");
            Status::internal(format!("failed to list federation relationships: {error}"))
        })?;
        let next_page_token = page.next_token(rows.last().map(|row| row.row_id));
        let mask = request.output_mask.as_ref();
        let federation_relationships =
            rows.iter().map(|row| relationship_to_proto(&row.value, mask)).collect();
        Ok(Response::new(ListFederationRelationshipsResponse { federation_relationships, next_page_token }))
    }

    async fn get_federation_relationship(
        &self,
        request: Request<GetFederationRelationshipRequest>,
    ) -> Result<Response<types::FederationRelationship>, Status> {
        let request = request.into_inner();
        let trust_domain = parse(&request.trust_domain).map_err(refuse)?;
        let found = self.rooms.federation.get(&trust_domain).await.map_err(|error| {
            error!(%error, "Failed to fetch federation relationship");
            Status::internal(format!("failed to fetch federation relationship: {error}"))
        })?;
        let Some(found) = found else {
            error!("Federation relationship does not exist");
            return Err(Status::not_found("federation relationship does not exist"));
        };
        Ok(Response::new(relationship_to_proto(&found.value, request.output_mask.as_ref())))
    }

    async fn batch_create_federation_relationship(
        &self,
        request: Request<BatchCreateFederationRelationshipRequest>,
    ) -> Result<Response<BatchCreateFederationRelationshipResponse>, Status> {
        use batch_create_federation_relationship_response::Result as Item;
        let request = request.into_inner();
        let mut results = Vec::with_capacity(request.federation_relationships.len());
        for wanted in &request.federation_relationships {
            let (status, federation_relationship) =
                outcome(self.create(wanted, request.output_mask.as_ref()).await);
            results.push(Item { status: Some(status), federation_relationship });
        }
        Ok(Response::new(BatchCreateFederationRelationshipResponse { results }))
    }

    async fn batch_update_federation_relationship(
        &self,
        request: Request<BatchUpdateFederationRelationshipRequest>,
    ) -> Result<Response<BatchUpdateFederationRelationshipResponse>, Status> {
        use batch_update_federation_relationship_response::Result as Item;
        let request = request.into_inner();
        let (input, output) = (request.input_mask.as_ref(), request.output_mask.as_ref());
        let mut results = Vec::with_capacity(request.federation_relationships.len());
        for wanted in &request.federation_relationships {
            let (status, federation_relationship) = outcome(self.update(wanted, input, output).await);
            results.push(Item { status: Some(status), federation_relationship });
        }
        Ok(Response::new(BatchUpdateFederationRelationshipResponse { results }))
    }

    async fn batch_delete_federation_relationship(
        &self,
        request: Request<BatchDeleteFederationRelationshipRequest>,
    ) -> Result<Response<BatchDeleteFederationRelationshipResponse>, Status> {
        use batch_delete_federation_relationship_response::Result as Item;
        let names = request.into_inner().trust_domains;
        let mut results = Vec::with_capacity(names.len());
        for name in &names {
            let (trust_domain, deleted) = self.delete(name).await;
            results.push(Item { status: Some(item_status(&deleted)), trust_domain });
        }
        Ok(Response::new(BatchDeleteFederationRelationshipResponse { results }))
    }

    async fn refresh_bundle(&self, request: Request<RefreshBundleRequest>) -> Result<Response<()>, Status> {
        let trust_domain = parse(&request.into_inner().trust_domain).map_err(refuse)?;
        let refreshed = self.rooms.federation.refresh(&trust_domain).await;
        let refreshed = refreshed.map_err(|error| {
            let why = chain(&error).to_string();
            error!(trust_domain_id = %trust_domain, error = why, "Failed to refresh bundle");
            Status::internal(format!("failed to refresh bundle: {why}"))
        })?;
        match refreshed {
            Refreshed::Done => {
                debug!(trust_domain_id = %trust_domain, "Bundle refreshed");
                Ok(Response::new(()))
            }
            Refreshed::NoRelationship => {
                let name = trust_domain.as_str();
                error!(trust_domain_id = name, "No relationship with trust domain {name:?}");
                Err(Status::not_found(format!("no relationship with trust domain {name:?}")))
            }
        }
    }
}
