//! Web pages in the browsers of whoever runs a proxy without keys: they can reach it, and are not who it is for.
//!
//! A browser names the page that a request comes from in `origin`, with every POST, and no page can change that. Programs
//! send none. So pages of this machine and extensions come in, and pages of the internet do not, whatever name they have
//! bound to this machine's address.

use http::header::ORIGIN;
use http::{HeaderMap, Uri};

/// Whether a page from elsewhere sent the request.
pub fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    // `null` is a page that hides where it comes from.
    origin.to_str().map_or(true, |origin| !is_ours(origin))
}

/// Whether an origin is this machine, or an extension: the owner of the browser has installed it.
fn is_ours(origin: &str) -> bool {
    let Some((scheme, _)) = origin.split_once("://") else {
        return false;
    };
    if !matches!(scheme, "http" | "https") {
        return true;
    }
    let Ok(uri) = origin.parse::<Uri>() else {
        return false;
    };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<std::net::IpAddr>();
    let is_local_name = host == "localhost" || host.ends_with(".localhost");
    address.map_or(is_local_name, |ip| ip.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn pages_of_this_machine_and_extensions_come_in_and_pages_from_elsewhere_do_not() {
        assert!(!is_foreign(&HeaderMap::new()), "a program");
        for (origin, foreign) in [
            ("http://localhost:3000", false),
            ("https://app.localhost", false),
            ("http://127.0.0.1:8765", false),
            ("http://127.9.9.9", false),
            ("http://[::1]:3000", false),
            ("http://[::ffff:127.0.0.1]", false),
            ("chrome-extension://abcdefgh", false),
            ("vscode-webview://abc", false),
            ("https://evil.example", true),
            ("http://evil.example:8765", true),
            ("http://localhost.evil.example", true),
            ("http://notlocalhost", true),
            ("http://127.0.0.1.evil.example", true),
            ("http://10.0.0.1", true),
            ("http://user@localhost@evil.example", true),
            ("null", true),
            ("", true),
            ("http://", true),
        ] {
            let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static(origin))]);
            assert_eq!(is_foreign(&headers), foreign, "{origin}");
        }
    }
}
