//! Listening sockets: opened before anything is announced, kept across reloads, closed first in a drain.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
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
    /// A Unix socket, and its path to remove at the end.
    Unix(UnixListener, PathBuf),
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
            Listen::Unix(path) => unix(path).map(|listener| Self::Unix(listener, path.clone())),
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
            Self::Unix(_, path) => Listen::Unix(path.clone()),
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

impl Drop for Bound {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
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
    running: HashMap<Listen, AbortHandle>,
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
    pub fn add(&mut self, listen: Listen, accept_loop: AbortHandle) {
        self.running.insert(listen, accept_loop);
    }

    /// Stops the loops of addresses that are no longer wanted; their connections go on.
    pub fn keep(&mut self, wanted: &[Listen]) {
        self.running.retain(|listen, accept_loop| {
            let keep = wanted.contains(listen);
            if !keep {
                accept_loop.abort();
            }
            keep
        });
    }
}
