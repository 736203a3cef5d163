//! `grpc.health.v1.Health` on the public socket: does the Workload API work?
//!
//! It is tried out: X509-SVIDs are fetched on behalf of the agent's own process. Mostly that has no identity,
//! and to be told so is a sign of health.

use super::refusal;
use super::rpc::WorkloadRpc;
use async_trait::async_trait;
use finial_wire::peer::{ProcessHandle, UnixPeer};
use std::time::Duration;
use tonic::{Code, Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tracing::{error, warn};

/// How long fetching may take.
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// The service.
pub(crate) struct HealthService {
    workloads: WorkloadRpc,
}

impl HealthService {
    pub(crate) fn new(workloads: WorkloadRpc) -> Self {
        Self { workloads }
    }

    async fn fetch(&self) -> Result<(), Status> {
        let api = self.workloads.api();
        let fetching = async {
            let caller = api.recognize(&ourselves()?).await?;
            self.workloads.look_at_x509(caller).await.next().await.map(drop)
        };
        tokio::select! {
            fetched = fetching => fetched,
            () = api.clock().sleep(FETCH_TIMEOUT) => Err(Status::deadline_exceeded("no answer in time")),
        }
    }
}

/// This process as a caller.
fn ourselves() -> Result<UnixPeer, Status> {
    let pid = rustix::process::getpid().as_raw_nonzero().get();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let process = ProcessHandle::pin(pid, uid, gid, None).map_err(|failure| {
        error!(error = %failure, "Workload attestation failed");
        refusal::not_attested()
    })?;
    Ok(UnixPeer { pid, uid, gid, process })
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
        let status = match self.fetch().await {
            Ok(()) => ServingStatus::Serving,
            Err(refused) if refused.code() == Code::PermissionDenied => ServingStatus::Serving,
            Err(failure) => {
                let reason = "unable to fetch X.509 context from Workload API";
                warn!(reason, error = %finial_wire::status::RpcError(&failure), "Health check failed");
                ServingStatus::NotServing
            }
        };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }

    type WatchStream = futures_util::stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("method Watch not implemented"))
    }
}
