//! Proves that the independent Rust crates (`spiffe`, `spiffe-rustls`) work against a
//! Workload API as it comes: sources, streams, mTLS with authorizers, rotation, and
//! JWT-SVIDs checked here and by the Workload API. `../../README.md` has the contract
//! that all client programs share.

mod jwt;
mod mtls;
mod watch;

use std::collections::HashMap;
use std::fmt;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use spiffe::{SpiffeId, X509Source};

const USAGE: u8 = 2;

/// An outcome that has its own line on stdout and its own exit code.
#[derive(Debug)]
pub enum Outcome {
    Refused(String),
    TimedOut,
    HoldFailed { after: usize, reason: String },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(reason) => write!(f, "REFUSED {}", reason.replace('\n', " ")),
            Self::TimedOut => write!(f, "TIMEOUT"),
            Self::HoldFailed { after, reason } => {
                write!(f, "BROKEN after {after}: {}", reason.replace('\n', " "))
            }
        }
    }
}

impl std::error::Error for Outcome {}

impl Outcome {
    fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 3,
            Self::TimedOut => 4,
            Self::HoldFailed { .. } => 5,
        }
    }
}

/// The `--name value` pairs of the command line.
pub struct Options(HashMap<String, String>);

impl Options {
    fn parse(args: impl Iterator<Item = String>) -> Result<Self> {
        let args: Vec<String> = args.collect();
        args.chunks(2)
            .map(|pair| match pair {
                [name, value] if name.starts_with("--") => Ok((name[2..].to_owned(), value.clone())),
                _ => bail!("expected --name value, got {pair:?}"),
            })
            .collect::<Result<_>>()
            .map(Self)
    }

    pub fn find(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn get(&self, name: &str) -> Result<&str> {
        self.find(name).with_context(|| format!("--{name} is required"))
    }

    pub fn number(&self, name: &str, default: u64) -> Result<u64> {
        self.find(name).map_or(Ok(default), |text| Ok(text.parse()?))
    }

    pub fn timeout(&self) -> Result<Duration> {
        Ok(Duration::from_secs(self.number("timeout", 60)?))
    }

    pub fn peer_id(&self) -> Result<SpiffeId> {
        Ok(self.get("peer-id")?.parse()?)
    }

    /// Opens an X509Source; the time-out only covers its first update.
    pub async fn x509_source(&self) -> Result<X509Source> {
        let build = X509Source::builder().endpoint(self.get("socket")?).build();
        Ok(tokio::time::timeout(self.timeout()?, build).await.map_err(|_| Outcome::TimedOut)??)
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_default();
    let options = match Options::parse(args) {
        Ok(options) => options,
        Err(err) => {
            eprintln!("{err}");
            return ExitCode::from(USAGE);
        }
    };
    let result = match command.as_str() {
        "serve" => mtls::serve(&options).await,
        "dial" => mtls::dial(&options).await,
        "hold" => mtls::hold(&options).await,
        "rotate" => watch::rotate(&options).await,
        "bundles" => watch::bundles(&options).await,
        "jwt" => jwt::jwt(&options).await,
        _ => {
            eprintln!("usage: client serve|dial|hold|rotate|jwt|bundles --socket unix:///path …");
            return ExitCode::from(USAGE);
        }
    };
    let Err(err) = result else { return ExitCode::SUCCESS };
    match err.downcast_ref::<Outcome>() {
        Some(outcome) => {
            println!("{outcome}");
            ExitCode::from(outcome.code())
        }
        None => {
            eprintln!("ERROR {err:#}");
            ExitCode::FAILURE
        }
    }
}
