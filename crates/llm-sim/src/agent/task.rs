//! What a text asks for, and which of the offered tools can do it.
//!
//! `write the word PELICAN into bird.txt`, and if it matters ` with apply_patch` after that; or `call the tool
//! weather with {"city":"Oslo"}`. Several in one text become calls at once.

use serde_json::{Value, json};

use crate::api::Api;

/// One wish.
#[derive(Debug, PartialEq)]
pub(super) enum Task<'t> {
    Write {
        word: &'t str,
        path: &'t str,
        with: Option<&'t str>,
    },
    Call {
        tool: &'t str,
        arguments: Value,
    },
}

/// A tool as the request offers it.
#[derive(Debug)]
pub(super) struct Offer<'a> {
    name: &'a str,
    schema: &'a Value,
    is_custom: bool,
}

/// A call to be made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) name: String,
    /// JSON text, or a custom tool's raw one.
    pub(super) arguments: String,
    pub(super) is_custom: bool,
}

/// Everything that a text asks for.
pub(super) fn tasks(text: &str) -> Vec<Task<'_>> {
    let writes = text.split("write the word ").skip(1).filter_map(write);
    let calls = text.split("call the tool ").skip(1).filter_map(call);
    writes.chain(calls).collect()
}

fn write(rest: &str) -> Option<Task<'_>> {
    let mut words = rest.split_whitespace();
    let word = words.next()?;
    if words.next()? != "into" {
        return None;
    }
    let path = words.next()?.trim_end_matches(['.', ',', ';']);
    let with = (words.next() == Some("with")).then(|| words.next()).flatten();
    Some(Task::Write {
        word,
        path,
        with: with.map(|name| name.trim_end_matches(['.', ',', ';'])),
    })
}

fn call(rest: &str) -> Option<Task<'_>> {
    let (tool, rest) = rest.split_once(" with ")?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter();
    Some(Task::Call {
        tool,
        arguments: values.next()?.ok()?,
    })
}

/// The tools of a request that the client itself runs.
pub(super) fn offers(api: Api, body: &Value) -> Vec<Offer<'_>> {
    let tools = body.get("tools").and_then(Value::as_array);
    tools
        .into_iter()
        .flatten()
        .filter_map(|tool| offer(api, tool))
        .collect()
}

fn offer(api: Api, tool: &Value) -> Option<Offer<'_>> {
    let kind = tool.get("type").and_then(Value::as_str);
    let is_custom = api != Api::Messages && kind == Some("custom");
    let (tool, key) = match api {
        Api::Chat => (tool.get(kind?)?, "parameters"),
        Api::Messages => (tool, "input_schema"),
        _ => (tool, "parameters"),
    };
    Some(Offer {
        name: tool.get("name")?.as_str()?,
        schema: tool.get(key).unwrap_or(&Value::Null),
        is_custom,
    })
}

impl Task<'_> {
    /// The call that does it.
    ///
    /// # Errors
    /// What to say where no tool can.
    pub(super) fn call(&self, offers: &[Offer<'_>]) -> Result<Call, String> {
        let found = match self {
            Self::Call { tool, arguments } => offers
                .iter()
                .find(|offer| offer.name == *tool)
                .map(|offer| offer.called(arguments)),
            Self::Write { word, path, with } => {
                let fits = |offer: &&Offer<'_>| with.is_none_or(|name| name == offer.name);
                let ways = [Offer::writes, Offer::patches, Offer::runs];
                ways.iter()
                    .flat_map(|way| {
                        offers
                            .iter()
                            .filter(fits)
                            .filter_map(move |offer| way(offer, word, path))
                    })
                    .next()
            }
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = offers.iter().map(|offer| offer.name).collect();
            format!("I have no tool for that, only {}.", names.join(", "))
        })
    }
}

