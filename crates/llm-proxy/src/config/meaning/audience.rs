//! Whom a prompt is for: globs of aliases and of keys that fit something.

use super::models::Aliases;
use crate::base::glob::Glob;
use crate::config::fields::clients::API_KEY;
use crate::config::findings::Findings;
use crate::config::view::View;

/// The aliases and the keys of a config.
pub(crate) struct Audience<'a> {
    aliases: Aliases<'a>,
    keys: Vec<&'a str>,
}

impl<'a> Audience<'a> {
    /// Those of that config.
    pub(crate) fn new(top: &View<'a>) -> Self {
        let keys = top.sections("api_keys", &API_KEY);
        Self {
            aliases: Aliases::new(top),
            keys: keys.iter().filter_map(|key| key.get("name")?.text()).collect(),
        }
    }

    /// Warns of each glob of a prompt that fits nothing. `*` fits who comes without a key, too.
    pub(crate) fn check(&self, prompt: &View<'_>, findings: &mut Findings<'_>) {
        for glob in prompt.items("models") {
            self.aliases.should_fit(glob, findings);
        }
        for node in prompt.items("keys") {
            let Some(text) = node.text().filter(|text| !text.is_empty()) else {
                continue;
            };
            let glob = Glob::new(text);
            if !glob.matches("") && !self.keys.iter().any(|name| glob.matches(name)) {
                findings.warn(node.span, format!("`{text}` fits no API key"));
            }
        }
    }
}
