//! Disks that are full or read-only.

use super::{ID, contents, eager};
use crate::{deployment, has_ids, own_uid, serving_nodes};
use anyhow::{Context, Result, ensure};
use finial_testkit::{AgentOptions, Outcome, ServerOptions, Workload, entry, eventually, is_root, skip};
use std::fs;
use std::path::PathBuf;
use tokio::process::Command;

/// A small file system of its own, unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it, or says that this machine does not let us.
    async fn mount(test: &str, path: PathBuf, kib: u32) -> Result<Option<Self>> {
        if !is_root() {
            skip(test, "only root may mount");
            return Ok(None);
        }
        fs::create_dir_all(&path)?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={kib}k,mode=0755"), "tmpfs"]).arg(&path);
        let outcome = Outcome::of(&mut mount).await?;
        if outcome.code != 0 {
            skip(test, &format!("cannot mount: {}", outcome.stderr.trim()));
            return Ok(None);
        }
        Ok(Some(Self(path)))
    }

    async fn remount(&self, option: &str) -> Result<()> {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,{option}")]).arg(&self.0);
        Outcome::of(&mut mount).await?.ok().map(|_| ())
    }

    /// Takes all room that is left.
    fn fill(&self) -> Result<()> {
        use std::io::Write;
        let mut file = fs::File::create(self.0.join("filler"))?;
        while file.write_all(&[0; 512]).is_ok() {}
        Ok(())
    }

    fn free(&self) -> Result<()> {
        Ok(fs::remove_file(self.0.join("filler"))?)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_is_new_and_keeps_what_is_there() -> Result<()> {
    let mut deployment = deployment()?;
    let data = deployment.path("small");
    let test = "faults::disks::a_full_disk_refuses_what_is_new_and_keeps_what_is_there";
    let Some(disk) = SmallDisk::mount(test, data.clone(), 2048).await? else { return Ok(()) };
    let options = ServerOptions { data_dir: Some(data), ..Default::default() };
    deployment.start_server(&options).await?;
    let (_agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 20).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;

    disk.fill()?;
    let mut acknowledged = 1;
    let refusal = loop {
        let id = format!("spiffe://example.org/more/{acknowledged}");
        match deployment.create_entry(entry(&parent, &id, &["unix:uid:54321"])?).await {
            Ok(_) => acknowledged += 1,
            Err(error) => break format!("{error:#}"),
        }
        ensure!(acknowledged < 5000, "the disk never fills");
    };
    assert!(refusal.contains("full"), "{refusal}");
    assert_eq!(deployment.entries().await?.len(), acknowledged);
    assert!(workload.x509().await.is_ok());

    disk.free()?;
    eventually("room again", async || {
        deployment.register(&parent, "spiffe://example.org/after", &["unix:uid:54321"], 60).await.ok()
    })
    .await?;
    deployment.server()?.kill().await?;
    deployment.restart_server().await?;
    assert_eq!(deployment.entries().await?.len(), acknowledged + 1);
    assert!(workload.x509().await.is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_on_a_full_disk_says_so_and_comes_when_there_is_room() -> Result<()> {
    let (deployment, nodes) = serving_nodes("").await?;
    let data = deployment.path("small");
    let test = "faults::disks::an_agent_on_a_full_disk_says_so_and_comes_when_there_is_room";
    let Some(disk) = SmallDisk::mount(test, data.clone(), 64).await? else { return Ok(()) };
    let plugin = nodes.agent_plugin("node", &[])?;
    let options = AgentOptions { node_attestor: Some(plugin), data_dir: Some(data), ..eager() };
    deployment.configure_agent("a", "", &options).await?;
    disk.fill()?;
    let mut agent = deployment.spawn_agent("a")?;
    agent.line("No space left on device").await?;
    let _ = agent.kill().await;
    disk.free()?;
    let _agent = deployment.restart_agent("a").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_data_directory_stops_the_server_and_stays_as_it_is() -> Result<()> {
    let mut deployment = deployment()?;
    let data = deployment.path("small");
    let test = "faults::disks::a_read_only_data_directory_stops_the_server_and_stays_as_it_is";
    let Some(disk) = SmallDisk::mount(test, data.clone(), 4096).await? else { return Ok(()) };
    let options = ServerOptions { data_dir: Some(data.clone()), ..Default::default() };
    deployment.start_server(&options).await?;
    deployment.server()?.stop().await?;
    let before = contents(&data)?;
    disk.remount("ro").await?;
    let server = deployment.spawn_server()?;
    assert!(!server.ended().await?.success());
    let output = server.output();
    ensure!(output.contains("writable") || output.contains("read-only"), "{output}");
    ensure!(output.contains(data.to_str().context("path")?), "it does not say where: {output}");
    ensure!(contents(&data)? == before, "files changed");
    disk.remount("rw").await?;
    deployment.restart_server().await?;
    Ok(())
}
