//! `grpc.health.v1.Health` on the private socket: can this server do its work right now?

use super::Rooms;
use async_trait::async_trait;
use std::sync::Arc;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tracing::warn;

/// The service.
pub struct HealthService {
    rooms: Arc<Rooms>,
}

impl HealthService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    /// Why the server cannot work, if it cannot.
    async fn complaint(&self) -> Option<String> {
        let own = &self.rooms.trust_domain;
        match self.rooms.registry.store().bundle_get(own).await {
            Err(error) => Some(format!("unable to fetch bundle: {error}")),
            Ok(None) => Some("bundle is missing".to_owned()),
            Ok(Some(bundle)) if bundle.x509_authorities.is_empty() => {
                Some("bundle has no X.509 authorities".to_owned())
            }
            Ok(Some(_)) => None,
        }
    }
}

#[async_trait]
impl Health for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !request.into_inner().service.is_empty() {
            return Err(Status::invalid_argument("per-service health is not supported"));
        }
        let status = match self.complaint().await {
            None => ServingStatus::Serving,
            Some(reason) => {
                warn!(reason, "Health check failed");
                ServingStatus::NotServing
            }
        };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("watching health is not supported"))
    }
}
