//! Cache marks on a chat request: Anthropic's, as several hosts take them on chat, and `OpenAI`'s own.

use super::wire::{Breakpoint, CacheControl};
use crate::canon::{Block, CacheMark};

/// Anthropic's mark as hosts take it on chat.
pub(super) fn mark(control: &CacheControl) -> CacheMark {
    match control.ttl.as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some("5m") => CacheMark::FiveMinutes,
        _ => CacheMark::Usual,
    }
}

/// `OpenAI`'s times are not Anthropic's: the nearest.
pub(super) fn breakpoint(breakpoint: &Breakpoint) -> CacheMark {
    match breakpoint.ttl.as_deref() {
        Some("12h") => CacheMark::OneHour,
        Some(_) => CacheMark::FiveMinutes,
        None => CacheMark::Usual,
    }
}

/// The mark of a message goes on its last block that has a place for one.
pub(super) fn set(blocks: &mut [Block<'_>], mark: CacheMark) {
    let place = blocks.iter_mut().rev().find_map(|block| match block {
        Block::Text(text) => Some(&mut text.cache),
        Block::Image(image) => Some(&mut image.cache),
        Block::Document(document) => Some(&mut document.cache),
        Block::ToolResult(result) => Some(&mut result.cache),
        _ => None,
    });
    if let Some(place) = place {
        *place = Some(mark);
    }
}
