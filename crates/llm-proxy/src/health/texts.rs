//! What backends and relays say in words: the built-in table of codes and sayings, in the languages that relays speak.
//!
//! A `*` in a saying stands for anything between its parts. All is lower case. The wordings were recorded from
//! the services or are listed in `conversion.md` section 9 and `reliability.md` 5.2.

use super::words::Words;
use crate::base::Class;

/// Codes and types that mean one thing whatever the status beside them; compared whole.
const CODES: &[(Class, &[&str])] = &[
    (
        Class::Quota,
        &[
            "insufficient_quota",
            "insufficient_user_quota",
            "insufficient_balance",
            "insufficient_credits",
            "billing_error",
            "billing_not_active",
            "billing_hard_limit_reached",
            "usage_limit_reached",
            "quota_exceeded",
            "pre_consume_token_quota_failed",
            "token_quota_not_enough",
            "spending_limit_reached",
        ],
    ),
    (
        Class::Overloaded,
        &[
            "overloaded_error",
            "overloaded",
            "server_is_overloaded",
            "engine_overloaded_error",
        ],
    ),
    (Class::Unavailable, &["no_available_channel"]),
    (
        Class::Auth,
        &[
            "authentication_error",
            "invalid_api_key",
            "api_key_invalid",
            "unauthenticated",
            "account_deactivated",
        ],
    ),
    (
        Class::ContextLength,
        &[
            "context_length_exceeded",
            "exceed_context_size_error",
            "too_many_prompt_tokens",
        ],
    ),
    (
        Class::NotFound,
        &[
            "model_not_found",
            "not_found_error",
            "deploymentnotfound",
            "not_found",
        ],
    ),
    (
        Class::ForbiddenModel,
        &["unsupported_country_region_territory", "model_not_allowed"],
    ),
    (
        Class::Policy,
        &[
            "content_filter",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "data_inspection_failed",
            "sensitive_words_detected",
        ],
    ),
];

/// Codes and types that say little: they count only where nothing else tells.
const VAGUE_CODES: &[(Class, &[&str])] = &[
    (
        Class::Rate,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "ratelimitreached",
            "resource_exhausted",
            "too_many_requests",
        ],
    ),
    (Class::Unavailable, &["service_unavailable", "unavailable"]),
    (Class::Auth, &["permission_error", "permission_denied"]),
    (
        Class::Server,
        &[
            "api_error",
            "server_error",
            "internal_server_error",
            "internal_error",
            "internal",
            "upstream_error",
            "timeout_error",
            "deadline_exceeded",
        ],
    ),
    (
        Class::Client,
        &[
            "invalid_request_error",
            "invalid_argument",
            "invalid_prompt",
            "request_too_large",
            "bad_request",
        ],
    ),
];

/// Sayings in the message, or in the body where there is no message. The first that is found counts: that a model
/// is unknown goes before the rest, since its name may be anything.
const SAYINGS: &[(Class, &[&str])] = &[
    (
        Class::NotFound,
        &[
            "model not found",
            "model_not_found",
            "requested model*does not exist",
            "the model*does not exist",
            "is not a valid model id",
            "supported api model names are",
            "is not found for api version",
            "no endpoints found for",
            "unknown model",
            "模型不存在",
        ],
    ),
    // A 404 for a thing of the caller's, not for the model.
    (
        Class::Client,
        &[
            "item with id*not found",
            "previous response with id*not found",
            "conversation with id*not found",
            "no such file object",
            "file not found",
        ],
    ),
    (
        Class::Quota,
        &[
            "insufficient_quota",
            "insufficient balance",
            "insufficient account balance",
            "insufficient credit",
            "insufficient funds",
            "insufficient quota",
            "balance is not enough",
            "credit balance is too low",
            "requires more credits",
            "run out of credits",
            "used all available credits",
            "billing hard limit",
            "spending limit",
            "usage limit reached",
            "usage limit has been reached",
            "weekly limit",
            "5-hour limit",
            "five-hour limit",
            "weekly usage limit",
            "session usage limit",
            "monthly limit",
            "limit exhausted",
            "specified api usage limits",
            "workspace api usage limits",
            "quota is not enough",
            "quota exhausted",
            "quota has been exhausted",
            "out of credits",
            "credits exhausted",
            "no resource package",
            "余额不足",
            "额度不足",
            "额度已用尽",
            "额度已用完",
            "额度已耗尽",
            "额度耗尽",
            "余额已用尽",
            "余额已耗尽",
            "余额用尽",
            "配额已用",
            "配额耗尽",
            "使用上限",
            "请充值",
            "预扣费额度失败",
            "配额不足",
            "欠费",
            "餘額不足",
            "残高不足",
            "残高が不足",
            "クレジットが不足",
            "크레딧이 부족",
            "잔액이 부족",
            "недостаточно средств",
            "saldo insuficiente",
            "saldo esgotado",
            "saldo agotado",
            "saldo tidak cukup",
            "crédits insuffisants",
            "bakiye yetersiz",
            "không đủ số dư",
            "solde insuffisant",
            "guthaben reicht nicht",
            "guthaben aufgebraucht",
        ],
    ),
    (
        Class::Unavailable,
        &[
            "no available channel",
            "no available account",
            "no instances available",
            "no healthy upstream",
            "无可用渠道",
            "没有可用渠道",
            "無可用渠道",
            "无可用账号",
            "没有可用账号",
            "无可用通道",
            "无可用的渠道",
            "没有可用的渠道",
            "无可用的账号",
            "没有可用的账号",
            "暂无可用",
            "渠道不可用",
            "负载已饱和",
            "負載已飽和",
            "нет доступных каналов",
            "利用可能なチャンネルがありません",
        ],
    ),
    (
        Class::Overloaded,
        &[
            "is overloaded",
            "currently overloaded",
            "server overloaded",
            "model overloaded",
            "temporarily overloaded",
            "server is busy",
            "服务器繁忙",
            "系统繁忙",
            "服务繁忙",
            "负载过高",
            "訪問量過大",
            "访问量过大",
            "混み合って",
            "混雑して",
            "перегружен",
            "과부하",
            "sobrecargado",
            "surchargé",
            "überlastet",
        ],
    ),
    // Hosts that put a rate under another status than 429.
    (
        Class::Rate,
        &[
            "rate limit reached",
            "rate limit exceeded",
            "exceeded the rate limit",
            "rate-limited upstream",
            "too many requests",
            "too many concurrent requests",
            "concurrency limit",
            "requests-per-minute limit",
            "请求过于频繁",
            "请求频率",
            "请求数限制",
            "并发数",
            "并发限制",
            "速率限制",
            "слишком много запросов",
            "リクエストが多すぎ",
            "demasiadas solicitudes",
            "zu viele anfragen",
            "trop de requêtes",
        ],
    ),
    (
        Class::Auth,
        &[
            "incorrect api key provided",
            "invalid x-api-key",
            "invalid api key",
            "invalid api-key",
            "api key not valid",
            "api key not found",
            "api key expired",
            "api_key_invalid",
            "无效的令牌",
            "无效令牌",
            "令牌验证失败",
            "令牌已过期",
        ],
    ),
    (
        Class::ContextLength,
        &[
            "prompt is too long",
            "exceeds the context window",
            "maximum context length",
            "exceeds the available context size",
            "exceeded max context length",
            "input token count*exceeds the maximum number of tokens",
            "exceed context limit",
            "context length exceeded",
            "context_length_exceeded",
            "input is too long",
            "上下文长度",
        ],
    ),
    (
        Class::Signature,
        &[
            "invalid `signature` in `thinking`",
            "invalid signature in thinking",
            "corrupted thought signature",
            "bound to a different conversation",
        ],
    ),
    (
        Class::ForbiddenModel,
        &[
            "country, region, or territory not supported",
            "location is not supported",
            "region is not supported",
            "not available in your region",
            "not available in your country",
            "not have access to model",
            "not have access to the model",
            "not allowed to use model",
            "无权访问*模型",
            "无权使用*模型",
        ],
    ),
    (
        Class::Policy,
        &[
            "content management policy",
            "content_filter",
            "content filtering policy",
            "rejected as a result of our safety system",
            "requires moderation",
            "violates our usage policies",
            "inappropriate content",
            "敏感词",
            "内容安全",
        ],
    ),
];

