//! Which prompts count for a request, and in which order.

use std::fmt;
use std::sync::Arc;

use llm_dialect::canon::JsonStr;

use crate::base::glob::Glob;
use crate::config::types::{self, PromptPosition};
use crate::config::{Piece, Template};

/// The prompts of a config that are on, in the order in which they are put in.
#[derive(Debug, Default)]
pub struct Prompts(Vec<Prompt>);

/// A prompt.
pub struct Prompt {
    /// Its file's name; `text` for an inline one.
    pub name: Arc<str>,
    /// Where it stands.
    pub position: PromptPosition,
    /// Between it and the client's own text, where the two become one string.
    pub separator: Arc<str>,
    /// What it says.
    pub template: Template,
    /// Its text, plain and in the spelling of JSON, if no variable stands in it.
    pub(super) fixed: Option<(Arc<str>, Arc<str>)>,
    models: Vec<Glob>,
    keys: Vec<Glob>,
}

impl Prompts {
    /// The prompts of a config: lower priorities first, then by file name; inline ones come after the files of their
    /// priority, in the config's order, which also decides between two files of one name.
    pub fn new(all: &[types::Prompt]) -> Self {
        let mut on: Vec<&types::Prompt> = all.iter().filter(|one| one.settings.enabled).collect();
        on.sort_by_key(|one| (one.settings.priority, one.file.is_none(), one.file.as_deref()));
        Self(on.into_iter().map(Prompt::new).collect())
    }

    /// Those for an alias and the name of the client's key, in order. Who has no key has an empty name.
    pub fn for_request<'a>(
        &'a self,
        alias: &'a str,
        key: Option<&'a str>,
    ) -> impl Iterator<Item = &'a Prompt> {
        let key = key.unwrap_or_default();
        let fits = |globs: &[Glob], name: &str| globs.iter().any(|glob| glob.matches(name));
        let mine = move |one: &&Prompt| fits(&one.models, alias) && fits(&one.keys, key);
        self.0.iter().filter(mine)
    }

    /// Whether there are none for anybody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Prompt {
    fn new(prompt: &types::Prompt) -> Self {
        let settings = &prompt.settings;
        Self {
            name: Arc::from(prompt.file.as_deref().unwrap_or("text")),
            position: settings.position,
            separator: Arc::from(settings.separator.as_str()),
            template: prompt.template.clone(),
            fixed: match prompt.template.pieces() {
                [Piece::Literal(text)] => Some((Arc::clone(text), spelled(text))),
                _ => None,
            },
            models: settings.models.clone(),
            keys: settings.keys.clone(),
        }
    }
}

/// Never the text: it may hold what the environment keeps.
impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prompt({}, {:?})", self.name, self.position)
    }
}

/// The spelling of a text as a JSON string: the same where it needs no escape.
pub(super) fn spelled(text: &Arc<str>) -> Arc<str> {
    let spelled = JsonStr::of(text);
    if spelled.spelling().len() == text.len() {
        Arc::clone(text)
    } else {
        Arc::from(spelled.spelling())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    const LEAST: &str = "backends: [{name: a, protocol: openai, url: 'http://a'}]\n\
                         models: {gpt-5: {backend: a}, 'gpt-*': {backend: a}, claude: {backend: a}}\n\
                         api_keys: [{name: team-a, key: 0123456789abcdef}, {name: solo, key: 0123456789abcdeg}]\n";

    /// The prompts of a config with these items; a text that begins with `file:` counts as a file of that name.
    fn prompts(items: &str) -> Prompts {
        let yaml = format!("system_prompts: [{items}]\n{LEAST}");
        let mut config = parse(&yaml, "c.yaml", Path::new(""), &|_| None).unwrap().config;
        for prompt in &mut config.system_prompts {
            let text = said(&prompt.template);
            prompt.file = text.strip_prefix("file:").map(str::to_owned);
        }
        Prompts::new(&config.system_prompts)
    }

    fn said(template: &Template) -> String {
        match template.pieces() {
            [Piece::Literal(text)] => text.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn chosen(prompts: &Prompts, alias: &str, key: Option<&str>) -> String {
        let all = prompts.for_request(alias, key);
        all.map(|one| said(&one.template)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_order_is_priority_then_files_by_name_then_inline_ones_as_they_stand() {
        let prompts = prompts(
            "{text: z}, {text: a}, {text: 'file:b.md'}, {text: 'file:a.md'}, {text: first, priority: -1}, \
             {text: 'file:0.md', priority: 200}, {text: off, enabled: false}",
        );
        assert_eq!(
            chosen(&prompts, "claude", None),
            "first file:a.md file:b.md z a file:0.md"
        );
        let names: Vec<&str> = prompts.0.iter().map(|one| &*one.name).collect();
        assert_eq!(names, ["text", "a.md", "b.md", "text", "text", "0.md"]);
    }

    #[test]
    fn a_prompt_counts_for_its_aliases_and_keys_alone() {
        let prompts = prompts(
            "{text: all}, {text: gpt, models: 'gpt-*'}, {text: exact, models: [claude, gpt-5]}, \
             {text: team, keys: team-*}, {text: both, models: claude, keys: solo}, {text: none, models: []}",
        );
        for (alias, key, expected) in [
            ("gpt-5", None, "all gpt exact"),
            ("gpt-*", None, "all gpt"),
            ("claude", Some("team-a"), "all exact team"),
            ("claude", Some("solo"), "all exact both"),
            ("gpt-4", Some("solo"), "all gpt"),
        ] {
            assert_eq!(chosen(&prompts, alias, key), expected, "{alias} {key:?}");
        }
        assert!(!prompts.is_empty());
        assert!(self::prompts("{text: a, enabled: false}").is_empty());
    }
}
