//! A client that goes away frees everything at once, whatever was being done for it (rule book, 6.3).

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llm_sim::{Answer, Cut, Sim, Speaks};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::support::hand::Held;
use super::support::rig::Twist;
use super::support::{Hand, Proxy, Rig, Tongue, promptly, rig, until, within};

/// All there is to say of a client that left while `a` was being asked: the record, and that nobody was blamed.
async fn left(rig: &Rig, status: u64) -> Value {
    let record = promptly("the record", rig.proxy.recorded(1)).await.remove(0);
    assert_eq!(record["class"], "client_gone", "{:?}: {record}", rig.tongue);
    assert_eq!(record["cancelled"], true, "{record}");
    assert_eq!(record["status"], status, "{record}");
    assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(rig.b.seen().len(), 0, "{:?}: nobody else is asked", rig.tongue);
    let a = rig.proxy.backend("a").await;
    assert_eq!((&a["state"], &a["in_flight"]), (&"ok".into(), &0.into()), "{a}");
    record
}

#[tokio::test]
async fn x02_leaving_while_a_backend_is_silent_closes_its_connection() {
    for tongue in Tongue::ALL {
        for stream in [true, false] {
            let rig = Rig::start(tongue).await;
            rig.a.always(Answer::hang());
            let request = tongue.request("m", stream).to_string();
            let client = rig.proxy.client();
            let streaming = client.open("POST", tongue.path(), request.as_bytes()).await;
            let seen = within("a's request", rig.a.wait_seen(1)).await;
            streaming.leave();
            promptly("a's socket is closed", rig.a.wait_closed(seen[0].connection)).await;
            left(&rig, 499).await;
            rig.finish().await;
        }
    }
}

/// An address where connecting neither works nor fails: the backlog is full and nobody accepts.
async fn black_hole() -> (String, Vec<TcpStream>, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any: std::net::SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut fillers = Vec::new();
    while let Ok(Ok(filler)) =
        tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await
    {
        fillers.push(filler);
    }
    (format!("http://{address}"), fillers, socket)
}

#[tokio::test]
async fn x02_leaving_while_a_backend_is_being_connected_to_gives_the_attempt_up() {
    let (url, fillers, hole) = black_hole().await;
    let top = "timeout: {connect: 60s}\n";
    let config = rig::config(Tongue::Chat, (&url, &url), Twist { a: "", top });
    let proxy = Proxy::start(&config).await;
    let request = Tongue::Chat.request("m", true).to_string();
    let streaming = proxy
        .client()
        .open("POST", Tongue::Chat.path(), request.as_bytes())
        .await;
    until("the attempt", async || {
        (proxy.backend("a").await["in_flight"] == 1).then_some(())
    })
    .await;
    streaming.leave();
    let record = promptly("the record", proxy.recorded(1)).await.remove(0);
    assert_eq!(
        (&record["status"], &record["class"]),
        (&499.into(), &"client_gone".into())
    );
    proxy.finish().await;
    drop((fillers, hole));
}

#[tokio::test]
async fn x03_leaving_before_the_commit_point_closes_the_backends_connection() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let events = tongue.opening();
        let sent = events.len();
        rig.a.always(Answer::events(events).after(sent, Cut::Stall));
        let streaming = rig.open().await;
        let seen = within("a's request", rig.a.wait_seen(1)).await;
        streaming.leave();
        promptly("a's socket is closed", rig.a.wait_closed(seen[0].connection)).await;
        left(&rig, 499).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn x03_a_probe_whose_client_leaves_is_given_back() {
    for tongue in Tongue::ALL {
        let top = "fallback: {cooldown: 200ms, trip: {consecutive: 1}}\ntimeout: {first_byte: 60s}\n";
        let rig = Rig::top(tongue, top).await;
        rig.a.next(Answer::status(500));
        rig.ask(false).await.expect(200);
        rig.a.next(Answer::hang());
        let streaming = probe(&rig).await;
        streaming.leave();
        promptly(
            "a's socket is closed",
            rig.a.wait_closed(rig.a.seen()[1].connection),
        )
        .await;
        // Were the probe lost, `a` would be skipped until its lease lapses, which is a minute.
        until("the next probe", async || {
            let reply = rig.ask(false).await.expect(200);
            (reply.header("x-llm-proxy-backend") == "a").then_some(())
        })
        .await;
        until("the record of the probe", async || {
            let records = rig.proxy.records();
            records.into_iter().find(|record| record["cancelled"] == true)
        })
        .await;
        rig.finish().await;
    }
}

