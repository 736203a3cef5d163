//! The wire contracts: our own protobuf definitions of the published APIs, compiled.
//!
//! Packages, names and numbers are those of SPIFFE and SPIRE, because they are what travels: a gRPC
//! path, a field number, a blob in a database. The definitions are in `proto/`; `build.rs` compiles
//! them. No logic lives here.
//!
//! Every `bytes` field is a [`bytes::Bytes`], so that certificates and bundles are shared and not
//! copied. Rust names are prost's: `SPIFFEID` is `Spiffeid`, `X509SVID` is `X509svid`. Well-known
//! wrappers are plain: `BoolValue` is `Option<bool>`, `Empty` is `()`. Messages that hold a key, a
//! token or a secret print without it.

mod filters;
mod redact;

/// A module of generated code, and what else belongs into it.
macro_rules! contract {
    ($(#[$doc:meta])* pub mod $name:ident = $file:literal; $($more:item)*) => {
        $(#[$doc])*
        #[allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all)]
        pub mod $name {
            $($more)*
            include!(concat!(env!("OUT_DIR"), "/", $file));
        }
    };
}

/// The descriptors that one pass of `build.rs` wrote.
macro_rules! descriptors {
    ($pass:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/", $pass, ".binpb"))
    };
}

contract! {
    /// `spire.api.types`: what the server and agent APIs have in common.
    pub mod types = "types/spire.api.types.rs";
}

/// The APIs of the server.
pub mod server {
    /// An encoded `google.protobuf.FileDescriptorSet`: all server services and what they import.
    pub const FILE_DESCRIPTOR_SET: &[u8] = descriptors!("server");

    contract! {
        /// `spire.api.server.agent.v1`: attested agents.
        pub mod agent = "server/spire.api.server.agent.v1.rs";
    }
    contract! {
        /// `spire.api.server.bundle.v1`: trust bundles.
        pub mod bundle = "server/spire.api.server.bundle.v1.rs";
    }
    contract! {
        /// `spire.api.server.debug.v1`: what the server says about itself.
        pub mod debug = "server/spire.api.server.debug.v1.rs";
    }
    contract! {
        /// `spire.api.server.entry.v1`: registration entries.
        pub mod entry = "server/spire.api.server.entry.v1.rs";
    }
    contract! {
        /// `spire.api.server.localauthority.v1`: the server's signing authorities.
        pub mod localauthority = "server/spire.api.server.localauthority.v1.rs";
    }
    contract! {
        /// `spire.api.server.logger.v1`: log levels.
        pub mod logger = "server/spire.api.server.logger.v1.rs";
    }
    contract! {
        /// `spire.api.server.svid.v1`: signing.
        pub mod svid = "server/spire.api.server.svid.v1.rs";
    }
    contract! {
        /// `spire.api.server.trustdomain.v1`: federation relationships.
        pub mod trustdomain = "server/spire.api.server.trustdomain.v1.rs";
    }
}

/// The APIs of the agent's admin socket.
pub mod agent {
    /// An encoded `google.protobuf.FileDescriptorSet`: all admin services and what they import.
    pub const FILE_DESCRIPTOR_SET: &[u8] = descriptors!("agent");

    contract! {
        /// `spire.agent.debug.v1` (without `api`): what the agent says about itself.
        pub mod debug = "agent/spire.agent.debug.v1.rs";
    }
    contract! {
        /// `spire.api.agent.delegatedidentity.v1`: identities of other workloads for a delegate.
        pub mod delegated_identity = "agent/spire.api.agent.delegatedidentity.v1.rs";
    }
    contract! {
        /// `spire.api.agent.logger.v1`: log levels.
        pub mod logger = "agent/spire.api.agent.logger.v1.rs";
    }
}

contract! {
    /// The SPIFFE Workload API. Its protobuf package is empty: paths begin with `/SpiffeWorkloadAPI/`.
    pub mod workload = "workload/_.rs";

    /// An encoded `google.protobuf.FileDescriptorSet`: the Workload API and what it imports.
    pub const FILE_DESCRIPTOR_SET: &[u8] = descriptors!("workload");
}

contract! {
    /// `spire.common`: what a SPIRE server keeps in its database as blobs.
    pub mod common = "stored/spire.common.rs";
}

contract! {
    /// The CA journal, one blob per server in SPIRE's database. Its protobuf package is empty.
    pub mod journal = "journal/_.rs";
}

contract! {
    /// `google.rpc`: the status that the trailer `grpc-status-details-bin` carries, and a detail of it.
    pub mod rpc = "rpc/google.rpc.rs";
}

#[cfg(test)]
mod tests;
