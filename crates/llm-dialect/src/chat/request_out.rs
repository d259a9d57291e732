//! A request for a backend that speaks chat.

use super::tools_out;
use super::turns_out;
use crate::canon::write::{self, Object};
use crate::canon::{Encoded, Format, JsonStr, Losses, Refusal, Request, Target, schema};
use crate::names::{Names, OPENAI_NAME};

/// How many stop texts chat takes.
const MOST_STOPS: usize = 4;
/// The longest id of a user that `OpenAI` takes.
const LONGEST_USER: usize = 64;

/// Settings that every host takes.
const FOR_ALL: [&str; 8] = [
    "seed",
    "prompt_cache_key",
    "store",
    "metadata",
    "service_tier",
    "top_logprobs",
    "logprobs",
    "logit_bias",
];
/// Settings of how a model picks its words; models that reason refuse them.
const SAMPLING: [&str; 4] = ["temperature", "top_p", "frequency_penalty", "presence_penalty"];
/// Settings that only `OpenAI` itself takes.
const FOR_OPENAI: [&str; 5] = [
    "verbosity",
    "prediction",
    "prompt_cache_retention",
    "prompt_cache_options",
    "moderation",
];

/// Writes a request.
///
/// # Errors
/// It asks for something that chat cannot express.
pub fn request_out(
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    let names = Names::of(&request.tools, OPENAI_NAME, target.openai);
    if request.max_tokens == Some(0) {
        return Err(Refusal::unsupported(
            "max_tokens",
            "Warming the cache (`max_tokens: 0`) cannot be had from this model's backends.",
        ));
    }
    let writer = turns_out::Writer {
        target,
        names: &names,
    };
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    write::object(&mut body, |all| {
        all.str("model", target.model);
        failed = writer.messages(all, request, losses).err();
        failed = failed
            .take()
            .or(tools_out::write(all, request, target, &names, losses).err());
        settings(all, request, target, losses);
        if request.stream {
            all.bool("stream", true);
            all.object("stream_options", |options| {
                options.bool("include_usage", true);
            });
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

fn settings(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    if let Some(limit) = request.max_tokens.or(target.max_tokens) {
        all.number(
            if target.openai {
                "max_completion_tokens"
            } else {
                "max_tokens"
            },
            limit,
        );
    }
    carried(all, request, target, losses);
    stop(all, request, target, losses);
    let reasons = !target.traits.sampling || !target.openai;
    match request
        .thinking
        .effort_for(&target.traits, "reasoning_effort", losses)
    {
        Some(effort) if reasons => {
            all.str("reasoning_effort", effort.name());
        }
        Some(_) if request.thinking.effort.is_some() => losses.note("reasoning_effort"),
        _ => {}
    }
    if let Some(format) = &request.format {
        response_format(all, format);
    }
    user(all, request, target);
}

fn carried(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    for setting in &request.carried {
        let name = setting.name;
        let taken = FOR_ALL.contains(&name)
            || (SAMPLING.contains(&name) && target.traits.sampling)
            || (FOR_OPENAI.contains(&name) && target.openai)
            || (name == "top_k" && !target.openai)
            || name == "n";
        if taken {
            all.raw(name, setting.value.get());
        } else {
            losses.note(name);
        }
    }
}

fn stop(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    if request.stop.is_empty() {
        return;
    }
    if !target.traits.sampling {
        return losses.note("stop");
    }
    if request.stop.len() > MOST_STOPS {
        losses.note("stop");
    }
    all.array("stop", |list| {
        for text in request.stop.iter().take(MOST_STOPS) {
            list.text(text);
        }
    });
}

fn response_format(all: &mut Object<'_>, format: &Format<'_>) {
    all.object("response_format", |it| match format {
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
            it.object("json_schema", |it| {
                it.text("name", name.as_ref().unwrap_or(&JsonStr::spelled_so("output")));
                if let Some(description) = description {
                    it.text("description", description);
                }
                if let Some(of) = of {
                    it.raw("schema", of.get());
                    it.bool("strict", strict.unwrap_or_else(|| schema::is_strict_legal(of)));
                }
            });
        }
    });
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
        all.str(name, &crate::names::digest(&plain, 64));
    }
}
