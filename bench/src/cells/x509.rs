//! Server CPU for an X509-SVID, with requests of different sizes.

use super::load::{Series, cpu_per_call};
use crate::floor::Floor;
use crate::product::Product;
use crate::report::{Row, median};
use crate::simulated_agent::{SimulatedAgent, Workload};
use crate::site::{Registration, Site};
use anyhow::{Context, Result, ensure};
use finial_proto::server::bundle::GetBundleRequest;
use finial_proto::server::bundle::bundle_client::BundleClient;
use finial_proto::server::svid::svid_client::SvidClient;
use finial_proto::server::svid::{BatchNewX509svidRequest, NewX509svidParams};
use finial_proto::types;
use finial_testkit::eventually;
use finial_wire::status::check_item;
use std::sync::Arc;
use tonic::transport::Channel;

/// Entries of the agent, and the most that one request may ask for.
const ENTRIES: usize = 500;
/// Room for 500 chains.
const ANSWER_MAX: usize = 16 << 20;

struct Batches {
    size: usize,
    in_flight: usize,
    requests: usize,
    goal: Option<f64>,
}

const BATCHES: [Batches; 4] = [
    Batches { size: 500, in_flight: 1, requests: 4, goal: Some(1.2) },
    Batches { size: 10, in_flight: 1, requests: 100, goal: None },
    Batches { size: 1, in_flight: 1, requests: 500, goal: Some(1.5) },
    Batches { size: 1, in_flight: 16, requests: 1000, goal: None },
];

/// Calls of the rows that say what any call costs, and how many at a time.
const EMPTY_CALLS: usize = 500;
const EMPTY_IN_FLIGHT: [usize; 2] = [1, 16];

/// One site, all sizes in turn, round after round.
pub(crate) async fn measure(product: &Product, rounds: usize) -> Result<Vec<Row>> {
    let site = Site::start(product).await?;
    let issuance = Arc::new(Issuance::prepare(&site).await?);
    let (server, floor) = (site.server()?, Floor::new()?);
    let mut series = BATCHES.map(|_| Series::default());
    let mut empty = EMPTY_IN_FLIGHT.map(|_| Vec::new());
    let mut woken = Vec::new();
    for _ in 0..rounds {
        for (batches, series) in BATCHES.iter().zip(&mut series) {
            let bare = floor.measure()?.both();
            let (issuance, size) = (Arc::clone(&issuance), batches.size);
            let call = move |number| Arc::clone(&issuance).issue(number * size, size);
            let cost = cpu_per_call(server, batches.requests, batches.in_flight, call).await?;
            series.add(cost / size as f64, bare);
        }
        for (in_flight, series) in EMPTY_IN_FLIGHT.into_iter().zip(&mut empty) {
            let channel = issuance.agent.channel.clone();
            let call = move |_| ask_nothing(channel.clone());
            series.push(cpu_per_call(server, EMPTY_CALLS, in_flight, call).await?);
        }
        woken.push(tokio::task::block_in_place(|| floor.measure_woken())?);
    }
    let rows = BATCHES.iter().zip(&series).map(|(batches, series)| {
        let Batches { size, in_flight, goal, .. } = batches;
        let what = format!("{size} per request, {in_flight} in flight");
        Row::cpu("x509", what, series.cost()).floor(series.floor(), series.ratio()).ratio_goal(*goal)
    });
    let empty = EMPTY_IN_FLIGHT.into_iter().zip(&empty).map(|(in_flight, costs)| {
        Row::cpu("x509", format!("a call that asks for nothing, {in_flight} in flight"), median(costs))
    });
    let woken = Row::cpu("x509", "the floor in a thread that is woken for each", median(&woken));
    Ok(rows.chain(empty).chain([woken]).collect())
}

/// What all requests are made of.
struct Issuance {
    agent: SimulatedAgent,
    workloads: Vec<Workload>,
    params: Vec<NewX509svidParams>,
}

impl Issuance {
    async fn prepare(site: &Site<'_>) -> Result<Self> {
        let agent = SimulatedAgent::attest(site).await?;
        let workloads: Vec<Workload> = (0..ENTRIES).map(Workload::new).collect::<Result<_>>()?;
        let registration = |workload: &Workload| Registration {
            id: workload.id.clone(),
            parent: agent.id.clone(),
            program: site.path(workload.id.path()),
        };
        let entries = site.register(&workloads.iter().map(registration).collect::<Vec<_>>()).await?;
        let param = |(entry_id, workload): (String, &Workload)| NewX509svidParams {
            entry_id,
            csr: workload.csr.clone().into(),
        };
        let params = entries.into_iter().zip(&workloads).map(param).collect();
        let this = Arc::new(Self { agent, workloads, params });
        // A server may need a moment to hear of new entries.
        eventually("the first SVIDs", async || Arc::clone(&this).issue(0, ENTRIES).await.ok()).await?;
        Arc::into_inner(this).context("still in use")
    }

    /// Has so many SVIDs issued in one request, beginning with this one.
    async fn issue(self: Arc<Self>, first: usize, count: usize) -> Result<()> {
        let first = first % ENTRIES;
        let params = self.params.iter().cycle().skip(first).take(count).cloned().collect();
        let mut client = client(&self.agent.channel);
        let answer = client.batch_new_x509svid(BatchNewX509svidRequest { params }).await?.into_inner();
        ensure!(answer.results.len() == count, "{} answers to {count}", answer.results.len());
        for result in &answer.results {
            check_item(result.status.as_ref())?;
        }
        // One of each request is verified to the last bit; more would slow the load down.
        let svid = answer.results.first().and_then(|result| result.svid.as_ref()).context("no SVID")?;
        let workload = self.workloads.get(first).context("no such workload")?;
        self.agent.check(svid, &workload.id, &workload.key)
    }
}

fn client(channel: &Channel) -> SvidClient<Channel> {
    SvidClient::new(channel.clone()).max_decoding_message_size(ANSWER_MAX)
}

/// The cheapest call that an agent may make: connection, gRPC and the decision who may come in.
async fn ask_nothing(channel: Channel) -> Result<()> {
    let request = GetBundleRequest { output_mask: Some(types::BundleMask::default()) };
    BundleClient::new(channel).get_bundle(request).await?;
    Ok(())
}
