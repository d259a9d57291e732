//! An operator's prompts are put into a request, as one edit that leaves the client's own bytes where they are.
//!
//! What is written where:
//!
//! | | the client wrote | a piece becomes |
//! | --- | --- | --- |
//! | Chat | a string in a leading `system` or `developer` message | a part of that string, a separator between |
//! | | parts in one | a part of its own |
//! | | no such message, or one of no text | a `system` message of its own |
//! | Messages | `system`, or none | an entry of its own in the array that `system` is or becomes |
//! | Responses | `instructions`, or none | a part of that string, a separator between |
//!
//! The order is: all pieces before, the client's own text, all pieces after, each in the order in which they are given. In
//! a chat the client's own text are all messages that lead. If one piece replaces, the client's text goes, and pieces that
//! replace stand in its place. Instructions further down in a conversation are part of it and stay.
//!
//! **Claude Code's attribution entry** stays the first of its array, whatever is put in or replaced: Anthropic finds it
//! by its place. No entry of ours has a cache mark: four are allowed, and those are the client's.
//!
//! **Nothing is put in twice.** A piece that already stands where it would go is left out, be it an entry of its own or
//! joined to the client's text, so two proxies in a row with the same prompts do what one does. It is found by its text,
//! however that is escaped; in Responses also in the items that lead, where a converting proxy puts what is more than one
//! text. Pieces after the client's text may have more of its instructions behind them by then (`within`).
//!
//! **A prompt cannot be dodged.** Where the client's text has a shape that no backend should take, the request is refused
//! rather than sent without the operator's.

mod chat;
mod leading;
mod list;
mod messages;
mod opening;
mod responses;
mod spelling;
mod text;
mod within;

#[cfg(test)]
mod tests;

pub use opening::{Speaker, opening};

use crate::canon::JsonStr;
use crate::dialect::Dialect;
use crate::edit::Edit;
use crate::envelope::{BodyError, Envelope};

/// Where a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Before the client's own text.
    Before,
    /// After it.
    After,
    /// In its place.
    Replace,
}

/// A text that is put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// The text, plain. A blank one is none, since Anthropic refuses those.
    pub text: &'a str,
    /// The same in the spelling of a JSON string, without quotes ([`JsonStr::of`]): spelled once, it is put into many
    /// requests.
    pub spelled: &'a str,
    /// Where it goes.
    pub position: Position,
    /// What stands between it and its neighbour, on the client's side, where the two become one string.
    pub separator: &'a str,
}

/// The edit of `body` that puts the pieces in; nothing if there is nothing to do. `dialect` is the one that the body is
/// written in, and `envelope` the one read from it, of a request to generate or to count tokens.
///
/// It goes first in a list of edits: a default for the same member then gives way to it, and whatever else sets that
/// member has the last word.
///
/// # Errors
/// The field that the pieces belong to is of the wrong type.
pub fn system(
    dialect: Dialect,
    body: &[u8],
    envelope: &Envelope,
    pieces: &[Piece<'_>],
) -> Result<Option<Edit<'static>>, BodyError> {
    let pieces = Pieces::sorted(pieces);
    if pieces.before.is_empty() && pieces.after.is_empty() {
        return Ok(None);
    }
    match dialect {
        Dialect::Chat => chat::edit(body, envelope, &pieces),
        Dialect::Messages => messages::edit(body, envelope, &pieces),
        Dialect::Responses => responses::edit(body, envelope, &pieces),
    }
}

/// The pieces by their places.
struct Pieces<'p> {
    /// Those before the client's text, and then those in its place.
    before: Vec<&'p Piece<'p>>,
    after: Vec<&'p Piece<'p>>,
    /// Whether the client's text goes.
    replace: bool,
}

impl<'p> Pieces<'p> {
    fn sorted(pieces: &'p [Piece<'p>]) -> Self {
        let at = |position| {
            let all = pieces.iter().filter(|piece| !piece.text.trim().is_empty());
            all.filter(move |piece| piece.position == position)
        };
        Self {
            before: at(Position::Before).chain(at(Position::Replace)).collect(),
            after: at(Position::After).collect(),
            replace: at(Position::Replace).next().is_some(),
        }
    }

    /// All of them, in their order.
    fn all(&self) -> impl Iterator<Item = &'p Piece<'p>> {
        self.before.iter().chain(&self.after).copied()
    }

    /// All of them as one text.
    fn joined(&self) -> JsonStr<'static> {
        text::joined(&self.before, &self.after)
    }

    /// Those after the client's text that do not stand in it yet; `bytes` are where `texts` are found, the first of them
    /// being the one that pieces before it join.
    fn after_in<'b>(&self, bytes: &'b [u8], texts: impl FnOnce() -> Vec<&'b str>) -> &[&'p Piece<'p>] {
        if within::stand(bytes, texts, self) {
            &[]
        } else {
            &self.after
        }
    }
}
