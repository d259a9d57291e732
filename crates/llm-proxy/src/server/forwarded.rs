//! Where a request comes from, as the proxies in front of us say.
//!
//! `X-Forwarded-For` and `Forwarded` (RFC 7239) grow to the right, so they are read from the right, hop by hop, and no
//! further than to the first hop that is not trusted: that is the client, and all that stands left of it is its own
//! invention. How a hop is read depends on nothing to its left, so not even an open quote can hide one.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// No honest chain of proxies is longer; the work for one request has an end.
const MOST_HOPS: usize = 32;

/// The address of the client whose request `peer` brings.
///
/// Only a peer in `trusted` is asked, and then only about the hop before it, and so on. A hop that cannot be read
/// (`unknown`, a name, a typo) ends the walk: then the last one that could be is as near to the client as we get.
/// IPv4 inside IPv6 is IPv4.
pub(super) fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|network| network.contains(&ip));
    let mut nearest = peer.to_canonical();
    if !is_trusted(nearest) {
        return nearest;
    }
    let mut before = hops(headers).take(MOST_HOPS);
    while is_trusted(nearest) {
        match before.next().flatten() {
            Some(hop) => nearest = hop,
            None => break,
        }
    }
    nearest
}

/// The hops from the right, `None` for each that cannot be read. `X-Forwarded-For` goes before `Forwarded`: it is what
/// nearly every proxy writes.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let plain = headers.contains_key(X_FORWARDED_FOR);
    let name = if plain { X_FORWARDED_FOR } else { FORWARDED };
    let lines = headers.get_all(name).into_iter().rev();
    let elements = lines.flat_map(|line| from_the_right(line.as_bytes(), b','));
    // An empty element is nobody (RFC 9110, 5.6.1).
    let elements = elements
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty());
    elements.map(move |element| {
        if plain {
            address(std::str::from_utf8(element).ok()?)
        } else {
            forwarded_for(element)
        }
    })
}

/// The parts of `list` between separators, the last one first. A separator inside quotes is none.
fn from_the_right(list: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let list = rest.take()?;
        let Some(at) = last_outside_quotes(list, separator) else {
            return Some(list);
        };
        rest = list.get(..at);
        list.get(at + 1..)
    })
}

fn last_outside_quotes(list: &[u8], wanted: u8) -> Option<usize> {
    let mut quoted = false;
    let mut from_the_right = list.iter().enumerate().rev();
    let found = from_the_right.find(|(at, byte)| {
        quoted ^= **byte == b'"' && !is_escaped(list, *at);
        **byte == wanted && !quoted
    });
    found.map(|(at, _)| at)
}

/// Whether the byte has a backslash before it that is not itself escaped.
fn is_escaped(list: &[u8], at: usize) -> bool {
    let before = list.get(..at).unwrap_or_default();
    let backslashes = before.iter().rev().take_while(|byte| **byte == b'\\').count();
    backslashes % 2 == 1
}

/// The address in an element of `Forwarded`; none if it names nobody, a hidden node, or two.
fn forwarded_for(element: &[u8]) -> Option<IpAddr> {
    let mut nodes = from_the_right(element, b';').filter_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
    });
    let node = nodes.next().filter(|_| nodes.next().is_none())?;
    let unquoted = node.strip_prefix('"').and_then(|node| node.strip_suffix('"'));
    let node = unquoted.unwrap_or(node);
    // A port may be hidden though the address is not.
    address(node.split_once(":_").map_or(node, |(node, _port)| node))
}

