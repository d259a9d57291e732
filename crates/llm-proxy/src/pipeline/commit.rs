//! Holding an answer back until it has proven to be one: the commit point (`reliability.md` 5.5).

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use llm_dialect::Api;
use llm_dialect::answer::{self, AnswerFault};
use llm_dialect::canon::{self, Losses};
use llm_dialect::fault::BackendError;
use llm_dialect::transcode::{Gatherer, Passing, Transcoder};
use llm_dialect::usage::Usage;
use llm_dialect::watch::{End, Sight, Watch, WatchLimits};
use serde::Deserialize;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

use super::pace::{self, Pace};
use super::{apart, decode};
use crate::base::clock;
use crate::config::types::Limits;
use crate::upstream::{Fault, Lines, UpstreamBody};

/// How much of an error's body is read: enough for any message.
const ERROR_BODY: usize = 64 * 1024;
/// How long an error's body may take.
const ERROR_PATIENCE: Duration = Duration::from_secs(2);
/// How many events are held back before an answer commits whatever they are.
const HOLD_EVENTS: usize = 64;
/// How many bytes are held back likewise.
const HOLD_BYTES: usize = 256 * 1024;
/// What is wrong with a folded answer that cannot be unfolded.
const UNASKED_ENCODING: &str = "an answer in an encoding that was not asked for";

/// An answer that is one.
#[derive(Debug)]
pub(super) enum Committed {
    /// All of it.
    Whole {
        /// Its body, unfolded.
        body: Bytes,
        /// Its tokens.
        usage: Usage,
        /// Its id, where a later request may go on from it.
        response_id: Option<String>,
    },
    /// A stream that has begun to speak.
    Stream {
        /// What watches it; boxed, since it is large.
        watch: Box<Watch>,
        /// What was held back, in order.
        held: Vec<Bytes>,
        /// What was seen together with the commit point: the end may be there already, or a fault.
        sight: Sight,
        /// What is still to come.
        rest: UpstreamBody,
        /// What puts it into the client's dialect, where that is another; what is held back has gone through it already.
        transcoder: Option<Box<Transcoder>>,
    },
    /// All of it, gathered from a stream, in the client's dialect already.
    Gathered {
        /// Its body.
        body: Bytes,
        /// Its tokens.
        usage: Usage,
    },
    /// Something that is not looked into: audio, images.
    Opaque {
        /// All of it.
        rest: UpstreamBody,
    },
}

impl Committed {
    /// Whether all of it is there.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self, Self::Whole { .. } | Self::Gathered { .. })
    }
}

/// Why an answer is none.
#[derive(Debug)]
pub(super) enum Unfit {
    /// It says that it is an error.
    Error(Box<BackendError>, Bytes),
    /// It is no answer of this call: for a person, what was wrong; and its beginning.
    Bad(&'static str, Bytes),
    /// It broke off.
    Broken(Fault),
    /// It comes more slowly than `timeout.min_rate`.
    Slow,
}

/// What is asked of an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    /// The call.
    pub api: Api,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// Whether the usage of a chat stream is to be taken out again.
    pub strip_usage: bool,
    /// Sizes.
    pub limits: Limits,
    /// What becomes of a stream though none was asked for.
    pub gathering: Gathering<'a>,
    /// The pace that it has to keep.
    pub pace: Option<Pace>,
}

/// How a stream is gathered into one answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gathering<'a> {
    /// The client's call.
    pub to: Api,
    /// The terms of a converted request.
    pub crossing: Option<&'a Arc<canon::Terms>>,
    /// The backend's model, for a request that was not converted.
    pub model: &'a str,
}

impl Gathering<'_> {
    fn answers(&self) -> Arc<canon::Terms> {
        self.crossing.cloned().unwrap_or_else(|| {
            Arc::new(canon::Terms {
                model: self.model.to_owned(),
                backend_model: self.model.to_owned(),
                now: clock::unix_seconds(),
                request_id: String::new(),
                ..canon::Terms::default()
            })
        })
    }
}

