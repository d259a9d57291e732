//! What conversations were told, and the flag that spares the lock.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use loom::thread;
use races::base::clock;
use races::config::types::PromptPosition;
use races::prompts::conversation::Whose;
use races::prompts::{ConversationId, Rendered};
use races::state::told::Told;

use super::in_every_order;

const LONG: Duration = Duration::from_hours(100);

fn conversation() -> ConversationId {
    let mut headers = HeaderMap::new();
    headers.insert("session_id", "0197-one".parse().unwrap());
    ConversationId::of_session(
        Whose {
            key: None,
            model: "m",
        },
        &headers,
    )
    .unwrap()
}

fn prompts() -> Vec<Rendered> {
    let text: Arc<str> = Arc::from("Be kind.");
    vec![Rendered {
        position: PromptPosition::Before,
        separator: Arc::from(""),
        spelled: Arc::clone(&text),
        text,
    }]
}

#[test]
fn the_flag_says_what_the_memo_holds_whoever_was_there_last() {
    in_every_order(|| {
        let told = Arc::new(Told::default());
        let id = conversation();
        told.keep(id, prompts(), clock::now());
        let others = Arc::clone(&told);
        let keeper = thread::spawn(move || drop(others.keep(id, prompts(), clock::now())));
        told.sweep(clock::now() + LONG);
        keeper.join().unwrap();
        let held = told.recall(id, clock::now()).is_some();
        assert_eq!(told.is_empty(), !held);
    });
}
