//! F08 to F12, F22, F23, F27: error statuses that are the backend's own, and what they bench.

use llm_sim::Answer;
use serde_json::json;

use super::bench::{Bench, Case, Setup};

#[tokio::test]
async fn f08_a_500_falls_back_and_one_of_them_benches_nothing() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.next(Answer::status(500));
        bench.b_answers("m").await;
        bench.fell_back(0, "server").await;
        bench.a_answers("m").await;
        assert_eq!(bench.coolings().len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f09_the_third_500_in_a_row_benches_that_model_of_the_backend() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.script(|seen| match seen.json()["model"].as_str() {
            Some("m") => Answer::status(500),
            _ => Answer::healthy(),
        });
        for request in 0..3 {
            bench.b_answers("m").await;
            bench.fell_back(request, "server").await;
        }
        bench.b_answers("m").await;
        assert_eq!(bench.a.seen().len(), 3, "the fourth request does not touch it");
        let cooldowns = bench.cooldowns_of_a().await;
        assert_eq!(cooldowns.len(), 1);
        assert_eq!(cooldowns[0]["scope"], "backend_model");
        assert_eq!(cooldowns[0]["class"], "server");
        assert!(cooldowns[0]["seconds_left"].as_f64().unwrap() > 0.0);
        assert_eq!(bench.proxy.backend("a").await["state"], "cooling");
        bench.a_answers("m-other").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f10_other_statuses_of_a_failing_backend_fall_back() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        for (request, status) in [502, 504, 520, 521, 522, 523, 524, 525, 526, 527]
            .into_iter()
            .enumerate()
        {
            bench.a.next(Answer::status(status));
            bench.b_answers(&format!("m-{status}")).await;
            bench.fell_back(request, "server").await;
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f11_a_503_with_a_time_benches_for_that_time_whatever_the_cooldown() {
    for case in Case::ALL {
        let setup = Setup::of(case).top("fallback: {cooldown: 300ms}");
        let bench = setup.start().await;
        let body = case.error("server_error", "", "Service temporarily unavailable");
        bench
            .a
            .always(Answer::status(503).header("retry-after", "20").body(body));
        bench.b_answers("m").await;
        bench.fell_back(0, "unavailable").await;
        let line = bench.cooled("m").await;
        assert_eq!(line["scope"], "backend_model");
        assert_eq!(line["seconds"], json!(20.0));
        bench.b_answers("m").await;
        assert_eq!(bench.a.seen().len(), 1);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f11_a_503_of_the_only_backend_is_told_with_its_time() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let body = case.error("server_error", "", "Service temporarily unavailable");
        bench
            .a
            .always(Answer::status(503).header("retry-after", "20").body(body));
        let error = bench
            .refused("only", 503, "upstream_cooling", "overloaded_error")
            .await;
        assert_eq!(error.header("retry-after"), "20");
        assert_eq!(error.header("retry-after-ms"), "20000");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f12_a_529_benches_the_model_at_once() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.next(Answer::status(529));
        bench.b_answers("m").await;
        bench.fell_back(0, "overloaded").await;
        assert_eq!(bench.cooled("m").await["scope"], "backend_model");
        bench.b_answers("m").await;
        assert_eq!(bench.a.seen().len(), 1);
        bench.a_answers("m-other").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f12_an_overload_of_the_only_backend_is_told_in_the_dialect() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(529));
        bench.refused("only", 503, "overloaded", "overloaded_error").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f22_an_unknown_model_benches_that_model_alone_for_long() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.next(Answer::status(404));
        bench.b_answers("m").await;
        bench.fell_back(0, "not_found").await;
        let line = bench.cooled("m").await;
        assert_eq!(line["scope"], "backend_model");
        let seconds = line["seconds"].as_f64().unwrap();
        assert!((480.0..=600.0).contains(&seconds), "{seconds}");
        bench.b_answers("m").await;
        assert_eq!(bench.a.seen().len(), 1);
        bench.a_answers("m-other").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f23_a_model_that_no_backend_knows_is_a_404_in_the_dialect() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(404));
        bench.b.always(Answer::status(404));
        bench
            .refused("m", 404, "model_not_found", "not_found_error")
            .await;
        let attempts = bench.attempts(0).await;
        assert_eq!(attempts.len(), 2, "{attempts:?}");
        // Both are benched now: the same is said at once, and nobody is asked.
        bench
            .refused("m", 404, "model_not_found", "not_found_error")
            .await;
        assert_eq!((bench.a.seen().len(), bench.b.seen().len()), (1, 1));
        bench.finish().await;
    }
}

#[tokio::test]
async fn f23_one_404_among_other_failures_is_no_404() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(404));
        bench.b.always(Answer::status(500));
        bench.refused("m", 502, "upstream_unavailable", "api_error").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn f27_a_500_that_speaks_of_the_context_is_the_backends_fault_all_the_same() {
    for case in Case::ALL {
        let setup = Setup::of(case).contexts(200_000, 100_000);
        let bench = setup.start().await;
        let message = "context_length_exceeded: prompt is too long, maximum context length is 4096 tokens";
        let body = case.error("api_error", "context_length_exceeded", message);
        bench.a.next(Answer::status(500).body(body));
        bench.b_answers("m").await;
        bench.fell_back(0, "server").await;
        bench.finish().await;
    }
}