impl Offer<'_> {
    fn called(&self, arguments: &Value) -> Call {
        let raw = arguments.as_str().filter(|_| self.is_custom);
        Call {
            name: self.name.to_owned(),
            arguments: raw.map_or_else(|| arguments.to_string(), str::to_owned),
            is_custom: self.is_custom,
        }
    }

    fn has(&self, property: &str) -> bool {
        self.property(property).is_some()
    }

    fn property(&self, name: &str) -> Option<&Value> {
        self.schema.get("properties")?.get(name)
    }

    /// A tool that writes whole files.
    fn writes(&self, word: &str, path: &str) -> Option<Call> {
        let arguments = json!({"file_path": path, "content": format!("{word}\n")});
        (self.has("file_path") && self.has("content")).then(|| self.called(&arguments))
    }

    /// A patch: raw, or as the one argument of a function where no raw text can go.
    fn patches(&self, word: &str, path: &str) -> Option<Call> {
        let text = format!("*** Begin Patch\n*** Add File: {path}\n+{word}\n*** End Patch\n");
        match (self.name, self.is_custom) {
            ("apply_patch", true) => Some(self.called(&Value::from(text))),
            ("apply_patch", false) if self.has("input") => Some(self.called(&json!({"input": text}))),
            _ => None,
        }
    }

    /// A shell, whose command is a text or a list of words.
    fn runs(&self, word: &str, path: &str) -> Option<Call> {
        let name = self.name.to_lowercase();
        if !["bash", "shell", "exec"].iter().any(|known| name.contains(known)) {
            return None;
        }
        let command = format!("printf '%s\\n' '{word}' > '{path}'");
        if self.has("cmd") {
            return Some(self.called(&json!({"cmd": command})));
        }
        let is_list = self.property("command")?.get("type")? == "array";
        Some(self.called(&if is_list {
            json!({"command": ["bash", "-lc", command]})
        } else {
            json!({"command": command})
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_may_ask_for_several_things() {
        let text = "Please write the word A into a.txt, then write the word B into /b.txt with Bash. \
                    And call the tool weather with {\"city\":\"Oslo\"} now.";
        assert_eq!(
            tasks(text),
            [
                Task::Write {
                    word: "A",
                    path: "a.txt",
                    with: None
                },
                Task::Write {
                    word: "B",
                    path: "/b.txt",
                    with: Some("Bash")
                },
                Task::Call {
                    tool: "weather",
                    arguments: json!({"city": "Oslo"})
                },
            ]
        );
        for nothing in ["hello", "write the word A", "call the tool f with {"] {
            assert_eq!(tasks(nothing), [], "{nothing}");
        }
    }

    #[test]
    fn each_kind_of_tool_is_called_as_its_schema_says() {
        let tool = |name: &str, property: &str, kind: &str| {
            json!({"type": "function", "name": name,
                "parameters": {"type": "object", "properties": {property: {"type": kind}}}})
        };
        let shell = "printf '%s\\n' 'A' > 'a.txt'";
        let patch = "*** Begin Patch\n*** Add File: a.txt\n+A\n*** End Patch\n";
        for (tool, arguments) in [
            (
                tool("exec_command", "cmd", "string"),
                json!({"cmd": shell}).to_string(),
            ),
            (
                tool("Bash", "command", "string"),
                json!({"command": shell}).to_string(),
            ),
            (
                tool("shell", "command", "array"),
                json!({"command": ["bash", "-lc", shell]}).to_string(),
            ),
            (
                tool("apply_patch", "input", "string"),
                json!({"input": patch}).to_string(),
            ),
            (json!({"type": "custom", "name": "apply_patch"}), patch.to_owned()),
        ] {
            let body = json!({"tools": [tool]});
            let offers = offers(Api::Responses, &body);
            let call = tasks("write the word A into a.txt")[0].call(&offers).unwrap();
            assert_eq!(call.arguments, arguments, "{tool}");
            assert_eq!(call.is_custom, tool["type"] == "custom");
        }
    }

    #[test]
    fn a_tool_that_writes_files_comes_before_a_shell_unless_one_is_named() {
        let body = json!({"tools": [
            {"name": "Bash", "input_schema": {"properties": {"command": {"type": "string"}}}},
            {"name": "Write", "input_schema": {"properties": {"file_path": {}, "content": {}}}},
        ]});
        let offers = offers(Api::Messages, &body);
        let name = |text| tasks(text)[0].call(&offers).map(|call| call.name);
        assert_eq!(name("write the word A into a").as_deref(), Ok("Write"));
        assert_eq!(name("write the word A into a with Bash").as_deref(), Ok("Bash"));
        assert!(
            name("write the word A into a with Edit")
                .unwrap_err()
                .contains("Bash, Write")
        );
    }
}
