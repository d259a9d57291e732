//! F13 to F21: rates, quotas and refused keys, each against what it speaks of, for as long as it says.

use jiff::{Timestamp, ToSpan};
use llm_sim::Answer;
use serde_json::{Value, json};

use super::bench::{Bench, Case, Dialect, Setup, key_of};

const TWO_KEYS: [&str; 2] = ["sk-canary-key-one", "sk-canary-key-two"];

/// A 429 about a mere rate, with one more header.
fn limited(case: Case, header: &str, value: &str) -> Answer {
    let body = case.error("rate_limit_error", "rate_limit_exceeded", "Too many requests");
    let answer = Answer::status(429).body(body);
    if header.is_empty() {
        answer
    } else {
        answer.header(header, value)
    }
}

fn seconds(line: &Value) -> f64 {
    line["seconds"].as_f64().unwrap()
}

#[tokio::test]
async fn f13_a_rate_limit_benches_one_key_for_one_model_and_the_other_key_answers() {
    for case in Case::ALL {
        let bench = Setup::of(case).keys_of_a(&TWO_KEYS).start().await;
        let answer = limited(case, "retry-after", "20");
        bench
            .a
            .script(move |seen| match (key_of(seen).as_str(), &seen.json()["model"]) {
                ("sk-canary-key-one", model) if model == "m" => answer.clone(),
                _ => Answer::healthy(),
            });
        for _ in 0..4 {
            bench.a_answers("m").await;
        }
        let refused: Vec<String> = bench
            .a
            .seen()
            .iter()
            .map(key_of)
            .filter(|key| key == TWO_KEYS[0])
            .collect();
        assert_eq!(refused.len(), 1, "the first key is asked once, then rests");
        let line = bench.cooled("m").await;
        assert_eq!(line["scope"], "key_model");
        assert_eq!(line["key"], "a#1");
        assert_eq!(seconds(&line).to_string(), "20");
        // For another model the keys go on taking turns.
        for _ in 0..2 {
            bench.a_answers("m-other").await;
        }
        let others = bench
            .a
            .seen()
            .iter()
            .rev()
            .take(2)
            .map(key_of)
            .collect::<std::collections::BTreeSet<_>>();
        assert_eq!(others.len(), 2, "{others:?}");
        assert_eq!(bench.b.seen().len(), 0);
        bench.finish().await;
    }
}

