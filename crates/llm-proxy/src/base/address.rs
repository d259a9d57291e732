//! Where a client is, as limits count it: who holds a network of IPv6 has as many addresses as it likes.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// An address that limits count for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// An address of IPv4.
    V4(u32),
    /// The first half of an address of IPv6: the network that one customer is given.
    V6(u64),
}

impl Address {
    /// Which of so many shares it belongs to. Neighbours go to different ones, and that is all that is wanted: each share
    /// hashes by a secret of its own.
    pub fn spread(self, shares: usize) -> usize {
        let bits = match self {
            Self::V4(bits) => u64::from(bits),
            Self::V6(bits) => bits,
        };
        // The golden ratio brings low bits to the top.
        let mixed = bits.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        usize::try_from(mixed).unwrap_or_default() % shares.max(1)
    }

    /// What `ip` counts as. An IPv4 address that is written as one of IPv6 is the same client.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::V4(ip.to_bits()),
            IpAddr::V6(ip) => Self::V6(u64::try_from(ip.to_bits() >> 64).unwrap_or_default()),
        }
    }
}

/// Writes `ip`. Addresses of IPv4 are by far the commonest, and formatting them in the general way takes as long as half an
/// access line.
pub fn push(out: &mut impl fmt::Write, ip: IpAddr) {
    // Neither a string nor an access line refuses.
    let _ = match ip {
        IpAddr::V4(ip) => push_v4(out, ip),
        IpAddr::V6(ip) => write!(out, "{ip}"),
    };
}

fn push_v4(out: &mut impl fmt::Write, ip: Ipv4Addr) -> fmt::Result {
    for (n, octet) in ip.octets().into_iter().enumerate() {
        if n > 0 {
            out.write_str(".")?;
        }
        out.write_str(itoa::Buffer::new().format(octet))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_network_is_one_address_and_a_mapped_ipv4_is_its_ipv4() {
        let address = |text: &str| Address::of(text.parse().unwrap());
        assert_eq!(
            address("2001:db8:1:2::1"),
            address("2001:db8:1:2:ffff:ffff:ffff:ffff")
        );
        assert_ne!(address("2001:db8:1:2::1"), address("2001:db8:1:3::1"));
        assert_eq!(address("::ffff:192.0.2.7"), address("192.0.2.7"));
        assert_ne!(address("192.0.2.7"), address("192.0.2.8"));
        assert_ne!(
            address("::1"),
            address("127.0.0.1"),
            "nothing is the same as localhost by name"
        );
    }

    #[test]
    fn an_address_is_written_as_everybody_writes_it() {
        for ip in [
            "0.0.0.0",
            "127.0.0.1",
            "255.25.2.0",
            "::1",
            "2001:db8::8a2e:370:7334",
            "::ffff:192.0.2.1",
        ] {
            let ip: IpAddr = ip.parse().unwrap();
            let mut text = "from ".to_owned();
            push(&mut text, ip);
            assert_eq!(text, format!("from {ip}"));
        }
    }
}
