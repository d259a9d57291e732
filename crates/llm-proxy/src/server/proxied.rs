//! The PROXY protocol, versions 1 and 2: before the first byte of its own a proxy says whose connection it passes on
//! (<https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt>). Only `trusted_proxies` are asked, and they must say it:
//! the protocol forbids guessing.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::time::timeout;

use super::bind::Socket;
use crate::state::Phase;

/// What version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What version 1 begins with.
const WORD: &[u8] = b"PROXY ";
/// The longest line of version 1, its end included.
const LONGEST_LINE: usize = 107;
/// The longest content of version 2 that is read: addresses, and whatever a proxy adds about the connection.
const LONGEST: usize = 2048;

/// The socket as the socket of the client that its trusted proxy names. Others are what they are; none where such a proxy
/// says nothing of the kind within `patience`, or the program ends.
pub async fn introduced(
    socket: Socket,
    trusted: &[IpNet],
    patience: Duration,
    mut phase: watch::Receiver<Phase>,
) -> Option<Socket> {
    let Socket::Tcp(mut stream, from) = socket else {
        return Some(socket);
    };
    let proxy = from.ip().to_canonical();
    if !trusted.iter().any(|network| network.contains(&proxy)) {
        return Some(Socket::Tcp(stream, from));
    }
    let said = tokio::select! {
        said = timeout(patience, client(&mut stream)) => said.ok()?.ok()?,
        _ = phase.wait_for(|now| *now == Phase::Ending) => return None,
    };
    let from = said.map_or(from, |ip| SocketAddr::new(ip, from.port()));
    Some(Socket::Tcp(stream, from))
}

/// Reads what the proxy says, and not a byte more: whose connection it is; none where it speaks for itself, as in a
/// health check, or does not know.
///
/// # Errors
/// It says nothing of the kind, or the connection ends.
pub(super) async fn client(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<IpAddr>> {
    let mut opening = [0; SIGNATURE.len()];
    io.read_exact(&mut opening).await?;
    if opening == SIGNATURE {
        let mut head = [0; 4];
        io.read_exact(&mut head).await?;
        let [what, family, high, low] = head;
        let length = usize::from(u16::from_be_bytes([high, low]));
        if length > LONGEST {
            return Err(wrong());
        }
        let mut content = vec![0; length];
        io.read_exact(&mut content).await?;
        return second(what, family, &content);
    }
    if !opening.starts_with(WORD) {
        return Err(wrong());
    }
    let mut line = opening.to_vec();
    // Byte by byte: what follows the line is the client's own.
    while !line.ends_with(b"\n") {
        if line.len() == LONGEST_LINE {
            return Err(wrong());
        }
        line.push(io.read_u8().await?);
    }
    first(&line)
}

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "no header of the PROXY protocol")
}

