//! The prompts that a request would be given, as `explain` tells them: filled in as for a first request made now.

use std::cell::LazyCell;
use std::fmt::Write as _;

use llm_dialect::Dialect;

use crate::base::clock;
use crate::config::types::PromptPosition;
use crate::pipeline::Candidate;
use crate::prompts::{Prompts, Values, render};

/// Who asks for what, in which dialect.
pub(super) struct Asked<'a> {
    pub(super) model: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) dialect: Dialect,
}

/// The prompts of a request, each with its place.
pub(super) fn describe(prompts: &Prompts, asked: &Asked<'_>, plan: &[Candidate], text: &mut String) {
    let first = plan.first();
    let values = Values {
        now: &LazyCell::new(clock::local),
        model: asked.model,
        backend: first.map_or("", |candidate| &*candidate.route.backend.name),
        backend_model: first.map_or("", |candidate| &*candidate.model),
        key_name: asked.key.unwrap_or_default(),
        client_ip: "127.0.0.1",
        request_id: "(the request's id)",
        dialect: asked.dialect.name(),
    };
    for prompt in prompts.for_request(asked.model, asked.key) {
        for one in render([prompt], &values) {
            let _ = writeln!(text, "prompt {}, {}:", prompt.name, place(one.position));
            for line in one.text.lines() {
                let _ = writeln!(text, "     {line}");
            }
        }
    }
}

fn place(position: PromptPosition) -> &'static str {
    match position {
        PromptPosition::Before => "before the client's own system text",
        PromptPosition::After => "after the client's own system text",
        PromptPosition::Replace => "in place of the client's own system text",
    }
}
