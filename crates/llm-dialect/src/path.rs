//! From the path of a request to what it asks for.
//!
//! A path is matched as it stands: nothing is decoded or collapsed on the way to a route, so no spelling can
//! reach one by a side door. Only the id of a model is percent-decoded, and it is looked up, never followed.

use crate::dialect::{Api, Dialect};
use crate::envelope::Envelope;

/// What a path stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An API call.
    Api {
        /// Which one.
        api: Api,
        /// What follows the call's own path: `/generations` of `/v1/images/generations`; else empty.
        rest: String,
    },
    /// The list of models.
    Models,
    /// One model, by its decoded id, which may hold slashes.
    Model(String),
    /// A probe of the proxy's own health.
    Health(Health),
    /// `/` or `/v1`: a client's probe, or a call whose kind its headers and body tell.
    Root,
    /// `/api/hello`, a client's probe.
    Hello,
}

/// What a health probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Whether the process answers.
    Alive,
    /// Whether it wants traffic: config loaded, not draining.
    Ready,
}

impl Place {
    /// The methods it answers to, as `allow` lists them.
    pub fn methods(&self) -> &'static [&'static str] {
        match self {
            Self::Api { .. } => &["POST"],
            Self::Models | Self::Model(_) | Self::Health(_) => &["GET", "HEAD"],
            Self::Root => &["POST", "HEAD"],
            Self::Hello => &["HEAD", "GET"],
        }
    }
}

/// The place of a path without its query; `None` means 404.
///
/// `/v1` may be there, be missing or be doubled (users put it into base URLs), and one slash may trail.
/// Empty segments, `.` and `..`, escapes, `;`, backslashes and other case lead nowhere.
pub fn resolve(path: &str) -> Option<Place> {
    if !path.starts_with('/') {
        return None;
    }
    let path = if path == "/" {
        ""
    } else {
        path.strip_suffix('/').unwrap_or(path)
    };
    match path {
        "/health" | "/healthz" => return Some(Place::Health(Health::Alive)),
        "/readyz" => return Some(Place::Health(Health::Ready)),
        "/api/hello" => return Some(Place::Hello),
        _ => {}
    }
    match without_version(without_version(path)) {
        "" => Some(Place::Root),
        "/models" => Some(Place::Models),
        path => match path.strip_prefix("/models/") {
            Some(id) => model_id(id).map(Place::Model),
            None => api(path),
        },
    }
}

/// The path behind a leading segment `/v1`, if it has one.
fn without_version(path: &str) -> &str {
    path.strip_prefix("/v1")
        .filter(|rest| rest.is_empty() || rest.starts_with('/'))
        .unwrap_or(path)
}

fn api(path: &str) -> Option<Place> {
    Api::ALL.into_iter().find_map(|api| {
        let rest = path.strip_prefix(api.path())?;
        let fits = match api {
            Api::Images | Api::Audio => is_clean_tail(rest),
            _ => rest.is_empty(),
        };
        fits.then(|| Place::Api {
            api,
            rest: rest.to_owned(),
        })
    })
}

/// Whether a tail may become part of a backend's URL: segments of plain characters, at least one.
fn is_clean_tail(tail: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte);
    let segment = |segment: &str| is_step(segment) && segment.bytes().all(plain);
    tail.strip_prefix('/')
        .is_some_and(|tail| tail.split('/').all(segment))
}

/// The id of a model from the end of a path. Clients may escape the slashes of an id; what comes out is held
/// to the same rules as what goes in.
fn model_id(raw: &str) -> Option<String> {
    let clean =
        |id: &str| id.split('/').all(is_step) && !id.contains([';', '\\']) && !id.contains(char::is_control);
    let id = percent_decoded(raw)?;
    (clean(raw) && clean(&id)).then_some(id)
}

/// A segment that leads on: not empty, and neither of the two that file systems give a meaning.
fn is_step(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
}

/// `text` with its `%XX` decoded once; `None` if an escape is cut short or the result is not UTF-8.
pub fn percent_decoded(text: &str) -> Option<String> {
    let mut pieces = text.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, plain) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

