//! Who is at the other end of a Unix socket, pinned so that it cannot become somebody else.
//!
//! For the Workload API, which attests its callers by process ID, and for admin sockets. A process ID alone is
//! worth nothing once the process has ended, for the kernel gives it to another. So a [`ProcessHandle`] is
//! taken right after a connection is accepted, and asked again when attestation is done.

use nix::sys::socket::{getsockopt, sockopt};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// The process that connected, as the kernel recorded it at that moment.
#[derive(Debug)]
pub struct UnixPeer {
    /// Process ID, in our own PID namespace.
    pub pid: i32,
    /// Effective user ID.
    pub uid: u32,
    /// Effective group ID.
    pub gid: u32,
    /// The process itself.
    pub process: ProcessHandle,
}

/// A process that is held on to.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: i32,
    uid: u32,
    gid: u32,
    /// Refers to the process whatever becomes of its number. `None` on kernels before 5.3.
    pidfd: Option<OwnedFd>,
    /// Field 22 of `/proc/<pid>/stat`, in clock ticks since boot.
    start_time: u64,
}

/// Why a caller could not be pinned, or is no longer who it was. The texts are SPIRE's where it has one.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The kernel did not tell.
    #[error("could not resolve caller information")]
    Credentials(#[source] io::Error),
    /// The process is not visible from here, for example because it is in another PID namespace.
    #[error("could not resolve caller information")]
    Invisible,
    /// The process could not be opened.
    #[error("could not open caller's process")]
    Open(#[source] io::Error),
    /// The socket belongs to another process than the credentials say.
    #[error("caller credentials and process do not match")]
    Mismatch,
    /// `/proc` could not be read.
    #[error("could not read caller stat")]
    Stat(#[source] io::Error),
    /// `/proc` could not be understood.
    #[error("bad stat data or unsupported platform")]
    BadStat,
    /// The process has ended.
    #[error("caller exit suspected: process has ended")]
    Ended,
    /// The process could not be asked.
    #[error("caller exit suspected due to failed poll")]
    Poll(#[source] io::Error),
    /// Another process has the number now.
    #[error("new process detected: process starttime {found} does not match original caller {expected}")]
    OtherStart {
        /// When the caller started.
        expected: u64,
        /// When the process of that number started.
        found: u64,
    },
    /// The user is another one.
    #[error("new process detected: process uid {found} does not match original caller {expected}")]
    OtherUser {
        /// The caller's.
        expected: u32,
        /// The one now.
        found: u32,
    },
    /// The group is another one.
    #[error("new process detected: process gid {found} does not match original caller {expected}")]
    OtherGroup {
        /// The caller's.
        expected: u32,
        /// The one now.
        found: u32,
    },
}

impl UnixPeer {
    /// Reads the credentials of a connected socket's peer and pins its process.
    ///
    /// Where the kernel has it (6.5 and later) the process that connected is pinned by the socket itself, so
    /// that there is no moment in which it could have been replaced. Elsewhere it is opened by its number.
    pub fn of(socket: impl AsFd) -> Result<Self, PeerError> {
        let fd = socket.as_fd();
        // Not by rustix: there the process ID cannot be 0, which the kernel says of other PID namespaces.
        let credentials = getsockopt(&fd, sockopt::PeerCredentials)
            .map_err(|error| PeerError::Credentials(error.into()))?;
        let (pid, uid, gid) = (credentials.pid(), credentials.uid(), credentials.gid());
        let process = ProcessHandle::pin(pid, uid, gid, pidfd_of_peer(&fd))?;
        Ok(Self { pid, uid, gid, process })
    }
}

/// `SO_PEERPIDFD`, if the kernel knows it.
fn pidfd_of_peer(fd: &impl AsFd) -> Option<OwnedFd> {
    getsockopt(fd, sockopt::PeerPidfd).ok()
}

impl ProcessHandle {
    /// Pins the process with this number, which should have this effective user and group; by a descriptor of
    /// it if there is one already.
    pub fn pin(pid: i32, uid: u32, gid: u32, pidfd: Option<OwnedFd>) -> Result<Self, PeerError> {
        let number = Some(pid).filter(|pid| *pid > 0).and_then(Pid::from_raw).ok_or(PeerError::Invisible)?;
        let pidfd = match pidfd {
            Some(pidfd) if pid_of(&pidfd)? == pid => Some(pidfd),
            Some(_) => return Err(PeerError::Mismatch),
            None => match pidfd_open(number, PidfdFlags::empty()) {
                Ok(pidfd) => Some(pidfd),
                // Kernels before 5.3, and sandboxes that know of no such call.
                Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => None,
                Err(rustix::io::Errno::SRCH) => return Err(PeerError::Ended),
                Err(error) => return Err(PeerError::Open(error.into())),
            },
        };
        let handle = Self { pid, uid, gid, pidfd, start_time: start_time(pid)? };
        handle.is_alive_and_same()?;
        Ok(handle)
    }

    /// The process ID.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// When the process started, in clock ticks since boot: with the process ID a name that is not given again
    /// before the next boot.
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Checks that the process has not ended, that its number has not gone to another, and that it runs as the
    /// same user and group. Reads `/proc`, so it costs some microseconds and may be called from async code.
    pub fn is_alive_and_same(&self) -> Result<(), PeerError> {
        self.require_alive()?;
        let found = start_time(self.pid)?;
        if found != self.start_time {
            return Err(PeerError::OtherStart { expected: self.start_time, found });
        }
        let (uid, gid) = owner(self.pid)?;
        if uid != self.uid {
            return Err(PeerError::OtherUser { expected: self.uid, found: uid });
        }
        if gid != self.gid {
            return Err(PeerError::OtherGroup { expected: self.gid, found: gid });
        }
        // Whatever was read above belongs to the process only if it is still there.
        self.require_alive()
    }

    /// A descriptor of a process can be read once the process has ended.
    fn require_alive(&self) -> Result<(), PeerError> {
        let Some(pidfd) = &self.pidfd else { return Ok(()) };
        let mut wanted = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut wanted, Some(&Timespec::default())) {
            Ok(0) => Ok(()),
            Ok(_) => Err(PeerError::Ended),
            Err(error) => Err(PeerError::Poll(error.into())),
        }
    }
}

/// The number of the process that a descriptor refers to; -1 of one that has been reaped, 0 of one that is in
/// another PID namespace.
fn pid_of(pidfd: &OwnedFd) -> Result<i32, PeerError> {
    let info =
        fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).map_err(PeerError::Stat)?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).and_then(|pid| pid.trim().parse().ok());
    match pid.ok_or(PeerError::BadStat)? {
        -1 => Err(PeerError::Ended),
        0 => Err(PeerError::Invisible),
        pid => Ok(pid),
    }
}

