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

/// So many words are said before the flood, which these clocks end.
async fn poured(tongue: Tongue, words: usize, clocks: &str) {
    let hand = Hand::start().await;
    let proxy = before(&hand, tongue, clocks).await;
    let start = proxy.memory("VmRSS");
    let request = tongue.request("m", true).to_string();
    let mut asked = proxy
        .client()
        .open("POST", tongue.path(), request.as_bytes())
        .await;
    let mut held = hand.take().await;
    held.begin().await;
    if words > 0 {
        held.say(&tongue.begun(words).concat()).await;
        asked.until(&format!("word-{}", words - 1)).await;
    }
    let poured = held.pour(COMMENT.repeat(100), ENDLESS, String::new());
    // Before the first words there is still a status to tell it by, and the connection stays.
    let end = async {
        if words == 0 {
            asked.rest().await.expect(504)
        } else {
            asked.until_closed().await
        }
    };
    let reply = within("the end by a timeout", end).await;
    assert!(poured.load(Ordering::SeqCst) > 1 << 20, "it was poured");
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let end = &text[text.len().saturating_sub(500)..];
    assert!(end.contains("error"), "{tongue:?}: the end is told: {end}");
    assert!(
        !text.contains(tongue.terminal()),
        "{tongue:?}: and does not look whole"
    );
    let grown = proxy.memory("VmHWM") - start;
    assert!(grown < 16 << 10, "{grown} KiB for comments");
    proxy.finish().await;
}

/// What is held back is bounded, and the rest of a flood is dropped: it never becomes an answer.
#[tokio::test]
async fn a22_comments_without_end_take_no_room_and_end_with_the_first_byte_timeout() {
    for tongue in Tongue::ALL {
        poured(tongue, 0, "first_byte: 500ms").await;
    }
}

#[tokio::test]
async fn a22_comments_without_end_behind_the_first_words_end_with_the_total_timeout() {
    for tongue in Tongue::ALL {
        poured(tongue, 2, "total: 1500ms").await;
    }
}
