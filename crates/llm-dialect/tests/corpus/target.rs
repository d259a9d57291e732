//! A usual backend of each dialect.

use llm_dialect::Dialect;
use llm_dialect::canon::Target;
use llm_dialect::traits::Traits;

pub(crate) fn target(dialect: Dialect) -> Target<'static> {
    let (model, family) = match dialect {
        Dialect::Messages => ("claude-sonnet-4-5", "anthropic"),
        Dialect::Chat => ("gpt-4.1", "openai"),
        Dialect::Responses => ("gpt-5", "openai"),
    };
    Target {
        dialect,
        model,
        family,
        openai: dialect != Dialect::Messages,
        max_tokens: None,
        traits: Traits::of(dialect, model),
    }
}