/// Asks until a request goes to `a`, which does not answer: the probe after its cooldown.
async fn probe(rig: &Rig) -> super::support::Streaming {
    until("a probe", async || {
        let mut streaming = rig.open().await;
        let answered = tokio::select! {
            () = streaming.until("HTTP/1.1") => true,
            _ = rig.a.wait_seen(2) => false,
        };
        if answered {
            streaming.rest().await;
        }
        (!answered).then_some(streaming)
    })
    .await
}

#[tokio::test]
async fn x04_leaving_inside_a_stream_closes_the_backends_connection() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let events = tongue.begun(5);
        let sent = events.len();
        rig.a.always(Answer::events(events).after(sent, Cut::Stall));
        let mut streaming = rig.open().await;
        streaming.until("word-4 ").await;
        let connection = rig.a.seen()[0].connection;
        streaming.leave();
        promptly("a's socket is closed", rig.a.wait_closed(connection)).await;
        let record = left(&rig, 200).await;
        if tongue == Tongue::Messages {
            assert_eq!(record["input_tokens"], 3, "as much as is known: {record}");
        }
        rig.finish().await;
    }
}

#[tokio::test]
async fn x05_leaving_while_a_body_is_read_closes_the_backends_connection() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        rig.a
            .always(Answer::healthy().chunk_bytes(20).after(2, Cut::Stall));
        let request = tongue.request("m", false).to_string();
        let client = rig.proxy.client();
        let streaming = client.open("POST", tongue.path(), request.as_bytes()).await;
        let seen = within("a's request", rig.a.wait_seen(1)).await;
        streaming.leave();
        promptly("a's socket is closed", rig.a.wait_closed(seen[0].connection)).await;
        left(&rig, 499).await;
        rig.finish().await;
    }
}

#[tokio::test]
async fn x06_leaving_while_waiting_for_a_recovery_asks_nobody_any_more() {
    for tongue in Tongue::ALL {
        let top = "fallback: {cooldown: 1500ms, trip: {consecutive: 1}}\n";
        let rig = Rig::top(tongue, top).await;
        rig.a.next(Answer::status(500));
        rig.b.next(Answer::status(500));
        rig.ask(false).await.expect(502);
        // Both cool now: this one waits for the first to recover.
        let streaming = rig.open().await;
        until("the wait", async || {
            (rig.proxy.status().await["in_flight"] == 1).then_some(())
        })
        .await;
        streaming.leave();
        let record = promptly("the record", rig.proxy.recorded(2)).await.remove(1);
        assert_eq!(record["class"], "client_gone", "{record}");
        assert_eq!(record["attempts"].as_array().unwrap().len(), 0, "{record}");
        // The next one waits to the end; only it comes to a backend.
        rig.ask(false).await.expect(200);
        assert_eq!(rig.a.seen().len() + rig.b.seen().len(), 3, "{tongue:?}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn x07_a_fin_counts_as_going_away() {
    for tongue in Tongue::ALL {
        let rig = Rig::start(tongue).await;
        let events = tongue.begun(5);
        let sent = events.len();
        rig.a.always(Answer::events(events).after(sent, Cut::Stall));
        let mut streaming = rig.open().await;
        streaming.until("word-4 ").await;
        streaming.half_close().await;
        let connection = rig.a.seen()[0].connection;
        promptly("a's socket is closed", rig.a.wait_closed(connection)).await;
        streaming.closed().await;
        left(&rig, 200).await;
        rig.finish().await;
    }
}

/// One stream over HTTP/2, read up to its first word.
async fn http2_stream(
    mut sender: hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    address: String,
) -> hyper::body::Incoming {
    let body = Tongue::Chat.request("m", true).to_string();
    let request = http::Request::post(format!("http://{address}{}", Tongue::Chat.path()))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(String::from_utf8_lossy(&first).contains("word-0 "));
    body
}

#[tokio::test]
async fn x08_of_ten_streams_on_one_connection_a_reset_ends_one() {
    let hand = Hand::start().await;
    let config = rig::config(Tongue::Chat, (&hand.url(), &hand.url()), Twist::default());
    let proxy = Proxy::start(&config).await;
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let mut streams = Vec::new();
    for _ in 0..10 {
        let asked = tokio::spawn(http2_stream(sender.clone(), proxy.address().to_owned()));
        proxy.sent(1);
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&Tongue::Chat.begun(1).concat()).await;
        let body = within("the first word", asked).await.unwrap();
        streams.push((held, body));
    }
    // Dropping a body resets its stream.
    let (mut held, body) = streams.remove(3);
    drop(body);
    promptly("that backend connection is closed", held.gone()).await;
    let record = promptly("the record", proxy.recorded(1)).await.remove(0);
    assert_eq!(record["class"], "client_gone", "{record}");
    for (mut held, body) in streams {
        held.say(&Tongue::Chat.closing().concat()).await;
        held.end().await;
        let rest = within("the rest of another stream", body.collect())
            .await
            .unwrap();
        let rest = String::from_utf8(rest.to_bytes().to_vec()).unwrap();
        assert_eq!(rest, Tongue::Chat.closing().concat());
    }
    let records = proxy.recorded(10).await;
    let whole = records.iter().filter(|record| record["class"].is_null());
    assert_eq!(whole.count(), 9);
    proxy.finish().await;
}

/// How many files a process has open.
fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[tokio::test]
async fn x09_a_thousand_clients_that_drop_their_requests_leave_nothing_behind() {
    let rig = Rig::start(Tongue::Chat).await;
    let rig = std::sync::Arc::new(rig);
    rig.a.always(Answer::hang());
    let before = open_files(rig.proxy.pid());
    let mut clients = JoinSet::new();
    for lane in 0..50 {
        let rig = std::sync::Arc::clone(&rig);
        clients.spawn(async move {
            for n in 0..20 {
                if (lane + n) % 2 == 0 {
                    rig.open().await.leave();
                } else {
                    // Not even a request.
                    drop(TcpStream::connect(rig.proxy.address()).await.unwrap());
                }
            }
        });
    }
    clients.join_all().await;
    until("all files to be closed again", async || {
        (open_files(rig.proxy.pid()) <= before + 1).then_some(())
    })
    .await;
    until("all of a's connections to be closed", async || {
        (rig.a.open_connections() == 0).then_some(())
    })
    .await;
    let Ok(rig) = std::sync::Arc::try_unwrap(rig) else {
        panic!("all clients are gone");
    };
    rig.finish().await;
}

#[tokio::test]
async fn x10_a_backend_may_be_read_to_its_end_for_the_sake_of_exact_usage() {
    for tongue in Tongue::ALL {
        let hand = Hand::start().await;
        let twist = Twist {
            a: ", on_disconnect: drain",
            top: "",
        };
        let proxy = Proxy::start(&rig::config(tongue, (&hand.url(), &hand.url()), twist)).await;
        let request = tongue.request("m", true).to_string();
        let mut streaming = proxy
            .client()
            .open("POST", tongue.path(), request.as_bytes())
            .await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.begun(1).concat()).await;
        streaming.until("word-0 ").await;
        // Gone, and seen to be: the proxy closes too.
        streaming.half_close().await;
        streaming.closed().await;
        // The client is gone; the backend may talk on, and is heard to its end.
        for n in 1..50 {
            held.say(&tongue.delta(n)).await;
        }
        if tongue == Tongue::Chat {
            let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#;
            held.say(&format!("data: {usage}\n\n")).await;
        }
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["class"], "client_gone", "{tongue:?}: {record}");
        assert_eq!(
            (&record["input_tokens"], &record["output_tokens"]),
            (&3.into(), &9.into())
        );
        proxy.finish().await;
    }
}

