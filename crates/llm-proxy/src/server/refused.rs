//! What is said to a client whose request could be read in two ways. The connection ends with it: where the next
//! request would begin is not sure.

use llm_dialect::wire_error::ErrorKind;

use crate::config::types::Limits;
use crate::pipeline::Failure;
use crate::state::Refusal;

/// The error for that refusal.
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
        Refusal::Chunks => told("The request's body is not made of chunks as HTTP/1.1 writes them."),
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
