//! Forgetting what has ended: entries at their end, agents long after theirs, old rows of the change feed.

use super::Registry;
use finial_identity::UnixTime;
use finial_plugin::datastore::{PruneScope, StoreResult};
use std::time::{Duration, SystemTime};
use tracing::info;

/// How often ended entries are looked for.
pub const ENTRIES_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often expired agents are looked for.
pub const AGENTS_EVERY: Duration = Duration::from_secs(60 * 60);
/// Rows removed in one transaction, so that nobody else waits long.
const CHUNK: u32 = 500;

/// Which agents to forget, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgentPruning {
    /// For how long their SVID must have ended.
    pub expired_for: Duration,
    /// Which agents.
    pub scope: PruneScope,
    /// How many at a time.
    pub batch: u32,
}

impl Registry {
    /// Removes all entries whose end has come.
    pub async fn prune_ended_entries(&self, now: SystemTime) -> StoreResult<()> {
        let mut total = 0;
        loop {
            let gone = self.prune_entries(now, CHUNK).await?;
            total += gone;
            if gone < CHUNK as usize {
                break;
            }
            tokio::task::yield_now().await;
        }
        if total > 0 {
            info!(count = total, "Pruned expired registration entries");
        }
        Ok(())
    }

    /// Removes all agents that ended long enough ago.
    pub async fn prune_expired_agents(&self, pruning: AgentPruning, now: SystemTime) -> StoreResult<()> {
        let before = now.checked_sub(pruning.expired_for).unwrap_or(SystemTime::UNIX_EPOCH);
        let (before, batch) = (UnixTime::from(before), pruning.batch.max(1));
        let mut total = 0;
        loop {
            let gone = self.prune_nodes(before, pruning.scope, batch, now).await?;
            total += gone;
            if gone < batch as usize {
                break;
            }
            tokio::task::yield_now().await;
        }
        if total > 0 {
            info!(count = total, "Pruned expired attested nodes");
        }
        Ok(())
    }

    /// Removes rows of the change feed older than `keep`.
    pub async fn prune_events(&self, keep: Duration, now: SystemTime) -> StoreResult<()> {
        let before = now.checked_sub(keep).unwrap_or(SystemTime::UNIX_EPOCH);
        while self.store().events_prune(before, CHUNK).await? >= u64::from(CHUNK) {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}
