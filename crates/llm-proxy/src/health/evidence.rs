//! What an attempt at a backend showed, before anybody judges it.

use http::HeaderMap;

/// How an attempt went wrong, as the side that talks to backends saw it.
///
/// Bodies are the first 8 KiB at most; whatever is longer is not looked at.
#[derive(Clone, Copy, Debug)]
pub enum Evidence<'a> {
    /// No connection: DNS, refused, unreachable, TLS, connect timeout.
    Connect,
    /// A reused connection ended before any byte of the answer.
    StaleConn,
    /// A fresh connection ended before the response head.
    Reset,
    /// `timeout.first_byte` passed before the commit point.
    FirstByteTimeout,
    /// A response with an error status.
    Status {
        /// The status, 400 to 599.
        status: u16,
        /// The response's headers.
        headers: &'a HeaderMap,
        /// Its body, or the beginning of it.
        body: &'a [u8],
        /// What was read out of the body.
        error: &'a ErrorFacts,
    },
    /// An error object under a 200, or an error as a stream's first event.
    InBand {
        /// What was read out of it.
        error: &'a ErrorFacts,
        /// The object or event as it came.
        raw: &'a [u8],
    },
    /// A 2xx that is no answer: HTML, broken JSON, nothing at all.
    BadResponse {
        /// What came instead.
        raw: &'a [u8],
    },
    /// A 3xx; it is never followed.
    Redirect,
    /// The answer broke after the commit point.
    Midstream,
}

/// What an error body says, whatever its dialect. A part that it lacks is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// A status that the body itself states.
    pub status: Option<u16>,
    /// `error.type` (`OpenAI`, Anthropic), `error.status` (Google).
    pub kind: String,
    /// `error.code`, numbers as text.
    pub code: String,
    /// The text for people.
    pub message: String,
}
