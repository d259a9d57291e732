//! What a client asks: its body, bounded in size and time, and the few facts that routing needs.

use std::borrow::Cow;
use std::future::poll_fn;
use std::slice;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use llm_dialect::edit::{self, Edit};
use llm_dialect::envelope::{self, BodyError, Envelope};
use llm_dialect::scan::Span;
use llm_dialect::wire_error::ErrorKind;
use llm_dialect::{Api, Dialect, multipart, path};
use serde::Deserialize;
use tokio::time::timeout_at;

use super::apart;
use super::decode::{self, Undecodable};
use super::failure::Failure;
use super::incoming::RequestBody;
use super::journey::Call;
use crate::state::{Context, Origin};

/// Room that a body gets before its first byte has come, whatever its announced length.
const FIRST_ROOM: usize = 256 * 1024;

/// What Claude Code puts behind a model's name for its long context.
const LONG_CONTEXT: &str = "[1m]";

/// The type of a form, which its parameters follow.
const FORM: &str = "multipart/form-data";

/// A request, understood as far as routing needs. The bytes stay as the client sent them.
#[derive(Debug)]
pub(super) struct Ask {
    /// The call.
    pub api: Api,
    /// What follows the call's own path.
    pub rest: String,
    /// The body, decompressed.
    pub body: Bytes,
    /// Where things are in it.
    pub shape: Shape,
    /// The dialect that its body is written in: another one than the call's where Cursor sends the shape of Responses to
    /// the path of chat.
    pub reads: Dialect,
    /// The model that it names, without the suffix that Claude Code puts behind it (`[1m]`).
    pub model: String,
    /// Whether it had that suffix.
    pub suffixed: bool,
    /// Whether it wants a stream.
    pub stream: bool,
    /// What it goes on from, which only its maker knows: an earlier response, or a conversation that the provider keeps.
    pub origin: Option<Origin>,
    /// Whether all of it had come with its head: then it was waited for no longer than for its place.
    pub came_at_once: bool,
    /// What puts the operator's prompts into the body; none where there are none for it.
    pub prompts: Option<Edit<'static>>,
}

impl Ask {
    /// The field that says what it goes on from.
    pub(super) fn origin_field(&self) -> &'static str {
        match &self.shape {
            Shape::Json(envelope) if envelope.previous_response_id().is_none() => "conversation",
            _ => "previous_response_id",
        }
    }

    /// The body with the operator's prompts in it, in one piece.
    pub(super) fn told(&self) -> Bytes {
        match (&self.prompts, &self.shape) {
            (Some(prompts), Shape::Json(envelope)) => {
                edit::apply(&self.body, envelope, slice::from_ref(prompts)).join()
            }
            _ => self.body.clone(),
        }
    }
}

/// The form of a body.
#[derive(Debug)]
pub(super) enum Shape {
    /// A JSON object.
    Json(Envelope),
    /// A form, with the place of its `model` field.
    Form(Span),
}

/// Reads the body to its end and looks at it once. What is understood of it is boxed: it is large, and handed on.
///
/// # Errors
/// Too long, too slow, an encoding that we do not know, no JSON, or a field missing or of a wrong type.
pub(super) async fn read(ctx: &mut Context, call: Call, body: RequestBody) -> Result<Box<Ask>, Failure> {
    let came_at_once = matches!(body, RequestBody::Whole(_));
    let bytes = bounded(ctx, body).await?;
    let bytes = decoded(ctx, bytes)?;
    ctx.entry.asked(&bytes, &ctx.snapshot.config.logging);
    let mut ask = understood(ctx, call, bytes)?;
    ask.came_at_once = came_at_once;
    let record = &mut ctx.entry.record;
    (record.dialect, record.api, record.stream) = (ask.api.dialect(), Some(ask.api), ask.stream);
    if ask.stream {
        apart::request(&mut ctx.headers, &mut ask.body);
    }
    Ok(ask)
}

