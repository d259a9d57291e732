//! The last look at what goes into a log: whatever looks like a credential is blotted out, wherever it came from.
//!
//! Secrets of ours have a type that never prints them. This is for those that others put into their words: a backend
//! that repeats a key in an error, a client that sends one in a place of its own. It runs where lines are written, many
//! of them in one go, not where they are made.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::OnceLock;

use aho_corasick::packed::Searcher;
use regex::bytes::{Captures, Match, Regex, RegexBuilder};

use crate::base::Secret;

/// What stands in the place of a secret.
const BLOT: &[u8] = b"***";
/// What is shorter is no secret (a relay's `none`, an `ollama`), and blotting it out would spoil ordinary words.
const SHORTEST: usize = 8;
/// What the compiled patterns may take of memory, in bytes: room for some ten thousand keys.
const MOST: usize = 256 << 20;
/// Credentials that nobody configured, by their looks: keys of `OpenAI`, Anthropic and their relays, of Google, and what
/// an `authorization` header carries.
const LOOKS: &str = "(?<sk>sk-[A-Za-z0-9_-]{12,})|(?<google>AIza[A-Za-z0-9_-]{20,})\
                     |(?<bearer>(?:Bearer|bearer|BEARER) +[A-Za-z0-9._~+/=-]{8,})";
/// E-mail addresses, and what may be a network address.
const PERSONAL: &str = r"(?<mail>[A-Za-z0-9._%+-]+@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,})|(?<v4>[0-9]{1,3}(?:\.[0-9]{1,3}){3})|(?<v6>(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}))";

/// What some part of each credential is, whoever configured it.
const SIGNS: [&[u8]; 5] = [b"sk-", b"AIza", b"Bearer ", b"bearer ", b"BEARER "];

/// What is blotted out of a log.
#[derive(Debug)]
pub struct Mask {
    /// What any text has that the patterns find something in, looked for all at once; none where that is too much (some
    /// dozens of secrets) or the processor has no instructions for it.
    signs: Option<Searcher>,
    standard: Pattern,
    strict: Option<Regex>,
}

/// Patterns that are compiled when a text first needs them: few ever do, and the compiler is a megabyte of code.
#[derive(Debug)]
struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
}

impl Mask {
    /// Blots out these secrets, and what looks like one; if `strict`, e-mail and network addresses too.
    ///
    /// # Errors
    /// There are too many secrets to look for.
    pub fn new(secrets: &[Secret], strict: bool) -> Result<Self, String> {
        let mut spellings: Vec<String> = secrets.iter().flat_map(spellings).collect();
        // The longest first: one key may begin with another.
        spellings.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        spellings.dedup();
        let own = spellings.iter().map(|secret| tail(secret.as_bytes()));
        let signs = Searcher::new(SIGNS.into_iter().chain(own));
        let mut patterns: Vec<String> = spellings.iter().map(|secret| regex::escape(secret)).collect();
        patterns.push(LOOKS.to_owned());
        let standard = Pattern {
            source: patterns.join("|"),
            compiled: OnceLock::new(),
        };
        if signs.is_none() {
            standard.check()?;
        }
        let personal = strict.then(|| compiled(PERSONAL));
        Ok(Self {
            signs,
            standard,
            strict: personal.transpose()?,
        })
    }

    /// `text` with all of that replaced; the same bytes where there is nothing of it.
    pub fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let masked = self.without_credentials(text);
        let Some(strict) = &self.strict else {
            return masked;
        };
        let stricter = strict.replace_all(&masked, |found: &Captures<'_>| personal(&masked, found));
        match stricter {
            Cow::Owned(stricter) => Cow::Owned(stricter),
            Cow::Borrowed(_) => masked,
        }
    }

    /// Whether it is sure at a glance that there is nothing of it in `text`, nor in any part of that.
    pub fn finds_no_sign(&self, text: &[u8]) -> bool {
        self.strict.is_none() && self.has_no_sign(text)
    }

    fn has_no_sign(&self, text: &[u8]) -> bool {
        let clean = |signs: &Searcher| signs.find(text).is_none();
        self.signs.as_ref().is_some_and(clean)
    }

