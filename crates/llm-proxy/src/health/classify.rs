//! Layer one: what one attempt came to (`reliability.md` 5.2).
//!
//! The order is: transport, status, code and type in the body, built-in sayings, default; the operator's
//! `error_map` goes before all of it where a rule fits. Two guards stand over that order: a server's own failure
//! (5xx) is never blamed on the caller because of words in its body (F27), and what an error quotes of the caller's
//! own words benches nobody.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::evidence::{ErrorFacts, Evidence};
use super::policy::blames_the_caller;
use super::quota::{self, QuotaKind};
use super::windows::{self, Spent};
use super::words::Words;
use super::{reset, texts};
use crate::base::Class;
use crate::config::types::{Detection, ErrorMap, TextPattern};

/// A reset this far away is no rate any more: the account is used up.
const QUOTA_FROM: Duration = Duration::from_mins(10);
/// Only so much of a body is searched, in bytes.
const BODY: usize = 8 << 10;

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Its class.
    pub class: Class,
    /// When the backend says that it will take requests again; above zero, at most a day.
    pub reset: Option<Duration>,
    /// Whether the request may move on to another candidate: by the class, or since `detection` says so.
    pub falls_back: bool,
    /// Whether the state was said in words (a code, a text, the operator's map) and not by a bare status.
    pub firm: bool,
    /// What is used up, where that is told.
    pub kind: Option<QuotaKind>,
}

/// Judges an attempt at the backend of that name. `wall` is the wall clock, for reset times that are dates.
///
/// `detection.error_codes` and `error_patterns` only widen: an error that they name falls back although its class
/// would not. What is the caller's fault by its status alone ([`Class::Client`]) becomes [`Class::Server`] by it and
/// so counts in the breaker; all other classes stay as they are, and with them everybody's health.
pub fn classify(evidence: &Evidence<'_>, backend: &str, detection: &Detection, wall: SystemTime) -> Verdict {
    let Some(seen) = Seen::of(evidence) else {
        return bare(transport(evidence));
    };
    let reset = reset::reset_after(seen.headers.unwrap_or(&HeaderMap::new()), &seen.body, wall);
    let window = seen.headers.and_then(|headers| windows::spent(headers, wall));
    let words = seen.words();
    let mapped = seen.mapped(backend, &detection.error_map);
    let (class, firm) = mapped.map_or_else(|| seen.judge(&words, reset, window), |class| (class, true));
    let widened = mapped != Some(Class::Client) && seen.widened(detection);
    let class = if widened && class == Class::Client && !firm {
        Class::Server
    } else {
        class
    };
    Verdict {
        class,
        reset,
        falls_back: widened || falls_back(class),
        firm,
        kind: seen.kind(class, &words, window),
    }
}

/// Judges a 2xx that reads like an answer: `Some` only where a rule of `error_map` names this very status (F45).
///
/// Rules without a status or a pattern, and `error_patterns`, are not asked: an answer may well talk about quotas.
pub fn disguised(
    status: u16,
    raw: &[u8],
    backend: &str,
    detection: &Detection,
    wall: SystemTime,
) -> Option<Verdict> {
    let body = text_of(raw);
    let precise = |rule: &ErrorMap| rule.status.is_some() && rule.pattern.is_some();
    let fits = |rule: &&ErrorMap| precise(rule) && rule_fits(rule, backend, [Some(status), None], &body);
    let class = detection.error_map.iter().find(fits)?.class;
    let reset = reset::reset_after(&HeaderMap::new(), &body, wall);
    let words = Words::of("", &body);
    Some(Verdict {
        class,
        reset,
        falls_back: falls_back(class),
        firm: true,
        kind: quota::kind(class, (None, None), &ErrorFacts::default(), (&words, &body)),
    })
}

/// Whether a failure of that class may move on to another candidate: the third column of 5.2.
///
/// `context_length` does so only to a route with a larger window, which the caller sees to.
pub fn falls_back(class: Class) -> bool {
    match class {
        Class::Connect
        | Class::StaleConn
        | Class::Reset
        | Class::TtftTimeout
        | Class::Server
        | Class::Unavailable
        | Class::Overloaded
        | Class::Rate
        | Class::Quota
        | Class::Auth
        | Class::ForbiddenModel
        | Class::NotFound
        | Class::BadResponse
        | Class::ContextLength => true,
        Class::Signature
        | Class::Unsupported
        | Class::Client
        | Class::Policy
        | Class::Conflict
        | Class::Midstream
        | Class::Overtaken
        | Class::ClientGone
        | Class::Local => false,
    }
}

fn bare(class: Class) -> Verdict {
    Verdict {
        class,
        reset: None,
        falls_back: falls_back(class),
        firm: false,
        kind: None,
    }
}

