//! Resident memory: idle, with many entries, with many connected workloads.

use crate::gauge::Gauge;
use crate::product::Product;
use crate::report::Row;
use crate::site::{Registration, Site, id, settle};
use crate::workload::{Programs, Workload};
use anyhow::{Context, Result};
use std::time::Duration;

/// The goals of an idle agent and an idle server, in megabytes.
const IDLE_AGENT: f64 = 12.0;
const IDLE_SERVER: f64 = 20.0;
/// Workloads ask again after so long.
const PAUSE: Duration = Duration::from_millis(200);

/// One site that grows.
pub(crate) async fn measure(product: &Product, count: usize) -> Result<Vec<Row>> {
    let site = Site::start(product).await?;
    let programs = Programs::of(&site)?;
    let (token, parent) = site.token().await?;
    let agent = site.start_agent(&token).await?;
    let server = site.server()?;
    settle().await;
    let mut rows = vec![
        resident("server, idle", server)?.value_goal(Some(IDLE_SERVER)),
        resident("agent, idle", agent.gauge)?.value_goal(Some(IDLE_AGENT)),
    ];

    let name = |number: usize| format!("workload-{number}");
    let registration = |number: usize| {
        let id = id(&format!("/{}", name(number)))?;
        Ok(Registration { id, parent: parent.clone(), program: programs.path(&name(number)) })
    };
    let registrations: Vec<Registration> = (0..count).map(registration).collect::<Result<_>>()?;
    site.register(&registrations).await?;
    settle().await;
    let unconnected = resident(&format!("agent, {count} entries"), agent.gauge)?;
    rows.extend([resident(&format!("server, {count} entries"), server)?, unconnected.clone()]);

    let mut workloads: Vec<Workload> = Vec::with_capacity(count);
    for number in 0..count {
        let mut workload = programs.start(&name(number), &agent.socket, PAUSE)?;
        workload.ask().await?;
        workloads.push(workload);
    }
    for (number, workload) in workloads.iter_mut().enumerate() {
        workload.message().await.with_context(|| name(number))?;
    }
    settle().await;
    let connected = resident(&format!("agent, {count} connected workloads"), agent.gauge)?;
    let each = (connected.value - unconnected.value) * 1e3 / count as f64;
    rows.extend([connected, Row::new("memory", "agent, for each connection", "kB", each)]);
    Ok(rows)
}

fn resident(what: &str, process: Gauge) -> Result<Row> {
    let memory = process.memory()?;
    let row = Row::new("memory", what, "MB", memory.resident as f64 / 1e6);
    Ok(row.note(format!("{:.1} anonymous", memory.anonymous as f64 / 1e6)))
}
