//! The workload attestor `unix`: users, groups and the executable of a process, from `/proc`.
//!
//! Users and groups are the effective ones. Their names come from `/etc/passwd` and `/etc/group` of the agent's
//! own file system and from nowhere else: no NSS modules are asked, as in SPIRE's static release binaries.

mod accounts;
mod executable;
mod file_version;
mod status;

use accounts::Accounts;
use async_trait::async_trait;
use executable::Digests;
use finial_identity::{Failure, Selector};
use finial_plugin::workload_attestor::{WorkloadAttestor, WorkloadRef};
use status::Status;
use std::collections::HashSet;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::problem::Problem;

const NAME: &str = "unix";

/// The configuration of `unix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UnixConfig {
    /// `discover_workload_path`: also find the executable; the agent must then be allowed to look into other
    /// users' processes.
    pub discover_workload_path: bool,
    /// `workload_size_limit`: the longest executable that is hashed, in bytes; a longer one fails the
    /// attestation. 0 has no limit, a negative number hashes nothing.
    pub workload_size_limit: i64,
}

impl UnixConfig {
    /// All that is wrong: nothing ever is.
    #[must_use]
    pub fn validate(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// Where the attestor reads.
struct Places {
    proc: PathBuf,
    passwd: PathBuf,
    group: PathBuf,
}

/// Looks at processes through `/proc`.
pub struct UnixAttestor {
    config: UnixConfig,
    proc: PathBuf,
    users: Accounts,
    groups: Accounts,
    digests: Digests,
}

impl UnixAttestor {
    /// Reads from `/proc`, or from where the environment variable `HOST_PROC` points.
    #[must_use]
    pub fn new(config: UnixConfig) -> Self {
        let proc = std::env::var_os("HOST_PROC").filter(|path| !path.is_empty());
        let proc = proc.map_or_else(|| PathBuf::from("/proc"), PathBuf::from);
        Self::reading(config, Places { proc, passwd: "/etc/passwd".into(), group: "/etc/group".into() })
    }

    fn reading(config: UnixConfig, places: Places) -> Self {
        Self {
            config,
            proc: places.proc,
            users: Accounts::new(places.passwd),
            groups: Accounts::new(places.group),
            digests: Digests::default(),
        }
    }

    /// An ID without a name has no selector for it.
    fn owners(&self, status: &Status, values: &mut Values) {
        values.add("uid", status.uid);
        values.add_all("user", self.users.name(status.uid));
        values.add("gid", status.gid);
        values.add_all("group", self.groups.name(status.gid));
        for gid in &status.supplementary {
            values.add("supplementary_gid", gid);
            values.add_all("supplementary_group", self.groups.name(*gid));
        }
    }

    async fn executable(&self, process: &Path, values: &mut Values) -> Result<(), Failure> {
        let link = process.join("exe");
        let failed =
            |why: &dyn Display| Failure::internal(format!("path lookup: readlink {}: {why}", link.display()));
        let path = std::fs::read_link(&link).map_err(|error| failed(&error))?;
        let path = path.to_str().ok_or_else(|| failed(&"the path is not UTF-8"))?;
        values.add("path", path);
        // Below zero there is no limit because nothing is read.
        if let Ok(limit) = u64::try_from(self.config.workload_size_limit) {
            let digest = self.digests.of(link, limit).await;
            values
                .add("sha256", digest.map_err(|error| Failure::internal(format!("SHA256 digest: {error}")))?);
        }
        Ok(())
    }
}

#[async_trait]
impl WorkloadAttestor for UnixAttestor {
    fn name(&self) -> &str {
        NAME
    }

    async fn attest(&self, workload: &WorkloadRef) -> Result<Vec<Selector>, Failure> {
        let process = self.proc.join(workload.pid.to_string());
        let status = Status::read(&process.join("status"))
            .map_err(|error| Failure::internal(format!("failed to get process: {error}")))?;
        let mut values = Values::default();
        self.owners(&status, &mut values);
        if self.config.discover_workload_path {
            self.executable(&process, &mut values).await?;
        }
        Ok(values.selectors)
    }
}

/// Selectors in the order in which they were found, each once.
#[derive(Default)]
struct Values {
    selectors: Vec<Selector>,
    seen: HashSet<String>,
}

impl Values {
    fn add(&mut self, key: &str, value: impl Display) {
        let value = format!("{key}:{value}");
        if self.seen.insert(value.clone()) {
            self.selectors.push(Selector { kind: NAME.to_owned(), value });
        }
    }

    fn add_all(&mut self, key: &str, values: impl IntoIterator<Item = impl Display>) {
        values.into_iter().for_each(|value| self.add(key, value));
    }
}

#[cfg(test)]
mod tests;
