//! The dashboard: the files of `admin/page/`, as they are. They are the same in every program of this version, and know
//! nothing; all that the page shows it asks the listener for, with the key where there is one.

use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::with;
use crate::base::secret::digest;
use crate::pipeline::AnswerBody;

/// Nothing from elsewhere, nothing inline, no text taken for markup, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
                      trusted-types 'none'";

/// Ours is the only origin that may have what this listener says.
const SAME_ORIGIN: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// A file of the page.
#[derive(Debug)]
pub(super) struct File {
    path: &'static str,
    kind: &'static str,
    text: &'static str,
}

macro_rules! file {
    ($name:literal, $kind:literal) => {
        File {
            path: concat!("/page/", $name),
            kind: $kind,
            text: include_str!(concat!("page/", $name)),
        }
    };
}

static FILES: [File; 15] = [
    File {
        path: "/",
        kind: "text/html; charset=utf-8",
        text: include_str!("page/index.html"),
    },
    file!("base.css", "text/css; charset=utf-8"),
    file!("parts.css", "text/css; charset=utf-8"),
    file!("icon.svg", "image/svg+xml"),
    file!("theme.js", "text/javascript; charset=utf-8"),
    file!("app.js", "text/javascript; charset=utf-8"),
    file!("api.js", "text/javascript; charset=utf-8"),
    file!("dom.js", "text/javascript; charset=utf-8"),
    file!("words.js", "text/javascript; charset=utf-8"),
    file!("health.js", "text/javascript; charset=utf-8"),
    file!("head.js", "text/javascript; charset=utf-8"),
    file!("chart.js", "text/javascript; charset=utf-8"),
    file!("backends.js", "text/javascript; charset=utf-8"),
    file!("requests.js", "text/javascript; charset=utf-8"),
    file!("usage.js", "text/javascript; charset=utf-8"),
];

/// The file at a path.
pub(super) fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

/// Whether a path's file needs no key: a browser sends none for what a page is made of.
pub(super) fn is_open(path: &str) -> bool {
    path != "/" && file(path).is_some()
}

/// Whether whoever asks is a browser that would show a page.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    accept.is_some_and(|accept| accept.contains("text/html"))
}

/// The file, or that it has not changed since it was given.
pub(super) fn given(file: &'static File, headers: &HeaderMap) -> Response<AnswerBody> {
    let tag = tag(file);
    let known = headers.get_all(IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|known| known.to_str().ok())
        .any(|known| known.contains(&tag));
    let mut response = if is_known {
        let mut unchanged = Response::new(AnswerBody::whole(""));
        *unchanged.status_mut() = StatusCode::NOT_MODIFIED;
        unchanged
    } else {
        whole(file)
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(ETAG, tag);
    }
    // To be asked for each time: another version may run behind the same address.
    with(response, CACHE_CONTROL, "no-cache")
}

/// The page for whoever has not shown the key: it asks for it.
pub(super) fn refused(file: &'static File) -> Response<AnswerBody> {
    let mut response = whole(file);
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    response
}

fn whole(file: &'static File) -> Response<AnswerBody> {
    let response = with(
        Response::new(AnswerBody::whole(file.text)),
        CONTENT_TYPE,
        file.kind,
    );
    with(response, CONTENT_SECURITY_POLICY, POLICY)
}

/// Quoted, as it stands in the header.
fn tag(file: &File) -> String {
    let [a, b, c, d, ..] = digest(file.text.as_bytes());
    format!("\"{:08x}\"", u32::from_be_bytes([a, b, c, d]))
}

/// What goes for every answer of this listener, that nothing may be made of it elsewhere; what no file of the page is,
/// nobody may keep.
pub(super) fn guarded(mut response: Response<AnswerBody>) -> Response<AnswerBody> {
    let kept = response.headers_mut().entry(CACHE_CONTROL);
    kept.or_insert(HeaderValue::from_static("no-store"));
    let response = with(response, X_CONTENT_TYPE_OPTIONS, "nosniff");
    let response = with(response, REFERRER_POLICY, "no-referrer");
    with(response, SAME_ORIGIN, "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_there_and_none_is_from_elsewhere() {
        let mut named = 0;
        for own in &FILES {
            let words = own.text.split(['"', '\'']);
            for word in words.filter(|word| !word.contains(char::is_whitespace)) {
                let path = word.strip_prefix("./").map(|name| format!("/page/{name}"));
                let path = path.unwrap_or_else(|| word.to_owned());
                if path.starts_with("/page/") {
                    assert!(file(&path).is_some(), "{}: {word}", own.path);
                    named += 1;
                }
                let elsewhere = word.contains("://") && word != "http://www.w3.org/2000/svg";
                assert!(!elsewhere, "{}: {word}", own.path);
            }
        }
        assert!(named >= FILES.len() - 1, "{named}");
    }

    #[test]
    fn nothing_in_the_page_takes_text_for_markup_or_code() {
        for own in &FILES {
            for word in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "style=",
                "onclick=",
            ] {
                assert!(!own.text.contains(word), "{}: {word}", own.path);
            }
        }
    }

    #[test]
    fn a_file_that_is_known_is_not_sent_again() {
        let file = file("/page/app.js").unwrap();
        let first = given(file, &HeaderMap::new());
        assert_eq!(first.status(), StatusCode::OK);
        let tag = first.headers().get(ETAG).unwrap().clone();
        let known = HeaderMap::from_iter([(IF_NONE_MATCH, tag)]);
        assert_eq!(given(file, &known).status(), StatusCode::NOT_MODIFIED);
        let other = HeaderMap::from_iter([(IF_NONE_MATCH, HeaderValue::from_static("\"0\""))]);
        assert_eq!(given(file, &other).status(), StatusCode::OK);
    }
}