fn start_time(pid: i32) -> Result<u64, PeerError> {
    let stat = fs::read(format!("/proc/{pid}/stat")).map_err(gone_or(PeerError::Stat))?;
    parse_start_time(&String::from_utf8_lossy(&stat)).ok_or(PeerError::BadStat)
}

/// Field 22; field 2 is a name in parentheses that may itself hold blanks and parentheses.
fn parse_start_time(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Effective user and group. Not taken from the owner of the directory, as SPIRE does, for that is root for
/// processes that may not be dumped.
fn owner(pid: i32) -> Result<(u32, u32), PeerError> {
    let status = fs::read(format!("/proc/{pid}/status")).map_err(gone_or(PeerError::Stat))?;
    let status = String::from_utf8_lossy(&status);
    let effective = |name: &str| {
        let values = status.lines().find_map(|line| line.strip_prefix(name))?;
        values.split_ascii_whitespace().nth(1)?.parse().ok()
    };
    effective("Uid:").zip(effective("Gid:")).ok_or(PeerError::BadStat)
}

fn gone_or(other: fn(io::Error) -> PeerError) -> impl Fn(io::Error) -> PeerError {
    move |error| {
        let is_gone = error.kind() == io::ErrorKind::NotFound
            || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
        if is_gone { PeerError::Ended } else { other(error) }
    }
}