/// A line of version 1.
fn first(line: &[u8]) -> io::Result<Option<IpAddr>> {
    let line = std::str::from_utf8(line)
        .ok()
        .and_then(|line| line.strip_suffix("\r\n"));
    let words = line
        .and_then(|line| line.strip_prefix("PROXY "))
        .ok_or_else(wrong)?;
    let words: Vec<&str> = words.split(' ').collect();
    match words[..] {
        ["UNKNOWN", ..] => Ok(None),
        [family, from, to, from_port, to_port] if is_port(from_port) && is_port(to_port) => {
            spelled(family, from, to).map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

/// The client's address, where both are of the family.
fn spelled(family: &str, from: &str, to: &str) -> Option<IpAddr> {
    let ip: IpAddr = match family {
        "TCP4" => to
            .parse::<Ipv4Addr>()
            .and_then(|_| from.parse::<Ipv4Addr>())
            .ok()?
            .into(),
        "TCP6" => to
            .parse::<Ipv6Addr>()
            .and_then(|_| from.parse::<Ipv6Addr>())
            .ok()?
            .into(),
        _ => return None,
    };
    Some(ip.to_canonical())
}

/// A header of version 2, from behind its signature on.
fn second(what: u8, family: u8, content: &[u8]) -> io::Result<Option<IpAddr>> {
    match (what, family >> 4) {
        // The proxy speaks for itself, whatever else it says; or of a family that is not told.
        (0x20, _) | (0x21, 0x0) => Ok(None),
        // Two paths of Unix sockets.
        (0x21, 0x3) if content.len() >= 216 => Ok(None),
        (0x21, family) => encoded(family, content).map(Some).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// The client's address, where both of the family and their ports are there.
fn encoded(family: u8, content: &[u8]) -> Option<IpAddr> {
    match family {
        0x1 => Some(Ipv4Addr::from(*content.get(..12)?.first_chunk::<4>()?).into()),
        0x2 => Some(IpAddr::from(*content.get(..36)?.first_chunk::<16>()?).to_canonical()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What is read of these bytes, and what is left of them.
    fn read(bytes: &[u8]) -> (Result<Option<String>, ()>, &[u8]) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut rest = bytes;
        let read = runtime.block_on(client(&mut rest));
        (read.map(|ip| ip.map(|ip| ip.to_string())).map_err(drop), rest)
    }

    fn binary(what: u8, family: u8, content: &[u8]) -> Vec<u8> {
        let length = u16::try_from(content.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[what, family], &length, content].concat()
    }

    const V4: [u8; 12] = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 0x01, 0xbb];

    fn v6() -> Vec<u8> {
        let [from, to] = ["2001:db8::7", "fd00::1"].map(|ip| ip.parse::<Ipv6Addr>().unwrap().octets());
        [&from[..], &to, &[0, 1, 0, 2]].concat()
    }

    #[test]
    fn a_sound_header_names_the_client_and_leaves_what_follows() {
        let more = [&V4[..], &[0x04; 300]].concat();
        let unix = [b'/'; 216];
        for (header, client) in [
            (
                b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(),
                Some("203.0.113.7"),
            ),
            (
                b"PROXY TCP6 2001:db8::7 fd00::1 1 65535\r\n".to_vec(),
                Some("2001:db8::7"),
            ),
            (
                b"PROXY TCP6 ::ffff:203.0.113.7 fd00::1 1 2\r\n".to_vec(),
                Some("203.0.113.7"),
            ),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (binary(0x21, 0x11, &V4), Some("203.0.113.7")),
            (binary(0x21, 0x12, &V4), Some("203.0.113.7")),
            (binary(0x21, 0x21, &v6()), Some("2001:db8::7")),
            (binary(0x21, 0x11, &more), Some("203.0.113.7")),
            (binary(0x20, 0x00, &[]), None),
            (binary(0x20, 0x11, &V4), None),
            (binary(0x21, 0x00, &[1, 2, 3]), None),
            (binary(0x21, 0x31, &unix), None),
        ] {
            let all = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let (read, rest) = read(&all);
            assert_eq!(read, Ok(client.map(str::to_owned)), "{header:?}");
            assert_eq!(rest, b"GET / HTTP/1.1\r\n", "{header:?}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(LONGEST_LINE));
        for bytes in [
            &b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"[..],
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03abcdef",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443 1\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 65536\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 +4711 443\r\n",
            b"PROXY TCP4 2001:db8::7 fd00::1 1 2\r\n",
            b"PROXY TCP4 203.0.113.007 10.0.0.1 1 2\r\n",
            b"PROXY TCP5 203.0.113.7 10.0.0.1 1 2\r\n",
            b"PROXY TCP4  203.0.113.7 10.0.0.1 1 2\r\n",
            b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n",
            b"proxy TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
            b"PROXY \xff\xff\xff\xff\xff\xff\xff\r\n",
            long.as_bytes(),
            &binary(0x22, 0x11, &V4),
            &binary(0x11, 0x11, &V4),
            &binary(0x21, 0x41, &V4),
            &binary(0x21, 0x11, &V4[..11]),
            &binary(0x21, 0x21, &v6()[..35]),
            &binary(0x21, 0x31, &[0; 100]),
            &binary(0x21, 0x11, &vec![0; LONGEST + 1]),
        ] {
            assert_eq!(read(bytes).0, Err(()), "{}", String::from_utf8_lossy(bytes));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it_and_a_header_that_is_cut_short_is_none(junk in vec(any::<u8>(), 0..300), cut in 0..28_usize) {
            for begin in [&b""[..], &SIGNATURE, WORD] {
                let _ = read(&[begin, &junk].concat());
            }
            prop_assert_eq!(read(&binary(0x21, 0x11, &V4)[..cut]).0, Err(()));
        }
    }
}
