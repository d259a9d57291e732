//! How a stream flows: each event at once, no faster than the client reads, and for as long as it goes on.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use llm_sim::Answer;

use crate::support::{Hand, Proxy, Rig, Streaming, Tongue, rig, until, within};

const MIB: usize = 1 << 20;
/// What an allocator may keep of large pieces that come and go, each size apart: half of what is poured through.
const SLACK: usize = 32 * MIB;

/// A proxy before one backend that is moved by hand.
pub(super) async fn by_hand(tongue: Tongue, top: &str) -> (Hand, Proxy) {
    let hand = Hand::start().await;
    let twist = rig::Twist { a: "", top };
    let proxy = Proxy::start(&rig::config(tongue, (&hand.url(), &hand.url()), twist)).await;
    (hand, proxy)
}

pub(super) async fn open(tongue: Tongue, proxy: &Proxy) -> Streaming {
    let request = tongue.request("m", true).to_string();
    let client = proxy.client().header("connection", "close");
    client.open("POST", tongue.path(), request.as_bytes()).await
}

#[tokio::test]
async fn s19_a_slow_stream_outlives_the_timeouts_of_silence() {
    for tongue in Tongue::ALL {
        let rig = Rig::top(tongue, "timeout: {first_byte: 1500ms, idle: 1500ms}\n").await;
        let events = tongue.whole(20);
        rig.a
            .next(Answer::events(events.clone()).delay(Duration::from_millis(100)));
        let reply = rig.ask(true).await.expect(200);
        assert_eq!(reply.text(), events.concat(), "{tongue:?}");
        let record = &rig.proxy.recorded(1).await[0];
        assert!(record["duration_ms"].as_f64().unwrap() > 1500.0, "{record}");
        rig.finish().await;
    }
}

#[tokio::test]
async fn s20_each_event_is_delivered_before_the_next_is_sent() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, "").await;
        let mut streaming = open(tongue, &proxy).await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.opening().concat()).await;
        for n in 0..50 {
            held.say(&tongue.delta(n)).await;
            streaming.until(&format!("word-{n} ")).await;
        }
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let reply = within("the end", streaming.rest()).await;
        assert_eq!(reply.text(), tongue.whole(50).concat(), "{tongue:?}");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn s20_the_opening_is_held_back_until_the_first_word() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, "").await;
        let mut streaming = open(tongue, &proxy).await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.opening().concat()).await;
        // Another request overtakes it, so the proxy has had its chance to let something out.
        proxy.status().await;
        assert!(
            streaming.is_silent(),
            "{tongue:?}: nothing before the commit point"
        );
        held.say(&tongue.delta(0)).await;
        streaming.until("word-0 ").await;
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let reply = within("the end", streaming.rest()).await;
        assert_eq!(reply.text(), tongue.whole(1).concat(), "{tongue:?}");
        proxy.finish().await;
    }
}

/// Waits until a backend's writes have stood still for half a second; how many bytes were taken by then.
async fn stalled(poured: &AtomicUsize) -> usize {
    let (mut last, mut still) = (0, 0);
    until("the backend's writes to block", async || {
        let now = poured.load(Ordering::SeqCst);
        still = if now == last && now > 0 { still + 1 } else { 0 };
        last = now;
        (still >= 100).then_some(now)
    })
    .await
}

/// The memory of a process that is not its program's text.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("RssAnon:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib * 1024
}

#[tokio::test]
async fn s21_a_client_that_does_not_read_holds_the_backend_back() {
    let tongue = Tongue::Chat;
    let (hand, proxy) = by_hand(tongue, "").await;
    let mut streaming = open(tongue, &proxy).await;
    let before = resident(proxy.pid());
    let piece = tongue.text(0, &"A".repeat(64 * 1024));
    let times = 64 * MIB / piece.len();
    let whole = piece.len() * times;
    let end = tongue.closing().concat();
    let mut held = hand.take().await;
    held.begin().await;
    let poured = held.pour(piece, times, end.clone());
    let taken = stalled(&poured).await;
    // What is under way: the buffers of two sockets on each side of the proxy, a few mebibytes each.
    assert!(taken < 40 * MIB, "the backend could write {taken} bytes");
    let grown = resident(proxy.pid()).saturating_sub(before);
    assert!(grown < SLACK, "the proxy grew by {grown} bytes");
    let reply = within("all of it, once it is read", streaming.until_closed()).await;
    assert!(reply.whole);
    assert_eq!(reply.body.len(), whole + end.len(), "nothing is lost");
    proxy.finish().await;
}

#[tokio::test]
async fn s22_a_client_that_stops_reading_is_let_go_after_the_idle_timeout() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, "timeout: {idle: 700ms}\n").await;
        let streaming = open(tongue, &proxy).await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.opening().concat()).await;
        let piece = tongue.text(0, &"A".repeat(64 * 1024));
        // Far more than all buffers on the way: nobody reads it.
        held.pour(piece, 4096, String::new());
        let record = &proxy.recorded(1).await[0];
        assert_eq!(record["cancelled"], true, "{tongue:?}: {record}");
        assert_eq!(record["class"], "client_gone", "{record}");
        assert!(record["duration_ms"].as_f64().unwrap() >= 700.0, "{record}");
        assert_eq!(proxy.backend("a").await["state"], "ok", "no fault of the backend");
        assert_eq!(proxy.backend("a").await["in_flight"], 0);
        drop(streaming);
        proxy.finish().await;
    }
}

#[tokio::test]
async fn v17_a_silent_stream_is_kept_alive_by_the_proxy() {
    for tongue in Tongue::ALL {
        let (hand, proxy) = by_hand(tongue, "stream: {heartbeat: 100ms}\n").await;
        let mut streaming = open(tongue, &proxy).await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.begun(1).concat()).await;
        let sign = if tongue == Tongue::Messages {
            "event: ping\ndata: {\"type\": \"ping\"}\n\n"
        } else {
            ": keep-alive\n\n"
        };
        streaming.until("word-0 ").await;
        streaming.until_times(sign, 4).await;
        held.say(&tongue.delta(1)).await;
        held.say(&tongue.closing().concat()).await;
        held.end().await;
        let reply = within("the end", streaming.rest()).await;
        // The opening of messages has a ping of its own.
        let text = reply.text();
        let (opening, rest) = text.split_at(tongue.opening().concat().len());
        assert_eq!(opening, tongue.opening().concat());
        let words = [tongue.delta(0), tongue.delta(1)].concat() + &tongue.closing().concat();
        assert_eq!(
            rest.replace(sign, ""),
            words,
            "{tongue:?}: between events, and nothing else"
        );
        proxy.finish().await;
    }
}