    fn without_credentials<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        if self.has_no_sign(text) {
            return Cow::Borrowed(text);
        }
        match self.standard.get() {
            Some(standard) => standard.replace_all(text, |found: &Captures<'_>| credential(text, found)),
            // Patterns that do not compile have been refused, or are a handful: rather nothing than a secret.
            None => Cow::Borrowed(BLOT),
        }
    }
}

impl Pattern {
    fn get(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| compiled(&self.source).ok()).as_ref()
    }

    /// Compiles them now.
    fn check(&self) -> Result<(), String> {
        let regex = compiled(&self.source)?;
        let _ = self.compiled.set(Some(regex));
        Ok(())
    }
}

/// A secret as it may stand in a line: as it is, or as a JSON string.
fn spellings(secret: &Secret) -> Vec<String> {
    let plain = secret.expose();
    if plain.len() < SHORTEST {
        return Vec::new();
    }
    let json = serde_json::to_string(plain).unwrap_or_default();
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default();
    [plain, json].map(str::to_owned).into()
}

/// What of a secret is looked for at first: its second half, unless that is short. Secrets begin with words (`backend-key-`),
/// as names in the log do, and end in what nobody else says.
fn tail(secret: &[u8]) -> &[u8] {
    secret
        .get(secret.len() / 2..)
        .filter(|tail| tail.len() >= SHORTEST)
        .unwrap_or(secret)
}

fn compiled(pattern: &str) -> Result<Regex, String> {
    let regex = RegexBuilder::new(pattern).unicode(false).size_limit(MOST).build();
    regex.map_err(|_why| "there are more secrets in the config than the log can be searched for".to_owned())
}

/// What a credential becomes.
fn credential(text: &[u8], found: &Captures<'_>) -> Vec<u8> {
    if let Some(key) = found.name("sk") {
        // The end of another word (`task-force-one-two`) is no key.
        return if begins(text, &key) {
            b"sk-***".to_vec()
        } else {
            key.as_bytes().to_vec()
        };
    }
    if found.name("google").is_some() {
        return b"AIza***".to_vec();
    }
    if found.name("bearer").is_some() {
        return b"Bearer ***".to_vec();
    }
    // One of ours. What kind of key it is may be said.
    let is_sk = found
        .get(0)
        .is_some_and(|found| found.as_bytes().starts_with(b"sk-"));
    if is_sk { b"sk-***".to_vec() } else { BLOT.to_vec() }
}

/// Whether what was found begins a word, and is not the end of one.
fn begins(text: &[u8], found: &Match<'_>) -> bool {
    let before = text.get(..found.start()).unwrap_or_default();
    before.last().is_none_or(|byte| !byte.is_ascii_alphanumeric()) || ends_in_colour(before)
}

/// Whether a text ends in a terminal's colour: its last letter belongs to no word.
fn ends_in_colour(text: &[u8]) -> bool {
    let digits = text.strip_suffix(b"m").unwrap_or_default();
    let end = digits
        .iter()
        .rposition(|byte| !(byte.is_ascii_digit() || *byte == b';'));
    end.is_some_and(|end| digits.get(..=end).is_some_and(|text| text.ends_with(b"\x1b[")))
}

