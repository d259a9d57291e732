//! A request for a backend that speaks Messages.

use super::marks::Marks;
use super::schema;
use super::thinking_out::{self, Kind, Told};
use super::tools_out::Offer;
use super::turns_out::Writer;
use crate::canon::write::{self, Object};
use crate::canon::{Encoded, Format, JsonStr, Losses, Refusal, Request, Target};
use crate::names::{ANTHROPIC_NAME, Names};

/// The limit of an answer where nobody names one and the model's own is not known.
const USUAL_LIMIT: u64 = 8_192;
/// The least `top_p` that goes with thinking.
const LEAST_TOP_P: f64 = 0.95;

/// Writes a request.
///
/// # Errors
/// It asks for something that Messages cannot express.
pub fn request_out(
    request: &Request<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Encoded, Refusal> {
    if request.carried("n").is_some() {
        return Err(Refusal::unsupported(
            "n",
            "This model's backends give one answer a request; ask several times.",
        ));
    }
    let names = Names::of(&request.tools, ANTHROPIC_NAME, false);
    let limit = request
        .max_tokens
        .or(target.max_tokens)
        .or(target.traits.output_limit)
        .unwrap_or(USUAL_LIMIT);
    let told = thinking_out::told(request, target, limit, losses);
    let json_tool =
        matches!(request.format, Some(Format::Schema { schema: Some(_), .. })) && !target.traits.structured;
    let offer = Offer {
        request,
        names: &names,
        json_tool,
        free_choice: told.free_choice,
    };
    let mut writer = Writer {
        target,
        names: &names,
        marks: Marks::of(request),
    };
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    write::object(&mut body, |all| {
        all.str("model", target.model).number("max_tokens", limit);
        failed = offer.write(all, &mut writer.marks, losses).err();
        writer.system(all, request, matches!(request.format, Some(Format::JsonObject)));
        failed = failed.take().or(writer.messages(all, request, losses).err());
        if request.stream {
            all.bool("stream", true);
        }
        thinking(all, request, &told, json_tool);
        settings(all, request, target, &told, losses);
    });
    match failed {
        Some(refusal) => Err(refusal),
        None => Ok(Encoded {
            body,
            names,
            json_tool,
        }),
    }
}

fn thinking(all: &mut Object<'_>, request: &Request<'_>, told: &Told, json_tool: bool) {
    if let Some(kind) = told.thinking {
        all.object("thinking", |it| match kind {
            Kind::Enabled(budget) => {
                it.str("type", "enabled").number("budget_tokens", budget);
            }
            Kind::Adaptive => {
                it.str("type", "adaptive");
            }
            Kind::Disabled => {
                it.str("type", "disabled");
            }
        });
    }
    let schema = match &request.format {
        Some(Format::Schema {
            schema: Some(schema), ..
        }) if !json_tool => Some(schema),
        _ => None,
    };
    if told.effort.is_none() && schema.is_none() {
        return;
    }
    all.object("output_config", |it| {
        if let Some(effort) = told.effort {
            it.str("effort", effort.name());
        }
        if let Some(schema) = schema {
            it.object("format", |it| {
                it.str("type", "json_schema")
                    .raw("schema", &schema::of_answer(schema));
            });
        }
    });
}

fn settings(
    all: &mut Object<'_>,
    request: &Request<'_>,
    target: &Target<'_>,
    told: &Told,
    losses: &mut Losses,
) {
    let stops: Vec<&JsonStr<'_>> = request.stop.iter().filter(|text| !text.is_blank()).collect();
    if stops.len() < request.stop.len() {
        losses.note("stop");
    }
    if !stops.is_empty() {
        all.array("stop_sequences", |list| {
            for text in stops {
                list.text(text);
            }
        });
    }
    for setting in &request.carried {
        let value = setting.value.get();
        match setting.name {
            "temperature" => temperature(all, value, (target, told), losses),
            "top_p" if takes_top_p(value, target, told) => {
                all.raw("top_p", value);
            }
            "top_k" if target.traits.sampling && !told.thinks() => {
                all.raw("top_k", value);
            }
            "service_tier" if value == "\"auto\"" => {
                all.str("service_tier", "auto");
            }
            "service_tier" if value == "\"default\"" => {
                all.str("service_tier", "standard_only");
            }
            other => losses.note(other),
        }
    }
    if let Some(user) = request.user.as_ref().filter(|user| !is_personal(&user.read())) {
        all.object("metadata", |it| {
            it.text("user_id", user);
        });
    }
}

/// Above 1 there is nothing; models that think, and the newer ones, take only 1.
fn temperature(all: &mut Object<'_>, value: &str, (target, told): (&Target<'_>, &Told), losses: &mut Losses) {
    let number: f64 = value.parse().unwrap_or(1.0);
    let fixed = !target.traits.sampling || told.thinks();
    if fixed && (number - 1.0).abs() > f64::EPSILON {
        losses.note("temperature");
    } else if number > 1.0 {
        losses.note("temperature");
        all.raw("temperature", "1");
    } else if !fixed {
        all.raw("temperature", value);
    }
}

fn takes_top_p(value: &str, target: &Target<'_>, told: &Told) -> bool {
    let enough = value.parse().is_ok_and(|number: f64| number >= LEAST_TOP_P);
    target.traits.sampling && (!told.thinks() || enough)
}

/// Whether an id looks like an e-mail address or a telephone number: Anthropic refuses those.
fn is_personal(user: &str) -> bool {
    let digits = user.chars().filter(char::is_ascii_digit).count();
    let dialled = |it: char| it.is_ascii_digit() || "+-() .".contains(it);
    (user.contains('@') && !user.starts_with('{')) || (digits >= 7 && user.chars().all(dialled))
}
