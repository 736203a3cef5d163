//! Unix sockets: bound with the modes wanted, never over a living server, gone when dropped.

use super::path_authority::PathAuthority;
use super::{Listener, rest_after};
use crate::peer::UnixPeer;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::fs::{self, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net as std_net;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tonic::transport::server::Connected;

/// How many connections may wait to be accepted; the kernel has a limit of its own.
const BACKLOG: i32 = 4096;

/// Modes of a socket and of the directory made for it. They hold as they are, whatever the umask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnixSocketOptions {
    /// Mode of directories that had to be made; those that exist are left alone.
    pub directory_mode: u32,
    /// Mode of the socket.
    pub socket_mode: u32,
}

impl UnixSocketOptions {
    /// A server's admin socket: 0770 in 0750.
    pub const SERVER: Self = Self { directory_mode: 0o750, socket_mode: 0o770 };
    /// An agent's admin socket: 0770 in 0755.
    pub const AGENT_ADMIN: Self = Self { directory_mode: 0o755, socket_mode: 0o770 };
    /// An agent's Workload API: 0777 in 0755.
    pub const AGENT_PUBLIC: Self = Self { directory_mode: 0o755, socket_mode: 0o777 };
}

/// Why a socket could not be bound.
#[derive(Debug, thiserror::Error)]
pub enum UnixListenError {
    /// Somebody serves on it.
    #[error("socket {} is already in use by a running process", .0.display())]
    InUse(PathBuf),
    /// Something else is there, which is not ours to remove.
    #[error("{} exists and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Longer than the kernel takes.
    #[error("socket path {} is too long: the system allows 107 bytes", .0.display())]
    TooLong(PathBuf),
    /// The directory could not be made.
    #[error("unable to create socket directory {}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The system said no.
    #[error("unable to {step} socket {}", .path.display())]
    Socket {
        /// What was tried.
        step: &'static str,
        /// The socket.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// A listening Unix socket. Dropping it removes the socket, unless another one has taken its place.
#[derive(Debug)]
pub struct UnixListener {
    listener: tokio::net::UnixListener,
    path: PathBuf,
    /// Device and inode: by these a socket is known to be ours.
    identity: (u64, u64),
}

impl UnixListener {
    /// Makes the directory and binds the socket. A socket that nobody answers on is replaced.
    ///
    /// Must be called within a tokio runtime. Nobody can connect before the mode is set.
    pub fn bind(path: impl AsRef<Path>, options: UnixSocketOptions) -> Result<Self, UnixListenError> {
        let path = path.as_ref();
        let failed = |step| {
            move |error: rustix::io::Errno| UnixListenError::Socket {
                step,
                path: path.to_owned(),
                source: error.into(),
            }
        };
        let address = SocketAddrUnix::new(path).map_err(|_| UnixListenError::TooLong(path.to_owned()))?;
        make_directory(path, options.directory_mode)?;
        remove_stale(path, &address)?;
        let socket = new_socket().map_err(failed("create"))?;
        rustix::net::bind(&socket, &address).map_err(|error| match error {
            rustix::io::Errno::ADDRINUSE => UnixListenError::InUse(path.to_owned()),
            other => failed("bind")(other),
        })?;
        let listener = Self::listen(socket, path, options.socket_mode);
        if listener.is_err() {
            let _ = fs::remove_file(path);
        }
        listener
    }

    fn listen(socket: OwnedFd, path: &Path, mode: u32) -> Result<Self, UnixListenError> {
        let failed =
            |step| move |source: io::Error| UnixListenError::Socket { step, path: path.to_owned(), source };
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of"))?;
        let metadata = fs::symlink_metadata(path).map_err(failed("look at"))?;
        rustix::net::listen(&socket, BACKLOG).map_err(|error| failed("listen on")(error.into()))?;
        let listener = tokio::net::UnixListener::from_std(std_net::UnixListener::from(socket))
            .map_err(failed("register"))?;
        Ok(Self { listener, path: path.to_owned(), identity: (metadata.dev(), metadata.ino()) })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| (metadata.dev(), metadata.ino()) == self.identity);
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn new_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// Makes the directory of a socket, and those above it, each with the mode.
fn make_directory(path: &Path, mode: u32) -> Result<(), UnixListenError> {
    let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) else {
        return Ok(());
    };
    let missing: Vec<&Path> = directory
        .ancestors()
        .take_while(|ancestor| !ancestor.as_os_str().is_empty() && !ancestor.exists())
        .collect();
    for path in missing.into_iter().rev() {
        let made = match fs::create_dir(path) {
            Ok(()) => fs::set_permissions(path, Permissions::from_mode(mode)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        };
        made.map_err(|source| UnixListenError::Directory { path: path.to_owned(), source })?;
    }
    Ok(())
}

/// Removes a socket on which nobody answers.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), UnixListenError> {
    let failed =
        |step| move |source: io::Error| UnixListenError::Socket { step, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("look at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(UnixListenError::NotASocket(path.to_owned()));
        }
        Ok(_) => {}
    }
    let probe = new_socket().map_err(|error| failed("create")(error.into()))?;
    match rustix::net::connect(&probe, address) {
        Err(rustix::io::Errno::CONNREFUSED) => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove the stale")(error)),
            _ => Ok(()),
        },
        Err(rustix::io::Errno::NOENT) => Ok(()),
        // Somebody is there: at once, or too busy to say so, or with a socket of another type.
        Ok(())
        | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INPROGRESS | rustix::io::Errno::PROTOTYPE) => {
            Err(UnixListenError::InUse(path.to_owned()))
        }
        Err(error) => Err(failed("probe")(error.into())),
    }
}

impl Listener for UnixListener {
    type Connection = UnixConnection;

    async fn accept(&mut self) -> UnixConnection {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match UnixPeer::of(&stream) {
                    Ok(peer) => {
                        let authority = PathAuthority::default();
                        return UnixConnection { stream, peer: Arc::new(peer), authority };
                    }
                    Err(error) => tracing::warn!(%error, "Connection failed during accept"),
                },
                Err(error) => rest_after(error).await,
            }
        }
    }
}

/// An accepted connection. Its `ConnectInfo`, which handlers find among a request's extensions, is an
/// `Arc<UnixPeer>`.
#[derive(Debug)]
pub struct UnixConnection {
    stream: UnixStream,
    peer: Arc<UnixPeer>,
    authority: PathAuthority,
}

impl UnixConnection {
    /// Who is at the other end.
    pub fn peer(&self) -> &Arc<UnixPeer> {
        &self.peer
    }
}

impl Connected for UnixConnection {
    type ConnectInfo = Arc<UnixPeer>;

    fn connect_info(&self) -> Arc<UnixPeer> {
        self.peer.clone()
    }
}

impl AsyncRead for UnixConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.authority.pass(&mut buf.filled_mut()[before..]);
        read
    }
}

impl AsyncWrite for UnixConnection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
