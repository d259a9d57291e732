//! The head of a response: where it ends, what it says, and how its content is framed (RFC 9112, sections 4 to 6 and 9).

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode};
use httparse::{Header, ParserConfig, Response, Status};

use crate::upstream::Lines;
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
    pub(in crate::upstream) headers: Lines,
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
    let mut headers = Lines::with_capacity(response.headers.len());
    let mut said = Said::nothing();
    let put = |name, value: HeaderValue| {
        said.note(&name, value.as_bytes());
        headers.append(name, value);
    };
    wire::headers(response.headers, (&copy, input.as_ptr().addr()), put)
        .map_err(|_why| "it has a line that is no header")?;
    input.advance(length);
    let (content, sure) = said.framing(status, latest)?;
    Ok(Some(Head {
        keeps: sure && content != Content::ToTheEnd && said.keeps(latest),
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

/// What those headers say that are meant for this connection.
#[derive(Debug)]
struct Said {
    /// The one length that all `content-length` headers give, or what is wrong with them.
    length: Result<Option<u64>, Garbled>,
    /// Whether the last transfer coding is `chunked`; none where there is no coding.
    chunked: Option<bool>,
    /// Whether the connection is closed behind this answer.
    close: bool,
    /// Whether it is kept, and nothing else is said of it; none where nothing is said.
    keep_alive: Option<bool>,
}

impl Said {
    fn nothing() -> Self {
        Self {
            length: Ok(None),
            chunked: None,
            close: false,
            keep_alive: None,
        }
    }

    fn note(&mut self, name: &HeaderName, value: &[u8]) {
        if *name == CONTENT_LENGTH {
            self.length = self.length.and_then(|known| same_length(known, value));
        } else if *name == TRANSFER_ENCODING {
            let last = wire::options(value).last();
            self.chunked = last.map(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        } else if *name == CONNECTION {
            for option in wire::options(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                let keeps = option.eq_ignore_ascii_case(b"keep-alive");
                self.keep_alive = Some(keeps && self.keep_alive != Some(false));
            }
        }
    }

    /// How the content is framed, and whether every program would say the same.
    ///
    /// # Errors
    /// Where it is framed in two ways that do not agree.
    fn framing(&self, status: StatusCode, latest: bool) -> Result<(Content, bool), Garbled> {
        let length = self.length?;
        if self.chunked.is_some() && !latest {
            return Err("it is of HTTP/1.0, which has no transfer codings");
        }
        if status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED {
            // There is none, whatever they say; a server that means what it says would put it before the next answer.
            let sure = self.chunked.is_none() && length.unwrap_or_default() == 0;
            return Ok((Content::none(), sure));
        }
        Ok(match (self.chunked, length) {
            // The coding counts, but a length beside it is how answers are smuggled.
            (Some(true), length) => (Content::chunked(), length.is_none()),
            (Some(false), _) | (None, None) => (Content::ToTheEnd, false),
            (None, Some(length)) => (Content::of_length(length), true),
        })
    }

    /// Whether the server keeps the connection open: HTTP/1.1 does unless it says so, HTTP/1.0 only where it says so.
    fn keeps(&self, latest: bool) -> bool {
        if latest {
            !self.close
        } else {
            // A `close` beside it would be a contradiction: better not.
            self.keep_alive == Some(true)
        }
    }
}

/// The length that a `content-length` gives, where another may have given one.
fn same_length(known: Option<u64>, value: &[u8]) -> Result<Option<u64>, Garbled> {
    let length = wire::digits(value).ok_or("its content-length is no number")?;
    match known {
        Some(known) if known != length => Err("it has two lengths"),
        _ => Ok(Some(length)),
    }
}
