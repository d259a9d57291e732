//! An estimate of a request's tokens, for backends that cannot count them.
//!
//! It is meant to be a little too high rather than too low: who plans by it then compacts a conversation early, instead of
//! being refused by the backend. Every tokenizer cuts differently; what they share is that short words are one token, long
//! ones several, marks one each, and characters outside Latin letters about one each.

use crate::canon::{
    Block, Document, DocumentSource, Format, Image, Reasoning, Request, Source, ThinkMode, Tool, ToolKind,
    Turn,
};

/// What a request costs before it says anything.
const FRAME: u64 = 8;
/// What a turn costs beside its words.
const TURN: u64 = 5;
/// What providers tell a model about tools before the first one.
const TOOLS: u64 = 420;
/// What a tool costs beside its words.
const TOOL: u64 = 24;
/// What a call or a result costs beside its words.
const CALL: u64 = 24;
/// What a provider says of thinking.
const THINKING: u64 = 30;
/// What a provider says of the form of the answer, beside its schema.
const FORM: u64 = 60;
/// What a provider says of citing a document.
const CITING: u64 = 420;
/// A picture of usual size.
const PICTURE: u64 = 1_600;
/// What a kilobyte of a PDF costs; pages differ, so this is a guess that a page has 30 KB.
const PDF_KILOBYTE: u64 = 75;
/// The least that a file costs.
const FILE: u64 = 2_000;
/// How many letters of a long word make a token.
const LETTERS: u64 = 4;
/// A word of so many letters is one token.
const SHORT_WORD: u64 = 6;

/// How many bytes of a body make a token, about.
const BYTES: u64 = 4;
/// A string of this length is looked at: it may be a file.
const LONG: usize = 4_096;
/// How much of it.
const SAMPLE: usize = 128;

/// The tokens that a model reads of a request, guessed by the length of its body: as cheap as a search for quotes.
/// Pictures and files cost less than they weigh, so they are told by their letters and counted as pictures.
pub fn of_bytes(body: &[u8]) -> u64 {
    if body.len() < LONG {
        // No string in it is long enough for a file: quotes need only be counted.
        return (body.len() - quotes(body)) as u64 / BYTES;
    }
    let (mut text, mut files, mut from) = (0, 0, 0);
    for quote in memchr::memchr_iter(b'"', body) {
        let string = body.get(from..quote).unwrap_or_default();
        if is_base64(string) {
            files += 1;
        } else {
            text += string.len() as u64;
        }
        from = quote + 1;
    }
    text += body.len().saturating_sub(from) as u64;
    text / BYTES + files * PICTURE
}

/// How many quotes there are. Summed up in bytes, of which the compiler adds many at a time, and so few that none runs over.
fn quotes(body: &[u8]) -> usize {
    const FEW: usize = 192;
    let count = |few: &[u8]| {
        let quotes = few.iter().map(|byte| u8::from(*byte == b'"'));
        usize::from(quotes.sum::<u8>())
    };
    let (chunks, rest) = body.as_chunks::<FEW>();
    chunks.iter().map(|few| count(few)).sum::<usize>() + count(rest)
}

/// Whether a long string is a file, by its middle: prose has spaces there.
fn is_base64(string: &[u8]) -> bool {
    let middle = string.len() / 2;
    string.len() >= LONG
        && string.get(middle..middle + SAMPLE).is_some_and(|sample| {
            let letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
            sample.iter().all(letter)
        })
}

/// The tokens that a model reads of a request, about.
pub fn input_tokens(request: &Request<'_>) -> u64 {
    let turns = request.system.iter().chain(&request.turns);
    let said: u64 = turns.map(turn).sum();
    let tools: u64 = request.tools.iter().map(tool).sum();
    let offered = if request.tools.is_empty() { 0 } else { TOOLS };
    let sum = FRAME + said + tools + offered + asked(request);
    // A quarter on top: newer tokenizers cut finer, and nobody says how.
    sum + sum / 4
}

/// The same by the length of its body in the backend's dialect alone, which costs next to nothing. What is in it as base64
/// counts as what it is.
pub fn by_length(request: &Request<'_>, body: usize) -> u64 {
    let turns = request.system.iter().chain(&request.turns);
    let files = turns.flat_map(|turn| &turn.blocks).map(file);
    let (bytes, tokens) = files.fold((0, 0), add);
    body.saturating_sub(bytes) as u64 / LETTERS + tokens
}

/// How many bytes of a body are a picture or a file, and what those cost.
fn file(block: &Block<'_>) -> (usize, u64) {
    match block {
        Block::Image(Image {
            source: Source::Data { data, .. },
            ..
        })
        | Block::Document(Document {
            source: DocumentSource::File(Source::Data { data, .. }),
            ..
        }) => (data.spelling().len(), self::block(block)),
        Block::Audio(it) => (it.get().len(), self::block(block)),
        Block::ToolResult(result) => result.content.iter().map(file).fold((0, 0), add),
        _ => (0, 0),
    }
}

fn add(one: (usize, u64), other: (usize, u64)) -> (usize, u64) {
    (one.0 + other.0, one.1 + other.1)
}

/// What the settings of a request put before a model.
fn asked(request: &Request<'_>) -> u64 {
    let thinking = match request.thinking.mode {
        ThinkMode::Budget(_) | ThinkMode::Adaptive => THINKING,
        ThinkMode::Unset | ThinkMode::Off => 0,
    };
    let form = match &request.format {
        Some(Format::Schema { schema, .. }) => FORM + schema.as_ref().map_or(0, |it| text(it.get())),
        Some(Format::JsonObject) => FORM,
        None => 0,
    };
    thinking + form
}

