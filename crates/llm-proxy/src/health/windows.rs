//! The windows of subscriptions, five hours and a week, which their providers tell in headers of their own.
//!
//! Anthropic: `anthropic-ratelimit-unified-*`, with a status for each window, and one that speaks for all
//! (`representative-claim`). A window of some models alone (`7d_oi` and the like) leaves the key's other models alone.
//! `OpenAI`: `x-codex-primary-*` and `x-codex-secondary-*`, with the window's length in minutes. Names and values were
//! seen in recorded answers; neither provider documents them.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::quota::QuotaKind;
use super::reset::{moment_or_span, value};

/// What begins the names of Anthropic's headers.
const UNIFIED: &str = "anthropic-ratelimit-unified";
/// The windows of all models, by their names in headers and in claims.
const SHARED: [(&str, &str, QuotaKind); 2] = [
    ("5h", "five_hour", QuotaKind::FiveHours),
    ("7d", "seven_day", QuotaKind::Week),
];
/// `OpenAI`'s two windows.
const CODEX: [&str; 2] = ["x-codex-primary", "x-codex-secondary"];
/// A window of up to so many minutes is the one of five hours.
const SHORT_WINDOW: f64 = 360.0;
/// From here on it is the weekly one; between the two lies a day.
const LONG_WINDOW: f64 = 7.0 * 1_440.0;

/// A window that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spent {
    /// Which.
    pub kind: QuotaKind,
    /// Whether it is that of the whole key, and not of some models alone.
    pub whole_key: bool,
    /// When it begins anew, if that is told.
    pub reset: Option<Duration>,
}

/// The window that the headers say is used up; of several the one that begins anew last.
pub(super) fn spent(headers: &HeaderMap, wall: SystemTime) -> Option<Spent> {
    let shared = SHARED.iter().filter_map(|(window, _, kind)| {
        let is_spent = says(headers, &format!("{UNIFIED}-{window}-status"), "rejected");
        is_spent.then(|| Spent {
            kind: *kind,
            whole_key: true,
            reset: moment(headers, &format!("{UNIFIED}-{window}-reset"), wall)
                .or_else(|| moment(headers, &format!("{UNIFIED}-reset"), wall)),
        })
    });
    let codex = CODEX.iter().filter_map(|window| codex(headers, window, wall));
    let latest = shared.chain(codex).max_by_key(|window| window.reset);
    latest.or_else(|| claimed(headers, wall))
}

/// Whether the headers say that nothing is used up, so that their reset times are nobody's concern.
pub(super) fn all_is_well(headers: &HeaderMap) -> bool {
    value(headers, &format!("{UNIFIED}-status")).is_some_and(|status| status.starts_with("allowed"))
}

/// What speaks for all windows, where none of the shared ones is told to be used up.
fn claimed(headers: &HeaderMap, wall: SystemTime) -> Option<Spent> {
    let claim = value(headers, &format!("{UNIFIED}-representative-claim"))?;
    if all_is_well(headers) {
        return None;
    }
    let reset = moment(headers, &format!("{UNIFIED}-reset"), wall);
    let shared = SHARED.iter().find(|(_, name, _)| *name == claim);
    let (kind, whole_key) = match shared {
        Some((window, _, kind)) => {
            // It may speak for a window that is not the one that refused.
            (
                *kind,
                !says(headers, &format!("{UNIFIED}-{window}-status"), "allowed"),
            )
        }
        None if claim.starts_with("five_hour") => (QuotaKind::FiveHours, false),
        None if claim.starts_with("seven_day") => (QuotaKind::Week, false),
        None => return None,
    };
    Some(Spent {
        kind,
        whole_key,
        reset,
    })
}

fn codex(headers: &HeaderMap, window: &str, wall: SystemTime) -> Option<Spent> {
    let number = |what: &str| value(headers, &format!("{window}-{what}"))?.parse::<f64>().ok();
    if number("used-percent")? < 100.0 {
        return None;
    }
    let kind = match number("window-minutes") {
        Some(minutes) if minutes <= SHORT_WINDOW => QuotaKind::FiveHours,
        Some(minutes) if minutes < LONG_WINDOW => QuotaKind::Day,
        _ => QuotaKind::Week,
    };
    Some(Spent {
        kind,
        whole_key: true,
        reset: moment(headers, &format!("{window}-reset-at"), wall)
            .or_else(|| moment(headers, &format!("{window}-reset-after-seconds"), wall)),
    })
}

