//! `traceparent`, in and out.

use llm_sim::{Answer, Sim};

use super::super::support::collector::{attributes, hex};
use super::super::support::{Proxy, until};
use super::{Scene, config};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What the backend was told by its only request.
fn told(sim: &Sim, name: &str) -> Option<String> {
    let seen = sim.seen();
    assert_eq!(seen.len(), 1);
    seen[0].header(name).map(str::to_owned)
}

#[tokio::test]
async fn o08_a_clients_trace_goes_on_through_every_attempt() {
    let scene = Scene::start().await;
    scene.first.next(Answer::status(500));
    let client = scene
        .keyed
        .clone()
        .header("traceparent", PARENT)
        .header("tracestate", "vendor=x");
    client.chat("m", false).await.expect(200);
    let spans = scene.collector.took(3).await;
    let server = spans.server();
    assert_eq!(
        (
            hex(&server.trace_id).as_str(),
            hex(&server.parent_span_id).as_str()
        ),
        (TRACE, "00f067aa0ba902b7")
    );
    let attempts = spans.attempts();
    for (sim, attempt) in [(&scene.first, attempts[0]), (&scene.second, attempts[1])] {
        let expected = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
        assert_eq!(
            told(sim, "traceparent"),
            Some(expected),
            "{}",
            attributes(attempt)
        );
        assert_eq!(told(sim, "tracestate").as_deref(), Some("vendor=x"));
    }
    assert_eq!(scene.proxy.recorded(1).await[0]["trace_id"], TRACE);
    scene.finish().await;
}

#[tokio::test]
async fn o08_what_its_client_does_not_record_we_do_not_but_the_trace_goes_on() {
    let scene = Scene::start().await;
    let unsampled = PARENT.replace("-01", "-00");
    let client = scene.keyed.clone().header("traceparent", &unsampled);
    client.chat("m", false).await.expect(200);
    let onwards = told(&scene.first, "traceparent").unwrap();
    assert!(
        onwards.starts_with(&format!("00-{TRACE}-")) && onwards.ends_with("-00"),
        "{onwards}"
    );
    assert_ne!(onwards, unsampled);
    assert_eq!(scene.proxy.recorded(1).await[0]["trace_id"], TRACE);
    // The one after it is sampled: what would have been before it has not come.
    scene.keyed.chat("m", false).await.expect(200);
    let spans = scene.collector.took(2).await;
    assert_eq!(spans.0.len(), 2);
    assert_ne!(hex(&spans.server().trace_id), TRACE);
    scene.finish().await;
}

#[tokio::test]
async fn o08_a_broken_parent_begins_a_trace_anew_and_its_state_stays_behind() {
    let scene = Scene::start().await;
    let broken = PARENT.replace("00-4b", "00-XX");
    let client = scene
        .keyed
        .clone()
        .header("traceparent", &broken)
        .header("tracestate", "vendor=x");
    client.chat("m", false).await.expect(200);
    let spans = scene.collector.took(2).await;
    assert!(spans.server().parent_span_id.is_empty());
    let id = hex(&spans.server().trace_id);
    let expected = format!("00-{id}-{}-01", hex(&spans.attempts()[0].span_id));
    assert_eq!(told(&scene.first, "traceparent"), Some(expected));
    assert_eq!(told(&scene.first, "tracestate"), None);
    assert_eq!(scene.proxy.recorded(1).await[0]["trace_id"], id);
    scene.finish().await;
}

#[tokio::test]
async fn o08_a_share_of_0_keeps_no_request_but_those_whose_parent_is_recorded() {
    let scene = Scene::with(", sample: 0", "").await;
    scene.keyed.chat("m", false).await.expect(200);
    assert!(told(&scene.first, "traceparent").unwrap().ends_with("-00"));
    scene
        .keyed
        .clone()
        .header("traceparent", PARENT)
        .chat("m", false)
        .await
        .expect(200);
    let spans = scene.collector.took(2).await;
    assert_eq!(hex(&spans.server().trace_id), TRACE);
    scene.finish().await;
}

#[tokio::test]
async fn a07_without_telemetry_the_clients_own_goes_on_as_it_came_whatever_it_is() {
    let scene = Scene::start().await;
    let off = Proxy::start(&config(&scene.first, &scene.second, "")).await;
    let keyed = off.client().header("x-api-key", "sk-canary-client-key");
    for (n, (parent, model)) in [(PARENT, "m"), ("nonsense", "m"), (PARENT, "only")]
        .into_iter()
        .enumerate()
    {
        let client = keyed
            .clone()
            .header("traceparent", parent)
            .header("tracestate", "vendor=x");
        client.chat(model, false).await.expect(200);
        let sim = if model == "only" {
            &scene.second
        } else {
            &scene.first
        };
        let seen = sim.seen().pop().unwrap();
        assert_eq!(seen.header("traceparent"), Some(parent), "{model}");
        assert_eq!(seen.header("tracestate"), Some("vendor=x"));
        assert!(off.recorded(n + 1).await[n].get("trace_id").is_none());
    }
    off.finish().await;
    scene.finish().await;
}

#[tokio::test]
async fn o08_a_reload_turns_it_on_and_off() {
    let scene = Scene::start().await;
    let with = |top: &str| config(&scene.first, &scene.second, top);
    scene.proxy.reload(&with("")).await;
    scene.keyed.chat("m", false).await.expect(200);
    assert_eq!(told(&scene.first, "traceparent"), None);
    let on = format!(
        "telemetry: {{otlp: '{}', resource: {{service.name: other}}}}\n",
        scene.collector.url()
    );
    scene.proxy.reload(&with(&on)).await;
    scene.keyed.chat("m", false).await.expect(200);
    assert_eq!(
        scene.collector.took(2).await.0.len(),
        2,
        "the one before has no spans"
    );
    assert_eq!(
        scene.collector.resources().last().unwrap()["service.name"],
        "other"
    );
    scene.keyed.chat("m", false).await.expect(200);
    // What was not sent yet when it was turned off still is.
    scene.proxy.reload(&with("")).await;
    until("the last spans", async || {
        (scene.collector.spans().0.len() == 4).then_some(())
    })
    .await;
    scene.finish().await;
}
