//! Registration entries: drafts in, entries out, and updates by mask.
//!
//! An entry is checked in two steps, as in SPIRE, because the two have different prefixes: what its API finds
//! while it converts, and what its store finds in the whole. [`EntryError`] says which it was.

use super::ids::{IdError, id_from_proto, id_to_proto, member_from_proto, workload_from_proto};
use super::selectors::{selectors_from_proto, selectors_to_proto};
use finial_identity::dns::{DnsNameError, validate_dns_name};
use finial_identity::entry::{EntryIdError, HINT_MAX};
use finial_identity::selector::SelectorError;
use finial_identity::spiffe_id::SpiffeIdError;
use finial_identity::{
    AdditionalAttributes, EntryDraft, EntryId, EntrySpec, Failure, GrantedEntry, RegistrationEntry, Selector,
    TrustDomain, UnixTime,
};
use finial_proto::types::{self, entry::AdditionalAttributes as ProtoAttributes};

/// What is wrong with a field of an entry. Callers prefix `failed to convert entry: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// No entry at all.
    #[error("missing entry")]
    Missing,
    /// Bad `parent_id`.
    #[error("invalid parent ID: {0}")]
    ParentId(#[source] IdError),
    /// Bad `spiffe_id`.
    #[error("invalid spiffe ID: {0}")]
    SpiffeId(#[source] IdError),
    /// Bad DNS name.
    #[error("invalid DNS name: {0}")]
    DnsName(#[source] DnsNameError),
    /// Bad name of a federated trust domain.
    #[error("invalid federated trust domain: {0}")]
    FederatesWith(#[source] SpiffeIdError),
    /// No selectors.
    #[error("selector list is empty")]
    NoSelectors,
    /// Bad selector.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// The hint has more than [`HINT_MAX`] bytes.
    #[error("hint is too long, max length is {HINT_MAX} characters")]
    HintTooLong,
    /// Bad `id`, where an admitted entry is read.
    #[error("invalid registration entry: {0}")]
    Id(#[source] EntryIdError),
}

/// What is wrong with an entry as a whole; SPIRE's store says so. Callers prefix `failed to create entry: ` or
/// `failed to update entry: `.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Nobody would ask for an SVID of which the agent is to be asked.
    #[error("datastore-validation: specifying cache behaviour is incompatible with storable SVIDs")]
    PrefetchOfStored,
    /// Selectors of different attestors, which no SVID store can have.
    #[error(
        "datastore-validation: invalid registration entry: selector types must be the same when store SVID is enabled"
    )]
    MixedSelectors,
    /// Bad `id`.
    #[error("datastore-validation: invalid registration entry: {0}")]
    Id(#[source] EntryIdError),
    /// Negative.
    #[error("datastore-validation: invalid registration entry: X509SvidTtl is not set")]
    X509SvidTtl,
    /// Negative.
    #[error("datastore-validation: invalid registration entry: JwtSvidTtl is not set")]
    JwtSvidTtl,
}

/// Why an entry was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// A field.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The whole.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

/// What is being done with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryOperation {
    /// `BatchCreateEntry`.
    Create,
    /// `BatchUpdateEntry`.
    Update,
}

impl EntryError {
    /// The failure with the prefix that SPIRE gives it: always `InvalidArgument`.
    pub fn to_failure(&self, operation: EntryOperation) -> Failure {
        let prefix = match (self, operation) {
            (Self::Field(_), _) => "failed to convert entry",
            (Self::Rule(_), EntryOperation::Create) => "failed to create entry",
            (Self::Rule(_), EntryOperation::Update) => "failed to update entry",
        };
        Failure::invalid(format!("{prefix}: {self}"))
    }
}

/// Every field.
pub const ENTRY_MASK_ALL: types::EntryMask = types::EntryMask {
    spiffe_id: true,
    parent_id: true,
    selectors: true,
    x509_svid_ttl: true,
    federates_with: true,
    admin: true,
    downstream: true,
    expires_at: true,
    dns_names: true,
    revision_number: true,
    store_svid: true,
    jwt_svid_ttl: true,
    hint: true,
    created_at: true,
    additional_attributes: true,
};

/// The message of an entry, with the fields of the mask. The ID is always there.
pub fn entry_to_proto(entry: &RegistrationEntry, mask: Option<&types::EntryMask>) -> types::Entry {
    let mask = mask.unwrap_or(&ENTRY_MASK_ALL);
    let spec = &entry.spec;
    types::Entry {
        id: entry.id.as_str().to_owned(),
        spiffe_id: mask.spiffe_id.then(|| id_to_proto(&spec.spiffe_id)),
        parent_id: mask.parent_id.then(|| id_to_proto(&spec.parent_id)),
        selectors: if mask.selectors { selectors_to_proto(&spec.selectors) } else { Vec::new() },
        x509_svid_ttl: if mask.x509_svid_ttl { spec.x509_svid_ttl } else { 0 },
        federates_with: if mask.federates_with { names(&spec.federates_with) } else { Vec::new() },
        admin: mask.admin && spec.admin,
        downstream: mask.downstream && spec.downstream,
        expires_at: if mask.expires_at { seconds(spec.expires_at) } else { 0 },
        dns_names: if mask.dns_names { spec.dns_names.clone() } else { Vec::new() },
        revision_number: if mask.revision_number { entry.revision } else { 0 },
        store_svid: mask.store_svid && spec.store_svid,
        jwt_svid_ttl: if mask.jwt_svid_ttl { spec.jwt_svid_ttl } else { 0 },
        hint: if mask.hint { spec.hint.clone() } else { String::new() },
        created_at: if mask.created_at { entry.created_at.seconds() } else { 0 },
        additional_attributes: spec
            .additional
            .filter(|_| mask.additional_attributes)
            .map(attributes_to_proto),
    }
}

/// The message of an entry that is wished for: what a client sends to create or update one.
pub fn spec_to_proto(id: Option<&EntryId>, spec: &EntrySpec) -> types::Entry {
    types::Entry {
        id: id.map(|id| id.as_str().to_owned()).unwrap_or_default(),
        spiffe_id: Some(id_to_proto(&spec.spiffe_id)),
        parent_id: Some(id_to_proto(&spec.parent_id)),
        selectors: selectors_to_proto(&spec.selectors),
        x509_svid_ttl: spec.x509_svid_ttl,
        federates_with: names(&spec.federates_with),
        admin: spec.admin,
        downstream: spec.downstream,
        expires_at: seconds(spec.expires_at),
        dns_names: spec.dns_names.clone(),
        revision_number: 0,
        store_svid: spec.store_svid,
        jwt_svid_ttl: spec.jwt_svid_ttl,
        hint: spec.hint.clone(),
        created_at: 0,
        additional_attributes: spec.additional.map(attributes_to_proto),
    }
}

/// A draft from the message of `BatchCreateEntry`.
///
/// Not looked at, as in SPIRE: `revision_number`, `created_at`, DNS names that occur twice or are covered by a
/// wildcard beside them. Whether the federated bundles exist is known to the store alone.
pub fn draft_from_proto(
    trust_domain: &TrustDomain,
    entry: Option<&types::Entry>,
) -> Result<EntryDraft, EntryError> {
    let entry = entry.ok_or(FieldError::Missing)?;
    let parent_id =
        member_from_proto(trust_domain, entry.parent_id.as_ref()).map_err(FieldError::ParentId)?;
    let spiffe_id =
        workload_from_proto(trust_domain, entry.spiffe_id.as_ref()).map_err(FieldError::SpiffeId)?;
    let spec = EntrySpec {
        spiffe_id,
        parent_id,
        dns_names: dns_names(entry)?,
        federates_with: new_federates_with(entry)?,
        selectors: selectors(entry)?,
        hint: hint(entry)?,
        x509_svid_ttl: entry.x509_svid_ttl,
        jwt_svid_ttl: entry.jwt_svid_ttl,
        admin: entry.admin,
        downstream: entry.downstream,
        expires_at: expiry(entry),
        store_svid: entry.store_svid,
        additional: entry.additional_attributes.map(attributes_from_proto),
    };
    let prefetch_disabled = spec.additional.is_some_and(|more| more.disable_x509_svid_prefetch);
    if spec.store_svid && prefetch_disabled {
        return Err(RuleError::PrefetchOfStored.into());
    }
    check_selector_kinds(&spec)?;
    let id =
        if entry.id.is_empty() { None } else { Some(EntryId::parse(&*entry.id).map_err(RuleError::Id)?) };
    check_lifetimes(&spec)?;
    Ok(EntryDraft { id, spec })
}

/// The content of an entry after `BatchUpdateEntry`: the fields of the mask from the message, which are the
/// only ones that are looked at, and the others as they are.
///
/// As in SPIRE an update may combine `store_svid` with a disabled prefetch, which a creation may not.
pub fn merge_entry(
    trust_domain: &TrustDomain,
    current: &EntrySpec,
    entry: Option<&types::Entry>,
    mask: Option<&types::EntryMask>,
) -> Result<EntrySpec, EntryError> {
    let entry = entry.ok_or(FieldError::Missing)?;
    let mask = mask.unwrap_or(&ENTRY_MASK_ALL);
    let mut spec = current.clone();
    if mask.parent_id {
        spec.parent_id =
            member_from_proto(trust_domain, entry.parent_id.as_ref()).map_err(FieldError::ParentId)?;
    }
    if mask.spiffe_id {
        spec.spiffe_id =
            workload_from_proto(trust_domain, entry.spiffe_id.as_ref()).map_err(FieldError::SpiffeId)?;
    }
    if mask.dns_names {
        spec.dns_names = dns_names(entry)?;
    }
    if mask.federates_with {
        spec.federates_with = new_federates_with(entry)?;
    }
    if mask.selectors {
        spec.selectors = selectors(entry)?;
    }
    if mask.hint {
        spec.hint = hint(entry)?;
    }
    merge_plain(&mut spec, entry, mask);
    if mask.x509_svid_ttl || mask.jwt_svid_ttl {
        check_lifetimes(&spec)?;
    }
    if mask.store_svid || mask.selectors {
        check_selector_kinds(&spec)?;
    }
    Ok(spec)
}

/// The fields of which any value will do.
fn merge_plain(spec: &mut EntrySpec, entry: &types::Entry, mask: &types::EntryMask) {
    if mask.x509_svid_ttl {
        spec.x509_svid_ttl = entry.x509_svid_ttl;
    }
    if mask.jwt_svid_ttl {
        spec.jwt_svid_ttl = entry.jwt_svid_ttl;
    }
    if mask.admin {
        spec.admin = entry.admin;
    }
    if mask.downstream {
        spec.downstream = entry.downstream;
    }
    if mask.expires_at {
        spec.expires_at = expiry(entry);
    }
    if mask.store_svid {
        spec.store_svid = entry.store_svid;
    }
    if mask.additional_attributes {
        spec.additional = entry.additional_attributes.map(attributes_from_proto);
    }
}

/// An entry as a server granted it to an agent. Only what must hold of any entry is checked, for the server has
/// admitted it: an agent that refused one more would be an outage. `parent_id`, lifetimes and DNS names are not
/// read; agents do not ask for them.
pub fn granted_from_proto(entry: &types::Entry) -> Result<GrantedEntry, FieldError> {
    Ok(GrantedEntry {
        id: EntryId::parse(&*entry.id).map_err(FieldError::Id)?,
        spiffe_id: id_from_proto(entry.spiffe_id.as_ref()).map_err(FieldError::SpiffeId)?,
        selectors: selectors_from_proto(&entry.selectors)?,
        federates_with: federates_with(entry)?,
        admin: entry.admin,
        downstream: entry.downstream,
        revision: entry.revision_number,
        created_at: UnixTime::from_seconds(entry.created_at),
        store_svid: entry.store_svid,
        hint: entry.hint.clone(),
        additional: entry.additional_attributes.map(attributes_from_proto).unwrap_or_default(),
    })
}

fn dns_names(entry: &types::Entry) -> Result<Vec<String>, FieldError> {
    for name in &entry.dns_names {
        validate_dns_name(name).map_err(FieldError::DnsName)?;
    }
    Ok(entry.dns_names.clone())
}

fn federates_with(entry: &types::Entry) -> Result<Vec<TrustDomain>, FieldError> {
    let names = entry.federates_with.iter();
    names.map(|name| TrustDomain::parse(name)).collect::<Result<_, _>>().map_err(FieldError::FederatesWith)
}

/// Names that come to us for the first time, and must not be too long.
fn new_federates_with(entry: &types::Entry) -> Result<Vec<TrustDomain>, FieldError> {
    let names = federates_with(entry)?;
    names.iter().try_for_each(TrustDomain::require_length).map_err(FieldError::FederatesWith)?;
    Ok(names)
}

fn selectors(entry: &types::Entry) -> Result<Vec<Selector>, FieldError> {
    if entry.selectors.is_empty() {
        return Err(FieldError::NoSelectors);
    }
    Ok(selectors_from_proto(&entry.selectors)?)
}

fn hint(entry: &types::Entry) -> Result<String, FieldError> {
    if entry.hint.len() > HINT_MAX { Err(FieldError::HintTooLong) } else { Ok(entry.hint.clone()) }
}

fn check_lifetimes(spec: &EntrySpec) -> Result<(), RuleError> {
    if spec.x509_svid_ttl < 0 {
        return Err(RuleError::X509SvidTtl);
    }
    if spec.jwt_svid_ttl < 0 {
        return Err(RuleError::JwtSvidTtl);
    }
    Ok(())
}

fn check_selector_kinds(spec: &EntrySpec) -> Result<(), RuleError> {
    let differ = spec.selectors.windows(2).any(|pair| pair[0].kind != pair[1].kind);
    if spec.store_svid && differ { Err(RuleError::MixedSelectors) } else { Ok(()) }
}

/// SPIRE keeps 0 for entries without end.
fn expiry(entry: &types::Entry) -> Option<UnixTime> {
    (entry.expires_at != 0).then(|| UnixTime::from_seconds(entry.expires_at))
}

fn seconds(moment: Option<UnixTime>) -> i64 {
    moment.map_or(0, UnixTime::seconds)
}

fn names(trust_domains: &[TrustDomain]) -> Vec<String> {
    trust_domains.iter().map(|name| name.as_str().to_owned()).collect()
}

fn attributes_to_proto(more: AdditionalAttributes) -> ProtoAttributes {
    ProtoAttributes {
        disable_x509_svid_prefetch: more.disable_x509_svid_prefetch,
        jwt_svid_include_jti: more.jwt_svid_include_jti,
    }
}

fn attributes_from_proto(more: ProtoAttributes) -> AdditionalAttributes {
    AdditionalAttributes {
        disable_x509_svid_prefetch: more.disable_x509_svid_prefetch,
        jwt_svid_include_jti: more.jwt_svid_include_jti,
    }
}
