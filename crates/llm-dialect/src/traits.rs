//! What models take, by their names: quirks as data.
//!
//! Backends say little of what their models refuse, so names have to tell. Whatever is not known here is treated as a
//! current model of its dialect that takes the safest form of everything.

use crate::canon::Effort;
use crate::dialect::Dialect;

/// How a model wants to be told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThinkingForm {
    /// It does not think; it is told nothing.
    Never,
    /// By a number of tokens (`thinking: {type: enabled, budget_tokens}`).
    Budget,
    /// By `thinking: {type: adaptive}` and an effort; it can be switched off.
    Adaptive,
    /// By `thinking: {type: adaptive}` and an effort alone: it refuses `enabled` and `disabled`.
    AdaptiveOnly,
    /// By an effort alone: nothing else is known to be safe.
    Effort,
}

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Traits {
    /// How it wants to be told to think.
    pub thinking: ThinkingForm,
    /// The efforts that it lists, the least first.
    pub efforts: &'static [Effort],
    /// Whether it takes temperature, `top_p` and the like.
    pub sampling: bool,
    /// Whether it takes instructions in the middle of a conversation.
    pub system_anywhere: bool,
    /// Whether it can be held to a JSON schema.
    pub structured: bool,
    /// The most tokens that it can answer, where known.
    pub output_limit: Option<u64>,
    /// Whether it wants the text of its reasoning back with its calls (`reasoning_content`).
    pub reasoning_text: bool,
    /// Whether it takes ids of nine letters and digits alone.
    pub short_ids: bool,
}

use Effort::{High, Low, Max, Medium, Minimal, None as NoEffort, XHigh};

const CLAUDE_EFFORTS: &[Effort] = &[Low, Medium, High];
const CLAUDE_EFFORTS_MAX: &[Effort] = &[Low, Medium, High, Max];
const CLAUDE_EFFORTS_ALL: &[Effort] = &[Low, Medium, High, XHigh, Max];
const O_EFFORTS: &[Effort] = &[Low, Medium, High];
const GPT5_EFFORTS: &[Effort] = &[Minimal, Low, Medium, High];
const GPT51_EFFORTS: &[Effort] = &[NoEffort, Low, Medium, High];
const GPT52_EFFORTS: &[Effort] = &[NoEffort, Low, Medium, High, XHigh];
const GPT6_EFFORTS: &[Effort] = &[NoEffort, Low, Medium, High, XHigh, Max];

impl Traits {
    /// What the model of that name takes from a backend of that dialect.
    pub fn of(dialect: Dialect, model: &str) -> Self {
        let lower = model.to_ascii_lowercase();
        match dialect {
            Dialect::Messages => claude(&lower),
            Dialect::Chat | Dialect::Responses => openai(&lower),
        }
    }

    /// The nearest effort that the model lists: the highest one not above, else the lowest.
    pub fn nearest(&self, wanted: Effort) -> Effort {
        let below = self.efforts.iter().rev().find(|effort| **effort <= wanted);
        below.or(self.efforts.first()).copied().unwrap_or(wanted)
    }
}

/// A model of Anthropic; hosts that serve others in its dialect get the safest form.
fn claude(model: &str) -> Traits {
    let unknown = Traits {
        thinking: ThinkingForm::Effort,
        efforts: CLAUDE_EFFORTS,
        sampling: true,
        system_anywhere: false,
        structured: true,
        output_limit: None,
        reasoning_text: false,
        short_ids: false,
    };
    let Some(at) = model.find("claude") else {
        return unknown;
    };
    let name = model.get(at..).unwrap_or_default();
    let Some(version) = version(name) else {
        return unknown;
    };
    let opus = name.contains("opus");
    let (thinking, efforts) = match version {
        0..307 => (ThinkingForm::Never, &[] as &[Effort]),
        405 if opus => (ThinkingForm::Budget, CLAUDE_EFFORTS),
        307..406 => (ThinkingForm::Budget, &[] as &[Effort]),
        406 => (ThinkingForm::Adaptive, CLAUDE_EFFORTS_MAX),
        _ => (ThinkingForm::AdaptiveOnly, CLAUDE_EFFORTS_ALL),
    };
    Traits {
        thinking,
        efforts,
        sampling: version <= 406,
        system_anywhere: version >= 408,
        structured: version >= 405 || (opus && version >= 401),
        output_limit: Some(claude_limit(version, opus)),
        ..unknown
    }
}

fn claude_limit(version: u32, opus: bool) -> u64 {
    match version {
        0..305 => 4_096,
        305..307 => 8_192,
        307..405 if opus => 32_000,
        307..406 => 64_000,
        _ => 128_000,
    }
}

