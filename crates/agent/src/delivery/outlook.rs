//! One open stream of the Workload API: what it has shown, and what it will show next.
//!
//! A stream that is not read holds on to what it has shown last and to nothing else: however often the view
//! changes meanwhile, only the newest one is shown.

use super::WorkloadApi;
use super::refusal;
use super::workload_api::Caller;
use crate::cache::View;
use crate::directory::Subscription;
use finial_runtime::tasks::Shutdown;
use futures_util::stream::{self, BoxStream, StreamExt};
use std::time::SystemTime;
use tonic::Status;
use tracing::{Instrument, Span};

/// What a stream shows.
#[derive(Clone, Copy)]
pub(super) struct Subject<T> {
    /// What those get who have no identity.
    pub(super) strangers: Strangers,
    /// The message for a view; `None` while it is not complete.
    pub(super) message: fn(&View) -> Option<T>,
    /// Logs what was shown.
    pub(super) log: fn(&View, SystemTime),
}

/// What those get who have no identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strangers {
    Refused,
    Admitted,
}

/// One open stream.
pub(super) struct Outlook<T> {
    api: WorkloadApi,
    caller: Caller,
    subscription: Subscription,
    subject: Subject<T>,
    shown: Option<T>,
    shutdown: Shutdown,
}

impl<T: Clone + PartialEq + Send + 'static> Outlook<T> {
    /// Begins to look. A caller without an identity is given one fresh look at the server before it is refused.
    pub(super) async fn open(
        api: &WorkloadApi,
        caller: Caller,
        subject: Subject<T>,
        shutdown: &Shutdown,
    ) -> Self {
        let mut subscription = api.directory().subscribe(&caller.selectors);
        if subject.strangers == Strangers::Refused && subscription.view().is_empty() {
            api.look_again(&caller).await;
        }
        Self { api: api.clone(), caller, subscription, subject, shown: None, shutdown: shutdown.clone() }
    }

    /// The next message that differs from the last; or why there will be no more.
    pub(super) async fn next(&mut self) -> Result<T, Status> {
        loop {
            let view = self.subscription.view();
            if view.is_empty() && self.subject.strangers == Strangers::Refused {
                return Err(self.api.refuse(&self.caller, 0));
            }
            let message = (self.subject.message)(&view);
            if message.is_some() && message != self.shown {
                self.shown.clone_from(&message);
                (self.subject.log)(&view, self.api.now());
                return message.ok_or_else(|| Status::internal("no message"));
            }
            drop(view);
            tokio::select! {
                () = self.subscription.changed() => {}
                () = self.shutdown.stopping() => return Err(refusal::stopping()),
            }
        }
    }

    /// All messages. The first one, or the refusal, comes before the stream.
    pub(super) async fn stream(mut self) -> Result<BoxStream<'static, Result<T, Status>>, Status> {
        let first = self.next().await?;
        let span = Span::current();
        let later = stream::unfold(Some(self), move |outlook| {
            let next = async {
                let mut outlook = outlook?;
                match outlook.next().await {
                    Ok(message) => Some((Ok(message), Some(outlook))),
                    Err(end) => Some((Err(end), None)),
                }
            };
            next.instrument(span.clone())
        });
        Ok(stream::iter([Ok(first)]).chain(later).boxed())
    }
}
