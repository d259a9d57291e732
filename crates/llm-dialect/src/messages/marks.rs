//! Marks for the prompt cache: four at most, and of more the last ones, since they cover the most.

use crate::canon::write::Object;
use crate::canon::{Block, CacheMark, Request};

/// How many marks a request may have.
const MOST: usize = 4;

/// The marks of a request that are written, in the order of the prompt: tools, system, conversation.
#[derive(Debug)]
pub(super) struct Marks {
    /// So many are passed over first.
    skip: usize,
}

impl Marks {
    /// Counts the marks of a request.
    pub(super) fn of(request: &Request<'_>) -> Self {
        let tools = request.tools.iter().filter(|tool| tool.cache.is_some()).count();
        let turns = request.system.iter().chain(&request.turns);
        let blocks = turns
            .flat_map(|turn| &turn.blocks)
            .filter(|block| mark(block).is_some())
            .count();
        Self {
            skip: (tools + blocks).saturating_sub(MOST),
        }
    }

    /// Writes a mark, if there is one and its turn has come.
    pub(super) fn write(&mut self, it: &mut Object<'_>, mark: Option<CacheMark>) {
        let Some(mark) = mark else { return };
        if self.skip > 0 {
            self.skip -= 1;
            return;
        }
        it.object("cache_control", |it| {
            it.str("type", "ephemeral");
            match mark {
                CacheMark::Usual => {}
                CacheMark::FiveMinutes => {
                    it.str("ttl", "5m");
                }
                CacheMark::OneHour => {
                    it.str("ttl", "1h");
                }
            }
        });
    }
}

/// The mark on a block.
pub(super) fn mark(block: &Block<'_>) -> Option<CacheMark> {
    match block {
        Block::Text(it) => it.cache,
        Block::Image(it) => it.cache,
        Block::Document(it) => it.cache,
        Block::ToolResult(it) => it.cache,
        _ => None,
    }
}
