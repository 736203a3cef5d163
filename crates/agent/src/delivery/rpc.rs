//! `SpiffeWorkloadAPI` on the wire.
//!
//! Not tonic's generated server, because of one method: `FetchX509SVID` answers with bytes that are encoded
//! already, and shared by all workloads that see the same. Everything else is tonic's.

use super::outlook::{Outlook, Strangers, Subject};
use super::rate_limits::Method;
use super::workload_api::Caller;
use super::{WorkloadApi, bundles, refusal, security_header, x509};
use crate::cache::View;
use crate::config::UnauthenticatedVerifiers;
use bytes::{BufMut, Bytes};
use finial_proto::workload::{
    JwtBundlesRequest, JwtBundlesResponse, JwtsvidRequest, JwtsvidResponse, ValidateJwtsvidRequest,
    ValidateJwtsvidResponse, X509BundlesRequest, X509BundlesResponse, X509svidRequest,
};
use finial_runtime::tasks::Shutdown;
use finial_wire::peer::UnixPeer;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use prost::Message;
use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};
use tracing::debug;

type Messages<T> = BoxStream<'static, Result<T, Status>>;

/// The service, until a shutdown.
#[derive(Clone)]
pub(crate) struct WorkloadRpc {
    api: WorkloadApi,
    shutdown: Shutdown,
}

impl WorkloadRpc {
    pub(crate) fn new(api: WorkloadApi, shutdown: Shutdown) -> Self {
        Self { api, shutdown }
    }

    pub(super) fn api(&self) -> &WorkloadApi {
        &self.api
    }

    /// A look at X509-SVIDs.
    pub(super) async fn look_at_x509(&self, caller: Caller) -> Outlook<Bytes> {
        let log = if self.api.is_ourselves(&caller) { |_: &View, _| {} } else { log_x509 };
        let subject = Subject { strangers: Strangers::Refused, message: x509::response, log };
        Outlook::open(&self.api, caller, subject, &self.shutdown).await
    }

    async fn fetch_x509_svid(self, peer: Arc<UnixPeer>) -> Result<Messages<Bytes>, Status> {
        let caller = self.api.admit(&peer, Method::FetchX509Svid).await?;
        self.look_at_x509(caller).await.stream().await
    }

    async fn fetch_x509_bundles(self, peer: Arc<UnixPeer>) -> Result<Messages<X509BundlesResponse>, Status> {
        self.fetch_bundles(peer, Method::FetchX509Bundles, |view| Some(bundles::x509(view))).await
    }

    async fn fetch_jwt_bundles(self, peer: Arc<UnixPeer>) -> Result<Messages<JwtBundlesResponse>, Status> {
        self.fetch_bundles(peer, Method::FetchJwtBundles, |view| Some(bundles::jwt(view))).await
    }

    async fn fetch_bundles<T: Clone + PartialEq + Send + 'static>(
        self,
        peer: Arc<UnixPeer>,
        method: Method,
        message: fn(&View) -> Option<T>,
    ) -> Result<Messages<T>, Status> {
        let strangers = match self.api.options().unauthenticated_verifiers {
            UnauthenticatedVerifiers::Refuse => Strangers::Refused,
            UnauthenticatedVerifiers::Allow => Strangers::Admitted,
        };
        let caller = self.api.admit(&peer, method).await?;
        let subject = Subject { strangers, message, log: |_, _| {} };
        Outlook::open(&self.api, caller, subject, &self.shutdown).await.stream().await
    }

    async fn fetch_jwt_svid(
        self,
        peer: Arc<UnixPeer>,
        request: JwtsvidRequest,
    ) -> Result<JwtsvidResponse, Status> {
        self.while_serving(self.api.fetch_jwt_svid(&peer, request)).await
    }

    async fn validate_jwt_svid(
        self,
        peer: Arc<UnixPeer>,
        request: ValidateJwtsvidRequest,
    ) -> Result<ValidateJwtsvidResponse, Status> {
        self.while_serving(self.api.validate_jwt_svid(&peer, request)).await
    }

    async fn while_serving<T>(&self, work: impl Future<Output = Result<T, Status>>) -> Result<T, Status> {
        tokio::select! {
            outcome = work => outcome,
            () = self.shutdown.leaving_now() => Err(refusal::stopping()),
        }
    }

    async fn dispatch(self, request: http::Request<Body>) -> http::Response<Body> {
        let path = request.uri().path();
        let method = path.rsplit('/').next().unwrap_or_default().to_owned();
        if let Err(refused) = check_known(&method).and_then(|()| security_header::check(request.headers())) {
            return refused.into_http();
        }
        match method.as_str() {
            "FetchX509SVID" => {
                stream(PreEncoded, request, |peer, _: X509svidRequest| self.clone().fetch_x509_svid(peer))
                    .await
            }
            "FetchX509Bundles" => {
                let call = |peer, _: X509BundlesRequest| self.clone().fetch_x509_bundles(peer);
                stream(ProstCodec::default(), request, call).await
            }
            "FetchJWTBundles" => {
                let call = |peer, _: JwtBundlesRequest| self.clone().fetch_jwt_bundles(peer);
                stream(ProstCodec::default(), request, call).await
            }
            "FetchJWTSVID" => {
                unary(request, |peer, message| self.clone().fetch_jwt_svid(peer, message)).await
            }
            "ValidateJWTSVID" => {
                unary(request, |peer, message| self.clone().validate_jwt_svid(peer, message)).await
            }
            "FetchWITSVID" => Status::unimplemented("fetching WIT-SVIDs is not implemented").into_http(),
            _ => Status::unimplemented("fetching WIT bundles is not implemented").into_http(),
        }
    }
}

