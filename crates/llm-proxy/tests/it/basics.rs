//! The main job: an alias, a backend of the same dialect, an answer; and the next backend when the first fails.

use llm_sim::{Answer, Sim, Speaks};

use super::support::Proxy;

fn two(a: &Sim, b: &Sim) -> String {
    format!(
        "backends:
  - {{name: a, protocol: openai, url: {}, api_key: sk-canary-backend-a}}
  - {{name: b, protocol: openai, url: {}, api_key: sk-canary-backend-b}}
models:
  m: {{routes: [{{backend: a, model: real, priority: 1}}, {{backend: b, model: real, priority: 2}}]}}
",
        a.url(),
        b.url()
    )
}

#[tokio::test]
async fn f08_an_error_of_the_first_backend_is_answered_from_the_second() {
    let (a, b) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    a.always(Answer::status(500));
    let proxy = Proxy::start(&two(&a, &b)).await;
    for stream in [false, true] {
        let reply = proxy.client().chat("m", stream).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "b");
        assert_eq!(reply.header("x-llm-proxy-attempts"), "2");
    }
    assert_eq!(a.seen().len(), 2, "one failure does not cool");
    assert_eq!(
        b.seen()[0].json()["model"],
        "real",
        "the backend is asked for its own model"
    );
    assert_eq!(b.protocol_errors(), [""; 0]);
    let records = proxy.recorded(2).await;
    assert_eq!(records[0]["attempts"][0]["class"], "server");
    assert_eq!(records[0]["attempts"][1]["class"], "ok");
    proxy.finish().await;
}
