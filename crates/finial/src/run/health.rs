//! `health_checks`: whether the process is alive and can do its work, asked over HTTP.

mod checks;
mod listener;

pub(super) use checks::{NamedCheck, of_agent, of_server};

use crate::config::HealthListener;
use finial_runtime::clock::Clock;
use finial_runtime::health::{AlreadyAdded, Registry};
use finial_runtime::tasks::Supervisor;
use std::convert::Infallible;
use std::sync::Arc;

/// Adds the listener, and what it tells.
pub(super) fn add(
    supervisor: &mut Supervisor,
    listener: HealthListener,
    clock: Arc<dyn Clock>,
    checks: Vec<NamedCheck>,
) -> Result<(), AlreadyAdded> {
    let registry = Registry::new(clock);
    for (name, check) in checks {
        registry.add(name, check)?;
    }
    let (report, shutdown) = (registry.report(), supervisor.shutdown());
    supervisor.add("health-checks", async move {
        registry.run(shutdown).await;
        Ok::<(), Infallible>(())
    });
    supervisor.add_until_stop("health-listener", listener::serve(listener, report));
    Ok(())
}
