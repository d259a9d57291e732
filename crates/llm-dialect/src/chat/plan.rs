//! Which messages a conversation makes, before they are written.
//!
//! Chat wants every result right behind its call and in a message of its own. What a result cannot hold, its pictures,
//! follows in a message of the user. Some hosts take instructions only at the head, and refuse a user who speaks twice.

use std::borrow::Cow;

use crate::canon::{Block, JsonStr, Request, Role, Target, ToolResult, Turn};

/// A message to be written.
#[derive(Debug)]
pub(super) enum Line<'b> {
    /// Instructions, in several texts.
    Instructions(Vec<&'b JsonStr<'b>>),
    /// The user's words, and pictures out of results.
    User(Vec<Cow<'b, Block<'b>>>),
    /// What a tool gave. Pictures are counted through the results of a turn; so many were before it.
    Result(&'b ToolResult<'b>, usize),
    /// The model's turn.
    Assistant(&'b Turn<'b>),
}

/// Plans the messages of a request.
pub(super) fn plan<'b>(request: &'b Request<'b>, target: &Target<'_>) -> Vec<Line<'b>> {
    let mut plan = Plan {
        // The same templates that take instructions only at the head insist on turns.
        anywhere: target.traits.system_anywhere,
        lines: Vec::with_capacity(request.system.len() + request.turns.len()),
    };
    for turn in &request.system {
        plan.instructions(turn);
    }
    for turn in &request.turns {
        plan.turn(turn);
    }
    plan.lines
}

struct Plan<'b> {
    anywhere: bool,
    lines: Vec<Line<'b>>,
}

impl<'b> Plan<'b> {
    fn turn(&mut self, turn: &'b Turn<'b>) {
        match turn.role {
            Role::System | Role::Developer if self.anywhere => self.instructions(turn),
            Role::System | Role::Developer => {
                let words = wrapped(&texts(&turn.blocks));
                self.user(vec![Cow::Owned(Block::text(words))]);
            }
            Role::User => self.user_turn(turn),
            Role::Assistant => self.lines.push(Line::Assistant(turn)),
        }
    }

    fn instructions(&mut self, turn: &'b Turn<'b>) {
        let texts = texts(&turn.blocks);
        match self.lines.last_mut() {
            Some(Line::Instructions(before)) if !self.anywhere => before.extend(texts),
            _ => self.lines.push(Line::Instructions(texts)),
        }
    }

    /// Results first, since they must follow their calls; then what they cannot hold; then the user's own words.
    fn user_turn(&mut self, turn: &'b Turn<'b>) {
        let mut said: Vec<Cow<'b, Block<'b>>> = Vec::new();
        for block in &turn.blocks {
            if let Block::ToolResult(result) = block {
                self.lines.push(Line::Result(result, said.len()));
                said.extend(result.content.iter().filter(|it| is_media(it)).map(Cow::Borrowed));
            }
        }
        let own = turn.blocks.iter();
        said.extend(
            own.filter(|it| !matches!(it, Block::ToolResult(_)))
                .map(Cow::Borrowed),
        );
        if !said.is_empty() {
            self.user(said);
        }
    }

    fn user(&mut self, said: Vec<Cow<'b, Block<'b>>>) {
        match self.lines.last_mut() {
            Some(Line::User(before)) if !self.anywhere => before.extend(said),
            _ => self.lines.push(Line::User(said)),
        }
    }
}

/// What has no place in the result of a tool.
pub(super) fn is_media(block: &Block<'_>) -> bool {
    matches!(block, Block::Image(_) | Block::Document(_) | Block::Audio(_))
}

/// The texts among blocks.
pub(super) fn texts<'b>(blocks: &'b [Block<'b>]) -> Vec<&'b JsonStr<'b>> {
    let text = |block: &'b Block<'b>| match block {
        Block::Text(text) => Some(&text.text),
        _ => None,
    };
    blocks.iter().filter_map(text).collect()
}

/// Instructions in the middle of a conversation, for models that take them only at its head.
fn wrapped(texts: &[&JsonStr<'_>]) -> JsonStr<'static> {
    let text = JsonStr::joined(texts.iter().copied(), "\n\n");
    let (open, close) = (JsonStr::of("<system>"), JsonStr::of("</system>"));
    JsonStr::joined([&open, &text, &close], "")
}
