//! The server's memory on SQL, in SPIRE's own schema.
//!
//! For the door, which opens a store and hands it to the server as `plugin::datastore::DataStore`. A
//! database file that a SPIRE server left behind opens in place, and goes back to SPIRE unharmed: tables,
//! columns, index names, time texts and protobuf blobs are SPIRE's. Knows neither API types nor gRPC.
//!
//! `schema` says what a database looks like and how an older one becomes that; `codec` and `time` turn
//! columns into domain values and back; `rules` are the checks that SPIRE's store makes; `sqlite` has the
//! connections and one module per role of the contract.

mod codec;
mod mysql;
mod percent;
mod postgres;
mod rules;
mod sql;
mod sqlite;
mod stored;
mod time;
mod version;

pub use mysql::MySqlConfig;
pub use postgres::PostgresConfig;
pub use sql::{PoolConfig, SqlOptions, SqlStore};
pub use sqlite::{SqliteConfig, SqliteStore};
pub use version::MigrationPolicy;
