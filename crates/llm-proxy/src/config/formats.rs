//! Texts that have a form: addresses, URLs, networks, statuses, patterns, header names.
//!
//! Each has one function that reads it. The check of the file and the decoding both use that one.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use http::{HeaderName, HeaderValue, Uri};
use ipnet::IpNet;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use regex::{Regex, RegexBuilder};

use super::database;
use super::types::{Listen, OutboundProxy, StatusPattern, TextPattern};
use crate::base::Secret;

/// A form that texts of the config have.
pub(crate) struct Format {
    /// What a text must be, as it stands after "must be".
    pub(crate) expects: &'static str,
    /// Whether a text is that.
    pub(crate) fits: fn(&str) -> bool,
}

/// An address of `listen`.
pub(crate) static LISTEN: Format = Format {
    expects: "an address with a port such as `127.0.0.1:8765`, or `unix:/path.sock`",
    fits: |text| listen(text, Path::new("")).is_some(),
};

/// An address of `admin.listen`.
pub(crate) static ADMIN_LISTEN: Format = Format {
    expects: "an address with a port such as `127.0.0.1:8766`, or `off`",
    fits: |text| text == "off" || address(text).is_some(),
};

/// A network of `trusted_proxies`.
pub(crate) static NETWORK: Format = Format {
    expects: "a network such as `10.0.0.0/8`, or an address",
    fits: |text| network(text).is_some(),
};

/// A key's digest.
pub(crate) static SHA256: Format = Format {
    expects: "a SHA-256 as 64 hex digits",
    fits: |text| sha256(text).is_some(),
};

/// The end of a key.
pub(crate) static MOMENT: Format = Format {
    expects: "a date such as `2026-12-31`, or a time with its zone such as `2026-12-31T18:00:00Z`",
    fits: |text| moment(text).is_some(),
};

/// A day.
pub(crate) static DATE: Format = Format {
    expects: "a date such as `2026-12-31`",
    fits: |text| text.len() == 10 && text.parse::<Date>().is_ok(),
};

/// A status of `detection`.
pub(crate) static STATUS: Format = Format {
    expects: "a status such as `429`, or `4xx` or `5xx`",
    fits: |text| status(text).is_some(),
};

/// A pattern of `detection`.
pub(crate) static PATTERN: Format = Format {
    expects: "a text, or a regular expression such as `/no available (channel|account)/i`",
    fits: |text| pattern(text).is_some(),
};

/// A header's name.
pub(crate) static HEADER_NAME: Format = Format {
    expects: "the name of a header",
    fits: |text| header_name(text).is_some(),
};

/// A header's value.
pub(crate) static HEADER_VALUE: Format = Format {
    expects: "the value of a header: one line, without control characters",
    fits: |text| header_value(text).is_some(),
};

/// A path below a backend's URL.
pub(crate) static URL_PATH: Format = Format {
    expects: "a path that begins with `/`, without `?`, `#` or spaces",
    fits: |text| {
        text.starts_with('/')
            && text
                .bytes()
                .all(|b| b.is_ascii_graphic() && b != b'?' && b != b'#')
    },
};

/// A proxy on the way to a backend.
pub(crate) static PROXY: Format = Format {
    expects: "`none`, `env`, or a URL that begins with `http://`, `https://` or `socks5://`",
    fits: |text| proxy(text).is_some(),
};

/// A level of logs, perhaps by module.
pub(crate) static LOG_LEVEL: Format = Format {
    expects: "a level (error, warn, info, debug, trace, off), or levels by module such as `info,llm_proxy::routing=debug`",
    fits: log_level,
};

/// Where the ledger is.
pub(crate) static LEDGER: Format = Format {
    expects: "`off`, a file such as `sqlite:llm-proxy.db`, or a URL such as `postgres://user:password@host/database` \
              (perhaps with `?sslmode=` and one of disable, prefer, require, verify-full)",
    fits: |text| text == "off" || database::ledger(text, Path::new("")).is_some(),
};

/// Where Redis is.
pub(crate) static REDIS: Format = Format {
    expects: "a URL that begins with `redis://` or `rediss://`",
    fits: |text| begins(text, &["redis://", "rediss://"]),
};

/// Where traces go.
pub(crate) static HTTP_URL: Format = Format {
    expects: "a URL that begins with `http://` or `https://`",
    fits: |text| begins(text, &["http://", "https://"]) && text.parse::<Uri>().is_ok(),
};

