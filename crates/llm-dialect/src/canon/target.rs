//! Who a request is encoded for.

use crate::dialect::Dialect;
use crate::traits::Traits;

/// A backend and its model, as far as an encoder must know them.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The dialect that it speaks.
    pub dialect: Dialect,
    /// Its name of the model.
    pub model: &'a str,
    /// Whose models it serves: reasoning that one family sealed is of no use to another (`anthropic`, `openai`, a host).
    pub family: &'a str,
    /// Whether it is `OpenAI` itself (or Azure), not one of the many hosts that speak its dialects.
    pub openai: bool,
    /// What the alias fills in where the client names no limit.
    pub max_tokens: Option<u64>,
    /// What its model takes.
    pub traits: Traits,
}