/// Google and `OpenAI` say these of a used-up account, and Google of a rate that passes in seconds too.
const PERHAPS_QUOTA: &[&str] = &["exceeded your current quota", "quota exceeded for"];

/// A 403 that speaks of these is about them, not about the key.
const PERHAPS_FORBIDDEN_MODEL: &[&str] = &["model", "region", "country", "territory", "模型", "地区"];

/// The class that a code or type states, whatever else is there.
pub(super) fn by_code(code: &str) -> Option<Class> {
    look_up(CODES, |word| code.eq_ignore_ascii_case(word))
}

/// The class that a code or type suggests where nothing else tells.
pub(super) fn by_vague_code(code: &str) -> Option<Class> {
    look_up(VAGUE_CODES, |word| code.eq_ignore_ascii_case(word))
}

/// The first class whose saying is found and that `admits`.
pub(super) fn by_saying(words: &Words, admits: impl Fn(Class) -> bool) -> Option<Class> {
    let fits = |(class, sayings): &&(Class, &[&str])| {
        let text = words.against(*class);
        admits(*class) && sayings.iter().any(|saying| says(text, saying))
    };
    SAYINGS.iter().find(fits).map(|(class, _)| *class)
}

/// Whether a 429 speaks of a quota in words that may mean a mere rate.
pub(super) fn perhaps_quota(words: &Words) -> bool {
    let text = words.against(Class::Quota);
    PERHAPS_QUOTA.iter().any(|saying| says(text, saying))
}

/// Whether a 403 speaks of the model or of the place that it is asked from.
pub(super) fn perhaps_forbidden_model(words: &Words) -> bool {
    let text = words.against(Class::ForbiddenModel);
    PERHAPS_FORBIDDEN_MODEL.iter().any(|saying| says(text, saying))
}

fn look_up(table: &[(Class, &[&str])], fits: impl Fn(&str) -> bool) -> Option<Class> {
    let row = table
        .iter()
        .find(|(_, words)| words.iter().any(|word| fits(word)));
    row.map(|(class, _)| *class)
}

/// Whether the parts of `saying` occur in `text` one after the other.
pub(super) fn says(text: &str, saying: &str) -> bool {
    let mut rest = text;
    for part in saying.split('*') {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_are_lower_case_or_they_would_never_match() {
        for (_, words) in SAYINGS.iter().chain(CODES).chain(VAGUE_CODES) {
            for word in *words {
                assert_eq!(*word, word.to_lowercase(), "{word}");
            }
        }
    }

    #[test]
    fn no_code_stands_for_two_classes() {
        let all: Vec<&str> = CODES
            .iter()
            .chain(VAGUE_CODES)
            .flat_map(|(_, words)| *words)
            .copied()
            .collect();
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len(), "a code is listed twice");
    }

    #[test]
    fn a_star_skips_what_stands_between_in_that_order_only() {
        assert!(says(
            "the requested model 'x' does not exist.",
            "requested model*does not exist"
        ));
        assert!(says("a model, this model", "model*this"), "the first counts");
        assert!(!says(
            "does not exist: requested model",
            "requested model*does not exist"
        ));
    }
}
