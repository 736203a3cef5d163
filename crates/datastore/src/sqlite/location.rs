//! Where the database is: `connection_string` as SPIRE and its SQLite driver read it.
//!
//! A path or a `file:` URI, with SQLite's own query parameters (`mode`, `cache`, `vfs` …) and those of
//! SPIRE's driver that begin with `_`. Foreign keys and the write-ahead log are always on, as in SPIRE.

use super::fault::Fault;
use finial_identity::Code;
use finial_plugin::datastore::StoreError;
use rusqlite::{Connection, OpenFlags};
use std::time::Duration;

/// How long to wait for another process that holds the database, unless `_busy_timeout` says otherwise.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// More than the number of different statements in this crate.
const STATEMENT_CACHE: usize = 128;

/// A connection string, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Location {
    uri: String,
    /// The file, for people.
    pub(super) file: String,
    /// Lives only as long as its one connection.
    pub(super) in_memory: bool,
    busy_timeout: Duration,
    synchronous: String,
}

impl Location {
    pub(super) fn parse(connection_string: &str) -> Result<Self, Fault> {
        if connection_string.is_empty() {
            return Err(refused("connection_string must be set"));
        }
        if connection_string == ":memory:" {
            return Self::parse("file::memory:");
        }
        let (rest, is_uri) = match scheme(connection_string) {
            None => (connection_string, false),
            Some("file") => (&connection_string["file:".len()..], true),
            Some(other) => return Err(refused(&format!("unsupported scheme {other:?}"))),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let file = decode_percent(without_authority(path));
        let mut location = Self {
            uri: if is_uri { format!("file:{path}") } else { format!("file:{}", encode_path(&file)) },
            in_memory: file == ":memory:" || file.is_empty(),
            file,
            busy_timeout: BUSY_TIMEOUT,
            synchronous: "FULL".to_owned(),
        };
        let mut separator = '?';
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            if name.starts_with('_') {
                location.set_driver_option(name, value)?;
                continue;
            }
            location.in_memory |= (name, value) == ("mode", "memory") || (name, value) == ("vfs", "memdb");
            location.uri.extend([separator]);
            location.uri.push_str(parameter);
            separator = '&';
        }
        Ok(location)
    }

    /// The options of SPIRE's driver that make a difference here; the others are told and left.
    fn set_driver_option(&mut self, name: &str, value: &str) -> Result<(), Fault> {
        match name {
            "_busy_timeout" | "_timeout" => {
                let milliseconds = value.parse().map_err(|_| {
                    refused(&format!("invalid {name}: {value:?} is not a number of milliseconds"))
                })?;
                self.busy_timeout = Duration::from_millis(milliseconds);
            }
            "_synchronous" | "_sync" => {
                let level = value.to_ascii_uppercase();
                if !matches!(level.as_str(), "0" | "OFF" | "1" | "NORMAL" | "2" | "FULL" | "3" | "EXTRA") {
                    return Err(refused(&format!(
                        "invalid {name}: {value:?}, expecting one of 0 OFF 1 NORMAL 2 FULL 3 EXTRA"
                    )));
                }
                self.synchronous = level;
            }
            "_foreign_keys" | "_fk" | "_journal_mode" | "_journal" => {}
            _ => tracing::warn!(option = name, "Option of the connection string has no effect here"),
        }
        Ok(())
    }

    /// The connection that writes; creates the file, not its directory.
    pub(super) fn open_writer(&self) -> Result<Connection, Fault> {
        let connection = self.open()?;
        connection.execute_batch(&format!("PRAGMA synchronous = {}", self.synchronous))?;
        let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if !self.in_memory && mode != "wal" {
            tracing::warn!(file = self.file, mode, "The database has no write-ahead log");
        }
        Ok(connection)
    }

    /// A connection that only reads.
    pub(super) fn open_reader(&self) -> Result<Connection, Fault> {
        let connection = self.open()?;
        connection.execute_batch("PRAGMA query_only = ON")?;
        Ok(connection)
    }

