//! Clients: each asks one request after the other, in any dialect, and takes what comes as clients do.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use llm_dialect::Dialect;
use serde_json::{Value, json};

use super::super::clock;
use super::dice;
use super::judge::{Asked, Outcome};
use super::ledger::Ledger;
use super::order::Order;
use super::roster::{ALIASES, CLIENT_KEY};
use super::wire::{Heard, Leaves, Manner, Wire};

/// Conversations that all clients share: proxies remember those.
const CONVERSATIONS: u64 = 500;

/// How long clients pause after they were refused, in milliseconds: who asks again at once only hears the same again, and
/// a run would be about refusals.
const PAUSE: std::ops::Range<u64> = 50..300;
/// Clients that fill what the proxy remembers.
const FILLERS: u64 = 16;
/// How many requests each of them sends, all of other conversations: more than 57,344 together, which is the most that is
/// remembered of conversations, and more than 20,000 in each dialect, which is the most of responses.
const FILLS: u64 = 66_000 / FILLERS;
/// Those conversations have numbers from here on.
const FILLED: u64 = 1_000_000;

/// How soon a sleeper notices that all is over.
const STEP: Duration = Duration::from_millis(200);

/// What all clients of a run have in common.
pub(super) struct World<'a> {
    pub(super) addr: SocketAddr,
    pub(super) ledger: &'a Ledger,
    pub(super) seed: u64,
    /// No request is begun later.
    pub(super) until: Instant,
    /// A run that is full of violations has nothing more to tell.
    pub(super) most_violations: u64,
}

impl World<'_> {
    /// Whether nothing more is to be begun.
    pub(super) fn is_over(&self) -> bool {
        clock::now() >= self.until || self.ledger.violated() > self.most_violations
    }

    /// Sleeps, and tells whether there is still something to do after it.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let end = (clock::now() + time).min(self.until);
        while !self.is_over() && clock::now() < end {
            thread::sleep(STEP.min(end.saturating_duration_since(clock::now())));
        }
        !self.is_over()
    }
}

/// Asks until the run is over.
pub(super) fn call(world: &World, caller: u64, streams: bool) {
    let mut wire = None;
    for turn in 0.. {
        if world.is_over() {
            return;
        }
        let mut dice = dice::of(&[world.seed, caller, turn]);
        let nonce = dice::mixed(&[world.seed, caller, turn, 0x0dde]);
        let refused;
        (wire, refused) = Turn::roll(nonce, streams, &mut dice).take(world, wire);
        if refused {
            thread::sleep(Duration::from_millis(dice.u64(PAUSE)));
        } else if !streams {
            thread::sleep(Duration::from_millis(dice.u64(0..60)));
        }
    }
}

/// Fills what the proxy remembers of conversations and of their answers, to the brim: what grows after that has no bound.
pub(super) fn fill(world: &World) {
    thread::scope(|scope| {
        for filler in 0..FILLERS {
            scope.spawn(move || {
                let mut wire = None;
                for number in (0..FILLS).take_while(|_| !world.is_over()) {
                    let nonce = dice::mixed(&[world.seed, filler, number, 0xf111]);
                    wire = Turn::plain(nonce, FILLED + filler * FILLS + number)
                        .take(world, wire)
                        .0;
                }
            });
        }
    });
}

/// One request.
struct Turn {
    asked: Asked,
    alias: &'static str,
    streams: bool,
    /// Bytes of the conversation before.
    history: usize,
    conversation: u64,
    manner: Manner,
}

impl Turn {
    fn roll(nonce: u64, streams: bool, dice: &mut Rng) -> Self {
        let words = match dice.u8(0..100) {
            0 => dice.u32(500..4000),
            1..5 => 1,
            _ => dice.u32(2..50),
        };
        let conversation = dice.u64(0..CONVERSATIONS);
        let [chat, messages, responses] = [Dialect::Chat, Dialect::Messages, Dialect::Responses];
        Self {
            asked: Asked {
                dialect: *dice.choice(&[chat, messages, responses]).unwrap_or(&chat),
                order: Order::of(nonce, words),
            },
            alias: dice.choice(&ALIASES).map_or("mixed", |alias| alias.0),
            streams,
            history: if conversation == 0 {
                300_000
            } else {
                usize::try_from(conversation * 16).unwrap_or(0)
            },
            conversation,
            manner: manner(streams, dice),
        }
    }

