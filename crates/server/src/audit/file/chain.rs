//! The chain: what a line says, and whether lines hang together. Pure, but for reading.

use super::Fields;
use finial_identity::key::sha256_hex;
use finial_runtime::logging::FieldValue;
use serde_json::{Map, Value};
use std::io::{self, BufRead};
use std::time::SystemTime;

/// What the first record carries as the hash of the one before it.
const NOTHING_BEFORE: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const SEQUENCE: &str = "sequence";
const PREVIOUS: &str = "previous";
const TIME: &str = "time";

/// The end of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tip {
    sequence: u64,
    hash: String,
}

impl Default for Tip {
    fn default() -> Self {
        Self { sequence: 0, hash: NOTHING_BEFORE.to_owned() }
    }
}

impl Tip {
    /// The end of a chain whose last line is this, without its newline.
    pub(super) fn of(line: &[u8]) -> Result<Self, String> {
        let (sequence, _) = read(line)?;
        Ok(Self { sequence, hash: sha256_hex(line) })
    }
}

/// The line of the next record, with its newline, and the new end.
pub(super) fn line(tip: &Tip, now: SystemTime, fields: &Fields) -> (String, Tip) {
    let mut record: Map<String, Value> =
        fields.iter().map(|(name, value)| (name.clone(), json(value))).collect();
    let time = jiff::Timestamp::try_from(now).map(|time| time.to_string()).unwrap_or_default();
    let sequence = tip.sequence + 1;
    record.insert(TIME.to_owned(), time.into());
    record.insert(SEQUENCE.to_owned(), sequence.into());
    record.insert(PREVIOUS.to_owned(), tip.hash.as_str().into());
    let text = Value::Object(record).to_string();
    let tip = Tip { sequence, hash: sha256_hex(text.as_bytes()) };
    (text + "\n", tip)
}

fn json(value: &FieldValue) -> Value {
    match value {
        FieldValue::Text(text) => text.as_str().into(),
        FieldValue::Bool(value) => (*value).into(),
        FieldValue::Float(number) => (*number).into(),
        FieldValue::Integer(number) => match i64::try_from(*number) {
            Ok(number) => number.into(),
            Err(_) => number.to_string().into(),
        },
    }
}

/// Number and previous hash of a record.
fn read(line: &[u8]) -> Result<(u64, String), String> {
    let record: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("it is no JSON object: {error}"))?;
    let sequence = record.get(SEQUENCE).and_then(Value::as_u64).ok_or("it has no sequence")?;
    let previous =
        record.get(PREVIOUS).and_then(Value::as_str).ok_or("it has no hash of the one before it")?;
    Ok((sequence, previous.to_owned()))
}

/// A chain that holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many records.
    pub records: u64,
    /// The hash of the last; to be kept elsewhere.
    pub hash: String,
}

/// Where a chain breaks.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The file could not be read.
    #[error("could not read line {line}")]
    Io {
        /// Which, from 1.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A record is not as it was written, or not where it was.
    #[error("the first broken record is in line {line}: {why}")]
    Record {
        /// Which, from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Follows a chain from its beginning to its end.
pub fn verify(mut file: impl BufRead) -> Result<Verified, Broken> {
    let mut tip = Tip::default();
    let mut text = Vec::new();
    loop {
        let line = tip.sequence + 1;
        text.clear();
        if file.read_until(b'\n', &mut text).map_err(|source| Broken::Io { line, source })? == 0 {
            return Ok(Verified { records: tip.sequence, hash: tip.hash });
        }
        tip = next(&tip, &text).map_err(|why| Broken::Record { line, why })?;
    }
}

fn next(tip: &Tip, text: &[u8]) -> Result<Tip, String> {
    let Some(text) = text.strip_suffix(b"\n") else {
        return Err("it is torn, and the server has not been started since".to_owned());
    };
    let (sequence, previous) = read(text)?;
    if previous != tip.hash {
        return Err(
            "it does not carry the hash of the line before it: one of the two was changed, or lines between \
                    them are missing"
                .to_owned(),
        );
    }
    if sequence != tip.sequence + 1 {
        return Err(format!("its sequence is {sequence} and should be {}", tip.sequence + 1));
    }
    Ok(Tip { sequence, hash: sha256_hex(text) })
}
