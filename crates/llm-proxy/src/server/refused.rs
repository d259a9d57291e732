//! What is said to a client whose request could be read in two ways. The connection ends with it: where the next
//! request would begin is not sure.

use llm_dialect::wire_error::ErrorKind;

use crate::config::types::Limits;
use crate::pipeline::Failure;

/// What is wrong with a request's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Its body's length is stated more than once.
    TwoLengths,
    /// Its body's length is no plain number, or its transfer encoding is another than `chunked`.
    OddLength,
    /// A line ends with a line feed alone.
    BareLineFeed,
    /// Its head is too long.
    TooLong,
    /// It says in two ways whom it is for, or not at all.
    Host,
}

/// The error for that refusal.
#[cold]
pub(super) fn failure(why: Refusal, limits: &Limits) -> Failure {
    let told = |message: &'static str| Failure::local(ErrorKind::InvalidBody, message);
    let failure = match why {
        Refusal::TwoLengths => told(
            "The request states the length of its body more than once; send one `content-length` or one \
             `transfer-encoding`.",
        ),
        Refusal::OddLength => told(
            "The request states the length of its body in a way that this proxy does not read; send a plain number \
             as `content-length`, or `transfer-encoding: chunked`.",
        ),
        Refusal::BareLineFeed => {
            told("A line of the request's head ends with a line feed alone; HTTP/1.1 ends lines with CR LF.")
        }
        Refusal::Host => told(
            "The request does not say in one way which host it is for; send one `host` header, the one of the URL.",
        ),
        Refusal::TooLong => Failure::local(
            ErrorKind::HeadersTooLarge,
            format!(
                "The request's headers are longer than {} bytes, the limit of this proxy (`limits.max_header`).",
                limits.max_header
            ),
        ),
    };
    failure.closing()
}
