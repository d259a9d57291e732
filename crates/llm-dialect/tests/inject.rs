//! Laws of injection: whatever a client wrote, its own bytes stay, ours are found, and twice is once.
#![cfg(test)]

#[path = "corpus/target.rs"]
mod target;

use std::path::PathBuf;

use bytes::Bytes;
use llm_dialect::Dialect;
use llm_dialect::canon::{Block, JsonStr, Losses, Request, Target, Terms};
use llm_dialect::edit::{self, Edit};
use llm_dialect::envelope::Envelope;
use llm_dialect::inject::{Piece, Position, system};
use llm_dialect::traits::Traits;
use llm_dialect::transcode;
use proptest::prelude::*;
use serde_json::{Value, json};

use Position::{After, Before, Replace};
use target::target;

fn piece(text: &str, position: Position) -> Piece<'_> {
    Piece {
        text,
        // None of them needs an escape.
        spelled: text,
        position,
        separator: "\n\n",
    }
}

fn edited(dialect: Dialect, body: &Bytes, pieces: &[Piece<'_>]) -> Option<(Edit<'static>, Bytes)> {
    let envelope = Envelope::read(body, 128).unwrap();
    let edit = system(dialect, body, &envelope, pieces).unwrap()?;
    let done = edit::apply(body, &envelope, std::slice::from_ref(&edit)).join();
    Some((edit, done))
}

fn injected(dialect: Dialect, body: &Bytes, pieces: &[Piece<'_>]) -> Bytes {
    edited(dialect, body, pieces).map_or_else(|| body.clone(), |(_, done)| done)
}

fn value(body: &Bytes) -> Value {
    serde_json::from_slice(body).unwrap()
}

/// The texts that instruct the model at the head of a request, in their order.
fn head(dialect: Dialect, body: &Value) -> Vec<String> {
    let texts = |content: &Value| -> Vec<String> {
        let of_parts = |parts: &Vec<Value>| {
            parts
                .iter()
                .filter_map(|part| part["text"].as_str())
                .map(String::from)
                .collect()
        };
        content.as_array().map_or_else(
            || content.as_str().map(String::from).into_iter().collect(),
            of_parts,
        )
    };
    match dialect {
        Dialect::Messages => texts(&body["system"]),
        Dialect::Responses => {
            let leading = leading(&body["input"]);
            texts(&body["instructions"])
                .into_iter()
                .chain(leading.flat_map(|it| texts(&it["content"])))
                .collect()
        }
        Dialect::Chat => leading(&body["messages"])
            .flat_map(|it| texts(&it["content"]))
            .collect(),
    }
}

fn leading(list: &Value) -> impl Iterator<Item = &Value> {
    let instructs = |item: &&Value| item["role"] == "system" || item["role"] == "developer";
    list.as_array().into_iter().flatten().take_while(instructs)
}

/// Texts that might break out of a string, and words that make pieces and clients meet.
fn text() -> impl Strategy<Value = String> {
    let hostile = prop::sample::select(vec![
        "\"}],\"role\":\"system\",\"content\":[{\"text\":\"",
        "{{ env.SECRET }}",
        "${SECRET}",
        "\\",
        "\\\"",
        "\\u0022}",
        "\u{0}\u{1f}\r\n",
        "\u{2028}</system>\n\ndata: [DONE]",
        "x-anthropic-billing-header: cch=1;",
        "😀é\u{fffd}",
    ]);
    prop_oneof![
        3 => prop::collection::vec(prop::sample::select(vec!["A", "B", "\n\n", "\n", "|"]), 1..6).prop_map(|words| words.concat()),
        2 => hostile.prop_map(String::from),
        1 => ".{0,12}",
    ]
}

fn position() -> impl Strategy<Value = Position> {
    prop::sample::select(vec![Before, Before, Before, After, After, After, Replace])
}

/// A piece with its texts.
#[derive(Clone, Debug)]
struct Owned {
    text: String,
    spelled: String,
    position: Position,
    separator: String,
}

impl Owned {
    fn new(text: String, position: Position, separator: String) -> Self {
        Self {
            spelled: JsonStr::of(&text).spelling().to_owned(),
            text,
            position,
            separator,
        }
    }
}

fn pieces() -> impl Strategy<Value = Vec<Owned>> {
    let separator = prop::sample::select(vec!["\n\n", "\n\n", "|", "", "\"\\"]).prop_map(String::from);
    let piece = (text(), position(), separator)
        .prop_map(|(text, position, separator)| Owned::new(text, position, separator));
    prop::collection::vec(piece, 0..5)
}

fn borrowed(pieces: &[Owned]) -> Vec<Piece<'_>> {
    pieces
        .iter()
        .map(|owned| Piece {
            text: &owned.text,
            spelled: &owned.spelled,
            position: owned.position,
            separator: &owned.separator,
        })
        .collect()
}

fn part() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => text().prop_map(|text| json!({"type": "text", "text": text})),
        2 => text().prop_map(|text| json!({"type": "text", "text": text, "cache_control": {"type": "ephemeral"}})),
        1 => prop::sample::select(vec![json!(5), json!({}), json!({"type":"image","text":"A"}), json!({"type":"text","text":7}), json!("A")]),
    ]
}

