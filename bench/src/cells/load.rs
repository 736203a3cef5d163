//! Calls from a few clients at once, and what they cost the server.

use crate::gauge::Gauge;
use crate::report::median;
use anyhow::Result;
use std::sync::Arc;
use tokio::task::JoinSet;

/// Makes calls numbered from 0, so many at a time; gives the CPU time of the server for each, in microseconds.
pub(crate) async fn cpu_per_call<F, A>(server: Gauge, calls: usize, in_flight: usize, call: F) -> Result<f64>
where
    F: Fn(usize) -> A + Send + Sync + 'static,
    A: Future<Output = Result<()>> + Send + 'static,
{
    let call = Arc::new(call);
    let before = server.cpu()?;
    let mut clients = JoinSet::new();
    for client in 0..in_flight {
        let call = Arc::clone(&call);
        clients.spawn(async move {
            for number in (client..calls).step_by(in_flight) {
                call(number).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let spent = server.cpu()?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 1e6 / calls as f64)
}

/// Costs of one load in all rounds, each beside the floor of its moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Series {
    costs: Vec<f64>,
    floors: Vec<f64>,
}

impl Series {
    /// Adds a round.
    pub(crate) fn add(&mut self, cost: f64, floor: f64) {
        self.costs.push(cost);
        self.floors.push(floor);
    }

    /// The median cost.
    pub(crate) fn cost(&self) -> f64 {
        median(&self.costs)
    }

    /// The median floor.
    pub(crate) fn floor(&self) -> f64 {
        median(&self.floors)
    }

    /// The median of the ratios of each round, which a change of the machine's pace does not touch.
    pub(crate) fn ratio(&self) -> f64 {
        median(&self.costs.iter().zip(&self.floors).map(|(cost, floor)| cost / floor).collect::<Vec<_>>())
    }
}
