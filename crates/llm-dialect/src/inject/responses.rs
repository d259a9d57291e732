//! Responses: `instructions`, which go for one request only, so each one gets them anew, with `previous_response_id` too.

use bytes::Bytes;

use super::{Pieces, leading, text};
use crate::canon::write;
use crate::edit::Edit;
use crate::envelope::{BodyError, Envelope};

const FIELD: &str = "instructions";

pub(super) fn edit(
    body: &[u8],
    envelope: &Envelope,
    pieces: &Pieces<'_>,
) -> Result<Option<Edit<'static>>, BodyError> {
    let value = envelope.member(body, FIELD);
    let string = match value.and_then(|value| value.of(body).first()) {
        None | Some(b'n') => None,
        Some(b'"') => value.filter(|_| !pieces.replace),
        Some(_) => {
            let message = "The field 'instructions' must be a string.";
            return Err(BodyError::of_field(FIELD, message));
        }
    };
    let Some(string) = string else {
        if value.is_none() && !pieces.replace && stand_in_items(body, envelope, pieces) {
            return Ok(None);
        }
        return Ok(Some(Edit::Set {
            name: FIELD,
            value: all_anew(pieces),
        }));
    };
    let own = || text::inside(body, string).into_iter().collect();
    let after = pieces.after_in(string.of(body), own);
    let splices = text::splices(body, string, &pieces.before, after);
    Ok((!splices.is_empty()).then_some(Edit::Splice { name: FIELD, splices }))
}

/// Whether the items that lead have all pieces already.
fn stand_in_items(body: &[u8], envelope: &Envelope, pieces: &Pieces<'_>) -> bool {
    let Some(input) = envelope.member(body, "input") else {
        return false;
    };
    let ends = leading::ends(body, input);
    ends.is_some_and(|ends| leading::missing(body, input, ends, pieces).is_empty())
}

/// The pieces alone.
fn all_anew(pieces: &Pieces<'_>) -> Bytes {
    let mut out = Vec::new();
    write::text(&mut out, &pieces.joined());
    out.into()
}
