//! The reader of raw bytes against tables, against cuts, and against one that is slow and obvious.

use proptest::prelude::*;

use super::*;

const MAX_HEAD: usize = 1024;

/// What was found: how many bytes may go on, how many heads there were, and which request is refused.
type Found = (usize, usize, Option<Doubt>);

/// What is found in these pieces. What is over stays over: later pieces go nowhere.
fn fed<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Found {
    let mut framing = Framing::new(MAX_HEAD);
    let used = pieces.into_iter().map(|piece| framing.read(piece)).sum();
    (used, framing.heads, framing.refused())
}

/// What is found in the bytes, fed whole and byte by byte.
fn found(bytes: &[u8]) -> Found {
    let whole = fed([bytes]);
    let cut = String::from_utf8_lossy(bytes);
    assert_eq!(fed(bytes.chunks(1)), whole, "cuts change nothing: {cut:?}");
    assert_eq!(fed(bytes.chunks(7)), whole, "cuts change nothing: {cut:?}");
    whole
}

/// The only refusal of these bytes, and which request it is about.
fn refused(bytes: &str) -> Option<(usize, Refusal)> {
    let (_, _, refused) = found(bytes.as_bytes());
    refused.map(|refused| (refused.nth, refused.why))
}

const ODD: Option<Refusal> = Some(Refusal::OddLength);
const TWO: Option<Refusal> = Some(Refusal::TwoLengths);
const BARE: Option<Refusal> = Some(Refusal::BareLineFeed);

/// Heads without their request line and their empty line, and what is wrong with them.
const HEADS: [(&str, Option<Refusal>); 27] = [
    ("Content-Length: 2\r\n", None),
    ("content-length:2\r\n", None),
    ("content-length: \t2 \r\n", None),
    ("Transfer-Encoding: Chunked\r\n", None),
    ("x-content-length: 1\r\ncontent-length-x: 2\r\n", None),
    ("content-length: 2\r\nCONTENT-LENGTH: 2\r\n", TWO),
    ("content-length: 2\r\nx: y\r\ncontent-length: 3\r\n", TWO),
    ("content-length: 2\r\ntransfer-encoding: chunked\r\n", TWO),
    (
        "transfer-encoding: chunked\r\nhost: a\r\ncontent-length: 2\r\n",
        TWO,
    ),
    (
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        TWO,
    ),
    ("transfer-encoding: x\r\ntransfer-encoding: chunked\r\n", ODD),
    ("content-length: 5, 5\r\n", ODD),
    ("content-length: +5\r\n", ODD),
    ("content-length: -5\r\n", ODD),
    ("content-length: 0x5\r\n", ODD),
    ("content-length: 5 5\r\n", ODD),
    ("content-length:\r\n", ODD),
    ("content-length: 99999999999999999999\r\n", ODD),
    ("transfer-encoding: gzip, chunked\r\n", ODD),
    ("transfer-encoding: chunked, identity\r\n", ODD),
    ("transfer-encoding: identity\r\n", ODD),
    ("transfer-encoding: \"chunked\"\r\n", ODD),
    ("transfer-encoding:\r\n", ODD),
    (
        "content-length:                                                                2\r\n",
        ODD,
    ),
    ("host: a\n", BARE),
    ("content-length: 2\ncontent-length: 2\r\n", BARE),
    ("x: 1\r\n\n", BARE),
];

#[test]
fn d12_a_length_may_be_stated_once_and_in_one_way() {
    for (head, wrong) in HEADS {
        let request = format!("POST / HTTP/1.1\r\n{head}\r\n");
        assert_eq!(refused(&request), wrong.map(|why| (0, why)), "{head:?}");
    }
}

#[test]
fn d12_pipelined_heads_are_read_too_behind_bodies_of_each_kind() {
    for (before, nth) in [
        ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 1),
        ("\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n\r\n", 1),
        ("POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n", 1),
        (
            "POST / HTTP/1.1\r\ncontent-length: 19\r\n\r\ncontent-length: 1\r\n",
            1,
        ),
        (
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n6\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
            1,
        ),
        (
            "GET / HTTP/1.1\r\n\r\nPOST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\ncontent-length: 5\r\n\r\n",
            2,
        ),
    ] {
        assert_eq!(refused(before), None, "{before:?}");
        for (head, wrong) in HEADS {
            let both = format!("{before}POST / HTTP/1.1\r\n{head}\r\n");
            assert_eq!(refused(&both), wrong.map(|why| (nth, why)), "{both:?}");
        }
    }
}