    fn open(&self) -> Result<Connection, Fault> {
        let connection = Connection::open_with_flags(
            &self.uri,
            OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(self.busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        connection.execute_batch("PRAGMA foreign_keys = ON")?;
        Ok(connection)
    }
}

/// The scheme of a URI, or nothing for a path.
fn scheme(text: &str) -> Option<&str> {
    let (scheme, _) = text.split_once(':')?;
    let mut bytes = scheme.bytes();
    let begins_well = bytes.next().is_some_and(|first| first.is_ascii_alphabetic());
    let goes_on_well = bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    (begins_well && goes_on_well).then_some(scheme)
}

/// `///a` and `//localhost/a` are `/a`.
fn without_authority(path: &str) -> &str {
    match path.strip_prefix("//") {
        Some(rest) => rest.find('/').map_or("", |at| &rest[at..]),
        None => path,
    }
}

fn decode_percent(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = (first == b'%').then(|| after.get(..2)).flatten();
        let hex = digits.filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let byte = hex.and_then(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A path that SQLite's URI parser gives back as it is.
fn encode_path(path: &str) -> String {
    path.replace('%', "%25").replace('?', "%3f").replace('#', "%23")
}

fn refused(text: &str) -> Fault {
    StoreError::new(Code::InvalidArgument, format!("datastore-sql: {text}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> (String, String, bool) {
        let location = Location::parse(text).unwrap();
        (location.uri, location.file, location.in_memory)
    }

    fn on_disk(uri: &str, file: &str) -> (String, String, bool) {
        (uri.to_owned(), file.to_owned(), false)
    }

    #[test]
    fn paths_and_uris() {
        assert_eq!(parsed("data.db"), on_disk("file:data.db", "data.db"));
        assert_eq!(parsed("./data.db"), on_disk("file:./data.db", "./data.db"));
        assert_eq!(parsed("/home/fred/data.db"), on_disk("file:/home/fred/data.db", "/home/fred/data.db"));
        assert_eq!(parsed("/a%20b.db"), on_disk("file:/a b.db", "/a b.db"));
        assert_eq!(parsed("file:data.db"), on_disk("file:data.db", "data.db"));
        assert_eq!(parsed("file:///home/data.db"), on_disk("file:///home/data.db", "/home/data.db"));
        assert_eq!(
            parsed("file://localhost/home/a%20b.db"),
            on_disk("file://localhost/home/a%20b.db", "/home/a b.db")
        );
        assert_eq!(parsed("file:data.db?mode=ro"), on_disk("file:data.db?mode=ro", "data.db"));
        assert_eq!(
            parsed("file:/a.db?vfs=unix-dotfile&_busy_timeout=7&cache=private"),
            on_disk("file:/a.db?vfs=unix-dotfile&cache=private", "/a.db")
        );
    }

    #[test]
    fn memory() {
        assert!(parsed(":memory:").2);
        assert!(parsed("file::memory:?cache=shared").2);
        assert!(parsed("file:memdb1?mode=memory&cache=shared").2);
        assert!(!parsed("memory").2);
    }

    #[test]
    fn options_of_the_driver() {
        let location = Location::parse("a.db?_timeout=70&_sync=normal&_journal_mode=DELETE").unwrap();
        assert_eq!(location.busy_timeout, Duration::from_millis(70));
        assert_eq!(location.synchronous, "NORMAL");
        assert_eq!(location.uri, "file:a.db");
    }

    #[test]
    fn refusals() {
        let text = |input: &str| Location::parse(input).unwrap_err().told("").message;
        assert_eq!(text(""), "datastore-sql: connection_string must be set");
        assert_eq!(text("mysql://data.db"), "datastore-sql: unsupported scheme \"mysql\"");
        assert!(text("a.db?_timeout=soon").starts_with("datastore-sql: invalid _timeout"));
        assert!(text("a.db?_sync=often").starts_with("datastore-sql: invalid _sync"));
    }
}
