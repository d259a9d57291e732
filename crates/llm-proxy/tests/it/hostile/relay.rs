//! A22: a relay that pours comments for ever, before there is anything to pass on and after it.

use std::sync::atomic::Ordering;

use super::super::support::{Hand, Proxy, Tongue, within};

const COMMENT: &str = ": a comment that says nothing at all, and is not the last one of its kind\n\n";
/// More than any clock lets through.
const ENDLESS: usize = 1 << 40;

async fn before(hand: &Hand, tongue: Tongue, clocks: &str) -> Proxy {
    let (protocol, url) = (tongue.protocol(), hand.url());
    Proxy::start(&format!(
        "timeout: {{{clocks}}}
backends: [{{name: h, protocol: {protocol}, url: \"{url}\", api_key: sk-canary-hand}}]
models: {{m: {{backend: h, model: real}}}}\n"
    ))
    .await
}

#[tokio::test]
async fn a22_comments_without_end_are_no_answer_and_take_no_room() {
    for tongue in Tongue::ALL {
        let hand = Hand::start().await;
        let proxy = before(&hand, tongue, "first_byte: 500ms").await;
        let start = proxy.memory("VmRSS");
        let request = tongue.request("m", true).to_string();
        let mut asked = proxy
            .client()
            .open("POST", tongue.path(), request.as_bytes())
            .await;
        let mut held = hand.take().await;
        held.begin().await;
        let poured = held.pour(COMMENT.repeat(100), ENDLESS, String::new());
        within("the end of patience", asked.rest()).await.expect(504);
        assert!(poured.load(Ordering::SeqCst) > 1 << 20, "it was poured");
        let grown = proxy.memory("VmHWM") - start;
        assert!(grown < 16 << 10, "{grown} KiB for comments");
        proxy.finish().await;
    }
}

#[tokio::test]
async fn a22_comments_without_end_behind_the_first_words_end_with_the_total_timeout() {
    for tongue in Tongue::ALL {
        let hand = Hand::start().await;
        let proxy = before(&hand, tongue, "total: 700ms").await;
        let start = proxy.memory("VmRSS");
        let request = tongue.request("m", true).to_string();
        let mut asked = proxy
            .client()
            .open("POST", tongue.path(), request.as_bytes())
            .await;
        let mut held = hand.take().await;
        held.begin().await;
        held.say(&tongue.begun(2).concat()).await;
        asked.until("word-1").await;
        held.pour(COMMENT.repeat(100), ENDLESS, String::new());
        let reply = within("the end by the total timeout", asked.until_closed()).await;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(
            text.contains("error"),
            "the end is told: {}",
            &text[text.len().saturating_sub(300)..]
        );
        assert!(!text.contains(tongue.terminal()));
        let grown = proxy.memory("VmHWM") - start;
        assert!(grown < 16 << 10, "{grown} KiB for comments");
        proxy.finish().await;
    }
}
