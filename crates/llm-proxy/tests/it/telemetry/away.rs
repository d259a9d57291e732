//! A collector that is away, slow, or does not want what it gets; and one behind TLS, or that speaks HTTP.

use super::super::support::collector::Act;
use super::super::support::{Collector, until};
use super::Scene;

const SENT: &str = "llm_proxy_telemetry_spans_total";
const DROPPED: &str = "llm_proxy_telemetry_dropped_total";

#[tokio::test]
async fn o10_a_collector_that_is_away_is_said_once_and_gets_all_when_it_is_back() {
    let scene = Scene::with(", metrics: off", "").await;
    let Scene {
        proxy,
        keyed,
        collector,
        ..
    } = scene;
    let port = collector.port();
    drop(collector);
    keyed.chat("m", false).await.expect(200);
    proxy.logged("does not take traces: cannot connect").await;
    keyed.chat("m", false).await.expect(200);
    let collector = Collector::at(port).await;
    proxy.logged("takes traces again; 0 spans were lost").await;
    collector.took(4).await;
    let said = proxy
        .log()
        .iter()
        .filter(|line| line.contains("does not take traces"))
        .count();
    assert_eq!(said, 1);
    proxy
        .log()
        .iter()
        .for_each(|line| assert!(!line.contains("sk-canary"), "{line}"));
    collector.assert_no_secrets();
    proxy.finish().await;
}

#[tokio::test]
async fn o10_what_is_refused_is_dropped_and_counted_and_what_comes_later_is_sent() {
    let scene = Scene::with(", metrics: off", "").await;
    scene.collector.then(&[
        Act::Grpc(3),
        Act::Http(404),
        Act::TakeBut(1),
        Act::Grpc(14),
        Act::Grpc(0),
    ]);
    scene.keyed.chat("m", false).await.expect(200);
    scene.proxy.logged("does not take traces: gRPC status 3 no").await;
    for (dropped, sent) in [(2, 0), (4, 0), (5, 1)] {
        until(&format!("{dropped} dropped"), async || {
            (scene.sample(DROPPED).await == dropped).then_some(())
        })
        .await;
        assert_eq!(scene.sample(SENT).await, sent);
        scene.keyed.chat("m", false).await.expect(200);
    }
    // Unavailable: the same batch comes again.
    until("the second try", async || {
        (scene.sample(SENT).await == 3).then_some(())
    })
    .await;
    let came = scene.collector.came();
    assert_eq!(came[3].message, came[4].message);
    assert_eq!(scene.sample(DROPPED).await, 5);
    scene.proxy.logged("takes traces again; 3 spans were lost").await;
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn o10_a_collector_that_never_answers_holds_up_no_request_and_the_queue_is_bounded() {
    const REQUESTS: usize = 2_600;
    let scene = Scene::with(", metrics: off", "logging: {access: false}\n").await;
    scene.collector.always(Act::Hang);
    let tasks = (0..4).map(|_| {
        let keyed = scene.keyed.clone();
        tokio::spawn(async move {
            for _ in 0..REQUESTS / 4 {
                keyed.get("/v1/models").await.expect(200);
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    // Up to 256 are on their way, 2,048 wait.
    let dropped = until("the oldest to be dropped", async || {
        let dropped = scene.sample(DROPPED).await;
        (dropped >= (REQUESTS - 256 - 2_048) as u64).then_some(dropped)
    })
    .await;
    assert!(dropped <= (REQUESTS - 2_048) as u64, "{dropped}");
    let memory = scene.proxy.memory("VmRSS:");
    assert!(memory < 200 * 1024, "{memory} KiB");
    scene.collector.assert_no_secrets();
}

#[tokio::test]
async fn o10_what_is_left_is_sent_at_the_end_which_waits_for_no_collector_for_long() {
    let mut scene = Scene::start().await;
    scene.keyed.chat("m", false).await.expect(200);
    scene.proxy.recorded(1).await;
    scene.proxy.signal("-TERM");
    assert_eq!(scene.proxy.ended().await, Some(0));
    assert_eq!(scene.collector.spans().0.len(), 2);
    assert!(
        scene.collector.metric("llm_proxy_requests_total").is_some(),
        "and the last numbers"
    );
    scene.proxy.finish_ended().await;

    let mut scene = Scene::start().await;
    scene.collector.always(Act::Hang);
    scene.keyed.chat("m", false).await.expect(200);
    scene.proxy.recorded(1).await;
    scene.proxy.signal("-TERM");
    assert_eq!(scene.proxy.ended().await, Some(0));
    scene.proxy.logged("too slow for the last spans").await;
    scene.proxy.finish_ended().await;
}

#[tokio::test]
async fn a_collector_may_be_behind_tls_and_want_a_key_or_speak_http() {
    let secured = Collector::over_tls().await;
    let telemetry = format!(
        ", tls: {{ca: {}}}, headers: {{x-api-key: sk-canary-collector}}",
        secured.ca()
    );
    let scene = Scene::beside(secured, &telemetry, "").await;
    scene.keyed.chat("m", false).await.expect(200);
    scene.collector.took(2).await;
    let came = &scene.collector.came()[0];
    assert_eq!(
        (came.headers["x-api-key"].to_str().unwrap(), came.version.as_str()),
        ("sk-canary-collector", "HTTP/2.0")
    );
    scene.finish().await;

    for (protocol, tls) in [(", protocol: http", false), (", protocol: http", true)] {
        let collector = if tls {
            Collector::over_tls().await
        } else {
            Collector::start().await
        };
        let telemetry = format!("{protocol}, tls: {{ca: '{}'}}", collector.ca());
        let telemetry = if tls { telemetry } else { protocol.to_owned() };
        let scene = Scene::beside(collector, &telemetry, "").await;
        scene.collector.then(&[Act::Http(503)]);
        scene.keyed.chat("m", false).await.expect(200);
        scene.collector.took(2).await;
        let came = &scene.collector.came()[0];
        assert_eq!(came.path, "/v1/traces");
        assert_eq!(came.version, if tls { "HTTP/2.0" } else { "HTTP/1.1" });
        scene.finish().await;
    }
}
