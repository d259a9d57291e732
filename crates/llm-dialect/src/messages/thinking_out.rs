//! How a model of Anthropic is told to think, valid for that model.

use crate::canon::seal::{self, Admitted};
use crate::canon::{Block, Effort, Losses, Request, Role, Target, ThinkMode, ToolChoice};
use crate::traits::ThinkingForm;

/// The least budget that is taken.
const LEAST: u64 = 1_024;
/// The largest that is asked for.
const MOST: u64 = 32_000;
/// A smaller limit of the answer leaves no room to think.
const ROOM: u64 = 2 * LEAST;

/// What is written of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// `thinking`.
    pub(super) thinking: Option<Kind>,
    /// `output_config.effort`.
    pub(super) effort: Option<Effort>,
    /// The choice of a tool cannot be forced, since thinking cannot be switched off.
    pub(super) free_choice: bool,
}

/// The kinds of `thinking`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Enabled(u64),
    Adaptive,
    Disabled,
}

impl Told {
    /// Whether the model thinks by what it is told.
    pub(super) fn thinks(&self) -> bool {
        matches!(self.thinking, Some(Kind::Enabled(_) | Kind::Adaptive))
    }
}

/// Decides what to tell, for an answer of at most `max_tokens`.
pub(super) fn told(request: &Request<'_>, target: &Target<'_>, max_tokens: u64, losses: &mut Losses) -> Told {
    let told = wanted(request, target, max_tokens, losses);
    if !told.thinks() {
        return told;
    }
    let forced = matches!(
        request.tool_choice,
        Some(ToolChoice::Required | ToolChoice::Named { .. } | ToolChoice::Allowed { required: true, .. })
    );
    let only = target.traits.thinking == ThinkingForm::AdaptiveOnly;
    let loses_thread =
        matches!(told.thinking, Some(Kind::Enabled(_))) && loop_without_thinking(request, target);
    match (forced, only) {
        (true, true) => {
            losses.note("tool_choice");
            Told {
                free_choice: true,
                ..told
            }
        }
        (true, false) => without(losses),
        (false, _) if loses_thread => without(losses),
        (false, _) => told,
    }
}

/// No thinking after all.
fn without(losses: &mut Losses) -> Told {
    losses.note("reasoning_effort");
    Told::default()
}

fn wanted(request: &Request<'_>, target: &Target<'_>, max_tokens: u64, losses: &mut Losses) -> Told {
    let (traits, asked) = (&target.traits, request.thinking);
    let Some(effort) = asked
        .effort()
        .or((asked.mode == ThinkMode::Adaptive).then_some(Effort::Medium))
    else {
        return Told::default();
    };
    let named = |thinking, losses: &mut Losses| Told {
        thinking,
        effort: Some(nearest(traits.efforts, effort, losses)),
        free_choice: false,
    };
    match (traits.thinking, effort) {
        (ThinkingForm::Never | ThinkingForm::Budget | ThinkingForm::Effort, Effort::None) => Told::default(),
        (ThinkingForm::Never, _) => without(losses),
        (ThinkingForm::Budget, effort) => budget(asked.mode, effort, max_tokens, losses),
        (ThinkingForm::Adaptive, Effort::None) => Told {
            thinking: Some(Kind::Disabled),
            ..Told::default()
        },
        (ThinkingForm::AdaptiveOnly, Effort::None) => {
            losses.note("reasoning_effort");
            named(Some(Kind::Adaptive), losses)
        }
        (ThinkingForm::Adaptive | ThinkingForm::AdaptiveOnly, _) => named(Some(Kind::Adaptive), losses),
        (ThinkingForm::Effort, _) => named(None, losses),
    }
}

/// The nearest effort that the model lists. Minimal is what Anthropic calls low.
fn nearest(listed: &'static [Effort], wanted: Effort, losses: &mut Losses) -> Effort {
    let wanted = wanted.max(Effort::Low);
    let below = listed
        .iter()
        .rev()
        .find(|effort| **effort <= wanted)
        .or(listed.first());
    let given = below.copied().unwrap_or(wanted);
    if given != wanted {
        losses.note("reasoning_effort");
    }
    given
}

/// A share of the answer's limit, since reasoning counts towards it.
fn budget(mode: ThinkMode, effort: Effort, max_tokens: u64, losses: &mut Losses) -> Told {
    if max_tokens < ROOM {
        return without(losses);
    }
    let share = match (mode, effort) {
        (ThinkMode::Budget(budget), _) => budget,
        (_, Effort::None | Effort::Minimal) => LEAST,
        (_, Effort::Low) => max_tokens / 5,
        (_, Effort::Medium) => max_tokens / 2,
        (_, Effort::High) => max_tokens / 5 * 4,
        (_, Effort::XHigh | Effort::Max) => max_tokens / 20 * 19,
    };
    let budget = share.min(MOST).min(max_tokens - 1).max(LEAST);
    Told {
        thinking: Some(Kind::Enabled(budget)),
        ..Told::default()
    }
}

/// Whether the conversation stands in a loop of tools whose last turn has no thinking of this model: it would be refused.
fn loop_without_thinking(request: &Request<'_>, target: &Target<'_>) -> bool {
    let answers = |block: &Block<'_>| matches!(block, Block::ToolResult(_));
    let last = request.turns.iter().rev().find(|turn| turn.role == Role::User);
    if !last.is_some_and(|turn| turn.blocks.iter().any(answers)) {
        return false;
    }
    let Some(answer) = request
        .turns
        .iter()
        .rev()
        .find(|turn| turn.role == Role::Assistant)
    else {
        return false;
    };
    let sealed = |block: &Block<'_>| matches!(block, Block::Reasoning(it) if matches!(seal::admit(it, target), Admitted::Sealed(_)));
    !answer.blocks.iter().any(sealed)
}
