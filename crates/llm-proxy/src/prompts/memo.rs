//! What each conversation was told first, so that it is told the same for as long as it lasts: prompt caches hold, and
//! signed thinking stays valid (reliability.md, V13). It outlives reloads: a new prompt is for new conversations.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::quality::RandomState;

use super::conversation::ConversationId;
use super::render::Rendered;

/// So many conversations are remembered.
const MOST: usize = 16_384;
/// So many bytes of texts; one that many conversations share counts once.
const BYTES: usize = 64 << 20;
/// A conversation that has been silent for so long is over.
const IDLE: Duration = Duration::from_hours(24);
/// Who has been silent longest is known as exactly as that: a busy conversation is not put in its place at every request.
const BARELY: Duration = Duration::from_mins(1);

/// The texts of conversations. Those that have been silent longest make room.
#[derive(Debug, Default)]
pub struct Memo {
    told: HashMap<ConversationId, Told, RandomState>,
    /// Conversations by their last use but for [`BARELY`], the longest ago first.
    order: BTreeMap<u64, ConversationId>,
    places: u64,
    texts: Texts,
}

#[derive(Debug)]
struct Told {
    prompts: Arc<[Rendered]>,
    used: Instant,
    /// Its place in the order, and since when.
    place: (u64, Instant),
}

impl Memo {
    /// What a conversation was told first, if that is known. It has been used now.
    pub fn recall(&mut self, id: ConversationId, now: Instant) -> Option<Arc<[Rendered]>> {
        if self.told.get(&id).is_some_and(|told| is_over(told, now)) {
            self.forget(id);
        }
        let told = self.told.get_mut(&id)?;
        told.used = now;
        if now.saturating_duration_since(told.place.1) >= BARELY {
            self.places += 1;
            self.order.remove(&told.place.0);
            self.order.insert(self.places, id);
            told.place = (self.places, now);
        }
        Some(Arc::clone(&told.prompts))
    }

    /// Keeps what a conversation is told, and returns it; what it was told before, if another of its requests was
    /// quicker. That it was told nothing is kept too.
    pub fn keep(&mut self, id: ConversationId, prompts: Vec<Rendered>, now: Instant) -> Arc<[Rendered]> {
        if let Some(before) = self.recall(id, now) {
            return before;
        }
        let prompts: Arc<[Rendered]> = prompts.into_iter().map(|one| self.texts.shared(one)).collect();
        self.places += 1;
        self.order.insert(self.places, id);
        let told = Told {
            prompts: Arc::clone(&prompts),
            used: now,
            place: (self.places, now),
        };
        self.told.insert(id, told);
        self.make_room();
        prompts
    }

    /// Forgets the conversations that are over.
    pub fn sweep(&mut self, now: Instant) {
        while let Some(id) = self.longest_silent()
            && self.told.get(&id).is_none_or(|told| is_over(told, now))
        {
            self.forget(id);
        }
    }

    /// How many conversations are remembered.
    pub fn len(&self) -> usize {
        self.told.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    fn make_room(&mut self) {
        while self.told.len() > MOST || self.texts.bytes > BYTES {
            let Some(id) = self.longest_silent() else {
                return;
            };
            self.forget(id);
        }
    }

    fn longest_silent(&self) -> Option<ConversationId> {
        self.order.first_key_value().map(|(_, id)| *id)
    }

    fn forget(&mut self, id: ConversationId) {
        if let Some(told) = self.told.remove(&id) {
            self.order.remove(&told.place.0);
            self.texts.release(&told.prompts);
        }
    }
}

fn is_over(told: &Told, now: Instant) -> bool {
    now.saturating_duration_since(told.used) >= IDLE
}

/// Texts that conversations share: most differ in nothing, or in the day alone.
#[derive(Debug, Default)]
struct Texts {
    uses: HashMap<Arc<str>, Shared, RandomState>,
    /// Their length in all, in both spellings.
    bytes: usize,
}

/// A text that conversations have.
#[derive(Debug)]
struct Shared {
    spelled: Arc<str>,
    /// How many of them.
    by: usize,
}

impl Texts {
    /// The same, with the text of an equal one that is there.
    fn shared(&mut self, one: Rendered) -> Rendered {
        if let Some((text, shared)) = self.uses.get_key_value(&one.text) {
            let (text, spelled) = (Arc::clone(text), Arc::clone(&shared.spelled));
            if let Some(shared) = self.uses.get_mut(&text) {
                shared.by += 1;
            }
            return Rendered { text, spelled, ..one };
        }
        self.bytes += one.bytes();
        let spelled = Arc::clone(&one.spelled);
        self.uses.insert(Arc::clone(&one.text), Shared { spelled, by: 1 });
        one
    }