/// A name that logs, metrics and paths of the admin API can carry.
pub(crate) static NAME: Format = Format {
    expects: "a name of at most 100 characters, without spaces or control characters",
    fits: |text| {
        !text.is_empty() && text.len() <= 100 && !text.contains(|c: char| c.is_whitespace() || c.is_control())
    },
};

/// Any text.
pub(crate) static TEXT: Format = Format {
    expects: "a text",
    fits: |_| true,
};

/// A text with something in it.
pub(crate) static FILLED: Format = Format {
    expects: "a text with something in it",
    fits: |text| !text.is_empty(),
};

fn begins(text: &str, schemes: &[&str]) -> bool {
    schemes
        .iter()
        .any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
}

/// `127.0.0.1:8765`, `[::1]:8765`, `localhost:8765`, `unix:/path.sock` (relative to `dir`).
pub(crate) fn listen(text: &str, dir: &Path) -> Option<Listen> {
    match text.strip_prefix("unix:") {
        Some("") => None,
        Some(path) => Some(Listen::Unix(dir.join(path))),
        None => address(text).map(Listen::Tcp),
    }
}

/// An IP address, or `localhost`, and a port. Other names would need DNS, which may be down when we start.
pub(crate) fn address(text: &str) -> Option<SocketAddr> {
    let text = text
        .strip_prefix("localhost:")
        .map_or(text.to_owned(), |port| format!("127.0.0.1:{port}"));
    text.parse().ok()
}

/// A network, or one address as a network of its own. An IPv4 address inside an IPv6 one is IPv4, as peers' are.
pub(crate) fn network(text: &str) -> Option<IpNet> {
    let lone = || {
        text.parse()
            .ok()
            .map(|address: IpAddr| address.to_canonical().into())
    };
    text.parse().ok().or_else(lone)
}

