//! An answer as bytes: its head, and its content as HTTP/1.1 frames it.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::head::Manner;
use crate::base::clock;
use crate::pipeline::Own;
use crate::wire::{self, Outbox};

/// What a head has besides its headers, at most.
const LINES: usize =
    "HTTP/1.1 200 \r\ncontent-length: 18446744073709551615\r\nconnection: keep-alive\r\ndate: \
                      Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nNetwork Authentication Required"
        .len();
/// How much of a short content goes out with the head.
const BEHIND: usize = 2 * 1024;

/// How content is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// By the length that the head states.
    Length,
    /// In chunks.
    Chunked,
    /// By the end of the connection.
    ToTheEnd,
    /// There is none, or all of it is out.
    Over,
    /// It broke off, and must not look whole.
    Broken,
}

/// Puts the head of an answer into `out`, whose content has this length, if that is known. Says how the content is framed,
/// and whether another request may follow.
pub(super) fn put_head(
    out: &mut Outbox,
    (status, headers, own): (StatusCode, &HeaderMap, Option<&Own>),
    length: Option<u64>,
    manner: Manner,
) -> (Framing, bool) {
    let framing = match length {
        _ if has_none(status) => Framing::Over,
        Some(_) => Framing::Length,
        None if manner.latest => Framing::Chunked,
        None => Framing::ToTheEnd,
    };
    let head = out.head(LINES + room(headers) + own.map_or(0, Own::room) + BEHIND);
    put_status(head, status, manner);
    let closes = put_lines(head, headers, own);
    let keeps = manner.keeps && framing != Framing::ToTheEnd && !closes;
    let mut add = |part: &[u8]| head.extend_from_slice(part);
    match (framing, length) {
        (Framing::Chunked, _) => add(b"transfer-encoding: chunked\r\n"),
        (Framing::Length, Some(length)) => {
            add(b"content-length: ");
            add(itoa::Buffer::new().format(length).as_bytes());
            add(b"\r\n");
        }
        _ => {}
    }
    match (keeps, manner.latest) {
        (true, true) => {}
        (true, false) => add(b"connection: keep-alive\r\n"),
        (false, _) => add(b"connection: close\r\n"),
    }
    add(b"date: ");
    add(&date());
    add(b"\r\n\r\n");
    (if manner.bare { Framing::Over } else { framing }, keeps)
}

fn put_status(head: &mut Vec<u8>, status: StatusCode, manner: Manner) {
    let mut add = |part: &[u8]| head.extend_from_slice(part);
    add(if manner.latest { b"HTTP/1.1 " } else { b"HTTP/1.0 " });
    add(status.as_str().as_bytes());
    add(b" ");
    add(status.canonical_reason().unwrap_or("-").as_bytes());
    add(b"\r\n");
}

/// Puts the headers of an answer, and those that are ours. Whether one says that the connection ends.
fn put_lines(head: &mut Vec<u8>, headers: &HeaderMap, own: Option<&Own>) -> bool {
    let mut line = |name: &str, value: &[u8]| {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    let mut closes = false;
    for (name, value) in headers {
        if *name == CONNECTION {
            closes |= says_close(value);
        } else if !OURS.contains(name) && !own.is_some_and(|own| own.has(name)) {
            line(name.as_str(), value.as_bytes());
        }
    }
    if let Some(own) = own {
        own.each(line);
    }
    closes
}

/// The headers that are written by us alone, as `connection` is.
const OURS: [http::HeaderName; 3] = [CONTENT_LENGTH, TRANSFER_ENCODING, DATE];

/// Whether an answer of that status has no content, whatever its head says.
fn has_none(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn says_close(connection: &HeaderValue) -> bool {
    wire::options(connection.as_bytes()).any(|option| option.eq_ignore_ascii_case(b"close"))
}

/// How many bytes headers take.
fn room(headers: &HeaderMap) -> usize {
    const LINE: usize = ": \r\n".len();
    let lines = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + LINE);
    lines.sum()
}

impl Framing {
    /// Whether nothing more is to be put out.
    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Over | Self::Broken)
    }

    /// Puts a piece of the content into `out`; `last`: nothing comes behind it.
    pub(super) fn put(&mut self, out: &mut Outbox, piece: Bytes, last: bool) {
        let chunked = *self == Self::Chunked && !piece.is_empty();
        if chunked {
            put_size(out, piece.len());
        }
        out.push(piece);
        match (chunked, last) {
            // In one slice: behind a long piece each is one more.
            (true, true) => out.push_static(b"\r\n0\r\n\r\n"),
            (true, false) => out.push_static(b"\r\n"),
            (false, true) => return self.end(out),
            (false, false) => {}
        }
        if last {
            *self = Self::Over;
        }
    }

    /// The content is over.
    pub(super) fn end(&mut self, out: &mut Outbox) {
        if *self == Self::Chunked {
            out.push_static(b"0\r\n\r\n");
        }
        *self = Self::Over;
    }
}

fn put_size(out: &mut Outbox, size: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut line = [0; 18];
    let mut length = 0;
    for shift in (0..16).rev() {
        let digit = (size >> (4 * shift)) & 15;
        if (digit > 0 || length > 0)
            && let (Some(place), Some(digit)) = (line.get_mut(length), DIGITS.get(digit))
        {
            *place = *digit;
            length += 1;
        }
    }
    out.push_short(line.get(..length).unwrap_or_default());
    out.push_short(b"\r\n");
}

/// Now, as `date` says it. Written anew once a second.
fn date() -> [u8; DATE_LENGTH] {
    thread_local! {
        static LAST: Cell<(u64, [u8; DATE_LENGTH])> = const { Cell::new((0, [b' '; DATE_LENGTH])) };
    }
    let since = clock::wall().duration_since(SystemTime::UNIX_EPOCH);
    let second = since.unwrap_or_default().as_secs();
    let (known, date) = LAST.get();
    if known == second {
        return date;
    }
    let text = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_secs(second));
    let date = text.as_bytes().first_chunk().copied().unwrap_or(date);
    LAST.set((second, date));
    date
}

/// How long a date is.
const DATE_LENGTH: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