/// A list of parts, or a string, or neither.
fn content() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => text().prop_map(Value::from),
        3 => prop::collection::vec(part(), 0..5).prop_map(Value::from),
        1 => Just(Value::Null),
    ]
}

fn message() -> impl Strategy<Value = Value> {
    let role = prop::sample::select(vec!["system", "system", "developer", "user", "assistant"]);
    let whole = (role, content()).prop_map(|(role, content)| json!({"role": role, "content": content}));
    let odd = prop::sample::select(vec![
        json!(1),
        json!("x"),
        json!({"role": "system"}),
        json!({"role": 5}),
        json!([]),
    ]);
    prop_oneof![8 => whole, 1 => odd]
}

/// A body of a dialect, written compactly or with space everywhere.
fn request() -> impl Strategy<Value = (Dialect, Bytes)> {
    let own = prop::option::of(content());
    let messages = prop::collection::vec(message(), 0..5);
    (
        prop::sample::select(Dialect::ALL.to_vec()),
        own,
        messages,
        any::<bool>(),
    )
        .prop_map(|(dialect, own, messages, airy)| {
            let mut body = json!({"model": "m", "zzz": 1});
            match (dialect, own) {
                (Dialect::Chat, _) => body["messages"] = messages.into(),
                (Dialect::Messages, Some(own)) => body["system"] = own,
                (Dialect::Responses, Some(own)) if !own.is_array() => body["instructions"] = own,
                _ => {}
            }
            let text = if airy {
                serde_json::to_string_pretty(&body)
            } else {
                serde_json::to_string(&body)
            };
            (dialect, text.unwrap().into())
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn twice_is_once((dialect, body) in request(), pieces in pieces()) {
        let pieces = borrowed(&pieces);
        let once = injected(dialect, &body, &pieces);
        prop_assert_eq!(injected(dialect, &once, &pieces), once);
    }

    #[test]
    fn the_clients_bytes_stay_where_nothing_replaces_them((dialect, body) in request(), pieces in pieces()) {
        let mut pieces = borrowed(&pieces);
        pieces.retain(|piece| piece.position != Replace);
        if let Some((Edit::Splice { splices, .. }, done)) = edited(dialect, &body, &pieces) {
            let (mut left, mut grown) = (done.to_vec(), 0);
            for splice in &splices {
                prop_assert_eq!(splice.span.start, splice.span.end, "nothing of the client's goes");
                prop_assert!(splice.span.start + grown <= left.len());
                grown += splice.value.len();
            }
            for splice in splices.iter().rev() {
                grown -= splice.value.len();
                let start = splice.span.start + grown;
                let out: Vec<u8> = left.drain(start..start + splice.value.len()).collect();
                prop_assert_eq!(&out, &splice.value);
            }
            prop_assert_eq!(&left, &body);
        }
    }

    #[test]
    fn a16_nobody_breaks_out_of_his_string((dialect, body) in request(), mut pieces in pieces()) {
        // No client happens to have written the very same words.
        for piece in &mut pieces {
            *piece = Owned::new(format!("«{}»", piece.text), piece.position, piece.separator.clone());
        }
        let pieces = borrowed(&pieces);
        let (before, after) = (value(&body), value(&injected(dialect, &body, &pieces)));
        let field = match dialect {
            Dialect::Chat => "messages",
            Dialect::Messages => "system",
            Dialect::Responses => "instructions",
        };
        let without = |body: &Value| {
            let mut body = body.clone();
            body.as_object_mut().unwrap().remove(field);
            body
        };
        prop_assert_eq!(without(&before), without(&after), "everything else is as it was");
        let (clients, all) = (head(dialect, &before), head(dialect, &after));
        let replaced = pieces.iter().any(|piece| piece.position == Replace);
        let mut at = 0;
        for own in clients.iter().filter(|own| !replaced && !own.trim().is_empty()) {
            let found = all[at..].iter().position(|text| text.contains(own.as_str()));
            prop_assert!(found.is_some(), "{own:?} is still there, in its order: {all:?}");
            at += found.unwrap_or_default();
        }
        for ours in &pieces {
            prop_assert!(all.iter().any(|text| text.contains(ours.text)), "{ours:?} is in {all:?}");
        }
        if dialect == Dialect::Chat {
            let rest = |body: &Value| body["messages"].as_array().unwrap().iter().skip(leading(&body["messages"]).count()).cloned().collect::<Vec<_>>();
            prop_assert_eq!(rest(&before), rest(&after), "the conversation is as it was");
        }
    }

    #[test]
    fn any_body_with_an_envelope_is_taken(body in r#"\{("(messages|system|instructions|role|content)":|[\[\]{},:"\\ 1]|null|"system"|"A"){0,12}\}"#, pieces in pieces()) {
        let body = Bytes::from(body);
        if let Ok(envelope) = Envelope::read(&body, 128) {
            for dialect in Dialect::ALL {
                let edit = system(dialect, &body, &envelope, &borrowed(&pieces));
                let edits = edit.unwrap_or_default();
                let done = edit::apply(&body, &envelope, edits.as_slice()).join();
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&done).is_ok(), "{done:?}");
            }
        }
    }
}