/// An address; with a port or in brackets too.
fn address(text: &str) -> Option<IpAddr> {
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ip = match bracketed {
        Some(inside) => IpAddr::V6(inside.parse::<Ipv6Addr>().ok()?),
        None => text
            .parse()
            .or_else(|_| text.parse::<SocketAddr>().map(|both| both.ip()))
            .ok()?,
    };
    Some(ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Ten-net, a private IPv6 network and one lone address are ours.
    fn trusted() -> Vec<IpNet> {
        let networks = ["10.0.0.0/8", "fd00::/8", "192.0.2.1/32"];
        networks.iter().map(|network| network.parse().unwrap()).collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn headers(name: HeaderName, lines: &[&[u8]]) -> HeaderMap {
        let value = |line: &&[u8]| (name.clone(), HeaderValue::from_bytes(line).unwrap());
        lines.iter().map(value).collect()
    }

    fn told(peer: &str, name: HeaderName, lines: &[&str]) -> String {
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        client(ip(peer), &headers(name, &lines), &trusted()).to_string()
    }

    /// A row a case: the peer, the header's lines with ` / ` between them, the client, why.
    fn check(name: &HeaderName, table: &str) {
        for row in table.trim().lines() {
            let [peer, lines, expected, why] = row.splitn(4, '|').collect::<Vec<_>>()[..] else {
                panic!("four cells: {row}");
            };
            let lines: Vec<&str> = lines.trim().split(" / ").collect();
            assert_eq!(told(peer.trim(), name.clone(), &lines), expected.trim(), "{why}");
        }
    }

    #[test]
    fn a10_x_forwarded_for_is_read_from_the_right_to_the_first_hop_that_is_not_trusted() {
        let table = r#"
10.0.0.1 | | 10.0.0.1 | nothing is said
10.0.0.1 | 198.51.100.9, 203.0.113.7 | 203.0.113.7 | the rule book's
203.0.113.7 | 198.51.100.9 | 203.0.113.7 | a stranger is not asked
10.0.0.1 | 203.0.113.7, 10.9.9.9, fd00::1,192.0.2.1 | 203.0.113.7 | trusted hops are passed over
10.0.0.1 | 198.51.100.9 / 203.0.113.7, 10.1.1.1 / 10.2.2.2 | 203.0.113.7 | lines are one list
10.0.0.1 | 10.3.3.3, 10.2.2.2 | 10.3.3.3 | all are trusted: the farthest
10.0.0.1 | 203.0.113.7, unknown, 10.2.2.2 | 10.2.2.2 | garbage ends the walk
10.0.0.1 | 203.0.113.7, <script> | 10.0.0.1 | garbage at once
10.0.0.1 | ", ;=, 203.0.113.7 | 203.0.113.7 | garbage left of the client is not looked at
10.0.0.1 | 203.0.113.7:4711 | 203.0.113.7 | with a port
fd00::2 | 2001:db8::7 | 2001:db8::7 | IPv6
10.0.0.1 | [2001:db8::7] | 2001:db8::7 | IPv6 in brackets
10.0.0.1 | [2001:db8::7]:80 | 2001:db8::7 | IPv6 with a port
10.0.0.1 | ::ffff:203.0.113.7 | 203.0.113.7 | A11: IPv4 inside IPv6 is IPv4
::ffff:10.0.0.1 | 203.0.113.7, ::ffff:10.2.2.2 | 203.0.113.7 | A11: and trusted as such
10.0.0.1 | 203.0.113.7, , / , | 203.0.113.7 | empty elements are nobody
10.0.0.1 | 010.0.0.1 | 10.0.0.1 | octal is no address
10.0.0.1 | localhost | 10.0.0.1 | a name is no address
10.0.0.1 | 203.0.113.0/24 | 10.0.0.1 | a network is no address
"#;
        check(&X_FORWARDED_FOR, table);
    }

    #[test]
    fn a10_forwarded_is_read_likewise_with_its_quotes_ports_and_hidden_nodes() {
        let table = r#"
10.0.0.1 | for=203.0.113.7 | 203.0.113.7 | plain
10.0.0.1 | For=203.0.113.7;Proto=https | 203.0.113.7 | names have no case
10.0.0.1 | by=10.0.0.1; for=203.0.113.7 ;host=a | 203.0.113.7 | among others
10.0.0.1 | for="[2001:db8::7]" | 2001:db8::7 | IPv6 is quoted and in brackets
10.0.0.1 | for="[2001:db8::7]:4711" | 2001:db8::7 | with a port
10.0.0.1 | for="203.0.113.7:80" | 203.0.113.7 | IPv4 with a port
10.0.0.1 | for="203.0.113.7:_port" | 203.0.113.7 | a hidden port
10.0.0.1 | for=198.51.100.9, for=203.0.113.7 / for=10.1.1.1 | 203.0.113.7 | several
10.0.0.1 | for=203.0.113.7, for=unknown, for=10.1.1.1 | 10.1.1.1 | unknown
10.0.0.1 | for=203.0.113.7, for=_hidden | 10.0.0.1 | hidden
10.0.0.1 | for=203.0.113.7, proto=https | 10.0.0.1 | nobody
10.0.0.1 | for=203.0.113.7;for=198.51.100.9 | 10.0.0.1 | two in one element
10.0.0.1 | for=203.0.113.7;by="a, for=9.9.9.9" | 203.0.113.7 | a comma inside quotes
10.0.0.1 | for=203.0.113.7;by=";for=9.9.9.9" | 203.0.113.7 | a semicolon inside quotes
10.0.0.1 | for=203.0.113.7;by="a\", for=9.9.9.9" | 203.0.113.7 | a quote inside quotes
10.0.0.1 | for=9.9.9.9;by=", for=203.0.113.7 | 203.0.113.7 | a client's open quote hides nothing
10.0.0.1 | for=9.9.9.9;x=", for="203.0.113.7" | 203.0.113.7 | nor with a quoted hop behind it
10.0.0.1 | for="\, for="203.0.113.7" | 203.0.113.7 | nor with a backslash
"#;
        check(&FORWARDED, table);
    }

    #[test]
    fn of_both_headers_x_forwarded_for_counts_and_a_chain_without_end_has_one() {
        let mut both = headers(FORWARDED, &[b"for=198.51.100.9"]);
        both.extend(headers(X_FORWARDED_FOR, &[b"203.0.113.7"]));
        assert_eq!(client(ip("10.0.0.1"), &both, &trusted()), ip("203.0.113.7"));
        let endless = format!("203.0.113.7{}", ", 10.2.2.2".repeat(MOST_HOPS));
        assert_eq!(told("10.0.0.1", X_FORWARDED_FOR, &[&endless]), "10.2.2.2");
        let long = format!("203.0.113.7{}", ", 10.2.2.2".repeat(MOST_HOPS - 1));
        assert_eq!(told("10.0.0.1", X_FORWARDED_FOR, &[&long]), "203.0.113.7");
    }

    /// Any bytes that a header can carry.
    fn junk() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            Just(b'"'),
            Just(b'\\'),
            Just(b','),
            Just(b';'),
            0x20..=0x7e_u8,
            0x80..=0xff_u8,
            Just(b'\t')
        ];
        vec(byte, 0..60)
    }

    fn stranger() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 2]>().prop_map(|[a, b]| IpAddr::from([203, 0, a, b])),
            any::<u32>()
                .prop_map(|low| IpAddr::from(Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(low)))),
        ]
    }

    fn ours() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<[u8; 3]>().prop_map(|[a, b, c]| IpAddr::from([10, a, b, c])),
            any::<u32>().prop_map(|low| IpAddr::from(Ipv6Addr::from(0xfd00_u128 << 112 | u128::from(low)))),
        ]
    }

    /// How a proxy writes that hop.
    fn written(hop: IpAddr, name: &HeaderName) -> String {
        match hop {
            _ if *name == X_FORWARDED_FOR => hop.to_string(),
            IpAddr::V4(hop) => format!("for={hop};proto=https"),
            IpAddr::V6(hop) => format!("proto=\"https\";for=\"[{hop}]:443\""),
        }
    }

    /// The hops as one line, or as a line each.
    fn lines(parts: Vec<Vec<u8>>, joined: bool) -> Vec<Vec<u8>> {
        if joined {
            vec![parts.join(&b", "[..])]
        } else {
            parts
        }
    }

    fn read(peer: IpAddr, name: &HeaderName, lines: &[Vec<u8>]) -> IpAddr {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        client(peer, &headers(name.clone(), &lines), &trusted())
    }

    proptest! {
        #[test]
        fn a09_a_stranger_is_who_its_socket_says_whatever_it_writes(peer in stranger(), text in junk()) {
            for name in [X_FORWARDED_FOR, FORWARDED] {
                prop_assert_eq!(read(peer, &name, std::slice::from_ref(&text)), peer);
            }
        }

        #[test]
        fn nothing_that_a_client_writes_changes_what_trusted_proxies_say_of_it(
            peer in ours(),
            text in junk(),
            client in stranger(),
            between in vec(ours(), 0..6),
            joined: bool,
        ) {
            for name in [X_FORWARDED_FOR, FORWARDED] {
                let chain = std::iter::once(client).chain(between.clone());
                let hops = chain.map(|hop| written(hop, &name).into_bytes());
                let all = std::iter::once(text.clone()).chain(hops).collect();
                prop_assert_eq!(read(peer, &name, &lines(all, joined)), client);
            }
        }

        #[test]
        fn the_client_is_the_nearest_that_is_not_trusted_else_the_farthest(
            peer in ours(),
            chain in vec(prop_oneof![ours(), stranger()], 0..MOST_HOPS),
            joined: bool,
        ) {
            let is_ours = |hop: &IpAddr| trusted().iter().any(|network| network.contains(hop));
            let nearest = chain.iter().rev().find(|hop| !is_ours(hop));
            let expected = nearest.or(chain.first()).copied().unwrap_or(peer);
            for name in [X_FORWARDED_FOR, FORWARDED] {
                let hops = chain.iter().map(|hop| written(*hop, &name).into_bytes()).collect();
                prop_assert_eq!(read(peer, &name, &lines(hops, joined)), expected);
            }
        }
    }
}