/// 64 hex digits, perhaps behind `sha256:`.
pub(crate) fn sha256(text: &str) -> Option<[u8; 32]> {
    let text = text.strip_prefix("sha256:").unwrap_or(text);
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (at, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(digest)
}

/// A moment as RFC 3339 writes it. A date alone is its end in UTC: whoever reads "until the 31st" means the 31st too.
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    let date = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    if !date {
        return text.parse::<Timestamp>().ok().map(SystemTime::from);
    }
    let next_day = text.parse::<Date>().ok()?.tomorrow().ok()?;
    Some(next_day.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
}

/// `429`, `5xx`.
pub(crate) fn status(text: &str) -> Option<StatusPattern> {
    if let Some(digit) = text.to_ascii_lowercase().strip_suffix("xx") {
        let digit: u8 = digit.parse().ok().filter(|digit| (1..=9).contains(digit))?;
        return Some(StatusPattern::Hundred(digit));
    }
    let code: u16 = text.parse().ok().filter(|code| (100..=999).contains(code))?;
    Some(StatusPattern::Exact(code))
}

/// A text, or `/regex/` with `i` behind it for any case.
pub(crate) fn pattern(text: &str) -> Option<TextPattern> {
    if text.is_empty() {
        return None;
    }
    let Some((body, flags)) = text.strip_prefix('/').and_then(|rest| rest.rsplit_once('/')) else {
        return Some(TextPattern::Text(text.to_owned()));
    };
    match flags {
        "" | "i" => compiled(body, flags == "i").ok().map(TextPattern::Regex),
        // `/v1/models` is a text that begins with a slash.
        _ => Some(TextPattern::Text(text.to_owned())),
    }
}

/// A regular expression of bounded size: the config may come from a template.
fn compiled(body: &str, any_case: bool) -> Result<Regex, regex::Error> {
    RegexBuilder::new(body)
        .case_insensitive(any_case)
        .size_limit(1 << 20)
        .build()
}

pub(crate) fn header_name(text: &str) -> Option<HeaderName> {
    text.parse().ok()
}

/// A header's value; only text that any backend takes: no CR, LF, NUL.
pub(crate) fn header_value(text: &str) -> Option<HeaderValue> {
    HeaderValue::from_str(text).ok()
}

/// A base URL without its trailing slash, its scheme in lower case as everything after this expects it.
pub(crate) fn base_url(text: &str) -> Option<Uri> {
    let (scheme, rest) = text.trim_end_matches('/').split_once("://")?;
    format!("{}://{rest}", scheme.to_ascii_lowercase()).parse().ok()
}

/// `none`, `env`, or a proxy's URL, perhaps with user info.
pub(crate) fn proxy(text: &str) -> Option<OutboundProxy> {
    match text {
        "none" => Some(OutboundProxy::None),
        "env" => Some(OutboundProxy::Env),
        _ => {
            let known = begins(text, &["http://", "https://", "socks5://", "socks5h://"]);
            let host = text
                .parse::<Uri>()
                .ok()?
                .host()
                .is_some_and(|host| !host.is_empty());
            (known && host).then(|| OutboundProxy::Url(Secret::new(text)))
        }
    }
}

fn log_level(text: &str) -> bool {
    let level = |word: &str| {
        ["error", "warn", "info", "debug", "trace", "off"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(word))
    };
    text.split(',')
        .map(str::trim)
        .all(|part| match part.split_once('=') {
            Some((module, word)) => !module.is_empty() && !module.contains(' ') && level(word),
            None => level(part),
        })
}

/// A path of the file: relative ones are relative to its folder.
pub(crate) fn path(text: &str, dir: &Path) -> PathBuf {
    dir.join(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_takes_its_own_and_nothing_else() {
        for (format, good, bad) in [
            (
                &LISTEN,
                &["127.0.0.1:1", "[::]:0", "localhost:80", "unix:/a"][..],
                &["", "8765", ":80", "unix:", "h:1"][..],
            ),
            (&ADMIN_LISTEN, &["off", "0.0.0.0:1"], &["on", "unix:/a"]),
            (
                &NETWORK,
                &["10.0.0.0/8", "::1", "fd00::/8"],
                &["10.0.0.0/33", "x", ""],
            ),
            (
                &STATUS,
                &["429", "5xx", "4XX"],
                &["42", "xx", "0xx", "12xx", "1000", "-1"],
            ),
            (
                &PATTERN,
                &["text", "/a(b|c)/i", "/v1/models", "余额不足"],
                &["", "/(/", "/a{9999999}/"],
            ),
            (&HEADER_NAME, &["x-team"], &["", "x team", "ü"]),
            (&HEADER_VALUE, &["", "blue", "a b"], &["a\r\nb", "a\0b"]),
            (&URL_PATH, &["/chat"], &["chat", "/a?b", "/a b", ""]),
            (
                &PROXY,
                &["none", "env", "socks5://a:1", "http://u:p@h:1"],
                &["", "ftp://a", "socks5://"],
            ),
            (
                &LOG_LEVEL,
                &["info", "info,llm_proxy::routing=debug", "OFF"],
                &["", "ifno", "a=b", "=info"],
            ),
            (
                &LEDGER,
                &["off", "sqlite:a.db", "postgres://u:p@h/d"],
                &["mysql://", "sqlite:", "postgres://h/d?sslmode=x"],
            ),
        ] {
            for text in good {
                assert!((format.fits)(text), "`{text}` is {}", format.expects);
            }
            for text in bad {
                assert!(!(format.fits)(text), "`{text}` is not {}", format.expects);
            }
        }
    }

    #[test]
    fn a_date_ends_with_its_day_in_utc_and_a_time_is_itself() {
        for (date, time) in [
            ("2026-12-31", "2027-01-01T00:00:00Z"),
            ("2028-02-29", "2028-03-01T00:00:00Z"),
            ("2026-12-31T18:00:00+08:00", "2026-12-31T10:00:00Z"),
        ] {
            assert_eq!(moment(date), moment(time), "{date}");
        }
        for good in ["2026-12-31T18:00:00.5+08:00", "2026-12-31 18:00:00Z"] {
            assert!((MOMENT.fits)(good), "{good}");
        }
        for bad in [
            "",
            "2026-12-32",
            "2026-02-29",
            "2026-W53-4",
            "20261231",
            "31.12.2026",
            "tomorrow",
            "2026-12-31T18:00:00",
            "1798739999",
        ] {
            assert!(!(MOMENT.fits)(bad), "{bad}");
        }
    }

    #[test]
    fn a_digest_is_read_with_and_without_its_prefix() {
        let hex = "00ff".repeat(16);
        assert_eq!(sha256(&hex).unwrap()[..2], [0, 255]);
        assert!(sha256(&format!("sha256:{hex}")).is_some());
        assert!(sha256(&"zz".repeat(32)).is_none());
    }
}
