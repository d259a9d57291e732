//! The rest of table 5.2, and what the operator adds to it in `detection`.

use llm_sim::Answer;

use super::bench::{Bench, Case, Setup};

#[tokio::test]
async fn a_conflict_is_tried_once_more_at_the_same_backend_and_then_relayed() {
    for case in Case::ALL {
        for status in [409, 425] {
            let bench = Bench::start(case).await;
            let body = case.error("conflict_error", "", "try again");
            let conflict = Answer::status(status).body(body.clone());
            bench.a.next(conflict.clone());
            bench.a_answers("m").await;
            assert_eq!(bench.a.seen().len(), 2);
            bench.a.always(conflict);
            assert_eq!(bench.ask("m").await.expect(status).json(), body);
            assert_eq!(bench.a.seen().len(), 4, "once more, not for ever");
            assert_eq!(bench.b.seen().len(), 0);
            assert_eq!(bench.coolings().len(), 0);
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn a_408_is_silence_by_another_name() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.next(Answer::status(408));
        bench.b_answers("m").await;
        bench.fell_back(0, "ttft_timeout").await;
        bench.finish().await;
    }
}

#[tokio::test]
async fn a_refusal_by_policy_is_relayed_and_harms_nobody() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let message = "The response was filtered due to the content management policy";
        let body = case.error("invalid_request_error", "content_filter", message);
        bench.a.always(Answer::status(400).body(body.clone()));
        assert_eq!(bench.ask("m").await.expect(400).json(), body);
        assert_eq!(bench.proxy.recorded(1).await[0]["class"], "policy");
        assert_eq!(bench.b.seen().len(), 0);
        assert_eq!(bench.coolings().len(), 0);
        bench.finish().await;
    }
}

#[tokio::test]
async fn codes_and_patterns_of_the_operator_fall_back_as_well() {
    let detection = "detection: {error_codes: [418, 5xx], error_patterns: [wrong kind of leaves, \"/moon phase \\\\d+/i\"]}";
    for case in Case::ALL {
        let bench = Setup::of(case).top(detection).start().await;
        let answers = [
            Answer::status(418).body(case.error("invalid_request_error", "", "a teapot")),
            Answer::status(400).body(case.error("invalid_request_error", "", "the wrong kind of leaves")),
            Answer::status(422).body(case.error("invalid_request_error", "", "Moon Phase 3")),
        ];
        for (n, answer) in answers.into_iter().enumerate() {
            bench.a.next(answer);
            bench.b_answers(&format!("m-{n}")).await;
        }
        let plain = case.error("invalid_request_error", "", "moon phase unknown");
        bench.a.next(Answer::status(400).body(plain));
        bench.ask("m-3").await.expect(400);
        assert_eq!(bench.b.seen().len(), 3, "the last one is the caller's own fault");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f45_a_rule_for_one_backend_names_the_class_of_its_odd_errors() {
    let detection =
        "detection: {error_map: [{backend: a, status: 400, pattern: \"/bad luck/\", class: overloaded}]}";
    for case in Case::ALL {
        let bench = Setup::of(case).top(detection).start().await;
        let answer = Answer::status(400).body(case.error("invalid_request_error", "", "just bad luck"));
        bench.a.always(answer.clone());
        bench.b_answers("m").await;
        bench.fell_back(0, "overloaded").await;
        assert_eq!(bench.cooled("m").await["class"], "overloaded");
        bench.b.always(answer);
        bench.ask("m").await.expect(400);
        assert_eq!(
            bench.a.seen().len(),
            1,
            "what `b` says of itself is left as it is"
        );
        bench.finish().await;
    }
}
