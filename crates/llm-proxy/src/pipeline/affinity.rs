//! The conversation of a request: which one it is, where it is, and what answers and failures say about that.
//!
//! A conversation is found by the first of these that a request has: the session that its agent names in headers,
//! `metadata.user_id` of Messages (Claude Code puts its session there), `prompt_cache_key`, how it began. Always together
//! with the client's key, the model and the dialect.

use std::hash::Hasher;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use llm_dialect::envelope::Envelope;
use llm_dialect::turns::{self, Stage};
use llm_dialect::usage::Usage;
use llm_dialect::{Dialect, scan};

use super::Candidate;
use super::ask::{Ask, Shape};
use crate::base::clock;
use crate::base::conversation::{Agent, Whose};
use crate::health::Target;
use crate::state::{Alias, Context, Conversation, Live, Origin, Turn};

/// Where the conversation of a request is, if that matters and is known. The request remembers what it found.
pub(super) fn home(ctx: &mut Context, ask: &Ask, alias: &Alias) -> Option<Target> {
    if !alias.affinity || !ask.api.is_conversation() {
        return None;
    }
    let (id, turn) = identified(ctx, ask)?;
    let was = match turn {
        Turn::Begins => None,
        Turn::GoesOn | Turn::Ends => ctx.live.affinity.find(id, clock::now()),
    };
    ctx.conversation = Some(Conversation {
        id,
        turn,
        was,
        away: false,
    });
    was
}

fn identified(ctx: &Context, ask: &Ask) -> Option<(u64, Turn)> {
    let whose = Whose {
        key: ctx.client.as_ref().map(|client| &*client.name),
        model: &ask.model,
    };
    let agent = Agent::of(&ctx.headers);
    if let Some(session) = agent.session {
        let parts = [b"session", session, agent.thread];
        return Some((named(whose, ask.reads, parts), turn(&agent)));
    }
    let Shape::Json(envelope) = &ask.shape else {
        return None;
    };
    if let Some((what, name)) = own_name(ask, envelope) {
        return Some((named(whose, ask.reads, [what, name, b""]), turn(&agent)));
    }
    begun(whose, ask, envelope)
}

/// What an agent says of its turn. With a name of its own, each request of a conversation goes on with it.
fn turn(agent: &Agent<'_>) -> Turn {
    match agent {
        Agent { compacted: true, .. } => Turn::Begins,
        Agent { compacts: true, .. } => Turn::Ends,
        _ => Turn::GoesOn,
    }
}

/// A session that asks in two dialects has two prompts, and each may have a backend of its own.
fn named(whose: Whose<'_>, dialect: Dialect, parts: [&[u8]; 3]) -> u64 {
    let mut made = whose.identity();
    made.part(dialect.name().as_bytes());
    for part in parts {
        made.part(part);
    }
    made.done()
}

/// What the body calls its conversation, as it is spelled there.
fn own_name<'b>(ask: &'b Ask, envelope: &Envelope) -> Option<(&'static [u8], &'b [u8])> {
    let value = |name| envelope.member(&ask.body, name).map(|span| span.of(&ask.body));
    let (what, name) = if ask.reads == Dialect::Messages {
        let metadata = value("metadata")?;
        let fields = scan::object(metadata, scan::DEEPEST).ok()??;
        (
            b"user_id".as_slice(),
            fields.value(metadata, "user_id")?.of(metadata),
        )
    } else {
        (b"prompt_cache_key".as_slice(), value("prompt_cache_key")?)
    };
    // Something between quotes: no null, and not the empty string.
    (name.starts_with(b"\"") && name.len() > 2).then_some((what, name))
}

