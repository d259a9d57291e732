//! Starting the program anew, with the sockets of this one: how a new binary takes over.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram as StdDatagram;
use std::process::{Child, Command};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use tokio::net::UnixDatagram;
use tokio::time::sleep;

use crate::server::{Bound, READY, Role, SERVING, handed};

/// How long it may take to serve: it reads its config and opens addresses.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often it is looked whether it has ended instead. To be told would cost the runtime a look at all its children each
/// time that it wakes up, for as long as it serves.
const LOOK: Duration = Duration::from_millis(20);
/// The first file descriptor that is handed over (systemd's protocol).
const FIRST: i32 = 3;

/// Starts the program that this one was started as, hands it the sockets, and waits until it serves. Its process id.
///
/// # Errors
/// One sentence. The new program is gone then; the sockets are as they were. The same where the future is dropped.
pub(super) async fn start<'a>(sockets: impl Iterator<Item = (Role, &'a Arc<Bound>)>) -> Result<u32, String> {
    tracing::info!("starting a new program, to hand over to");
    let (mut successor, ready) =
        spawned(sockets).map_err(|error| format!("it cannot be started: {error}"))?;
    let mut word = [0; 16];
    tokio::select! {
        read = ready.recv(&mut word) => match read {
            Ok(length) if word.get(..length) == Some(SERVING) => Ok(successor.stays()),
            _ => Err("it said something else than that it serves".to_owned()),
        },
        ended = successor.ended() => Err(format!("the new program ended ({ended})")),
        () = sleep(PATIENCE) => {
            Err(format!("the new program did not serve within {PATIENCE:?}, and was ended"))
        }
    }
}

/// The new program, which is ended with this unless it stays.
struct Successor {
    child: Option<Child>,
}

impl Successor {
    async fn ended(&mut self) -> String {
        let Some(child) = &mut self.child else {
            return "it was never begun".to_owned();
        };
        loop {
            match child.try_wait() {
                Ok(None) => sleep(LOOK).await,
                Ok(Some(status)) => return status.to_string(),
                Err(error) => return error.to_string(),
            }
        }
    }

    fn stays(&mut self) -> u32 {
        let Some(child) = self.child.take() else {
            return 0;
        };
        let id = child.id();
        reap(child);
        id
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            reap(child);
        }
    }
}

/// Takes note of its end, whenever that comes: nobody waits for it here. Without a thread, that is left to whoever comes
/// after this program.
fn reap(mut child: Child) {
    let _ = thread::Builder::new()
        .name("successor".to_owned())
        .spawn(move || child.wait());
}

/// The new program, and where it says that it serves.
fn spawned<'a>(
    sockets: impl Iterator<Item = (Role, &'a Arc<Bound>)>,
) -> io::Result<(Successor, UnixDatagram)> {
    let (here, there) = StdDatagram::pair()?;
    here.set_nonblocking(true)?;
    let (names, files) = inheritance(sockets, there)?;
    let mut command = again();
    command
        .env("LISTEN_FDS", files.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"))
        // Only whoever starts a process by two steps knows its id beforehand.
        .env_remove("LISTEN_PID")
        .env_remove("LISTEN_FDS_FIRST_FD");
    let mappings = (FIRST..)
        .zip(files)
        .map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    command
        .fd_mappings(mappings.collect())
        .map_err(io::Error::other)?;
    let child = command.spawn()?;
    Ok((Successor { child: Some(child) }, UnixDatagram::from_std(here)?))
}

/// The sockets that go over, and their names; last the one to say that the new program serves.
fn inheritance<'a>(
    sockets: impl Iterator<Item = (Role, &'a Arc<Bound>)>,
    there: StdDatagram,
) -> io::Result<(Vec<&'static str>, Vec<OwnedFd>)> {
    let (mut names, mut files) = (Vec::new(), Vec::new());
    for (role, bound) in sockets {
        names.push(handed(role, bound));
        files.push(bound.duplicate()?);
    }
    names.push(READY);
    files.push(there.into());
    Ok((names, files))
}

/// This program as it was started: by the same name, which may lead to another file by now, with the same arguments.
fn again() -> Command {
    let mut words = std::env::args_os();
    let mut command = Command::new(words.next().unwrap_or_else(|| "llm-proxy".into()));
    command.args(words);
    command
}
