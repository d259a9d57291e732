//! A request as it goes out: a head, and a body that is a chain of slices.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;
use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};
use http_body::{Body, Frame, SizeHint};

use super::lines::Lines;
use crate::wire::SHORT;

/// A request body: slices of the client's bytes and the values set between them.
#[derive(Debug, Default)]
pub struct Chain {
    parts: vec::IntoIter<Bytes>,
    left: u64,
}

impl Chain {
    /// A body of these slices, in order.
    pub fn new(mut parts: Vec<Bytes>) -> Self {
        parts.retain(|part| !part.is_empty());
        let left = parts.iter().map(|part| part.len() as u64).sum();
        Self {
            parts: parts.into_iter(),
            left,
        }
    }

    /// The same for HTTP/2, where each slice is a frame: short ones are copied together.
    fn in_few_slices(self) -> Self {
        if self.parts.len() < 2 || self.left > SHORT as u64 {
            return self;
        }
        Self::new(vec![self.parts.as_slice().concat().into()])
    }

    /// How many bytes it has.
    pub(super) fn length(&self) -> u64 {
        self.left
    }

    /// Its slices, in order.
    pub(super) fn into_slices(self) -> vec::IntoIter<Bytes> {
        self.parts
    }
}

impl Body for Chain {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.parts.next();
        self.left -= part.as_ref().map_or(0, |part| part.len() as u64);
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// A request to a backend.
#[derive(Debug)]
pub struct UpstreamRequest {
    /// `https` or `http`: HTTP/2 wants it in the request.
    pub scheme: Scheme,
    /// The backend's authority: HTTP/2 wants it in the request, HTTP/1.1 has `host` for it.
    pub authority: Authority,
    /// Path and query.
    pub target: PathAndQuery,
    /// All headers but `content-length`; `host` is among them.
    pub headers: Lines,
    /// The body.
    pub body: Chain,
}

impl UpstreamRequest {
    /// As HTTP/2 wants it: the authority in the URL, no `host`.
    pub(super) fn for_http2(mut self) -> http::Request<Chain> {
        self.headers.remove(&http::header::HOST);
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme);
        parts.authority = Some(self.authority);
        parts.path_and_query = Some(self.target);
        let mut request = http::Request::new(self.body.in_few_slices());
        *request.method_mut() = http::Method::POST;
        // All three parts are there, which is all that can be wrong about them.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        *request.headers_mut() = self.headers.into_map();
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over_http2(parts: Vec<Bytes>) -> http::Request<Chain> {
        let mut headers = Lines::default();
        headers.append(http::header::HOST, http::HeaderValue::from_static("backend"));
        headers.append(http::header::ACCEPT, http::HeaderValue::from_static("a/b"));
        let request = UpstreamRequest {
            scheme: Scheme::HTTPS,
            authority: Authority::from_static("backend"),
            target: PathAndQuery::from_static("/v1/x"),
            headers,
            body: Chain::new(parts),
        };
        request.for_http2()
    }

    #[test]
    fn over_http2_the_authority_is_in_the_url_and_short_slices_are_one_frame() {
        let long = Bytes::from(vec![b'a'; SHORT]);
        for (parts, frames) in [
            (vec![], 0),
            (vec![Bytes::from_static(b"a")], 1),
            (
                vec![Bytes::from_static(b"a"), Bytes::new(), Bytes::from_static(b"b")],
                1,
            ),
            (vec![long.clone(), Bytes::from_static(b"b")], 2),
        ] {
            let request = over_http2(parts.clone());
            assert_eq!(*request.uri(), "https://backend/v1/x");
            assert_eq!(request.headers().len(), 1, "no `host`");
            let slices = request.into_body().into_slices();
            assert_eq!(slices.len(), frames);
            assert_eq!(slices.as_slice().concat(), parts.concat());
        }
    }
}