    /// A word for a conversation that nobody else has, in each dialect by turns.
    fn plain(nonce: u64, conversation: u64) -> Self {
        let (dialect, alias) = match conversation % 3 {
            0 => (Dialect::Chat, "chat"),
            1 => (Dialect::Messages, "messages"),
            _ => (Dialect::Responses, "responses"),
        };
        Self {
            asked: Asked {
                dialect,
                order: Order::plain(nonce),
            },
            alias,
            streams: false,
            history: 0,
            conversation,
            manner: Manner {
                leaves: Leaves::Never,
                nap: Duration::ZERO,
            },
        }
    }

    /// Sends it, judges what comes, and writes that down. The connection, if it serves for another, and whether it was
    /// refused for now.
    fn take(self, world: &World, wire: Option<Wire>) -> (Option<Wire>, bool) {
        let (what, id) = (self.what(), self.asked.order.id());
        let wire = match wire.map_or_else(|| Wire::open(world.addr), Ok) {
            Ok(wire) => wire,
            Err(error) => {
                world
                    .ledger
                    .violate(format!("{id} ({what}): cannot connect: {error}"));
                return (None, true);
            }
        };
        world.ledger.begin(self.asked.order.nonce);
        let (heard, wire) = wire.ask(&self.request(), self.manner);
        match self.verdict(&heard, wire) {
            Ok((outcome, wire)) => {
                world.ledger.end(self.asked.order.nonce, what, outcome);
                (wire, matches!(outcome, Outcome::Refused(429 | 503 | 529)))
            }
            Err(wrong) => {
                let dialect = self.asked.dialect.name();
                world.ledger.violate(format!(
                    "{id} ({what}, {dialect}, of {}, {} words): {wrong}; {}",
                    self.alias,
                    self.asked.order.words,
                    told(&heard)
                ));
                (None, true)
            }
        }
    }

    /// The outcome, and the connection if it serves for another request.
    fn verdict(&self, heard: &Heard, wire: Option<Wire>) -> Result<(Outcome, Option<Wire>), String> {
        let outcome = self.asked.judge(heard)?;
        match wire {
            // The last sign that the answer is not whole.
            Some(wire) if outcome == Outcome::Broken => {
                let kept_open = "the connection goes on after an error inside a stream";
                wire.hangs_up()
                    .then_some((outcome, None))
                    .ok_or_else(|| kept_open.to_owned())
            }
            wire => Ok((outcome, wire)),
        }
    }

    fn what(&self) -> &'static str {
        if self.streams { "stream" } else { "JSON" }
    }

    fn request(&self) -> Vec<u8> {
        let (path, headers) = match self.asked.dialect {
            Dialect::Chat => ("/v1/chat/completions", ""),
            Dialect::Responses => ("/v1/responses", ""),
            Dialect::Messages => ("/v1/messages", "anthropic-version: 2023-06-01\r\n"),
        };
        let (body, id) = (self.body().to_string(), self.asked.order.id());
        format!(
            "POST {path} HTTP/1.1\r\nhost: proxy\r\nauthorization: Bearer {CLIENT_KEY}\r\ncontent-type: \
             application/json\r\nx-request-id: {id}\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    fn body(&self) -> Value {
        let opening = format!(
            "Conversation {}. {}",
            self.conversation,
            "And so on. ".repeat(self.history / 11)
        );
        let turns = json!([
            {"role": "user", "content": opening},
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": self.asked.order.prompt()},
        ]);
        let (model, stream) = (self.alias, self.streams);
        match self.asked.dialect {
            Dialect::Chat => json!({"model": model, "stream": stream, "messages": turns}),
            Dialect::Responses => json!({"model": model, "stream": stream, "input": turns}),
            Dialect::Messages => {
                json!({"model": model, "stream": stream, "max_tokens": 100_000, "messages": turns})
            }
        }
    }
}

/// One in ten leaves before the head, one in ten inside the answer, one in twenty reads slowly.
fn manner(streams: bool, dice: &mut Rng) -> Manner {
    let most = if streams { 20_000 } else { 2_000 };
    let leaves = match dice.u8(0..10) {
        0 => Leaves::BeforeHead(Duration::from_millis(dice.u64(0..300))),
        1 => Leaves::Inside(dice.usize(1..most)),
        _ => Leaves::Never,
    };
    let nap = if dice.u8(0..20) == 0 { dice.u64(1..20) } else { 0 };
    Manner {
        leaves,
        nap: Duration::from_millis(nap),
    }
}

/// The end of what came, for a person.
fn told(heard: &Heard) -> String {
    let (Heard::Whole(answer) | Heard::Cut(answer, _)) = heard else {
        return String::new();
    };
    let last = answer.body.len().saturating_sub(400);
    let body = String::from_utf8_lossy(answer.body.get(last..).unwrap_or_default());
    format!("status {}, at last: {body:?}", answer.status)
}
