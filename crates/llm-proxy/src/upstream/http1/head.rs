//! The head of a response: where it ends, what it says, and how its content is framed (RFC 9112, sections 4 to 6 and 9).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use httparse::{Header, ParserConfig, Response, Status};

use crate::wire::{self, Content, Garbled};

/// How many headers are read; as many as hyper takes.
const MAX_HEADERS: usize = 100;

/// The longest head that is read.
pub(super) const MAX_LENGTH: usize = 64 * 1024;
/// What is wrong with a longer one.
pub(super) const TOO_LONG: Garbled = "its head is too long";

/// What a response says of itself before its content.
#[derive(Debug)]
pub(in crate::upstream) struct Head {
    /// Its status, never an interim one.
    pub(in crate::upstream) status: StatusCode,
    /// Its headers.
    pub(in crate::upstream) headers: HeaderMap,
    /// Where its content ends.
    pub(super) content: Content,
    /// Whether another request may follow on this connection, as far as the head says.
    pub(super) keeps: bool,
}

/// Takes a head off the front of `input`, if it is there whole.
///
/// # Errors
/// What is wrong with it.
pub(super) fn take(input: &mut BytesMut) -> Result<Option<Head>, Garbled> {
    let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let mut response = Response::new(&mut []);
    let parsed = ParserConfig::default().parse_response_with_uninit_headers(&mut response, input, &mut room);
    let length = match parsed {
        Ok(Status::Partial) => return Ok(None),
        Ok(Status::Complete(length)) if length > MAX_LENGTH => return Err(TOO_LONG),
        Ok(Status::Complete(length)) => length,
        Err(error) => return Err(told(error)),
    };
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or("its status is no number of HTTP")?;
    let latest = response.version == Some(1);
    let copy = Bytes::copy_from_slice(input.get(..length).unwrap_or_default());
    let headers = wire::headers(response.headers, (&copy, input.as_ptr().addr()), |_, _| ())
        .map_err(|_why| "it has a line that is no header")?;
    input.advance(length);
    let (content, sure) = framing(status, &headers, latest)?;
    Ok(Some(Head {
        keeps: sure && content != Content::ToTheEnd && keeps(&headers, latest),
        status,
        headers,
        content,
    }))
}

fn told(error: httparse::Error) -> Garbled {
    match error {
        httparse::Error::TooManyHeaders => "it has too many headers",
        httparse::Error::Status | httparse::Error::Version | httparse::Error::Token => {
            "its first line is no status line"
        }
        _ => "it has a line that is no header",
    }
}

/// How the content is framed, and whether every program would say the same.
///
/// # Errors
/// Where it is framed in two ways that do not agree.
fn framing(status: StatusCode, headers: &HeaderMap, latest: bool) -> Result<(Content, bool), Garbled> {
    let length = length(headers)?;
    let coding = last_coding(headers);
    if coding.is_some() && !latest {
        return Err("it is of HTTP/1.0, which has no transfer codings");
    }
    if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
        // There is none, whatever they say; a server that means what it says would put it before the next answer.
        return Ok((
            Content::none(),
            coding.is_none() && length.unwrap_or_default() == 0,
        ));
    }
    Ok(match (coding, length) {
        // The coding counts, but a length beside it is how answers are smuggled.
        (Some(true), length) => (Content::chunked(), length.is_none()),
        (Some(false), _) | (None, None) => (Content::ToTheEnd, false),
        (None, Some(length)) => (Content::of_length(length), true),
    })
}

/// The one length that all `content-length` headers give.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Garbled> {
    let mut length = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        let digits = value.as_bytes();
        // `parse` would take a plus sign.
        let number = digits
            .iter()
            .all(u8::is_ascii_digit)
            .then(|| value.to_str().ok()?.parse().ok());
        let Some(number) = number.flatten() else {
            return Err("its content-length is no number");
        };
        if length.is_some_and(|length| length != number) {
            return Err("it has two lengths");
        }
        length = Some(number);
    }
    Ok(length)
}

/// Whether the last transfer coding is `chunked`; nothing where there is none.
fn last_coding(headers: &HeaderMap) -> Option<bool> {
    let codings = headers.get_all(TRANSFER_ENCODING).iter().next_back()?;
    let last = codings.as_bytes().rsplit(|byte| *byte == b',').next()?;
    Some(last.trim_ascii().eq_ignore_ascii_case(b"chunked"))
}

/// Whether the server keeps the connection open: HTTP/1.1 does unless it says so, HTTP/1.0 only where it says so.
fn keeps(headers: &HeaderMap, latest: bool) -> bool {
    let mut options = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| wire::options(value.as_bytes()));
    if latest {
        !options.any(|option| option.eq_ignore_ascii_case(b"close"))
    } else {
        // A `close` beside it would be a contradiction: better not.
        options.all(|option| option.eq_ignore_ascii_case(b"keep-alive")) && headers.contains_key(CONNECTION)
    }
}
