//! Anthropic's cache marks on a chat request, as several hosts take them there.

use super::wire::CacheControl;
use crate::canon::{Block, CacheMark};

/// Anthropic's mark as hosts take it on chat.
pub(super) fn mark(control: &CacheControl) -> CacheMark {
    match control.ttl.as_deref() {
        Some("1h") => CacheMark::OneHour,
        Some("5m") => CacheMark::FiveMinutes,
        _ => CacheMark::Usual,
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