const METHODS: [&str; 7] = [
    "FetchX509SVID",
    "FetchX509Bundles",
    "FetchJWTBundles",
    "FetchJWTSVID",
    "ValidateJWTSVID",
    "FetchWITSVID",
    "FetchWITBundles",
];

fn check_known(method: &str) -> Result<(), Status> {
    if METHODS.contains(&method) {
        return Ok(());
    }
    let name = WorkloadRpc::NAME;
    Err(Status::unimplemented(format!("unknown method {method} for service {name}")))
}

fn log_x509(view: &View, now: SystemTime) {
    let count = x509::shown(view).count();
    for identity in x509::shown(view) {
        let ends = identity.x509.as_ref().map(|material| material.expires_at.to_system_time());
        let left = ends.and_then(|ends| ends.duration_since(now).ok()).unwrap_or_default();
        debug!(
            registered = true,
            count,
            spiffe_id = %identity.entry.spiffe_id,
            ttl = left.as_secs_f64(),
            "Fetched X.509 SVID"
        );
    }
}

fn peer_of<T>(request: &Request<T>) -> Result<Arc<UnixPeer>, Status> {
    let peer = request.extensions().get::<Arc<UnixPeer>>();
    peer.cloned().ok_or_else(|| Status::internal("the connection does not say who calls"))
}

async fn stream<C, F>(
    codec: C,
    request: http::Request<Body>,
    call: impl Fn(Arc<UnixPeer>, C::Decode) -> F,
) -> http::Response<Body>
where
    C: Codec,
    C::Encode: 'static,
    F: Future<Output = Result<Messages<C::Encode>, Status>>,
{
    let service = service_fn(|request: Request<C::Decode>| {
        let peer = peer_of(&request);
        let answer = peer.map(|peer| call(peer, request.into_inner()));
        async move { Ok::<_, Status>(Response::new(answer?.await?)) }
    });
    Grpc::new(codec).server_streaming(service, request).await
}

async fn unary<Q, A, F>(
    request: http::Request<Body>,
    call: impl Fn(Arc<UnixPeer>, Q) -> F,
) -> http::Response<Body>
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    F: Future<Output = Result<A, Status>>,
{
    let service = service_fn(|request: Request<Q>| {
        let peer = peer_of(&request);
        let answer = peer.map(|peer| call(peer, request.into_inner()));
        async move { Ok::<_, Status>(Response::new(answer?.await?)) }
    });
    Grpc::new(ProstCodec::<A, Q>::default()).unary(service, request).await
}

impl NamedService for WorkloadRpc {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl Service<http::Request<Body>> for WorkloadRpc {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.clone().dispatch(request).map(Ok).boxed()
    }
}

/// Answers that are bytes already.
#[derive(Debug, Clone, Copy, Default)]
struct PreEncoded;

impl Codec for PreEncoded {
    type Encode = Bytes;
    type Decode = X509svidRequest;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for PreEncoded {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for PreEncoded {
    type Item = X509svidRequest;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<X509svidRequest>, Status> {
        X509svidRequest::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
