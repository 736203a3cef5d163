//! Pinning a caller: a child process that connects, and then ends.

use finial_wire::listen::{Listener, UnixListener, UnixSocketOptions};
use finial_wire::peer::{PeerError, ProcessHandle};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::io::Read;
use std::process::{Child, Command, Stdio};

const SOCKET: &str = "FINIAL_TEST_CHILD_SOCKET";

/// Not a test by itself: what the child runs. It connects and waits until its standard input ends.
#[test]
fn child() {
    let Ok(path) = std::env::var(SOCKET) else { return };
    let _stream = std::os::unix::net::UnixStream::connect(path).unwrap();
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}

fn spawn(path: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "peer::child"])
        .env(SOCKET, path)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_caller_that_ends_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let mut listener = UnixListener::bind(&path, UnixSocketOptions::AGENT_PUBLIC).unwrap();
    let mut child = spawn(&path);
    let connection = listener.accept().await;
    let peer = connection.peer();
    assert_eq!(peer.pid, i32::try_from(child.id()).unwrap());
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    assert!(peer.process.start_time() > 0);
    peer.process.is_alive_and_same().unwrap();

    child.kill().unwrap();
    // Until it is waited for the child is a zombie, whose number and entry in /proc remain.
    while peer.process.is_alive_and_same().is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(matches!(peer.process.is_alive_and_same(), Err(PeerError::Ended)));
    child.wait().unwrap();
    assert!(matches!(peer.process.is_alive_and_same(), Err(PeerError::Ended)));
}

#[test]
fn who_cannot_be_pinned() {
    let own = i32::try_from(std::process::id()).unwrap();
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let pin = |pid, uid, gid| ProcessHandle::pin(pid, uid, gid, None);
    assert!(pin(own, uid, gid).is_ok());
    for nobody in [0, -1, i32::MIN] {
        let error = pin(nobody, uid, gid).unwrap_err();
        assert_eq!(error.to_string(), "could not resolve caller information");
    }
    assert!(matches!(pin(i32::MAX, uid, gid), Err(PeerError::Ended | PeerError::Open(_))));
    let error = pin(own, uid + 1, gid).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("new process detected: process uid {uid} does not match original caller {}", uid + 1)
    );
    assert!(matches!(pin(own, uid, gid + 1), Err(PeerError::OtherGroup { .. })));

    let parent = rustix::process::getppid().unwrap();
    let other = pidfd_open(parent, PidfdFlags::empty()).unwrap();
    assert!(matches!(ProcessHandle::pin(own, uid, gid, Some(other)), Err(PeerError::Mismatch)));
    let same = pidfd_open(Pid::from_raw(own).unwrap(), PidfdFlags::empty()).unwrap();
    assert!(ProcessHandle::pin(own, uid, gid, Some(same)).is_ok());
}
