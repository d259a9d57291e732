//! S22 over HTTP/2: a client that stops reading one of its streams, while its connection goes on.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use llm_sim::Answer;
use serde_json::Value;
use tokio::net::TcpStream;

use super::flow::by_hand;
use crate::support::hand::Held;
use crate::support::{Hand, Proxy, Rig, Tongue, until, within};

const IDLE: &str = "timeout: {idle: 700ms}\n";

/// A client that takes so many bytes of each stream until it reads them.
async fn client(proxy: &Proxy, window: u32) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(window)
        .handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// The answer to a request for a stream or not, its body unread.
async fn ask(sender: &SendRequest<Full<Bytes>>, proxy: &Proxy, tongue: Tongue, stream: bool) -> Incoming {
    let body = tongue.request("m", stream).to_string();
    let request = http::Request::post(format!("http://{}{}", proxy.address(), tongue.path()))
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    proxy.sent(1);
    let response = within("a head", sender.clone().send_request(request))
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

fn assert_gone(record: &Value, tongue: Tongue) {
    assert_eq!(record["class"], "client_gone", "{tongue:?}: {record}");
    assert_eq!(record["cancelled"], true, "{record}");
    assert!(record["duration_ms"].as_f64().unwrap() >= 700.0, "{record}");
}

/// A stream that the backend has begun, and its answer's body.
async fn begun(
    hand: &Hand,
    sender: &SendRequest<Full<Bytes>>,
    (proxy, tongue): (&Proxy, Tongue),
) -> (Held, Incoming) {
    let answered = async {
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.begun(1).concat()).await;
        held
    };
    tokio::join!(answered, ask(sender, proxy, tongue, true))
}

#[tokio::test]
async fn s22_an_http2_stream_that_nobody_reads_is_let_go_and_its_neighbour_goes_on() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, IDLE).await;
        let sender = client(&proxy, 64 * 1024).await;
        let (stalled, unread) = begun(&hand, &sender, (&proxy, tongue)).await;
        stalled.pour(tongue.text(0, &"A".repeat(64 * 1024)), 4096, String::new());
        let (mut held, read) = begun(&hand, &sender, (&proxy, tongue)).await;
        let reading = tokio::spawn(read.collect());
        // Its backend says something now and then, so that it lives as long as the other one stands still.
        let record = until("the record of the stalled one", async || {
            held.say(&tongue.ping()).await;
            proxy.records().pop()
        })
        .await;
        assert_gone(&record, tongue);
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let all = within("the neighbour's end", reading).await.unwrap().unwrap();
        let text = String::from_utf8(all.to_bytes().to_vec()).unwrap();
        assert!(text.contains(tongue.terminal()), "{tongue:?}: {text}");
        assert_eq!(proxy.backend("a").await["state"], "ok", "no fault of the backend");
        drop(unread);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s22_an_http2_client_that_takes_nothing_from_the_first_is_let_go() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, IDLE).await;
        let sender = client(&proxy, 0).await;
        let (mut held, _unread) = begun(&hand, &sender, (&proxy, tongue)).await;
        within("the backend is left", held.gone()).await;
        assert_gone(&proxy.recorded(1).await[0], tongue);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s22_a_large_answer_that_an_http2_client_does_not_take_keeps_its_place_and_is_let_go() {
    let tongue = Tongue::Chat;
    let rig = Rig::top(tongue, IDLE).await;
    rig.a.always(Answer::healthy().text("x".repeat(8 << 20)));
    let sender = client(&rig.proxy, 64 * 1024).await;
    let unread = ask(&sender, &rig.proxy, tongue, false).await;
    let record = &rig.proxy.recorded(1).await[0];
    assert_gone(record, tongue);
    drop(unread);
    let whole = ask(&sender, &rig.proxy, tongue, false).await;
    let all = within("all of it, where it is read", whole.collect())
        .await
        .unwrap();
    assert!(all.to_bytes().len() > 8 << 20);
    rig.finish().await;
}