/// The class of what has no body to look at.
fn transport(evidence: &Evidence<'_>) -> Class {
    match evidence {
        Evidence::Connect => Class::Connect,
        Evidence::StaleConn => Class::StaleConn,
        Evidence::Reset => Class::Reset,
        Evidence::FirstByteTimeout => Class::TtftTimeout,
        Evidence::Midstream => Class::Midstream,
        Evidence::Redirect
        | Evidence::BadResponse { .. }
        | Evidence::Status { .. }
        | Evidence::InBand { .. } => Class::BadResponse,
    }
}

/// An answer with something in it to judge.
struct Seen<'a> {
    /// The status on the wire.
    wire: u16,
    /// The status that counts: the wire's, or under a 2xx the one that the error states.
    status: Option<u16>,
    headers: Option<&'a HeaderMap>,
    body: Cow<'a, str>,
    facts: Option<&'a ErrorFacts>,
}

impl<'a> Seen<'a> {
    fn of(evidence: &Evidence<'a>) -> Option<Self> {
        match *evidence {
            Evidence::Status {
                status,
                headers,
                body,
                error,
            } => Some(Self {
                wire: status,
                status: Some(status),
                headers: Some(headers),
                body: text_of(body),
                facts: Some(error),
            }),
            Evidence::InBand { error, raw } => Some(Self {
                wire: 200,
                status: stated_status(error),
                headers: None,
                body: text_of(raw),
                facts: Some(error),
            }),
            Evidence::BadResponse { raw } => Some(Self {
                wire: 200,
                status: None,
                headers: None,
                body: text_of(raw),
                facts: None,
            }),
            _ => None,
        }
    }

    /// The class that the operator gives. On a 5xx no rule makes it the caller's fault.
    fn mapped(&self, backend: &str, rules: &[ErrorMap]) -> Option<Class> {
        let failed_itself = self.status.is_some_and(|status| status >= 500);
        let statuses = [Some(self.wire), self.status];
        let fits = |rule: &&ErrorMap| {
            !(failed_itself && rule.class == Class::Client) && rule_fits(rule, backend, statuses, &self.body)
        };
        rules.iter().find(fits).map(|rule| rule.class)
    }

    /// Whether `detection` says that this falls back.
    fn widened(&self, detection: &Detection) -> bool {
        let named = |status| detection.error_codes.iter().any(|code| code.matches(status));
        self.status.is_some_and(named)
            || detection
                .error_patterns
                .iter()
                .any(|text| text.found_in(&self.body))
    }

    /// What it says, for people.
    fn words(&self) -> Words {
        Words::of(self.facts.map_or("", |facts| &facts.message), &self.body)
    }

    /// What is used up, where an answer of that class tells.
    fn kind(&self, class: Class, words: &Words, window: Option<Spent>) -> Option<QuotaKind> {
        let unread = ErrorFacts::default();
        let facts = self.facts.unwrap_or(&unread);
        let kind = quota::kind(class, (self.headers, window), facts, (words, &self.body));
        // Whoever asks for payment without a word more has an empty purse before him.
        kind.or((self.status == Some(402) && class == Class::Quota).then_some(QuotaKind::Balance))
    }

    /// The built-in class, and whether words told it.
    fn judge(&self, words: &Words, reset: Option<Duration>, window: Option<Spent>) -> (Class, bool) {
        let Some(facts) = self.facts else {
            return (Class::BadResponse, false);
        };
        let admits = |class: &Class| admits(self.status, *class);
        let mut names = [&facts.code, &facts.kind].into_iter();
        let coded = names.clone().filter_map(|code| texts::by_code(code)).find(admits);
        let rate_is_quota = || is_quota(words, reset, window);
        match coded.or_else(|| texts::by_saying(words, |class| admits(&class))) {
            Some(Class::Rate) if rate_is_quota() => (Class::Quota, true),
            Some(class) => (self.settle(class), true),
            None => {
                let vague = names.find_map(|code| texts::by_vague_code(code));
                self.by_default(vague, words, rate_is_quota)
            }
        }
    }

    /// What a word means under this status: "model not found" under a 403 is a model that this key may not use.
    fn settle(&self, class: Class) -> Class {
        match (self.status, class) {
            (Some(403), Class::NotFound) => Class::ForbiddenModel,
            _ => class,
        }
    }

