//! The one gate: who calls, may they, and as what.
//!
//! A layer around all services, so that no method can be reached past it. Who a caller is was settled when
//! it connected; what it may do is asked anew for every call, in the order that SPIRE asks: anyone, local,
//! admin, downstream, agent.

use super::refuse;
use crate::nodes::{AgentSvid, Nodes};
use crate::policy::{Access, Grant, access_of};
use crate::registry::Registry;
use finial_identity::{Code, Failure, SpiffeId};
use finial_wire::listen::TcpPeer;
use finial_wire::peer::UnixPeer;
use futures_util::future::BoxFuture;
use http::{Request, Response, Uri};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tower::{Layer, Service};
use tracing::Span;

/// A caller that was let in; every method finds it in its request.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// As what.
    pub grant: Grant,
    /// The identity it showed, if any.
    pub id: Option<SpiffeId>,
    /// Its address; none on the private socket.
    pub peer: Option<IpAddr>,
}

/// By what a caller was let in, in SPIRE's words, for the audit.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizedVia(pub &'static str);

impl Admitted {
    /// The caller of a request.
    pub fn of<T>(request: &tonic::Request<T>) -> Result<Self, tonic::Status> {
        let admitted = request.extensions().get::<Self>().cloned();
        admitted.ok_or_else(|| tonic::Status::internal("the call did not pass the gate"))
    }

    /// Its identity, which agents always have.
    pub fn require_id(&self) -> Result<&SpiffeId, tonic::Status> {
        let id = self.id.as_ref();
        id.ok_or_else(|| tonic::Status::internal("caller ID missing from request context"))
    }
}

/// Decides about calls.
#[derive(Clone)]
pub struct Gate {
    rules: Arc<Rules>,
}

struct Rules {
    registry: Arc<Registry>,
    nodes: Arc<Nodes>,
    admin_ids: HashSet<SpiffeId>,
}

impl Gate {
    /// A gate; `admin_ids` may administer besides those whose entry says so.
    pub fn new(
        registry: Arc<Registry>,
        nodes: Arc<Nodes>,
        admin_ids: impl IntoIterator<Item = SpiffeId>,
    ) -> Self {
        let admin_ids = admin_ids.into_iter().collect();
        Self { rules: Arc::new(Rules { registry, nodes, admin_ids }) }
    }
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

/// Services behind the gate.
#[derive(Clone)]
pub struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let rules = Arc::clone(&self.gate.rules);
        // The service that was polled ready is the one to call.
        let ready = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, ready);
        let call = Call::of(&request);
        Box::pin(async move {
            match rules.admit(&call).await {
                Ok(admitted) => {
                    let span = Span::current();
                    span.record("authorized_as", admitted.grant.name());
                    let via = rules.authorized_via(&admitted);
                    span.record("authorized_via", via);
                    request.extensions_mut().insert(AuthorizedVia(via));
                    request.extensions_mut().insert(admitted);
                    inner.call(request).await
                }
                Err(failure) => Ok(refuse(failure).into_http()),
            }
        })
    }
}

/// What the gate needs to know of a call.
struct Call {
    uri: Uri,
    local: bool,
    remote: Option<Arc<TcpPeer>>,
}

impl Call {
    fn of(request: &Request<Body>) -> Self {
        Self {
            uri: request.uri().clone(),
            local: request.extensions().get::<Arc<UnixPeer>>().is_some(),
            remote: request.extensions().get::<Arc<TcpPeer>>().cloned(),
        }
    }
}

impl Rules {
    async fn admit(&self, call: &Call) -> Result<Admitted, Failure> {
        let path = call.uri.path();
        let access = access_of(path).ok_or_else(|| unknown_method(path))?;
        let svid = call.remote.as_ref().and_then(|peer| peer.svid.as_ref());
        let id = svid.map(|svid| &svid.id);
        let admitted = |grant| Admitted {
            grant,
            id: id.cloned(),
            peer: call.remote.as_ref().map(|peer| peer.remote.ip()),
        };
        if let Some(grant) = self.grant(access, call.local, id) {
            return Ok(admitted(grant));
        }
        if let (true, false, Some(svid)) = (access.agent, call.local, svid) {
            let (serial, expires_at) = (svid.serial_decimal(), svid.leaf().not_after());
            // The reason is for the agent to act on; the words are the same for everybody.
            let verdict = self.nodes.admit(AgentSvid { id: &svid.id, serial, expires_at }).await;
            verdict.map_err(|failure| match failure.reason {
                Some(_) => Failure { reason: failure.reason, ..denied(path) },
                None => failure,
            })?;
            return Ok(admitted(Grant::Agent));
        }
        Err(denied(path))
    }

    /// What a caller is let in as without being an agent.
    fn grant(&self, access: Access, local: bool, id: Option<&SpiffeId>) -> Option<Grant> {
        if access.anyone {
            return Some(Grant::Anyone);
        }
        if access.local && local {
            return Some(Grant::Local);
        }
        let id = id?;
        if access.admin && self.is_admin(id) {
            return Some(Grant::Admin);
        }
        (access.downstream && self.registry.is_downstream(id)).then_some(Grant::Downstream)
    }

    fn is_admin(&self, id: &SpiffeId) -> bool {
        self.admin_ids.contains(id) || self.registry.is_admin(id)
    }

    /// By what a caller was let in, as SPIRE logs it.
    fn authorized_via(&self, admitted: &Admitted) -> &'static str {
        match admitted.grant {
            Grant::Anyone => "",
            Grant::Local => "transport",
            Grant::Admin if admitted.id.as_ref().is_some_and(|id| self.admin_ids.contains(id)) => "config",
            Grant::Admin | Grant::Downstream => "entries",
            Grant::Agent => "datastore",
        }
    }
}

fn denied(path: &str) -> Failure {
    Failure::new(Code::PermissionDenied, format!("authorization denied for method {path}"))
}

fn unknown_method(path: &str) -> Failure {
    let path = path.trim_start_matches('/');
    let (service, method) = path.rsplit_once('/').unwrap_or((path, ""));
    Failure::new(Code::Unimplemented, format!("unknown method {method} for service {service}"))
}
