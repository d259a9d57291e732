//! The items of a streamed output, as far as they were seen, and how they are found again.
//!
//! An item is where its `output_index` says and what its type says. Ids alone do not tell: some hosts change them from
//! event to event. Places alone do not either: some hosts count them wrongly, or leave items out of the whole response.

use super::wire::{Event, Item};

/// What an item is, as far as items of one place must be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    Message,
    Reasoning,
    Call,
    Search,
    Other,
}

impl Class {
    pub(super) fn of(kind: &str) -> Self {
        match kind {
            "message" => Self::Message,
            "reasoning" => Self::Reasoning,
            "function_call" | "custom_tool_call" | "tool_search_call" => Self::Call,
            "web_search_call" => Self::Search,
            _ => Self::Other,
        }
    }
}

/// What an open block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The part of a message of that number.
    Text(u64),
    /// Likewise.
    Refusal(u64),
    Thought {
        /// The part of the summary that is open.
        part: u64,
        summary: bool,
    },
    Call,
}

impl Kind {
    /// The class of items that have such blocks.
    pub(super) fn class(self) -> Class {
        match self {
            Self::Text(_) | Self::Refusal(_) => Class::Message,
            Self::Thought { .. } => Class::Reasoning,
            Self::Call => Class::Call,
        }
    }
}

/// What a piece of words is, by the type of its event; nothing if it is no such event.
pub(super) fn spoken(name: &str, wire: &Event<'_>) -> Option<Kind> {
    Some(match name {
        "response.output_text.delta" => Kind::Text(wire.part()),
        "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => Kind::Call,
        "response.reasoning_summary_text.delta" => Kind::Thought {
            part: wire.summary_index.0.unwrap_or(0),
            summary: true,
        },
        "response.reasoning_text.delta" => Kind::Thought {
            part: wire.part(),
            summary: false,
        },
        "response.refusal.delta" => Kind::Refusal(wire.part()),
        _ => return None,
    })
}

/// An item of the output.
#[derive(Debug)]
pub(super) struct Seen {
    index: u64,
    class: Class,
    /// Its id when it was last named: that of the call, else its own.
    id: String,
    /// Its open block and what that is.
    pub(super) open: Option<(u32, Kind)>,
    /// How many sources its open block has.
    pub(super) cited: usize,
    /// Whether it has said anything: what it says whole in the end is then known.
    pub(super) spoke: bool,
    pub(super) done: bool,
}

/// All of them, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Places {
    all: Vec<Seen>,
    /// Bytes of their ids.
    ids: usize,
}

impl Places {
    /// About how many bytes are kept.
    pub(super) fn held(&self) -> usize {
        self.ids + size_of::<Seen>() * self.all.len()
    }

    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, place: usize) -> Option<&Seen> {
        self.all.get(place)
    }

    pub(super) fn get_mut(&mut self, place: usize) -> Option<&mut Seen> {
        self.all.get_mut(place)
    }

    fn add(&mut self, index: Option<u64>, class: Class, id: &str) -> usize {
        let place = self.all.len();
        self.ids += id.len();
        self.all.push(Seen {
            index: index.unwrap_or(place as u64),
            class,
            id: id.to_owned(),
            open: None,
            cited: 0,
            spoke: false,
            done: false,
        });
        place
    }

    /// The item of that class that claimed the place last; without a place, the last one that is not whole yet.
    fn find(&self, index: Option<u64>, class: Class) -> Option<usize> {
        self.all
            .iter()
            .rposition(|seen| seen.class == class && index.map_or(!seen.done, |index| seen.index == index))
    }

    /// The item that an event names: known, or new. An item that is whole is not named again by another id; that is
    /// another item, from a host that does not count.
    pub(super) fn named(&mut self, index: Option<u64>, item: &Item<'_>) -> usize {
        let (class, id) = (Class::of(&item.kind), id_of(item));
        let known = self
            .find(index, class)
            .filter(|place| self.get(*place).is_some_and(|seen| !seen.done || seen.id == id));
        let Some(place) = known else {
            return self.add(index, class, id);
        };
        if let Some(seen) = self.all.get_mut(place) {
            self.ids = self.ids.saturating_sub(seen.id.len()) + id.len();
            id.clone_into(&mut seen.id);
        }
        place
    }

    /// The item that words are for. Nobody waits for words of an item that is whole, or of a call that never began.
    pub(super) fn speaking(&mut self, index: Option<u64>, kind: Kind) -> Option<usize> {
        match self.find(index, kind.class()) {
            Some(place) => Some(place).filter(|place| self.get(*place).is_some_and(|seen| !seen.done)),
            None if kind == Kind::Call => None,
            None => Some(self.add(index, kind.class(), "")),
        }
    }

    /// The place of each item of a whole output among those that were seen; new ones get one.
    ///
    /// A call is known by its id, an item by its place, and whatever is left over by its class alone: nothing that was
    /// said is said again.
    pub(super) fn matched(&mut self, output: &[Item<'_>]) -> Vec<usize> {
        let mut taken = vec![false; self.all.len()];
        let mut places: Vec<Option<usize>> = vec![None; output.len()];
        for by in [Self::same_call, Self::same_place, Self::same_class] {
            for (at, (item, place)) in output.iter().zip(&mut places).enumerate() {
                if place.is_none() {
                    *place = (0..taken.len())
                        .find(|seen| taken.get(*seen) == Some(&false) && by(self, *seen, at as u64, item));
                    if let Some(taken) = place.and_then(|place| taken.get_mut(place)) {
                        *taken = true;
                    }
                }
            }
        }
        let numbered = (0..).zip(output.iter().zip(places));
        numbered
            .map(|(at, (item, place))| {
                place.unwrap_or_else(|| self.add(Some(at), Class::of(&item.kind), id_of(item)))
            })
            .collect()
    }

    fn same_call(&self, place: usize, _: u64, item: &Item<'_>) -> bool {
        Class::of(&item.kind) == Class::Call
            && self.get(place).is_some_and(|seen| {
                seen.class == Class::Call && !seen.id.is_empty() && seen.id == id_of(item)
            })
    }

    fn same_place(&self, place: usize, index: u64, item: &Item<'_>) -> bool {
        self.same_class(place, index, item) && self.get(place).is_some_and(|seen| seen.index == index)
    }

    fn same_class(&self, place: usize, _: u64, item: &Item<'_>) -> bool {
        self.get(place)
            .is_some_and(|seen| seen.class == Class::of(&item.kind))
    }
}

/// What names an item: the id of its call, else its own.
fn id_of<'i>(item: &'i Item<'_>) -> &'i str {
    let ids = [item.call_id.as_ref(), item.id.as_ref()];
    let named = ids.into_iter().flatten().map(crate::canon::JsonStr::spelling);
    named.into_iter().find(|id| !id.is_empty()).unwrap_or_default()
}
