//! The content of a healthy answer, before it has a dialect.

use super::Ask;

const TEXT: &str = "Hello from the simulated backend. The same question always has this same answer.";
const REFUSAL: &str = "I'm sorry, I can't assist with that request.";
/// An opaque thinking signature, in base64 as the real ones are.
pub(crate) const SIGNATURE: &str = "c2ltdWxhdGVkLXRoaW5raW5nLXNpZ25hdHVyZQ==";
/// Opaque reasoning, as OpenAI gives it to clients that keep their conversation themselves.
pub(crate) const ENCRYPTED: &str = "Z0FBQUFBQnNpbXVsYXRlZC1yZWFzb25pbmc=";
/// What the agent thinks before each of its turns.
pub(crate) const THOUGHT: &str = "The user is \"waiting\";\nso I think: naïve, 日本, 🦀.";

/// What is to be said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Speech {
    pub(crate) text: Option<String>,
    pub(crate) reasoning: Option<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) refuses: bool,
    pub(crate) empty: bool,
    pub(crate) deltas: Option<usize>,
    pub(crate) truncated: bool,
    pub(crate) usage: Option<(u64, u64)>,
    pub(crate) cached: u64,
}

/// A call of a tool.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON text; of a custom tool, any.
    pub(crate) arguments: String,
    /// A custom tool takes a raw text.
    pub(crate) is_custom: bool,
    /// The arguments come in this many deltas at most.
    pub(crate) deltas: usize,
}

impl Tool {
    /// A call of a function, in few deltas.
    pub(crate) fn function(name: &str, arguments: &str) -> Self {
        Self {
            name: name.to_owned(),
            arguments: arguments.to_owned(),
            is_custom: false,
            deltas: 4,
        }
    }

    /// The arguments as their deltas.
    pub(crate) fn pieces(&self) -> Vec<String> {
        even(&self.arguments, self.arguments.chars().count().min(self.deltas))
    }
}

/// Tokens of one answer. `input` counts the cached ones too, as OpenAI does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) cached: u64,
    pub(crate) output: u64,
}

impl Speech {
    /// The text; none where tools are called or a refusal is given in its place.
    pub(crate) fn text(&self) -> Option<String> {
        let text = match &self.text {
            _ if self.empty || self.refuses => return None,
            Some(text) => text,
            None if self.tools.is_empty() => TEXT,
            None => return None,
        };
        let chars = text.chars().count().max(1);
        Some(text.repeat(self.deltas.unwrap_or(1).div_ceil(chars).max(1)))
    }

    pub(crate) fn refusal(&self) -> Option<&'static str> {
        self.refuses.then_some(REFUSAL)
    }

    /// A text as its deltas: as many as were asked for, else one a word.
    pub(crate) fn pieces(&self, text: &str) -> Vec<String> {
        match self.deltas {
            // Nothing to say is no delta, rather than many empty ones.
            _ if text.is_empty() => Vec::new(),
            None => text.split_inclusive(' ').map(str::to_owned).collect(),
            Some(deltas) => even(text, deltas),
        }
    }

    /// What was asked to be reported, else about a token for every four bytes.
    pub(crate) fn usage(&self, ask: &Ask) -> Usage {
        let (input, output) = self.usage.unwrap_or_else(|| (ask.input_tokens, self.tokens()));
        Usage {
            input,
            cached: self.cached.min(input),
            output,
        }
    }

    fn tokens(&self) -> u64 {
        let tools = self
            .tools
            .iter()
            .map(|tool| tool.name.len() + tool.arguments.len())
            .sum::<usize>();
        let bytes = self.text().map_or(0, |t| t.len())
            + self.reasoning.as_ref().map_or(0, String::len)
            + self.refusal().map_or(0, str::len)
            + tools;
        bytes.div_ceil(4) as u64
    }
}

/// Cuts a text into `count` pieces whose lengths differ by one character at most.
pub(crate) fn even(text: &str, count: usize) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let bound = |i: usize| i * chars.len() / count.max(1);
    (0..count)
        .map(|i| {
            chars
                .get(bound(i)..bound(i + 1))
                .unwrap_or_default()
                .iter()
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_in_the_number_of_deltas_asked_for() {
        let speech = Speech {
            text: Some("añb".into()),
            deltas: Some(7),
            ..Speech::default()
        };
        let text = speech.text().unwrap();
        assert_eq!(text, "añbañbañb");
        let pieces = speech.pieces(&text);
        assert_eq!(pieces.len(), 7);
        assert_eq!(pieces.concat(), text);
        assert!(speech.pieces("").is_empty(), "nothing is not said in pieces");
        assert!(
            pieces.iter().all(|piece| !piece.is_empty()),
            "an empty delta says nothing: {pieces:?}"
        );
    }

    #[test]
    fn text_gives_way_to_tools_refusals_and_silence() {
        let call = Tool::function("f", "{}");
        assert!(Speech::default().text().is_some());
        assert_eq!(
            Speech {
                tools: vec![call],
                ..Speech::default()
            }
            .text(),
            None
        );
        assert_eq!(
            Speech {
                refuses: true,
                ..Speech::default()
            }
            .text(),
            None
        );
        assert_eq!(
            Speech {
                empty: true,
                ..Speech::default()
            }
            .text(),
            None
        );
    }
}
