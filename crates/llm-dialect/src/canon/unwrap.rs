//! Free text out of the function that stands in for a custom tool: `{"input": "..."}` arrives in pieces, and the text
//! leaves in pieces, in its JSON spelling, however the pieces are cut.

use super::text::JsonStr;

/// The one member of the arguments.
const KEY: &str = "\"input\"";

/// No stand-in begins with more than this before its text: what does is something else.
const LONGEST_HEAD: usize = 1024;

/// Takes the text out of the arguments of a call.
#[derive(Debug, Default)]
pub(crate) struct Unwrap {
    state: State,
    /// What cannot be judged yet: the head of the arguments, or an escape that is not whole.
    pending: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Before the text.
    #[default]
    Head,
    /// Within the text.
    Inside,
    /// Behind it.
    Done,
    /// The arguments are something else: they are the text.
    Raw,
}

/// What the head of some arguments is.
enum Head<'p> {
    /// Not whole yet.
    Open,
    /// The text begins here.
    Text(&'p str),
    /// Something else.
    Other,
}

impl Unwrap {
    /// Takes the next piece of the arguments and gives what it holds of the text.
    pub(crate) fn feed(&mut self, piece: &JsonStr<'_>) -> JsonStr<'static> {
        self.pending.push_str(&piece.read());
        if self.state == State::Head {
            match head(&self.pending) {
                Head::Open if self.pending.len() <= LONGEST_HEAD => return JsonStr::EMPTY,
                Head::Text(rest) => {
                    self.pending = rest.to_owned();
                    self.state = State::Inside;
                }
                Head::Open | Head::Other => self.state = State::Raw,
            }
        }
        match self.state {
            State::Inside => self.inside(),
            State::Raw => JsonStr::of(&std::mem::take(&mut self.pending)).into_owned(),
            State::Head | State::Done => {
                self.pending.clear();
                JsonStr::EMPTY
            }
        }
    }

    /// The call is over: what is left of arguments whose head was never whole is the text.
    pub(crate) fn finish(&mut self) -> JsonStr<'static> {
        if self.state != State::Head {
            return JsonStr::EMPTY;
        }
        self.state = State::Done;
        match self.pending.trim() {
            "{" | "{}" => JsonStr::EMPTY,
            _ => JsonStr::of(&std::mem::take(&mut self.pending)).into_owned(),
        }
    }

    fn inside(&mut self) -> JsonStr<'static> {
        let (end, closed) = whole(&self.pending);
        let rest = self.pending.split_off(end);
        let text = std::mem::replace(&mut self.pending, rest);
        if closed {
            self.pending.clear();
            self.state = State::Done;
        }
        JsonStr::spelled_so(without_controls(text))
    }
}

/// Raw line ends are no part of a sound string, but some models write them.
fn without_controls(text: String) -> String {
    if text.bytes().all(|byte| byte >= b' ') {
        return text;
    }
    let mut sound = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\0'..' ' => sound.push_str(JsonStr::of(character.encode_utf8(&mut [0; 4])).spelling()),
            _ => sound.push(character),
        }
    }
    sound
}

/// Looks for the beginning of the text.
fn head(arguments: &str) -> Head<'_> {
    let mut rest = arguments.trim_start();
    if rest.trim_end() == "{}" {
        return Head::Open;
    }
    for part in ["{", KEY, ":", "\""] {
        if rest.is_empty() || (rest.len() < part.len() && part.starts_with(rest)) {
            return Head::Open;
        }
        match rest.strip_prefix(part) {
            Some(after) if part == "\"" => return Head::Text(after),
            Some(after) => rest = after.trim_start(),
            None => return Head::Other,
        }
    }
    Head::Other
}

/// How far a text reaches that holds no broken escape, and whether its closing quote follows.
fn whole(text: &str) -> (usize, bool) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let step = match (byte, bytes.get(at + 1)) {
            (b'"', _) => return (at, true),
            (b'\\', Some(b'u')) => 6,
            (b'\\', _) => 2,
            _ => 1,
        };
        if at + step > bytes.len() {
            break;
        }
        at += step;
    }
    (at, false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn unwrapped(pieces: &[&str]) -> String {
        let mut unwrap = Unwrap::default();
        let mut all = String::new();
        for piece in pieces {
            all.push_str(unwrap.feed(&JsonStr::of(piece)).spelling());
        }
        all.push_str(unwrap.finish().spelling());
        JsonStr::spelled_so(all).read().into_owned()
    }

    #[test]
    fn what_is_no_wrapped_text_is_the_text() {
        for (pieces, expected) in [
            (&["{\"input\":\"a\"}"] as &[&str], "a"),
            (&[" { \"input\" : \"a\\n\\\"b\\\"\" }"], "a\n\"b\""),
            (&["{\"in", "put\": \"", "a", "\"}"], "a"),
            (&["{\"input\":\"\"}"], ""),
            (&["{}"], ""),
            (&[], ""),
            (&["*** Begin ", "Patch"], "*** Begin Patch"),
            (&["{\"patch\":\"a\"}"], "{\"patch\":\"a\"}"),
            (&["{\"input\":5}"], "{\"input\":5}"),
            (&["{\"inp"], "{\"inp"),
            (&["{\"input\":\"cut \\u00"], "cut "),
            (&["{\"input\":\"a\nb\"}"], "a\nb"),
        ] {
            assert_eq!(unwrapped(pieces), expected, "{pieces:?}");
        }
    }

    #[test]
    fn a_head_that_does_not_end_is_not_waited_for() {
        let mut unwrap = Unwrap::default();
        let blank = JsonStr::spelled_so(" ".repeat(100));
        let told: usize = (0..100).map(|_| unwrap.feed(&blank).spelling().len()).sum();
        assert_eq!(told, 10_000, "it is the text, and nothing of it is kept");
        assert!(unwrap.pending.is_empty());
    }

    proptest! {
        #[test]
        fn no_cut_changes_the_text(text in ".{0,30}", cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
            let arguments = serde_json::json!({ "input": text }).to_string();
            let borders: Vec<usize> = arguments.char_indices().map(|(at, _)| at).chain([arguments.len()]).collect();
            let mut at: Vec<usize> = cuts.iter().map(|cut| borders[cut.index(borders.len())]).collect();
            at.extend([0, arguments.len()]);
            at.sort_unstable();
            let pieces: Vec<&str> = at.windows(2).map(|pair| &arguments[pair[0]..pair[1]]).collect();
            prop_assert_eq!(unwrapped(&pieces), text);
        }
    }
}
