//! Where each conversation is: the backend, key and model that answered it last, whose prompt cache holds it.
//!
//! Written by answers that ended well, loosened by failures. A place that was loosened draws the conversation no longer,
//! but is remembered until somebody else has answered, so that it is known what the move has cost.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::base::recent::Recent;
use crate::health::Target;

/// At least so many conversations are remembered, and at most twice as many. A hash table of a power of two is just full
/// with it.
const REMEMBERED: usize = 28_672;
/// Prompt caches hold for five minutes to an hour after their last use: a conversation that has been silent for longer
/// than all of them has nothing to stay for.
const IDLE: Duration = Duration::from_hours(1);

/// Conversations by identity, each within one client's key.
#[derive(Debug)]
pub struct Affinity(Mutex<Recent<Seat>>);

#[derive(Clone, Copy, Debug)]
struct Seat {
    target: Target,
    /// Tokens of the conversation in the cache there, as its last answer said.
    cached: u64,
    used: Instant,
    /// Whether it draws the conversation.
    holds: bool,
}

/// What a request knows of its conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Its identity.
    pub id: u64,
    /// Which turn of it the request is.
    pub turn: Turn,
    /// Where it was when the request came.
    pub was: Option<Target>,
    /// Whether it is only for this request that it is answered elsewhere: there was no place free where it is.
    pub away: bool,
}

/// Which turn of its conversation a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// The first: whatever was known by that name is another conversation, or a prefix that is used no more.
    Begins,
    /// One in the middle.
    GoesOn,
    /// The last of this prefix: the answer is a summary that will take its place.
    Ends,
}

/// A conversation has been answered elsewhere than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The identity of the backend that it was at.
    pub from: u64,
    /// The tokens that were in the cache there.
    pub cached: u64,
}

impl Default for Affinity {
    fn default() -> Self {
        Self(Mutex::new(Recent::new(REMEMBERED)))
    }
}

impl Affinity {
    /// Where a conversation is, if that is known and still worth something.
    pub fn find(&self, id: u64, now: Instant) -> Option<Target> {
        let mut seats = self.0.lock();
        let seat = seats.get(id).filter(|seat| seat.holds)?;
        (!seat.is_over(now)).then_some(seat.target)
    }

    /// An answer ended well, with so many tokens of the conversation in the cache there. Says what it means if that was
    /// elsewhere than before.
    pub fn answered(
        &self,
        conversation: &Conversation,
        (target, cached): (Target, u64),
        now: Instant,
    ) -> Option<Moved> {
        let mut seats = self.0.lock();
        let before = seats
            .get(conversation.id)
            .filter(|seat| !seat.is_over(now))
            .copied();
        let before = before.filter(|_| conversation.turn != Turn::Begins);
        let elsewhere = before.filter(|seat| seat.target != target);
        if elsewhere.is_some_and(|seat| seat.was_taken_meanwhile(conversation)) {
            return None;
        }
        if conversation.turn == Turn::Ends {
            seats.remove(conversation.id);
        } else if !(conversation.away && elsewhere.is_some_and(|seat| seat.holds)) {
            let seat = Seat {
                target,
                cached,
                used: now,
                holds: true,
            };
            seats.insert(conversation.id, seat);
        }
        elsewhere.map(|seat| Moved {
            from: seat.target.backend,
            cached: seat.cached,
        })
    }

    /// What a conversation was with has failed or cools: it is drawn there no longer.
    pub fn loosen(&self, id: u64, target: &Target) {
        if let Some(seat) = self.0.lock().get(id).filter(|seat| seat.target == *target) {
            seat.holds = false;
        }
    }

