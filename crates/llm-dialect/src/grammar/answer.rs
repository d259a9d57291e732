//! Whole answers, as the typed SDKs read them.

use super::value::{Checked, parse};
use super::{Fault, Transcript, chat, messages, responses};
use crate::dialect::Dialect;

/// Reads a whole answer.
///
/// # Errors
/// What a typed SDK would miss or stumble over.
pub fn answer(dialect: Dialect, body: &str) -> Result<Transcript, Fault> {
    let body = parse(body)?;
    let read: Checked<Transcript> = match dialect {
        Dialect::Chat => chat::whole(&body),
        Dialect::Messages => messages::whole(&body),
        Dialect::Responses => responses::whole(&body),
    };
    read
}
