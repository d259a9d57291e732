//! The head of a request: where it ends, what it says, and how its body is framed (RFC 9112, sections 2 to 6 and 9).
//!
//! What two servers might read differently is how requests are smuggled. Backends would never see it, all that goes out
//! is written anew, but the contract wants it refused.

use std::mem::MaybeUninit;

use bytes::{Buf, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use httparse::{Header, ParserConfig, Status};

use crate::server::refused::Refusal;
use crate::wire::{self, Content};

/// How many headers are read.
const MAX_HEADERS: usize = 100;

/// What a request says of itself before its body.
#[derive(Debug)]
pub(super) struct Head {
    /// Its method, its target, its version and its headers. Boxed: they pass through several hands.
    pub(super) parts: Box<Parts>,
    /// Where its body ends.
    pub(super) content: Content,
    /// Whether the client waits to be asked for the body.
    pub(super) expects: bool,
    /// How its answer is written.
    pub(super) manner: Manner,
    /// Why it is refused, whatever it asks: nothing behind it is read.
    pub(super) refused: Option<Refusal>,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// In HTTP/1.1; else in HTTP/1.0.
    pub(super) latest: bool,
    /// Whether another request may follow on this connection.
    pub(super) keeps: bool,
    /// Without its content: HEAD.
    pub(super) bare: bool,
}

/// Takes a head off the front of `input`, if it is there whole. One of more than `limit` bytes is refused.
///
/// # Errors
/// What a client is told that speaks no HTTP/1.1.
pub(super) fn take(input: &mut BytesMut, limit: usize) -> Result<Option<Head>, StatusCode> {
    let mut room = [const { MaybeUninit::<Header<'_>>::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut []);
    let outcome = ParserConfig::default().parse_request_with_uninit_headers(&mut parsed, input, &mut room);
    let length = match outcome {
        Ok(Status::Partial) => return Ok(None),
        Ok(Status::Complete(length)) => length,
        Err(error) => return Err(told(error)),
    };
    let copy = Bytes::copy_from_slice(input.get(..length).unwrap_or_default());
    let origin = (&copy, input.as_ptr().addr());
    let bare = has_bare_line_feed(&copy).then_some(Refusal::BareLineFeed);
    let mut said = Said {
        refused: (length > limit).then_some(Refusal::TooLong).or(bare),
        ..Said::default()
    };
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    let put = |name, value: HeaderValue| {
        said.note(&name, value.as_bytes());
        headers.append(name, value);
    };
    wire::headers(parsed.headers, origin, put).map_err(bad)?;
    let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.headers = headers;
    parts.method = Method::from_bytes(method.as_bytes()).map_err(bad)?;
    parts.uri = Uri::from_maybe_shared(wire::slice(target.as_bytes(), origin)).map_err(bad)?;
    let latest = parsed.version == Some(1);
    if !latest {
        parts.version = Version::HTTP_10;
    }
    input.advance(length);
    Ok(Some(said.head(Box::new(parts), latest)))
}

fn told(error: httparse::Error) -> StatusCode {
    match error {
        httparse::Error::TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        httparse::Error::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        _ => StatusCode::BAD_REQUEST,
    }
}

fn bad<E>(_: E) -> StatusCode {
    StatusCode::BAD_REQUEST
}

/// Whether a line ends with a line feed alone.
fn has_bare_line_feed(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    // No branch inside: a search that stopped at each line would cost more than all of it.
    let is_bare = |before: u8, byte: u8| u8::from(byte == b'\n') & u8::from(before != b'\r');
    let behind_another = pairs.fold(0, |found, (before, byte)| found | is_bare(*before, *byte)) == 1;
    behind_another || head.starts_with(b"\n")
}

/// What those headers say that are meant for this connection.
#[derive(Debug, Default)]
struct Said {
    content: Option<Content>,
    refused: Option<Refusal>,
    close: bool,
    keep_alive: bool,
    expects: bool,
}

impl Said {
    fn note(&mut self, name: &HeaderName, value: &[u8]) {
        if *name == CONTENT_LENGTH {
            self.framed(wire::digits(value).map(Content::of_length));
        } else if *name == TRANSFER_ENCODING {
            let chunked = value.eq_ignore_ascii_case(b"chunked");
            self.framed(chunked.then(Content::chunked));
        } else if *name == CONNECTION {
            for option in wire::options(value) {
                self.close |= option.eq_ignore_ascii_case(b"close");
                self.keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
            }
        } else if *name == EXPECT {
            self.expects |= value.eq_ignore_ascii_case(b"100-continue");
        }
    }

    /// A length may be stated once, in one way.
    fn framed(&mut self, content: Option<Content>) {
        match content {
            _ if self.content.is_some() => self.refuse(Refusal::TwoLengths),
            None => self.refuse(Refusal::OddLength),
            content => self.content = content,
        }
    }

    /// The first reason is the one that is told.
    fn refuse(&mut self, why: Refusal) {
        self.refused.get_or_insert(why);
    }

    fn head(mut self, parts: Box<Parts>, latest: bool) -> Head {
        if !latest && matches!(self.content, Some(Content::Chunked(_))) {
            // HTTP/1.0 has no transfer codings.
            self.refuse(Refusal::OddLength);
        }
        let refused = self.refused;
        let content = self.content.filter(|_| refused.is_none());
        Head {
            content: content.unwrap_or_else(Content::none),
            expects: self.expects && latest,
            manner: Manner {
                latest,
                keeps: refused.is_none() && !self.close && (latest || self.keep_alive),
                bare: parts.method == Method::HEAD,
            },
            parts,
            refused,
        }
    }
}