    /// A conversation has these no longer.
    fn release(&mut self, prompts: &[Rendered]) {
        for one in prompts {
            let Some(shared) = self.uses.get_mut(&one.text) else {
                continue;
            };
            shared.by -= 1;
            if shared.by == 0 {
                self.bytes -= one.bytes();
                self.uses.remove(&one.text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use llm_dialect::inject::Speaker;
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock;
    use crate::config::types::PromptPosition;
    use crate::prompts::Whose;

    fn id(number: usize) -> ConversationId {
        let whose = Whose {
            key: None,
            model: "m",
        };
        let words = number.to_le_bytes();
        ConversationId::of_opening(whose, |tell| tell(Speaker::User, &words))
    }

    fn told(text: &str) -> Vec<Rendered> {
        vec![Rendered {
            position: PromptPosition::Before,
            separator: Arc::from("\n\n"),
            text: Arc::from(text),
            spelled: Arc::from(text),
        }]
    }

    fn said(prompts: &[Rendered]) -> &str {
        prompts.first().map_or("", |one| &one.text)
    }

    /// A request of a growing conversation, answered from the memo or by what is rendered now.
    fn asked(memo: &mut Memo, turns: &[&str], rendered: &str, now: Instant) -> String {
        let whose = Whose {
            key: Some("team"),
            model: "m",
        };
        let id = ConversationId::of_opening(whose, |tell| {
            tell(Speaker::System, b"be kind");
            tell(Speaker::User, turns[0].as_bytes());
        });
        let known = memo.recall(id, now);
        said(&known.unwrap_or_else(|| memo.keep(id, told(rendered), now))).to_owned()
    }

    #[test]
    fn v13_a_conversation_keeps_its_first_text_as_it_grows_across_reloads_and_midnight() {
        let (mut memo, start) = (Memo::default(), clock::now());
        let turns = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
        for count in 1..=turns.len() {
            let now = start + Duration::from_hours(20) * u32::try_from(count).unwrap();
            // What is rendered now is of another day, or of another config.
            let text = asked(&mut memo, &turns[..count], &format!("text {count}"), now);
            assert_eq!(text, "text 1", "turn {count}");
        }
        let now = start + Duration::from_hours(200);
        assert_eq!(
            asked(&mut memo, &["new"], "text 11", now),
            "text 11",
            "a new one gets the new text"
        );
    }

    #[test]
    fn that_a_conversation_was_told_nothing_is_kept_too_and_the_first_of_two_wins() {
        let (mut memo, now) = (Memo::default(), clock::now());
        memo.keep(id(1), Vec::new(), now);
        assert_eq!(memo.recall(id(1), now).map(|prompts| prompts.len()), Some(0));
        assert_eq!(said(&memo.keep(id(2), told("first"), now)), "first");
        assert_eq!(said(&memo.keep(id(2), told("second"), now)), "first");
    }

    #[test]
    fn whoever_has_been_silent_longest_makes_room() {
        let (mut memo, now) = (Memo::default(), clock::now());
        for number in 0..MOST {
            memo.keep(id(number), told("t"), now);
        }
        let later = now + BARELY;
        assert!(memo.recall(id(0), later).is_some());
        memo.keep(id(MOST), told("t"), later);
        assert_eq!((memo.len(), memo.order.len()), (MOST, MOST));
        assert!(memo.recall(id(1), later).is_none(), "the longest silent one went");
        assert!(memo.recall(id(0), later).is_some(), "it had been used since");
    }

    #[test]
    fn a_day_of_silence_ends_a_conversation_and_a_word_in_between_does_not() {
        let (mut memo, start) = (Memo::default(), clock::now());
        let late = start + Duration::from_hours(23);
        memo.keep(id(1), told("one"), start);
        memo.keep(id(2), told("two"), start);
        assert!(memo.recall(id(1), late).is_some());
        memo.sweep(start + IDLE);
        assert_eq!((memo.len(), memo.texts.bytes), (1, 3));
        assert!(memo.recall(id(2), start + IDLE).is_none());
        assert!(memo.recall(id(1), start + IDLE).is_some());
        assert!(
            memo.recall(id(1), start + 2 * IDLE).is_none(),
            "without a sweep too"
        );
        assert!(memo.is_empty() && memo.texts.uses.is_empty());
    }

    #[test]
    fn texts_are_shared_and_those_that_are_not_are_bounded_in_bytes() {
        let (mut memo, now) = (Memo::default(), clock::now());
        let large = "x".repeat(256 << 10);
        for number in 0..1_000 {
            memo.keep(id(number), told(&large), now);
        }
        assert_eq!((memo.len(), memo.texts.bytes), (1_000, 256 << 10));
        for number in 1_000..1_300 {
            memo.keep(id(number), told(&format!("{number}{large}")), now);
            assert!(memo.texts.bytes <= BYTES);
        }
        assert!(memo.recall(id(1_299), now).is_some(), "the newest is there");
        assert_eq!(
            said(&memo.keep(id(5_000), told(&"y".repeat(BYTES + 1)), now)).len(),
            BYTES + 1
        );
        assert_eq!(
            (memo.len(), memo.texts.bytes),
            (0, 0),
            "what is too large is used once"
        );
    }

    proptest! {
        #[test]
        fn whatever_happens_the_books_agree(
            steps in prop::collection::vec((0..12_usize, 0..6_usize, 0..30_u64), 1..80)
        ) {
            let (mut memo, mut now) = (Memo::default(), clock::now());
            let mut first: HashMap<usize, (String, Instant)> = HashMap::new();
            for (number, text, hours) in steps {
                now += Duration::from_hours(hours) / 4;
                let text = "t".repeat(text);
                let kept = memo.keep(id(number), told(&text), now);
                let alive = first.get(&number).filter(|(_, used)| now - *used < IDLE);
                let expected = alive.map_or(text, |(text, _)| text.clone());
                prop_assert_eq!(said(&kept), &expected);
                first.insert(number, (expected, now));
                prop_assert_eq!(memo.told.len(), memo.order.len());
                let texts = memo.told.values().map(|told| Arc::clone(&told.prompts[0].text));
                let each: std::collections::HashSet<Arc<str>> = texts.collect();
                prop_assert_eq!(memo.texts.bytes, each.iter().map(|text| text.len()).sum::<usize>());
            }
        }
    }
}
