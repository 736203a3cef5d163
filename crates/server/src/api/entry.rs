//! `spire.api.server.entry.v1.Entry`.

use super::Rooms;
use super::gate::Admitted;
use super::page::Page;
use super::refuse;
use super::sync;
use crate::registry::filter::SetFilter;
use crate::registry::{Admitted as AdmittedEntry, EntryFilter};
use async_trait::async_trait;
use finial_identity::{Code, EntryDraft, EntryId, Failure, TrustDomain};
use finial_plugin::datastore::StoreResult;
use finial_proto::server::entry::entry_server::Entry;
use finial_proto::server::entry::{
    BatchCreateEntryRequest, BatchCreateEntryResponse, BatchDeleteEntryRequest, BatchDeleteEntryResponse,
    BatchUpdateEntryRequest, BatchUpdateEntryResponse, CountEntriesRequest, CountEntriesResponse,
    GetAuthorizedEntriesRequest, GetAuthorizedEntriesResponse, GetEntryRequest, ListEntriesRequest,
    ListEntriesResponse, SyncAuthorizedEntriesRequest, SyncAuthorizedEntriesResponse,
    batch_create_entry_response, batch_delete_entry_response, batch_update_entry_response,
    list_entries_request,
};
use finial_proto::types;
use finial_wire::convert::entries::{EntryOperation, draft_from_proto, entry_to_proto, merge_entry};
use finial_wire::convert::ids::{member_from_proto, workload_from_proto};
use finial_wire::convert::selectors::{federation_filter, selector_filter};
use finial_wire::status::{ToStatus, item_ok, item_status};
use futures_util::stream::BoxStream;
use std::sync::Arc;
use std::time::SystemTime;
use tonic::{Request, Response, Status, Streaming};

/// The service.
pub struct EntryService {
    rooms: Arc<Rooms>,
}

impl EntryService {
    /// A service on these rooms.
    pub fn new(rooms: Arc<Rooms>) -> Self {
        Self { rooms }
    }

    fn now(&self) -> SystemTime {
        self.rooms.clock.now()
    }

    async fn create(&self, drafts: Vec<EntryDraft>) -> Vec<StoreResult<AdmittedEntry>> {
        let count = drafts.len();
        match self.rooms.registry.create_entries(drafts, self.now()).await {
            Ok(verdicts) => verdicts,
            // The transaction as a whole failed: none of the drafts was admitted.
            Err(error) => (0..count)
                .map(|_| {
                    let message = error.message.clone();
                    Err(finial_plugin::datastore::StoreError::new(error.code, message))
                })
                .collect(),
        }
    }

    async fn update(
        &self,
        wanted: &types::Entry,
        input_mask: Option<&types::EntryMask>,
    ) -> Result<crate::registry::IndexedEntry, Failure> {
        let id = EntryId::parse(wanted.id.clone())
            .map_err(|_| entry_missing_or(&wanted.id, "failed to update entry"))?;
        let known = self.rooms.registry.entry(&id);
        let known = known.ok_or_else(|| Failure::not_found("failed to update entry"))?;
        let current = &known.value.spec;
        let spec = merge_entry(&self.rooms.trust_domain, current, Some(wanted), input_mask)
            .map_err(|e| e.to_failure(EntryOperation::Update))?;
        let updated = self.rooms.registry.update_entry(&id, spec, self.now()).await;
        updated.map_err(|e| match e.code {
            Code::NotFound => Failure::not_found("failed to update entry"),
            code => Failure::new(code, format!("failed to update entry: {e}")),
        })
    }

    async fn delete(&self, id: &str) -> Result<(), Failure> {
        if id.is_empty() {
            return Err(Failure::invalid("missing entry ID"));
        }
        let id = EntryId::parse(id).map_err(|_| Failure::not_found("entry not found"))?;
        let deleted = self.rooms.registry.delete_entry(&id, self.now()).await;
        deleted.map_err(|e| match e.code {
            Code::NotFound => Failure::not_found("entry not found"),
            _ => Failure::internal(format!("failed to delete entry: {e}")),
        })
    }
}

