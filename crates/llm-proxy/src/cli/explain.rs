//! `llm-proxy explain`: where a request would go, and why, by the very plan that requests get.

use std::fmt::Write as _;
use std::sync::Arc;

use llm_dialect::{Api, Dialect};

use super::Outcome;
use super::args::Asked;
use super::limits;
use super::prompts;
use crate::base::clock;
use crate::config::{self, Config};
use crate::observe::Logs;
use crate::observe::access::Access;
use crate::pipeline::{Candidate, candidates};
use crate::routing::Room;
use crate::state::{Alias, Client, Live, Snapshot, compile};

/// Exit code: a wrong config or usage.
const WRONG: u8 = 2;

/// Explains a request.
pub(super) fn explain(asked: &Asked, colour: bool) -> Outcome {
    let loaded = match config::load(&asked.at.path()) {
        Ok(loaded) => loaded,
        Err(report) => return Outcome::failed(report.render(colour) + "\n", WRONG),
    };
    match explained(asked, loaded.config) {
        Ok(text) => Outcome::fine(text),
        Err(sentence) => Outcome::failed(sentence + "\n", WRONG),
    }
}

fn explained(asked: &Asked, config: Config) -> Result<String, String> {
    let dialect = Dialect::from_name(&asked.dialect);
    let dialect = dialect.ok_or("the dialect is one of chat, responses, messages")?;
    let api = match dialect {
        Dialect::Chat => Api::Chat,
        Dialect::Responses => Api::Responses,
        Dialect::Messages => Api::Messages,
    };
    let live = Live::new(Access::new(Logs::nowhere()), &config);
    let snapshot = compile(config, 1, &live)?;
    let client = client(asked, &snapshot)?;
    if let Some(client) = client.filter(|client| !client.is_valid(clock::wall)) {
        return Ok(format!(
            "the key `{}` is disabled or has expired: 401\n",
            client.name
        ));
    }
    let may_use = |alias: &str| client.is_none_or(|client| client.may_use(alias));
    let alias = snapshot.alias(&asked.model);
    let alias = alias.ok_or_else(|| {
        format!(
            "the model `{}` leads nowhere: no alias or glob fits it (404)",
            asked.model
        )
    })?;
    let mut text = format!(
        "model `{}` in the {dialect} dialect: alias `{}`",
        asked.model, alias.name
    );
    if !alias.enabled {
        return Ok(text + ", which is disabled: 404\n");
    }
    if !may_use(&alias.name) {
        return Ok(text + ", which this key may not use: 403\n");
    }
    let strategy = format!("{:?}", alias.strategy).to_lowercase();
    let _ = writeln!(text, ", {strategy} within a priority");
    let plan = candidates(&live, &snapshot, alias, (api, &asked.model), &may_use);
    describe(&plan, &snapshot, dialect, &mut text);
    fit(&plan, &mut text);
    unserved(alias, api, &mut text);
    let _ = writeln!(text, "{}", affinity(&snapshot, alias));
    let _ = writeln!(
        text,
        "at most {} attempts; nothing is cooling in this fresh process",
        snapshot.config.fallback.max_attempts
    );
    let mut keys = snapshot.config.api_keys.iter();
    let key = asked
        .key
        .as_ref()
        .and_then(|name| keys.find(|key| key.name == *name));
    limits::describe(&snapshot.config, key, &alias.name, &mut text);
    let whose = prompts::Asked {
        model: &asked.model,
        key: asked.key.as_deref(),
        dialect,
    };
    prompts::describe(&snapshot.prompts, &whose, &plan, &mut text);
    Ok(text)
}

fn client<'a>(asked: &Asked, snapshot: &'a Snapshot) -> Result<Option<&'a Arc<Client>>, String> {
    let Some(name) = &asked.key else { return Ok(None) };
    let client = snapshot.keys.named(name);
    client
        .map(Some)
        .ok_or_else(|| format!("there is no key named `{name}`"))
}

fn describe(plan: &[Candidate], snapshot: &Snapshot, dialect: Dialect, text: &mut String) {
    for (n, candidate) in plan.iter().enumerate() {
        let route = &candidate.route;
        let backend = &route.backend;
        let key = candidate.key().map_or("", |key| &*key.name);
        let _ = write!(
            text,
            "{:>3}. {} (key {key}), model `{}`",
            n + 1,
            backend.name,
            candidate.model
        );
        let _ = write!(
            text,
            ": alias `{}`, priority {}, weight {}",
            candidate.alias.name, route.priority, route.weight
        );
        room(&route.room, text);
        let _ = match candidate.api.dialect() {
            same if same == dialect => writeln!(text, ", no conversion"),
            other => writeln!(text, ", converted from {dialect} to {other} and back"),
        };
        let _ = match candidate.price(snapshot) {
            Some(price) => writeln!(text, "     price: {price}"),
            None => writeln!(
                text,
                "     price: unknown, so its cost is in no sum (`prices.file`)"
            ),
        };
    }
    if plan.is_empty() {
        let _ = writeln!(text, "     no backend of it has conversations: 404");
    }
}

/// Whether what comes first depends on who has answered before.
fn affinity(snapshot: &Snapshot, alias: &Alias) -> &'static str {
    let wanted = snapshot.config.models.get(&*alias.name);
    match (alias.affinity, wanted.is_some_and(|model| model.affinity)) {
        (true, _) => {
            "affinity: a conversation goes first to the backend and key that answered it last, which is known by its \
             session headers,\n          `metadata.user_id`, `prompt_cache_key` or how it began, within one API key"
        }
        (false, true) => "affinity: there is nothing to choose from, so no conversation is remembered",
        (false, false) => "affinity: off, each request goes by the order above",
    }
}

/// What a route says that it can hold.
fn room(room: &Room, text: &mut String) {
    if let Some(context) = room.context {
        let _ = write!(text, ", context {context}");
    }
    if let Some(longest) = room.max_tokens {
        let _ = write!(text, ", answers up to {longest} tokens");
    }
    if !room.lacks.is_empty() {
        let lacks: Vec<&str> = room.lacks.iter().map(|feature| feature.name()).collect();
        let _ = write!(text, ", without {}", lacks.join(", "));
    }
}

/// By which rules a request passes candidates over, where any of them says what it can hold.
fn fit(plan: &[Candidate], text: &mut String) {
    let rooms = || plan.iter().map(|candidate| &candidate.route.room);
    if plan.len() < 2 || !rooms().any(Room::is_bounded) {
        return;
    }
    let mut rules = Vec::new();
    if rooms().any(|room| room.context.is_some()) {
        rules.push("is surely longer than `context` (four fifths of an estimate of its tokens)");
    }
    if rooms().any(|room| room.max_tokens.is_some()) {
        rules.push("asks for a longer answer than `max_tokens`");
    }
    if rooms().any(|room| !room.lacks.is_empty()) {
        rules.push("needs what is in `lacks`");
    }
    let _ = writeln!(
        text,
        "passed over is what cannot hold the request, because it {}; where nothing can, the largest comes first",
        rules.join(", or ")
    );
}

/// Routes of the alias that have no call for a conversation.
fn unserved(alias: &Alias, api: Api, text: &mut String) {
    let routes = alias.tiers.iter().flat_map(|tier| &tier.routes);
    for route in routes.filter(|route| route.backend.serves(api).is_none()) {
        let _ = writeln!(
            text,
            "  -  {}: has neither this call nor one of another dialect for it (`apis`)",
            route.backend.name
        );
    }
}
