//! The border: protobuf to domain, codes to statuses, sockets, peers, TLS.
//!
//! For the rooms' doors (endpoints, upstream clients) and for command lines. What comes in here as bytes
//! leaves as a checked domain value, and what goes out has SPIRE's shape and wording. No business rules:
//! who may call what, what is issued and what is stored is decided elsewhere.
//!
//! | module | what |
//! |---|---|
//! | [`status`] | `Failure` ⇄ gRPC status, denial reasons, statuses of batch items, Go's text of an RPC error |
//! | [`convert`] | protobuf ⇄ domain, with masks and SPIRE's error texts |
//! | [`address`] | endpoint addresses (`unix:`, `tcp:`) |
//! | [`peer`] | who is at the other end of a Unix socket, pinned |
//! | [`listen`] | Unix and TLS listeners whose connections know their peer |
//! | [`tls`] | SPIFFE TLS on rustls; the identity may change while it serves |
//! | [`channel`] | gRPC channels over Unix sockets and TLS |
//! | [`call_span`] | who calls what, on every log line of a call |
//! | [`logger`] | the services that change the log level |
//! | [`serve`] | running gRPC services on a listener, with limits and graceful shutdown |
//! | [`web`] | one GET, and a server of small documents |

pub mod address;
pub mod call_span;
pub mod channel;
pub mod convert;
pub mod listen;
pub mod logger;
pub mod measure;
pub mod names;
pub mod peer;
pub mod serve;
pub mod status;
pub mod tls;
pub mod web;
