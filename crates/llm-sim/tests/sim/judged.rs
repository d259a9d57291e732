//! What the simulated backends say, before the judge that also reads what conversion writes.

use llm_dialect::grammar::{self, Transcript};
use llm_sim::{Answer, Newline, Sim, Speaks};

use crate::client::{DIALECTS, Dialect, ask};

fn judge(dialect: Dialect) -> llm_dialect::Dialect {
    match dialect {
        Dialect::Chat => llm_dialect::Dialect::Chat,
        Dialect::Responses => llm_dialect::Dialect::Responses,
        Dialect::Messages => llm_dialect::Dialect::Messages,
    }
}

/// Kinds of healthy answers, by name.
fn answers() -> [(&'static str, Answer); 5] {
    let full = || {
        Answer::healthy()
            .reasoning("Let me think.")
            .text("It is 20 degrees.")
            .tool_call("weather", r#"{"city":"Ürümqi"}"#)
            .tool_call("now", "{}")
    };
    [
        ("plain", Answer::healthy()),
        ("full", full()),
        ("in awkward pieces", full().chunk_bytes(7).newline(Newline::CrLf)),
        ("refused", Answer::healthy().refusal()),
        ("cut short", Answer::healthy().truncated()),
    ]
}

async fn judged(dialect: Dialect, answer: Answer, stream: bool) -> Result<Transcript, String> {
    let sim = Sim::start(Speaks::All).await.unwrap();
    sim.always(answer);
    let reply = ask(&sim, dialect, stream).await;
    let verdict = if stream {
        grammar::stream(judge(dialect), &reply.bytes())
    } else {
        grammar::answer(judge(dialect), &reply.text())
    };
    verdict.map_err(|fault| format!("{fault}\n{}", reply.text()))
}

#[tokio::test]
async fn streams_and_answers_hold_to_the_grammar_and_say_the_same() {
    for dialect in DIALECTS {
        for (name, answer) in answers() {
            let stream = judged(dialect, answer.clone(), true).await;
            let stream = stream.unwrap_or_else(|fault| panic!("{dialect:?}, {name}, stream: {fault}"));
            let whole = judged(dialect, answer, false).await;
            let whole = whole.unwrap_or_else(|fault| panic!("{dialect:?}, {name}: {fault}"));
            assert_eq!(stream.blocks, whole.blocks, "{dialect:?}, {name}");
            assert_eq!(stream.stop, whole.stop, "{dialect:?}, {name}");
        }
    }
}
