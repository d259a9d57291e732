//! Where a request comes from: the socket's word, or that of a proxy that is trusted (A09 to A11 of the rule book).

use super::super::support::Proxy;
use super::{Pair, calls};

/// A header and its value.
type Header<'a> = (&'a str, &'a str);

/// The `ip` of the access line of each of these requests.
async fn logged(trusted: &str, requests: &[&[Header<'_>]]) -> Vec<String> {
    let pair = Pair::start().await;
    let proxy = Proxy::start(&format!("trusted_proxies: {trusted}\n{}", pair.yaml())).await;
    for (n, headers) in requests.iter().enumerate() {
        let client = headers
            .iter()
            .fold(proxy.client(), |client, (name, value)| client.header(name, value));
        let (path, body) = &calls("m", false)[n % 3];
        client.post(path, body).await.expect(200);
    }
    let records = proxy.recorded(requests.len()).await;
    let seen = pair.seen();
    let told = seen.iter().flat_map(|seen| &seen.headers);
    let passed = told.filter(|(name, _)| name.to_ascii_lowercase().contains("forwarded"));
    assert_eq!(passed.count(), 0, "no such header goes on to a backend");
    proxy.finish().await;
    let ip = |record: &serde_json::Value| record["ip"].as_str().unwrap().to_owned();
    records.iter().map(ip).collect()
}

#[tokio::test]
async fn a09_who_is_not_trusted_is_known_by_its_socket_however_often_it_changes_its_story() {
    let invented: Vec<String> = (0..200).map(|n| format!("198.51.100.{n}")).collect();
    let headers: Vec<[Header<'_>; 1]> = invented
        .iter()
        .map(|address| [("x-forwarded-for", address.as_str())])
        .collect();
    let requests: Vec<&[Header<'_>]> = headers.iter().map(<[_; 1]>::as_slice).collect();
    let ips = logged("[10.0.0.0/8]", &requests).await;
    assert_eq!(ips, vec!["127.0.0.1"; 200]);
    let others: [&[Header<'_>]; 3] = [
        &[("forwarded", "for=198.51.100.1")],
        &[("x-real-ip", "198.51.100.1")],
        &[("true-client-ip", "198.51.100.1")],
    ];
    assert_eq!(logged("[]", &others).await, ["127.0.0.1"; 3]);
}

#[tokio::test]
async fn a10_a_trusted_proxy_is_believed_about_the_hop_before_it_and_no_further() {
    let cases: [(&[Header<'_>], &str); 8] = [
        (&[], "127.0.0.1"),
        (&[("x-forwarded-for", "198.51.100.9, 203.0.113.7")], "203.0.113.7"),
        (
            &[
                ("x-forwarded-for", "203.0.113.7"),
                ("x-forwarded-for", "10.1.1.1"),
            ],
            "203.0.113.7",
        ),
        (
            &[("x-forwarded-for", "198.51.100.9, garbage, 10.1.1.1")],
            "10.1.1.1",
        ),
        (&[("x-forwarded-for", "garbage")], "127.0.0.1"),
        (
            &[("forwarded", "for=9.9.9.9;by=\", for=\"203.0.113.7:4711\"")],
            "203.0.113.7",
        ),
        (&[("forwarded", "for=unknown")], "127.0.0.1"),
        (&[("x-real-ip", "198.51.100.9")], "127.0.0.1"),
    ];
    let requests = cases.map(|(headers, _)| headers);
    let ips = logged("[127.0.0.0/8, 10.0.0.0/8]", &requests).await;
    assert_eq!(ips, cases.map(|(_, ip)| ip));
}

#[tokio::test]
async fn a11_an_ipv4_address_inside_an_ipv6_one_is_ipv4_in_the_config_and_in_the_log() {
    let cases: [(&[Header<'_>], &str); 3] = [
        (&[("x-forwarded-for", "::ffff:203.0.113.7")], "203.0.113.7"),
        (&[("forwarded", "for=\"[::ffff:203.0.113.7]:80\"")], "203.0.113.7"),
        (
            &[("x-forwarded-for", "2001:db8::7, ::ffff:127.0.0.1")],
            "2001:db8::7",
        ),
    ];
    let requests = cases.map(|(headers, _)| headers);
    let ips = logged("['::ffff:127.0.0.1']", &requests).await;
    assert_eq!(ips, cases.map(|(_, ip)| ip));
}
