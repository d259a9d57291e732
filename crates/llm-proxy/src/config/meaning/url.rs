//! The URL of a backend: `http` or `https`, no user info, no metadata address.

use super::metadata;
use crate::config::findings::Findings;
use crate::config::formats;
use crate::config::tree::Node;

/// Tells what is wrong with the URL under `node`.
pub(super) fn check(node: &Node, allow_metadata: bool, findings: &mut Findings<'_>) {
    let Some(text) = node.text() else {
        return;
    };
    match refusal(text, allow_metadata) {
        Ok(()) => {}
        Err((message, help)) => {
            if text.contains('@') {
                findings.hide(node);
            }
            findings.error_with(node.span, message, help.map(str::to_owned));
        }
    }
}

/// A sentence, and advice where there is some.
type Refusal = (&'static str, Option<&'static str>);

fn refusal(text: &str, allow_metadata: bool) -> Result<(), Refusal> {
    let lower = text.to_ascii_lowercase();
    let Some(rest) = lower
        .strip_prefix("https://")
        .or_else(|| lower.strip_prefix("http://"))
    else {
        return Err(("`url` must begin with `http://` or `https://`", None));
    };
    if rest
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|authority| authority.contains('@'))
    {
        return Err((
            "`url` must not hold a user name or a password",
            Some("put the key into `api_key`"),
        ));
    }
    if rest.contains(['?', '#']) {
        return Err((
            "`url` must end before any `?` or `#`",
            Some("put parameters into `query`"),
        ));
    }
    let uri = formats::base_url(text).ok_or(("`url` is not a valid URL", None))?;
    let host = uri.host().unwrap_or_default();
    if host.is_empty() || host.contains('%') {
        return Err(("`url` has no valid host", None));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let port = authority
        .rsplit_once(':')
        .map(|(_, port)| port)
        .filter(|port| !port.contains(']'));
    if port.is_some_and(|port| port.parse().unwrap_or(0_u16) == 0) {
        return Err(("`url` has no valid port", None));
    }
    if !allow_metadata && metadata::is_metadata(host) {
        let help = "if it is meant, set `allow_metadata: true`";
        return Err((
            "`url` is a cloud metadata address, which hands out credentials",
            Some(help),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_urls_of_backends_pass() {
        for (url, part) in [
            ("https://api.openai.com/v1", None),
            ("http://[::1]:8080", None),
            ("HTTPS://API.example.com/", None),
            ("http://localhost.:11434/v1", None),
            ("file:///etc/passwd", Some("must begin with")),
            ("ftp://a", Some("must begin with")),
            ("api.openai.com", Some("must begin with")),
            ("https://user:pass@host/", Some("user name")),
            ("https://host/v1?key=x", Some("`?`")),
            ("https://", Some("valid")),
            ("https://a b/", Some("valid URL")),
            ("https://host:99999/", Some("valid")),
            ("https://host:0/", Some("valid port")),
            ("https://host:/", Some("valid port")),
            ("https://exa%6dple.com/", Some("valid")),
            ("http://169.254.169.254/latest", Some("metadata")),
            ("http://2852039166/", Some("metadata")),
            ("http://[::ffff:169.254.169.254]/", Some("metadata")),
        ] {
            let found = refusal(url, false).err().map(|(message, _)| message);
            assert_eq!(found.is_some(), part.is_some(), "{url}: {found:?}");
            assert!(
                found.unwrap_or_default().contains(part.unwrap_or_default()),
                "{url}: {found:?}"
            );
        }
        assert!(
            refusal("http://169.254.169.254/", true).is_ok(),
            "unless it is meant"
        );
    }
}
