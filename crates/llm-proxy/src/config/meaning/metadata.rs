//! Addresses at which clouds hand credentials to whoever asks, in all the ways to write them.
//!
//! A name that resolves to such an address is caught by the one who resolves it, with [`is_metadata_address`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// AWS, Azure, Google and most others; ECS tasks; Alibaba; Oracle.
const V4: [Ipv4Addr; 4] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];
/// AWS, over IPv6.
const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254);
const NAMES: [&str; 3] = ["metadata.google.internal", "metadata.goog", "metadata"];

/// Whether `host`, as a URL has it, is such an address.
pub(super) fn is_metadata(host: &str) -> bool {
    let host = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .trim_end_matches('.')
        .to_ascii_lowercase();
    if NAMES.contains(&host.as_str()) {
        return true;
    }
    match host.parse() {
        Ok(address) => is_metadata_address(address),
        Err(_) => loose(&host).is_some_and(|address| V4.contains(&address)),
    }
}

/// Whether an address is such a one, be it wrapped in IPv6.
pub(crate) fn is_metadata_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V6(address) => address == V6 || embedded(address).is_some_and(|v4| V4.contains(&v4)),
        IpAddr::V4(address) => V4.contains(&address),
    }
}

/// The IPv4 address inside an IPv6 one: mapped (`::ffff:a.b.c.d`), translated (`::ffff:0:a.b.c.d`), compatible
/// (`::a.b.c.d`), NAT64 (`64:ff9b::`) or 6to4 (`2002:`).
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => Some(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low))),
        _ => None,
    }
}

/// An IPv4 address as the C library reads it: one to four parts, decimal, octal (`0251`) or hex (`0xa9`), of
/// which the last fills what is left.
fn loose(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u64> = host.split('.').map(part).collect::<Option<_>>()?;
    let (last, head) = parts.split_last()?;
    if head.len() > 3 || head.iter().any(|part| *part > 255) {
        return None;
    }
    let mut address: u64 = 0;
    for part in head {
        address = address << 8 | part;
    }
    let room = 8 * (4 - head.len());
    if *last >= 1 << room {
        return None;
    }
    u32::try_from(address << room | last).ok().map(Ipv4Addr::from)
}

fn part(text: &str) -> Option<u64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return u64::from_str_radix(hex, 16).ok();
    }
    match text.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_metadata_address_is_known() {
        for host in [
            "169.254.169.254",
            "169.254.169.254.",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "169.16689662",
            "[fd00:ec2::254]",
            "fd00:0ec2:0:0:0:0:0:0254",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[64:ff9b::169.254.169.254]",
            "[::ffff:0:169.254.169.254]",
            "[::169.254.169.254]",
            "[2002:a9fe:a9fe::1]",
            "Metadata.Google.Internal.",
            "100.100.100.200",
        ] {
            assert!(is_metadata(host), "{host}");
        }
    }

    #[test]
    fn other_hosts_are_left_alone() {
        for host in [
            "127.0.0.1",
            "api.openai.com",
            "::1",
            "256.1.1.1.1",
            "0x",
            "",
            "4294967296",
            "169.254.1.1",
            "10.1",
        ] {
            assert!(!is_metadata(host), "{host}");
        }
    }
}