/// By how the conversation began. A request in which the model has not spoken yet begins another one, though its words be
/// the same: of those there may be thousands at once, and they go where the strategy sends them.
fn begun(whose: Whose<'_>, ask: &Ask, envelope: &Envelope) -> Option<(u64, Turn)> {
    let mut made = whose.identity();
    made.part(ask.reads.name().as_bytes());
    made.part(b"opening");
    // Kilobytes, and no secret: a quick hash, by a seed of this process as that of the memo of prompts. Whoever could make
    // two of them meet would move conversations of the same key.
    let mut opening = FoldHasher::with_seed(0, SharedSeed::global_random());
    let stage = turns::opening(ask.reads, &ask.body, envelope, |words| {
        opening.write_usize(words.len());
        opening.write(words);
    })?;
    made.part(&opening.finish().to_le_bytes());
    let turn = match stage {
        Stage::Begins => Turn::Begins,
        Stage::GoesOn => Turn::GoesOn,
    };
    Some((made.done(), turn))
}

/// A response came, by that id, to a request that went on from something: a later one may go on from both, and only its
/// maker can serve that.
pub(super) fn made(live: &Live, candidate: &Candidate, origin: Option<Origin>, response_id: &str) {
    for origin in origin.into_iter().chain([Origin::response(response_id)]) {
        live.pins.remember(origin, candidate.pin());
    }
}

/// However an answer ended, its input was read from the backend's cache or past it.
pub(super) fn read(candidate: &Candidate, usage: &Usage) {
    if candidate.api.is_conversation() {
        candidate.route.backend.vitals.cache.answer(usage);
    }
}

/// There is no place free where the conversation is: this request goes elsewhere, the conversation does not.
pub(super) fn away(ctx: &mut Context) {
    if let Some(conversation) = &mut ctx.conversation {
        conversation.away = true;
    }
}

/// Whom the conversation may be with has failed or cools.
pub(super) fn loosen(live: &Live, conversation: Option<&Conversation>, target: &Target) {
    if let Some(conversation) = conversation {
        live.affinity.loosen(conversation.id, target);
    }
}

/// The conversation got an answer that ended well.
pub(super) fn answered(
    live: &Live,
    conversation: Option<&Conversation>,
    candidate: &Candidate,
    usage: &Usage,
) {
    let Some(conversation) = conversation else {
        return;
    };
    let parts = [usage.cache_read, usage.cache_write];
    let cached = parts.into_iter().flatten().fold(0, u64::saturating_add);
    let moved = live
        .affinity
        .answered(conversation, (candidate.target, cached), clock::now());
    if let Some(moved) = moved {
        live.moved(moved.from, moved.cached);
        tracing::debug!(
            to = &*candidate.route.backend.name,
            tokens_read_anew = moved.cached,
            "a conversation was answered elsewhere than before"
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn another_key_model_kind_or_part_is_another_conversation() {
        let of = |key, model, parts: [&str; 3]| {
            named(Whose { key, model }, Dialect::Chat, parts.map(str::as_bytes))
        };
        let all = [
            of(Some("a"), "m", ["session", "s", ""]),
            of(Some("b"), "m", ["session", "s", ""]),
            of(None, "m", ["session", "s", ""]),
            of(Some(""), "m", ["session", "s", ""]),
            of(Some("a"), "n", ["session", "s", ""]),
            of(Some("a"), "m", ["session", "s", "agent"]),
            of(Some("a"), "m", ["session", "sagent", ""]),
            of(Some("a"), "m", ["user_id", "s", ""]),
        ];
        for (n, one) in all.iter().enumerate() {
            assert_eq!(all.iter().position(|other| other == one), Some(n), "{n}");
        }
    }

    proptest! {
        #[test]
        fn c19_two_keys_never_share_a_conversation(
            keys in prop::collection::hash_set("[a-z]{0,6}", 2),
            models in prop::array::uniform2("[a-z]{1,6}"),
            parts in prop::array::uniform2(prop::array::uniform3("[ -~]{0,12}")),
        ) {
            let keys: Vec<String> = keys.into_iter().collect();
            let of = |n: usize| {
                let whose = Whose { key: Some(&keys[n]), model: &models[n] };
                named(whose, Dialect::Chat, parts[n].each_ref().map(String::as_bytes))
            };
            prop_assert_ne!(of(0), of(1));
        }
    }
}