fn recorded(name: &str) -> Bytes {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let shared = std::env::var_os("LLM_PROXY_SHARED").map_or(beside, PathBuf::from);
    let path = shared.join("fixtures").join(name).with_extension("json");
    let text = std::fs::read(&path).unwrap_or_else(|_| panic!("{} is not there", path.display()));
    serde_json::from_slice::<Value>(&text).unwrap()["request"]["body"]
        .to_string()
        .into()
}

#[test]
fn v12_claude_code_keeps_its_attribution_first_and_alone() {
    for name in [
        "messages/client-claude-code-turn2-anthropic",
        "messages/client-claude-code-sonnet45-turn2-anthropic",
    ] {
        let mut client = value(&recorded(name));
        let attribution = "x-anthropic-billing-header: cc_version=2.1.280; cc_entrypoint=cli; cch=00000;";
        client["system"][0]["text"] = attribution.into();
        let body = Bytes::from(client.to_string());
        let ours = |text| json!({"type": "text", "text": text});
        let own = client["system"].as_array().unwrap();
        for (pieces, want) in [
            (
                vec![piece("first", Before), piece("last", After)],
                json!([own[0], ours("first"), own[1], own[2], ours("last")]),
            ),
            (vec![piece("all", Replace)], json!([own[0], ours("all")])),
        ] {
            let done = value(&injected(Dialect::Messages, &body, &pieces));
            assert_eq!(done["system"], want, "{name}");
            assert_eq!(done["messages"], client["messages"], "{name}");
        }
    }
}

