//! Each rule in a line: what a client wrote, what is put in, what comes of it.

use bytes::Bytes;

use super::{Piece, Position, system};
use crate::dialect::Dialect;
use crate::edit;
use crate::envelope::{BodyError, Envelope};

use Position::{After, Before, Replace};

const fn piece(text: &'static str, position: Position) -> Piece<'static> {
    Piece {
        text,
        // None of them needs an escape.
        spelled: text,
        position,
        separator: "\n\n",
    }
}

const A: Piece<'static> = piece("A", Before);
const B: Piece<'static> = piece("B", Before);
const R: Piece<'static> = piece("R", Replace);
const S: Piece<'static> = piece("S", Replace);
const Y: Piece<'static> = piece("Y", After);
/// The same words after the client's as before.
const AA: Piece<'static> = piece("A", After);
const Z: Piece<'static> = piece("Z", After);

fn injected(dialect: Dialect, body: &str, pieces: &[Piece<'_>]) -> Result<String, BodyError> {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let envelope = Envelope::read(&body, 128).unwrap();
    let edit = system(dialect, &body, &envelope, pieces)?;
    let done = edit::apply(&body, &envelope, edit.as_slice()).join();
    Ok(String::from_utf8(done.to_vec()).unwrap())
}

/// A table of one member's values: the client's (none if empty), the pieces, and what it becomes.
fn check(dialect: Dialect, field: &str, table: &[(&str, &[Piece<'_>], &str)]) {
    let body = |value: &str| match value {
        "" => r#"{"model":"m" , "x":1.0e2}"#.to_owned(),
        _ => format!(r#"{{"model":"m" , "{field}" : {value}, "x":1.0e2}}"#),
    };
    for (value, pieces, want) in table {
        let found = injected(dialect, &body(value), pieces).unwrap();
        let appended = format!(r#"{{"model":"m" , "x":1.0e2,"{field}":{want}}}"#);
        let want = if value.is_empty() { appended } else { body(want) };
        assert_eq!(found, want, "{pieces:?} into {value}");
        let again = injected(dialect, &found, pieces).unwrap();
        assert_eq!(
            again, found,
            "a second proxy changes nothing: {pieces:?} into {value}"
        );
    }
}

#[test]
fn instructions_of_responses_become_one_string() {
    let table: &[(&str, &[Piece<'_>], &str)] = &[
        ("", &[A], r#""A""#),
        ("", &[Y], r#""Y""#),
        ("", &[R], r#""R""#),
        ("", &[Z, B, A, Y, R], r#""B\n\nA\n\nR\n\nZ\n\nY""#),
        ("null", &[A], r#""A""#),
        (r#""""#, &[A, Y], r#""A\n\nY""#),
        (r#""c""#, &[A], r#""A\n\nc""#),
        (r#""c""#, &[Y], r#""c\n\nY""#),
        (r#""c""#, &[R], r#""R""#),
        (r#""c""#, &[A, R, S, Y], r#""A\n\nR\n\nS\n\nY""#),
        (r#""c""#, &[A, B, Y, Z], r#""A\n\nB\n\nc\n\nY\n\nZ""#),
        (r#""c\u003c\/\ud800""#, &[A, Y], r#""A\n\nc\u003c\/\ud800\n\nY""#),
        (r#""A\n\nc""#, &[A], r#""A\n\nc""#),
        (r#""A\n\nc""#, &[A, B], r#""A\n\nB\n\nc""#),
        (r#""B\n\nc""#, &[A, B], r#""A\n\nB\n\nc""#),
        (r#""c\n\nZ""#, &[Y, Z], r#""c\n\nY\n\nZ""#),
        (r#""c\n\nY""#, &[Y, Z], r#""c\n\nY\n\nZ""#),
        (r#""A""#, &[A], r#""A""#),
        (r#""A""#, &[A, Y], r#""A\n\nY""#),
        (r#""Y""#, &[A, Y], r#""A\n\nY""#),
        (r#""B""#, &[A, B], r#""A\n\nB""#),
        (r#""\u0041\u000a\u000ac""#, &[A], r#""\u0041\u000a\u000ac""#),
        (r#""Ac""#, &[A], r#""A\n\nAc""#),
        (r#""cY""#, &[Y], r#""cY\n\nY""#),
        (r#""c\n\nY\n\nd""#, &[Y], r#""c\n\nY\n\nd""#),
        (r#""A\n\nc\n\nY\n\nd""#, &[A, Y], r#""A\n\nc\n\nY\n\nd""#),
        (r#""c\n\nY\n\nd""#, &[A, Y], r#""A\n\nc\n\nY\n\nd\n\nY""#),
        (r#""c\n\nYd""#, &[Y], r#""c\n\nYd\n\nY""#),
        (r#""cY\n\nd""#, &[Y], r#""cY\n\nd\n\nY""#),
        (r#""c\\n\nY""#, &[Y], r#""c\\n\nY\n\nY""#),
    ];
    check(Dialect::Responses, "instructions", table);
}

/// A table of `system`, in which `<x>` stands for an entry: a piece by its text, `c` for one of the client's and `bill` for
/// Claude Code's attribution.
fn check_entries(table: &[(&str, &[Piece<'_>], &str)]) {
    let spelled = |text: &str| {
        let c = r#"{ "type":"text","text":"c", "cache_control":{"type":"ephemeral"} }"#;
        let bill = r#"{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cch=1;"}"#;
        let mut text = text.replace("<c>", c).replace("<bill>", bill);
        for piece in ["A", "B", "R", "S", "Y", "Z", "string"] {
            let own = if piece == "string" { "c" } else { piece };
            text = text.replace(
                &format!("<{piece}>"),
                &format!(r#"{{"type":"text","text":"{own}"}}"#),
            );
        }
        text
    };
    for (value, pieces, want) in table {
        let row = (&*spelled(value), *pieces, &*spelled(want));
        check(Dialect::Messages, "system", &[row]);
    }
}

#[test]
fn each_piece_is_an_entry_of_its_own_in_the_system_of_messages() {
    check_entries(&[
        ("", &[A], "[<A>]"),
        ("", &[Y], "[<Y>]"),
        ("", &[R], "[<R>]"),
        ("", &[A, Y, B, S, R], "[<A>,<B>,<S>,<R>,<Y>]"),
        ("null", &[A], "[<A>]"),
        ("[]", &[A, Y], "[<A>,<Y>]"),
        (r#"" \n ""#, &[A], "[<A>]"),
        (r#""c""#, &[A], "[<A>,<string>]"),
        (r#""c""#, &[Y], "[<string>,<Y>]"),
        (r#""c""#, &[R], "[<R>]"),
        (r#""c""#, &[A, B, Y, Z], "[<A>,<B>,<string>,<Y>,<Z>]"),
        ("[ <c> ]", &[A], "[ <A>,<c> ]"),
        ("[ <c> ]", &[Y], "[ <c>,<Y> ]"),
        ("[ <c> ]", &[R], "[<R>]"),
        ("[<c> , <c>]", &[A, B, Y, Z], "[<A>,<B>,<c> , <c>,<Y>,<Z>]"),
        (r#"[5,"A",{"text":7}]"#, &[A, Y], r#"[<A>,5,"A",{"text":7},<Y>]"#),
    ]);
}

#[test]
fn v12_the_attribution_entry_stays_the_first() {
    let string = r#""x-anthropic-billing-header: cc_version=2; cch=1;""#;
    check_entries(&[
        ("[ <bill> , <c>]", &[A], "[ <bill> , <A>,<c>]"),
        ("[ <bill> ]", &[A], "[ <bill>,<A> ]"),
        ("[ <bill> ]", &[A, Y], "[ <bill>,<A>,<Y> ]"),
        ("[<bill>,<c>]", &[Y], "[<bill>,<c>,<Y>]"),
        ("[<bill>,<c>,<c>]", &[A, R, Y], "[<bill>,<A>,<R>,<Y>]"),
        ("[<bill>,<A>,<c>]", &[A, B], "[<bill>,<A>,<B>,<c>]"),
        ("[<c>,<bill>]", &[A], "[<A>,<c>,<bill>]"),
        (string, &[A, Y], "[<bill>,<A>,<Y>]"),
        (string, &[R], "[<bill>,<R>]"),
    ]);
}

#[test]
fn an_entry_that_is_there_is_not_put_in_again() {
    let elsewhere = r#"[{"text":"\u0041","cache_control":null,"type":"text"}]"#;
    let joined = r#"[{"type":"text","text":"A\n\nc"}]"#;
    let within = r#"[{"type":"text","text":"A\n\nc\n\nY"},{"type":"text","text":"d"}]"#;
    check_entries(&[
        ("[<A>,<c>,<Z>]", &[A, Y, Z], "[<A>,<c>,<Y>,<Z>]"),
        ("[<A>,<Z>]", &[A, B, Y, Z], "[<A>,<B>,<Y>,<Z>]"),
        ("[<A>]", &[A, AA], "[<A>,<A>]"),
        ("[<A>,<Y>,<c>]", &[A, Y], "[<A>,<Y>,<c>]"),
        ("[<bill>,<A>,<Y>,<c>]", &[A, Y], "[<bill>,<A>,<Y>,<c>]"),
        (within, &[A, Y], within),
        ("[<A>]", &[A, B, AA], "[<A>,<B>,<A>]"),
        (r#""A""#, &[A], r#""A""#),
        (r#""A\n\nc\n\nY""#, &[A, Y], r#""A\n\nc\n\nY""#),
        (elsewhere, &[A], elsewhere),
        (joined, &[A], joined),
    ]);
}

/// Items that lead, as a converting proxy writes them.
#[test]
fn pieces_that_stand_in_items_of_responses_are_not_put_in_again() {
    let item = |text: &str| {
        format!(
            r#"{{"type":"message","role":"developer","content":[{{"type":"input_text","text":"{text}"}}]}}"#
        )
    };
    let (first, last) = (item(r"A\n\nc"), item(r"d\n\nY"));
    let both = format!(r#"{{"input":[{first},{last}]}}"#);
    assert_eq!(injected(Dialect::Responses, &both, &[A, Y]), Ok(both));
    let one = format!(r#"{{"input":[{first}]}}"#);
    assert_eq!(
        injected(Dialect::Responses, &one, &[A, Y]),
        Ok(format!(r#"{{"input":[{first}],"instructions":"A\n\nY"}}"#))
    );
}

#[test]
fn pieces_join_the_instructions_that_lead_a_chat() {
    let user = r#"{"role":"user","content":"hi"}"#;
    let table: Vec<(String, &[Piece<'_>], String)> = [
        // No instructions lead.
        ("[]", &[A][..], r#"[{"role":"system","content":"A"}]"#),
        ("[USER,USER]", &[A], r#"[{"role":"system","content":"A"},USER,USER]"#),
        ("[ USER]", &[A, Y], r#"[{"role":"system","content":"A\n\nY"}, USER]"#),
        ("[USER]", &[B, R, Y], r#"[{"role":"system","content":"B\n\nR\n\nY"},USER]"#),
        (r#"[USER,{"role":"system","content":"c"}]"#, &[A], r#"[{"role":"system","content":"A"},USER,{"role":"system","content":"c"}]"#),
        (r#"["x",5]"#, &[A], r#"[{"role":"system","content":"A"},"x",5]"#),
        // One message of a string.
        (r#"[{"role":"system","content":"c"},USER]"#, &[A], r#"[{"role":"system","content":"A\n\nc"},USER]"#),
        (r#"[{"role":"system","content":"c"},USER]"#, &[Y], r#"[{"role":"system","content":"c\n\nY"},USER]"#),
        (r#"[ {"role":"system","content":"c","name":"n"} ,USER]"#, &[R], r#"[ {"role":"system","content":"R"} ,USER]"#),
        (r#"[ { "content" : "c" , "role" : "developer" } ,USER]"#, &[A, B, Y], r#"[ { "content" : "A\n\nB\n\nc\n\nY" , "role" : "developer" } ,USER]"#),
        (r#"[{"role":"developer","content":"c"},USER]"#, &[A, R], r#"[{"role":"developer","content":"A\n\nR"},USER]"#),
        (r#"[{"role":"\u0073ystem","content":""}]"#, &[A, Y], r#"[{"role":"\u0073ystem","content":"A\n\nY"}]"#),
        // One message of parts.
        (r#"[{"role":"system","content":[ PART ]},USER]"#, &[A, Y], r#"[{"role":"system","content":[ {"type":"text","text":"A"},PART,{"type":"text","text":"Y"} ]},USER]"#),
        (r#"[{"role":"system","content":[]},USER]"#, &[A, Y], r#"[{"role":"system","content":[{"type":"text","text":"A"},{"type":"text","text":"Y"}]},USER]"#),
        (r#"[{"role":"system","content":[PART]},USER]"#, &[R], r#"[{"role":"system","content":"R"},USER]"#),
        // Several that lead.
        (r#"[{"role":"system","content":"c"},{"role":"developer","content":[PART]},USER]"#, &[A, Y], r#"[{"role":"system","content":"A\n\nc"},{"role":"developer","content":[PART,{"type":"text","text":"Y"}]},USER]"#),
        (r#"[{"role":"system","content":"c"}, {"role":"developer","content":"d"} ,USER,{"role":"system","content":"e"}]"#, &[R], r#"[{"role":"system","content":"R"} ,USER,{"role":"system","content":"e"}]"#),
        // Instructions of no text.
        (r#"[{"role":"system","content":null},USER]"#, &[A, Y], r#"[{"role":"system","content":"A"},{"role":"system","content":null},{"role":"system","content":"Y"},USER]"#),
        (r#"[{"role":"developer"},USER]"#, &[A], r#"[{"role":"developer","content":"A"},{"role":"developer"},USER]"#),
        // It is there already.
        (r#"[{"role":"system","content":[{"type":"text","text":"A\n\nc"}]},USER]"#, &[A], r#"[{"role":"system","content":[{"type":"text","text":"A\n\nc"}]},USER]"#),
        (r#"[{"role":"system","content":"A\n\nc"},{"role":"system","content":"d\n\nY"}]"#, &[A, Y], r#"[{"role":"system","content":"A\n\nc"},{"role":"system","content":"d\n\nY"}]"#),
        (r#"[{"role":"system","content":"A\n\nc\n\nY"},{"role":"developer","content":"d"}]"#, &[A, Y], r#"[{"role":"system","content":"A\n\nc\n\nY"},{"role":"developer","content":"d"}]"#),
        (r#"[{"role":"system","content":"A\n\nc\n\nY\n\nd"},USER]"#, &[A, Y], r#"[{"role":"system","content":"A\n\nc\n\nY\n\nd"},USER]"#),
        (r#"[{"role":"system","content":"A"},{"role":"developer","content":"d"}]"#, &[A, AA], r#"[{"role":"system","content":"A"},{"role":"developer","content":"d\n\nA"}]"#),
    ]
    .map(|(value, pieces, want)| {
        let part = r#"{"type":"text","text":"c","cache_control":{"type":"ephemeral"}}"#;
        let [value, want] = [value, want].map(|text| text.replace("USER", user).replace("PART", part));
        (value, pieces, want)
    })
    .into();
    let table: Vec<(&str, &[Piece<'_>], &str)> = table
        .iter()
        .map(|(value, pieces, want)| (&**value, *pieces, &**want))
        .collect();
    check(Dialect::Chat, "messages", &table);
}

#[test]
fn each_piece_has_its_own_separator() {
    let with = |text, position, separator| Piece {
        text,
        spelled: text,
        position,
        separator,
    };
    let pieces = [
        with("A", Before, " | "),
        with("B", Before, ""),
        with("Y", After, "\n---\n"),
        with("Z", After, "\""),
    ];
    let found = injected(Dialect::Responses, r#"{"instructions":"c"}"#, &pieces).unwrap();
    assert_eq!(found, r#"{"instructions":"A | Bc\n---\nY\"Z"}"#);
    let alone = injected(Dialect::Responses, "{}", &pieces).unwrap();
    assert_eq!(alone, r#"{"instructions":"A | BY\"Z"}"#);
}

#[test]
fn without_a_piece_nothing_is_changed() {
    let blank = [piece("", Before), piece(" \n", After), piece("\t", Replace)];
    for dialect in Dialect::ALL {
        for body in [
            r#"{"system":5,"instructions":[],"messages":{}}"#,
            r#"{"system":"c","instructions":"c","messages":[{"role":"system","content":"c"}]}"#,
        ] {
            for pieces in [&[][..], &blank] {
                assert_eq!(injected(dialect, body, pieces).as_deref(), Ok(body), "{dialect}");
            }
        }
    }
}

#[test]
fn a_prompt_cannot_be_dodged_by_a_field_of_the_wrong_type() {
    for (dialect, field, values) in [
        (
            Dialect::Chat,
            "messages",
            &["{}", "5", "\"c\"", "null", "true"][..],
        ),
        (Dialect::Messages, "system", &["{}", "5", "true", "false"]),
        (Dialect::Responses, "instructions", &["{}", "5", "[]", "true"]),
    ] {
        for value in values {
            for pieces in [[A], [R], [Y]] {
                let error = injected(dialect, &format!("{{\"{field}\":{value}}}"), &pieces).unwrap_err();
                assert_eq!(error.param.as_deref(), Some(field), "{value}");
                assert!(error.message.ends_with('.'), "{}", error.message);
            }
        }
    }
    assert_eq!(
        injected(Dialect::Chat, "{}", &[A]).unwrap_err().param.as_deref(),
        Some("messages")
    );
}

#[test]
fn a_long_conversation_is_not_copied() {
    let long = "x".repeat(100_000);
    let body = Bytes::from(format!(
        r#"{{"messages":[{{"role":"system","content":"c"}},{{"role":"user","content":"{long}"}}],"model":"m"}}"#
    ));
    let envelope = Envelope::read(&body, 128).unwrap();
    let edit = system(Dialect::Chat, &body, &envelope, &[A, Y]).unwrap();
    let spliced = edit::apply(&body, &envelope, edit.as_slice());
    assert_eq!(spliced.parts.len(), 5);
    let memory = body.as_ptr_range();
    for part in spliced.parts.iter().step_by(2) {
        assert!(memory.contains(&part.as_ptr()), "the same memory, not a copy");
    }
}
