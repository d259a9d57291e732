//! Listening sockets: opened before anything is announced, kept across reloads, closed first in a drain.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket as Socket2, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::AbortHandle;

use crate::base::clock;
use crate::base::rarely::Rarely;
use crate::config::types::Listen;

/// How many connections the kernel keeps for us between two looks.
const BACKLOG: i32 = 4096;
/// The pause after the system has run out of file descriptors: time for some to come back.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// A listening socket.
#[derive(Debug)]
pub enum Bound {
    /// TCP.
    Tcp(TcpListener),
    /// A Unix socket, and its file.
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket. Whose it is removes it at the end.
#[derive(Debug)]
pub struct SocketFile {
    path: PathBuf,
    /// Whether a program of ours made it, this one or one before; systemd keeps its own.
    made_by_us: bool,
    /// Whether it goes with us.
    is_ours: AtomicBool,
}

impl SocketFile {
    /// One that we have just made.
    fn made(path: PathBuf) -> Self {
        Self {
            path,
            made_by_us: true,
            is_ours: AtomicBool::new(true),
        }
    }

    /// One that came with its socket, and stays for now.
    pub(super) fn given(path: PathBuf, made_by_us: bool) -> Self {
        Self {
            path,
            made_by_us,
            is_ours: AtomicBool::new(false),
        }
    }
}

impl SocketFile {
    /// Removes it, if it is ours. Once: by then another program may have made one of that name.
    fn remove(&self) {
        if self.is_ours.swap(false, Ordering::AcqRel) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        self.remove();
    }
}

/// An accepted connection.
#[derive(Debug)]
pub enum Socket {
    /// TCP, and where it comes from.
    Tcp(TcpStream, SocketAddr),
    /// A Unix socket.
    Unix(UnixStream),
}

impl Bound {
    /// Opens the address.
    ///
    /// # Errors
    /// One sentence that names the address.
    pub fn open(listen: &Listen) -> Result<Self, String> {
        let opened = match listen {
            Listen::Tcp(address) => tcp(*address).map(Self::Tcp),
            Listen::Unix(path) => {
                unix(path).map(|listener| Self::Unix(listener, SocketFile::made(path.clone())))
            }
        };
        opened.map_err(|error| format!("cannot listen on {}: {}", shown(listen, "tcp"), plain(&error)))
    }

    /// The address that it is bound to: the port that the system chose where the config says 0.
    pub fn address(&self) -> Listen {
        match self {
            Self::Tcp(listener) => {
                let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
                Listen::Tcp(listener.local_addr().unwrap_or(unknown))
            }
            Self::Unix(_, file) => Listen::Unix(file.path.clone()),
        }
    }

    /// The same socket once more, for another program.
    ///
    /// # Errors
    /// The system has no file descriptor left.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(listener) => listener.as_fd().try_clone_to_owned(),
            Self::Unix(listener, _) => listener.as_fd().try_clone_to_owned(),
        }
    }

    /// Whether it has a file that goes from one program of ours to the next.
    pub fn has_file_of_ours(&self) -> bool {
        matches!(self, Self::Unix(_, file) if file.made_by_us)
    }

    fn remove_file(&self) {
        if let Self::Unix(_, file) = self {
            file.remove();
        }
    }

    /// Its file, if a program of ours made it, is ours from now on, or not any longer.
    pub fn own_file(&self, is_ours: bool) {
        if let Self::Unix(_, file) = self {
            file.is_ours.store(is_ours && file.made_by_us, Ordering::Release);
        }
    }

    /// The next connection. Failures of a single connection are passed over; out of file descriptors, it waits, and says
    /// so now and then.
    pub async fn accept(&self, trouble: &Rarely) -> Socket {
        loop {
            let accepted = match self {
                Self::Tcp(listener) => listener
                    .accept()
                    .await
                    .map(|(stream, from)| Socket::Tcp(stream, from)),
                Self::Unix(listener, _) => listener.accept().await.map(|(stream, _)| Socket::Unix(stream)),
            };
            match accepted {
                Ok(socket) => return socket,
                Err(error) if of_one_connection(&error) => {}
                Err(error) => {
                    if trouble.is_due(clock::now()) {
                        tracing::warn!(error = %error, "cannot accept connections; trying again");
                    }
                    tokio::time::sleep(OUT_OF_FILES).await;
                }
            }
        }
    }
}

fn of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket2::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the old connections' last minute.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// A socket file that nobody listens on any longer is removed; one in use is left alone.
fn unix(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        done => done,
    }
}

fn is_stale(path: &Path) -> bool {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.file_type().is_socket());
    is_socket && std::os::unix::net::UnixStream::connect(path).is_err()
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "the address is in use; stop the other program or choose another port".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "no permission; choose a port above 1023 or another path".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address".to_owned(),
        _ => error.to_string(),
    }
}

/// An address as a person would use it: a URL, or `unix:` and a path.
pub fn shown(listen: &Listen, scheme: &str) -> String {
    match listen {
        Listen::Tcp(address) => format!("{scheme}://{address}"),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

/// The accept loops that run, by the address that the config names.
#[derive(Debug, Default)]
pub struct Listeners {
    running: HashMap<Listen, Running>,
}

/// One of them, and its socket.
#[derive(Debug)]
struct Running {
    bound: Arc<Bound>,
    accept_loop: AbortHandle,
}

impl Listeners {
    /// Those of `wanted` that do not run yet.
    pub fn missing(&self, wanted: &[Listen]) -> Vec<Listen> {
        wanted
            .iter()
            .filter(|listen| !self.running.contains_key(listen))
            .cloned()
            .collect()
    }

    /// Notes a loop that runs.
    pub fn add(&mut self, listen: Listen, bound: Arc<Bound>, accept_loop: AbortHandle) {
        self.running.insert(listen, Running { bound, accept_loop });
    }

    /// The sockets of all that run.
    pub fn sockets(&self) -> impl Iterator<Item = &Arc<Bound>> {
        self.running.values().map(|running| &running.bound)
    }

    /// Stops the loops of addresses that are no longer wanted; their connections go on.
    pub fn keep(&mut self, wanted: &[Listen]) {
        self.running.retain(|listen, running| {
            let keep = wanted.contains(listen);
            if !keep {
                running.accept_loop.abort();
                // At once: the loop lets go of its socket a little later, and the program may have ended by then.
                running.bound.remove_file();
            }
            keep
        });
    }
}
