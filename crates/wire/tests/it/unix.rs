//! Unix sockets: modes, stale sockets, foreign bytes.

use crate::echo::who_calls;
use finial_proto::server::debug::GetInfoRequest;
use finial_proto::server::debug::debug_client::DebugClient;
use finial_runtime::tasks::Shutdown;
use finial_wire::channel::{ChannelOptions, UnixTarget, unix_channel};
use finial_wire::listen::{UnixListenError, UnixListener, UnixSocketOptions};
use finial_wire::serve::{ServeOptions, serve};
use finial_wire::status::RpcError;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn modes_and_removal() {
    let folder = tempfile::tempdir().unwrap();
    for (name, options) in [
        ("server", UnixSocketOptions::SERVER),
        ("admin", UnixSocketOptions::AGENT_ADMIN),
        ("public", UnixSocketOptions::AGENT_PUBLIC),
    ] {
        let directory = folder.path().join(name);
        let path = directory.join("deep/api.sock");
        let listener = UnixListener::bind(&path, options).unwrap();
        assert_eq!(listener.path(), path);
        assert_eq!(mode(&path), options.socket_mode, "{name}");
        assert_eq!(mode(path.parent().unwrap()), options.directory_mode, "{name}");
        assert_eq!(mode(&directory), options.directory_mode, "{name}");
        drop(listener);
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the standard library leaves it");
    let listener = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap();
    let error = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap_err();
    assert!(matches!(error, UnixListenError::InUse(_)));
    assert_eq!(
        error.to_string(),
        format!("socket {} is already in use by a running process", path.display())
    );
    tokio::net::UnixStream::connect(&path).await.unwrap();
    drop(listener);
    assert!(!path.exists());
}

#[tokio::test]
async fn what_is_no_socket_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    fs::write(&path, "precious").unwrap();
    let error = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap_err();
    assert!(matches!(error, UnixListenError::NotASocket(_)), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let link = folder.path().join("link.sock");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(
        UnixListener::bind(&link, UnixSocketOptions::SERVER).unwrap_err(),
        UnixListenError::NotASocket(_)
    ));
    let long = folder.path().join("x".repeat(120));
    assert!(matches!(
        UnixListener::bind(long, UnixSocketOptions::SERVER).unwrap_err(),
        UnixListenError::TooLong(_)
    ));
    let below = path.join("api.sock");
    assert!(UnixListener::bind(below, UnixSocketOptions::SERVER).is_err());
}

#[tokio::test]
async fn another_socket_in_its_place_is_not_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let first = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap();
    fs::remove_file(&path).unwrap();
    let _second = UnixListener::bind(&path, UnixSocketOptions::SERVER).unwrap();
    drop(first);
    assert!(path.exists());
}

#[tokio::test]
async fn case_144_callers_are_known_and_foreign_bytes_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.sock");
    let listener = UnixListener::bind(&path, UnixSocketOptions::AGENT_PUBLIC).unwrap();
    let shutdown = Shutdown::new();
    let served = tokio::spawn(serve(listener, who_calls(), ServeOptions::unix(), shutdown.clone()));

    // Case 144: the beginning of a TLS ClientHello.
    let mut foreign = tokio::net::UnixStream::connect(&path).await.unwrap();
    foreign.write_all(&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await.unwrap();
    foreign.write_all(&[7; 505]).await.unwrap();
    let mut rest = Vec::new();
    let _ = foreign.read_to_end(&mut rest).await;

    let channel = unix_channel(UnixTarget::new(&path), &ChannelOptions::default());
    let answer = DebugClient::new(channel).get_info(GetInfoRequest {}).await.unwrap().into_inner();
    assert_eq!(answer.agents_count, i32::try_from(std::process::id()).unwrap());
    shutdown.stop();
    assert_eq!(served.await.unwrap().cut, 0);
    assert!(!path.exists());
}

#[tokio::test]
async fn nobody_there() {
    for (target, shown) in [
        (UnixTarget::new("/nonexistent/api.sock"), "/nonexistent/api.sock"),
        (UnixTarget::new("/nonexistent/api.sock").shown_as_uri(), "///nonexistent/api.sock"),
    ] {
        let channel = unix_channel(target, &ChannelOptions::default());
        let status = DebugClient::new(channel).get_info(GetInfoRequest {}).await.unwrap_err();
        assert_eq!(
            RpcError(&status).to_string(),
            format!(
                "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial unix {shown}: connect: no such file or directory\""
            )
        );
    }
}
