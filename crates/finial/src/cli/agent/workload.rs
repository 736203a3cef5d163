//! What the commands that call the Workload API have in common.

use crate::cli::connect::{self, MESSAGE_MAX};
use crate::flags::{Flag, Kind, Values};
use crate::output::Fault;
use crate::output::agent::x509::FetchedSvid;
use crate::output::go_text::quoted;
use finial_identity::x509::{Certificate, verify_svid};
use finial_identity::{PrivateKey, SpiffeId, UnixTime, X509Authority};
use finial_proto::workload::spiffe_workload_api_client::SpiffeWorkloadApiClient;
use finial_proto::workload::{X509svid, X509svidResponse};
use finial_runtime::config::duration::GoDuration;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tonic::metadata::MetadataValue;
use tonic::transport::Channel;
use tonic::{Request, Status};

/// How long an answer may take.
pub(super) const TIMEOUT_FLAGS: &[Flag] =
    &[Flag { name: "timeout", kind: Kind::Timeout(5), help: "Time to wait for a response" }];

/// A client of the Workload API with a patience.
pub(super) struct WorkloadClient {
    /// The generated client.
    pub(super) api: SpiffeWorkloadApiClient<Channel>,
    patience: Option<Duration>,
}

impl WorkloadClient {
    /// As the flags say. No timeout, or one that is not positive, means endless patience.
    pub(super) fn new(flags: &Values, timeout: GoDuration) -> Result<Self, Fault> {
        let channel = connect::to_agent(flags)?;
        let api = SpiffeWorkloadApiClient::new(channel).max_decoding_message_size(MESSAGE_MAX);
        Ok(Self { api, patience: timeout.to_std().filter(|patience| !patience.is_zero()) })
    }

    /// A request as the Workload API wants it.
    pub(super) fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request.metadata_mut().insert("workload.spiffe.io", MetadataValue::from_static("true"));
        if let Some(patience) = self.patience {
            request.set_timeout(patience);
        }
        request
    }

    /// The answer, if it comes in time.
    pub(super) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        let late = || Status::deadline_exceeded("context deadline exceeded");
        match self.patience {
            None => answer.await,
            Some(patience) => match tokio::time::timeout(patience, answer).await {
                Ok(Err(status)) if is_local_timeout(&status) => Err(late()),
                Ok(answer) => answer,
                Err(_) => Err(late()),
            },
        }
    }
}

/// The client's library has a timer of its own, which may be a moment faster than ours.
fn is_local_timeout(status: &Status) -> bool {
    status.code() == tonic::Code::Cancelled && status.message() == "Timeout expired"
}

/// Reads the SVIDs of a response, and checks each against its bundle.
pub(super) fn read_response(response: &X509svidResponse) -> Result<Vec<FetchedSvid>, Fault> {
    if response.svids.is_empty() {
        return Err(Fault::new("workload response contains no svids"));
    }
    let mut federated = BTreeMap::new();
    for (trust_domain, bundle) in &response.federated_bundles {
        let about = || quoted(trust_domain);
        let authorities = Certificate::chain_from_der(bundle).map_err(|error| {
            Fault::new(format!("failed to parse bundle for federated domain {}: {error}", about()))
        })?;
        if authorities.is_empty() {
            return Err(Fault::new(format!("no certificates in bundle for federated domain {}", about())));
        }
        federated.insert(trust_domain.clone(), authorities);
    }
    let federated = Arc::new(federated);
    let read = |(index, svid): (usize, &X509svid)| {
        read_svid(svid, &federated).map_err(|fault| {
            let about = quoted(&svid.spiffe_id);
            fault.after(&format!("failed to parse svid entry {index} for spiffe id {about}"))
        })
    };
    let svids = response.svids.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    svids.iter().try_for_each(verify)?;
    Ok(svids)
}

fn read_svid(
    svid: &X509svid,
    federated: &Arc<BTreeMap<String, Vec<Certificate>>>,
) -> Result<FetchedSvid, Fault> {
    let chain =
        Certificate::chain_from_der(&svid.x509_svid).map_err(|error| Fault::new(error.to_string()))?;
    if chain.is_empty() {
        return Err(Fault::new("no certificates found"));
    }
    let key = PrivateKey::from_pkcs8(&svid.x509_svid_key)
        .map_err(|error| Fault::new(format!("failed to parse private key: {error}")))?;
    let bundle = Certificate::chain_from_der(&svid.bundle)
        .map_err(|error| Fault::new(format!("failed to parse trust bundle: {error}")))?;
    if bundle.is_empty() {
        return Err(Fault::new("no certificates in trust bundle"));
    }
    Ok(FetchedSvid {
        spiffe_id: svid.spiffe_id.clone(),
        hint: svid.hint.clone(),
        chain,
        key,
        bundle,
        federated: Arc::clone(federated),
    })
}

/// Checks that the bundle vouches for the SVID, and that it is the ID's.
fn verify(svid: &FetchedSvid) -> Result<(), Fault> {
    let id = SpiffeId::parse(&svid.spiffe_id)?;
    let authorities: Vec<_> = svid.bundle.iter().cloned().map(X509Authority::new).collect();
    let verified = verify_svid(&svid.chain, authorities.iter(), UnixTime::from(SystemTime::now()));
    let refuse = |why: String| {
        Fault::new(format!("{} SVID failed verification against bundle: {why}", quoted(&svid.spiffe_id)))
    };
    match verified {
        // Only the bundle of its own trust domain may vouch for an SVID.
        Ok(proven) if proven.trust_domain() == id.trust_domain() => Ok(()),
        Ok(proven) => Err(refuse(format!(
            "x509svid: could not get X509 bundle: x509bundle: no X.509 bundle for trust domain {}",
            quoted(proven.trust_domain().as_str())
        ))),
        Err(error) => Err(refuse(format!("x509svid: could not verify leaf certificate: {error}"))),
    }
}
