//! Messages: each piece an entry of its own in `system`.

use bytes::Bytes;

use super::list::{self, Ends, entry, text_of};
use super::{Pieces, spelling, text};
use crate::canon::JsonStr;
use crate::edit::{Edit, Splice};
use crate::envelope::{BodyError, Envelope};
use crate::messages::ATTRIBUTION;
use crate::scan::{self, Span};

const FIELD: &str = "system";

pub(super) fn edit(
    body: &[u8],
    envelope: &Envelope,
    pieces: &Pieces<'_>,
) -> Result<Option<Edit<'static>>, BodyError> {
    let Some(value) = envelope.member(body, FIELD) else {
        return Ok(Some(all_anew(pieces)));
    };
    let splices = match value.of(body).first() {
        Some(b'n') => return Ok(Some(all_anew(pieces))),
        Some(b'[') => array(body, value, pieces),
        Some(b'"') => string(body, value, pieces),
        _ => {
            let message = "The field 'system' must be a string or an array.";
            return Err(BodyError::of_field(FIELD, message));
        }
    };
    Ok(match splices {
        None => Some(all_anew(pieces)),
        Some(splices) if splices.is_empty() => None,
        Some(splices) => Some(Edit::Splice { name: FIELD, splices }),
    })
}

/// The entries alone.
fn all_anew(pieces: &Pieces<'_>) -> Edit<'static> {
    Edit::Set {
        name: FIELD,
        value: format!("[{}]", entries(pieces)).into(),
    }
}

fn entries(pieces: &Pieces<'_>) -> String {
    let entries: Vec<_> = pieces.all().map(entry).collect();
    entries.join(",")
}

/// The splices of an array; nothing if none of it stays.
fn array(body: &[u8], array: Span, pieces: &Pieces<'_>) -> Option<Vec<Splice>> {
    let first = scan::items(body, array).next()?;
    let attribution = text_of(body, first).is_some_and(|text| is_attribution(text, pieces));
    if !pieces.replace {
        let behind = attribution.then_some(first.end);
        let texts = || {
            let own = scan::items(body, array).skip(usize::from(attribution));
            own.filter_map(|item| text_of(body, item)).collect()
        };
        let sides = (&*pieces.before, pieces.after_in(array.of(body), texts));
        return Some(list::splices(body, array, behind, sides));
    }
    attribution.then(|| {
        let span = Span {
            start: first.end,
            end: array.end - 1,
        };
        let value = format!(",{}", entries(pieces)).into();
        vec![Splice { span, value }]
    })
}

/// The splices that make a string an entry among others; nothing if it does not stay. Anthropic refuses blank entries.
fn string(body: &[u8], string: Span, pieces: &Pieces<'_>) -> Option<Vec<Splice>> {
    let spelled = text::inside(body, string)?;
    let attribution = is_attribution(spelled, pieces);
    let stays = attribution || !(pieces.replace || JsonStr::spelled_so(spelled).is_blank());
    if !stays {
        return None;
    }
    let (mut front, mut back) = (String::new(), String::new());
    if attribution {
        back = format!(",{}", entries(pieces));
    } else {
        let after = pieces.after_in(string.of(body), || vec![spelled]);
        for (at, piece) in Ends::alone(spelled).missing(&pieces.before, after) {
            match at {
                0 => front = format!("{front}{},", entry(piece)),
                _ => back = format!("{back},{}", entry(piece)),
            }
        }
    }
    if front.is_empty() && back.is_empty() {
        return Some(Vec::new());
    }
    let open = format!("[{front}{{\"type\":\"text\",\"text\":");
    let close: Bytes = format!("}}{back}]").into();
    Some(vec![
        Splice::at(string.start, open),
        Splice::at(string.end, close),
    ])
}

/// Whether a text begins as Claude Code's attribution does.
pub(super) fn looks_like_attribution(spelled: &str) -> bool {
    spelling::strip_prefix(spelled, ATTRIBUTION).is_some()
}

/// Whether a text is Claude Code's attribution, and not a piece that only looks like it.
fn is_attribution(spelled: &str, pieces: &Pieces<'_>) -> bool {
    let is_ours = |text| spelling::strip_prefix(spelled, text) == Some("");
    looks_like_attribution(spelled) && !pieces.all().any(|piece| is_ours(piece.text))
}
