//! A stream that begins before its answer (`stream.early_heartbeat_after`): the head and signs of life, so that nobody on
//! the way gives up waiting. Nothing real is sent, so the attempts go on behind it as ever; what they come to follows.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context as Task, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use llm_dialect::canon::Terms;
use llm_dialect::fault;
use llm_dialect::transcode;
use llm_dialect::watch::StreamPosition;
use llm_dialect::wire_error::{ErrorKind, WireError};
use llm_dialect::{Api, Dialect};
use std::sync::Arc;
use tokio::time::{Sleep, sleep_until};

use super::ask::Ask;
use super::body::AnswerBody;
use super::failure::{Failure, Says};
use super::relay;
use crate::base::clock;
use crate::state::{Context, Signs};

const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Lets the response begin early, where that is configured and a stream is asked for.
pub(super) fn allow(ctx: &Context, ask: &Ask) {
    let stream = ctx.snapshot.config.stream;
    if let (Some(early), Some(after)) = (&ctx.early, stream.early_heartbeat_after)
        && ask.stream
        && ask.api.is_conversation()
    {
        early.allow(Signs {
            due: ctx.entry.started() + after,
            every: stream.heartbeat.unwrap_or(after),
            dialect: ask.api.dialect(),
        });
    }
}

/// What a stream's head says, whoever feeds it.
pub(super) fn head(out: &mut HeaderMap) {
    out.entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    // A proxy in front of us must not gather the stream.
    out.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
}

/// The response that begins now. `answer` comes to the body that the client would have been given.
pub fn begin(
    signs: Signs,
    answer: impl Future<Output = AnswerBody> + Send + 'static,
) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::waiting(Waiting {
        answer: Box::pin(answer),
        signs,
        timer: None,
    }));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    head(headers);
    response
}

/// The body of a response that has begun, until there is an answer.
pub(super) struct Waiting {
    answer: Pin<Box<dyn Future<Output = AnswerBody> + Send>>,
    signs: Signs,
    /// None: not a sign has been given yet.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What comes next.
pub(super) enum Next {
    /// A sign of life.
    Sign(Bytes),
    /// The answer, or the error in its place.
    Answer(AnswerBody),
}

impl Waiting {
    pub(super) fn poll(&mut self, cx: &mut Task<'_>) -> Poll<Next> {
        if let Poll::Ready(body) = self.answer.as_mut().poll(cx) {
            return Poll::Ready(Next::Answer(body));
        }
        if let Some(timer) = &mut self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        let next = clock::now() + self.signs.every;
        self.timer = Some(Box::pin(sleep_until(next.into())));
        let sign = self.signs.dialect.sign_of_life();
        Poll::Ready(Next::Sign(Bytes::from_static(sign.as_bytes())))
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting")
            .field("signs", &self.signs)
            .finish_non_exhaustive()
    }
}

/// A failure where the head is out: the dialect's error event, and nothing after it.
pub fn last_words(dialect: Dialect, request_id: &str, failure: Failure) -> AnswerBody {
    let (kind, message, param) = match *failure.says {
        Says::Ours {
            kind, message, param, ..
        } => (kind, message, param),
        Says::Theirs(relayed) => {
            let message = fault::read(&relayed.body).message;
            (
                relay::kind(relayed.status, failure.class),
                Cow::Owned(message),
                None,
            )
        }
    };
    let error = WireError {
        kind,
        message,
        param: param.as_deref(),
        request_id,
    };
    AnswerBody::whole(error.event(dialect, &StreamPosition::default()))
}

/// A whole answer where a stream was asked for. Its client gets it as it is, unless the head of a stream is out: then it
/// becomes one.
pub(super) fn as_begun(ctx: &Context, (api, model): (Api, &str), body: Bytes) -> AnswerBody {
    if !ctx.has_begun() {
        return AnswerBody::whole(body);
    }
    let record = &ctx.entry.record;
    let terms = Arc::new(Terms {
        model: model.to_owned(),
        backend_model: model.to_owned(),
        stream: true,
        now: clock::unix_seconds(),
        request_id: record.request_id.clone(),
        ..Terms::default()
    });
    let text = std::str::from_utf8(&body).unwrap_or_default();
    if let Ok(stream) = transcode::replayed(api.dialect(), record.dialect, text, &terms) {
        return AnswerBody::whole(stream);
    }
    let message = "The backend's answer cannot be put into a stream.";
    let failure = Failure::local(ErrorKind::UpstreamBadResponse, message);
    last_words(record.dialect, &record.request_id, failure)
}