/// A new entry is answered with its lists in order, as SPIRE does; it is stored as it was written.
fn sorted(mut entry: types::Entry) -> types::Entry {
    entry.selectors.sort_by(|a, b| (&a.r#type, &a.value).cmp(&(&b.r#type, &b.value)));
    entry.federates_with.sort();
    entry.dns_names.sort();
    entry
}

fn entry_missing_or(id: &str, otherwise: &str) -> Failure {
    if id.is_empty() {
        Failure::invalid("failed to convert entry: missing entry ID")
    } else {
        Failure::not_found(otherwise)
    }
}

fn read_filter(
    trust_domain: &TrustDomain,
    filter: Option<list_entries_request::Filter>,
) -> Result<EntryFilter, Failure> {
    let Some(filter) = filter else { return Ok(EntryFilter::default()) };
    let parent_id = filter.by_parent_id.map(|id| {
        member_from_proto(trust_domain, Some(&id))
            .map_err(|e| Failure::invalid(format!("malformed parent ID filter: {e}")))
    });
    let spiffe_id = filter.by_spiffe_id.map(|id| {
        workload_from_proto(trust_domain, Some(&id))
            .map_err(|e| Failure::invalid(format!("malformed SPIFFE ID filter: {e}")))
    });
    let selectors = filter.by_selectors.map(|wanted| {
        let (selectors, mode) = selector_filter(&wanted)
            .map_err(|e| Failure::invalid(format!("malformed selectors filter: {e}")))?;
        Ok(SetFilter::new(selectors, mode))
    });
    let federates_with = filter.by_federates_with.map(|wanted| {
        let (trust_domains, mode) = federation_filter(&wanted)
            .map_err(|e| Failure::invalid(format!("malformed federates with filter: {e}")))?;
        Ok(SetFilter::new(trust_domains, mode))
    });
    Ok(EntryFilter {
        spiffe_id: spiffe_id.transpose()?,
        parent_id: parent_id.transpose()?,
        selectors: selectors.transpose()?,
        federates_with: federates_with.transpose()?,
        hint: filter.by_hint.filter(|hint| !hint.is_empty()),
        only_downstream: filter.by_downstream == Some(true),
    })
}

#[async_trait]
impl Entry for EntryService {
    async fn count_entries(
        &self,
        request: Request<CountEntriesRequest>,
    ) -> Result<Response<CountEntriesResponse>, Status> {
        let filter = request.into_inner().filter.map(Into::into);
        let filter = read_filter(&self.rooms.trust_domain, filter).map_err(refuse)?;
        let count = self.rooms.registry.count_entries(&filter);
        Ok(Response::new(CountEntriesResponse { count: i32::try_from(count).unwrap_or(i32::MAX) }))
    }

    async fn list_entries(
        &self,
        request: Request<ListEntriesRequest>,
    ) -> Result<Response<ListEntriesResponse>, Status> {
        let request = request.into_inner();
        let filter = request.filter;
        let filter = read_filter(&self.rooms.trust_domain, filter).map_err(refuse)?;
        let page = Page::from_request(request.page_size, &request.page_token, "entries");
        let page = page.map_err(refuse)?;
        let found = self.rooms.registry.page_entries(&filter, page.after_row, page.limit);
        let next_page_token = page.next_token(found.last().map(|entry| entry.row_id));
        let mask = request.output_mask.as_ref();
        let entries = found.iter().map(|entry| entry_to_proto(&entry.value, mask)).collect();
        Ok(Response::new(ListEntriesResponse { entries, next_page_token }))
    }

    async fn get_entry(&self, request: Request<GetEntryRequest>) -> Result<Response<types::Entry>, Status> {
        let request = request.into_inner();
        if request.id.is_empty() {
            return Err(Status::invalid_argument("missing ID"));
        }
        let found = EntryId::parse(request.id).ok().and_then(|id| self.rooms.registry.entry(&id));
        let entry = found.ok_or_else(|| Status::not_found("entry not found"))?;
        Ok(Response::new(entry_to_proto(&entry.value, request.output_mask.as_ref())))
    }

    async fn batch_create_entry(
        &self,
        request: Request<BatchCreateEntryRequest>,
    ) -> Result<Response<BatchCreateEntryResponse>, Status> {
        let request = request.into_inner();
        let mask = request.output_mask.as_ref();
        let read = |entry: &types::Entry| {
            draft_from_proto(&self.rooms.trust_domain, Some(entry))
                .map_err(|e| e.to_failure(EntryOperation::Create))
        };
        let read: Vec<Result<EntryDraft, Failure>> = request.entries.iter().map(read).collect();
        let drafts = read.iter().filter_map(|draft| draft.as_ref().ok()).cloned().collect();
        let mut verdicts = self.create(drafts).await.into_iter();
        let results = read.into_iter().map(|draft| {
            let verdict = draft.and_then(|_| {
                let verdict = verdicts.next().ok_or_else(|| Failure::internal("no verdict"))?;
                verdict.map_err(|e| Failure::new(e.code, format!("failed to create entry: {e}")))
            });
            let (status, entry) = match verdict {
                Ok(AdmittedEntry::Created(entry)) => {
                    (item_ok(), Some(sorted(entry_to_proto(&entry.value, mask))))
                }
                Ok(AdmittedEntry::Similar(entry)) => {
                    let similar = Failure::new(Code::AlreadyExists, "similar entry already exists");
                    (similar.to_item_status(), Some(entry_to_proto(&entry.value, mask)))
                }
                Err(failure) => (failure.to_item_status(), None),
            };
            batch_create_entry_response::Result { status: Some(status), entry }
        });
        Ok(Response::new(BatchCreateEntryResponse { results: results.collect() }))
    }

    async fn batch_update_entry(
        &self,
        request: Request<BatchUpdateEntryRequest>,
    ) -> Result<Response<BatchUpdateEntryResponse>, Status> {
        let request = request.into_inner();
        let mut results = Vec::with_capacity(request.entries.len());
        for wanted in &request.entries {
            let (status, entry) = match self.update(wanted, request.input_mask.as_ref()).await {
                Ok(entry) => (item_ok(), Some(entry)),
                Err(failure) => (failure.to_item_status(), None),
            };
            let entry = entry.map(|entry| entry_to_proto(&entry.value, request.output_mask.as_ref()));
            results.push(batch_update_entry_response::Result { status: Some(status), entry });
        }
        Ok(Response::new(BatchUpdateEntryResponse { results }))
    }

    async fn batch_delete_entry(
        &self,
        request: Request<BatchDeleteEntryRequest>,
    ) -> Result<Response<BatchDeleteEntryResponse>, Status> {
        let mut results = Vec::new();
        for id in request.into_inner().ids {
            let status = item_status(&self.delete(&id).await);
            results.push(batch_delete_entry_response::Result { status: Some(status), id });
        }
        Ok(Response::new(BatchDeleteEntryResponse { results }))
    }

    async fn get_authorized_entries(
        &self,
        request: Request<GetAuthorizedEntriesRequest>,
    ) -> Result<Response<GetAuthorizedEntriesResponse>, Status> {
        let caller = Admitted::of(&request)?.require_id()?.clone();
        let authorized = self.rooms.registry.authorized(&caller, self.now().into());
        let mask = request.into_inner().output_mask;
        let entries = authorized.as_slice().iter();
        let entries = entries.map(|entry| entry_to_proto(&entry.value, mask.as_ref())).collect();
        Ok(Response::new(GetAuthorizedEntriesResponse { entries }))
    }

    type SyncAuthorizedEntriesStream = BoxStream<'static, Result<SyncAuthorizedEntriesResponse, Status>>;

    async fn sync_authorized_entries(
        &self,
        request: Request<Streaming<SyncAuthorizedEntriesRequest>>,
    ) -> Result<Response<Self::SyncAuthorizedEntriesStream>, Status> {
        let caller = Admitted::of(&request)?.require_id()?.clone();
        let authorized = self.rooms.registry.authorized(&caller, self.now().into());
        Ok(Response::new(Box::pin(sync::answers(authorized, request.into_inner()))))
    }
}