fn says(headers: &HeaderMap, name: &str, word: &str) -> bool {
    value(headers, name) == Some(word)
}

fn moment(headers: &HeaderMap, name: &str, wall: SystemTime) -> Option<Duration> {
    moment_or_span(value(headers, name)?, wall)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::{HeaderName, HeaderValue};

    use super::*;

    const NOW: u64 = 1_774_470_000;

    fn told(headers: &[(&str, &str)]) -> Option<(QuotaKind, bool, Option<u64>)> {
        let mut map = HeaderMap::new();
        for (name, text) in headers {
            let name = if name.starts_with("x-") {
                (*name).to_owned()
            } else {
                format!("{UNIFIED}-{name}")
            };
            map.insert(
                HeaderName::try_from(name).unwrap(),
                HeaderValue::from_str(text).unwrap(),
            );
        }
        let window = spent(&map, UNIX_EPOCH + Duration::from_secs(NOW))?;
        Some((
            window.kind,
            window.whole_key,
            window.reset.map(|reset| reset.as_secs()),
        ))
    }

    #[test]
    fn f17_the_window_that_refused_is_the_one_that_counts() {
        use QuotaKind::{FiveHours, Week};
        let allowed = ("7d-status", "allowed");
        #[rustfmt::skip]
        let cases = [
            ("nothing", &[][..], None),
            ("five hours, with a week that has room", &[("status", "rejected"), ("5h-status", "rejected"), ("5h-reset", "1774472400"), allowed, ("7d-reset", "1774580400"), ("representative-claim", "five_hour"), ("reset", "1774472400")], Some((FiveHours, true, Some(2_400)))),
            ("both: the later one", &[("5h-status", "rejected"), ("5h-reset", "1774472400"), ("7d-status", "rejected"), ("7d-reset", "1774500000")], Some((Week, true, Some(30_000)))),
            ("only the claim", &[("representative-claim", "seven_day"), ("reset", "1774470060")], Some((Week, true, Some(60)))),
            ("of some models alone", &[("status", "rejected"), ("representative-claim", "seven_day_overage_included"), allowed, ("7d_oi-status", "rejected")], Some((Week, false, None))),
            ("a claim about a window that has room", &[("status", "rejected"), ("representative-claim", "five_hour"), ("5h-status", "allowed"), ("reset", "1774470060")], Some((FiveHours, false, Some(60)))),
            ("all is well", &[("status", "allowed_warning"), ("representative-claim", "five_hour"), ("reset", "1774472400")], None),
            ("a claim that nobody knows", &[("representative-claim", "tenth_moon")], None),
            ("codex, five hours", &[("x-codex-primary-used-percent", "100"), ("x-codex-primary-window-minutes", "300"), ("x-codex-primary-reset-after-seconds", "90"), ("x-codex-secondary-used-percent", "12"), ("x-codex-secondary-window-minutes", "10080")], Some((FiveHours, true, Some(90)))),
            ("codex, a week", &[("x-codex-primary-used-percent", "100.0"), ("x-codex-primary-window-minutes", "10080"), ("x-codex-primary-reset-at", "1774470030")], Some((Week, true, Some(30)))),
            ("codex, a day", &[("x-codex-primary-used-percent", "101"), ("x-codex-primary-window-minutes", "1440")], Some((QuotaKind::Day, true, None))),
            ("five hours of some models", &[("representative-claim", "five_hour_opus")], Some((FiveHours, false, None))),
            ("codex, six hours", &[("x-codex-primary-used-percent", "100"), ("x-codex-primary-window-minutes", "360")], Some((FiveHours, true, None))),
            ("codex, a half day", &[("x-codex-primary-used-percent", "100"), ("x-codex-primary-window-minutes", "720")], Some((QuotaKind::Day, true, None))),
            ("codex, six days", &[("x-codex-primary-used-percent", "100"), ("x-codex-primary-window-minutes", "8640")], Some((QuotaKind::Day, true, None))),
            ("codex, with room", &[("x-codex-primary-used-percent", "99.9")], None),
        ];
        for (id, headers, expected) in cases {
            assert_eq!(told(headers), expected, "{id}");
        }
    }
}
