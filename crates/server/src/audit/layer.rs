//! Reads along with the calls that the gate let in.

use super::fields::{Outcome, Question, records};
use super::{AuditSinks, Fields};
use crate::api::gate::{Admitted, AuthorizedVia};
use crate::registry::Registry;
use bytes::Bytes;
use finial_identity::{EntryId, SpiffeId, TrustDomain};
use finial_runtime::logging::FieldValue;
use finial_wire::call_span::names;
use finial_wire::listen::TcpPeer;
use finial_wire::peer::UnixPeer;
use futures_util::future::{BoxFuture, Either};
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use uuid::Uuid;

/// The number of this call, if somebody before the services gave it one.
#[derive(Debug, Clone, Copy)]
pub struct RequestId(pub Uuid);

/// What the layer needs to know.
#[derive(Clone)]
pub struct Auditing(Arc<Knowledge>);

struct Knowledge {
    sinks: AuditSinks,
    trust_domain: TrustDomain,
    registry: Arc<Registry>,
}

impl Auditing {
    /// A layer that writes to these sinks.
    pub fn new(sinks: AuditSinks, trust_domain: TrustDomain, registry: Arc<Registry>) -> Self {
        Self(Arc::new(Knowledge { sinks, trust_domain, registry }))
    }
}

impl<S> Layer<S> for Auditing {
    type Service = Audited<S>;

    fn layer(&self, inner: S) -> Audited<S> {
        Audited { knowledge: Arc::clone(&self.0), inner }
    }
}

/// Services that are read along with.
#[derive(Clone)]
pub struct Audited<S> {
    knowledge: Arc<Knowledge>,
    inner: S,
}

impl<S> Service<Request<Body>> for Audited<S>
where
    S: Service<Request<Body>, Response = Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Either<S::Future, BoxFuture<'static, Result<Response<Body>, S::Error>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let path = request.uri().path();
        if !self.knowledge.sinks.is_on() || is_unaudited(path) {
            return Either::Left(self.inner.call(request));
        }
        let call = AuditedCall::begin(&self.knowledge, &request);
        let heard = Arc::clone(&call.request);
        let request = request.map(|body| overheard(body, heard));
        let answering = self.inner.call(request);
        Either::Right(Box::pin(async move { Ok(call.follow(answering.await?)) }))
    }
}

/// Services that tell about this process and change nothing, which SPIRE leaves out.
fn is_unaudited(path: &str) -> bool {
    path.starts_with("/grpc.health.v1.Health/") || path.starts_with("/spire.api.server.debug.v1.Debug/")
}

/// Messages with their frames, as they passed.
type Overheard = Arc<Mutex<Vec<Bytes>>>;

fn overheard(body: Body, heard: Overheard) -> Body {
    Body::new(body.map_frame(move |frame| {
        if let Some(data) = frame.data_ref() {
            heard.lock().unwrap_or_else(PoisonError::into_inner).push(data.clone());
        }
        frame
    }))
}

fn taken(heard: &Overheard) -> Vec<u8> {
    std::mem::take(&mut *heard.lock().unwrap_or_else(PoisonError::into_inner)).concat()
}

/// A call of which there is no record yet.
struct AuditedCall {
    knowledge: Arc<Knowledge>,
    path: String,
    caller: Option<SpiffeId>,
    common: Fields,
    request: Overheard,
    response: Overheard,
    is_told: bool,
}

impl AuditedCall {
    fn begin(knowledge: &Arc<Knowledge>, request: &Request<Body>) -> Self {
        let path = request.uri().path().to_owned();
        let admitted = request.extensions().get::<Admitted>();
        Self {
            common: Knowledge::common(&path, admitted, request),
            knowledge: Arc::clone(knowledge),
            caller: admitted.and_then(|admitted| admitted.id.clone()),
            path,
            request: Overheard::default(),
            response: Overheard::default(),
            is_told: false,
        }
    }

    /// Tells of a refusal at once, and otherwise when the answer has passed.
    fn follow(mut self, response: Response<Body>) -> Response<Body> {
        if let Some(status) = Status::from_header_map(response.headers()) {
            self.tell(&status);
            return response;
        }
        response.map(|body| {
            let body = overheard(body, Arc::clone(&self.response));
            Body::new(body.map_frame(move |frame| {
                if let Some(trailers) = frame.trailers_ref() {
                    self.tell(&status_of(trailers));
                }
                frame
            }))
        })
    }

    fn tell(&mut self, status: &Status) {
        if std::mem::replace(&mut self.is_told, true) {
            return;
        }
        let (request, response) = (taken(&self.request), taken(&self.response));
        let ttl_of = |id: &str| {
            let id = EntryId::parse(id).ok()?;
            Some(self.knowledge.registry.entry(&id)?.value.spec.jwt_svid_ttl)
        };
        let question = Question {
            path: &self.path,
            trust_domain: &self.knowledge.trust_domain,
            caller: self.caller.as_ref(),
            jwt_ttl_of_entry: &ttl_of,
        };
        let outcome = Outcome { code: status.code() as i32, message: status.message() };
        for record in records(&question, &request, &response, outcome) {
            let mut fields = self.common.clone();
            fields.extend(record);
            self.knowledge.sinks.write(fields);
        }
    }
}

/// Whoever goes away before the answer was told has called nevertheless.
impl Drop for AuditedCall {
    fn drop(&mut self) {
        self.tell(&Status::cancelled("context canceled"));
    }
}

fn status_of(trailers: &HeaderMap) -> Status {
    Status::from_header_map(trailers).unwrap_or_else(|| Status::new(Code::Unknown, "no status"))
}

impl Knowledge {
    /// What all records of a call have in common.
    fn common(path: &str, admitted: Option<&Admitted>, request: &Request<Body>) -> Fields {
        let (service, method) = names(path);
        let id = request.extensions().get::<RequestId>().map_or_else(Uuid::new_v4, |id| id.0);
        let mut fields: Fields = Vec::with_capacity(12);
        let mut add = |name: &str, value: FieldValue| fields.push((name.to_owned(), value));
        add("type", "audit".into());
        add("request_id", id.to_string().into());
        add("service", service.into());
        add("method", method.into());
        let via = request.extensions().get::<AuthorizedVia>().map_or("", |via| via.0);
        if let Some(admitted) = admitted {
            add("authorized_as", admitted.grant.name().into());
            add("authorized_via", via.into());
        }
        if let Some(peer) = request.extensions().get::<Arc<UnixPeer>>() {
            add("caller_uid", i64::from(peer.uid).into());
            add("caller_gid", i64::from(peer.gid).into());
            // Not visible in a container of its own.
            if let Ok(path) = fs::read_link(format!("/proc/{}/exe", peer.pid)) {
                add("caller_path", path.display().to_string().into());
            }
        }
        if let Some(peer) = request.extensions().get::<Arc<TcpPeer>>() {
            add("caller_addr", peer.remote.to_string().into());
            if let Some(svid) = &peer.svid {
                add("caller_id", svid.id.to_string().into());
            }
        }
        fields
    }
}
