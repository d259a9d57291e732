//! What tools and their calls are called on the other side, and the way back.
//!
//! All names are functions of what the client sent: nothing is remembered between requests, and the same tool has the
//! same name in each of them, which keeps prompt caches.

use std::borrow::Cow;
use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::canon::{Tool, ToolKind};

/// The longest tool name that `OpenAI` takes.
pub const OPENAI_NAME: usize = 64;
/// The longest tool name that Anthropic takes.
pub const ANTHROPIC_NAME: usize = 128;
/// The longest call id that `OpenAI` takes.
pub const OPENAI_ID: usize = 64;
/// How much of a long name is kept before its digest.
const KEPT: usize = 48;

/// A tool as the client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    /// Its name.
    pub name: String,
    /// Its namespace.
    pub namespace: Option<String>,
    /// Whether it takes free text, for which a function with one `input` stands in.
    pub custom: bool,
    /// Whether it is the client's search for tools (responses).
    pub search: bool,
}

/// The names of a request's tools on the other side.
#[derive(Clone, Debug, Default)]
pub struct Names {
    limit: usize,
    /// By the name on the other side; only those that are not simply the same function there.
    originals: HashMap<String, Original>,
}

impl Names {
    /// Names for a target that takes at most `limit` characters. With `custom_too` it knows custom tools itself.
    pub fn of(tools: &[Tool<'_>], limit: usize, custom_too: bool) -> Self {
        let mut originals = HashMap::new();
        for tool in tools {
            let namespace = tool.namespace.as_deref();
            let outgoing = outgoing(&tool.name, namespace, limit);
            let custom = matches!(tool.kind, ToolKind::Custom(_)) && !custom_too;
            let search = matches!(tool.kind, ToolKind::ToolSearch(_));
            if custom || search || namespace.is_some() || *outgoing != *tool.name {
                let original = Original {
                    name: tool.name.clone().into_owned(),
                    namespace: namespace.map(str::to_owned),
                    custom,
                    search,
                };
                originals.insert(outgoing.into_owned(), original);
            }
        }
        Self { limit, originals }
    }

    /// What a tool is called on the other side.
    pub fn outgoing<'t>(&self, name: &'t str, namespace: Option<&str>) -> Cow<'t, str> {
        outgoing(name, namespace, self.limit)
    }

    /// The tool that the other side means, where it is not simply the function of that name.
    pub fn original(&self, name: &str) -> Option<&Original> {
        self.originals.get(name)
    }

    /// Whether every tool is simply the function of the same name.
    pub fn is_plain(&self) -> bool {
        self.originals.is_empty()
    }
}

/// `namespace__name`, shortened by a digest where it is too long or has characters that no API takes.
fn outgoing<'t>(name: &'t str, namespace: Option<&str>, limit: usize) -> Cow<'t, str> {
    let full: Cow<'t, str> = match namespace {
        Some(namespace) => Cow::Owned(format!("{namespace}__{name}")),
        None => Cow::Borrowed(name),
    };
    if full.len() <= limit.max(1) && !full.is_empty() && full.chars().all(is_legal) {
        return full;
    }
    let head: String = full
        .chars()
        .map(|it| if is_legal(it) { it } else { '_' })
        .take(KEPT)
        .collect();
    Cow::Owned(format!("{head}_{}", digest(&full, 8)))
}

fn is_legal(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '_' | '-')
}

/// A call's id as Anthropic takes it: letters, digits, `_` and `-`; else a digest of it.
pub fn anthropic_id(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.chars().all(is_legal) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("toolu_{}", digest(id, 24)))
}

/// A call's id as `OpenAI` takes it: at most 64 characters; else a digest of it.
pub fn openai_id(id: &str) -> Cow<'_, str> {
    if !id.is_empty() && id.len() <= OPENAI_ID {
        return Cow::Borrowed(id);
    }
    Cow::Owned(format!("call_{}", digest(id, 24)))
}

/// A call's id as Mistral takes it: nine letters and digits.
pub fn mistral_id(id: &str) -> Cow<'_, str> {
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(digest(id, 9))
}

/// An id of an answer or of an item of it: `prefix` before the backend's own id without odd characters, or before a
/// digest of `salt` where there is none.
pub fn answer_id(prefix: &str, theirs: &str, salt: &str) -> String {
    let clean: String = theirs.chars().filter(|it| is_legal(*it)).take(200).collect();
    match clean.as_str() {
        "" => format!("{prefix}{}", digest(salt, 24)),
        clean if clean.starts_with(prefix) => clean.to_owned(),
        clean => format!("{prefix}{clean}"),
    }
}

/// The id of a call that its backend gave none, by its place among the calls of an answer: no other answer's calls have
/// it, and it is the same whenever the answer is read again.
pub fn made_call_id(answer: &str, place: usize) -> String {
    format!("call_{}", digest(&format!("{answer}/{place}"), 24))
}

/// The first `length` hexadecimal digits of the SHA-256 of a text.
pub fn digest(text: &str, length: usize) -> String {
    let hash = Sha256::digest(text.as_bytes());
    let hex = hash.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    hex.take(length)
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(name: &str, namespace: Option<&str>, kind: ToolKind<'static>) -> Tool<'static> {
        Tool {
            name: Cow::Owned(name.to_owned()),
            namespace: namespace.map(|it| Cow::Owned(it.to_owned())),
            description: None,
            kind,
            strict: None,
            cache: None,
        }
    }

    #[test]
    fn a_plain_function_keeps_its_name_and_needs_no_way_back() {
        let names = Names::of(
            &[tool("get_weather", None, ToolKind::Function(None))],
            OPENAI_NAME,
            false,
        );
        assert!(names.is_plain());
        assert_eq!(names.outgoing("get_weather", None), "get_weather");
    }

    #[test]
    fn what_is_renamed_is_found_again() {
        let long = "x".repeat(100);
        let tools = [
            tool(&long, None, ToolKind::Function(None)),
            tool("spawn", Some("agents"), ToolKind::Function(None)),
            tool("apply_patch", None, ToolKind::Custom(None)),
            tool("mit umlaut ü", None, ToolKind::Function(None)),
        ];
        let names = Names::of(&tools, OPENAI_NAME, false);
        for tool in &tools {
            let out = names.outgoing(&tool.name, tool.namespace.as_deref());
            assert!(out.len() <= OPENAI_NAME && out.chars().all(is_legal), "{out}");
            let original = names.original(&out).expect("it is known");
            assert_eq!(original.name, tool.name);
            assert_eq!(original.namespace.as_deref(), tool.namespace.as_deref());
        }
        assert_eq!(names.outgoing("spawn", Some("agents")), "agents__spawn");
        assert!(names.original("apply_patch").expect("it is known").custom);
    }

    #[test]
    fn ids_fit_the_other_side() {
        assert_eq!(anthropic_id("call_1-a"), "call_1-a");
        assert_eq!(anthropic_id("functions.x:0").len(), 30);
        assert_eq!(openai_id(&"a".repeat(65)).len(), 29);
        assert_eq!(mistral_id("call_abc").len(), 9);
        assert_eq!(mistral_id("Ab3456789"), "Ab3456789");
        assert_eq!(answer_id("msg_", "msg_1", "s"), "msg_1");
        assert_eq!(answer_id("msg_", "chatcmpl-é1", "s"), "msg_chatcmpl-1");
        assert_eq!(answer_id("msg_", "", "s").len(), 28);
    }
}
