//! The public socket as clients see it: real Unix sockets, a real gRPC client, fakes behind.

mod abuse;
mod admin;
mod explained;
mod statuses;
mod streams;
mod tokens;
mod world;
