//! A request for a backend that speaks chat.

use super::tools_out;
use super::turns_out;
use crate::canon::write::{self, Object};
use crate::canon::{Effort, Encoded, Format, Losses, Refusal, Request, Target};
use crate::names::{Names, OPENAI_NAME};
use crate::openai;

/// How many stop texts chat takes.
const MOST_STOPS: usize = 4;

/// Settings that every host takes.
const FOR_ALL: [&str; 4] = ["seed", "prompt_cache_key", "metadata", "service_tier"];
/// Settings of how a model picks its words; models that reason refuse them.
const SAMPLING: [&str; 7] = [
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "top_logprobs",
];
/// Settings that only `OpenAI` itself takes.
const FOR_OPENAI: [&str; 6] = [
    "store",
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
    openai::refuse_warming(request)?;
    let writer = turns_out::Writer {
        target,
        names: &names,
    };
    let mut failed = None;
    let mut body = Vec::with_capacity(1024);
    write::object(&mut body, |all| {
        all.str("model", target.model);
        failed = writer.messages(all, request, losses).err();
        let tools = tools_out::Writer {
            request,
            target,
            names: &names,
        };
        failed = failed.take().or(tools.write(all, losses).err());
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
    effort(all, request, target, losses);
    if let Some(format) = &request.format {
        response_format(all, format);
    }
    openai::user(all, request, target);
}

/// Hosts of models that nobody here knows by name take the words that all of them know.
fn effort(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    let (traits, asked) = (&target.traits, request.thinking.effort.is_some());
    let Some(effort) = request.thinking.effort_for(traits, "reasoning_effort", losses) else {
        return;
    };
    let is_known = traits.efforts.len() < Effort::ALL.len();
    if target.openai && !is_known {
        // A model that does not reason refuses to be told how hard.
        if asked {
            losses.note("reasoning_effort");
        }
        return;
    }
    let given = if is_known {
        effort
    } else {
        effort.min(Effort::High)
    };
    if given != effort && asked {
        losses.note("reasoning_effort");
    }
    all.str("reasoning_effort", given.name());
}

fn carried(all: &mut Object<'_>, request: &Request<'_>, target: &Target<'_>, losses: &mut Losses) {
    for setting in &request.carried {
        let name = setting.name;
        let taken = FOR_ALL.contains(&name)
            || (SAMPLING.contains(&name) && target.traits.sampling)
            || (FOR_OPENAI.contains(&name) && target.openai)
            || (name == "top_k" && !target.openai)
            || name == "n";
        // Nothing is stored in chat unless it is asked for.
        let is_as_without = name == "store" && setting.value.get() == "false";
        if taken {
            all.raw(name, setting.value.get());
        } else if !is_as_without {
            losses.note(name);
        }
    }
    let is_carried = |name: &str| request.carried(name).is_some();
    if target.traits.sampling && is_carried("top_logprobs") && !is_carried("logprobs") {
        all.bool("logprobs", true);
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
        Format::Schema { .. } => {
            it.str("type", "json_schema");
            it.object("json_schema", |it| openai::schema_members(it, format));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::super::asked::{asked, lost, refused};
    use crate::canon::{Losses, Request, ThinkMode, Thinking};
    use serde_json::{Value, json};

    #[test]
    fn settings_go_where_they_are_taken() {
        #[rustfmt::skip]
        let table: [(&str, &str, &str, Value, &str); 24] = [
            ("the limit of OpenAI", "openai:gpt-4.1", r#""max_tokens":5"#, json!({"max_completion_tokens":5}), ""),
            ("the limit of hosts", "llama", r#""max_completion_tokens":5"#, json!({"max_tokens":5}), ""),
            ("a stream is counted", "llama", r#""stream":true"#, json!({"stream":true,"stream_options":{"include_usage":true}}), ""),
            ("how words are picked", "llama", r#""temperature":0.50,"logprobs":true"#, json!({"temperature":0.50,"logprobs":true}), ""),
            ("models that reason pick themselves", "openai:gpt-5", r#""temperature":0.5,"logprobs":true,"top_logprobs":2,"logit_bias":{"1":2}"#, json!({}), "temperature,logit_bias,logprobs,top_logprobs"),
            ("top_logprobs needs logprobs", "llama", r#""top_logprobs":2"#, json!({"top_logprobs":2,"logprobs":true}), ""),
            ("stop texts", "llama", r#""stop":["a","b","c","d","e"]"#, json!({"stop":["a","b","c","d"]}), "stop"),
            ("no stop texts", "openai:o4-mini", r#""stop":"a""#, json!({}), "stop"),
            ("top_k", "llama", r#""top_k":4"#, json!({"top_k":4}), ""),
            ("no top_k", "openai:gpt-4.1", r#""top_k":4"#, json!({}), "top_k"),
            ("nothing is stored", "llama", r#""store":false"#, json!({}), ""),
            ("nothing can be stored", "llama", r#""store":true"#, json!({}), "store"),
            ("OpenAI stores", "openai:gpt-4.1", r#""store":false"#, json!({"store":false}), ""),
            ("OpenAI's own", "llama", r#""verbosity":"low","moderation":{}"#, json!({}), "verbosity,moderation"),
            ("an effort that is listed", "openai:gpt-5", r#""reasoning_effort":"low""#, json!({"reasoning_effort":"low"}), ""),
            ("one that is not", "openai:gpt-5", r#""reasoning_effort":"xhigh""#, json!({"reasoning_effort":"high"}), "reasoning_effort"),
            ("a model that does not reason", "openai:gpt-4.1", r#""reasoning_effort":"low""#, json!({}), "reasoning_effort"),
            ("a model of a host", "llama", r#""reasoning_effort":"max""#, json!({"reasoning_effort":"high"}), "reasoning_effort"),
            ("a known model at a host", "openai/gpt-5.2", r#""reasoning_effort":"xhigh""#, json!({"reasoning_effort":"xhigh"}), ""),
            ("a user of OpenAI", "openai:gpt-4.1", r#""user":"u_1""#, json!({"safety_identifier":"u_1"}), ""),
            ("a user of a host", "llama", r#""safety_identifier":"u_1""#, json!({"user":"u_1"}), ""),
            ("a user who must not be known", "llama", r#""user":"a@b.c""#, json!({"user":"d648b243a3e817eaa3309e00e183483f2867baadf522099f0c2121770536b25a"}), ""),
            ("JSON", "llama", r#""response_format":{"type":"json_object"}"#, json!({"response_format":{"type":"json_object"}}), ""),
            ("a schema", "llama", r#""response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":false}}"#, json!({"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"object"},"strict":false}}}), ""),
        ];
        for (case, model, members, expected, names) in table {
            let mut found = asked(model, members);
            let body = found.as_object_mut().unwrap();
            assert_eq!(
                body.remove("model"),
                Some(json!(model.trim_start_matches("openai:"))),
                "{case}"
            );
            body.remove("messages");
            assert_eq!(found, expected, "{case}");
            assert_eq!(lost(model, members), names, "{case}");
        }
        assert_eq!(refused("llama", r#""max_tokens":0"#), "max_tokens");
    }

    #[test]
    fn a_budget_is_told_as_an_effort() {
        for (mode, expected) in [
            (ThinkMode::Budget(2_000), Some("low")),
            (ThinkMode::Budget(10_000), Some("medium")),
            (ThinkMode::Budget(31_999), Some("high")),
            (ThinkMode::Budget(60_000), Some("high")),
            (ThinkMode::Adaptive, None),
            (ThinkMode::Off, None),
        ] {
            let request = Request {
                thinking: Thinking { mode, effort: None },
                ..Request::default()
            };
            let target = super::super::asked::target("llama");
            let encoded = super::request_out(&request, &target, &mut Losses::default()).unwrap();
            let body: Value = serde_json::from_slice(&encoded.body).unwrap();
            assert_eq!(
                body.get("reasoning_effort").and_then(Value::as_str),
                expected,
                "{mode:?}"
            );
        }
    }

    #[test]
    fn the_model_comes_first_and_the_conversation_before_what_varies() {
        let request = Request {
            stream: true,
            max_tokens: Some(1),
            ..Request::default()
        };
        let target = super::super::asked::target("llama");
        let encode = || {
            let encoded = super::request_out(&request, &target, &mut Losses::default()).unwrap();
            String::from_utf8(encoded.body).unwrap()
        };
        assert_eq!(
            encode(),
            r#"{"model":"llama","messages":[],"max_tokens":1,"stream":true,"stream_options":{"include_usage":true}}"#
        );
        assert_eq!(encode(), encode(), "the same input gives the same bytes");
    }
}