/// The whole body. Its time runs from the request's arrival, not from the last byte: a slow sender gains nothing.
async fn bounded(ctx: &Context, body: RequestBody) -> Result<Bytes, Failure> {
    let max = ctx.snapshot.config.limits.max_body;
    let announced = body.length();
    if announced.is_some_and(|length| length > max as u64) {
        return Err(too_large(max));
    }
    if let RequestBody::Whole(bytes) = body {
        return Ok(bytes);
    }
    let deadline = ctx.entry.started() + ctx.snapshot.config.timeout.request;
    // Boxed: what is small has come with its head.
    let whole = timeout_at(deadline.into(), collect(body, (announced, max)));
    match whole.boxed().await {
        Ok(done) => done,
        Err(_) => Err(Failure::local(
            ErrorKind::RequestTimeout,
            "The request's body did not arrive in time; send it faster or raise `timeout.request`.",
        )
        .closing()),
    }
}

async fn collect(mut body: RequestBody, (announced, max): (Option<u64>, usize)) -> Result<Bytes, Failure> {
    let mut whole = BytesMut::new();
    while let Some(piece) = poll_fn(|cx| body.poll_next(cx)).await {
        let data = piece.map_err(|_why| broken())?;
        if whole.is_empty() && announced == Some(data.len() as u64) {
            // It came in one piece: not copied.
            return Ok(data);
        }
        if whole.len() + data.len() > max {
            return Err(too_large(max));
        }
        if whole.is_empty() {
            let expected = usize::try_from(announced.unwrap_or(0)).unwrap_or(max);
            whole.reserve(expected.clamp(data.len(), FIRST_ROOM.max(data.len())));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

#[cold]
fn too_large(max: usize) -> Failure {
    let message = format!(
        "The request's body is larger than {max} bytes, the limit of this proxy (`limits.max_body`)."
    );
    Failure::local(ErrorKind::RequestTooLarge, message).closing()
}

#[cold]
fn broken() -> Failure {
    Failure::local(
        ErrorKind::InvalidBody,
        "The request's body ended before it was complete, or its chunks are not as HTTP/1.1 writes them.",
    )
    .closing()
}

fn decoded(ctx: &Context, body: Bytes) -> Result<Bytes, Failure> {
    let max = ctx.snapshot.config.limits.max_body;
    let Some(encoding) = ctx.headers.get(CONTENT_ENCODING) else {
        return Ok(body);
    };
    decode::decode(encoding, body, max).map_err(|error| match error {
        Undecodable::Unknown => Failure::local(
            ErrorKind::UnsupportedMediaType,
            "The request's `content-encoding` is not one that this proxy reads; use gzip, zstd or none.",
        ),
        Undecodable::TooLarge => too_large(max),
        Undecodable::Broken => Failure::local(
            ErrorKind::InvalidBody,
            "The request's body is not what its `content-encoding` says.",
        ),
    })
}

fn understood(ctx: &Context, call: Call, body: Bytes) -> Result<Box<Ask>, Failure> {
    if let (Some(form), Call::Named(api, rest)) = (form_type(&ctx.headers), &call) {
        return from_form(form, *api, rest.clone(), body);
    }
    let depth = ctx.snapshot.config.limits.max_json_depth;
    let envelope = Envelope::read(&body, depth).map_err(invalid)?;
    let (api, rest) = match call {
        Call::Named(api, rest) => (api, rest),
        Call::ByShape => (path::by_shape(&envelope, &body), String::new()),
    };
    envelope.require(&body, api).map_err(invalid)?;
    let (model, suffixed) = named(ctx, envelope.model().unwrap_or_default());
    Ok(Box::new(Ask {
        api,
        rest,
        reads: written_in(api, &envelope, &body),
        model: model.to_owned(),
        suffixed,
        stream: envelope.stream(),
        origin: origin(api, &envelope, &body),
        shape: Shape::Json(envelope),
        body,
        came_at_once: false,
        prompts: None,
    }))
}

/// What a request goes on from. A conversation is named by its id, or by an object that has one.
fn origin(api: Api, envelope: &Envelope, body: &[u8]) -> Option<Origin> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    if let Some(id) = envelope.previous_response_id() {
        return Some(Origin::response(id));
    }
    if api != Api::Responses {
        return None;
    }
    let value = envelope.member(body, "conversation")?.of(body);
    let id = serde_json::from_slice::<Cow<'_, str>>(value);
    let id = id.or_else(|_| serde_json::from_slice::<Named<'_>>(value).map(|named| named.id));
    Some(Origin::conversation(&id.ok()?))
}

/// Which dialect a body is written in: `require` lets a chat body without `messages` pass only where it has `input`.
fn written_in(api: Api, envelope: &Envelope, body: &[u8]) -> Dialect {
    let messages = || envelope.member(body, "messages").map(|span| span.of(body));
    if api == Api::Chat && messages().is_none_or(|value| value == b"null") {
        Dialect::Responses
    } else {
        api.dialect()
    }
}

/// The model's name without the suffix of a long context, unless an alias has it in its name; and whether it had one.
fn named<'m>(ctx: &Context, model: &'m str) -> (&'m str, bool) {
    match model.strip_suffix(LONG_CONTEXT) {
        Some(name) if !name.is_empty() && !ctx.snapshot.aliases.contains_key(model) => (name, true),
        _ => (model, false),
    }
}

fn form_type(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let start = value.get(..FORM.len())?;
    start.eq_ignore_ascii_case(FORM).then_some(value)
}

fn from_form(content_type: &str, api: Api, rest: String, body: Bytes) -> Result<Box<Ask>, Failure> {
    let found = multipart::model(content_type, &body).map_err(invalid)?;
    let (span, model) =
        found.ok_or_else(|| invalid(BodyError::of_field("model", "The form has no `model` field.")))?;
    envelope::check_model(&model).map_err(invalid)?;
    Ok(Box::new(Ask {
        api,
        rest,
        body,
        shape: Shape::Form(span),
        reads: api.dialect(),
        model,
        suffixed: false,
        stream: false,
        origin: None,
        came_at_once: false,
        prompts: None,
    }))
}

/// What is wrong with a body, for the client.
#[cold]
pub(super) fn invalid(error: BodyError) -> Failure {
    let failure = Failure::local(ErrorKind::InvalidBody, error.message);
    match error.param {
        Some(param) => failure.about(param),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f43_what_a_request_goes_on_from_is_a_response_or_a_conversation_that_the_provider_keeps() {
        let response = Some(Origin::response("resp_1"));
        let conversation = Some(Origin::conversation("conv_1"));
        for (api, body, expected) in [
            (Api::Responses, r#"{"previous_response_id":"resp_1"}"#, response),
            (Api::Responses, r#"{"conversation":"conv_1"}"#, conversation),
            (Api::Responses, r#"{"conversation":"conv\u005f1"}"#, conversation),
            (
                Api::Responses,
                r#"{"conversation":{"x":[1],"id":"conv_1"}}"#,
                conversation,
            ),
            (
                Api::Responses,
                r#"{"previous_response_id":"resp_1","conversation":"conv_1"}"#,
                response,
            ),
            (
                Api::Responses,
                r#"{"conversation":null,"previous_response_id":null}"#,
                None,
            ),
            (Api::Responses, r#"{"conversation":{"id":7}}"#, None),
            (Api::Responses, "{}", None),
            (Api::Chat, r#"{"conversation":"conv_1"}"#, None),
        ] {
            let envelope = Envelope::read(body.as_bytes(), 8).unwrap();
            assert_eq!(origin(api, &envelope, body.as_bytes()), expected, "{api}: {body}");
        }
    }
}
