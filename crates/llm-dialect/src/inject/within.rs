//! Pieces after the client's text that have more of its instructions behind them.
//!
//! A client of Responses may give `instructions` and items that instruct. The pieces after its text are in the former; a
//! conversion makes texts in a row of both, and the proxy behind it finds the pieces in the middle.

use memchr::memmem;

use super::{Piece, Pieces, text};

/// What a converting proxy puts between two texts that it makes one of, in the spelling of a JSON string.
const BETWEEN: &str = r"\n\n";
/// So many places of a text are looked at: whoever repeats a piece gains nothing.
const MOST: usize = 16;

/// Whether all pieces after the client's text stand in one of its texts. Few have them, so the bytes as a whole are
/// searched before a text is looked for.
pub(super) fn stand<'b>(bytes: &'b [u8], texts: impl FnOnce() -> Vec<&'b str>, pieces: &Pieces<'_>) -> bool {
    let Some(last) = pieces.after.last() else {
        return false;
    };
    if memmem::find(bytes, last.spelled.as_bytes()).is_none() {
        return false;
    }
    let nothing: &[&Piece<'_>] = &[];
    let before = std::iter::once(&*pieces.before).chain(std::iter::repeat(nothing));
    texts()
        .into_iter()
        .zip(before)
        .any(|(text, before)| has(text, before, &pieces.after, last.spelled))
}

/// Whether a text has them all at its end, or before something else that was joined to it.
fn has(text: &str, before: &[&Piece<'_>], after: &[&Piece<'_>], last: &str) -> bool {
    let found = memmem::find_iter(text.as_bytes(), last).take(MOST);
    let mut ends = found.filter_map(|at| text.split_at_checked(at + last.len()));
    ends.any(|(head, rest)| {
        (rest.is_empty() || rest.starts_with(BETWEEN)) && text::missing(head, before, after).is_empty()
    })
}
