//! What goes wrong on real machines: disks, files, networks, clocks, two of a kind.

use crate::{EAGER, deployment, has_ids, own_uid, serving, serving_nodes};
use anyhow::{Context, Result, ensure};
use finial_testkit::{
    AgentOptions, Deployment, FakeTime, Outcome, Proxy, ServerOptions, Workload, entry, eventually, is_root,
    skip,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::process::Command;

const ID: &str = "spiffe://example.org/w";

fn eager() -> AgentOptions {
    AgentOptions { agent: EAGER.to_owned(), ..Default::default() }
}

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

fn contents(directory: &Path) -> Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut files = Vec::new();
    for file in fs::read_dir(directory)? {
        let path = file?.path();
        files.push((path.clone(), fs::read(&path)?));
    }
    files.sort();
    Ok(files)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_is_new_and_keeps_what_is_there() -> Result<()> {
    let mut deployment = deployment()?;
    let data = deployment.path("small");
    let test = "faults::a_full_disk_refuses_what_is_new_and_keeps_what_is_there";
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
    let test = "faults::an_agent_on_a_full_disk_says_so_and_comes_when_there_is_room";
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
    let test = "faults::a_read_only_data_directory_stops_the_server_and_stays_as_it_is";
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

/// What may stand in a file instead of what belongs there.
fn spoiled(whole: &[u8]) -> [(&'static str, Vec<u8>); 3] {
    let truncated = whole[..whole.len() / 2].to_vec();
    [("truncated", truncated), ("empty", Vec::new()), ("foreign", b"{\"hello\": [1, 2, 3]}\n".to_vec())]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_key_file_stops_the_server_and_is_left_in_place() -> Result<()> {
    let mut deployment = serving("", "").await?;
    deployment.server()?.stop().await?;
    let path = deployment.path("server/keys.json");
    let whole = fs::read(&path)?;
    for (how, spoiled) in spoiled(&whole) {
        fs::write(&path, &spoiled)?;
        let server = deployment.spawn_server()?;
        ensure!(!server.ended().await?.success(), "{how}: it runs");
        let named = server.line_after_end(path.to_str().context("path")?).await;
        named.with_context(|| format!("{how}: it does not name the file"))?;
        let output = server.output();
        ensure!(output.contains("backup"), "{how}: it does not tell the way back: {output}");
        ensure!(fs::read(&path)? == spoiled, "{how}: it changed the file");
    }
    fs::write(&path, &whole)?;
    deployment.restart_server().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spoiled_database_stops_the_server_and_is_left_in_place() -> Result<()> {
    let mut deployment = serving("", "").await?;
    deployment.server()?.stop().await?;
    let path = deployment.path("server/datastore.sqlite3");
    let whole = fs::read(&path)?;
    let foreign =
        b"this is not a database, and it is long enough to be looked at as one by mistake ".repeat(20);
    for (how, spoiled) in [("truncated", whole[..whole.len() / 2].to_vec()), ("foreign", foreign)] {
        fs::write(&path, &spoiled)?;
        let server = deployment.spawn_server()?;
        ensure!(!server.ended().await?.success(), "{how}: it runs");
        let named = server.line_after_end(path.to_str().context("path")?).await;
        named.with_context(|| format!("{how}: it does not name the file"))?;
        ensure!(fs::read(&path)? == spoiled, "{how}: it changed the file");
    }
    fs::write(&path, &whole)?;
    deployment.restart_server().await
}

#[tokio::test(flavor = "multi_thread")]
async fn spoiled_files_of_an_agent_are_set_aside_and_it_attests_again() -> Result<()> {
    let (deployment, nodes) = serving_nodes("").await?;
    let mut agent = deployment.start_agent_with("a", nodes.agent_plugin("node", &[])?, EAGER).await?;
    agent.stop().await?;
    for file in ["agent-data.json", "keys.json"] {
        let path = deployment.path(&format!("a/data/{file}"));
        let whole = fs::read(&path)?;
        for (how, spoiled) in spoiled(&whole) {
            fs::write(&path, &spoiled)?;
            let mut agent = deployment.restart_agent("a").await.with_context(|| format!("{how} {file}"))?;
            agent.line("Node attestation was successful").await?;
            let output = agent.output();
            ensure!(output.contains(path.to_str().context("path")?), "{how} {file} is not named: {output}");
            agent.stop().await?;
            let aside = contents(&deployment.path("a/data"))?.into_iter().any(|(path, kept)| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(file))
                    && !path.ends_with(file)
                    && kept == spoiled
            });
            ensure!(aside, "{how} {file} was not kept aside");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_for_a_server_that_is_not_there_yet() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let token = deployment.token().await?;
    deployment.configure_agent("a", &token, &eager()).await?;
    deployment.server()?.stop().await?;
    let mut agent = deployment.spawn_agent("a")?;
    agent.line("connection refused").await?;
    deployment.restart_server().await?;
    agent.line("Starting agent APIs").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_serves_what_it_has_while_the_server_is_away() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 30).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let mut watch = workload.watch_x509().await?;
    let before = watch.next().await?.svid(ID)?.serial();
    let (_, token) = workload.jwt("somebody").await?.pop().context("no token")?;

    deployment.server()?.kill().await?;
    agent.line("connection refused").await?;
    for _ in 0..5 {
        assert_eq!(workload.x509().await?.svid(ID)?.serial(), before);
        assert_eq!(workload.jwt("somebody").await?, [(ID.to_owned(), token.clone())]);
        assert_eq!(workload.validate("somebody", &token).await?, ID);
    }
    deployment.restart_server().await?;
    // The connected workload gets the next SVID over the stream that it holds.
    let after = watch.next().await?.svid(ID)?.serial();
    assert_ne!(before, after);
    assert!(agent.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_resets_and_fails_is_survived() -> Result<()> {
    let deployment = serving("", "").await?;
    let network = Proxy::to(deployment.port()).await?;
    let options = AgentOptions { server_port: Some(network.port()), ..eager() };
    let (mut agent, parent) = deployment.start_agent("a", &options).await?;
    let mut stored = deployment.create_entry(entry(&parent, ID, &[&own_uid()])?).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let mut watch = workload.watch_x509().await?;
    watch.next().await?;
    for round in 0..3 {
        network.reset();
        stored.dns_names = vec![format!("round-{round}.example.org")];
        stored = deployment.update_entry(stored).await?;
        let update = tokio::time::timeout(Duration::from_secs(20), watch.next()).await??;
        assert_eq!(update.svid(ID)?.leaf().dns_names(), stored.dns_names);
    }
    network.cut();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(workload.x509().await.is_ok());
    network.mend();
    stored.dns_names = vec!["mended.example.org".to_owned()];
    let stored = deployment.update_entry(stored).await?;
    let update = tokio::time::timeout(Duration::from_secs(20), watch.next()).await??;
    assert_eq!(update.svid(ID)?.leaf().dns_names(), stored.dns_names);
    assert!(agent.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_or_agent_on_the_same_socket_gives_way() -> Result<()> {
    let mut deployment = serving("", "").await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 60).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;

    let mut second = deployment.spawn_agent("a")?;
    assert!(!second.ended().await?.success());
    ensure!(second.output().contains("already in use"), "{}", second.output());
    let mut first = deployment.server.take().context("server")?;
    let second = deployment.spawn_server()?;
    assert!(!second.ended().await?.success());
    ensure!(second.output().contains("already in use"), "{}", second.output());

    assert!(first.is_running() && agent.is_running());
    has_ids(&workload, &[ID]).await?;
    assert_eq!(deployment.entries().await?.len(), 1);
    Ok(())
}

/// Processes whose clock the test moves.
fn with_clock(test: &str) -> Result<Option<(Deployment, FakeTime)>> {
    let mut deployment = deployment()?;
    let Some(clock) = FakeTime::new(deployment.directory()) else {
        skip(test, "libfaketime is not on this machine");
        return Ok(None);
    };
    let clock = clock?;
    deployment.environment = clock.environment();
    Ok(Some((deployment, clock)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_forward_renews_everything() -> Result<()> {
    let test = "faults::a_clock_that_jumps_forward_renews_everything";
    let Some((mut deployment, mut clock)) = with_clock(test)? else { return Ok(()) };
    let server = "agent_ttl = \"12h\"\n    default_x509_svid_ttl = \"1h\"".to_owned();
    deployment.start_server(&ServerOptions { server, ..Default::default() }).await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 3600).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;
    let mut watch = workload.watch_x509().await?;
    let before = watch.next().await?.svid(ID)?.serial();

    clock.set_offset(2 * 3600)?;
    let update = tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            // Anything but an SVID that is good by the new clock is passed over, once.
            match watch.next_at(|| clock.now()).await {
                Ok(update) if update.svid(ID)?.serial() != before => return anyhow::Ok(update),
                _ => {}
            }
        }
    });
    update.await.with_context(|| agent.output())??;
    assert!(agent.is_running() && deployment.server()?.is_running());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_leaves_workloads_served() -> Result<()> {
    let test = "faults::a_clock_that_is_set_back_leaves_workloads_served";
    let Some((mut deployment, mut clock)) = with_clock(test)? else { return Ok(()) };
    let server = "default_x509_svid_ttl = \"1h\"".to_owned();
    deployment.start_server(&ServerOptions { server, ..Default::default() }).await?;
    let (mut agent, parent) = deployment.start_agent("a", &eager()).await?;
    deployment.register(&parent, ID, &[&own_uid()], 30).await?;
    let workload = Workload::of(deployment.agent_socket("a"));
    has_ids(&workload, &[ID]).await?;

    clock.set_offset(-1800)?;
    for _ in 0..20 {
        assert!(workload.x509().await.is_ok());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(agent.is_running() && deployment.server()?.is_running());

    clock.set_offset(0)?;
    let before = workload.x509().await?.svid(ID)?.serial();
    eventually("the next SVID", async || {
        let svid = workload.x509().await.ok()?;
        (svid.svid(ID).ok()?.serial() != before).then_some(())
    })
    .await?;
    Ok(())
}