/// Reads a 2xx answer up to its commit point.
pub(super) async fn commit(
    headers: &Lines,
    body: UpstreamBody,
    terms: Terms<'_>,
) -> Result<Committed, Unfit> {
    let streams = is_of_type(headers, "text/event-stream");
    let opaque = matches!(terms.api, Api::Audio | Api::Images) && !is_of_type(headers, "application/json");
    if (streams || opaque) && is_folded(headers) {
        return Err(Unfit::Bad(UNASKED_ENCODING, Bytes::new()));
    }
    // Speech and pictures may come as events, asked for by fields of their own: nobody here looks into them.
    if opaque {
        return Ok(Committed::Opaque { rest: body });
    }
    if streams && !terms.stream {
        // Boxed: large and rare, and every request has room for it here.
        return gathered(body, terms).boxed().await;
    }
    if streams {
        return stream(body, terms).await;
    }
    whole(headers, body, terms).await
}

/// A stream though none was asked for: gathered into the answer that was, in the client's dialect.
async fn gathered(mut body: UpstreamBody, terms: Terms<'_>) -> Result<Committed, Unfit> {
    let (limits, gathering, mut pace) = (terms.limits, terms.gathering, terms.pace);
    if !terms.api.is_conversation() {
        return Err(Unfit::Bad("a stream, though none was asked for", Bytes::new()));
    }
    let answers = gathering.answers();
    let mut gatherer = Gatherer::new(terms.api.dialect(), &answers, limits.max_event);
    let mut size = 0;
    while let Some(piece) = pace::next(&mut body, &mut pace).await? {
        note(&mut pace, &piece);
        size += piece.len();
        if size > limits.max_response {
            return Err(Unfit::Bad("an answer above `limits.max_response`", Bytes::new()));
        }
        if let Passing::Fault(error) = gatherer.feed(piece) {
            return Err(Unfit::Error(error.into(), Bytes::new()));
        }
    }
    let done = gatherer.finish(gathering.to.dialect(), &mut Losses::default());
    let body: Bytes = done
        .map_err(|error| Unfit::Error(error.into(), Bytes::new()))?
        .into();
    let usage = answer::inspect(gathering.to, &body).unwrap_or_default();
    Ok(Committed::Gathered { body, usage })
}

/// Whether the body is said to be of that type, whatever its parameters.
fn is_of_type(headers: &Lines, kind: &str) -> bool {
    let value = headers.get(&CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let start = value.and_then(|value| value.trim().get(..kind.len()));
    start.is_some_and(|start| start.eq_ignore_ascii_case(kind))
}

/// Whether a body must be unfolded before it can be read: what passes as it comes never is, since its client has not
/// asked for that and is not told.
fn is_folded(headers: &Lines) -> bool {
    let plain = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity") || value.is_empty();
    headers.get(&CONTENT_ENCODING).is_some_and(|value| !plain(value))
}

/// An answer that must be there to its last byte. A backend that answers JSON though a stream was asked for is taken
/// at its word: the client gets that JSON.
async fn whole(headers: &Lines, mut body: UpstreamBody, terms: Terms<'_>) -> Result<Committed, Unfit> {
    let limit = terms.limits.max_response;
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit) {
        return Err(Unfit::Bad("an answer above `limits.max_response`", Bytes::new()));
    }
    let body = collect(&mut body, announced, (limit, terms.pace)).await?;
    let body = match headers.get(&CONTENT_ENCODING) {
        None => body,
        Some(encoding) => decode::decode(encoding, body, limit)
            .map_err(|_why| Unfit::Bad(UNASKED_ENCODING, Bytes::new()))?,
    };
    match answer::inspect(terms.api, &body) {
        Ok(usage) => Ok(Committed::Whole {
            usage,
            response_id: response_id(terms.api, &body),
            body,
        }),
        Err(AnswerFault::Error(error)) => Err(Unfit::Error(error.into(), body)),
        Err(AnswerFault::NotJson) => Err(Unfit::Bad("no JSON", body)),
        Err(AnswerFault::Empty) => Err(Unfit::Bad("an answer without content", body)),
    }
}

