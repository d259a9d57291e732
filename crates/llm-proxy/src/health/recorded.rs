//! Every error that was recorded from a real provider, judged: its class, when it passes, what is used up.

use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};
use llm_dialect::fault;
use serde_json::Value;

use super::*;
use crate::base::Class;
use crate::config::types::Detection;

/// What each recording comes to, by its file.
type Expected = (&'static str, Class, Option<u64>, Option<QuotaKind>);

const ERRORS: [Expected; 14] = [
    ("chat/error-400-groq-1", Class::Client, None, None),
    ("chat/error-401-openrouter-1", Class::Auth, None, None),
    ("chat/error-429-openrouter-1", Class::Rate, None, None),
    (
        "chat/error-max-tokens-unsupported-openai",
        Class::Client,
        None,
        None,
    ),
    ("gemini/error-400-gemini-3", Class::Auth, None, None),
    (
        "gemini/error-429-gemini-1",
        Class::Rate,
        Some(48),
        Some(QuotaKind::Tokens),
    ),
    (
        "gemini/error-429-retry-info-gemini",
        Class::Rate,
        Some(34),
        Some(QuotaKind::Requests),
    ),
    ("messages/count-tokens-anthropic-1", Class::NotFound, None, None),
    ("messages/error-400-anthropic-1", Class::Client, None, None),
    ("messages/error-400-anthropic-3", Class::Client, None, None),
    ("messages/error-401-anthropic-1", Class::Auth, None, None),
    ("responses/error-400-openai-1", Class::Client, None, None),
    ("responses/error-401-openai-1", Class::Auth, None, None),
    ("responses/previous-response-openai-1", Class::Client, None, None),
];

fn detection() -> Detection {
    Detection {
        error_codes: Vec::new(),
        error_patterns: Vec::new(),
        error_map: Vec::new(),
    }
}

/// The recordings with an error status: name, status, headers, body.
fn recordings() -> Vec<(String, u16, HeaderMap, String)> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var_os("LLM_PROXY_SHARED").unwrap_or_else(|| beside.into());
    let fixtures = Path::new(&shared).join("fixtures");
    let folders = ["chat", "gemini", "messages", "responses"];
    let files = folders.iter().flat_map(|folder| {
        let files = std::fs::read_dir(fixtures.join(folder)).unwrap();
        files.map(move |file| (folder, file.unwrap().path()))
    });
    let mut all: Vec<_> = files
        .filter_map(|(folder, file)| {
            let case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let response = &case["response"];
            let status = u16::try_from(response["status"].as_u64()?).unwrap();
            let name = format!("{folder}/{}", file.file_stem()?.to_str()?);
            let body = response.get("json")?.to_string();
            (status >= 400).then(|| (name, status, headers(&response["headers"]), body))
        })
        .collect();
    all.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    all
}

fn headers(recorded: &Value) -> HeaderMap {
    let pairs = recorded.as_object().into_iter().flatten();
    let parsed = pairs.map(|(name, value)| {
        let value = HeaderValue::from_str(value.as_str().unwrap()).unwrap();
        (HeaderName::try_from(name).unwrap(), value)
    });
    parsed.collect()
}

fn judged(status: u16, headers: &HeaderMap, body: &str) -> Verdict {
    let read = fault::read(body.as_bytes());
    let error = ErrorFacts {
        status: read.status,
        kind: read.kind,
        code: read.code,
        message: read.message,
    };
    let evidence = Evidence::Status {
        status,
        headers,
        body: body.as_bytes(),
        error: &error,
    };
    classify(&evidence, "relay", &detection(), UNIX_EPOCH)
}

#[test]
fn f15_f17_every_recorded_error_is_judged_as_a_person_would() {
    let recordings = recordings();
    let names: Vec<&str> = recordings.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(
        names,
        ERRORS.map(|(name, ..)| name),
        "a recording is not in the table, or is gone"
    );
    for ((name, class, seconds, kind), (_, status, headers, body)) in ERRORS.iter().zip(&recordings) {
        let verdict = judged(*status, headers, body);
        let told = (
            verdict.class,
            verdict.reset.map(|reset| reset.as_secs()),
            verdict.kind,
        );
        assert_eq!(told, (*class, *seconds, *kind), "{name}: {body}");
    }
}

/// What relays say, in their languages.
#[rustfmt::skip]
const WORDS: [(&str, Class, Option<QuotaKind>); 11] = [
    ("余额不足", Class::Quota, Some(QuotaKind::Balance)),
    ("用户额度不足, 剩余额度: ¥0.000000", Class::Quota, Some(QuotaKind::Balance)),
    ("당신의 잔액이 부족합니다", Class::Quota, Some(QuotaKind::Balance)),
    ("недостаточно средств на балансе", Class::Quota, Some(QuotaKind::Balance)),
    ("saldo insuficiente", Class::Quota, Some(QuotaKind::Balance)),
    ("No available channel for model x under group default", Class::Unavailable, None),
    ("当前分组 default 下对于模型 x 无可用渠道", Class::Unavailable, None),
    ("当前分组上游负载已饱和，请稍后再试", Class::Unavailable, Some(QuotaKind::Overload)),
    ("系统繁忙，请稍后再试", Class::Overloaded, Some(QuotaKind::Overload)),
    ("已达到 5 小时的使用上限。", Class::Quota, Some(QuotaKind::FiveHours)),
    ("You have reached your weekly usage limit", Class::Quota, Some(QuotaKind::Week)),
];

/// A relay puts the words of others into an envelope of its own: the same judgement must come of it.
#[test]
fn f18_a_relays_envelope_changes_no_judgement() {
    for (text, class, kind) in WORDS {
        let envelopes = [
            serde_json::json!({"error": {"message": text, "type": "new_api_error", "code": "x"}}),
            serde_json::json!({"error": text}),
            serde_json::json!({"code": 1, "msg": text}),
            serde_json::json!({"detail": text}),
            serde_json::json!({"type": "error", "error": {"type": "invalid_request_error", "message": text}}),
        ];
        for envelope in envelopes.map(|envelope| envelope.to_string()) {
            for status in [400, 403, 429, 500, 503] {
                let verdict = judged(status, &HeaderMap::new(), &envelope);
                let told = (verdict.class, verdict.kind);
                assert_eq!(told, (class, kind), "{status} {envelope}");
                assert!(verdict.falls_back, "{status} {envelope}");
            }
        }
    }
}

/// A time that a relay states in its own words is honoured whatever class it has.
#[test]
fn f15_times_in_recorded_words_are_read() {
    for (text, seconds) in [
        ("Please retry in 48.939935699s.", 48),
        (
            "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000, Used 29000, Requested 1500. Please try again in 1.2s.",
            1,
        ),
        ("请求过于频繁，请 30 秒后重试", 30),
    ] {
        let body = serde_json::json!({"error": {"message": text}}).to_string();
        let reset = judged(429, &HeaderMap::new(), &body).reset;
        assert_eq!(reset.map(|reset| reset.as_secs()), Some(seconds), "{text}");
        assert!(reset >= Some(Duration::from_secs(seconds)), "fractions are kept");
    }
}
