//! What must not come out again of what a backend says: its keys, and the operator's prompts. Backends repeat both in
//! their errors. They are blotted out, and nothing else is touched.

use std::borrow::Cow;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::base::Secret;
use crate::prompts::Rendered;

/// What is shorter is no secret (a relay's `none`, an `ollama`), and blotting it out would spoil ordinary words.
const SHORTEST: usize = 8;
/// The longest text for the log, in characters.
const LONGEST_TEXT: usize = 300;

/// What is hidden of a request's backend.
#[derive(Clone, Copy)]
pub(super) struct Hidden<'a> {
    /// The backend's keys.
    pub secrets: &'a [Secret],
    /// The prompts that were put into the request.
    pub told: &'a [Rendered],
}

impl Hidden<'_> {
    /// `body` with all of that replaced by asterisks; the same bytes where there is nothing of it.
    pub(super) fn blotted_in(self, body: Bytes) -> Bytes {
        let secrets = self.secrets.iter().map(|secret| secret.expose().as_bytes());
        let body = secrets.fold(body, blotted);
        let spellings = self.told.iter().flat_map(spellings);
        spellings.fold(body, |body, spelling| blotted(body, spelling.as_bytes()))
    }

    /// A text for the log: the same, and short.
    pub(super) fn blotted_in_text(self, text: String) -> String {
        let text = self.blotted_in(Bytes::from(text));
        String::from_utf8_lossy(&text)
            .chars()
            .take(LONGEST_TEXT)
            .collect()
    }
}

/// How a backend may repeat a prompt: plain, and as the JSON of most languages spells it, of Python's and of Go's.
fn spellings(told: &Rendered) -> [Cow<'_, str>; 4] {
    let python = |c: char| !c.is_ascii();
    let go = |c: char| matches!(c, '<' | '>' | '&' | '\u{2028}' | '\u{2029}');
    [
        Cow::Borrowed(&*told.text),
        Cow::Borrowed(&*told.spelled),
        by_number(&told.spelled, python),
        by_number(&told.spelled, go),
    ]
}

/// A spelling with these characters as escapes by number.
fn by_number(spelled: &str, which: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !spelled.contains(&which) {
        return Cow::Borrowed(spelled);
    }
    let mut out = String::with_capacity(2 * spelled.len());
    for c in spelled.chars() {
        if !which(c) {
            out.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
    Cow::Owned(out)
}

/// `body` with every `needle` replaced by asterisks, if it is long enough to be no coincidence.
fn blotted(body: Bytes, needle: &[u8]) -> Bytes {
    if needle.len() < SHORTEST || memchr::memmem::find(&body, needle).is_none() {
        return body;
    }
    let mut out = Vec::with_capacity(body.len());
    let mut from = 0;
    for at in memchr::memmem::find_iter(&body, needle) {
        out.extend_from_slice(body.get(from..at).unwrap_or_default());
        out.extend_from_slice(b"***");
        from = at + needle.len();
    }
    out.extend_from_slice(body.get(from..).unwrap_or_default());
    out.into()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use llm_dialect::canon::JsonStr;

    use super::*;
    use crate::config::types::PromptPosition;

    fn hidden(text: &str, body: &str) -> String {
        let told = [Rendered {
            position: PromptPosition::Before,
            separator: Arc::from(""),
            text: Arc::from(text),
            spelled: Arc::from(JsonStr::of(text).spelling()),
        }];
        let hidden = Hidden {
            secrets: &[],
            told: &told,
        };
        let done = hidden.blotted_in(Bytes::copy_from_slice(body.as_bytes()));
        String::from_utf8(done.to_vec()).unwrap()
    }

    #[test]
    fn a17_a_prompt_is_blotted_out_however_a_backend_spells_it() {
        let prompt = "Für <alle> & \"jeden\" 😀\n";
        for said in [
            "Für <alle> & \"jeden\" 😀\n",
            r#"Für <alle> & \"jeden\" 😀\n"#,
            r#"F\u00fcr <alle> & \"jeden\" \ud83d\ude00\n"#,
            r#"Für \u003calle\u003e \u0026 \"jeden\" 😀\n"#,
        ] {
            assert_eq!(
                hidden(prompt, &format!("told {said}, and {said}!")),
                "told ***, and ***!",
                "{said}"
            );
        }
        assert_eq!(hidden(prompt, "Für alle"), "Für alle");
        assert_eq!(hidden("short", "in short"), "in short", "ordinary words stay");
    }
}
