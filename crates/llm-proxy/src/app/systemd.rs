//! What systemd is told, where it runs us as `Type=notify`: `NOTIFY_SOCKET` says where.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::base::env;

/// Tells it (`READY=1`). Nobody waits for this: who does not listen is not told.
pub(super) fn tell(state: &str) {
    let Some(at) = env::var("NOTIFY_SOCKET") else {
        return;
    };
    if let Err(error) = send(&at, state) {
        tracing::warn!(error = %error, "cannot tell systemd {state}");
    }
}

fn send(at: &str, state: &str) -> io::Result<()> {
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    socket.send_to_addr(state.as_bytes(), &address(at)?)?;
    Ok(())
}

/// A path, or on Linux a name that begins with `@` and is no file.
fn address(at: &str) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = at.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(at)
}
