//! From a new entry to its SVID in the workload.
//!
//! The clock runs from the server's answer to the message on the workload's stream. Entries come at irregular
//! times, so that they meet every phase of the polling.

use crate::product::Product;
use crate::report::{Row, quantile};
use crate::site::{Registration, Site, id};
use crate::workload::{Programs, Workload};
use anyhow::{Context, Result};
use finial_identity::SpiffeId;
use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// A workload that is refused asks again after so long.
const PAUSE: Duration = Duration::from_millis(100);
/// Entries are so far apart on average.
const DISTANCE: Duration = Duration::from_millis(300);

/// One site, first the connected workload and then the new ones: their asking would make the agent look for the
/// entries of the other, too.
pub(crate) async fn measure(product: &Product, events: usize) -> Result<Vec<Row>> {
    let site = Site::start(product).await?;
    let programs = Programs::of(&site)?;
    let (token, parent) = site.token().await?;
    let agent = site.start_agent(&token).await?;
    let scene = Scene { site: &site, programs: &programs, parent, socket: &agent.socket };
    let connected = scene.to_a_connected_workload(events).await?;
    let new = scene.to_new_workloads(events).await?;
    let row = |who: &str, p: f64, times: &[f64]| {
        let what = format!("entry to SVID, {who}, p{}", p * 100.0);
        Row::new("propagation", what, "ms", quantile(times, p))
    };
    Ok(vec![
        row("new workload that asks", 0.5, &new),
        row("new workload that asks", 0.99, &new),
        row("connected workload", 0.5, &connected),
        row("connected workload", 0.99, &connected),
    ])
}

struct Scene<'a> {
    site: &'a Site<'a>,
    programs: &'a Programs,
    parent: SpiffeId,
    socket: &'a Path,
}

impl Scene<'_> {
    /// Registers an identity for a program; gives it, and when the server had answered.
    async fn create(&self, path: &str, program: &str) -> Result<(String, Instant)> {
        let (id, program) = (id(path)?, self.programs.path(program));
        let registration = Registration { id: id.clone(), parent: self.parent.clone(), program };
        self.site.register(&[registration]).await?;
        Ok((id.as_str().to_owned(), Instant::now()))
    }

    /// A workload that has an SVID gets further ones on its stream. Milliseconds.
    async fn to_a_connected_workload(&self, events: usize) -> Result<Vec<f64>> {
        let program = "connected";
        self.create("/connected", program).await?;
        let mut workload = self.programs.start(program, self.socket, PAUSE)?;
        workload.ask().await?;
        workload.message().await?;
        let listener = tokio::spawn(arrivals(workload, events + 1));
        let mut created = HashMap::new();
        for number in 0..events {
            tokio::time::sleep(distance(number)).await;
            let (id, at) = self.create(&format!("/connected/{number}"), program).await?;
            created.insert(id, at);
        }
        let came = listener.await??;
        let times = created.iter().map(|(id, at)| {
            let came = came.get(id).with_context(|| format!("{id} did not come"))?;
            Ok(came.saturating_duration_since(*at).as_secs_f64() * 1e3)
        });
        times.collect()
    }

    /// A workload that has nothing asks right after its entry was made, and again until it is served.
    /// Milliseconds.
    async fn to_new_workloads(&self, events: usize) -> Result<Vec<f64>> {
        let mut waiting = JoinSet::new();
        for number in 0..events {
            let program = format!("new-{number}");
            let mut workload = self.programs.start(&program, self.socket, PAUSE)?;
            tokio::time::sleep(distance(number)).await;
            let (_, at) = self.create(&format!("/{program}"), &program).await?;
            waiting.spawn(async move {
                workload.ask().await?;
                let (came, _) = workload.message().await?;
                anyhow::Ok((came - at).as_secs_f64() * 1e3)
            });
        }
        waiting.join_all().await.into_iter().collect()
    }
}

/// When each identity was first seen, until there are so many.
async fn arrivals(mut workload: Workload, count: usize) -> Result<HashMap<String, Instant>> {
    let mut seen = HashMap::new();
    while seen.len() < count {
        let (at, ids) = workload.message().await?;
        for id in ids {
            seen.entry(id).or_insert(at);
        }
    }
    Ok(seen)
}

/// Irregular, but the same in each run: the golden ratio's multiples fill the interval evenly.
fn distance(number: usize) -> Duration {
    DISTANCE.mul_f64(2.0 * (number as f64 * 0.618_033_988_75).fract())
}
