//! The collector of traces and metrics: a URL that holds no secret, and a pace that it can keep.

use std::time::Duration;

use crate::config::fields::telemetry::TELEMETRY;
use crate::config::findings::Findings;
use crate::config::formats;
use crate::config::view::View;

/// Metrics are not sent more often.
const LEAST: Duration = Duration::from_secs(1);

/// Checks the section, if there is one.
pub(super) fn check(top: &View<'_>, findings: &mut Findings<'_>) {
    let Some(telemetry) = top.maybe_section("telemetry", &TELEMETRY) else {
        return;
    };
    if let Some(node) = telemetry.get("otlp")
        && let Some((message, help)) = node.text().and_then(refusal)
    {
        if node.text().is_some_and(|text| text.contains('@')) {
            findings.hide(node);
        }
        findings.error_with(node.span, message, help.map(str::to_owned));
    }
    if telemetry
        .maybe_duration("metrics")
        .is_some_and(|pace| pace < LEAST)
    {
        findings.error(telemetry.span("metrics"), "`metrics` must be at least `1s`");
    }
    if telemetry
        .section("tls", &super::super::fields::backends::TLS)
        .truth("insecure")
    {
        findings.warn(
            telemetry.span("tls"),
            "anybody on the way can read and change what goes to the collector",
        );
    }
}

fn refusal(text: &str) -> Option<(&'static str, Option<&'static str>)> {
    let (_, rest) = text.split_once("://")?;
    if rest
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|host| host.contains('@'))
    {
        let help = "put credentials into `telemetry.headers`";
        return Some(("`otlp` must not hold a user name or a password", Some(help)));
    }
    if rest.contains(['?', '#']) {
        return Some(("`otlp` must end before any `?` or `#`", None));
    }
    let host = formats::base_url(text).and_then(|uri| uri.host().map(|host| !host.is_empty()));
    (host != Some(true)).then_some(("`otlp` has no valid host", None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_of_collectors_pass() {
        for (url, part) in [
            ("http://127.0.0.1:4317", None),
            ("https://otlp.example.com/otlp/", None),
            ("http://[::1]:4318/v1/traces", None),
            ("https://user:pass@host:4317", Some("user name")),
            ("https://host/v1?key=x", Some("before any `?`")),
            ("http://:4317", Some("no valid host")),
        ] {
            let found = refusal(url).map(|(message, _)| message);
            assert_eq!(found.is_some(), part.is_some(), "{url}: {found:?}");
            assert!(
                found.unwrap_or_default().contains(part.unwrap_or_default()),
                "{url}: {found:?}"
            );
        }
    }
}
