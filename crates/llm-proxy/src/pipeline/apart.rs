//! Small things in memory of their own, where an answer may take minutes.
//!
//! Headers and body are slices of what a connection reads into, 8 KiB at least. While they are held, that cannot be read
//! into again, and the connection, which goes on listening, takes as much once more.

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue};

use crate::upstream::Lines;

/// What is larger is not worth its copy: it takes more than the room that it would free.
const SMALL: usize = 4 * 1024;

/// Copies a request out of its connection's memory, if it is small.
pub(super) fn request(headers: &mut HeaderMap, body: &mut Bytes) {
    if body.len() <= SMALL {
        *body = Bytes::copy_from_slice(body);
        self::headers(headers);
    }
}

/// Copies what is held back of a stream: often a first event without content, long before the next.
pub(super) fn pieces(held: &mut [Bytes]) {
    for piece in held.iter_mut().filter(|piece| piece.len() <= SMALL) {
        *piece = Bytes::copy_from_slice(piece);
    }
}

/// Copies the values of headers, all of them into one piece.
fn headers(headers: &mut HeaderMap) {
    let copied = joined(|| headers.values());
    lay_into(copied, headers.values_mut());
}

/// The same for those of an answer.
pub(super) fn lines(lines: &mut Lines) {
    let copied = joined(|| lines.iter().map(|(_, value)| value));
    lay_into(copied, lines.values_mut());
}

fn joined<'v, I: Iterator<Item = &'v HeaderValue>>(values: impl Fn() -> I) -> Bytes {
    let mut copied = BytesMut::with_capacity(values().map(HeaderValue::len).sum());
    for value in values() {
        copied.extend_from_slice(value.as_bytes());
    }
    copied.freeze()
}

/// Makes these values slices of what they were copied to, one behind the other.
fn lay_into<'v>(mut copied: Bytes, values: impl Iterator<Item = &'v mut HeaderValue>) {
    for value in values {
        let same = HeaderValue::from_maybe_shared(copied.split_to(value.len()));
        // It was one before, so it is one now.
        let Ok(mut same) = same else { continue };
        same.set_sensitive(value.is_sensitive());
        *value = same;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_request_is_the_same_and_lets_go_of_what_it_was_read_into() {
        let read = Bytes::from(b"Bearer sk-1, \xe9, body".to_vec());
        let value = |range| HeaderValue::from_maybe_shared(read.slice(range)).expect("a value");
        let mut headers = HeaderMap::new();
        headers.append("authorization", value(0..11));
        headers.append("x-many", value(13..14));
        headers.append("x-many", HeaderValue::from_static(""));
        if let Some(secret) = headers.get_mut("authorization") {
            secret.set_sensitive(true);
        }
        let (before, mut body) = (headers.clone(), read.slice(16..));
        request(&mut headers, &mut body);
        assert_eq!((&headers, &*body), (&before, b"body".as_slice()));
        assert!(headers["authorization"].is_sensitive() && !headers["x-many"].is_sensitive());
        drop(before);
        assert!(read.is_unique(), "nothing holds the connection's memory any more");
    }

    #[test]
    fn a_large_body_is_left_where_it_is() {
        let read = Bytes::from(vec![b'a'; SMALL + 1]);
        let mut body = read.clone();
        request(&mut HeaderMap::new(), &mut body);
        assert_eq!(body.as_ptr(), read.as_ptr(), "not copied");
    }
}
