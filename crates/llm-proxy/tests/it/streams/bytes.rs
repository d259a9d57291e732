//! A stream of the client's own dialect passes byte for byte, however its backend writes and cuts it. The recorded
//! traffic is the proof.

use std::path::PathBuf;

use llm_sim::{Answer, Newline, Sim, Speaks};
use serde_json::{Value, json};

use crate::support::{Proxy, Tongue};

/// A recorded stream.
struct Recording {
    name: String,
    path: &'static str,
    request: Value,
    text: String,
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is how a test finds the recordings"
)]
fn folder() -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared");
    let shared = std::env::var("LLM_PROXY_SHARED").unwrap_or_else(|_| beside.to_owned());
    PathBuf::from(shared).join("fixtures")
}

/// Every recorded stream of the dialects that the proxy speaks.
fn recordings() -> Vec<Recording> {
    let mut all = Vec::new();
    for dialect in ["chat", "messages", "responses"] {
        for entry in std::fs::read_dir(folder().join(dialect)).expect("the recordings are there") {
            let path = entry.unwrap().path();
            let case: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            let name = format!("{dialect}/{}", path.file_stem().unwrap().to_string_lossy());
            all.extend(recording(name, &case));
        }
    }
    all.sort_by(|one, two| one.name.cmp(&two.name));
    assert!(all.len() > 40, "only {} streams found", all.len());
    all
}

fn recording(name: String, case: &Value) -> Option<Recording> {
    let (path, request) = match case["dialect"].as_str()? {
        "chat" => (Tongue::Chat.path(), Tongue::Chat.request("openai", true)),
        "messages" => (
            Tongue::Messages.path(),
            Tongue::Messages.request("anthropic", true),
        ),
        "responses" => (
            Tongue::Responses.path(),
            Tongue::Responses.request("openai", true),
        ),
        "completions" => (
            "/v1/completions",
            json!({"model": "openai", "prompt": "Hello", "stream": true}),
        ),
        _ => return None,
    };
    let names_events = matches!(path, "/v1/messages" | "/v1/responses");
    let response = &case["response"];
    let text = match (&response["sse"], &response["data_lines"]) {
        (Value::String(text), _) => text.clone(),
        (_, Value::Array(lines)) => lines.iter().map(|line| framed(line, names_events)).collect(),
        _ => return None,
    };
    Some(Recording {
        name,
        path,
        request,
        text,
    })
}

/// Recordings of bare data lines get back the frame that their dialect has.
fn framed(line: &Value, names_events: bool) -> String {
    let data = line.as_str().unwrap();
    let json: Value = serde_json::from_str(data).unwrap_or_default();
    match json["type"].as_str() {
        Some(name) if names_events => format!("event: {name}\ndata: {data}\n\n"),
        _ => format!("data: {data}\n\n"),
    }
}

/// What the client gets of a recording: all of it, but nothing behind an error.
fn expected(recording: &Recording) -> Option<&str> {
    match recording.name.as_str() {
        // An error before any content: no answer at all; see the test below.
        "responses/error-midstream-openai" => None,
        "chat/openrouter-error-in-200-openrouter-1" => recording.text.strip_suffix("data: [DONE]\n\n"),
        _ => Some(&recording.text),
    }
}

/// Plays every recording through the proxy in this shape; `wire` says how the shape changes the bytes.
async fn all_pass(shape: impl Fn(Answer) -> Answer, wire: impl Fn(&str) -> String) {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let proxy = Proxy::start(&format!(
        "backends:
  - {{name: openai, protocol: openai, url: {0}, api_key: sk-canary-backend-a}}
  - {{name: anthropic, protocol: anthropic, url: {0}, api_key: sk-canary-backend-b}}
models: {{openai: {{backend: openai}}, anthropic: {{backend: anthropic}}}}
",
        sim.url()
    ))
    .await;
    for recording in recordings() {
        let Some(expected) = expected(&recording) else {
            continue;
        };
        sim.next(shape(Answer::events([recording.text.clone()])));
        let reply = proxy.client().post(recording.path, &recording.request).await;
        let name = &recording.name;
        assert_eq!(reply.status, 200, "{name}: {}", reply.text());
        assert!(reply.whole, "{name}");
        assert_eq!(reply.text(), wire(expected), "{name}");
    }
    assert_eq!(sim.protocol_errors(), [""; 0]);
    proxy.finish().await;
}

