use super::*;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn me() -> WorkloadRef {
    let pid = i32::try_from(std::process::id()).unwrap();
    WorkloadRef { pid, uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
}

fn attestor(config: UnixConfig) -> UnixAttestor {
    UnixAttestor::reading(
        config,
        Places { proc: "/proc".into(), passwd: "/etc/passwd".into(), group: "/etc/group".into() },
    )
}

fn values(selectors: &[Selector]) -> Vec<&str> {
    selectors.iter().map(|selector| selector.value.as_str()).collect()
}

#[tokio::test]
async fn keeps_the_contract() {
    let config = UnixConfig { discover_workload_path: true, workload_size_limit: 0 };
    finial_plugin::conformance::workload_attestor::check(&attestor(config), &me()).await;
    finial_plugin::conformance::workload_attestor::check(&attestor(UnixConfig::default()), &me()).await;
}

#[tokio::test]
async fn the_test_itself() {
    let config = UnixConfig { discover_workload_path: true, workload_size_limit: -1 };
    let selectors = attestor(config).attest(&me()).await.unwrap();
    let values = values(&selectors);
    let path = std::env::current_exe().unwrap();
    assert!(values.contains(&format!("uid:{}", me().uid).as_str()), "{values:?}");
    assert!(values.contains(&format!("gid:{}", me().gid).as_str()), "{values:?}");
    assert!(values.contains(&format!("path:{}", path.display()).as_str()), "{values:?}");
    assert!(!values.iter().any(|value| value.starts_with("sha256:")), "below zero nothing is hashed");
}

#[tokio::test]
async fn an_executable_over_the_limit_fails_the_attestation() {
    let config = UnixConfig { discover_workload_path: true, workload_size_limit: 1 };
    let failure = attestor(config).attest(&me()).await.unwrap_err();
    assert!(failure.message.starts_with("SHA256 digest: workload /proc/"), "{}", failure.message);
    assert!(failure.message.contains("exceeds size limit ("), "{}", failure.message);
}

#[tokio::test]
async fn a_process_that_is_gone() {
    let mut child = Command::new("true").spawn().unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    child.wait().unwrap();
    let failure = attestor(UnixConfig::default()).attest(&WorkloadRef { pid, ..me() }).await.unwrap_err();
    assert_eq!(failure.message, "failed to get process: process does not exist");
}

#[tokio::test]
async fn a_child_of_another_user() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root starts processes of others");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (passwd, group) = (directory.path().join("passwd"), directory.path().join("group"));
    std::fs::write(&passwd, "worker:x:4242:4343:::\n").unwrap();
    std::fs::write(&group, "workers:x:4343:\n").unwrap();
    let child = Command::new("sleep").arg("60").uid(4242).gid(4343).stdout(Stdio::null()).spawn().unwrap();
    let child = Killed(child);
    let pid = i32::try_from(child.0.id()).unwrap();
    let config = UnixConfig { discover_workload_path: true, workload_size_limit: 0 };
    let attestor = UnixAttestor::reading(config, Places { proc: "/proc".into(), passwd, group });
    let selectors = attestor.attest(&WorkloadRef { pid, uid: 4242, gid: 4343 }).await.unwrap();
    let values = values(&selectors);
    assert_eq!(values[..4], ["uid:4242", "user:worker", "gid:4343", "group:workers"], "{values:?}");
    let [path, sha256] = values[values.len() - 2..] else { panic!("{values:?}") };
    let program = path.strip_prefix("path:").unwrap();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &std::fs::read(program).unwrap());
    assert_eq!(sha256, format!("sha256:{}", crate::hex::encode(digest.as_ref())));
}

#[tokio::test]
async fn a_foreign_proc() {
    let directory = tempfile::tempdir().unwrap();
    let process = directory.path().join("7");
    std::fs::create_dir(&process).unwrap();
    std::fs::write(process.join("status"), "Uid:\t1\t8\t1\t1\nGid:\t1\t9\t1\t1\nGroups:\t5 6 5 \n").unwrap();
    std::fs::write(directory.path().join("group"), "five:x:5:\nfifth:x:6:\n").unwrap();
    let places = Places {
        proc: directory.path().into(),
        passwd: directory.path().join("none"),
        group: directory.path().join("group"),
    };
    let attestor = UnixAttestor::reading(UnixConfig::default(), places);
    let selectors = attestor.attest(&WorkloadRef { pid: 7, uid: 0, gid: 0 }).await.unwrap();
    let wanted = [
        "uid:8",
        "gid:9",
        "supplementary_gid:5",
        "supplementary_group:five",
        "supplementary_gid:6",
        "supplementary_group:fifth",
    ];
    assert_eq!(values(&selectors), wanted);
}
