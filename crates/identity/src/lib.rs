//! The vocabulary and the rules of SPIFFE: what everything above speaks in.
//!
//! For every other crate. Pure: no async, no IO, no protobuf, no SQL, no logging; `now` is always an
//! argument. Types are validated when they are made, so that whoever holds one may rely on it.

pub mod bundle;
pub mod code;
pub mod dns;
pub mod entry;
pub mod federation;
pub mod jwt;
pub mod key;
pub mod node;
pub mod pem;
pub mod rotation;
pub mod selector;
pub mod spiffe_id;
pub mod time;
pub mod trust_domain;
pub mod x509;

pub use bundle::{AuthorityId, Bundle, JwtAuthority, WitAuthority, X509Authority};
pub use code::{Code, DenialReason, Failure};
pub use entry::{AdditionalAttributes, EntryDraft, EntryId, EntrySpec, GrantedEntry, RegistrationEntry};
pub use federation::{BundleEndpointProfile, FederationRelationship};
pub use key::{KeyType, PrivateKey, PublicKey, SignatureScheme};
pub use node::{AgentSerial, AttestedNode};
pub use selector::Selector;
pub use spiffe_id::SpiffeId;
pub use time::UnixTime;
pub use trust_domain::TrustDomain;
