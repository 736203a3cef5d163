//! Server CPU for a JWT-SVID.

use super::load::{Series, cpu_per_call};
use crate::floor::Floor;
use crate::product::Product;
use crate::report::Row;
use crate::simulated_agent::SimulatedAgent;
use crate::site::{Registration, Site, id};
use anyhow::{Context, Result, ensure};
use finial_proto::server::svid::NewJwtsvidRequest;
use finial_proto::server::svid::svid_client::SvidClient;
use finial_testkit::eventually;
use tonic::transport::Channel;

const IN_FLIGHT: [usize; 2] = [1, 16];
/// Calls in each round.
const CALLS: usize = 1000;

/// One site, one and many callers in turn, round after round.
pub(crate) async fn measure(product: &Product, rounds: usize) -> Result<Vec<Row>> {
    let site = Site::start(product).await?;
    let agent = SimulatedAgent::attest(&site).await?;
    let workload = id("/workload/token")?;
    let (parent, program) = (agent.id.clone(), site.path("token"));
    let entries = site.register(&[Registration { id: workload, parent, program }]).await?;
    let entry_id = entries.into_iter().next().context("no entry")?;
    let request = NewJwtsvidRequest { entry_id, audience: vec!["spiffe://bench.example/audience".into()] };
    eventually("the first token", async || issue(agent.channel.clone(), request.clone()).await.ok()).await?;

    let (server, floor) = (site.server()?, Floor::new()?);
    let mut series = IN_FLIGHT.map(|_| Series::default());
    for _ in 0..rounds {
        for (in_flight, series) in IN_FLIGHT.into_iter().zip(&mut series) {
            let bare = floor.measure()?.sign;
            let (channel, request) = (agent.channel.clone(), request.clone());
            let call = move |_| issue(channel.clone(), request.clone());
            series.add(cpu_per_call(server, CALLS, in_flight, call).await?, bare);
        }
    }
    let rows = IN_FLIGHT.into_iter().zip(&series).map(|(in_flight, series)| {
        let row = Row::cpu("jwt", format!("{in_flight} in flight"), series.cost());
        row.floor(series.floor(), series.ratio())
    });
    Ok(rows.collect())
}

async fn issue(channel: Channel, request: NewJwtsvidRequest) -> Result<()> {
    let answer = SvidClient::new(channel).new_jwtsvid(request).await?.into_inner();
    let token = answer.svid.context("no SVID")?.token;
    ensure!(token.split('.').count() == 3, "not a token");
    Ok(())
}
