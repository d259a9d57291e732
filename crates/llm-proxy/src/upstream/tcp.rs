//! Names to addresses, and TCP to the first that answers.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::config::is_metadata_address;

/// What the system says when a process, or all of them, may open no more files: `EMFILE` and `ENFILE`, the same on all
/// Unixes.
const OUT_OF_FILES: [i32; 2] = [24, 23];
/// How long to wait for one to be closed.
const FILE_PAUSE: Duration = Duration::from_millis(20);

/// What a name may stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Any address.
    Anything,
    /// None at which clouds hand out credentials, nor its neighbours: IPv4's link-local network.
    NoMetadata,
}

impl Reach {
    fn includes(self, address: IpAddr) -> bool {
        let near = match address {
            IpAddr::V4(v4) => v4.is_link_local(),
            IpAddr::V6(v6) => v6.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local()),
        };
        self == Self::Anything || !(near || is_metadata_address(address))
    }
}

/// Connects to the first address that answers. Each gets an even part of the time that is left.
///
/// # Errors
/// A sentence.
pub(super) async fn connect(
    host: &str,
    port: u16,
    reach: Reach,
    limit: Duration,
) -> Result<TcpStream, String> {
    let addresses = resolved(host, port, reach).await?;
    let share = limit / u32::try_from(addresses.len()).unwrap_or(u32::MAX).max(1);
    let mut last = "the name has no address".to_owned();
    for address in addresses {
        match timeout(share, dial(address)).await {
            Ok(Ok(stream)) => return without_delay(stream).map_err(|error| error.to_string()),
            Ok(Err(error)) => last = error.to_string(),
            Err(_) => "no answer to the connection request".clone_into(&mut last),
        }
    }
    Err(last)
}

/// Connects; while this process is out of files, which is no fault of the backend's, it waits for one.
async fn dial(address: SocketAddr) -> io::Result<TcpStream> {
    loop {
        match TcpStream::connect(address).await {
            Err(error)
                if error
                    .raw_os_error()
                    .is_some_and(|code| OUT_OF_FILES.contains(&code)) =>
            {
                sleep(FILE_PAUSE).await;
            }
            done => return done,
        }
    }
}

/// Small writes would else wait for the peer's delayed acknowledgement: 40 ms a token.
fn without_delay(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn resolved(host: &str, port: u16, reach: Reach) -> Result<Vec<SocketAddr>, String> {
    let addresses = lookup_host((host, port))
        .await
        .map_err(|error| format!("the name does not resolve: {error}"))?
        .collect();
    // An address that the config spells out has been judged when the config was read.
    if host.parse::<IpAddr>().is_ok() {
        return Ok(addresses);
    }
    within(addresses, reach)
}

/// The addresses that may be connected to.
///
/// # Errors
/// There were some, and none of them may: a name that should not mean what it does.
fn within(mut addresses: Vec<SocketAddr>, reach: Reach) -> Result<Vec<SocketAddr>, String> {
    let any = !addresses.is_empty();
    addresses.retain(|address| reach.includes(address.ip()));
    if any && addresses.is_empty() {
        let why =
            "the name resolves to a cloud's metadata address; if it is meant, set `allow_metadata: true`";
        return Err(why.to_owned());
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts
            .iter()
            .map(|text| SocketAddr::new(text.parse().unwrap(), 80))
            .collect()
    }

    #[test]
    fn a_name_that_stands_for_a_metadata_address_is_refused() {
        for text in [
            "169.254.169.254",
            "169.254.170.2",
            "169.254.0.1",
            "169.254.255.255",
            "100.100.100.200",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:169.254.1.1",
            "64:ff9b::a9fe:a9fe",
        ] {
            let found = within(addresses(&[text]), Reach::NoMetadata);
            assert!(found.unwrap_err().contains("allow_metadata"), "{text}");
        }
    }

    #[test]
    fn an_operator_who_means_it_gets_it() {
        let all = addresses(&["169.254.169.254", "fd00:ec2::254"]);
        assert_eq!(within(all.clone(), Reach::Anything), Ok(all));
    }

    #[test]
    fn other_addresses_are_left_alone_and_the_good_ones_of_a_mixed_answer_kept() {
        let good = addresses(&[
            "127.0.0.1",
            "10.1.2.3",
            "169.253.1.1",
            "::1",
            "fd00:ec2::253",
            "1.1.1.1",
        ]);
        assert_eq!(within(good.clone(), Reach::NoMetadata), Ok(good));
        let mixed = addresses(&["169.254.169.254", "10.1.2.3"]);
        assert_eq!(within(mixed, Reach::NoMetadata), Ok(addresses(&["10.1.2.3"])));
        assert_eq!(within(Vec::new(), Reach::NoMetadata), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_name_is_connected_to_and_an_address_too() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1"] {
            let stream = connect(host, port, Reach::NoMetadata, Duration::from_secs(20)).await;
            assert!(stream.unwrap().nodelay().unwrap(), "{host}");
        }
    }
}
