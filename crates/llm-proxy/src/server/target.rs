//! Whether a request says once, and in one way, whom it is for. Two servers that take different words for it would send
//! the same request to different places.

use http::Version;
use http::header::HOST;
use http::request::Parts;

/// Whether it names two hosts, or none where HTTP/1.1 asks for one.
pub(super) fn is_unclear(request: &Parts) -> bool {
    let mut hosts = request.headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next(), request.uri.authority()) {
        (Some(_), Some(_), _) => true,
        (Some(host), None, Some(authority)) => !host
            .as_bytes()
            .eq_ignore_ascii_case(authority.as_str().as_bytes()),
        (Some(_), None, None) => false,
        (None, ..) => request.version == Version::HTTP_11,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn d12_a_request_names_one_host() {
        for (version, uri, hosts, unclear) in [
            (Version::HTTP_11, "/", &["a"][..], false),
            (Version::HTTP_11, "/", &[], true),
            (Version::HTTP_11, "/", &["a", "a"], true),
            (Version::HTTP_11, "/", &["a", "b"], true),
            (Version::HTTP_11, "http://a:1/", &["A:1"], false),
            (Version::HTTP_11, "http://a:1/", &["a:2"], true),
            (Version::HTTP_11, "http://a:1/", &["a"], true),
            (Version::HTTP_11, "http://x@a/", &["a"], true),
            (Version::HTTP_11, "http://a/", &[], true),
            (Version::HTTP_11, "http://a/", &[""], true),
            (Version::HTTP_10, "/", &[], false),
            (Version::HTTP_10, "/", &["a", "a"], true),
            (Version::HTTP_2, "http://a/", &[], false),
            (Version::HTTP_2, "http://a/", &["a"], false),
            (Version::HTTP_2, "http://a/", &["b"], true),
        ] {
            let request = hosts
                .iter()
                .fold(Request::get(uri).version(version), |request, host| {
                    request.header(HOST, *host)
                });
            let (request, ()) = request.body(()).unwrap().into_parts();
            assert_eq!(is_unclear(&request), unclear, "{version:?} {uri} {hosts:?}");
        }
    }
}
