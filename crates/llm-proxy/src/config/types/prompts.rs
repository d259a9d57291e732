//! Prompts that the program injects.

use std::path::PathBuf;

use crate::base::glob::Glob;

/// Where a prompt comes from.
#[derive(Clone, Debug)]
pub enum PromptSource {
    /// All `*.md` of a folder.
    Dir(PathBuf),
    /// One file.
    File(PathBuf),
    /// The text itself, with its settings.
    Text(InlinePrompt),
}

/// A prompt in the config file.
#[derive(Clone, Debug)]
pub struct InlinePrompt {
    /// The text, before its variables are expanded.
    pub text: String,
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
