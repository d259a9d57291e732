//! How hard a model is to think, said in `OpenAI`'s one word.

use super::loss::Losses;
use super::request::{Effort, ThinkMode, Thinking};
use crate::traits::Traits;

/// Below so many tokens of a budget the effort is low, medium, high.
const LOW: u64 = 4_096;
const MEDIUM: u64 = 16_384;
const HIGH: u64 = 32_768;

impl Thinking {
    /// The effort that it amounts to; nothing where the model is left to itself.
    pub fn effort(&self) -> Option<Effort> {
        match (self.effort, self.mode) {
            (Some(effort), _) => Some(effort),
            (None, ThinkMode::Off) => Some(Effort::None),
            (None, ThinkMode::Budget(0..LOW)) => Some(Effort::Low),
            (None, ThinkMode::Budget(LOW..MEDIUM)) => Some(Effort::Medium),
            (None, ThinkMode::Budget(MEDIUM..HIGH)) => Some(Effort::High),
            (None, ThinkMode::Budget(_)) => Some(Effort::XHigh),
            (None, ThinkMode::Unset | ThinkMode::Adaptive) => None,
        }
    }

    /// The effort to ask a model of these traits for; nothing where it is not to be told. A changed one is noted.
    pub fn effort_for(&self, traits: &Traits, field: &'static str, losses: &mut Losses) -> Option<Effort> {
        let wanted = self.effort()?;
        let listed = traits.efforts.contains(&wanted);
        if wanted == Effort::None && (!listed || traits.sampling) {
            // Not to think is what a model does that cannot, and no word for it is known to the others.
            return None;
        }
        let given = traits.nearest(wanted);
        if given != wanted && self.effort.is_some() {
            losses.note(field);
        }
        Some(given)
    }
}