/// What an operator reads of a used-up quota: in the status, the log and the access line.
#[tokio::test]
async fn f17_what_is_used_up_is_told_to_the_operator() {
    let unified = |window: &str| {
        let name = |what: &str| format!("anthropic-ratelimit-unified-{window}-{what}");
        let reset = (Timestamp::now() + 3_600.seconds()).as_second().to_string();
        Answer::status(429)
            .header(&name("status"), "rejected")
            .header(&name("reset"), &reset)
            .header("anthropic-ratelimit-unified-7d_opus-reset", "99999999999")
    };
    for case in Case::ALL {
        let words = |kind, code, message| Answer::status(429).body(case.error(kind, code, message));
        let weekly = "You've reached your weekly limit, it resets in 2 hours";
        for (answer, class, kind, reason) in [
            (
                words("usage_limit_reached", "x", weekly),
                "quota",
                "week",
                "weekly limit reached",
            ),
            (unified("5h"), "quota", "five_hours", "five-hour limit reached"),
            (
                words("rate_limit_error", "x", "Too many concurrent requests"),
                "rate",
                "concurrency",
                "too many requests at once",
            ),
            (
                Answer::status(402).body(case.error("x", "x", "余额不足")),
                "quota",
                "balance",
                "balance used up",
            ),
            (words("x", "x", "slow down"), "rate", "", "rate limit reached"),
        ] {
            let bench = Bench::start(case).await;
            bench.a.always(answer);
            bench.b_answers("m").await;
            let line = bench.cooled("m").await;
            let told = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            assert_eq!(
                (told(&line["class"]), told(&line["kind"])),
                (class.into(), kind.into()),
                "{line}"
            );
            let cooldown = &bench.cooldowns_of_a().await[0];
            assert_eq!(
                (told(&cooldown["kind"]), told(&cooldown["reason"])),
                (kind.into(), reason.into())
            );
            let until: Timestamp = told(&cooldown["until"]).parse().unwrap();
            assert!(until > Timestamp::now(), "{cooldown}");
            let attempt = &bench.proxy.recorded(1).await[0]["attempts"][0];
            assert_eq!(told(&attempt["kind"]), kind, "{attempt}");
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn f14_a_rate_limit_without_a_time_falls_back_and_rests_briefly() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(limited(case, "", ""));
        bench.b_answers("m").await;
        bench.fell_back(0, "rate").await;
        let line = bench.cooled("m").await;
        assert_eq!(line["scope"], "key_model");
        assert!((4.0..=6.0).contains(&seconds(&line)), "{line}");
        bench.b_answers("m").await;
        assert_eq!(bench.a.seen().len(), 1);
        bench.finish().await;
    }
}

#[tokio::test]
async fn f15_every_way_to_state_a_reset_time_is_understood() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let soon = (Timestamp::now() + 120.seconds()).strftime("%FT%TZ").to_string();
        let cases = [
            ("retry-after-ms", "1500", 1.5..=1.5),
            ("retry-after", "7", 7.0..=7.0),
            ("anthropic-ratelimit-requests-reset", &soon, 60.0..=120.0),
            ("x-ratelimit-reset-requests", "1m42.653s", 102.653..=102.653),
            ("x-ratelimit-reset-tokens", "6m0s", 360.0..=360.0),
        ];
        for (n, (header, value, expected)) in cases.into_iter().enumerate() {
            bench.a.next(limited(case, header, value));
            let model = format!("m-{n}");
            bench.b_answers(&model).await;
            bench.fell_back(n, "rate").await;
            let line = bench.cooled(&model).await;
            assert!(expected.contains(&seconds(&line)), "{header}: {value}: {line}");
        }
        let body = case.error(
            "rate_limit_error",
            "rate_limit_exceeded",
            "Limit reached. Please try again in 1.5s.",
        );
        bench.a.next(Answer::status(429).body(body));
        bench.b_answers("m-words").await;
        let line = bench.cooled("m-words").await;
        assert!((1.5..=1.5).contains(&seconds(&line)), "{line}");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f16_whatever_stands_in_retry_after_is_survived() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let date = |offset: i64| {
            let moment = Timestamp::now() + offset.seconds();
            moment.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
        };
        let (soon, past, long) = (date(120), date(-3600), "9".repeat(10 * 1024));
        let default = 4.0..=6.0;
        let cases = [
            (soon.as_str(), 60.0..=120.0),
            (&past, default.clone()),
            ("-5", default.clone()),
            ("abc", default.clone()),
            ("0", default.clone()),
            ("1e400", default.clone()),
            (&long, default),
            // The last, since a day is no rate but a quota, which benches the key for all models.
            ("999999999999", 86_400.0..=86_400.0),
        ];
        for (n, (value, expected)) in cases.into_iter().enumerate() {
            bench.a.next(limited(case, "retry-after", value));
            let model = format!("m-{n}");
            bench.b_answers(&model).await;
            let line = bench.cooled(&model).await;
            assert!(expected.contains(&seconds(&line)), "retry-after: {value}: {line}");
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f17_a_used_up_quota_benches_the_key_for_all_models() {
    for case in Case::ALL {
        let reset = (Timestamp::now() + 2.hours()).strftime("%FT%TZ").to_string();
        let weekly = format!("You have reached your weekly limit; it resets at {reset}");
        let bodies = [
            (
                case.error(
                    "insufficient_quota",
                    "insufficient_quota",
                    "You exceeded your current quota",
                ),
                1_440.0..=1_800.0,
            ),
            (
                case.error("rate_limit_error", "rate_limit_exceeded", &weekly),
                7_000.0..=7_200.0,
            ),
        ];
        for (body, expected) in bodies {
            let bench = Bench::start(case).await;
            bench.a.always(Answer::status(429).body(body));
            bench.b_answers("m").await;
            bench.fell_back(0, "quota").await;
            for model in ["m", "m-other"] {
                bench.b_answers(model).await;
            }
            assert_eq!(bench.a.seen().len(), 1, "the key rests for every model");
            let coolings = bench.coolings();
            assert_eq!(coolings.len(), 1, "told once: {coolings:?}");
            assert_eq!(coolings[0]["scope"], "key");
            assert_eq!(coolings[0]["level"], "warn");
            assert!(expected.contains(&seconds(&coolings[0])), "{}", coolings[0]);
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn f18_a_relays_words_about_an_empty_account_are_understood() {
    let sayings = [
        (402, "余额不足"),
        (402, "Insufficient balance"),
        (403, "余额不足, 请充值"),
        (403, "insufficient balance"),
        (429, "额度不足"),
        (400, "Your credit balance is too low"),
    ];
    for case in Case::ALL {
        for (status, saying) in sayings {
            let bench = Bench::start(case).await;
            let body = case.error("invalid_request_error", "", saying);
            bench.a.always(Answer::status(status).body(body));
            bench.b_answers("m").await;
            bench.fell_back(0, "quota").await;
            bench.b_answers("m-other").await;
            assert_eq!(bench.a.seen().len(), 1, "{status} {saying}");
            assert_eq!(bench.cooled("m").await["scope"], "key");
            bench.finish().await;
        }
    }
}

#[tokio::test]
async fn f19_a_refused_key_rests_and_is_told_to_the_operator_once() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        bench.a.always(Answer::status(401));
        bench.b_answers("m").await;
        bench.fell_back(0, "auth").await;
        bench.b_answers("m").await;
        bench.b_answers("m-other").await;
        assert_eq!(bench.a.seen().len(), 1);
        let coolings = bench.coolings();
        assert_eq!(coolings.len(), 1, "told once: {coolings:?}");
        assert_eq!(coolings[0]["level"], "error");
        assert_eq!(coolings[0]["scope"], "key");
        assert!(
            (480.0..=720.0).contains(&seconds(&coolings[0])),
            "{}",
            coolings[0]
        );
        bench.finish().await;
    }
}

#[tokio::test]
async fn f20_a_refused_key_of_the_only_backend_is_a_502_without_the_key() {
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        let body = case.error(
            "authentication_error",
            "invalid_api_key",
            "Incorrect API key provided: sk-canary-backend-a, that is sk-canar***********nd-a.",
        );
        bench.a.always(
            Answer::status(401)
                .header("www-authenticate", "Bearer")
                .body(body),
        );
        let first = bench.refused("only", 502, "upstream_auth", "api_error").await;
        assert!(!first.text().contains("sk-"), "{}", first.text());
        assert_eq!(first.header("www-authenticate"), "");
        assert_eq!(first.header("x-should-retry"), "false");
        let second = bench.refused("only", 502, "upstream_auth", "api_error").await;
        let wait: u64 = second.header("retry-after").parse().unwrap();
        assert!((300..=720).contains(&wait), "{wait}");
        assert_eq!(bench.a.seen().len(), 1, "the second one was not tried");
        bench.finish().await;
    }
}

#[tokio::test]
async fn f21_a_key_that_may_not_use_a_model_may_use_others() {
    let sayings = [
        "You do not have access to model m",
        "Country, region, or territory not supported",
        "This model is not available in your region",
    ];
    for case in Case::ALL {
        let bench = Bench::start(case).await;
        for (n, saying) in sayings.into_iter().enumerate() {
            let body = case.error("permission_error", "", saying);
            bench.a.next(Answer::status(403).body(body));
            let model = format!("m-{n}");
            bench.b_answers(&model).await;
            bench.b_answers(&model).await;
            assert_eq!(bench.a.seen().len(), 1 + 2 * n, "{saying}");
            let line = bench.cooled(&model).await;
            assert_eq!(line["scope"], "key_model", "{saying}");
            assert_eq!(line["class"], "forbidden_model", "{saying}");
            bench.a_answers(&format!("m-other-{n}")).await;
        }
        bench.finish().await;
    }
}

#[tokio::test]
async fn f13_several_keys_take_turns_and_a_refused_one_leaves_the_others_in_use() {
    for dialect in [Dialect::Chat, Dialect::Messages] {
        let bench = Setup::of(Case::new(dialect, false))
            .keys_of_a(&TWO_KEYS)
            .start()
            .await;
        for _ in 0..4 {
            bench.a_answers("m").await;
        }
        let used = |key: &str| bench.a.seen().iter().filter(|seen| key_of(seen) == key).count();
        assert_eq!(TWO_KEYS.map(used), [2, 2], "a fair turn each");
        bench.a.keys([TWO_KEYS[1]]);
        for _ in 0..4 {
            bench.a_answers("m").await;
        }
        assert_eq!(TWO_KEYS.map(used), [3, 6], "refused once, then left alone");
        let cooldowns = bench.cooldowns_of_a().await;
        assert_eq!(cooldowns.len(), 1);
        assert_eq!(cooldowns[0]["key"], json!("a#1"));
        assert_eq!(cooldowns[0]["class"], json!("auth"));
        assert_eq!(bench.b.seen().len(), 0);
        // That a key was refused is the one thing that the simulation has to complain about.
        assert_eq!(bench.a.protocol_errors().len(), 1);
        bench.proxy.finish().await;
    }
}