/// What an address becomes; what only looks like one (a time, a path of code) stays.
fn personal(text: &[u8], found: &Captures<'_>) -> Vec<u8> {
    let Some(whole) = found.get(0) else {
        return Vec::new();
    };
    let kept = whole.as_bytes();
    let is_address = || {
        let address = std::str::from_utf8(kept).ok();
        address.is_some_and(|address| address.parse::<IpAddr>().is_ok())
    };
    let after = text.get(whole.end()).copied().unwrap_or_default();
    let is_word = || kept == b"::" && after.is_ascii_alphabetic() || !begins(text, &whole);
    if found.name("mail").is_some() || is_address() && !is_word() {
        return BLOT.to_vec();
    }
    kept.to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masked(mask: &Mask, text: &str) -> String {
        String::from_utf8(mask.apply(text.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn a12_what_looks_like_a_credential_is_blotted_out_whoever_said_it() {
        let secrets = [
            "sk-own-key",
            "hunter2hunter2",
            "hunter2hunter2-longer",
            "quo\"ted-key",
            "backend-key-0123456789",
            "none",
        ]
        .map(Secret::new);
        let mask = Mask::new(&secrets, false).unwrap();
        for (text, expected) in [
            ("key backend-key-0123456789", "key ***"),
            ("key backend-key-012345678", "key backend-key-012345678"),
            ("key hunter2hunter2 is", "key *** is"),
            ("key sk-own-key is", "key sk-*** is"),
            ("key hunter2hunter2-longer is", "key *** is"),
            (r#"{"detail":"quo\"ted-key"}"#, r#"{"detail":"***"}"#),
            ("quo\"ted-key", "***"),
            ("none of it", "none of it"),
            (
                "Incorrect API key provided: sk-proj-0123_4567-89abcdef.",
                "Incorrect API key provided: sk-***.",
            ),
            (
                "\x1b[2mdetail=\x1b[0msk-ant-api03-0123456789",
                "\x1b[2mdetail=\x1b[0msk-***",
            ),
            ("a task-force-of-many-people", "a task-force-of-many-people"),
            ("sk-short", "sk-short"),
            ("?key=AIzaSyA0123456789abcdefghijklmno&x", "?key=AIza***&x"),
            (
                "authorization: Bearer abc.DEF_123~+/=",
                "authorization: Bearer ***",
            ),
            (
                "authorization: bearer abcdefgh, next",
                "authorization: Bearer ***, next",
            ),
            ("Send it as `Bearer ...`", "Send it as `Bearer ...`"),
            (
                "from 10.0.0.1 by me@example.org",
                "from 10.0.0.1 by me@example.org",
            ),
        ] {
            assert_eq!(masked(&mask, text), expected, "{text}");
        }
    }

    #[test]
    fn strict_takes_addresses_of_people_and_machines_and_leaves_times_alone() {
        let mask = Mask::new(&[], true).unwrap();
        for (text, expected) in [
            ("by me.and+you@mail.example.org, or", "by ***, or"),
            (r#""ip":"127.0.0.1","#, r#""ip":"***","#),
            ("from 10.1.2.3:8080 and [::1]:80", "from ***:8080 and [***]:80"),
            ("2001:db8::8a2e:370:7334.", "***."),
            ("::ffff:192.0.2.1", "***"),
            (
                "\"time\":\"2026-11-22T21:38:47.123Z\"",
                "\"time\":\"2026-11-22T21:38:47.123Z\"",
            ),
            ("version 0.12.3, 21:38:47", "version 0.12.3, 21:38:47"),
            ("llm_proxy::routing", "llm_proxy::routing"),
            ("key sk-0123456789abcdef", "key sk-***"),
        ] {
            assert_eq!(masked(&mask, text), expected, "{text}");
        }
    }

    #[test]
    fn thousands_of_keys_are_looked_for() {
        let keys: Vec<Secret> = (0..5_000)
            .map(|n| Secret::new(&format!("client-key-number-{n:048}")))
            .collect();
        let mask = Mask::new(&keys, false).unwrap();
        assert_eq!(masked(&mask, &format!("<{}>", keys[4_321].expose())), "<***>");
    }

    proptest! {
        #[test]
        fn a_text_without_a_sign_has_nothing_that_the_patterns_find(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just("sk-"), Just("sk-own-key"), Just("AIza"), Just("Bearer "), Just("BEARER  "), Just("bearer"),
                    Just("0123456789abcdefghijkl"), Just("a-long-own-key-of-25-bytes"), Just("own/\"key"), Just("own/\\\"key"), Just(" "), Just("a"),
                ],
                0..8,
            ),
        ) {
            let text = pieces.concat();
            let secrets = ["sk-own-key", "own/\"key", "a-long-own-key-of-25-bytes"].map(Secret::new);
            let few = Mask::new(&secrets, false).unwrap();
            // So many that nobody looks for signs.
            let more = (0..100).map(|n| Secret::new(&format!("never-said-{n:03}")));
            let many = Mask::new(&secrets.into_iter().chain(more).collect::<Vec<_>>(), false).unwrap();
            let whole = few.apply(text.as_bytes());
            prop_assert_eq!(&whole, &many.apply(text.as_bytes()));
            prop_assert!(!many.finds_no_sign(text.as_bytes()), "the patterns are asked");
            if few.finds_no_sign(text.as_bytes()) {
                prop_assert_eq!(&*whole, text.as_bytes());
            }
        }
    }
}
