//! What server and agent say about themselves, through the sockets that others use. Details are SPIRE's.

use finial_agent::directory::Directory;
use finial_identity::Failure;
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::workload::X509BundlesRequest;
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_runtime::health::{Check, State};
use finial_server::vitals::Vitals;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::status::RpcError;
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
/// A key that is kept elsewhere, or a database, may take its time.
const PART_PATIENCE: Duration = Duration::from_secs(60);

/// A check and its name, which is SPIRE's.
pub(in crate::run) type NamedCheck = (&'static str, Box<dyn Check>);

/// What a server says: whether its private socket answers, and each part that it needs for its work.
/// Within a tokio runtime only.
pub(in crate::run) fn of_server(socket: &Path, vitals: &Vitals) -> Vec<NamedCheck> {
    let channel = channel(socket);
    let (store, authority, rotation) = (vitals.clone(), vitals.clone(), vitals.clone());
    vec![
        part("server", "get_bundle_err", move || get_bundle(channel.clone()).boxed()),
        part("catalog.datastore", "list_bundle_err", move || {
            let vitals = store.clone();
            async move { vitals.store().await.map_err(text) }.boxed()
        }),
        part("server.ca", "sign_x509_svid_err", move || {
            let vitals = authority.clone();
            async move { vitals.signing().await.map_err(text) }.boxed()
        }),
        part("server.ca.rotator", "rotation_err", move || {
            let vitals = rotation.clone();
            async move { vitals.rotation().map_err(text) }.boxed()
        }),
    ]
}

/// What an agent says. Within a tokio runtime only.
pub(in crate::run) fn of_agent(directory: &Directory, socket: Option<&Path>) -> Vec<NamedCheck> {
    let check = AgentCheck {
        directory: directory.clone(),
        channel: socket.map(channel),
        has_started: AtomicBool::new(false),
    };
    vec![("agent", Box::new(check))]
}

fn text(failure: Failure) -> String {
    failure.message
}

type Asked = BoxFuture<'static, Result<(), String>>;

/// A part that is alive and ready if it does what it is asked; `detail` names the error if it does not.
fn part(
    name: &'static str,
    detail: &'static str,
    ask: impl Fn() -> Asked + Send + Sync + 'static,
) -> NamedCheck {
    (name, Box::new(Part { detail, ask }))
}

struct Part<F> {
    detail: &'static str,
    ask: F,
}

impl<F: Fn() -> Asked + Send + Sync> Check for Part<F> {
    fn check(&self) -> BoxFuture<'_, State> {
        async move {
            let answer = timeout(PART_PATIENCE, (self.ask)()).await;
            let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
            let (is_well, details) = match answer {
                Ok(()) => (true, json!({})),
                Err(error) => (false, json!({ self.detail: error })),
            };
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

async fn get_bundle(channel: Channel) -> Result<(), String> {
    let mut client = BundleClient::new(channel);
    let answer = in_time(client.get_bundle(GetBundleRequest { output_mask: None })).await;
    answer.map(drop).map_err(|status| format!("unable to fetch bundle: {}", RpcError(&status)))
}

/// An agent is well if its Workload API answers; until it has synced for the first time it is only alive.
struct AgentCheck {
    directory: Directory,
    /// Nothing if there is no Workload API.
    channel: Option<Channel>,
    has_started: AtomicBool,
}

impl AgentCheck {
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
            let details = |is_well: bool| match (&self.channel, is_well) {
                (None, _) => Value::Null,
                (Some(_), true) => json!({}),
                (Some(_), false) => json!({ "make_new_x509_err": "workload api is unavailable" }),
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
