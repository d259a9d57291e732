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

/// The first and the last message of those that lead.
pub(super) fn ends(body: &[u8], array: Span) -> Option<(Message<'_>, Message<'_>)> {
    let mut leading = scan::items(body, array).map_while(|item| instructions(body, item));
    let first = leading.next()?;
    Some((first, leading.last().unwrap_or(first)))
}

fn instructions(body: &[u8], span: Span) -> Option<Message<'_>> {
    let item = span.of(body);
    let object = scan::object(item, scan::DEEPEST).ok()??;
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
    first: Message<'_>,
    last: Message<'_>,
    pieces: &Pieces<'_>,
) -> Vec<Splice> {
    if first.span == last.span {
        return beside(body, first, &pieces.before, &pieces.after);
    }
    let mut splices = beside(body, first, &pieces.before, &[]);
    splices.extend(beside(body, last, &[], &pieces.after));
    splices
}

/// Pieces around a message's text, or around the message if that has none.
fn beside(body: &[u8], own: Message<'_>, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> Vec<Splice> {
    let kind = own.content.and_then(|content| content.of(body).first());
    match (kind, own.content) {
        (Some(b'"'), Some(content)) => text::splices(body, content, before, after),
        (Some(b'['), Some(content)) => list::splices(body, content, None, (before, after)),
        _ => {
            let front = (!before.is_empty())
                .then(|| Splice::at(own.span.start, message(own.role, before, &[]) + ","));
            let back = (!after.is_empty())
                .then(|| Splice::at(own.span.end, format!(",{}", message(own.role, &[], after))));
            front.into_iter().chain(back).collect()
        }
    }
}

/// A message of pieces alone.
pub(super) fn message(role: &str, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> String {
    let mut out = Vec::new();
    write::object(&mut out, |message| {
        let content = text::joined(before, after);
        message
            .text("role", &JsonStr::spelled_so(role))
            .text("content", &content);
    });
    String::from_utf8(out).unwrap_or_default()
}
