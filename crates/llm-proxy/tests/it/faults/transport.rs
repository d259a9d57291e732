//! F01 to F07: no connection, no answer, a broken connection.

use std::net::SocketAddr;
use std::time::Duration;

use llm_sim::Answer;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::super::support::tls::{Certificate, TlsBackend};
use super::super::support::within;
use super::bench::{Bench, Case, Setup};

#[tokio::test]
async fn f01_a_refused_connection_falls_back_and_benches_the_backend_after_the_second() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.refuse().await;
        for request in 0..2 {
            bench.b_answers("m").await;
            bench.fell_back(request, "connect").await;
        }
        let other_model = bench.b_answers("m-other").await;
        assert_eq!(
            other_model.header("x-llm-proxy-attempts"),
            "1",
            "the whole backend is benched"
        );
        let cooldowns = bench.cooldowns_of_a().await;
        assert_eq!(cooldowns[0]["scope"], "backend");
        assert_eq!(cooldowns[0]["class"], "connect");
        assert_eq!(bench.a.seen().len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f02_a_name_that_does_not_resolve_falls_back_and_is_not_told_to_the_client() {
    for case in Case::ALL {
        let setup = Setup::of(case).url_of_a("http://canary-host.invalid/v1");
        let bench = setup.start().await;
        bench.b_answers("m").await;
        bench.fell_back(0, "connect").await;
        let error = bench
            .refused("only-a", 502, "upstream_unavailable", "api_error")
            .await;
        for word in ["canary-host", "resolve", "lookup"] {
            assert!(!error.text().contains(word), "{}", error.text());
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f03_a_certificate_that_is_not_trusted_or_of_another_host_gets_no_request() {
    for case in Case::ALL {
        for certificate in [Certificate::Untrusted, Certificate::OfAnotherHost] {
            let (untrusted, backend) = (
                certificate == Certificate::Untrusted,
                TlsBackend::start(certificate, &[]).await,
            );
            let mut setup = Setup::of(case).url_of_a(&backend.url());
            if !untrusted {
                setup = setup.a(&format!("tls: {{ca: \"{}\"}}", backend.ca()));
            }
            let bench = setup.start().await;
            for request in 0..2 {
                bench.b_answers("m").await;
                bench.fell_back(request, "connect").await;
            }
            let third = bench.b_answers("m").await;
            assert_eq!(third.header("x-llm-proxy-attempts"), "1", "benched");
            let coolings = bench.coolings();
            assert_eq!(coolings.len(), 1, "told once: {coolings:?}");
            assert_eq!(coolings[0]["level"], "warn");
            assert_eq!(backend.handshakes(), 0, "no handshake came about");
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn f04_a_backend_that_never_answers_is_left_after_the_first_byte_timeout() {
    let never = [
        Answer::hang(),
        Answer::healthy().first_delay(Duration::from_mins(10)),
    ];
    for case in Case::ALL {
        for answer in &never {
            let setup = Setup::of(case).a("timeout: {first_byte: 300ms}");
            let bench = setup.start().await;
            bench.a.always(answer.clone());
            bench.b_answers("m").await;
            bench.fell_back(0, "ttft_timeout").await;
            let (at_a, at_b) = (&bench.a.seen()[0], &bench.b.seen()[0]);
            let waited = at_b.arrived.duration_since(at_a.arrived);
            assert!(waited >= Duration::from_millis(250), "only {waited:?}");
            within(
                "the connection to be closed",
                bench.a.wait_closed(at_a.connection),
            )
            .await;
            bench.b_answers("m").await;
            let third = bench.b_answers("m").await;
            assert_eq!(third.header("x-llm-proxy-attempts"), "1", "silence counts double");
            assert_eq!(bench.cooldowns_of_a().await[0]["class"], "ttft_timeout");
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn f04_silence_of_the_only_backend_is_a_504() {
    for case in Case::ALL {
        let setup = Setup::of(case).a("timeout: {first_byte: 300ms}");
        let bench = setup.start().await;
        bench.a.always(Answer::hang());
        bench
            .refused("only", 504, "upstream_timeout", "timeout_error")
            .await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f05_a_black_hole_is_left_after_the_connect_timeout() {
    for case in Case::ALL {
        let hole = BlackHole::dig().await;
        let setup = Setup::of(case)
            .url_of_a(&format!("http://{}", hole.address))
            .a("timeout: {connect: 300ms}");
        let bench = setup.start().await;
        bench.b_answers("m").await;
        bench.fell_back(0, "connect").await;
        let records = bench.proxy.recorded(1).await;
        let took = records[0]["attempts"][0]["ms"].as_f64().unwrap();
        assert!(took >= 250.0, "it was not refused, but silent: {took} ms");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f06_a_fresh_connection_that_breaks_falls_back_and_is_not_asked_twice() {
    for case in Case::ALL {
        for broken in [Answer::reset(), Answer::raw_response("")] {
            let bench = Bench::start(case).await;
            bench.a.next(broken);
            bench.b_answers("m").await;
            bench.fell_back(0, "reset").await;
            assert_eq!(bench.a.seen().len(), 1);
            bench.a_answers("m").await;
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn f07_a_pooled_connection_that_was_closed_meanwhile_costs_nothing() {
    for case in Case::ALL {
        let setup = Setup::of(case).top("fallback: {max_attempts: 1}");
        let bench = setup.start().await;
        bench.a_answers("m").await;
        bench.a.close_idle().await;
        let reply = bench.a_answers("m").await;
        assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
        let connections: Vec<u64> = bench.a.seen().iter().map(|seen| seen.connection).collect();
        assert_eq!(connections, [1, 2], "the second went over a fresh connection");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f07_a_pooled_connection_that_breaks_under_the_request_costs_no_attempt() {
    for case in Case::ALL {
        let setup = Setup::of(case).top("fallback: {max_attempts: 1}");
        let bench = setup.start().await;
        bench.a.always(Answer::reset_on_reused());
        for _ in 0..2 {
            let reply = bench.a_answers("m").await;
            assert_eq!(reply.header("x-llm-proxy-attempts"), "1");
        }
        let seen: Vec<(u64, usize)> = bench
            .a
            .seen()
            .iter()
            .map(|seen| (seen.connection, seen.nth))
            .collect();
        assert_eq!(
            seen,
            [(1, 1), (1, 2), (2, 1)],
            "sent again over a fresh connection"
        );
        assert_eq!(bench.cooldowns_of_a().await.len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f07_a_pooled_connection_that_breaks_within_the_head_is_not_asked_again() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench
            .a
            .next(Answer::healthy())
            .next(Answer::raw_response("HTTP/1.1 200 OK\r\ncontent-ty"));
        bench.a_answers("m").await;
        bench.b_answers("m").await;
        bench.fell_back(1, "reset").await;
        let seen: Vec<(u64, usize)> = bench
            .a
            .seen()
            .iter()
            .map(|seen| (seen.connection, seen.nth))
            .collect();
        assert_eq!(seen, [(1, 1), (1, 2)], "the backend had begun to answer");
        bench.finish().await;
    }
}

/// A listener whose queue is full: the kernel drops every further request for a connection.
struct BlackHole {
    address: SocketAddr,
    _listener: tokio::net::TcpListener,
    _queue: Vec<TcpStream>,
}

impl BlackHole {
    async fn dig() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        // Half a second of silence on loopback means that the queue is full.
        while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            queue.push(connected.unwrap());
        }
        Self {
            address,
            _listener: listener,
            _queue: queue,
        }
    }
}
