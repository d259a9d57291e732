//! Sockets that are open before the program begins: given by systemd, or handed over by the program that ran before.
//!
//! Both come as systemd's protocol says: file descriptors from 3 on, `LISTEN_FDS` of them, named by `LISTEN_FDNAMES`. The
//! names that we give tell which listener a socket is for, and whose the file of a Unix socket is.

use std::io;
use std::net::TcpListener as StdTcp;
use std::os::unix::net::{UnixDatagram, UnixListener as StdUnix};

use listenfd::ListenFd;
use tokio::net::{TcpListener, UnixListener};

use super::bind::{Bound, SocketFile, shown};
use crate::base::env;
use crate::config::types::Listen;

/// The names of what a program hands to the next.
const MAIN: &str = "handed-main";
const MAIN_WITH_FILE: &str = "handed-main-file";
const ADMIN: &str = "handed-admin";
const ADMIN_WITH_FILE: &str = "handed-admin-file";
/// The name of the socket over which the next program says that it serves.
pub const READY: &str = "handed-ready";
/// What it says.
pub const SERVING: &[u8] = b"serving";

/// Which listener a socket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The main one.
    Main,
    /// The admin's.
    Admin,
}

/// What a socket's name says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Label {
    /// For which listener a program of ours had it.
    role: Option<Role>,
    /// Whether its file is of our making.
    with_file: bool,
}

impl Label {
    fn read(name: &str) -> Self {
        let (role, with_file) = match name {
            MAIN => (Some(Role::Main), false),
            MAIN_WITH_FILE => (Some(Role::Main), true),
            ADMIN => (Some(Role::Admin), false),
            ADMIN_WITH_FILE => (Some(Role::Admin), true),
            _ => (None, false),
        };
        Self { role, with_file }
    }

    fn name(self) -> &'static str {
        match (self.role, self.with_file) {
            (Some(Role::Admin), true) => ADMIN_WITH_FILE,
            (Some(Role::Admin), false) => ADMIN,
            (_, true) => MAIN_WITH_FILE,
            (_, false) => MAIN,
        }
    }
}

/// Under which name a socket is handed over.
pub fn handed(role: Role, bound: &Bound) -> &'static str {
    let label = Label {
        role: Some(role),
        with_file: bound.has_file_of_ours(),
    };
    label.name()
}

#[derive(Debug)]
enum Open {
    Tcp(StdTcp),
    Unix(StdUnix),
}

/// One that no listener has taken yet.
#[derive(Debug)]
struct Given {
    label: Label,
    address: Listen,
    open: Open,
}

/// What came with the start of the program.
#[derive(Debug, Default)]
pub struct Inherited {
    given: Vec<Given>,
    /// To tell the program that ran before that this one serves.
    before: Option<UnixDatagram>,
    /// What came and is of no use: sentences for the log.
    useless: Vec<String>,
}

impl Inherited {
    /// All that the environment tells of. It is told once: a second call finds nothing. To be called while the program
    /// has one thread, since it takes the variables out of the environment.
    pub fn from_environment() -> Self {
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut all = ListenFd::from_env();
        let mut inherited = Self::default();
        for at in 0..all.len() {
            let name = names.split(':').nth(at).unwrap_or_default();
            if let Err(error) = inherited.keep(name, at, &mut all) {
                inherited.useless.push(format!("of no use is {error}"));
            }
        }
        inherited
    }

    fn keep(&mut self, name: &str, at: usize, all: &mut ListenFd) -> io::Result<()> {
        if name == READY {
            self.before = all.take_unix_datagram(at)?;
            return Ok(());
        }
        let open = match all.take_unix_listener(at) {
            Ok(Some(socket)) => Open::Unix(socket),
            _ => match all.take_tcp_listener(at)? {
                Some(socket) => Open::Tcp(socket),
                None => return Ok(()),
            },
        };
        self.given.push(Given {
            label: Label::read(name),
            address: open.address()?,
            open,
        });
        Ok(())
    }

    /// The socket for an address that the config names, if it is there.
    ///
    /// # Errors
    /// One sentence: the system does not let us use it.
    pub fn take(&mut self, role: Role, wanted: &Listen) -> Result<Option<Bound>, String> {
        let found = self
            .given
            .iter()
            .position(|given| serves(given.label, &given.address, (role, wanted)));
        let taken = found.map(|at| self.given.swap_remove(at).into_bound());
        let failed = |error| format!("cannot use the socket at {}: {error}", shown(wanted, "tcp"));
        taken.transpose().map_err(failed)
    }

