//! What chat and Responses have in common, both being `OpenAI`'s: each has its one reader and writer here.

use serde::Deserialize;

use crate::canon::reading::Silent;
use crate::canon::write::Object;
use crate::canon::{CacheMark, Format, JsonStr, Refusal, Request, Target, schema};
use crate::names;

/// The longest id of a user that `OpenAI` takes.
const LONGEST_USER: usize = 64;

/// `OpenAI`'s mark of what is worth caching.
#[derive(Deserialize)]
pub(crate) struct Breakpoint {
    ttl: Option<String>,
    #[serde(default, rename = "mode")]
    _mode: Option<Silent>,
}

impl Breakpoint {
    /// Its times are not Anthropic's: the nearest.
    pub(crate) fn mark(&self) -> CacheMark {
        match self.ttl.as_deref() {
            Some("12h") => CacheMark::OneHour,
            Some(_) => CacheMark::FiveMinutes,
            None => CacheMark::Usual,
        }
    }
}

/// Neither can be asked for no answer.
///
/// # Errors
/// The request does.
pub(crate) fn refuse_warming(request: &Request<'_>) -> Result<(), Refusal> {
    if request.max_tokens == Some(0) {
        return Err(Refusal::unsupported(
            "max_tokens",
            "Warming the cache (`max_tokens: 0`) cannot be had from this model's backends.",
        ));
    }
    Ok(())
}

/// `OpenAI` wants a short id without odd characters; whoever sent another one is known by its digest.
pub(crate) fn user(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>) {
    let Some(user) = &request.user else { return };
    let legal = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    let plain = user.read();
    let name = if target.openai {
        "safety_identifier"
    } else {
        "user"
    };
    if plain.len() <= LONGEST_USER && plain.chars().all(legal) {
        all.text(name, user);
    } else {
        all.str(name, &names::digest(&plain, 64));
    }
}

/// What a wanted schema has beside its type: its name, what it is for, itself, and whether it is obeyed to the letter.
pub(crate) fn schema_members(it: &mut Object<'_>, format: &Format<'_>) {
    let Format::Schema {
        name,
        description,
        schema: of,
        strict,
    } = format
    else {
        return;
    };
    it.text("name", name.as_ref().unwrap_or(&JsonStr::spelled_so("output")));
    if let Some(description) = description {
        it.text("description", description);
    }
    if let Some(of) = of {
        it.raw("schema", of.get());
        it.bool("strict", strict.unwrap_or_else(|| schema::is_strict_legal(of)));
    }
}
