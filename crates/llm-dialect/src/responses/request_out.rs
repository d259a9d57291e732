//! A request for a backend that speaks Responses.

use super::items_out;
use super::tools_out;
use crate::canon::write::{self, Object};
use crate::canon::{Encoded, Format, JsonStr, Losses, Refusal, Request, Target, schema};
use crate::names::{self, Names, OPENAI_NAME};

/// The longest id of a user that `OpenAI` takes.
const LONGEST_USER: usize = 64;
/// Settings that go on under their own name.
const TAKEN: [&str; 9] = [
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
    "max_tool_calls",
    "truncation",
];

/// Writes a request.
///
/// # Errors
/// It asks for something that Responses cannot express.
pub fn request_out(
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    refuse(request)?;
    let names = Names::of(&request.tools, OPENAI_NAME, true);
    let tools = tools_out::kept(request, losses)?;
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    write::object(&mut body, |all| {
        all.str("model", target.model);
        failed = items_out::write(all, request, (target, &names), losses).err();
        tools_out::write(all, request, &tools, &names, losses);
        settings(all, request, target, losses);
        if request.stream {
            all.bool("stream", true);
        }
    });
    match failed {
        Some(refusal) => Err(refusal),
        None => Ok(Encoded {
            body,
            names,
            json_tool: false,
        }),
    }
}

fn refuse(request: &Request<'_>) -> Result<(), Refusal> {
    if request.carried("n").is_some() {
        return Err(Refusal::unsupported(
            "n",
            "This model's backends give one answer a request; ask several times.",
        ));
    }
    if request.max_tokens == Some(0) {
        return Err(Refusal::unsupported(
            "max_tokens",
            "Warming the cache (`max_tokens: 0`) cannot be had from this model's backends.",
        ));
    }
    Ok(())
}

fn settings(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    if let Some(limit) = request.max_tokens.or(target.max_tokens) {
        all.number("max_output_tokens", limit);
    }
    if !request.stop.is_empty() {
        losses.note("stop");
    }
    for setting in &request.carried {
        let (name, value) = (setting.name, setting.value.get());
        match name {
            "temperature" | "top_p" if target.traits.sampling => all.raw(name, value),
            "top_logprobs" => all.raw(name, value),
            _ if TAKEN.contains(&name) => all.raw(name, value),
            // They have places of their own.
            "verbosity" | "logprobs" => continue,
            other => {
                losses.note(other);
                continue;
            }
        };
    }
    if request.carried("store").is_none() {
        // Nobody asked for it to be kept, and here it is kept unless told otherwise.
        all.bool("store", false);
    }
    include(all, request, target);
    effort(all, request, target, losses);
    text(all, request);
    user(all, request, target);
}

/// What the answer is to bring along: sealed reasoning from models that reason, probabilities where they were asked for.
fn include(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>) {
    let reasons = !target.traits.sampling;
    let probable = request.carried("logprobs").is_some_and(|it| it.get() == "true");
    if !reasons && !probable {
        return;
    }
    all.array("include", |list| {
        if reasons {
            list.raw("\"reasoning.encrypted_content\"");
        }
        if probable {
            list.raw("\"message.output_text.logprobs\"");
        }
    });
}

fn effort(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    let reasons = !target.traits.sampling || !target.openai;
    match request
        .thinking
        .effort_for(&target.traits, "reasoning_effort", losses)
    {
        Some(effort) if reasons => {
            all.object("reasoning", |it| {
                it.str("effort", effort.name());
            });
        }
        Some(_) if request.thinking.effort.is_some() => losses.note("reasoning_effort"),
        _ => {}
    }
}

fn text(all: &mut Object<'_>, request: &Request<'_>) {
    let verbosity = request.carried("verbosity");
    if request.format.is_none() && verbosity.is_none() {
        return;
    }
    all.object("text", |it| {
        if let Some(form) = &request.format {
            it.object("format", |it| format(it, form));
        }
        if let Some(verbosity) = verbosity {
            it.raw("verbosity", verbosity.get());
        }
    });
}

fn format(it: &mut Object<'_>, format: &Format<'_>) {
    match format {
        Format::JsonObject => {
            it.str("type", "json_object");
        }
        Format::Schema {
            name,
            description,
            schema: of,
            strict,
        } => {
            it.str("type", "json_schema");
            it.text("name", name.as_ref().unwrap_or(&JsonStr::spelled_so("output")));
            if let Some(description) = description {
                it.text("description", description);
            }
            if let Some(of) = of {
                it.raw("schema", of.get());
                it.bool("strict", strict.unwrap_or_else(|| schema::is_strict_legal(of)));
            }
        }
    }
}

/// `OpenAI` wants a short id without odd characters; whoever sent another one is known by its digest.
fn user(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>) {
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
