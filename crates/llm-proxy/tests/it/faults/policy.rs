//! F41 to F44: how many attempts, which failure is told, what may not move.

use std::collections::HashMap;
use std::time::Instant;

use llm_sim::{Answer, Seen, Sim, Speaks};
use serde_json::json;

use super::super::support::Proxy;
use super::bench::{Bench, Case, Dialect, Setup};

#[tokio::test]
async fn f41_no_more_attempts_than_allowed_and_all_of_them_on_record() {
    let names = ["a", "b", "c", "d"];
    for case in Case::ALL {
        for (setting, allowed) in [("", 3), ("fallback: {max_attempts: 2}", 2)] {
            let mut sims = Vec::new();
            let (mut backends, mut routes) = (Vec::new(), Vec::new());
            for (priority, name) in names.into_iter().enumerate() {
                let sim = Sim::start(Speaks::All).await.unwrap();
                sim.always(Answer::status(500));
                backends.push(format!(
                    "{{name: {name}, protocol: {}, url: \"{}\", api_key: sk-canary-{name}}}",
                    case.protocol(),
                    sim.url()
                ));
                routes.push(format!("{{backend: {name}, priority: {priority}}}"));
                sims.push(sim);
            }
            let config = format!(
                "backends: [{}]\nmodels: {{m: {{routes: [{}]}}}}\n{setting}\n",
                backends.join(", "),
                routes.join(", ")
            );
            let proxy = Proxy::start(&config).await;
            let reply = proxy
                .client()
                .post(case.path(), &case.body("m"))
                .await
                .expect(502);
            assert!(reply.json()["error"]["message"].is_string());
            let asked: Vec<usize> = sims.iter().map(|sim| sim.seen().len()).collect();
            assert_eq!(asked.iter().sum::<usize>(), allowed, "{asked:?}");
            let records = proxy.recorded(1).await;
            let attempts = records[0]["attempts"].as_array().unwrap();
            let backends: Vec<_> = attempts
                .iter()
                .map(|attempt| attempt["backend"].as_str().unwrap())
                .collect();
            assert_eq!(backends, names[..allowed]);
            for attempt in attempts {
                assert_eq!(attempt["class"], "server");
                assert_eq!(attempt["status"], 500);
            }
            assert_eq!(records[0]["status"], 502);
            proxy.finish().await;
        }
    }
}

#[tokio::test]
async fn f42_a_rate_limit_with_its_time_is_told_rather_than_a_later_400() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(429).header("retry-after", "7"));
        bench.b.always(Answer::status(400));
        let error = bench
            .refused("m", 429, "rate_limit_exceeded", "rate_limit_error")
            .await;
        assert_eq!(error.header("retry-after"), "7");
        assert_eq!(error.header("retry-after-ms"), "7000");
        assert_eq!(bench.attempts(0).await.len(), 2);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f43_a_request_that_goes_on_from_a_response_goes_to_its_maker_and_nowhere_else() {
    for stream in [false, true] {
        let case = Case::new(Dialect::Responses, stream);
        let bench = Setup::of(case)
            .keys_of_a(&["sk-canary-key-one", "sk-canary-key-two"])
            .start()
            .await;
        let first = bench.a_answers("m").await;
        let id = response_id(&first.text());
        let mut second = case.body("m");
        second["previous_response_id"] = json!(id);
        for _ in 0..3 {
            let reply = bench.client().post(case.path(), &second).await.expect(200);
            assert_eq!(reply.header("x-llm-proxy-backend"), "a");
        }
        let keys: Vec<String> = bench.a.seen().iter().map(super::bench::key_of).collect();
        assert!(
            keys.iter().all(|key| *key == keys[0]),
            "always its maker's key: {keys:?}"
        );
        bench.a.always(Answer::status(500));
        let failed = bench.client().post(case.path(), &second).await.expect(502);
        assert_eq!(failed.json()["error"]["code"], "upstream_unavailable");
        assert_eq!(bench.a.seen().len(), 5, "asked once");
        assert_eq!(bench.b.seen().len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f43_failures_of_bound_requests_count_and_a_benched_maker_is_not_replaced() {
    for stream in [false, true] {
        let case = Case::new(Dialect::Responses, stream);
        let bench = Bench::start(case).await;
        let first = bench.a_answers("m").await;
        let mut bound = case.body("m");
        bound["previous_response_id"] = json!(response_id(&first.text()));
        bench.a.always(Answer::status(500));
        for _ in 0..3 {
            bench.client().post(case.path(), &bound).await.expect(502);
        }
        assert_eq!(bench.cooled("m").await["class"], "server");
        let refused = bench.client().post(case.path(), &bound).await;
        assert!(refused.status >= 500, "{}", refused.text());
        assert_eq!(bench.b.seen().len(), 0, "nobody else knows that response");
        let free = bench.b_answers("m").await;
        assert_eq!(free.header("x-llm-proxy-attempts"), "1", "the maker is benched");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f43_a_response_that_is_not_remembered_is_asked_for_once_without_fallback() {
    for stream in [false, true] {
        let case = Case::new(Dialect::Responses, stream);
        let bench = Bench::start(case).await;
        let mut unknown = case.body("m");
        unknown["previous_response_id"] = json!("resp_of_another_day");
        let reply = bench.client().post(case.path(), &unknown).await.expect(200);
        assert_eq!(reply.header("x-llm-proxy-backend"), "a", "the usual order");
        bench.a.always(Answer::status(500));
        bench.client().post(case.path(), &unknown).await.expect(502);
        assert_eq!(bench.b.seen().len(), 0);
        bench.finish().await;
    }
}

/// The id of a response, in its JSON or in the first event of its stream.
fn response_id(text: &str) -> String {
    let (_, rest) = text.split_once("\"id\":\"resp").unwrap();
    format!("resp{}", rest.split_once('"').unwrap().0)
}

#[tokio::test]
async fn f44_where_everything_fails_retries_stay_within_their_budget() {
    const REQUESTS: usize = 300;
    let bench = Bench::start(Case::new(Dialect::Chat, false)).await;
    bench.a.always(Answer::status(500));
    bench.b.always(Answer::status(500));
    // Each with a model of its own, so that no breaker gets in the way.
    for n in 0..REQUESTS {
        bench
            .refused(&format!("m-{n}"), 502, "upstream_unavailable", "api_error")
            .await;
    }
    let seen: Vec<Seen> = bench.a.seen().into_iter().chain(bench.b.seen()).collect();
    let mut by_model: HashMap<String, usize> = HashMap::new();
    for request in &seen {
        *by_model.entry(request.json()["model"].to_string()).or_default() += 1;
    }
    assert!(by_model.values().all(|attempts| *attempts <= 3));
    assert_eq!(by_model.len(), REQUESTS, "each request gets its first attempt");
    let times: Vec<Instant> = seen.iter().map(|request| request.arrived).collect();
    let took = *times.iter().max().unwrap() - *times.iter().min().unwrap();
    // A fifth of the requests, ten a second, and the ten that are there at the start.
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let allowed = REQUESTS as f64 * 1.2 + (took.as_secs_f64() + 1.0) * 10.0 + 1.0;
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let total = seen.len() as f64;
    assert!(total <= allowed, "{total} attempts, {allowed} allowed");
    assert!(bench.b.seen().len() >= 10, "and the budget is there to be used");
    bench.finish().await;
}