/// The dialect in which to answer a request to an unknown path: that of an `anthropic-version` header, else the
/// one that the path names, else that of `x-api-key` without `authorization`, as Anthropic's clients send it.
pub fn looks_like(path: &str, has_anthropic_version: bool, x_api_key_without_authorization: bool) -> Dialect {
    let names = |wanted: &str| path.split('/').any(|segment| segment == wanted);
    if has_anthropic_version || names("messages") {
        Dialect::Messages
    } else if names("responses") {
        Dialect::Responses
    } else if x_api_key_without_authorization {
        Dialect::Messages
    } else {
        Dialect::Chat
    }
}

/// The kind of a call to [`Place::Root`] whose headers do not tell it. Only Responses has `input` in place of
/// `messages`; only Messages has `system` or `anthropic_version` beside them.
pub fn by_shape(envelope: &Envelope, body: &[u8]) -> Api {
    let has = |name| envelope.member(body, name).is_some();
    match has("messages") {
        false if has("input") => Api::Responses,
        true if has("system") || has("anthropic_version") => Api::Messages,
        _ => Api::Chat,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Health, Place, by_shape, looks_like, resolve};
    use crate::dialect::{Api, Dialect};
    use crate::envelope::Envelope;

    #[test]
    fn each_call_answers_with_v1_without_doubled_and_with_a_trailing_slash() {
        for api in Api::ALL {
            let rest = if matches!(api, Api::Images | Api::Audio) {
                "/generations"
            } else {
                ""
            };
            let place = Some(Place::Api {
                api,
                rest: rest.to_owned(),
            });
            for path in ["", "/v1", "/v1/v1"].map(|base| format!("{base}{}{rest}", api.path())) {
                assert_eq!(resolve(&path), place, "{path}");
                assert_eq!(resolve(&format!("{path}/")), place, "{path}/");
                assert_eq!(resolve(&format!("{path}//")), None, "{path}//");
                assert_eq!(resolve(&format!("/{path}")), None, "/{path}");
                assert_eq!(
                    resolve(&format!("/v1/v1/v1{path}")),
                    None,
                    "too many /v1 before {path}"
                );
            }
        }
    }

    #[test]
    fn the_other_places_are_found() {
        let model = |id: &str| Some(Place::Model(id.to_owned()));
        for (path, place) in [
            ("/", Some(Place::Root)),
            ("/v1", Some(Place::Root)),
            ("/v1/", Some(Place::Root)),
            ("/health", Some(Place::Health(Health::Alive))),
            ("/healthz", Some(Place::Health(Health::Alive))),
            ("/readyz", Some(Place::Health(Health::Ready))),
            ("/v1/health", None),
            ("/api/hello", Some(Place::Hello)),
            ("/models", Some(Place::Models)),
            ("/v1/models/", Some(Place::Models)),
            ("/v1/models/gpt-5", model("gpt-5")),
            ("/v1/v1/models/gpt-5/", model("gpt-5")),
            ("/v1/models/openai/gpt-5", model("openai/gpt-5")),
            ("/v1/models/openai%2Fgpt-5", model("openai/gpt-5")),
            ("/v1/models/llama3:8b", model("llama3:8b")),
            ("/v1/models/opus%5B1m%5D", model("opus[1m]")),
            ("/v1/models/%C3%A9", model("é")),
            (
                "/v1/audio/speech",
                Some(Place::Api {
                    api: Api::Audio,
                    rest: "/speech".to_owned(),
                }),
            ),
            (
                "/v1/audio/voices/a.b",
                Some(Place::Api {
                    api: Api::Audio,
                    rest: "/voices/a.b".to_owned(),
                }),
            ),
        ] {
            assert_eq!(resolve(path), place, "{path}");
        }
    }

    #[test]
    fn tricks_with_paths_lead_nowhere() {
        for path in [
            "",
            "v1/messages",
            "*",
            "//",
            "//v1/messages",
            "/v1//messages",
            "/v1/../admin",
            "/v1/./messages",
            "/v1/messages/..",
            "/v1/messages/../messages",
            "/v1/%6dessages",
            "/v1%2fmessages",
            "/v1/messages%2f",
            "/%2e%2e/v1/messages",
            "/v1/messages;x",
            "/v1/messages;/",
            "/v1\\messages",
            "/V1/messages",
            "/v1/Messages",
            "/v1/messages\0",
            "/v1/messages ",
            "/v1/messages?beta=true",
            "/v11/messages",
            "/v1messages",
            "/v2/messages",
            "/v1/messages/batches",
            "/v1/images",
            "/v1/images/",
            "/v1/imagesx/generations",
            "/v1/images//generations",
            "/v1/images/../messages",
            "/v1/images/%2e%2e/messages",
            "/v1/audio/a;b",
            "/v1/audio/é",
            "/v1/models/..",
            "/v1/models/../messages",
            "/v1/models/%2e%2e",
            "/v1/models/a%2f..%2fb",
            "/v1/models/a//b",
            "/v1/models/a%2f",
            "/v1/models/a;b",
            "/v1/models/a%5Cb",
            "/v1/models/a%00",
            "/v1/models/a%0d%0ab",
            "/v1/models/a%2",
            "/v1/models/a%+1",
            "/v1/models/%ff",
            "/admin",
            "/metrics",
        ] {
            assert_eq!(resolve(path), None, "{path:?}");
        }
    }

    #[test]
    fn each_place_lists_its_methods() {
        for (path, methods) in [
            ("/v1/messages", &["POST"][..]),
            ("/v1/models", &["GET", "HEAD"]),
            ("/v1/models/m", &["GET", "HEAD"]),
            ("/readyz", &["GET", "HEAD"]),
            ("/", &["POST", "HEAD"]),
            ("/api/hello", &["HEAD", "GET"]),
        ] {
            assert_eq!(resolve(path).unwrap().methods(), methods, "{path}");
        }
    }

    #[test]
    fn an_unknown_path_is_answered_in_the_dialect_it_looks_like() {
        for (path, version, key, dialect) in [
            ("/nope", false, false, Dialect::Chat),
            ("/nope", true, false, Dialect::Messages),
            ("/nope", false, true, Dialect::Messages),
            ("/v1/messages/batches", false, false, Dialect::Messages),
            ("/v1/responses/resp_1", false, false, Dialect::Responses),
            ("/v1/responses/resp_1", false, true, Dialect::Responses),
            ("/v1/responses/resp_1", true, false, Dialect::Messages),
            ("/v1/messagesx", false, false, Dialect::Chat),
        ] {
            assert_eq!(looks_like(path, version, key), dialect, "{path} {version} {key}");
        }
    }

    #[test]
    fn the_shape_of_a_body_tells_its_dialect() {
        for (body, api) in [
            (r#"{"input":"hi"}"#, Api::Responses),
            (r#"{"input":"hi","messages":[]}"#, Api::Chat),
            (r#"{"messages":[]}"#, Api::Chat),
            (r#"{"messages":[],"max_tokens":9}"#, Api::Chat),
            (r#"{"messages":[],"system":"be kind"}"#, Api::Messages),
            (r#"{"messages":[],"anthropic_version":"x"}"#, Api::Messages),
            ("{}", Api::Chat),
        ] {
            let envelope = Envelope::read(body.as_bytes(), 9).unwrap();
            assert_eq!(by_shape(&envelope, body.as_bytes()), api, "{body}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn nothing_but_clean_segments_comes_out_of_a_path(
            base in "(/v1)?/(images|audio|models)/",
            tail in prop::collection::vec(
                prop::sample::select(&["a", "/", ".", "%2e", "%2F", "%", "%00", ";", "\\", ":", "é", "\0", " "][..]),
                0..10,
            ),
        ) {
            let out = match resolve(&format!("{base}{}", tail.concat())) {
                Some(Place::Api { rest, .. }) => {
                    prop_assert!(rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"%;\\?#".contains(&byte)));
                    rest.strip_prefix('/').map(str::to_owned)
                }
                Some(Place::Model(id)) => Some(id),
                _ => None,
            };
            for segment in out.iter().flat_map(|out| out.split('/')) {
                prop_assert!(!["", ".", ".."].contains(&segment), "{segment:?}");
                prop_assert!(!segment.contains(['\\', ';', '\0']), "{segment:?}");
            }
        }
    }
}
