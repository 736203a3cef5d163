//! `SyncAuthorizedEntries`: how an agent learns what changed without hearing everything again.
//!
//! The first request names the fields wanted. A set that fits a page is sent whole and the stream ends.
//! A larger one is first sent as revisions, page by page; then the agent asks for the entries it does not
//! have yet, as often as it likes, and gets them sorted by ID. IDs that it may not have are skipped.

use crate::registry::AuthorizedEntries;
use finial_proto::server::entry::{
    EntryRevision, SyncAuthorizedEntriesRequest, SyncAuthorizedEntriesResponse,
};
use finial_proto::types::EntryMask;
use finial_wire::convert::entries::entry_to_proto;
use futures_util::Stream;
use futures_util::stream::unfold;
use std::sync::Arc;
use tonic::{Code, Status, Streaming};

/// Entries and revisions on one page.
const PAGE: usize = 500;

type Response = Result<SyncAuthorizedEntriesResponse, Status>;

/// The answers to one stream of requests.
pub(super) fn answers(
    entries: Arc<AuthorizedEntries>,
    requests: Streaming<SyncAuthorizedEntriesRequest>,
) -> impl Stream<Item = Response> {
    let session = Session { entries, requests, mask: None, phase: Phase::Opening };
    unfold(session, |mut session| async move { session.next().await.map(|answer| (answer, session)) })
}

struct Session {
    entries: Arc<AuthorizedEntries>,
    requests: Streaming<SyncAuthorizedEntriesRequest>,
    mask: Option<EntryMask>,
    phase: Phase,
}

enum Phase {
    /// The mask is awaited.
    Opening,
    /// Revisions from this position on are next.
    Revisions(usize),
    /// A request for entries is awaited.
    Waiting,
    /// These entries, by position from the second number on, are next.
    Sending(Vec<usize>, usize),
    /// Nothing more comes.
    Done,
}

impl Session {
    async fn next(&mut self) -> Option<Response> {
        loop {
            match std::mem::replace(&mut self.phase, Phase::Done) {
                Phase::Done => return None,
                Phase::Opening => match self.open().await {
                    Ok(Some(answer)) => return Some(Ok(answer)),
                    Ok(None) => self.phase = Phase::Revisions(0),
                    Err(refusal) => return Some(Err(refusal)),
                },
                Phase::Revisions(from) => return Some(Ok(self.revisions(from))),
                Phase::Waiting => match self.requests.message().await {
                    Ok(Some(request)) => self.phase = Phase::Sending(self.find(request.ids), 0),
                    Ok(None) => {}
                    // An agent that has what it wants just goes away.
                    Err(status) if status.code() == Code::Cancelled => {}
                    Err(status) => return Some(Err(status)),
                },
                Phase::Sending(wanted, from) => return Some(Ok(self.send(wanted, from))),
            }
        }
    }

    /// Reads the mask; a set that fits a page is answered at once.
    async fn open(&mut self) -> Result<Option<SyncAuthorizedEntriesResponse>, Status> {
        let Some(first) = self.requests.message().await? else {
            return Err(Status::invalid_argument("the stream ended before the first request"));
        };
        if !first.ids.is_empty() {
            return Err(Status::invalid_argument("specifying IDs on initial request is not supported"));
        }
        if first.output_mask.as_ref().is_some_and(|mask| !mask.revision_number) {
            return Err(Status::invalid_argument("revision number cannot be masked"));
        }
        self.mask = first.output_mask;
        let entries = self.entries.as_slice();
        if entries.len() > PAGE {
            return Ok(None);
        }
        let entries = entries.iter().map(|entry| entry_to_proto(&entry.value, self.mask.as_ref())).collect();
        Ok(Some(SyncAuthorizedEntriesResponse { entries, ..Default::default() }))
    }

    fn revisions(&mut self, from: usize) -> SyncAuthorizedEntriesResponse {
        let entries = self.entries.as_slice();
        let to = entries.len().min(from + PAGE);
        let more = to < entries.len();
        self.phase = if more { Phase::Revisions(to) } else { Phase::Waiting };
        let revision = |entry: &crate::registry::IndexedEntry| EntryRevision {
            id: entry.value.id.to_string(),
            revision_number: entry.value.revision,
            created_at: entry.value.created_at.seconds(),
        };
        let entry_revisions = entries[from..to].iter().map(revision).collect();
        SyncAuthorizedEntriesResponse { entry_revisions, entries: vec![], more }
    }

    /// The positions of the wanted entries, in the order of their IDs.
    fn find(&self, ids: Vec<String>) -> Vec<usize> {
        let mut found: Vec<usize> = ids.iter().filter_map(|id| self.entries.position(id)).collect();
        found.sort_unstable();
        found
    }

    fn send(&mut self, wanted: Vec<usize>, from: usize) -> SyncAuthorizedEntriesResponse {
        let to = wanted.len().min(from + PAGE);
        let entries = self.entries.as_slice();
        let page = wanted[from..to].iter().filter_map(|at| entries.get(*at));
        let entries = page.map(|entry| entry_to_proto(&entry.value, self.mask.as_ref())).collect();
        let more = to < wanted.len();
        self.phase = if more { Phase::Sending(wanted, to) } else { Phase::Waiting };
        SyncAuthorizedEntriesResponse { entry_revisions: vec![], entries, more }
    }
}
