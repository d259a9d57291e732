//! Prompts that the program injects.

use std::path::PathBuf;

use crate::base::glob::Glob;
use crate::config::Template;

/// What belongs to the config beside its own file, prompts and prices: when it changes, the config has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSource {
    /// All `*.md` of a folder.
    Dir(PathBuf),
    /// One file.
    File(PathBuf),
}

/// A prompt, read and in order.
#[derive(Clone, Debug)]
pub struct Prompt {
    /// Its file's name, without the folder; none: it stands in the config file.
    pub file: Option<String>,
    /// What it says.
    pub template: Template,
    /// For whom, and where.
    pub settings: PromptSettings,
}

/// What stands in a prompt's front matter, or beside its text.
#[derive(Clone, Debug)]
pub struct PromptSettings {
    /// Before, after or instead of the client's own.
    pub position: PromptPosition,
    /// Between the two where they become one string.
    pub separator: String,
    /// For these aliases.
    pub models: Vec<Glob>,
    /// For these keys.
    pub keys: Vec<Glob>,
    /// Lower first.
    pub priority: i32,
    /// Whether it is used.
    pub enabled: bool,
}

/// Where a prompt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptPosition {
    /// Before the client's own.
    Before,
    /// After it.
    After,
    /// Instead of it.
    Replace,
}