/// A proxy with one place, before a backend that is read to its end. Nobody waits for the place.
async fn drained(tongue: Tongue) -> (Hand, Proxy) {
    let hand = Hand::start().await;
    let twist = Twist {
        a: ", on_disconnect: drain",
        top: "concurrency: {max_requests: 1}\n",
    };
    let proxy = Proxy::start(&rig::config(tongue, (&hand.url(), &hand.url()), twist)).await;
    (hand, proxy)
}

/// A client whose request the backend holds, and who has left, and been seen to.
async fn left_early(tongue: Tongue, stream: bool, (hand, proxy): (&Hand, &Proxy)) -> Held {
    let request = tongue.request("m", stream).to_string();
    let client = proxy.client();
    let mut asked = client.open("POST", tongue.path(), request.as_bytes()).await;
    let held = hand.take().await;
    asked.half_close().await;
    asked.closed().await;
    held
}

/// A whole answer, in two pieces.
fn answer(tongue: Tongue) -> (String, String) {
    let body = match tongue {
        Tongue::Chat => {
            r#"{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"a"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#
        }
        Tongue::Messages => {
            r#"{"id":"m","type":"message","role":"assistant","content":[{"type":"text","text":"a"}],"stop_reason":"end_turn","usage":{"input_tokens":3,"output_tokens":9}}"#
        }
        Tongue::Responses => {
            r#"{"id":"r","object":"response","status":"completed","output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"a"}]}],"usage":{"input_tokens":3,"output_tokens":9}}"#
        }
    };
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length";
    let (first, rest) = body.split_at(40);
    (format!("{head}: {}\r\n\r\n{first}", body.len()), rest.to_owned())
}

