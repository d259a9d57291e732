//! How an answer looks on the wire, and when its parts come.

use std::time::Duration;

use llm_sim::{Answer, Gate, Newline, Sim, Speaks};

use crate::client::{Client, DIALECTS, Dialect, Ended, ask};

#[tokio::test]
async fn a_stream_is_cut_at_any_byte_and_stays_the_same() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        let answer = Answer::healthy().text("naïve 日本 🦀 text");
        sim.script(move |seen| match seen.connection {
            1 => answer.clone(),
            n => answer.clone().chunk_bytes(usize::try_from(n).unwrap() - 1),
        });
        let whole = ask(&sim, dialect, true).await;
        let expected = whole.text().replace("sim1", "sim_");
        for (serial, size) in [(2, 1), (3, 2), (4, 3), (5, 4)] {
            let reply = ask(&sim, dialect, true).await;
            assert_eq!(
                reply.text().replace(&format!("sim{serial}"), "sim_"),
                expected,
                "{dialect:?}"
            );
            let (last, full) = reply.chunks.split_last().unwrap();
            assert!(full.iter().all(|chunk| chunk.len() == size) && last.len() <= size);
        }
    }
}

#[tokio::test]
async fn lines_end_as_asked_and_a_mark_may_come_first() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let events = ["data: 1\n\n", "data: [DONE]\n\n"];
    sim.next(Answer::events(events).newline(Newline::CrLf));
    sim.next(Answer::events(events).newline(Newline::Cr));
    sim.next(Answer::events(events).bom());
    let mut client = Client::connect(&sim).await;
    assert_eq!(
        client.ask(Dialect::Chat, true).await.text(),
        "data: 1\r\n\r\ndata: [DONE]\r\n\r\n"
    );
    assert_eq!(
        client.ask(Dialect::Chat, true).await.text(),
        "data: 1\r\rdata: [DONE]\r\r"
    );
    assert_eq!(
        client.ask(Dialect::Chat, true).await.text(),
        "\u{feff}data: 1\n\ndata: [DONE]\n\n"
    );
}

#[tokio::test]
async fn deltas_are_as_many_as_asked_for() {
    for dialect in DIALECTS {
        let sim = Sim::start(Speaks::All).await.unwrap();
        sim.next(Answer::healthy().text("x").deltas(100));
        let reply = ask(&sim, dialect, true).await;
        let events = reply.events();
        let deltas = events.iter().filter(|(name, data)| match dialect {
            Dialect::Chat => data["choices"][0]["delta"]["content"] == "x",
            Dialect::Messages => name == "content_block_delta",
            Dialect::Responses => name == "response.output_text.delta",
        });
        assert_eq!(deltas.count(), 100, "{dialect:?}");
        assert_eq!(reply.chunks.len(), events.len(), "an HTTP chunk an event");
    }
}

#[tokio::test]
async fn events_come_in_their_time() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let ms = Duration::from_millis;
    sim.next(
        Answer::events(["data: 1\n\n"; 4])
            .head_delay(ms(20))
            .first_delay(ms(20))
            .delay(ms(10)),
    );
    let reply = ask(&sim, Dialect::Chat, true).await;
    let took = sim.seen()[0].arrived.elapsed();
    assert_eq!(reply.events().len(), 4);
    assert!(took >= ms(70), "20 + 20 + 3 x 10, not {took:?}");
}

#[tokio::test]
async fn an_answer_waits_behind_a_gate_and_nobody_else_does() {
    let (sim, gate) = (Sim::start(Speaks::Chat).await.unwrap(), Gate::default());
    sim.next(Answer::events(["data: late\n\n"]).behind(&gate))
        .next(Answer::events(["data: early\n\n"]));
    let mut late = std::pin::pin!(ask(&sim, Dialect::Chat, true));
    let others = async {
        sim.wait_seen(1).await;
        ask(&sim, Dialect::Chat, true).await.text()
    };
    tokio::select! {
        _ = &mut late => panic!("the gate is closed"),
        text = others => assert_eq!(text, "data: early\n\n"),
    }
    gate.open();
    assert_eq!(late.await.text(), "data: late\n\n");
}

