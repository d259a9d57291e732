//! What of a backend is used up, where its answer tells: for the operator, who does something else about an empty
//! purse than about a rate. The class decides what happens; the kind only says more.

use http::HeaderMap;

use super::evidence::ErrorFacts;
use super::texts::says;
use super::windows::Spent;
use super::words::Words;
use crate::base::Class;

/// What is used up, or stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaKind {
    /// Requests at once.
    Concurrency,
    /// Requests in a short while.
    Requests,
    /// Tokens in a short while.
    Tokens,
    /// The allowance of a day.
    Day,
    /// The five-hour window of a subscription.
    FiveHours,
    /// The weekly window of a subscription.
    Week,
    /// The allowance or the spending limit of a month.
    Month,
    /// Money, or the credits that stand for it.
    Balance,
    /// The place that it is asked from is not served.
    Region,
    /// The backend has too much to do.
    Overload,
}

impl QuotaKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Concurrency,
        Self::Requests,
        Self::Tokens,
        Self::Day,
        Self::FiveHours,
        Self::Week,
        Self::Month,
        Self::Balance,
        Self::Region,
        Self::Overload,
    ];

    /// The name in logs and `/api/status`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Concurrency => "concurrency",
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Day => "day",
            Self::FiveHours => "five_hours",
            Self::Week => "week",
            Self::Month => "month",
            Self::Balance => "balance",
            Self::Region => "region",
            Self::Overload => "overload",
        }
    }

    /// The same in a person's words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Concurrency => "too many requests at once",
            Self::Requests => "rate of requests reached",
            Self::Tokens => "rate of tokens reached",
            Self::Day => "daily limit reached",
            Self::FiveHours => "five-hour limit reached",
            Self::Week => "weekly limit reached",
            Self::Month => "monthly limit reached",
            Self::Balance => "balance used up",
            Self::Region => "not served in this region",
            Self::Overload => "has too much to do",
        }
    }
}

/// Words for each kind of limit; the first kind of which one is found counts. A week goes before a month, since hosts
/// with both name them together, and what spans more time before what spans less.
const LIMITS: &[(QuotaKind, &[&str])] = &[
    (
        QuotaKind::Concurrency,
        &[
            "concurren",
            "simultaneous requests",
            "parallel requests",
            "并发",
            "並發",
            "同時リクエスト",
            "одновременн",
        ],
    ),
    (
        QuotaKind::FiveHours,
        &[
            "5-hour",
            "5 hour",
            "five-hour",
            "five hour",
            "5小时",
            "5 小时",
            "五小时",
        ],
    ),
    (
        QuotaKind::Week,
        &[
            "weekly",
            "per week",
            "7-day",
            "seven-day",
            "每周",
            "本周",
            "周限额",
        ],
    ),
    (
        QuotaKind::Month,
        &[
            "monthly",
            "per month",
            "api usage limits",
            "每月",
            "本月",
            "月限额",
        ],
    ),
    (
        QuotaKind::Day,
        &[
            "per day",
            "per-day",
            "perday",
            "daily",
            "(rpd)",
            "(tpd)",
            "每日",
            "每天",
            "今日",
            "当日",
            "当天",
            "日限额",
        ],
    ),
];

/// Words for rates, looked for only in a class that is one.
const RATES: &[(QuotaKind, &[&str])] = &[
    (QuotaKind::Tokens, &["token", "(tpm)", "tpm"]),
    (
        QuotaKind::Requests,
        &[
            "requests per",
            "requests-per",
            "requestsper",
            "for requests",
            "too many requests",
            "(rpm)",
            "rpm",
            "qps",
            "请求过于频繁",
            "请求频率",
            "请求数",
        ],
    ),
];

/// Words for money.
const PURSE: &[&str] = &[
    "balance",
    "credit",
    "billing",
    "funds",
    "spending",
    "insufficient",
    "pre_consume",
    "recharge",
    "余额",
    "餘額",
    "额度",
    "欠费",
    "充值",
    "残高",
    "クレジット",
    "잔액",
    "크레딧",
    "средств",
    "saldo",
    "solde",
    "guthaben",
];

/// Words for places.
const PLACES: &[&str] = &["region", "country", "territory", "location", "地区", "地域"];

/// What is used up by an answer of that class; none where it does not tell.
pub(super) fn kind(
    class: Class,
    (headers, window): (Option<&HeaderMap>, Option<Spent>),
    facts: &ErrorFacts,
    (words, body): (&Words, &str),
) -> Option<QuotaKind> {
    let told = words.against(Class::Quota);
    match class {
        Class::Overloaded => Some(QuotaKind::Overload),
        Class::Unavailable => any(told, &["饱和", "飽和", "saturated"]).then_some(QuotaKind::Overload),
        Class::ForbiddenModel => {
            let code = facts.code.contains("region");
            (code || any(told, PLACES)).then_some(QuotaKind::Region)
        }
        Class::Rate | Class::Quota => window
            .map(|window| window.kind)
            .or_else(|| table(LIMITS, told))
            .or_else(|| table(LIMITS, &quota_ids(body)))
            .or_else(|| of_its_class(class, facts, told, body))
            .or_else(|| headers.and_then(spent_dimension)),
        _ => None,
    }
}

