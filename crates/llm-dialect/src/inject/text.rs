//! Pieces within one text, which is kept in its spelling.
//!
//! A separator stands between two texts: that of the piece before the client's text, or that of the piece after it. Where
//! the client has none, a piece before is next to a piece after, and the first one's separator is between them.

use super::Piece;
use super::spelling::{strip_prefix, strip_suffix};
use crate::canon::JsonStr;
use crate::edit::Splice;
use crate::scan::Span;

/// Something that is put in: an offset of the text's spelling, and the spelling of what comes there.
pub(super) type Put = (usize, String);

/// What has to be put into `text` for all pieces to stand in it, from front to back.
pub(super) fn missing(text: &str, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> Vec<Put> {
    let mut front = Front {
        text,
        rest: text,
        owed: None,
        puts: Vec::new(),
    };
    for piece in before {
        front.stand(piece);
    }
    let offset = text.len() - front.rest.len();
    let mut back = Back {
        core: front.rest,
        before: front.owed.unwrap_or_default(),
        owed: None,
        puts: Vec::new(),
    };
    for (at, piece) in after.iter().enumerate().rev() {
        back.stand(piece, at == 0);
    }
    let behind = back.puts.into_iter().rev();
    front.puts.extend(behind.map(|(at, put)| (offset + at, put)));
    front.puts
}

/// The pieces as one text.
pub(super) fn joined(before: &[&Piece<'_>], after: &[&Piece<'_>]) -> JsonStr<'static> {
    let puts = missing("", before, after).into_iter().map(|(_, put)| put);
    JsonStr::spelled_so(puts.collect::<String>())
}

/// [`missing`] of the JSON string at that place of a body.
pub(super) fn splices(body: &[u8], string: Span, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> Vec<Splice> {
    let puts = missing(inside(body, string).unwrap_or_default(), before, after);
    let splices = puts
        .into_iter()
        .map(|(at, put)| Splice::at(string.start + 1 + at, put));
    splices.collect()
}

/// The spelling of the JSON string at that place; nothing if it is another kind of value.
pub(super) fn inside(body: &[u8], value: Span) -> Option<&str> {
    let inside = value.of(body).strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    std::str::from_utf8(inside).ok()
}

/// The pieces before the client's text, front to back.
struct Front<'t> {
    text: &'t str,
    /// What follows the pieces so far.
    rest: &'t str,
    /// The separator of the last piece, if nothing stood behind that and it was left out.
    owed: Option<&'t str>,
    puts: Vec<Put>,
}

impl<'t> Front<'t> {
    fn stand(&mut self, piece: &'t Piece<'_>) {
        match strip_prefix(self.rest, piece.text) {
            Some("") => (self.rest, self.owed) = ("", Some(piece.separator)),
            Some(behind) => match strip_prefix(behind, piece.separator) {
                Some(rest) => self.rest = rest,
                None => self.put(piece),
            },
            None => self.put(piece),
        }
    }

    fn put(&mut self, piece: &'t Piece<'_>) {
        let mut put = spelled(self.owed.take().unwrap_or_default());
        put.push_str(piece.spelled);
        if self.rest.is_empty() {
            self.owed = Some(piece.separator);
        } else {
            put.push_str(&spelled(piece.separator));
        }
        self.puts.push((self.text.len() - self.rest.len(), put));
    }
}

/// The pieces after the client's text, back to front.
struct Back<'t> {
    /// What comes before the pieces so far.
    core: &'t str,
    /// The separator that a piece before asks for, if there is nothing in between.
    before: &'t str,
    /// The separator of the last piece, if nothing stood before that.
    owed: Option<&'t str>,
    puts: Vec<Put>,
}

impl<'t> Back<'t> {
    fn stand(&mut self, piece: &'t Piece<'_>, first: bool) {
        match strip_suffix(self.core, piece.text) {
            Some("") => (self.core, self.owed) = ("", Some(piece.separator)),
            Some(ahead) => match strip_suffix(ahead, piece.separator) {
                Some(core) => self.core = core,
                None => self.put(piece, first),
            },
            None => self.put(piece, first),
        }
    }

    fn put(&mut self, piece: &'t Piece<'_>, first: bool) {
        let alone = first && self.core.is_empty();
        let mut put = spelled(if alone { self.before } else { piece.separator });
        put.push_str(piece.spelled);
        put.push_str(&spelled(self.owed.take().unwrap_or_default()));
        self.puts.push((self.core.len(), put));
    }
}

fn spelled(plain: &str) -> String {
    JsonStr::of(plain).spelling().to_owned()
}