#[tokio::test]
async fn a_length_may_promise_too_much_or_be_left_out() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(Answer::healthy().content_length_over(10));
    let reply = ask(&sim, Dialect::Chat, false).await;
    let promised: usize = reply.header("content-length").unwrap().parse().unwrap();
    assert_eq!((reply.bytes().len() + 10, reply.ended), (promised, Ended::Fin));
    sim.next(Answer::healthy().close_delimited());
    let reply = ask(&sim, Dialect::Chat, true).await;
    assert_eq!(
        (reply.header("transfer-encoding"), reply.ended),
        (None, Ended::Fin)
    );
    assert!(reply.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn raw_bytes_stand_in_place_of_a_response() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let odd = "HTTP/1.1 200 Fine\r\ncontent-length: 2\r\nx: y\r\n\r\nhi";
    sim.next(Answer::raw_response(odd).keep_open())
        .next(Answer::raw_response(odd));
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(Dialect::Chat, false).await.text(), "hi");
    assert_eq!(client.ask(Dialect::Chat, false).await.text(), "hi");
    assert_eq!(client.ended().await, Ended::Fin);
}

#[tokio::test]
async fn informational_responses_come_before_the_answer() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    sim.next(
        Answer::healthy()
            .informational(100, &[])
            .informational(103, &[("link", "</a>")]),
    );
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.ask(Dialect::Chat, false).await.status, 100);
    let hints = client.reply().await;
    assert_eq!((hints.status, hints.header("link")), (103, Some("</a>")));
    assert_eq!(client.reply().await.status, 200);
}

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_go_on() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = Dialect::Chat.body(false).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: {}\r\n{}Expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        sim.addr(),
        Dialect::Chat.headers(),
        body.len()
    );
    client.raw(head.as_bytes()).await;
    assert_eq!(client.reply().await.status, 100);
    client.raw(body.as_bytes()).await;
    assert_eq!(client.reply().await.status, 200);
}

#[tokio::test]
async fn chunked_requests_are_read() {
    let sim = Sim::start(Speaks::Chat).await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = Dialect::Chat.body(false).to_string();
    let (one, two) = body.split_at(10);
    let (addr, headers) = (sim.addr(), Dialect::Chat.headers());
    client
        .raw(
            format!(
                "POST /v1/chat/completions HTTP/1.1\r\nhost: {addr}\r\n{headers}transfer-encoding: chunked\r\n\r\n\
                 a\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n",
                two.len()
            )
            .as_bytes(),
        )
        .await;
    assert_eq!(client.reply().await.status, 200);
    assert_eq!(sim.seen()[0].body, body);
}

#[tokio::test]
async fn workloads_are_chosen_by_the_models_name() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    for dialect in DIALECTS {
        let ask = async |model: &str, stream: bool| {
            let mut body = dialect.body(stream);
            body["model"] = model.into();
            let mut client = Client::connect(&sim).await;
            client
                .post(dialect.path(), dialect.headers(), body.to_string().as_bytes())
                .await
        };
        let small = ask("sim-small", false).await.bytes().len();
        assert!((600..2500).contains(&small), "{dialect:?}: {small}");
        for model in ["sim-burst-10", "sim-paced-10", "sim-slow-10-1"] {
            assert_eq!(
                ask(model, true).await.text().matches("\"token \"").count(),
                10,
                "{dialect:?} {model}"
            );
            assert!(ask(model, false).await.json().is_object(), "{dialect:?} {model}");
        }
        assert_eq!(ask("sim-fail-529", true).await.status, 529);
        let cut = ask("sim-cut-3", true).await;
        assert_eq!(
            (cut.text().matches("\"token \"").count(), cut.ended),
            (3, Ended::Rst),
            "{dialect:?}"
        );
    }
}
