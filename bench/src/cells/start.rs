//! From the start of an agent to the first SVID in a workload that waits for it.

use crate::product::Product;
use crate::report::{Row, median};
use crate::site::{Registration, Site, id, settle};
use crate::workload::Programs;
use anyhow::Result;
use std::time::Duration;

/// The workload looks for the agent so often.
const PAUSE: Duration = Duration::from_millis(2);

/// Several agents, one after the other; each attests for the first time.
pub(crate) async fn measure(product: &Product, starts: usize) -> Result<Vec<Row>> {
    let site = Site::start(product).await?;
    let programs = Programs::of(&site)?;
    let mut agents = Vec::with_capacity(starts);
    for number in 0..starts {
        let (token, parent) = site.token().await?;
        let name = format!("workload-{number}");
        let (id, program) = (id(&format!("/{name}"))?, programs.path(&name));
        site.register(&[Registration { id, parent, program }]).await?;
        agents.push((token, name));
    }
    settle().await;
    let (mut waits, mut agent_cpu, mut server_cpu) = (Vec::new(), Vec::new(), Vec::new());
    let server = site.server()?;
    for (token, name) in agents {
        let before = server.cpu()?;
        let socket = site.path(&format!("agent-{token}")).join("api.sock");
        let mut workload = programs.start(&name, &socket, PAUSE)?;
        workload.ask().await?;
        let agent = site.spawn_agent(&token).await?;
        let (came, _) = workload.message().await?;
        waits.push((came - agent.started).as_secs_f64() * 1e3);
        agent_cpu.push(agent.gauge.cpu()?.as_secs_f64() * 1e3);
        server_cpu.push(server.cpu()?.saturating_sub(before).as_secs_f64() * 1e3);
    }
    Ok(vec![
        Row::new("start", "agent start to first SVID, p50", "ms", median(&waits)),
        Row::new("start", "of the agent until then", "ms CPU", median(&agent_cpu)),
        Row::new("start", "of the server until then", "ms CPU", median(&server_cpu)),
    ])
}