fn announced(headers: &Lines) -> Option<usize> {
    headers.get(&CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Notes a piece of an answer. White space is what some hosts send as signs of life, before the JSON.
fn note(pace: &mut Option<Pace>, piece: &[u8]) {
    if let Some(pace) = pace {
        pace.heard(piece.trim_ascii().len(), clock::now());
    }
}

async fn collect(
    body: &mut UpstreamBody,
    announced: Option<usize>,
    (limit, mut pace): (usize, Option<Pace>),
) -> Result<Bytes, Unfit> {
    let mut all = BytesMut::new();
    while let Some(piece) = pace::next(body, &mut pace).await? {
        note(&mut pace, &piece);
        if all.is_empty() && announced == Some(piece.len()) {
            // All in one piece; the next look only takes the connection back to its pool.
            return match body.next().await {
                None => Ok(piece),
                Some(_) => Err(Unfit::Bad("more bytes than announced", Bytes::new())),
            };
        }
        if all.len() + piece.len() > limit {
            return Err(Unfit::Bad("an answer above `limits.max_response`", Bytes::new()));
        }
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// The id by which a later request may refer to this answer.
fn response_id(api: Api, body: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<Cow<'a, str>>,
    }
    if api != Api::Responses {
        return None;
    }
    serde_json::from_slice::<Named<'_>>(body)
        .ok()?
        .id
        .map(Cow::into_owned)
}

/// A stream, up to its first real content; where it has to keep a pace, until it has shown that it does.
async fn stream(mut body: UpstreamBody, terms: Terms<'_>) -> Result<Committed, Unfit> {
    let mut pace = terms.pace;
    let limits = WatchLimits {
        max_event: terms.limits.max_event,
        hold_events: HOLD_EVENTS,
        hold_bytes: HOLD_BYTES,
    };
    let mut watch = Box::new(Watch::new(terms.api, limits, terms.strip_usage));
    let mut held = Vec::new();
    loop {
        let Some(piece) = pace::next(&mut body, &mut pace).await? else {
            return match watch.finish(&mut held) {
                End::Complete => Ok(Committed::Stream {
                    watch,
                    held,
                    sight: Sight::Ended,
                    rest: body,
                    transcoder: None,
                }),
                End::Fault(error) => Err(Unfit::Error(error.into(), Bytes::new())),
                End::Truncated | End::Empty => Err(Unfit::Bad(
                    "a stream that ended before anything of it was passed on",
                    Bytes::new(),
                )),
            };
        };
        let (known, events, size) = (held.len(), watch.events(), piece.len());
        let sight = watch.feed(piece, &mut held);
        // What came with the first content comes after it: how the bytes were cut must not decide who answers.
        if watch.committed() && !is_on_trial(&mut pace, (&watch, &sight, &held), (events, size)) {
            return Ok(Committed::Stream {
                watch,
                held,
                sight,
                rest: body,
                transcoder: None,
            });
        }
        match sight {
            Sight::Waiting | Sight::Live => apart::pieces(held.get_mut(known..).unwrap_or_default()),
            Sight::Ended => return Err(Unfit::Bad("a stream without content", Bytes::new())),
            Sight::Fault(error, raw) => return Err(Unfit::Error(error.into(), raw)),
            Sight::TooLarge => return Err(Unfit::Bad("an event above `limits.max_event`", Bytes::new())),
        }
    }
}

/// Whether a stream that has begun to speak has yet to show its pace: nobody has heard of it, whatever becomes of it. What
/// has ended or filled the room for what is held back is on trial no longer.
fn is_on_trial(
    pace: &mut Option<Pace>,
    (watch, sight, held): (&Watch, &Sight, &[Bytes]),
    (events, size): (usize, usize),
) -> bool {
    let Some(pace) = pace else { return false };
    let is_progress = watch.events() > events;
    pace.heard(if is_progress { size } else { 0 }, clock::now());
    let is_full =
        || watch.events() >= HOLD_EVENTS || held.iter().map(Bytes::len).sum::<usize>() >= HOLD_BYTES;
    *sight != Sight::Ended && !pace.is_kept() && !is_full()
}

/// The body of an error answer, or its beginning. Reading it to its end lets the connection serve again.
/// A body that stalls is taken as far as it came: the status has said what matters.
pub(super) async fn error_body(headers: &Lines, mut body: UpstreamBody) -> Bytes {
    let mut all = BytesMut::new();
    let read = async {
        while let Some(Ok(piece)) = body.next().await {
            let room = ERROR_BODY - all.len();
            all.extend_from_slice(piece.get(..room).unwrap_or(&piece));
            if all.len() >= ERROR_BODY {
                break;
            }
        }
    };
    let _ = timeout(ERROR_PATIENCE, read).await;
    let all = all.freeze();
    match headers.get(&CONTENT_ENCODING) {
        None => all,
        // What cannot be unfolded says nothing to anybody.
        Some(encoding) => decode::decode(encoding, all, ERROR_BODY).unwrap_or_default(),
    }
}
