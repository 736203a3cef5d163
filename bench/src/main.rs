//! Load on the real binary, and what it cost.
//!
//! Black-box: a server and an agent run as an operator would run them, this process is their clients. What is
//! counted is their CPU time per operation, as the kernel keeps it, beside the cost of the bare cryptography
//! measured in the same moment; nothing here fails because a machine is slow. `bench/README.md` says how to
//! read the figures.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]

mod cells;
mod floor;
mod gauge;
mod machine;
mod product;
mod report;
mod simulated_agent;
mod site;
mod workload;

use anyhow::{Context, Result, bail};
use cells::Cell;
use clap::Parser;
use machine::Machine;
use product::Product;
use report::Report;
use std::path::PathBuf;

/// How much load, and of what.
#[derive(Debug, Parser)]
#[command(name = "finial-bench", about = "Measures the hot paths of a Finial (bench/README.md)")]
struct Options {
    /// What to measure; everything if not given.
    #[arg(value_enum)]
    cells: Vec<Cell>,
    /// The binary to measure; built from this workspace if not given.
    #[arg(long, value_name = "PATH")]
    finial: Option<PathBuf>,
    /// Measures a SPIRE as well: its server and its agent.
    #[arg(long, value_name = "SERVER,AGENT", value_delimiter = ',')]
    against: Vec<PathBuf>,
    /// Prints JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    load: Load,
}

/// How much load.
#[derive(Debug, Clone, clap::Args)]
struct Load {
    /// How often each load is repeated; the median counts.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Registration entries and connected workloads of the `memory` cell.
    #[arg(long, default_value_t = 1000)]
    workloads: usize,
    /// Entries created in the `propagation` cell, for each way to wait for one.
    #[arg(long, default_value_t = 50)]
    events: usize,
    /// Agents started in the `start` cell.
    #[arg(long, default_value_t = 10)]
    starts: usize,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, first, socket, pause] = arguments.as_slice()
        && first == workload::COMMAND
    {
        return workload::run(socket, pause.parse().context("the pause")?);
    }
    let options = Options::parse();
    machine::allow_many_files()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let report = runtime.block_on(async {
        tokio::select! {
            report = measure(&options) => report,
            _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        }
    })?;
    if options.json { report.print_json() } else { report.print_table() }
}

async fn measure(options: &Options) -> Result<Report> {
    let products = products(options)?;
    let cells = if options.cells.is_empty() { Cell::ALL.to_vec() } else { options.cells.clone() };
    let machine = Machine::at_start()?;
    let mut report = Report::new(products.iter().map(|product| product.name));
    for cell in cells {
        for product in &products {
            eprintln!("{cell}: {} …", product.name);
            let rows = cell.measure(product, &options.load).await;
            report.add(product.name, rows.with_context(|| format!("{cell}, {}", product.name))?);
        }
    }
    report.finish(machine.at_end()?);
    Ok(report)
}

fn products(options: &Options) -> Result<Vec<Product>> {
    let finial = match &options.finial {
        Some(path) => path.clone(),
        None => product::build()?,
    };
    let mut products = vec![Product::finial(finial)];
    match options.against.as_slice() {
        [] => {}
        [server, agent] => products.push(Product::spire(server.clone(), agent.clone())),
        _ => {
            bail!("--against takes two programs, a server and an agent: /path/spire-server,/path/spire-agent")
        }
    }
    Ok(products)
}
