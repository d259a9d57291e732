//! What routing needs to know of a request body, found in one pass that copies no prompt.
//!
//! The body itself stays as the client sent it. Later edits (see [`crate::edit`]) work on the spans found here.

use std::fmt;

use crate::dialect::Api;
use crate::scan::{self, Member, Object, ScanError, Span};

/// The longest model name that is accepted, in bytes.
const LONGEST_MODEL: usize = 256;

/// Top-level keys that the proxy itself reads; first those that [`Envelope::read`] looks at. Two parsers may disagree on which of two equal keys counts,
/// so a body that repeats one of these is refused.
const READ_KEYS: [&str; 12] = [
    "model",
    "stream",
    "stream_options",
    "previous_response_id",
    "messages",
    "input",
    "system",
    "instructions",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "conversation",
];

/// Why a body is answered with a 400.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyError {
    /// The field at fault, when it is one field.
    pub param: Option<String>,
    /// One sentence for the client.
    pub message: String,
}

impl BodyError {
    /// The fault of the field `param`.
    pub fn of_field(param: &str, message: impl Into<String>) -> Self {
        Self {
            param: Some(param.to_owned()),
            message: message.into(),
        }
    }

    /// A fault of the body as a whole.
    pub fn of_body(message: impl Into<String>) -> Self {
        Self {
            param: None,
            message: message.into(),
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for BodyError {}

impl From<ScanError> for BodyError {
    fn from(error: ScanError) -> Self {
        Self::of_body(error.to_string())
    }
}

/// The outer members of a JSON body, and the few values that decide its way.
#[derive(Clone, Debug)]
pub struct Envelope {
    object: Object,
    model: Option<String>,
    previous_response_id: Option<String>,
    stream: bool,
    include_usage: bool,
}

impl Envelope {
    /// Reads a body. Refused: anything but one JSON object, nesting deeper than `max_depth`, and a repeated
    /// key among those that the proxy reads. Whether required fields are there is for [`Self::require`] to say.
    pub fn read(body: &[u8], max_depth: usize) -> Result<Self, BodyError> {
        let object = scan::object(body, max_depth)?
            .ok_or_else(|| BodyError::of_body("The body must be a JSON object."))?;
        let [model, stream, options, previous, ..] = read_once(&object, body)?;
        let value = |span: Option<Span>| span.map(|span| span.of(body));
        let options = value(options).filter(|value| value.starts_with(b"{"));
        Ok(Self {
            model: value(model).and_then(text),
            previous_response_id: value(previous).and_then(text),
            stream: value(stream) == Some(b"true"),
            include_usage: options.map(include_usage).transpose()?.unwrap_or(false),
            object,
        })
    }

    /// The span of the top-level value named `name`. Should an unread key be repeated, its last value, which
    /// is the one that most parsers take. `body` is the one that was read.
    pub fn member(&self, body: &[u8], name: &str) -> Option<Span> {
        self.object.value(body, name)
    }

    /// The top-level members in their order.
    pub fn members(&self) -> &[Member] {
        &self.object.members
    }

    /// Offset of the closing brace.
    pub fn close(&self) -> usize {
        self.object.close
    }

    /// The model asked for, its escapes decoded; `None` when absent or not a string.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// Whether a streamed answer is asked for (`stream` is `true`).
    pub fn stream(&self) -> bool {
        self.stream
    }

    /// Whether a chat client asks for the usage chunk at the end of its stream (`stream_options.include_usage`).
    pub fn include_usage(&self) -> bool {
        self.include_usage
    }

    /// The earlier answer that a Responses request goes on from; `None` when absent or not a string.
    pub fn previous_response_id(&self) -> Option<&str> {
        self.previous_response_id.as_deref()
    }

    /// Checks the fields without which a request of that kind cannot be routed. Everything else is left to the
    /// backend, whose own words on it the client knows.
    ///
    /// A chat body may hold `input` in place of `messages`: Cursor sends the shape of Responses to the chat path.
    pub fn require(&self, body: &[u8], api: Api) -> Result<(), BodyError> {
        match self.model() {
            Some(model) => check_model(model)?,
            None if self.kind(body, "model").is_none() => {
                return Err(BodyError::of_field("model", "The field 'model' is missing."));
            }
            None => {
                return Err(BodyError::of_field(
                    "model",
                    "The field 'model' must be a string.",
                ));
            }
        }
        if !matches!(self.kind(body, "stream"), None | Some(b't' | b'f' | b'n')) {
            return Err(BodyError::of_field(
                "stream",
                "The field 'stream' must be a boolean.",
            ));
        }
        match api {
            Api::Chat if self.has(body, "input") && !self.has(body, "messages") => self.require_options(body),
            Api::Chat => self
                .require_messages(body)
                .and_then(|()| self.require_options(body)),
            Api::Completions => self.require_options(body),
            Api::Messages | Api::CountTokens => self.require_messages(body),
            _ => Ok(()),
        }
    }

    /// A chat or Messages request without a list of messages is none.
    pub(crate) fn require_messages(&self, body: &[u8]) -> Result<(), BodyError> {
        match self.kind(body, "messages") {
            Some(b'[') => Ok(()),
            None => Err(BodyError::of_field(
                "messages",
                "The field 'messages' is missing.",
            )),
            Some(_) => Err(BodyError::of_field(
                "messages",
                "The field 'messages' must be an array.",
            )),
        }
    }

    /// The proxy may have to switch `include_usage` on in there, which takes an object or none.
    fn require_options(&self, body: &[u8]) -> Result<(), BodyError> {
        match self.kind(body, "stream_options") {
            None | Some(b'{' | b'n') => Ok(()),
            Some(_) => Err(BodyError::of_field(
                "stream_options",
                "The field 'stream_options' must be an object.",
            )),
        }
    }

    /// Whether the field is there and not null.
    fn has(&self, body: &[u8], name: &str) -> bool {
        !matches!(self.kind(body, name), None | Some(b'n'))
    }

    /// The first byte of the value, which in JSON tells its kind.
    fn kind(&self, body: &[u8], name: &str) -> Option<u8> {
        self.member(body, name)?.of(body).first().copied()
    }
}

/// The rule for names of models, wherever a client gives one: 1 to 256 bytes, no control characters.
pub fn check_model(model: &str) -> Result<(), BodyError> {
    let fault = if model.is_empty() {
        "must not be empty"
    } else if model.len() > LONGEST_MODEL {
        "is longer than 256 bytes"
    } else if model.contains(char::is_control) {
        "must not contain control characters"
    } else {
        return Ok(());
    };
    Err(BodyError::of_field(
        "model",
        format!("The field 'model' {fault}."),
    ))
}

/// The values of the keys that are read, in their order there; none of them may be repeated.
fn read_once(object: &Object, body: &[u8]) -> Result<[Option<Span>; READ_KEYS.len()], BodyError> {
    let mut found = [None; READ_KEYS.len()];
    for member in &object.members {
        let read = READ_KEYS
            .iter()
            .zip(&mut found)
            .find(|(name, _)| member.is_named(body, name));
        if let Some((name, found)) = read
            && found.replace(member.value).is_some()
        {
            return Err(repeated(name, name));
        }
    }
    Ok(found)
}

fn repeated(param: &str, name: &str) -> BodyError {
    BodyError::of_field(param, format!("The field '{name}' is there twice."))
}

/// The text of a JSON string; `None` for another kind of value, and for a lone surrogate, which no text can hold.
fn text(value: &[u8]) -> Option<String> {
    let plain = value
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""));
    match plain.filter(|inside| !inside.contains(&b'\\')) {
        Some(inside) => String::from_utf8(inside.to_vec()).ok(),
        None => serde_json::from_slice(value).ok(),
    }
}

/// `include_usage` of a `stream_options` object, which is short enough to be scanned a second time.
fn include_usage(options: &[u8]) -> Result<bool, BodyError> {
    let Some(object) = scan::object(options, scan::DEEPEST)? else {
        return Ok(false);
    };
    let mut found = object
        .members
        .iter()
        .filter(|member| member.is_named(options, "include_usage"));
    let first = found.next();
    if found.next().is_some() {
        return Err(repeated("stream_options", "stream_options.include_usage"));
    }
    Ok(first.is_some_and(|member| member.value.of(options) == b"true"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;
    use serde_json::Value;

    use super::{BodyError, Envelope};
    use crate::dialect::Api;
    use crate::edit::apply;
    use crate::path::{Place, resolve};
    use crate::scan::document;

    /// Recorded requests: name, path and body.
    fn recorded() -> Vec<(String, String, String)> {
        let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
        let shared = std::env::var_os("LLM_PROXY_SHARED").unwrap_or_else(|| beside.into());
        let mut cases = Vec::new();
        for folder in std::fs::read_dir(Path::new(&shared).join("fixtures"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            for file in std::fs::read_dir(folder)
                .into_iter()
                .flatten()
                .map(|entry| entry.unwrap().path())
            {
                let case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
                if let (Some(path), Some(body)) =
                    (case["request"]["path"].as_str(), case["request"].get("body"))
                {
                    cases.push((file.display().to_string(), path.to_owned(), body.to_string()));
                }
            }
        }
        cases
    }

    #[test]
    fn recorded_requests_pass_and_go_on_unchanged() {
        let cases = recorded();
        assert!(cases.len() > 50, "the recorded requests were not found");
        for (name, path, body) in cases {
            let value: Value = serde_json::from_str(&body).unwrap();
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            for body in [body, pretty].map(Bytes::from) {
                let envelope = Envelope::read(&body, 128).unwrap();
                assert_eq!(envelope.model(), value["model"].as_str(), "{name}");
                assert_eq!(envelope.stream(), value["stream"] == true, "{name}");
                assert_eq!(
                    envelope.include_usage(),
                    value["stream_options"]["include_usage"] == true,
                    "{name}"
                );
                assert_eq!(
                    envelope.previous_response_id(),
                    value["previous_response_id"].as_str(),
                    "{name}"
                );
                let unchanged = apply(&body, &envelope, &[]);
                assert_eq!(unchanged.parts.as_slice(), std::slice::from_ref(&body), "{name}");
                let path = path.split('?').next().unwrap();
                if let Some(Place::Api { api, .. }) = resolve(path) {
                    assert_eq!(envelope.require(&body, api), Ok(()), "{name}");
                }
            }
        }
    }

    #[test]
    fn recorded_requests_with_one_bit_wrong_or_cut_short_are_judged_as_serde_json_does() {
        for (name, _, body) in recorded() {
            for at in (0..body.len()).step_by(body.len() / 61 + 1) {
                let mut spoilt = body.clone().into_bytes();
                spoilt[at] ^= 1 << (at % 8);
                for bytes in [&spoilt, &body.as_bytes()[..at]] {
                    let valid = std::str::from_utf8(bytes).is_ok()
                        && serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
                    assert_eq!(document(bytes, 128).is_ok(), valid, "{name} at byte {at}");
                }
            }
        }
    }

    fn read(body: &str) -> Result<Envelope, BodyError> {
        Envelope::read(body.as_bytes(), 128)
    }

    fn required(body: &str, api: Api) -> Result<(), Option<String>> {
        read(body)
            .and_then(|envelope| envelope.require(body.as_bytes(), api))
            .map_err(|error| error.param)
    }

    #[test]
    fn it_reads_what_routing_needs() {
        let body = r#"{"messages":[], "stream" : true,"model":"gpt-5","stream_options":{"include_usage":true},
            "previous_response_id":"resp_1"}"#;
        let envelope = read(body).unwrap();
        assert_eq!(envelope.model(), Some("gpt-5"));
        assert!(envelope.stream());
        assert!(envelope.include_usage());
        assert_eq!(envelope.previous_response_id(), Some("resp_1"));
        let span = envelope.member(body.as_bytes(), "messages").unwrap();
        assert_eq!(span.of(body.as_bytes()), b"[]");
        assert_eq!(envelope.member(body.as_bytes(), "tools"), None);
        assert_eq!(envelope.members().len(), 5);
    }

    #[test]
    fn keys_and_models_with_escapes_are_decoded() {
        let envelope = read(r#"{"\u006dod\u0065l":"gpt\u002d5","str\u0065am":true}"#).unwrap();
        assert_eq!(envelope.model(), Some("gpt-5"));
        assert!(envelope.stream());
    }

    #[test]
    fn what_is_not_there_or_of_another_type_reads_as_absent() {
        let envelope = read(r#"{"stream":"true","stream_options":{"include_usage":1},"model":7}"#).unwrap();
        assert_eq!(envelope.model(), None);
        assert!(!envelope.stream());
        assert!(!envelope.include_usage());
        assert_eq!(envelope.previous_response_id(), None);
    }

    #[test]
    fn a_body_that_two_parsers_could_read_differently_is_refused() {
        for (body, param) in [
            (r#"{"model":"a","model":"b"}"#, "model"),
            (r#"{"model":"a","\u006dodel":"a"}"#, "model"),
            (r#"{"stream":true,"x":1,"stream":false}"#, "stream"),
            (r#"{"input":[],"input":[]}"#, "input"),
            (r#"{"max_tokens":1,"max_tokens":1}"#, "max_tokens"),
            (
                r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#,
                "stream_options",
            ),
        ] {
            assert_eq!(read(body).unwrap_err().param.as_deref(), Some(param), "{body}");
        }
        assert!(
            read(r#"{"x":1,"x":2,"tools":[{"model":1,"model":2}]}"#).is_ok(),
            "unread keys are not ours to judge"
        );
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        for body in ["", "[]", "\"model\"", "null", "{", "{}x", "{\"a\":01}"] {
            let error = read(body).unwrap_err();
            assert_eq!(error.param, None, "{body}");
            assert!(error.message.ends_with('.'), "{}", error.message);
        }
        assert!(
            Envelope::read(br#"{"a":[1]}"#, 1).is_err(),
            "the depth counts from the body's own object"
        );
        assert!(Envelope::read(br#"{"a":[1]}"#, 2).is_ok());
    }

    #[test]
    fn each_kind_of_request_has_its_required_fields() {
        let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(257));
        let longest = format!(r#"{{"model":"{}"}}"#, "m".repeat(256));
        for (body, api, fault) in [
            (r#"{"model":"m","messages":[]}"#, Api::Chat, None),
            (r#"{"model":"m","input":"hi"}"#, Api::Chat, None),
            (r#"{"model":"m","input":"hi","messages":null}"#, Api::Chat, None),
            (r#"{"model":"m","input":null}"#, Api::Chat, Some("messages")),
            (
                r#"{"model":"m","input":"hi","messages":{}}"#,
                Api::Chat,
                Some("messages"),
            ),
            (r#"{"model":"m"}"#, Api::Chat, Some("messages")),
            (r#"{"model":"m","messages":"hi"}"#, Api::Chat, Some("messages")),
            (
                r#"{"model":"m","messages":[],"stream_options":[]}"#,
                Api::Chat,
                Some("stream_options"),
            ),
            (
                r#"{"model":"m","messages":[],"stream_options":null}"#,
                Api::Chat,
                None,
            ),
            (r#"{"model":"m","input":"hi"}"#, Api::Messages, Some("messages")),
            (
                r#"{"model":"m","messages":[],"stream_options":1}"#,
                Api::Messages,
                None,
            ),
            (r#"{"model":"m"}"#, Api::CountTokens, Some("messages")),
            (r#"{"model":"m"}"#, Api::Responses, None),
            (r#"{"model":"m","stream":null}"#, Api::Responses, None),
            (r#"{"model":"m","stream":"yes"}"#, Api::Responses, Some("stream")),
            (r#"{"model":"m","stream":1}"#, Api::Embeddings, Some("stream")),
            ("{}", Api::Embeddings, Some("model")),
            (r#"{"model":null}"#, Api::Embeddings, Some("model")),
            (r#"{"model":""}"#, Api::Embeddings, Some("model")),
            (r#"{"model":"a\u0000b"}"#, Api::Embeddings, Some("model")),
            (r#"{"model":"a\nb"}"#, Api::Embeddings, Some("model")),
            (r#"{"model":"\ud800"}"#, Api::Embeddings, Some("model")),
            (r#"{"model":"../x"}"#, Api::Embeddings, None),
            (&long, Api::Rerank, Some("model")),
            (&longest, Api::Rerank, None),
        ] {
            let fault = fault.map_or(Ok(()), |param| Err(Some(param.to_owned())));
            assert_eq!(required(body, api), fault, "{api}: {body}");
        }
    }
}
