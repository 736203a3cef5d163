//! What server and agent say about themselves, through the sockets that others use. Details are SPIRE's.

use finial_agent::directory::Directory;
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::workload::X509BundlesRequest;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_runtime::health::{Check, State};
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

const PATIENCE: Duration = Duration::from_secs(5);

/// A server is well if its private socket gives out the bundle.
pub(in crate::run) struct ServerCheck {
    channel: Channel,
}

impl ServerCheck {
    /// Asks at this socket. Within a tokio runtime only.
    pub(in crate::run) fn new(socket: &Path) -> Self {
        Self { channel: channel(socket) }
    }
}

impl Check for ServerCheck {
    fn check(&self) -> BoxFuture<'_, State> {
        let mut client = BundleClient::new(self.channel.clone());
        async move {
            let answer = in_time(client.get_bundle(GetBundleRequest { output_mask: None })).await;
            let details = match &answer {
                Ok(_) => json!({}),
                Err(status) => {
                    json!({ "get_bundle_err": format!("unable to fetch bundle: {}", status.message()) })
                }
            };
            let is_well = answer.is_ok();
            State {
                live: is_well,
                ready: is_well,
                live_details: details.clone(),
                ready_details: details,
                started: None,
            }
        }
        .boxed()
    }
}

/// An agent is well if its Workload API answers; until it has synced for the first time it is only alive.
pub(in crate::run) struct AgentCheck {
    directory: Directory,
    /// Nothing if there is no Workload API.
    channel: Option<Channel>,
    has_started: AtomicBool,
}

impl AgentCheck {
    /// Asks at this socket. Within a tokio runtime only.
    pub(in crate::run) fn new(directory: Directory, socket: Option<&Path>) -> Self {
        Self { directory, channel: socket.map(channel), has_started: AtomicBool::new(false) }
    }

    fn has_started(&self) -> bool {
        if !self.has_started.load(Ordering::Relaxed) && self.directory.synced_once().now_or_never().is_some()
        {
            self.has_started.store(true, Ordering::Relaxed);
        }
        self.has_started.load(Ordering::Relaxed)
    }

    /// Only an API that is not there counts as a failure: this process is no workload.
    async fn is_answered(&self) -> bool {
        let Some(channel) = &self.channel else { return self.has_started() };
        let mut request = Request::new(X509BundlesRequest {});
        request
            .metadata_mut()
            .insert("workload.spiffe.io", tonic::metadata::MetadataValue::from_static("true"));
        let answer = in_time(SpiffeWorkloadApiClient::new(channel.clone()).fetch_x509_bundles(request)).await;
        answer.map_or_else(|status| status.code() != Code::Unavailable, |_| true)
    }
}

impl Check for AgentCheck {
    fn check(&self) -> BoxFuture<'_, State> {
        async move {
            let has_started = self.has_started();
            let is_answered = self.is_answered().await;
            let details = |is_well: bool| -> Value {
                if is_well {
                    json!({})
                } else {
                    json!({ "make_new_x509_err": "workload api is unavailable" })
                }
            };
            let is_live = !has_started || is_answered;
            State {
                started: Some(has_started),
                live: is_live,
                ready: is_answered,
                live_details: details(is_live),
                ready_details: details(is_answered),
            }
        }
        .boxed()
    }
}

fn channel(socket: &Path) -> Channel {
    let options = ChannelOptions { connect_timeout: PATIENCE, ..ChannelOptions::default() };
    unix_channel(UnixTarget::new(socket), &options)
}

async fn in_time<T>(call: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
    timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(Status::unavailable("no answer in time")))
}
