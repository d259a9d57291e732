//! Chat: pieces join the messages of instructions that lead the conversation, or stand in front of it as one.

use super::{Pieces, leading};
use crate::edit::{Edit, Splice};
use crate::envelope::{BodyError, Envelope};
use crate::scan::Span;

const FIELD: &str = "messages";

pub(super) fn edit(
    body: &[u8],
    envelope: &Envelope,
    pieces: &Pieces<'_>,
) -> Result<Option<Edit<'static>>, BodyError> {
    envelope.require_messages(body)?;
    let Some(array) = envelope.member(body, FIELD) else {
        return Ok(None);
    };
    let splices = match leading::ends(body, array) {
        None => vec![in_front(body, array, pieces)],
        Some((first, last)) if pieces.replace => {
            let span = Span {
                start: first.span.start,
                end: last.span.end,
            };
            let value = leading::message(first.role, &pieces.before, &pieces.after).into();
            vec![Splice { span, value }]
        }
        Some(ends) => leading::missing(body, array, ends, pieces),
    };
    Ok((!splices.is_empty()).then_some(Edit::Splice { name: FIELD, splices }))
}

/// A message of ours before all others.
fn in_front(body: &[u8], array: Span, pieces: &Pieces<'_>) -> Splice {
    let mut message = leading::message("system", &pieces.before, &pieces.after);
    let inside = array.of(body).get(1..).unwrap_or_default();
    if !inside.trim_ascii_start().starts_with(b"]") {
        message.push(b',');
    }
    Splice::at(array.start + 1, message)
}