#[tokio::test]
async fn s14_recorded_streams_pass_byte_for_byte() {
    all_pass(|answer| answer, str::to_owned).await;
}

#[tokio::test]
async fn s15_streams_in_writes_of_one_byte_pass_byte_for_byte() {
    all_pass(|answer| answer.chunk_bytes(1), str::to_owned).await;
}

#[tokio::test]
async fn s15_streams_in_writes_of_seven_bytes_pass_byte_for_byte() {
    all_pass(|answer| answer.chunk_bytes(7), str::to_owned).await;
}

#[tokio::test]
async fn s15_streams_with_lines_that_end_in_cr_lf_pass_byte_for_byte() {
    let wire = |text: &str| text.replace('\n', "\r\n");
    all_pass(|answer| answer.newline(Newline::CrLf).chunk_bytes(7), wire).await;
}

#[tokio::test]
async fn s15_streams_with_lines_that_end_in_cr_pass_byte_for_byte() {
    let wire = |text: &str| text.replace('\n', "\r");
    all_pass(|answer| answer.newline(Newline::Cr).chunk_bytes(7), wire).await;
}

#[tokio::test]
async fn s15_a_byte_order_mark_passes() {
    let wire = |text: &str| format!("\u{feff}{text}");
    all_pass(|answer| answer.bom().chunk_bytes(1), wire).await;
}

#[tokio::test]
async fn s15_streams_that_end_with_their_connection_pass_byte_for_byte() {
    all_pass(Answer::close_delimited, str::to_owned).await;
}

#[tokio::test]
async fn s03_the_recorded_error_before_any_content_is_answered_from_the_next_backend() {
    let (a, b) = (
        Sim::start(Speaks::All).await.unwrap(),
        Sim::start(Speaks::All).await.unwrap(),
    );
    let twist = crate::support::rig::Twist::default();
    let config = crate::support::rig::config(Tongue::Responses, (&a.url(), &b.url()), twist);
    let proxy = Proxy::start(&config).await;
    let recorded = recordings();
    let recorded = recorded
        .iter()
        .find(|recording| recording.name == "responses/error-midstream-openai")
        .unwrap();
    a.next(Answer::events([recorded.text.clone()]));
    let reply = proxy.client().responses("m", true).await.expect(200);
    assert_eq!(reply.header("x-llm-proxy-backend"), "b");
    assert!(!reply.text().contains("exceeded your current quota"));
    let record = &proxy.recorded(1).await[0];
    assert_eq!(record["attempts"][0]["class"], "quota");
    proxy.finish().await;
}

/// Everything that the event stream format allows and providers do not write.
const ODD: &str = ": a comment\n\nid: 7\nretry: 1000\nevent: something_new\ndata: {\"type\":\"something_new\",\"n\": 1.0e+2}\n\n\
    data:no space\ndata: and a second line\n\nunknown: field\n\n";

#[tokio::test]
async fn s14_comments_ids_unknown_events_and_many_lines_of_data_pass_byte_for_byte() {
    for tongue in Tongue::ALL {
        let rig = crate::support::Rig::start(tongue).await;
        for newline in [Newline::Lf, Newline::CrLf, Newline::Cr] {
            let events = [tongue.begun(2), vec![ODD.to_owned()], tongue.closing()].concat();
            let text = events.concat();
            rig.a.next(Answer::events(events).newline(newline).chunk_bytes(3));
            let reply = rig.ask(true).await.expect(200);
            let end = match newline {
                Newline::Lf => "\n",
                Newline::CrLf => "\r\n",
                Newline::Cr => "\r",
            };
            assert_eq!(reply.text(), text.replace('\n', end), "{tongue:?} {newline:?}");
        }
        rig.finish().await;
    }
}