fn turn(turn: &Turn<'_>) -> u64 {
    TURN + turn.blocks.iter().map(block).sum::<u64>()
}

fn block(block: &Block<'_>) -> u64 {
    match block {
        Block::Text(it) => text(&it.text.read()),
        Block::Refusal(it) | Block::ToolReference(it) => text(&it.read()),
        Block::Image(_) => PICTURE,
        Block::Document(it) => document(it),
        Block::Audio(it) => bytes(it.get().len()),
        Block::Reasoning(it) => reasoning(it),
        Block::ToolCall(call) => CALL + text(&call.name) + text(&call.input.spelled().read()),
        Block::ToolResult(result) => CALL + result.content.iter().map(self::block).sum::<u64>(),
        Block::WebSearch(it) => text(&it.query.read()),
        Block::SearchResult { title, texts, .. } => {
            text(&title.read()) + texts.iter().map(|it| text(&it.read())).sum::<u64>()
        }
        Block::Foreign { raw, .. } => text(raw.get()),
    }
}

fn reasoning(reasoning: &Reasoning<'_>) -> u64 {
    reasoning.parts.iter().map(|part| text(&part.read())).sum()
}

fn document(document: &Document<'_>) -> u64 {
    let cited = if document.citations { CITING } else { 0 };
    let held = match &document.source {
        DocumentSource::Text(it) => text(&it.read()),
        DocumentSource::Blocks(blocks) => blocks.iter().map(block).sum(),
        DocumentSource::File(Source::Data { data, .. }) => {
            let kilobytes = data.spelling().len() as u64 * 3 / 4 / 1024;
            FILE.max(kilobytes * PDF_KILOBYTE)
        }
        DocumentSource::File(_) => FILE,
    };
    cited + held
}

fn bytes(length: usize) -> u64 {
    length as u64 / 64
}

fn tool(tool: &Tool<'_>) -> u64 {
    let described = tool.description.as_ref().map_or(0, |it| text(&it.read()));
    let schema = match &tool.kind {
        ToolKind::Function(schema) | ToolKind::Custom(schema) | ToolKind::ToolSearch(schema) => {
            schema.as_ref()
        }
        ToolKind::WebSearch { .. } | ToolKind::Hosted | ToolKind::Trained => None,
    };
    TOOL + text(&tool.name) + described + schema.map_or(0, |it| text(it.get()))
}

/// The tokens of a text, about.
pub fn text(text: &str) -> u64 {
    let mut tokens = 0;
    let mut word = 0;
    let mut digits = 0;
    let mut marks = None;
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            word += 1;
            marks = None;
            continue;
        }
        tokens += of_word(std::mem::take(&mut word));
        if character.is_ascii_digit() {
            // Two or three digits together.
            digits += 1;
            tokens += digits % 2;
            marks = None;
            continue;
        }
        digits = 0;
        tokens += match character {
            ' ' => 0,
            // The same mark again, and white space in a row, are mostly part of the token before.
            same if marks == Some(same) => 0,
            _ => 1,
        };
        marks = (character.is_ascii_whitespace() || character.is_ascii_punctuation()).then_some(character);
    }
    tokens + of_word(word)
}

fn of_word(letters: u64) -> u64 {
    match letters {
        0 => 0,
        1..=SHORT_WORD => 1,
        long => long.div_ceil(LETTERS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_marks_and_characters_are_counted() {
        for (said, tokens) in [
            ("", 0),
            ("Hello there", 2),
            ("internationalisation", 5),
            ("a, b", 3),
            ("-----", 1),
            ("12345678", 4),
            ("你好世界", 4),
            ("line\n\n\nline", 3),
            ("{\"type\":\"object\"}", 9),
        ] {
            assert_eq!(text(said), tokens, "{said}");
        }
    }

    #[test]
    fn a_body_is_guessed_by_its_bytes_but_for_files() {
        assert_eq!(of_bytes(b"{}"), 0);
        assert_eq!(of_bytes(br#"{"model":"m"}"#), 2, "quotes are no text");
        assert_eq!(of_bytes(&[b'x'; 400]), 100);
        assert_eq!(of_bytes(&[b'"'; 4_000]), 0);
        assert_eq!(of_bytes(&br#"."x".""#.repeat(300)), 225, "each quote of many");
        let prose = format!("{{\"text\":\"{}\"}}", "many words ".repeat(1_000));
        assert!(
            (2_700..2_800).contains(&of_bytes(prose.as_bytes())),
            "prose counts by its length"
        );
        let file = format!("{{\"data\":\"{}\"}}", "iVBORw0KGgo/+A".repeat(10_000));
        assert!(
            of_bytes(file.as_bytes()) < PICTURE + 10,
            "and a file as a picture"
        );
    }

    #[test]
    fn pictures_and_files_do_not_count_by_their_bytes() {
        let body = |data: &str| {
            let source = serde_json::json!({"type": "base64", "media_type": "image/png", "data": data});
            let image = serde_json::json!({"type": "image", "source": source});
            let result = serde_json::json!({"type": "tool_result", "tool_use_id": "t", "content": [image]});
            let content = serde_json::json!([{"type": "text", "text": "Hello"}, image, result]);
            serde_json::json!({"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": content}]})
                .to_string()
        };
        let estimated = |body: &str| {
            let request = crate::messages::request_in(body, &mut crate::canon::Losses::default()).unwrap();
            by_length(&request, body.len())
        };
        let (small, large) = (body("AAAA"), body(&"AAAA".repeat(100_000)));
        assert_eq!(estimated(&small), estimated(&large));
        assert_eq!(
            estimated(&small),
            2 * PICTURE + (small.len() as u64 - 8) / LETTERS
        );
    }
}
