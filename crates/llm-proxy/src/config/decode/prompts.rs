//! Prompts: where they come from, and the settings of one. Their texts are read by `config::prompts`.

use std::path::Path;

use super::clients::globs;
use crate::config::fields::prompts::PROMPT;
use crate::config::formats;
use crate::config::types::{FileSource, PromptPosition, PromptSettings};
use crate::config::view::View;

pub(super) fn sources(top: &View<'_>, dir: &Path) -> Vec<FileSource> {
    let items = top.sections("system_prompts", &PROMPT);
    items.iter().filter_map(|item| source(item, dir)).collect()
}

fn source(item: &View<'_>, dir: &Path) -> Option<FileSource> {
    let path = |key| item.read(key, |text| Some(formats::path(text, dir)));
    let folder = path("dir").map(FileSource::Dir);
    folder.or_else(|| path("file").map(FileSource::File))
}

/// The settings of a prompt, which stand beside its text or in its front matter.
pub(crate) fn prompt(item: &View<'_>) -> PromptSettings {
    PromptSettings {
        position: item.named("position").unwrap_or(PromptPosition::Before),
        separator: item.text("separator").unwrap_or_default(),
        models: globs(item, "models"),
        keys: globs(item, "keys"),
        priority: item.int("priority").unwrap_or_default(),
        enabled: item.truth("enabled"),
    }
}