    /// Whether a program of ours ran before, and waits to hear that this one serves.
    pub fn is_successor(&self) -> bool {
        self.before.is_some()
    }

    /// All addresses are served: the program before is told so, and what nobody has taken is closed. Says what was of
    /// no use.
    pub fn settle(mut self) -> Vec<String> {
        if let Some(before) = self.before.take() {
            // It may be gone: then nobody waits.
            let _ = before.send(SERVING);
        }
        let mut useless = self.useless;
        for given in self.given {
            let at = shown(&given.address, "tcp");
            useless.push(format!("no `listen` names the socket at {at}; it is closed here"));
            if let Ok(bound) = given.into_bound() {
                // The file that a program of ours made goes with the address.
                bound.own_file(true);
            }
        }
        useless
    }

    /// The addresses that nobody has taken, for a sentence.
    pub fn left(&self) -> Option<String> {
        let left: Vec<String> = self
            .given
            .iter()
            .map(|given| shown(&given.address, "tcp"))
            .collect();
        (!left.is_empty()).then(|| left.join(", "))
    }
}

impl Open {
    fn address(&self) -> io::Result<Listen> {
        match self {
            Self::Tcp(socket) => socket.local_addr().map(Listen::Tcp),
            Self::Unix(socket) => {
                let address = socket.local_addr()?;
                Ok(Listen::Unix(
                    address.as_pathname().unwrap_or("".as_ref()).to_owned(),
                ))
            }
        }
    }
}

impl Given {
    fn into_bound(self) -> io::Result<Bound> {
        match (self.open, self.address) {
            (Open::Unix(socket), Listen::Unix(path)) => {
                socket.set_nonblocking(true)?;
                let file = SocketFile::given(path, self.label.with_file);
                UnixListener::from_std(socket).map(|socket| Bound::Unix(socket, file))
            }
            (Open::Tcp(socket), _) => {
                socket.set_nonblocking(true)?;
                TcpListener::from_std(socket).map(Bound::Tcp)
            }
            (Open::Unix(_), Listen::Tcp(_)) => Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

/// Whether a socket is the one that the config wants. Where the config leaves the port to the system, it is the one that
/// the program before had there for the same listener.
fn serves(label: Label, address: &Listen, (role, wanted): (Role, &Listen)) -> bool {
    match (address, wanted) {
        (Listen::Tcp(address), Listen::Tcp(wanted)) if wanted.port() == 0 => {
            label.role == Some(role) && address.ip() == wanted.ip()
        }
        _ => address == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Listen {
        match text.strip_prefix("unix:") {
            Some(path) => Listen::Unix(path.into()),
            None => Listen::Tcp(text.parse().unwrap()),
        }
    }

    #[test]
    fn o04_a_socket_serves_the_address_that_it_has() {
        use Role::Main;
        #[rustfmt::skip]
        let table = [
            ("", "127.0.0.1:80", "127.0.0.1:80", true, "systemd's"),
            ("", "[::]:80", "0.0.0.0:80", false, "takes more than was asked for"),
            ("", "127.0.0.1:80", "127.0.0.1:81", false, "another port"),
            ("", "127.0.0.1:80", "127.0.0.1:0", false, "nobody chose that port for us"),
            (MAIN, "127.0.0.1:80", "127.0.0.1:0", true, "the one before did"),
            (ADMIN, "127.0.0.1:80", "127.0.0.1:0", false, "for the other listener"),
            (ADMIN, "127.0.0.1:80", "127.0.0.1:80", true, "said by its address"),
            (MAIN, "127.0.0.1:80", "127.0.0.2:0", false, "another host"),
            (MAIN_WITH_FILE, "unix:/a", "unix:/a", true, "one path"),
            (MAIN_WITH_FILE, "unix:/a", "unix:/b", false, "another path"),
            (MAIN, "127.0.0.1:80", "unix:/a", false, "another kind"),
        ];
        for (name, has, wanted, expected, why) in table {
            let wanted = (Main, &address(wanted));
            assert_eq!(
                serves(Label::read(name), &address(has), wanted),
                expected,
                "{why}"
            );
        }
    }

    #[test]
    fn a_name_says_what_it_was_given_for() {
        for name in [MAIN, MAIN_WITH_FILE, ADMIN, ADMIN_WITH_FILE] {
            assert_eq!(Label::read(name).name(), name);
        }
        for name in ["llm-proxy.socket", "unknown", ""] {
            assert_eq!(
                Label::read(name),
                Label::default(),
                "{name}: systemd's, or nobody's"
            );
        }
    }
}