#[test]
fn d12_nothing_is_read_behind_a_head_that_is_refused_nor_from_a_wrong_chunk_on() {
    let bad = "POST / HTTP/1.1\ncontent-length: 5\r\n\r\n";
    let next = "GET / HTTP/1.1\r\n\r\n";
    assert_eq!(found(format!("{bad}hello{next}").as_bytes()).0, bad.len());
    let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}";
    let (used, heads, refused) = found(format!("{next}{chunked}0\r\n\r\n{next}").as_bytes());
    assert_eq!((used, heads), (next.len() + chunked.len(), 2));
    let why = Refusal::Chunks;
    assert_eq!(refused, Some(Doubt { nth: 1, why }));
}

#[test]
fn the_length_of_a_head_and_of_trailers_is_bounded_and_that_of_a_body_is_not() {
    let long = "x".repeat(MAX_HEAD);
    let why = Refusal::TooLong;
    assert_eq!(refused(&format!("GET /{long} HTTP/1.1\r\n\r\n")), Some((0, why)));
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nx: {long}")), Some((0, why)));
    assert_eq!(refused(&"\r\n".repeat(MAX_HEAD)), Some((0, why)), "not for ever");
    let sound = format!("POST / HTTP/1.1\r\ncontent-length: {MAX_HEAD}\r\n\r\n{long}");
    assert_eq!(refused(&format!("{sound}{sound}")), None);
    let trailed = format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: {long}\r\n\r\n");
    assert_eq!(refused(&trailed), Some((0, Refusal::Chunks)));
}

#[test]
fn http2_is_left_alone_from_its_first_line_on() {
    let frames =
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\n\n\ncontent-length: 1\ncontent-length: 1\n\n";
    assert_eq!(found(frames.as_bytes()), (frames.len(), 0, None));
    assert_eq!(
        refused(&format!("GET / HTTP/1.1\r\n\r\n{frames}")).map(|(nth, _)| nth),
        Some(3),
        "only at the very beginning"
    );
}

/// The same by the letter: the whole input at hand, line by line, byte by byte.
fn obvious(input: &[u8]) -> Found {
    let (mut at, mut heads) = (0, 0);
    loop {
        match obvious_head(&input[at..], heads == 0) {
            Obvious::Cut(why) => return (input.len(), heads, why.map(|why| Doubt { nth: heads, why })),
            Obvious::Frames => return (input.len(), heads, None),
            Obvious::Refused(end, why) => return (at + end, heads + 1, Some(Doubt { nth: heads, why })),
            Obvious::Sound(end, length) => {
                heads += 1;
                at += end;
                match obvious_body(&input[at..], length) {
                    Ok(Some(end)) => at += end,
                    Ok(None) => return (input.len(), heads, None),
                    Err(end) => {
                        let (nth, why) = (heads - 1, Refusal::Chunks);
                        return (at + end, heads, Some(Doubt { nth, why }));
                    }
                }
            }
        }
    }
}

enum Obvious {
    Cut(Option<Refusal>),
    Frames,
    Refused(usize, Refusal),
    Sound(usize, Option<Length>),
}

