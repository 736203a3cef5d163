//! The server's gRPC services.
//!
//! [`gate`] decides who comes in; then each method decodes, calls one function of a room, and encodes.
//! There are no rules here: a text that a client sees either comes from a room or says which field of the
//! request could not be read.

pub mod agent;
pub mod bundle;
pub mod debug;
pub mod entry;
pub mod gate;
pub mod health;
pub mod local_authority;
mod page;
pub mod svid;
pub mod sync;
pub mod trust_domain;

use crate::audit::Auditing;
use crate::authority::Authority;
use crate::bundle::{ForeignBundles, OwnBundle};
use crate::endpoints::ServerIdentity;
use crate::federation::Federation;
use crate::nodes::Nodes;
use crate::policy::limits::Limits;
use crate::registry::Registry;
use finial_identity::{Failure, TrustDomain};
use finial_runtime::clock::Clock;
use finial_wire::measure::Measure;
use finial_wire::status::{RpcError, ToStatus};
use futures_util::{Stream, StreamExt, TryFutureExt, stream};
use std::future::{Future, ready};
use std::sync::Arc;
use tokio::sync::mpsc;
use tonic::{Code, Status};
use tracing::{Instrument, error};

/// What the services call.
pub struct Rooms {
    /// Whose server this is.
    pub trust_domain: TrustDomain,
    /// Entries and agents.
    pub registry: Arc<Registry>,
    /// Signing.
    pub authority: Arc<Authority>,
    /// Attestation and life of agents.
    pub nodes: Arc<Nodes>,
    /// The bundle of this trust domain.
    pub own_bundle: Arc<OwnBundle>,
    /// Bundles of others.
    pub foreign_bundles: Arc<ForeignBundles>,
    /// Relationships with other trust domains.
    pub federation: Arc<Federation>,
    /// Rate limits.
    pub limits: Limits,
    /// What the server shows of itself.
    pub server_identity: Arc<ServerIdentity>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Counts calls.
    pub measure: Measure,
    /// Tells of calls.
    pub auditing: Auditing,
}

/// The messages of a channel, as long as `work` goes on; if it fails, its status ends the stream. The work
/// is part of the stream: it stops when nobody listens any more.
fn stream_while<T: Send>(
    work: impl Future<Output = Result<(), Status>> + Send,
    mut messages: mpsc::Receiver<T>,
) -> impl Stream<Item = Result<T, Status>> + Send {
    let work = work.inspect_err(tell_refusal).in_current_span();
    let failure = stream::once(work).filter_map(|outcome| ready(outcome.err().map(Err)));
    let messages = stream::poll_fn(move |context| messages.poll_recv(context)).map(Ok);
    stream::select(messages, failure)
}

/// The status of a failure that ends a call.
fn refuse(failure: Failure) -> Status {
    failure.to_status()
}

/// Says in the log that a call was refused, with SPIRE's words for the commonest reason.
pub(crate) fn tell_refusal(status: &Status) {
    match status.code() {
        Code::Ok | Code::Unimplemented => {}
        Code::InvalidArgument => error!("Invalid argument: {}", status.message()),
        Code::PermissionDenied if status.message().starts_with("authorization denied") => {
            error!(error = %RpcError(status), "Failed to authenticate caller");
        }
        _ => error!("{}", capitalized(status.message())),
    }
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
