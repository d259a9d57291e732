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
        (r#""c\\n\nY""#, &[Y], r#""c\\n\nY\n\nY""#),
    ];
    check(Dialect::Responses, "instructions", table);
}

#[test]
fn each_piece_is_an_entry_of_its_own_in_the_system_of_messages() {
    const E: [&str; 6] = ["A", "B", "R", "S", "Y", "Z"];
    let [a, b, r, s, y, z] = E.map(|text| format!(r#"{{"type":"text","text":"{text}"}}"#));
    let c = r#"{ "type":"text","text":"c", "cache_control":{"type":"ephemeral"} }"#;
    let bill = r#"{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cch=1;"}"#;
    let string = r#"{"type":"text","text":"c"}"#;
    let bill_string = r#""x-anthropic-billing-header: cc_version=2; cch=1;""#;
    let table: Vec<(String, &[Piece<'_>], String)> = vec![
        (String::new(), &[A], format!("[{a}]")),
        (String::new(), &[Y], format!("[{y}]")),
        (String::new(), &[R], format!("[{r}]")),
        (String::new(), &[A, Y, B, S, R], format!("[{a},{b},{s},{r},{y}]")),
        ("null".into(), &[A], format!("[{a}]")),
        ("[]".into(), &[A, Y], format!("[{a},{y}]")),
        (r#"" \n ""#.into(), &[A], format!("[{a}]")),
        (r#""c""#.into(), &[A], format!("[{a},{string}]")),
        (r#""c""#.into(), &[Y], format!("[{string},{y}]")),
        (r#""c""#.into(), &[R], format!("[{r}]")),
        (
            r#""c""#.into(),
            &[A, B, Y, Z],
            format!("[{a},{b},{string},{y},{z}]"),
        ),
        (r#""A""#.into(), &[A], r#""A""#.into()),
        (r#""A\n\nc\n\nY""#.into(), &[A, Y], r#""A\n\nc\n\nY""#.into()),
        (bill_string.into(), &[A, Y], format!("[{bill},{a},{y}]")),
        (bill_string.into(), &[R], format!("[{bill},{r}]")),
        (format!("[ {c} ]"), &[A], format!("[ {a},{c} ]")),
        (format!("[ {c} ]"), &[Y], format!("[ {c},{y} ]")),
        (format!("[ {c} ]"), &[R], format!("[{r}]")),
        (
            format!("[{c} , {c}]"),
            &[A, B, Y, Z],
            format!("[{a},{b},{c} , {c},{y},{z}]"),
        ),
        (format!("[ {bill} , {c}]"), &[A], format!("[ {bill} , {a},{c}]")),
        (format!("[ {bill} ]"), &[A], format!("[ {bill},{a} ]")),
        (format!("[ {bill} ]"), &[A, Y], format!("[ {bill},{a},{y} ]")),
        (format!("[{bill},{c}]"), &[Y], format!("[{bill},{c},{y}]")),
        (
            format!("[{bill},{c},{c}]"),
            &[A, R, Y],
            format!("[{bill},{a},{r},{y}]"),
        ),
        (
            format!("[{bill},{a},{c}]"),
            &[A, B],
            format!("[{bill},{a},{b},{c}]"),
        ),
        (format!("[{c},{bill}]"), &[A], format!("[{a},{c},{bill}]")),
        (format!("[{a},{c},{z}]"), &[A, Y, Z], format!("[{a},{c},{y},{z}]")),
        (format!("[{a},{z}]"), &[A, B, Y, Z], format!("[{a},{b},{y},{z}]")),
        (format!("[{a}]"), &[A, AA], format!("[{a},{a}]")),
        (format!("[{a}]"), &[A, B, AA], format!("[{a},{b},{a}]")),
        (
            r#"[{"text":"\u0041","cache_control":null,"type":"text"}]"#.into(),
            &[A],
            r#"[{"text":"\u0041","cache_control":null,"type":"text"}]"#.into(),
        ),
        (
            r#"[{"type":"text","text":"A\n\nc"}]"#.into(),
            &[A],
            r#"[{"type":"text","text":"A\n\nc"}]"#.into(),
        ),
        (
            r#"[5,"A",{"text":7}]"#.into(),
            &[A, Y],
            format!(r#"[{a},5,"A",{{"text":7}},{y}]"#),
        ),
    ];
    let table: Vec<(&str, &[Piece<'_>], &str)> = table
        .iter()
        .map(|(value, pieces, want)| (&**value, *pieces, &**want))
        .collect();
    check(Dialect::Messages, "system", &table);
}

#[test]
fn pieces_join_the_instructions_that_lead_a_chat() {
    let user = r#"{"role":"user","content":"hi"}"#;
    let table: Vec<(String, &[Piece<'_>], String)> = [
        // No instructions lead.
        ("[]", &[A][..], r#"[{"role":"system","content":"A"}]"#),
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