fn openai(model: &str) -> Traits {
    let name = model.rsplit('/').next().unwrap_or(model);
    let (thinks, efforts) = openai_efforts(name);
    let wants_text = ["deepseek", "kimi", "glm", "minimax", "mimo"];
    Traits {
        thinking: ThinkingForm::Effort,
        efforts,
        sampling: !thinks,
        system_anywhere: !["qwen", "gemma", "perplexity", "sonar"]
            .iter()
            .any(|it| model.contains(it)),
        structured: true,
        output_limit: None,
        reasoning_text: wants_text.iter().any(|it| model.contains(it)),
        short_ids: [
            "mistral",
            "ministral",
            "codestral",
            "devstral",
            "magistral",
            "pixtral",
        ]
        .iter()
        .any(|it| model.contains(it)),
    }
}

/// Whether a model of `OpenAI` reasons, and with which efforts.
fn openai_efforts(name: &str) -> (bool, &'static [Effort]) {
    if name.starts_with("gpt-") && name.contains("-chat") {
        return (false, &Effort::ALL);
    }
    if ["o1", "o3", "o4"]
        .iter()
        .any(|it| name == *it || name.starts_with(&format!("{it}-")))
    {
        return (true, O_EFFORTS);
    }
    match name.strip_prefix("gpt-").and_then(version) {
        Some(500) => (true, GPT5_EFFORTS),
        Some(501) if name.contains("max") => (true, GPT52_EFFORTS),
        Some(501) => (true, GPT51_EFFORTS),
        Some(502..600) => (true, GPT52_EFFORTS),
        Some(600..) => (true, GPT6_EFFORTS),
        _ => (false, &Effort::ALL),
    }
}

/// The first one or two short numbers of a name, the first in hundreds: `claude-sonnet-4-5-20250929` is 405,
/// `gpt-5.1-codex` is 501.
fn version(name: &str) -> Option<u32> {
    let mut parts = name
        .split(['-', '.', '_', '@', ':', '['])
        .skip_while(|part| number(part).is_none());
    let major = parts.next().and_then(number)?;
    Some(major * 100 + parts.next().and_then(number).unwrap_or(0))
}

/// A number of a version; dates are longer.
fn number(part: &str) -> Option<u32> {
    (part.len() <= 2).then(|| part.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_models_are_told_apart_by_their_names() {
        use ThinkingForm::{Adaptive, AdaptiveOnly, Budget, Effort, Never};
        #[rustfmt::skip]
        let table = [
            ("claude-3-5-sonnet-20241022", Never, true, Some(8_192)),
            ("claude-3-haiku-20240307", Never, true, Some(4_096)),
            ("claude-3-7-sonnet-latest", Budget, true, Some(64_000)),
            ("claude-opus-4-20250514", Budget, true, Some(32_000)),
            ("claude-sonnet-4-5", Budget, true, Some(64_000)),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Budget, true, Some(64_000)),
            ("anthropic/claude-opus-4.6", Adaptive, true, Some(128_000)),
            ("claude-opus-4-8", AdaptiveOnly, false, Some(128_000)),
            ("claude-fable-5", AdaptiveOnly, false, Some(128_000)),
            ("glm-4.6", Effort, true, None),
        ];
        for (name, thinking, sampling, limit) in table {
            let traits = Traits::of(Dialect::Messages, name);
            assert_eq!(
                (traits.thinking, traits.sampling, traits.output_limit),
                (thinking, sampling, limit),
                "{name}"
            );
        }
        assert!(Traits::of(Dialect::Messages, "claude-opus-4-8").system_anywhere);
        assert!(!Traits::of(Dialect::Messages, "claude-sonnet-4-5").system_anywhere);
    }

    #[test]
    fn openai_models_reason_or_take_a_temperature() {
        for (name, sampling, top) in [
            ("gpt-4o", true, Max),
            ("gpt-5", false, High),
            ("gpt-5-mini-2025-08-07", false, High),
            ("gpt-5-chat-latest", true, Max),
            ("gpt-5.1-codex", false, High),
            ("gpt-5.2", false, XHigh),
            ("gpt-6", false, Max),
            ("o4-mini", false, High),
            ("openai/o3", false, High),
            ("llama-3.3-70b", true, Max),
        ] {
            let traits = Traits::of(Dialect::Chat, name);
            assert_eq!((traits.sampling, traits.nearest(Max)), (sampling, top), "{name}");
        }
        assert_eq!(Traits::of(Dialect::Chat, "gpt-5").nearest(NoEffort), Minimal);
        assert!(Traits::of(Dialect::Chat, "deepseek-reasoner").reasoning_text);
    }
}
