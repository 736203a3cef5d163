//! The border: protobuf to domain, codes to statuses, sockets, peers, TLS.
