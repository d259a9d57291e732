//! What must not come out again of what a backend says: its keys, and the operator's prompts. Backends repeat both in
//! their errors. They are blotted out, and nothing else is touched.

use bytes::Bytes;
use llm_dialect::edit::json_string;

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
        self.told.iter().fold(body, |body, told| {
            let escaped = json_string(&told.text);
            let inside = escaped.get(1..escaped.len().saturating_sub(1));
            blotted(blotted(body, inside.unwrap_or_default()), told.text.as_bytes())
        })
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
