//! Pieces as items of their own in a list of texts: `{"type":"text","text":…}`.
//!
//! Only the ends of the list are looked into, as far as pieces could stand there.

use std::collections::VecDeque;

use super::{Piece, spelling, text};
use crate::edit::Splice;
use crate::scan::{self, Span};

/// A list's length, and the texts at its ends.
pub(super) struct Ends<'b> {
    count: usize,
    head: Vec<Item<'b>>,
    tail: VecDeque<Item<'b>>,
}

/// An item, and the spelling of its text if it is one.
#[derive(Clone, Copy)]
struct Item<'b> {
    span: Span,
    text: Option<&'b str>,
}

/// A piece that goes before the item of that number; the number of all items is the end.
pub(super) type Put<'p> = (usize, &'p Piece<'p>);

impl<'b> Ends<'b> {
    /// Looks at items of a list, at least at one and at most at `most` from either end.
    fn of(body: &'b [u8], items: impl Iterator<Item = Span>, most: usize) -> Self {
        let most = most.max(1);
        let (mut count, mut head, mut tail) = (0, Vec::new(), VecDeque::new());
        for span in items {
            if count < most {
                head.push(span);
            }
            if tail.len() == most {
                tail.pop_front();
            }
            tail.push_back(span);
            count += 1;
        }
        let item = |span| Item {
            span,
            text: text_of(body, span),
        };
        Self {
            count,
            head: head.into_iter().map(item).collect(),
            tail: tail.into_iter().map(item).collect(),
        }
    }

    /// A list of one text that is no item yet.
    pub(super) fn alone(text: &'b str) -> Self {
        let span = Span { start: 0, end: 0 };
        let item = Item {
            span,
            text: Some(text),
        };
        Self {
            count: 1,
            head: vec![item],
            tail: VecDeque::from([item]),
        }
    }

    fn item(&self, at: usize) -> Option<Item<'b>> {
        let from_tail = || self.tail.get((at + self.tail.len()).checked_sub(self.count)?);
        self.head.get(at).or_else(from_tail).copied()
    }

    fn is(&self, at: usize, piece: &Piece<'_>) -> bool {
        let text = self.item(at).and_then(|item| item.text);
        text.is_some_and(|text| spelling::strip_prefix(text, piece.text) == Some(""))
    }

    /// What has to be put in for all pieces to stand in the list, from front to back.
    pub(super) fn missing<'p>(&self, before: &[&'p Piece<'p>], after: &[&'p Piece<'p>]) -> Vec<Put<'p>> {
        let joined_before = !before.is_empty() && self.holds(0, before, &[]);
        let (mut from, mut puts) = (usize::from(joined_before), Vec::new());
        for piece in before.iter().filter(|_| !joined_before) {
            if self.is(from, piece) {
                from += 1;
            } else {
                puts.push((from, *piece));
            }
        }
        // Where one item is all, the same words are not taken for a piece before and for one after.
        let shared = if joined_before && self.count == 1 {
            before
        } else {
            &[]
        };
        let free = joined_before || self.count > from;
        if free && self.holds(self.count.saturating_sub(1), shared, after) {
            return puts;
        }
        let (mut to, mut behind) = (self.count, Vec::new());
        for piece in after.iter().rev() {
            if to > from && self.is(to - 1, piece) {
                to -= 1;
            } else {
                behind.push((to, *piece));
            }
        }
        puts.extend(behind.into_iter().rev());
        puts
    }

    /// Whether the pieces are joined to the text of that item. A proxy of another dialect may have done that.
    fn holds(&self, at: usize, before: &[&Piece<'_>], after: &[&Piece<'_>]) -> bool {
        let text = self.item(at).and_then(|item| item.text);
        text.is_some_and(|text| text::missing(text, before, after).is_empty())
    }
}

/// The splices that put the pieces into the array at that place, behind the items that end at `behind`, if there are some
/// to which nothing may come first.
pub(super) fn splices(
    body: &[u8],
    array: Span,
    behind: Option<usize>,
    (before, after): (&[&Piece<'_>], &[&Piece<'_>]),
) -> Vec<Splice> {
    let most = before.len().max(after.len());
    // Where nothing goes to the end, the list need not be walked to it.
    let looked_at = if after.is_empty() { most } else { usize::MAX };
    let items = scan::items(body, array).filter(|item| behind.is_none_or(|end| item.start >= end));
    let ends = Ends::of(body, items.take(looked_at), most);
    let last = ends.tail.back().map(|item| item.span.end).or(behind);
    let puts = ends.missing(before, after).into_iter().enumerate();
    let splices = puts.map(|(nth, (at, piece))| {
        let item = entry(piece);
        match (ends.item(at), last) {
            (Some(next), _) => Splice::at(next.span.start, item + ","),
            (None, Some(end)) => Splice::at(end, format!(",{item}")),
            (None, None) => Splice::at(array.start + 1, if nth > 0 { format!(",{item}") } else { item }),
        }
    });
    splices.collect()
}

/// A piece as an item.
pub(super) fn entry(piece: &Piece<'_>) -> String {
    ["{\"type\":\"text\",\"text\":\"", piece.spelled, "\"}"].concat()
}

/// The spelling of an item's text; nothing if it is none.
pub(super) fn text_of(body: &[u8], item: Span) -> Option<&str> {
    let item = item.of(body);
    let object = scan::known_object(item)?;
    let kind = object.value(item, "type")?;
    if !matches!(text::inside(item, kind)?, "text" | "input_text") {
        return None;
    }
    text::inside(item, object.value(item, "text")?)
}
