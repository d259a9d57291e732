//! A request as bytes.

use crate::upstream::Lines;
use crate::upstream::request::UpstreamRequest;
use crate::wire::{Outbox, SHORT};

/// Puts a request into `out`.
pub(super) fn put(request: UpstreamRequest, out: &mut Outbox) {
    let length = request.body.length();
    let target = request.target.as_str();
    let room = room(target, &request.headers) + usize::try_from(length).unwrap_or(SHORT).min(SHORT);
    write_head(out.head(room), target, &request.headers, length);
    for slice in request.body.into_slices() {
        out.push(slice);
    }
}

/// How many bytes a head takes, at most.
fn room(target: &str, headers: &Lines) -> usize {
    const LINES: usize = "POST  HTTP/1.1\r\ncontent-length: 18446744073709551615\r\n\r\n".len();
    const LINE: usize = ": \r\n".len();
    let headers = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + LINE);
    LINES + target.len() + headers.sum::<usize>()
}

/// What a head is made of cannot hold an end of line: its types see to that.
fn write_head(head: &mut Vec<u8>, target: &str, headers: &Lines, length: u64) {
    let mut add = |part: &[u8]| head.extend_from_slice(part);
    add(b"POST ");
    add(target.as_bytes());
    add(b" HTTP/1.1\r\n");
    for (name, value) in headers.iter() {
        add(name.as_str().as_bytes());
        add(b": ");
        add(value.as_bytes());
        add(b"\r\n");
    }
    add(b"content-length: ");
    add(itoa::Buffer::new().format(length).as_bytes());
    add(b"\r\n\r\n");
}
