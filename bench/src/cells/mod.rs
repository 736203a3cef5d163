//! What is measured, one file for each cell.

mod jwt;
mod load;
mod memory;
mod propagation;
mod start;
mod x509;

use crate::Load;
use crate::product::Product;
use crate::report::Row;
use anyhow::Result;
use clap::ValueEnum;
use std::fmt;

/// One kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cell {
    /// Server CPU for an X509-SVID.
    X509,
    /// Server CPU for a JWT-SVID.
    Jwt,
    /// Resident memory of both.
    Memory,
    /// From the start of an agent to the first SVID.
    Start,
    /// From a new entry to its SVID in the workload.
    Propagation,
}

impl Cell {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 5] = [Self::X509, Self::Jwt, Self::Memory, Self::Start, Self::Propagation];

    /// Sets everything up, measures, and takes it down again.
    pub(crate) async fn measure(self, product: &Product, load: &Load) -> Result<Vec<Row>> {
        match self {
            Self::X509 => x509::measure(product, load.rounds).await,
            Self::Jwt => jwt::measure(product, load.rounds).await,
            Self::Memory => memory::measure(product, load.workloads).await,
            Self::Start => start::measure(product, load.starts).await,
            Self::Propagation => propagation::measure(product, load.events).await,
        }
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::X509 => "x509",
            Self::Jwt => "jwt",
            Self::Memory => "memory",
            Self::Start => "start",
            Self::Propagation => "propagation",
        })
    }
}