#[tokio::test]
async fn x10_a_whole_answer_is_read_to_its_end_as_well_and_the_place_is_free_at_once() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = drained(tongue).await;
        let mut held = left_early(tongue, false, (&hand, &proxy)).await;
        let (first, rest) = answer(tongue);
        held.raw(&first).await;
        // The one place serves the next request meanwhile.
        let body = tongue.request("m", false);
        let client = proxy.client();
        let asked = client.post(tongue.path(), &body);
        let served = async {
            let mut next = hand.take().await;
            next.raw(&first).await;
            next.raw(&rest).await;
        };
        let (reply, ()) = tokio::join!(asked, served);
        reply.expect(200);
        held.raw(&rest).await;
        let records = proxy.recorded(2).await;
        let record = records.iter().find(|record| record["cancelled"] == true).unwrap();
        assert_eq!(
            (&record["status"], &record["class"]),
            (&499.into(), &"client_gone".into()),
            "{tongue:?}: {record}"
        );
        assert_eq!(
            (&record["input_tokens"], &record["output_tokens"]),
            (&3.into(), &9.into()),
            "{record}"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn x10_a_stream_that_had_not_begun_is_read_to_its_end_as_well() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = drained(tongue).await;
        let mut held = left_early(tongue, true, (&hand, &proxy)).await;
        held.begin().await;
        held.say(&tongue.begun(2).concat()).await;
        if tongue == Tongue::Chat {
            let usage = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":9}}"#;
            held.say(&format!("data: {usage}\n\n")).await;
        }
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["class"], "client_gone", "{tongue:?}: {record}");
        assert_eq!(
            (&record["input_tokens"], &record["output_tokens"]),
            (&3.into(), &9.into()),
            "{record}"
        );
        proxy.finish().await;
    }
}

#[tokio::test]
async fn x10_nobody_else_is_asked_for_a_client_that_has_left() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = drained(tongue).await;
        let held = left_early(tongue, false, (&hand, &proxy)).await;
        drop(held);
        let record = &proxy.recorded(1).await[0];
        assert_eq!(
            (&record["status"], &record["class"]),
            (&499.into(), &"client_gone".into()),
            "{tongue:?}: {record}"
        );
        assert_eq!(record["attempts"].as_array().unwrap().len(), 1, "{record}");
        assert_eq!(record["attempts"][0]["class"], "reset", "{record}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn x10_a_chat_stream_is_asked_for_its_usage_and_the_client_does_not_see_it() {
    let twist = Twist {
        a: ", on_disconnect: drain",
        top: "",
    };
    let rig = Rig::with(Tongue::Chat, twist).await;
    rig.a.always(Answer::healthy().usage(11, 22));
    let reply = rig.ask(true).await.expect(200);
    assert_eq!(rig.a.seen()[0].json()["stream_options"]["include_usage"], true);
    assert!(!reply.text().contains("\"choices\":[]"), "{}", reply.text());
    assert_eq!(rig.proxy.recorded(1).await[0]["output_tokens"], 22);
    rig.finish().await;
}

#[tokio::test]
async fn x10_a_backend_that_is_read_to_its_end_is_still_bounded() {
    let hand = Hand::start().await;
    let twist = Twist {
        a: ", on_disconnect: drain",
        top: "timeout: {idle: 2s}\n",
    };
    let tongue = Tongue::Messages;
    let proxy = Proxy::start(&rig::config(tongue, (&hand.url(), &hand.url()), twist)).await;
    let request = tongue.request("m", true).to_string();
    let mut streaming = proxy
        .client()
        .open("POST", tongue.path(), request.as_bytes())
        .await;
    let mut held = hand.take().await;
    held.begin().await;
    held.say(&tongue.begun(1).concat()).await;
    streaming.until("word-0 ").await;
    streaming.leave();
    within("the silent backend is left", held.gone()).await;
    let record = &proxy.recorded(1).await[0];
    assert_eq!(record["class"], "client_gone", "{record}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_client_that_leaves_between_two_requests_costs_nothing() {
    let sim = Sim::start(Speaks::All).await.unwrap();
    let config = rig::config(Tongue::Chat, (&sim.url(), &sim.url()), Twist::default());
    let proxy = Proxy::start(&config).await;
    // The listener must go on after a connection that says nothing, and one that says half a head.
    let silent = TcpStream::connect(proxy.address()).await.unwrap();
    drop(silent);
    let half = TcpStream::connect(proxy.address()).await.unwrap();
    half.writable().await.unwrap();
    half.try_write(b"POST /v1/chat/comp").unwrap();
    drop(half);
    proxy.client().chat("m", true).await.expect(200);
    proxy.finish().await;
}