fn obvious_head(input: &[u8], first: bool) -> Obvious {
    let (mut at, mut begun, mut wrongs, mut length) = (0, false, Vec::new(), None);
    while let Some(end) = input[at..].iter().position(|byte| *byte == b'\n') {
        let line = &input[at..at + end];
        at += end + 1;
        if at > MAX_HEAD {
            wrongs.push(Refusal::TooLong);
        }
        let text = line.strip_suffix(b"\r");
        if text.is_none() {
            wrongs.push(Refusal::BareLineFeed);
        }
        let text = String::from_utf8_lossy(text.unwrap_or(line)).into_owned();
        if text.is_empty() && begun {
            return match wrongs.first() {
                Some(why) => Obvious::Refused(at, *why),
                None => Obvious::Sound(at, length),
            };
        }
        if first && line == HTTP2 && at == line.len() + 1 {
            return Obvious::Frames;
        }
        if begun {
            match obvious_statement(&text, line.len()) {
                Some(_) if length.is_some() => wrongs.push(Refusal::TwoLengths),
                Some(Err(why)) => wrongs.push(why),
                Some(Ok(stated)) => length = Some(stated),
                None => {}
            }
        }
        begun |= !text.is_empty();
    }
    if input.len() > MAX_HEAD {
        wrongs.push(Refusal::TooLong);
    }
    Obvious::Cut(wrongs.first().copied())
}

fn obvious_statement(line: &str, length: usize) -> Option<Result<Length, Refusal>> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim_matches(['\t', ' ', '\r', '\x0c', '\n']);
    let sound = length <= KEPT;
    match name.to_ascii_lowercase().as_str() {
        "content-length" => {
            let digits = !value.is_empty() && value.chars().all(|digit| digit.is_ascii_digit());
            let number = value.parse().ok().filter(|_| digits && sound);
            Some(number.map(Length::Bytes).ok_or(Refusal::OddLength))
        }
        "transfer-encoding" => {
            let chunked = value.eq_ignore_ascii_case("chunked") && sound;
            Some(chunked.then_some(Length::Chunked).ok_or(Refusal::OddLength))
        }
        _ => None,
    }
}

/// Where the body ends; none: not within the input. Or the first byte that is wrong.
fn obvious_body(input: &[u8], length: Option<Length>) -> Result<Option<usize>, usize> {
    match length {
        None => Ok(Some(0)),
        Some(Length::Bytes(length)) => {
            Ok(Some(usize::try_from(length).unwrap()).filter(|length| *length <= input.len()))
        }
        Some(Length::Chunked) => {
            // Chunks have a table of their own; here it is enough that the two agree on where they are read.
            let (used, came) = Chunks::default().read(input, MAX_HEAD);
            match came {
                Came::Part => Ok(None),
                Came::All => Ok(Some(used)),
                Came::Wrong => Err(used),
            }
        }
    }
}

/// Bytes that are nearly requests: sound pieces, odd ones, in any order.
fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
    let pieces = &[
        "POST / HTTP/1.1\r\n",
        "GET /x HTTP/1.0\r\n",
        "PRI * HTTP/2.0\r\n",
        "host: a\r\n",
        "content-length: 2\r\n",
        "Content-Length:  3 \r\n",
        "content-length: 0\r\n",
        "content-length: 2,2\r\n",
        "transfer-encoding: chunked\r\n",
        "transfer-encoding: gzip\r\n",
        "x: y\n",
        "\r\n",
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        "{}",
        "2\r\n{}\r\n",
        "0\r\n\r\n",
        "3;e\r\nabc\r\n",
        "0\r\nx: 1\r\n\r\n",
        "SM\r\n\r\n",
        "\0",
        "an-uncommonly-long-header-that-fills-what-is-kept-of-a-line: and more than that\r\n",
    ][..];
    let sound = prop::sample::select(
        &[
            "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\n\r\n\r\n",
            "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ][..],
    );
    let sound = prop::collection::vec(sound, 0..3);
    let odd = prop::collection::vec(prop::sample::select(pieces), 0..14);
    (sound, odd).prop_map(|(sound, odd)| [sound.concat(), odd.concat()].concat().into_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn no_cut_changes_what_is_found_and_a_slow_reader_finds_the_same(
        bytes in nearly_requests(),
        cuts in prop::collection::vec(1_usize..40, 1..30),
    ) {
        let whole = found(&bytes);
        prop_assert_eq!(whole, obvious(&bytes));
        let (mut rest, mut pieces) = (&bytes[..], Vec::new());
        for cut in cuts.iter().cycle().take(bytes.len()) {
            let (piece, more) = rest.split_at((*cut).min(rest.len()));
            pieces.push(piece);
            rest = more;
        }
        prop_assert_eq!(fed(pieces), whole);
    }
}
