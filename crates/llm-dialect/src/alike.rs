//! Recognises an event that is like the one before it but for its words, as nearly all of a stream are, without parsing
//! it.
//!
//! An event that was read with care and said nothing but words is kept, with the place of its words and of what varies
//! without meaning anything. One that is spelled the same around these places parses the same, so only its words are
//! news. They must be the inside of a JSON string, as they were.

use crate::scan;

/// The longest event that is kept. Those of a few words are far shorter.
const LONGEST: usize = 2048;

/// The event that was read last, if others may be like it. `K` is what its words were for.
#[derive(Debug)]
pub(crate) struct Alike<K> {
    kept: Option<K>,
    event: Vec<u8>,
    holes: Vec<Hole>,
}

/// A place where events that are alike may differ.
#[derive(Clone, Copy, Debug)]
struct Hole {
    start: usize,
    end: usize,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The inside of the string that counts.
    Words,
    /// The inside of another one.
    Text,
    /// A whole number that is not negative.
    Number,
}

impl<K> Default for Alike<K> {
    fn default() -> Self {
        Self {
            kept: None,
            event: Vec::new(),
            holes: Vec::new(),
        }
    }
}

impl<K: Copy> Alike<K> {
    /// The words of an event that is like the kept one, and what they are for. Never empty.
    pub(crate) fn words<'e>(&self, event: &'e [u8]) -> Option<(K, &'e str)> {
        let kept = self.kept?;
        let (mut known, mut rest, mut words) = (0, event, &[][..]);
        for hole in &self.holes {
            rest = rest.strip_prefix(self.event.get(known..hole.start)?)?;
            let (inside, behind) = rest.split_at_checked(hole.kind.length(rest)?)?;
            if hole.kind == Kind::Words {
                words = inside;
            }
            (known, rest) = (hole.end, behind);
        }
        if words.is_empty() || self.event.get(known..) != Some(rest) {
            return None;
        }
        // All the rest is the kept event's or ASCII.
        Some((kept, std::str::from_utf8(words).ok()?))
    }

    /// Whatever comes is read with care, and may change what words are for.
    pub(crate) fn forget(&mut self) {
        self.kept = None;
    }

    /// Keeps an event that said nothing but `words`, a part of it. Of `varying`, parts of it too and raw values, nothing
    /// was read.
    pub(crate) fn keep(&mut self, kept: K, event: &[u8], words: &[u8], varying: &[Option<&[u8]>]) {
        self.kept = None;
        if event.len() > LONGEST {
            return;
        }
        self.holes.clear();
        self.holes.extend(Hole::at(event, words, Kind::Words));
        let others = varying.iter().flatten();
        self.holes.extend(others.filter_map(|raw| Hole::of(event, raw)));
        self.holes.sort_unstable_by_key(|hole| hole.start);
        self.event.clear();
        self.event.extend_from_slice(event);
        self.kept = Some(kept);
    }
}

impl Hole {
    /// Where a part of an event stands.
    fn at(event: &[u8], part: &[u8], kind: Kind) -> Option<Self> {
        let start = part.as_ptr().addr().checked_sub(event.as_ptr().addr())?;
        let end = start + part.len();
        (event.get(start..end) == Some(part)).then_some(Self { start, end, kind })
    }

    fn of(event: &[u8], raw: &[u8]) -> Option<Self> {
        let inside = raw.strip_prefix(b"\"").and_then(|raw| raw.strip_suffix(b"\""));
        match inside {
            Some(text) if text.is_ascii() => Self::at(event, text, Kind::Text),
            None if Kind::Number.length(raw) == Some(raw.len()) => Self::at(event, raw, Kind::Number),
            _ => None,
        }
    }
}

impl Kind {
    /// How many bytes the one that begins here takes.
    fn length(self, text: &[u8]) -> Option<usize> {
        match self {
            Self::Words => scan::inside(text),
            Self::Text => {
                scan::inside(text).filter(|length| text.get(..*length).is_some_and(<[u8]>::is_ascii))
            }
            Self::Number => {
                let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
                (digits == 1 || (digits > 1 && !text.starts_with(b"0"))).then_some(digits)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A static has one address, which `words` looks parts up by; a constant may have several.
    static EVENT: &str = r#"{"n":7,"words":"a","pad":"x","é":1}"#;

    /// What is found in an event after [`EVENT`] was kept.
    fn words(event: &[u8]) -> Option<String> {
        let part = |text: &str| {
            let at = EVENT.find(text).unwrap();
            &EVENT.as_bytes()[at..at + text.len()]
        };
        let mut alike = Alike::default();
        let varying = [Some(part("7")), None, Some(part(r#""x""#))];
        alike.keep((), EVENT.as_bytes(), &part("a\"")[..1], &varying);
        alike.words(event).map(|((), words)| words.to_owned())
    }

    #[test]
    fn only_an_event_that_parses_the_same_is_alike() {
        for (event, expected) in [
            (EVENT, Some("a")),
            (
                r#"{"n":70,"words":"b \"c\" é\ud800","pad":"","é":1}"#,
                Some(r#"b \"c\" é\ud800"#),
            ),
            (r#"{"n":7,"words":"","pad":"x","é":1}"#, None),
            (r#"{"n":07,"words":"a","pad":"x","é":1}"#, None),
            (r#"{"n":,"words":"a","pad":"x","é":1}"#, None),
            (r#"{"n":7.5,"words":"a","pad":"x","é":1}"#, None),
            (r#"{"n":7,"words":"a","pad":"x","é":2}"#, None),
            (r#"{"n":7,"words":"a","pad":"x","é":1} "#, None),
            (r#"{"n":7,"words":"a","more":1,"pad":"x","é":1}"#, None),
            (r#"{"n":7,"words":"a\x","pad":"x","é":1}"#, None),
            ("{\"n\":7,\"words\":\"a\n\",\"pad\":\"x\",\"é\":1}", None),
            (r#"{"n":7,"words":"a"#, None),
        ] {
            assert_eq!(words(event.as_bytes()).as_deref(), expected, "{event}");
        }
    }

    #[test]
    fn what_is_not_text_is_not_alike() {
        for place in ["a\"", "x\""] {
            let mut event = EVENT.as_bytes().to_vec();
            event[EVENT.find(place).unwrap()] = 0xFF;
            assert_eq!(words(&event), None, "{place}");
        }
    }

    #[test]
    fn nothing_is_like_what_is_forgotten_or_too_long() {
        let long = format!("\"{}\"", "x".repeat(LONGEST)).into_bytes();
        let mut alike = Alike::default();
        alike.keep((), &long, &long[1..2], &[]);
        assert_eq!(alike.words(&long), None);
        alike.keep((), EVENT.as_bytes(), &EVENT.as_bytes()[2..3], &[]);
        alike.forget();
        assert_eq!(alike.words(EVENT.as_bytes()), None);
    }
}