    fn by_default(
        &self,
        vague: Option<Class>,
        words: &Words,
        rate_is_quota: impl FnOnce() -> bool,
    ) -> (Class, bool) {
        let class = match (self.status.map(of_status), vague) {
            (None | Some(Class::Client), Some(Class::Rate)) => Class::Rate,
            (Some(class), _) | (None, Some(class)) => class,
            (None, None) => Class::BadResponse,
        };
        match (self.status, class) {
            (_, Class::Rate) if rate_is_quota() => (Class::Quota, true),
            (Some(403), _) if texts::perhaps_forbidden_model(words) => (Class::ForbiddenModel, true),
            _ => (class, false),
        }
    }
}

/// A rate is a quota where the window of the whole key is used up, whenever it ends; where the reset is far away, or
/// where no near reset contradicts words about a quota. A window of some models alone leaves the key in use.
fn is_quota(words: &Words, reset: Option<Duration>, window: Option<Spent>) -> bool {
    match window {
        Some(window) => window.whole_key,
        None => reset.map_or_else(|| texts::perhaps_quota(words), |reset| reset >= QUOTA_FROM),
    }
}

/// The class of a status by itself.
fn of_status(status: u16) -> Class {
    match status {
        401 | 403 => Class::Auth,
        402 => Class::Quota,
        404 | 405 | 410 => Class::NotFound,
        408 => Class::TtftTimeout,
        409 | 425 => Class::Conflict,
        429 => Class::Rate,
        503 => Class::Unavailable,
        529 => Class::Overloaded,
        400..=499 => Class::Client,
        500..=599 => Class::Server,
        _ => Class::BadResponse,
    }
}

/// Whether words may turn an answer of that status into that class.
fn admits(status: Option<u16>, class: Class) -> bool {
    let starved = matches!(class, Class::Quota | Class::Unavailable | Class::Overloaded);
    let refused = matches!(class, Class::Auth | Class::NotFound | Class::ForbiddenModel);
    let limited = class == Class::Rate;
    match status {
        // Where the backend failed by itself its words may name which failure, never whose fault.
        Some(500 | 502) => starved || limited,
        Some(401 | 408 | 429 | 500..) => starved,
        Some(402) => class == Class::Quota,
        Some(404 | 405 | 410) => starved || matches!(class, Class::NotFound | Class::Client),
        Some(403) => starved || refused || limited || class == Class::Policy,
        Some(409 | 425) => false,
        // 400, 413, 422 and their like say anything, and so does an error without a status.
        _ => starved || refused || limited || blames_the_caller(class),
    }
}

/// The status that an error under a 200 states, as a number of its own or as its code.
fn stated_status(error: &ErrorFacts) -> Option<u16> {
    let stated = error.status.or_else(|| error.code.parse().ok())?;
    (400..600).contains(&stated).then_some(stated)
}

fn rule_fits(rule: &ErrorMap, backend: &str, statuses: [Option<u16>; 2], body: &str) -> bool {
    let status_fits = |rule: crate::config::types::StatusPattern| {
        statuses.into_iter().flatten().any(|status| rule.matches(status))
    };
    rule.backend.as_deref().is_none_or(|name| name == backend)
        && rule.status.is_none_or(status_fits)
        && rule
            .pattern
            .as_ref()
            .is_none_or(|pattern: &TextPattern| pattern.found_in(body))
}

fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes.get(..BODY).unwrap_or(bytes))
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::config::types::StatusPattern;

    /// The contract's defaults.
    fn detection() -> Detection {
        let exact = [401, 402, 403, 404, 408, 429].map(StatusPattern::Exact);
        Detection {
            error_codes: exact.into_iter().chain([StatusPattern::Hundred(5)]).collect(),
            error_patterns: vec![
                TextPattern::Text("insufficient_quota".into()),
                TextPattern::Regex(regex::Regex::new("(?i)no available (channel|account)").unwrap()),
            ],
            error_map: Vec::new(),
        }
    }

    fn text(value: Option<&Value>) -> String {
        match value {
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        }
    }

    fn facts(body: &str) -> ErrorFacts {
        let Ok(value) = serde_json::from_str::<Value>(body) else {
            return ErrorFacts::default();
        };
        match value.get("error") {
            Some(Value::String(message)) => ErrorFacts {
                message: message.clone(),
                ..ErrorFacts::default()
            },
            Some(error) => ErrorFacts {
                status: None,
                kind: text(error.get("type").or_else(|| error.get("status"))),
                code: text(error.get("code")),
                message: text(error.get("message")),
            },
            None => ErrorFacts {
                message: text(value.get("message")),
                ..ErrorFacts::default()
            },
        }
    }

    fn by_status(status: u16, headers: &HeaderMap, body: &str, detection: &Detection) -> Verdict {
        let error = facts(body);
        let evidence = Evidence::Status {
            status,
            headers,
            body: body.as_bytes(),
            error: &error,
        };
        classify(&evidence, "relay", detection, UNIX_EPOCH)
    }

    fn in_band(body: &str) -> Verdict {
        let error = facts(body);
        classify(
            &Evidence::InBand {
                error: &error,
                raw: body.as_bytes(),
            },
            "relay",
            &detection(),
            UNIX_EPOCH,
        )
    }

    fn message(text: &str) -> String {
        serde_json::json!({"error": {"message": text, "type": "invalid_request_error", "code": null}})
            .to_string()
    }

    #[test]
    fn transport_faults_are_what_they_are() {
        for (evidence, class, falls_back) in [
            (Evidence::Connect, Class::Connect, true),
            (Evidence::StaleConn, Class::StaleConn, true),
            (Evidence::Reset, Class::Reset, true),
            (Evidence::FirstByteTimeout, Class::TtftTimeout, true),
            (Evidence::Redirect, Class::BadResponse, true),
            (Evidence::BadResponse { raw: b"<html>" }, Class::BadResponse, true),
            (Evidence::Midstream, Class::Midstream, false),
        ] {
            let verdict = classify(&evidence, "a", &detection(), UNIX_EPOCH);
            assert_eq!(
                (verdict.class, verdict.falls_back, verdict.firm),
                (class, falls_back, false),
                "{evidence:?}"
            );
        }
    }

    #[test]
    fn a_bare_status_has_its_class() {
        for (status, class, falls_back) in [
            (400, Class::Client, false),
            (401, Class::Auth, true),
            (402, Class::Quota, true),
            (403, Class::Auth, true),
            (404, Class::NotFound, true),
            (405, Class::NotFound, true),
            (410, Class::NotFound, true),
            (408, Class::TtftTimeout, true),
            (409, Class::Conflict, false),
            (413, Class::Client, false),
            (415, Class::Client, false),
            (422, Class::Client, false),
            (425, Class::Conflict, false),
            (429, Class::Rate, true),
            (500, Class::Server, true),
            (502, Class::Server, true),
            (503, Class::Unavailable, true),
            (504, Class::Server, true),
            (524, Class::Server, true),
            (529, Class::Overloaded, true),
        ] {
            let verdict = by_status(status, &HeaderMap::new(), "", &detection());
            assert_eq!(
                (verdict.class, verdict.falls_back, verdict.firm),
                (class, falls_back, false),
                "{status}"
            );
        }
    }

    #[test]
    fn recorded_errors_with_their_status() {
        for (id, status, body, class) in [
            ("C: Anthropic's 400 for an empty purse", 400, message("Your credit balance is too low to access the Anthropic API."), Class::Quota),
            ("F18 402", 402, message("Insufficient Balance"), Class::Quota),
            ("F18 403", 403, message("账户余额不足"), Class::Quota),
            ("F17 code", 429, r#"{"error":{"message":"You exceeded your current quota, please check your plan","type":"insufficient_quota","code":"insufficient_quota"}}"#.into(), Class::Quota),
            ("F17 text", 429, message("You've reached your weekly limit"), Class::Quota),
            ("a relay's 500 for an empty purse", 500, message("该令牌余额不足"), Class::Quota),
            ("a relay without a channel", 503, r#"{"error":{"message":"No available channel for model x","code":"model_not_found"}}"#.into(), Class::Unavailable),
            ("the same as a 400", 400, message("当前分组 default 下对于模型 x 无可用渠道"), Class::Unavailable),
            ("a saturated relay", 429, message("当前分组上游负载已饱和，请稍后再试"), Class::Unavailable),
            ("Moonshot", 429, r#"{"error":{"type":"engine_overloaded_error","message":"busy"}}"#.into(), Class::Overloaded),
            ("F21 model", 403, r#"{"error":{"message":"Project `p` does not have access to model `m`","code":"model_not_found"}}"#.into(), Class::ForbiddenModel),
            ("F21 region", 403, message("Country, region, or territory not supported"), Class::ForbiddenModel),
            ("F21 in other words", 403, message("This key may not use that model"), Class::ForbiddenModel),
            ("403 of a key", 403, r#"{"error":{"type":"permission_error","message":"Your key was revoked"}}"#.into(), Class::Auth),
            ("F22", 404, r#"{"error":{"message":"The model `x` does not exist or you do not have access to it.","code":"model_not_found"}}"#.into(), Class::NotFound),
            ("OpenAI Responses", 400, r#"{"error":{"message":"The requested model 'x' does not exist.","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#.into(), Class::NotFound),
            ("DeepSeek", 400, message("The supported API model names are a and b, but you passed c."), Class::NotFound),
            ("OpenRouter", 400, r#"{"error":{"message":"x is not a valid model ID","code":400}}"#.into(), Class::NotFound),
            ("xAI model", 400, r#"{"error":"Model not found: x"}"#.into(), Class::NotFound),
            ("xAI key", 400, r#"{"error":"Incorrect API key provided: ab***yz."}"#.into(), Class::Auth),
            ("Gemini key", 400, r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}"#.into(), Class::Auth),
            ("F25 OpenAI chat", 400, r#"{"error":{"message":"This model's maximum context length is 8192 tokens.","type":"invalid_request_error","code":"context_length_exceeded"}}"#.into(), Class::ContextLength),
            ("F25 Responses", 400, message("Your input exceeds the context window of this model"), Class::ContextLength),
            ("F25 Anthropic", 400, message("prompt is too long: 213462 tokens > 200000 maximum"), Class::ContextLength),
            ("F25 Vertex", 400, message("The input token count (9) exceeds the maximum number of tokens allowed (5)."), Class::ContextLength),
            ("F25 llama.cpp", 400, r#"{"error":{"type":"exceed_context_size_error","message":"too big"}}"#.into(), Class::ContextLength),
            ("F25 Ollama", 400, r#"{"error":"prompt too long; exceeded max context length by 4 tokens"}"#.into(), Class::ContextLength),
            ("F25 Perplexity", 400, r#"{"error":{"type":"too_many_prompt_tokens","message":"no"}}"#.into(), Class::ContextLength),
            ("F25 as a 413", 413, message("prompt is too long"), Class::ContextLength),
            ("F27", 500, r#"{"error":{"message":"prompt is too long","code":"context_length_exceeded"}}"#.into(), Class::Server),
            ("F28", 400, message("messages.1.content.0: Invalid `signature` in `thinking` block"), Class::Signature),
            ("F28 Gemini", 400, message("Corrupted thought signature."), Class::Signature),
            ("a filter", 400, r#"{"error":{"code":"content_filter","message":"The response was filtered"}}"#.into(), Class::Policy),
            ("a name is no word of the backend", 404, message("The model `余额不足` does not exist"), Class::NotFound),
            ("nor in a 400", 400, message("Invalid value: '余额不足'. Supported values are: 'a'"), Class::Client),
            ("nor unquoted", 400, r#"{"error":"Model not found: 余额不足"}"#.into(), Class::NotFound),
            ("a 404 for an item of the caller's", 404, message("Item with id 'rs_1' not found. Items are not persisted when `store` is set to false."), Class::Client),
            ("F24", 400, message("messages: at least one message is required"), Class::Client),
            ("a 429 that blames the request", 429, r#"{"error":{"type":"invalid_request_error","message":"slow down"}}"#.into(), Class::Rate),
            ("a page of HTML", 403, "<html>Access denied</html>".into(), Class::Auth),
            ("Anthropic's spending limit", 400, message("You have reached your specified API usage limits. You will regain access on 2026-08-01 at 00:00 UTC."), Class::Quota),
            ("a relay's rate as a 403", 403, message("您的请求过于频繁，请稍后再试"), Class::Rate),
            ("as a 500", 500, message("上游并发数已达上限"), Class::Rate),
            ("as a 400", 400, message("Too many concurrent requests for this account"), Class::Rate),
            ("a 503 stays one", 503, message("Too many requests"), Class::Unavailable),
            ("a caller's own words", 400, message("Invalid value: 'too many requests'"), Class::Client),
            ("a 402 is about money", 402, message("The server is busy"), Class::Quota),
            ("a 403 may be a filter's", 403, message("This input requires moderation"), Class::Policy),
            ("but not the length of a context", 403, message("prompt is too long"), Class::Auth),
            ("a conflict stays one", 409, message("The server is busy"), Class::Conflict),
            ("a 404 is no rate", 404, message("Too many requests"), Class::NotFound),
            ("Zhipu's busy hour", 429, message("该模型当前访问量过大，请您稍后再试"), Class::Overloaded),
            ("Zhipu's week", 429, message("[1310][Weekly/Monthly Limit Exhausted. Your limit will reset at 2026-01-21 10:08:38]"), Class::Quota),
        ] {
            assert_eq!(by_status(status, &HeaderMap::new(), &body, &detection()).class, class, "{id}: {body}");
        }
    }

    #[test]
    fn f14_f17_the_reset_tells_a_rate_from_a_quota() {
        let google = message("You exceeded your current quota, please check your plan and billing details.");
        for (id, retry_after, body, class) in [
            (
                "F14: Vertex says nothing",
                None,
                message("Resource exhausted"),
                Class::Rate,
            ),
            ("F13", Some("1"), message("Rate limit reached"), Class::Rate),
            (
                "far away",
                Some("3600"),
                message("Rate limit reached"),
                Class::Quota,
            ),
            (
                "a second less than ten minutes",
                Some("599"),
                message("Rate limit reached"),
                Class::Rate,
            ),
            (
                "ten minutes",
                Some("600"),
                message("Rate limit reached"),
                Class::Quota,
            ),
            (
                "F16: clamped to a day",
                Some("999999999999"),
                message("Rate limit reached"),
                Class::Quota,
            ),
            ("Google's rate", Some("34"), google.clone(), Class::Rate),
            ("Google's quota", None, google, Class::Quota),
            (
                "F17: soon, but of the whole key",
                Some("3"),
                message("weekly limit reached"),
                Class::Quota,
            ),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = retry_after {
                headers.insert("retry-after", HeaderValue::from_static(value));
            }
            assert_eq!(by_status(429, &headers, &body, &detection()).class, class, "{id}");
        }
    }

    #[test]
    fn what_was_said_in_words_is_firm() {
        let long = [("retry-after", "3600")];
        for (status, headers, body, class) in [
            (403, &[][..], "Too many requests", Class::Rate),
            (403, &long, "Too many requests", Class::Quota),
            (429, &long, "slow down", Class::Quota),
            (403, &[], "This key may not use that model", Class::ForbiddenModel),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            let verdict = by_status(status, &map, &message(body), &detection());
            assert_eq!((verdict.class, verdict.firm), (class, true), "{status} {body}");
        }
    }

    fn kind_of(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Option<QuotaKind> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_static(value));
        }
        by_status(status, &map, body, &detection()).kind
    }

    #[test]
    fn what_is_used_up_is_told_apart() {
        use QuotaKind::{
            Balance, Concurrency, Day, FiveHours, Month, Overload, Region, Requests, Tokens, Week,
        };
        let openai = |kind: &str, text: &str| {
            serde_json::json!({"error": {"message": text, "type": kind, "code": "rate_limit_exceeded"}})
                .to_string()
        };
        let google = |quota: &str| {
            format!(
                r#"{{"error":{{"code":429,"status":"RESOURCE_EXHAUSTED","message":"You exceeded your current quota.",
                "details":[{{"violations":[{{"quotaId":"{quota}"}}]}},{{"retryDelay":"34s"}}]}}}}"#
            )
        };
        #[rustfmt::skip]
        let cases = [
            ("OpenAI's tokens", 429, openai("tokens", "Rate limit reached for gpt-x on tokens per min (TPM): Limit 1, Used 1."), Some(Tokens)),
            ("OpenAI's requests", 429, openai("requests", "Rate limit reached for gpt-x on requests per min (RPM): Limit 3."), Some(Requests)),
            ("OpenAI's day", 429, openai("requests", "Rate limit reached for gpt-x on requests per day (RPD): Limit 200."), Some(Day)),
            ("Anthropic's tokens", 429, message("This request would exceed the rate limit for your organization of 30,000 input tokens per minute."), Some(Tokens)),
            ("Anthropic's requests", 429, message("This request would exceed the rate limit for your organization of 50 requests per minute."), Some(Requests)),
            ("Anthropic's concurrency", 429, message("Number of concurrent connections has exceeded your rate limit."), Some(Concurrency)),
            ("Anthropic's purse", 400, message("Your credit balance is too low to access the Anthropic API."), Some(Balance)),
            ("Anthropic's month", 400, message("You have reached your specified API usage limits."), Some(Month)),
            ("Google's minute", 429, google("GenerateRequestsPerMinutePerProjectPerModel-FreeTier"), Some(Requests)),
            ("Google's tokens", 429, google("GenerateContentPaidTierInputTokensPerModelPerMinute"), Some(Tokens)),
            ("Google's day", 429, google("GenerateRequestsPerDayPerProjectPerModel-FreeTier"), Some(Day)),
            ("five hours", 429, message("Usage limit reached for 5 hour."), Some(FiveHours)),
            ("in Chinese", 429, message("已达到 5 小时的使用上限。"), Some(FiveHours)),
            ("a week", 429, message("You've reached your weekly limit"), Some(Week)),
            ("in Chinese", 429, message("您已达到每周/每月使用上限"), Some(Week)),
            ("a purse by its code", 429, r#"{"error":{"code":"insufficient_quota","message":"You exceeded your current quota, please check your plan"}}"#.into(), Some(Balance)),
            ("F18", 403, message("账户余额不足"), Some(Balance)),
            ("nothing but 402", 402, String::new(), Some(Balance)),
            ("a relay", 429, message("当前分组并发数已达上限"), Some(Concurrency)),
            ("a saturated relay", 429, message("当前分组上游负载已饱和，请稍后再试"), Some(Overload)),
            ("529", 529, String::new(), Some(Overload)),
            ("a region", 403, message("Country, region, or territory not supported"), Some(Region)),
            ("a model, not a region", 403, message("This key may not use that model"), None),
            ("nobody knows", 429, message("slow down"), None),
            ("nor of a quota", 429, message("slow down, it resets in 2 hours"), None),
            ("a server's failure has none", 500, message("weekly maintenance"), None),
        ];
        for (id, status, body, expected) in cases {
            assert_eq!(kind_of(status, &[], &body), expected, "{id}: {body}");
        }
        let remaining = [("x-ratelimit-remaining-tokens", "0")];
        assert_eq!(
            kind_of(429, &remaining, &message("slow down")),
            Some(Tokens),
            "by its headers"
        );
    }

    /// The window of a subscription is the key's, however soon it ends; that of some models is not, however late.
    #[test]
    fn f17_a_window_of_the_key_is_a_quota_and_one_of_some_models_a_rate() {
        let text = message("This request would exceed your account's rate limit. Please try again later.");
        for (id, headers, class, kind) in [
            (
                "three minutes are left of five hours",
                &[
                    ("anthropic-ratelimit-unified-5h-status", "rejected"),
                    ("retry-after", "180"),
                ][..],
                Class::Quota,
                QuotaKind::FiveHours,
            ),
            (
                "a week of some models",
                &[
                    ("anthropic-ratelimit-unified-status", "rejected"),
                    ("anthropic-ratelimit-unified-7d-status", "allowed"),
                    (
                        "anthropic-ratelimit-unified-representative-claim",
                        "seven_day_opus",
                    ),
                    ("retry-after", "86000"),
                ],
                Class::Rate,
                QuotaKind::Week,
            ),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            let verdict = by_status(429, &map, &text, &detection());
            assert_eq!((verdict.class, verdict.kind), (class, Some(kind)), "{id}");
        }
    }

    #[test]
    fn an_error_under_a_200_is_what_it_says() {
        for (id, body, class) in [
            (
                "F33",
                r#"{"error":{"message":"Provider returned error","code":429}}"#,
                Class::Rate,
            ),
            (
                "Anthropic",
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                Class::Overloaded,
            ),
            (
                "Anthropic",
                r#"{"type":"error","error":{"type":"api_error","message":"Internal"}}"#,
                Class::Server,
            ),
            (
                "Responses",
                r#"{"error":{"code":"server_is_overloaded","message":"x"}}"#,
                Class::Overloaded,
            ),
            (
                "Responses",
                r#"{"error":{"code":"rate_limit_exceeded","message":"try again in 1.5s"}}"#,
                Class::Rate,
            ),
            (
                "OpenAI",
                r#"{"error":{"type":"server_error","message":"oops"}}"#,
                Class::Server,
            ),
            (
                "context",
                r#"{"error":{"code":"context_length_exceeded","message":"x"}}"#,
                Class::ContextLength,
            ),
            (
                "the caller",
                r#"{"error":{"type":"invalid_request_error","message":"x"}}"#,
                Class::Client,
            ),
            ("F18", r#"{"error":"余额不足"}"#, Class::Quota),
            (
                "the least status",
                r#"{"error":{"message":"x","code":400}}"#,
                Class::Client,
            ),
            (
                "a number beyond them is none",
                r#"{"error":{"message":"prompt is too long","code":600}}"#,
                Class::ContextLength,
            ),
            ("who knows", r#"{"error":{"message":"?"}}"#, Class::BadResponse),
        ] {
            assert_eq!(in_band(body).class, class, "{id}: {body}");
        }
        assert_eq!(
            in_band(r#"{"error":{"message":"try again in 1.5s","code":429}}"#).reset,
            Some(Duration::from_millis(1500))
        );
    }

    #[test]
    fn the_operators_map_wins_but_blames_no_caller_for_a_5xx() {
        let rule = |backend: Option<&str>, status, pattern: &str, class| ErrorMap {
            backend: backend.map(str::to_owned),
            status,
            pattern: Some(TextPattern::Text(pattern.into())),
            class,
        };
        let mut detection = detection();
        detection.error_map = vec![
            rule(Some("other"), None, "odd", Class::Auth),
            rule(
                Some("relay"),
                Some(StatusPattern::Exact(400)),
                "odd",
                Class::Overloaded,
            ),
            rule(None, None, "your fault", Class::Client),
            rule(
                None,
                Some(StatusPattern::Exact(500)),
                "image input",
                Class::Unsupported,
            ),
            ErrorMap {
                backend: None,
                status: Some(StatusPattern::Exact(418)),
                pattern: None,
                class: Class::Unavailable,
            },
        ];
        for (status, body, class, firm) in [
            (400, "an ODD thing", Class::Overloaded, true),
            (422, "an odd thing", Class::Client, false),
            (429, "it is your fault", Class::Client, true),
            (500, "it is your fault", Class::Server, false),
            (500, "image input is not supported", Class::Unsupported, true),
            (418, "whatever it says", Class::Unavailable, true),
        ] {
            let verdict = by_status(status, &HeaderMap::new(), body, &detection);
            assert_eq!((verdict.class, verdict.firm), (class, firm), "{status} {body}");
        }
    }

    #[test]
    fn f45_a_rule_that_names_200_finds_an_error_that_reads_like_an_answer() {
        let mut detection = detection();
        let rule = |status| ErrorMap {
            backend: None,
            status,
            pattern: Some(TextPattern::Text("no available channel".into())),
            class: Class::Unavailable,
        };
        detection.error_map = vec![rule(None)];
        let body = br#"{"choices":[{"message":{"content":"No available channel"}}]}"#;
        assert_eq!(
            disguised(200, body, "relay", &detection, UNIX_EPOCH),
            None,
            "answers may say so"
        );
        detection.error_map = vec![rule(Some(StatusPattern::Exact(200)))];
        let verdict = disguised(200, body, "relay", &detection, UNIX_EPOCH).unwrap();
        assert_eq!(
            (verdict.class, verdict.falls_back, verdict.firm),
            (Class::Unavailable, true, true)
        );
        let broken = classify(
            &Evidence::BadResponse { raw: body },
            "relay",
            &detection,
            UNIX_EPOCH,
        );
        assert_eq!(
            broken.class,
            Class::Unavailable,
            "what is no answer at all is looked up too"
        );
    }

    #[test]
    fn an_error_under_a_200_is_mapped_by_either_status() {
        for (status, body, class) in [
            (Some(200), r#"{"error":{"message":"odd"}}"#, Class::Overloaded),
            (
                Some(200),
                r#"{"error":{"message":"odd","code":429}}"#,
                Class::Overloaded,
            ),
            (
                Some(429),
                r#"{"error":{"message":"odd","code":429}}"#,
                Class::Overloaded,
            ),
            (None, r#"{"error":{"message":"odd"}}"#, Class::Client),
        ] {
            let mut detection = detection();
            detection.error_map = vec![ErrorMap {
                backend: None,
                status: status.map(StatusPattern::Exact),
                pattern: Some(TextPattern::Text("odd".into())),
                class,
            }];
            let error = facts(body);
            let raw = body.as_bytes();
            let evidence = Evidence::InBand { error: &error, raw };
            let verdict = classify(&evidence, "relay", &detection, UNIX_EPOCH);
            assert_eq!(verdict.class, class, "{status:?} {body}");
        }
    }

    #[test]
    fn what_comes_late_in_a_body_is_not_searched() {
        for (before, class) in [(8_000, Class::Quota), (8_192, Class::Client)] {
            let body = format!("{}余额不足", "x".repeat(before));
            let verdict = by_status(400, &HeaderMap::new(), &body, &detection());
            assert_eq!(verdict.class, class, "after {before} bytes");
        }
    }

    #[test]
    fn who_left_and_what_we_refused_is_sent_nowhere_else() {
        assert!(!falls_back(Class::ClientGone) && !falls_back(Class::Local));
    }

    #[test]
    fn detection_widens_and_never_narrows() {
        let nothing = HeaderMap::new();
        let mut detection = detection();
        detection.error_codes = vec![StatusPattern::Exact(422), StatusPattern::Exact(409)];
        detection.error_patterns = vec![TextPattern::Text("upstream busy".into())];
        for (status, body, class, falls_back) in [
            (422, "", Class::Server, true),
            (409, "", Class::Conflict, true),
            (400, "Upstream busy", Class::Server, true),
            (400, "", Class::Client, false),
            (500, "", Class::Server, true),
        ] {
            let verdict = by_status(status, &nothing, body, &detection);
            assert_eq!(
                (verdict.class, verdict.falls_back),
                (class, falls_back),
                "{status} {body}"
            );
        }
    }

    proptest! {
        #[test]
        fn f27_no_words_blame_the_caller_for_a_5xx(status in 500_u16..600, words in ".*", code in "[a-z_]*") {
            let sayings = ["prompt is too long", "invalid `signature` in `thinking`", "content_filter", "unknown model"];
            for saying in sayings {
                let body = serde_json::json!({"error": {"message": format!("{saying} {words}"), "code": code}}).to_string();
                let verdict = by_status(status, &HeaderMap::new(), &body, &detection());
                prop_assert!(!blames_the_caller(verdict.class), "{status} {body} {verdict:?}");
                prop_assert!(verdict.falls_back);
            }
        }
    }
}