    /// How many conversations are remembered.
    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Seat {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) >= IDLE
    }

    /// Whether another request of the conversation has found it a place since this one came: of two, the first decides.
    fn was_taken_meanwhile(&self, conversation: &Conversation) -> bool {
        self.holds && conversation.was != Some(self.target)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::base::clock;

    fn place(backend: u64) -> Target {
        Target {
            backend,
            key: 1,
            model: 1,
        }
    }

    const A: u64 = 1;
    const B: u64 = 2;
    const C: u64 = 3;

    /// A request of the conversation, as it is planned now.
    fn asks(affinity: &Affinity, id: u64, turn: Turn, now: Instant) -> Conversation {
        let was = match turn {
            Turn::Begins => None,
            _ => affinity.find(id, now),
        };
        Conversation {
            id,
            turn,
            was,
            away: false,
        }
    }

    /// A request that is answered at once by that backend.
    fn turn(affinity: &Affinity, turn: Turn, backend: u64, now: Instant) -> Option<Moved> {
        let conversation = asks(affinity, 7, turn, now);
        affinity.answered(&conversation, (place(backend), 100), now)
    }

    fn at(affinity: &Affinity, now: Instant) -> Option<u64> {
        affinity.find(7, now).map(|target| target.backend)
    }

    #[test]
    fn c17_a_conversation_is_where_it_was_answered_last() {
        let (affinity, now) = (Affinity::default(), clock::now());
        assert_eq!(at(&affinity, now), None);
        assert_eq!(turn(&affinity, Turn::GoesOn, A, now), None);
        assert_eq!(at(&affinity, now), Some(A));
        let moved = turn(&affinity, Turn::GoesOn, B, now);
        assert_eq!(moved, Some(Moved { from: A, cached: 100 }));
        assert_eq!(at(&affinity, now), Some(B));
        assert_eq!(turn(&affinity, Turn::GoesOn, B, now), None);
    }

    #[test]
    fn c18_what_was_loosened_draws_no_longer_but_is_known_to_have_been_left() {
        let (affinity, now) = (Affinity::default(), clock::now());
        turn(&affinity, Turn::GoesOn, A, now);
        affinity.loosen(7, &place(B));
        assert_eq!(at(&affinity, now), Some(A), "another's failure is none of it");
        affinity.loosen(7, &place(A));
        assert_eq!(at(&affinity, now), None);
        let moved = turn(&affinity, Turn::GoesOn, B, now);
        assert_eq!(moved, Some(Moved { from: A, cached: 100 }));
        affinity.loosen(7, &place(B));
        assert_eq!(turn(&affinity, Turn::GoesOn, B, now), None, "back where it was");
        assert_eq!(at(&affinity, now), Some(B));
    }

    #[test]
    fn a_conversation_is_over_after_an_hour_of_silence_and_not_before() {
        let (affinity, start) = (Affinity::default(), clock::now());
        turn(&affinity, Turn::GoesOn, A, start);
        let late = start + Duration::from_mins(59);
        assert_eq!(at(&affinity, late), Some(A));
        assert_eq!(at(&affinity, start + IDLE), None);
        turn(&affinity, Turn::GoesOn, A, late);
        assert_eq!(
            at(&affinity, start + IDLE),
            Some(A),
            "an answer in between counts"
        );
        assert_eq!(
            turn(&affinity, Turn::GoesOn, B, late + IDLE),
            None,
            "nothing was lost"
        );
    }

    #[test]
    fn one_that_begins_has_left_nothing_and_one_that_ends_leaves_nothing() {
        let (affinity, now) = (Affinity::default(), clock::now());
        turn(&affinity, Turn::GoesOn, A, now);
        assert_eq!(turn(&affinity, Turn::Begins, B, now), None);
        assert_eq!(at(&affinity, now), Some(B));
        assert_eq!(turn(&affinity, Turn::Ends, B, now), None);
        assert_eq!((at(&affinity, now), affinity.len()), (None, 0));
        assert!(affinity.is_empty());
    }

    #[test]
    fn one_that_is_away_for_want_of_a_place_has_cost_something_and_has_not_moved() {
        let (affinity, now) = (Affinity::default(), clock::now());
        turn(&affinity, Turn::GoesOn, A, now);
        let away = Conversation {
            away: true,
            ..asks(&affinity, 7, Turn::GoesOn, now)
        };
        let moved = affinity.answered(&away, (place(B), 100), now);
        assert_eq!(moved, Some(Moved { from: A, cached: 100 }));
        assert_eq!(at(&affinity, now), Some(A));
        affinity.loosen(7, &place(A));
        affinity.answered(&away, (place(B), 100), now);
        assert_eq!(at(&affinity, now), Some(B), "there is nothing to come back to");
    }

    #[test]
    fn of_two_requests_at_once_the_first_answer_says_where_the_conversation_is() {
        let (affinity, now) = (Affinity::default(), clock::now());
        let (one, other) = (
            asks(&affinity, 7, Turn::GoesOn, now),
            asks(&affinity, 7, Turn::GoesOn, now),
        );
        affinity.answered(&one, (place(A), 0), now);
        assert_eq!(affinity.answered(&other, (place(B), 0), now), None);
        assert_eq!(at(&affinity, now), Some(A));
        // Both are with A, which fails for both; they go to two others.
        let (one, other) = (
            asks(&affinity, 7, Turn::GoesOn, now),
            asks(&affinity, 7, Turn::GoesOn, now),
        );
        affinity.loosen(7, &place(A));
        affinity.answered(&one, (place(B), 0), now);
        affinity.loosen(7, &place(A));
        affinity.answered(&other, (place(C), 0), now);
        assert_eq!(at(&affinity, now), Some(B));
    }

    #[test]
    fn c20_a_million_names_take_bounded_memory_and_the_latest_are_remembered() {
        let (affinity, now) = (Affinity::default(), clock::now());
        let answered = |id| {
            let conversation = asks(&affinity, id, Turn::GoesOn, now);
            affinity.answered(&conversation, (place(A), 0), now);
        };
        answered(u64::MAX);
        for id in 0..1_000_000 {
            answered(id);
            if id % 20_000 == 0 {
                assert!(affinity.find(u64::MAX, now).is_some(), "in use all the time");
            }
        }
        assert!(affinity.len() <= 2 * REMEMBERED);
        assert!(size_of::<Seat>() <= 64, "so all of it is a few MiB");
        assert!(affinity.find(999_999, now).is_some() && affinity.find(0, now).is_none());
    }

    proptest! {
        #[test]
        fn it_is_always_where_its_own_requests_say_and_never_where_anothers_do(
            steps in prop::collection::vec((0_u64..4, 0_u8..5, 1_u64..4, 0_u64..40), 0..120)
        ) {
            let (affinity, mut now) = (Affinity::default(), clock::now());
            let mut model: HashMap<u64, (u64, Instant)> = HashMap::new();
            for (id, step, backend, minutes) in steps {
                now += Duration::from_mins(minutes);
                model.retain(|_, (_, used)| now - *used < IDLE);
                let found = affinity.find(id, now).map(|target| target.backend);
                prop_assert_eq!(found, model.get(&id).map(|(backend, _)| *backend));
                let turn = match step {
                    0 => {
                        affinity.loosen(id, &place(backend));
                        if found == Some(backend) {
                            model.remove(&id);
                        }
                        continue;
                    }
                    1 => Turn::Begins,
                    2 => Turn::Ends,
                    _ => Turn::GoesOn,
                };
                let conversation = asks(&affinity, id, turn, now);
                affinity.answered(&conversation, (place(backend), 1), now);
                if turn == Turn::Ends {
                    model.remove(&id);
                } else {
                    model.insert(id, (backend, now));
                }
            }
        }
    }
}