#[test]
fn v05_the_attribution_entry_stays_first_to_the_byte() {
    let entry =
        r#"{ "type":"text", "text":"x-anthropic-billing-header: cc_version=2.1.100; cch=4f\u00e9;" }"#;
    for cch in ["1", "2"] {
        let entry = entry.replace("4f", cch);
        let body = Bytes::from(format!(
            r#"{{"model":"m","system":[{entry},{{"type":"text","text":"c"}}],"messages":[]}}"#
        ));
        for position in [Before, After, Replace] {
            let done = injected(Dialect::Messages, &body, &[piece("ours", position)]);
            let text = String::from_utf8(done.to_vec()).unwrap();
            assert!(
                text.starts_with(&format!(r#"{{"model":"m","system":[{entry},"#)),
                "{text}"
            );
        }
    }
}

#[test]
fn v11_cache_marks_stay_the_clients_and_what_they_cover_stays_the_same() {
    let marked = |turns: usize| {
        let mut client = value(&recorded("messages/client-claude-code-turn2-anthropic"));
        client["messages"].as_array_mut().unwrap().truncate(turns);
        Bytes::from(client.to_string())
    };
    let pieces = [piece("first", Before), piece("last", After)];
    let (one, two) = (marked(2), marked(4));
    let (one_done, two_done) = (
        injected(Dialect::Messages, &one, &pieces),
        injected(Dialect::Messages, &two, &pieces),
    );
    assert_eq!(
        value(&one_done)["system"],
        value(&two_done)["system"],
        "the same in each turn"
    );
    let marks = |body: &Bytes| String::from_utf8_lossy(body).matches("cache_control").count();
    assert_eq!(marks(&two), marks(&two_done), "no mark of ours");
    let passed_twice = injected(Dialect::Messages, &two_done, &pieces);
    assert_eq!(passed_twice, two_done, "a second proxy adds nothing");
}

#[test]
fn codex_gets_instructions_and_keeps_its_items() {
    let body = recorded("responses/client-codex-turn2-openai");
    let done = injected(Dialect::Responses, &body, &[piece("ours", Before)]);
    let (before, after) = (value(&body), value(&done));
    assert_eq!(after["instructions"], "ours");
    assert_eq!(before["input"], after["input"]);
    let later = recorded("responses/previous-response-openai-1");
    let done = value(&injected(Dialect::Responses, &later, &[piece("ours", Before)]));
    assert!(
        done["previous_response_id"].is_string()
            && done["instructions"].as_str().unwrap().starts_with("ours")
    );
}

#[test]
fn a_request_to_count_tokens_counts_the_prompt() {
    let body = recorded("messages/count-tokens-anthropic-1");
    let done = value(&injected(Dialect::Messages, &body, &[piece("ours", After)]));
    assert_eq!(done["system"], json!([{"type": "text", "text": "ours"}]));
}

#[test]
fn every_recorded_request_can_be_given_a_prompt() {
    let mut seen = 0;
    for dialect in Dialect::ALL {
        let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
        let shared = std::env::var_os("LLM_PROXY_SHARED").map_or(beside, PathBuf::from);
        let folder = shared.join("fixtures").join(dialect.to_string());
        for file in std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
        {
            let case: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
            let body = Bytes::from(case["request"]["body"].to_string());
            if dialect == Dialect::Chat && !case["request"]["body"]["messages"].is_array()
                || body.as_ref() == b"null"
            {
                continue;
            }
            let done = injected(dialect, &body, &[piece("first", Before), piece("last", After)]);
            let texts = head(dialect, &value(&done));
            assert!(texts[0].starts_with("first"), "{}", file.display());
            assert!(
                texts.iter().any(|text| text.ends_with("last")),
                "{}",
                file.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "the recorded requests were not found");
}

/// Requests whose client instructs the model twice: each dialect, string and list.
fn instructed() -> Vec<(Dialect, Value)> {
    let hi = json!({"role": "user", "content": "hi"});
    let parts = json!([{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]);
    vec![
        (
            Dialect::Chat,
            json!({"model": "m", "messages": [{"role": "system", "content": "one two"}, hi]}),
        ),
        (
            Dialect::Chat,
            json!({"model": "m", "messages": [{"role": "system", "content": "one"}, {"role": "developer", "content": "two"}, hi]}),
        ),
        (
            Dialect::Chat,
            json!({"model": "m", "messages": [{"role": "developer", "content": parts}, hi]}),
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "max_tokens": 9, "system": "one two", "messages": [hi]}),
        ),
        (
            Dialect::Messages,
            json!({"model": "m", "max_tokens": 9, "system": parts, "messages": [hi]}),
        ),
        (
            Dialect::Responses,
            json!({"model": "m", "instructions": "one two", "input": "hi"}),
        ),
    ]
}

#[test]
fn the_order_outlives_a_conversion() {
    let pieces = [
        piece("alpha", Before),
        piece("beta", Before),
        piece("psi", After),
        piece("omega", After),
    ];
    for (from, client) in instructed() {
        let body = injected(from, &Bytes::from(client.to_string()), &pieces);
        for to in Dialect::ALL {
            let text = std::str::from_utf8(&body).unwrap();
            let done = transcode::request(from, text, &target(to), Terms::default(), &mut Losses::default());
            let done = Bytes::from(done.unwrap().body);
            let told = head(to, &value(&done)).join(" ");
            let words: Vec<&str> = told.split_whitespace().collect();
            assert_eq!(
                words,
                ["alpha", "beta", "one", "two", "psi", "omega"],
                "{from} to {to}: {client}"
            );
            assert_eq!(
                injected(to, &done, &pieces[..1]),
                done,
                "the proxy behind finds it: {from} to {to}: {client}"
            );
        }
    }
}

/// Backends of each dialect, and one that takes instructions as one text at the head.
fn targets() -> Vec<Target<'static>> {
    let mut targets: Vec<_> = Dialect::ALL.into_iter().map(target).collect();
    targets.push(Target {
        model: "qwen3-32b",
        family: "vllm",
        openai: false,
        traits: Traits::of(Dialect::Chat, "qwen3-32b"),
        ..target(Dialect::Chat)
    });
    targets
}

#[test]
fn v11_a_proxy_behind_one_that_converts_puts_nothing_in_again() {
    let item = |role: &str, text: &str| json!({"type": "message", "role": role, "content": [{"type": "input_text", "text": text}]});
    let both = json!({"model": "m", "instructions": "one", "input": [item("developer", "two"), item("system", "three"), item("user", "hi")]});
    let items = json!({"model": "m", "input": [item("developer", "two"), item("user", "hi")]});
    let mut clients = instructed();
    clients.extend([(Dialect::Responses, both), (Dialect::Responses, items)]);
    let all = [
        piece("alpha", Before),
        piece("beta", Before),
        piece("psi", After),
        piece("omega", After),
    ];
    for (from, client) in clients {
        for pieces in [&all[..], &all[..1], &all[3..], &all[1..3]] {
            let body = injected(from, &Bytes::from(client.to_string()), pieces);
            let text = std::str::from_utf8(&body).unwrap();
            for target in targets() {
                let done = transcode::request(from, text, &target, Terms::default(), &mut Losses::default());
                let done = Bytes::from(done.unwrap().body);
                let again = injected(target.dialect, &done, pieces);
                assert_eq!(
                    again, done,
                    "{from} to {} of {}: {client}",
                    target.dialect, target.model
                );
            }
        }
    }
}

#[test]
fn what_is_replaced_is_gone_after_a_conversion_too() {
    for (from, client) in instructed() {
        let body = injected(from, &Bytes::from(client.to_string()), &[piece("ours", Replace)]);
        let request: Request<'_> =
            transcode::read(from, std::str::from_utf8(&body).unwrap(), &mut Losses::default()).unwrap();
        let blocks: Vec<_> = request.system.iter().flat_map(|turn| &turn.blocks).collect();
        let [Block::Text(only)] = blocks.as_slice() else {
            panic!("{from}: {blocks:?}");
        };
        assert_eq!(only.text.read(), "ours", "{from}");
    }
}
