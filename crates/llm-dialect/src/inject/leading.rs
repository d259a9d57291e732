//! The messages of instructions that lead a conversation, and pieces in them.

use super::{Piece, Pieces, list, spelling, text};
use crate::canon::{JsonStr, write};
use crate::edit::Splice;
use crate::scan::{self, Span};

/// A message of instructions.
#[derive(Clone, Copy)]
pub(super) struct Message<'b> {
    pub(super) span: Span,
    /// The spelling of its role.
    pub(super) role: &'b str,
    content: Option<Span>,
}

/// Room for what stands around a role and a text in a message of ours.
const FRAME: usize = 32;

/// What nearly all clients begin a list with whose first message is the user's, space aside.
const OF_USER: [&str; 5] = ["[", "{", "\"role\"", ":", "\"user\""];

/// The first and the last message of those that lead.
pub(super) fn ends(body: &[u8], array: Span) -> Option<(Message<'_>, Message<'_>)> {
    if scan::tokens(array.of(body), &OF_USER).is_some() {
        return None;
    }
    let mut leading = all(body, array);
    let first = leading.next()?;
    Some((first, leading.last().unwrap_or(first)))
}

/// The messages that lead.
fn all(body: &[u8], array: Span) -> impl Iterator<Item = Message<'_>> {
    scan::items(body, array).map_while(|item| instructions(body, item))
}

/// The texts of the messages that lead.
fn texts(body: &[u8], array: Span) -> Vec<&str> {
    let contents = all(body, array).filter_map(|message| message.content);
    let texts = contents.flat_map(|content| {
        let items = scan::items(body, content).filter_map(move |item| list::text_of(body, item));
        text::inside(body, content).into_iter().chain(items)
    });
    texts.collect()
}

fn instructions(body: &[u8], span: Span) -> Option<Message<'_>> {
    let item = span.of(body);
    let object = scan::known_object(item)?;
    let role = text::inside(item, object.value(item, "role")?)?;
    let is = |name| spelling::strip_prefix(role, name) == Some("");
    let content = object.value(item, "content").map(|content| Span {
        start: span.start + content.start,
        end: span.start + content.end,
    });
    (is("system") || is("developer")).then_some(Message { span, role, content })
}

/// What has to be put in for all pieces to stand in these messages: the first has those before the client's text, the last those
/// after it.
pub(super) fn missing(
    body: &[u8],
    array: Span,
    (first, last): (Message<'_>, Message<'_>),
    pieces: &Pieces<'_>,
) -> Vec<Splice> {
    let leading = Span {
        start: first.span.start,
        end: last.span.end,
    };
    let after = pieces.after_in(leading.of(body), || texts(body, array));
    if first.span == last.span {
        return beside(body, first, &pieces.before, after);
    }
    let mut splices = beside(body, first, &pieces.before, &[]);
    splices.extend(beside(body, last, &[], after));
    splices
}

/// Pieces around a message's text, or around the message if that has none.
fn beside(body: &[u8], own: Message<'_>, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> Vec<Splice> {
    let kind = own.content.and_then(|content| content.of(body).first());
    match (kind, own.content) {
        (Some(b'"'), Some(content)) => text::splices(body, content, before, after),
        (Some(b'['), Some(content)) => list::splices(body, content, None, (before, after)),
        _ => {
            let front = (!before.is_empty()).then(|| {
                let mut value = message(own.role, before, &[]);
                value.push(b',');
                Splice::at(own.span.start, value)
            });
            let back = (!after.is_empty()).then(|| {
                let value = [b",", &*message(own.role, &[], after)].concat();
                Splice::at(own.span.end, value)
            });
            front.into_iter().chain(back).collect()
        }
    }
}

/// A message of pieces alone.
pub(super) fn message(role: &str, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> Vec<u8> {
    let content = text::joined(before, after);
    let mut out = Vec::with_capacity(content.spelling().len() + role.len() + FRAME);
    write::object(&mut out, |message| {
        message
            .text("role", &JsonStr::spelled_so(role))
            .text("content", &content);
    });
    out
}
