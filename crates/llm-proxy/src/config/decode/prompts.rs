//! Prompts.

use std::path::Path;

use super::clients::globs;
use crate::config::fields::prompts::PROMPT;
use crate::config::formats;
use crate::config::types::{InlinePrompt, PromptPosition, PromptSource};
use crate::config::view::View;

pub(super) fn all(top: &View<'_>, dir: &Path) -> Vec<PromptSource> {
    top.sections("system_prompts", &PROMPT)
        .iter()
        .filter_map(|item| source(item, dir))
        .collect()
}

fn source(item: &View<'_>, dir: &Path) -> Option<PromptSource> {
    let path = |key| item.read(key, |text| Some(formats::path(text, dir)));
    let folder = path("dir").map(PromptSource::Dir);
    let file = || path("file").map(PromptSource::File);
    folder
        .or_else(file)
        .or_else(|| inline(item).map(PromptSource::Text))
}

fn inline(item: &View<'_>) -> Option<InlinePrompt> {
    Some(InlinePrompt {
        text: item.text("text")?,
        position: item.named("position").unwrap_or(PromptPosition::Before),
        separator: item.text("separator").unwrap_or_default(),
        models: globs(item, "models"),
        keys: globs(item, "keys"),
        priority: item.int("priority").unwrap_or_default(),
        enabled: item.truth("enabled"),
    })
}