/// Money for a quota; tokens or requests for a rate, which `OpenAI` names by its `type`.
fn of_its_class(class: Class, facts: &ErrorFacts, told: &str, body: &str) -> Option<QuotaKind> {
    if class == Class::Quota {
        let told = any(told, PURSE) || any(&facts.code, PURSE) || any(&facts.kind, PURSE);
        return (told || facts.status == Some(402)).then_some(QuotaKind::Balance);
    }
    match facts.kind.as_str() {
        "tokens" => Some(QuotaKind::Tokens),
        "requests" => Some(QuotaKind::Requests),
        _ => table(RATES, told).or_else(|| table(RATES, &quota_ids(body))),
    }
}

/// The names of the quotas that Google says were exceeded, which tell the span and the unit.
fn quota_ids(body: &str) -> String {
    let parts = body.split("\"quotaId\"").skip(1);
    let names = parts.filter_map(|rest| rest.split('"').nth(1));
    names.collect::<Vec<_>>().join(" ").to_lowercase()
}

/// The dimension of which the headers say that nothing remains, if it is one.
fn spent_dimension(headers: &HeaderMap) -> Option<QuotaKind> {
    let spent = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str();
        let counts = name.contains("ratelimit-") && name.contains("remaining") && value.as_bytes() == b"0";
        counts.then_some(name)
    });
    let kinds = spent.filter_map(|name| match name {
        name if name.ends_with("-day") => Some(QuotaKind::Day),
        name if name.contains("tokens") => Some(QuotaKind::Tokens),
        name if name.contains("requests") => Some(QuotaKind::Requests),
        _ => None,
    });
    let mut kinds = kinds.collect::<Vec<_>>();
    kinds.dedup();
    match kinds[..] {
        [only] => Some(only),
        _ => None,
    }
}

fn table(rows: &[(QuotaKind, &[&str])], text: &str) -> Option<QuotaKind> {
    let row = rows.iter().find(|(_, sayings)| any(text, sayings));
    row.map(|(kind, _)| *kind)
}

fn any(text: &str, sayings: &[&str]) -> bool {
    sayings.iter().any(|saying| says(text, saying))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_name_and_words_of_its_own() {
        let names: std::collections::BTreeSet<_> = QuotaKind::ALL.map(QuotaKind::name).into();
        let words: std::collections::BTreeSet<_> = QuotaKind::ALL.map(QuotaKind::words).into();
        assert_eq!(
            (names.len(), words.len()),
            (QuotaKind::ALL.len(), QuotaKind::ALL.len())
        );
    }

    #[test]
    fn the_tables_are_lower_case_or_they_would_never_match() {
        let rows = LIMITS.iter().chain(RATES).flat_map(|(_, sayings)| *sayings);
        for saying in rows.chain(PURSE).chain(PLACES) {
            assert_eq!(*saying, saying.to_lowercase());
        }
    }

    #[test]
    fn a_dimension_is_told_by_what_remains_of_it() {
        for (headers, expected) in [
            (
                &[("x-ratelimit-remaining-requests", "0")][..],
                Some(QuotaKind::Requests),
            ),
            (
                &[("anthropic-ratelimit-input-tokens-remaining", "0")],
                Some(QuotaKind::Tokens),
            ),
            (
                &[("x-ratelimit-remaining-requests-day", "0")],
                Some(QuotaKind::Day),
            ),
            (&[("x-ratelimit-remaining-requests", "1")], None),
            (
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-remaining-tokens", "0"),
                ],
                None,
            ),
            (&[("x-remaining-requests", "0")], None),
            (&[("x-ratelimit-remaining-images", "0")], None),
        ] {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(spent_dimension(&map), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_stated_402_and_the_type_of_an_error_tell_without_a_word() {
        for (class, status, kind, expected) in [
            (Class::Quota, Some(402), "", Some(QuotaKind::Balance)),
            (Class::Quota, Some(429), "", None),
            (Class::Rate, None, "tokens", Some(QuotaKind::Tokens)),
            (Class::Rate, None, "requests", Some(QuotaKind::Requests)),
            (Class::Rate, None, "images", None),
        ] {
            let facts = ErrorFacts {
                status,
                kind: kind.to_owned(),
                ..ErrorFacts::default()
            };
            assert_eq!(of_its_class(class, &facts, "", ""), expected, "{status:?} {kind}");
        }
    }
}
