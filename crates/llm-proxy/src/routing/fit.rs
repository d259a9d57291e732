//! Whether a route can hold a request, before anybody is asked (C23).
//!
//! The length of a request is a guess, so it counts only where it is far too long: who is passed over by mistake is
//! lost, while a guess that is too low costs one refusal, after which a larger route is asked anyway. What the operator
//! says of a route (`max_tokens`, `lacks`) is no guess.

use std::cmp::Reverse;

use llm_dialect::needs::Feature;

/// What a route's model can hold and do, as far as its operator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Its context window in tokens.
    pub context: Option<u64>,
    /// The longest answer in tokens that may be asked for.
    pub max_tokens: Option<u64>,
    /// What it cannot do.
    pub lacks: Vec<Feature>,
}

/// What a request asks of a route.
pub trait Load {
    /// The tokens that it has, estimated.
    fn input(&self) -> u64;
    /// The longest answer in tokens that it asks for, if it says so.
    fn answer(&self) -> Option<u64>;
    /// Whether it needs that.
    fn needs(&self, feature: Feature) -> bool;
}

/// Why a route cannot hold a request; the first is the least sure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misfit {
    /// It is too long for the context window.
    Context,
    /// It asks for a longer answer.
    MaxTokens,
    /// It needs what the model cannot do.
    Lacks(Feature),
}

impl Misfit {
    /// The name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Context => "context",
            Self::MaxTokens => "max_tokens",
            Self::Lacks(feature) => feature.name(),
        }
    }
}

impl Room {
    /// Whether there is anything that it may be too small for.
    pub fn is_bounded(&self) -> bool {
        self.context.is_some() || self.max_tokens.is_some() || !self.lacks.is_empty()
    }

    /// Why it cannot hold that request; none: it may.
    pub fn misfit(&self, load: &dyn Load) -> Option<Misfit> {
        if let Some(feature) = self.lacks.iter().find(|feature| load.needs(**feature)) {
            return Some(Misfit::Lacks(*feature));
        }
        let answer = load.answer();
        let longer = |most: u64| answer.is_some_and(|answer| answer > most);
        if self.max_tokens.is_some_and(longer) {
            return Some(Misfit::MaxTokens);
        }
        let too_long = |window: u64| surely(load.input()) > window || longer(window);
        self.context.is_some_and(too_long).then_some(Misfit::Context)
    }
}

/// So many tokens at least: four fifths of the estimate. Prose in English has up to five bytes a token, where the
/// estimate takes four; everything else has fewer.
fn surely(tokens: u64) -> u64 {
    tokens.saturating_mul(4) / 5
}

/// Leaves out what cannot hold a request, by the misfit of each; what is left keeps its order. Where nothing could,
/// the guess may be wrong and everything stays, what is most likely to hold it first: the largest window, then what
/// would have to give a shorter answer, then what lacks something.
pub fn fitting<T>(
    candidates: &mut Vec<T>,
    judge: impl Fn(&T) -> Option<Misfit>,
    window: impl Fn(&T) -> Option<u64>,
) {
    let judged = candidates
        .drain(..)
        .map(|candidate| (judge(&candidate), candidate));
    let (fit, mut unfit): (Vec<_>, Vec<_>) = judged.partition(|(misfit, _)| misfit.is_none());
    if fit.is_empty() {
        unfit.sort_by_key(|(misfit, candidate)| match misfit {
            None | Some(Misfit::Context) => (0, Reverse(window(candidate).unwrap_or(u64::MAX))),
            Some(Misfit::MaxTokens) => (1, Reverse(0)),
            Some(Misfit::Lacks(_)) => (2, Reverse(0)),
        });
        candidates.extend(unfit.into_iter().map(|(_, candidate)| candidate));
    } else {
        candidates.extend(fit.into_iter().map(|(_, candidate)| candidate));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Asked(u64, Option<u64>, &'static [Feature]);

    impl Load for Asked {
        fn input(&self) -> u64 {
            self.0
        }
        fn answer(&self) -> Option<u64> {
            self.1
        }
        fn needs(&self, feature: Feature) -> bool {
            self.2.contains(&feature)
        }
    }

    fn room(context: Option<u64>, max_tokens: Option<u64>, lacks: &[Feature]) -> Room {
        Room {
            context,
            max_tokens,
            lacks: lacks.to_vec(),
        }
    }

    #[test]
    fn c23_what_surely_does_not_fit_is_told() {
        use Feature::{Tools, Vision};
        let window = room(Some(200_000), None, &[]);
        #[rustfmt::skip]
        let cases = [
            ("C23", &window, Asked(300_000, None, &[]), Some(Misfit::Context)),
            ("a guess that may be too high", &window, Asked(250_001, None, &[]), None),
            ("a bit more", &window, Asked(250_002, None, &[]), Some(Misfit::Context)),
            ("an answer beyond the window", &window, Asked(1, Some(200_001), &[]), Some(Misfit::Context)),
            ("and one within it", &window, Asked(1, Some(200_000), &[]), None),
            ("no window", &room(None, None, &[]), Asked(u64::MAX, Some(u64::MAX), &[Vision]), None),
            ("the longest answer", &room(None, Some(8), &[]), Asked(1, Some(8), &[]), None),
            ("a longer one", &room(None, Some(8), &[]), Asked(1, Some(9), &[]), Some(Misfit::MaxTokens)),
            ("nobody says how long", &room(None, Some(8), &[]), Asked(1, None, &[]), None),
            ("no tools", &room(None, None, &[Vision, Tools]), Asked(1, None, &[Tools]), Some(Misfit::Lacks(Tools))),
            ("none are needed", &room(None, None, &[Tools]), Asked(1, None, &[Vision]), None),
        ];
        for (id, room, load, expected) in cases {
            assert_eq!(room.misfit(&load), expected, "{id}");
        }
    }

    #[test]
    fn only_what_says_something_of_itself_is_bounded() {
        assert!(!Room::default().is_bounded());
        let bounded = [
            room(Some(1), None, &[]),
            room(None, Some(1), &[]),
            room(None, None, &[Feature::Tools]),
        ];
        assert!(bounded.iter().all(Room::is_bounded));
    }

    fn left(candidates: &[(&'static str, Option<Misfit>, Option<u64>)]) -> Vec<&'static str> {
        let mut all = candidates.to_vec();
        fitting(&mut all, |candidate| candidate.1, |candidate| candidate.2);
        all.into_iter().map(|(name, ..)| name).collect()
    }

    #[test]
    fn what_cannot_hold_it_is_left_out_unless_nothing_can() {
        let lacks = Some(Misfit::Lacks(Feature::Vision));
        let (context, answer) = (Some(Misfit::Context), Some(Misfit::MaxTokens));
        for (id, candidates, expected) in [
            (
                "all fit",
                &[("b", None, Some(1)), ("a", None, Some(2))][..],
                &["b", "a"][..],
            ),
            (
                "one fits",
                &[("a", context, Some(9)), ("b", None, Some(1)), ("c", lacks, None)],
                &["b"],
            ),
            (
                "none fits: the largest window first",
                &[
                    ("s", context, Some(1)),
                    ("l", context, Some(9)),
                    ("m", context, Some(5)),
                ],
                &["l", "m", "s"],
            ),
            (
                "what is said is surer than what is guessed",
                &[
                    ("f", lacks, Some(99)),
                    ("g", lacks, Some(100)),
                    ("a", answer, Some(99)),
                    ("c", context, Some(1)),
                ],
                &["c", "a", "f", "g"],
            ),
            ("nobody", &[], &[]),
        ] {
            assert_eq!(left(candidates), expected, "{id}");
        }
    }
}
