//! Collects what the passes find, and what must not be shown, until all of them are done.

use std::ops::Range;
use std::sync::Arc;

use super::diagnostic::{Diagnostic, SHOWN, Severity, Source, line_at};
use super::tree::{Node, Span};

/// So many errors, and so many warnings, are kept.
const MOST: usize = 10_000;
/// A name that is longer is like no other.
const NAME: usize = 100;
/// A word of so many characters may be a key.
const LIKE_A_KEY: usize = 16;

/// What has been found so far in one file.
pub(crate) struct Findings<'a> {
    name: &'a str,
    /// The file's text.
    pub(crate) text: &'a str,
    found: Vec<Finding>,
    secret: Vec<Range<usize>>,
    exposed: Option<String>,
    errors: usize,
    warnings: usize,
}

/// A diagnostic in the making.
struct Finding {
    severity: Severity,
    message: String,
    span: Option<Span>,
    help: Option<String>,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(name: &'a str, text: &'a str) -> Self {
        Self {
            name,
            text,
            found: Vec::new(),
            secret: Vec::new(),
            exposed: None,
            errors: 0,
            warnings: 0,
        }
    }

    /// Notes an error at `span`.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) {
        self.error_with(span, message, None);
    }

    /// Notes an error at `span`, with advice.
    pub(crate) fn error_with(&mut self, span: Span, message: impl Into<String>, help: Option<String>) {
        self.push(Severity::Error, message.into(), Some(span), help);
    }

    /// Notes a warning at `span`.
    pub(crate) fn warn(&mut self, span: Span, message: impl Into<String>) {
        self.push(Severity::Warning, message.into(), Some(span), None);
    }

    /// Notes a warning at `span`, with advice.
    pub(crate) fn warn_with(&mut self, span: Span, message: impl Into<String>, help: String) {
        self.push(Severity::Warning, message.into(), Some(span), Some(help));
    }

    /// Notes an error of the file as a whole.
    pub(crate) fn error_file(&mut self, message: impl Into<String>) {
        self.push(Severity::Error, message.into(), None, None);
    }

    /// Notes a warning about the file as a whole.
    pub(crate) fn warn_file(&mut self, message: impl Into<String>) {
        self.push(Severity::Warning, message.into(), None, None);
    }

    fn push(&mut self, severity: Severity, message: String, span: Option<Span>, help: Option<String>) {
        // Each kind has its own room, so that warnings never crowd out the error that refuses the file.
        let count = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count > MOST {
            return;
        }
        self.found.push(Finding {
            severity,
            message,
            span,
            help,
        });
    }

    /// "did you mean": the name that `wrong` most likely stands for. Nobody reads the hundredth of them, and to
    /// look for it takes time, so then there is none.
    pub(crate) fn did_you_mean<'n>(
        &self,
        wrong: &str,
        names: impl IntoIterator<Item = &'n str>,
    ) -> Option<String> {
        if self.found.len() > SHOWN || wrong.len() > NAME {
            return None;
        }
        nearest(wrong, names).map(|name| format!("did you mean `{name}`?"))
    }

    /// From now on, what `node` holds is shown to nobody, unless it only names where the secret is.
    pub(crate) fn hide(&mut self, node: &Node) {
        for scalar in node.scalars() {
            let range = scalar.span.start..scalar.span.end;
            if !self.raw(scalar.span).contains("${") {
                self.secret.push(range);
            }
        }
    }

    /// The line at `span` could not be read, so what in it looks like a key is shown to nobody.
    pub(crate) fn hide_keys_near(&mut self, span: Span) {
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let (mut at, line) = line_at(self.text, span.start);
        for piece in line.split_inclusive(|c| !word(c)) {
            let end = at + piece.trim_end_matches(|c| !word(c)).len();
            if end - at >= LIKE_A_KEY {
                self.secret.push(at..end);
            }
            at += piece.len();
        }
    }

    /// Hides a text that stands where none belongs, if it is as long as a key.
    pub(crate) fn hide_stray(&mut self, node: &Node) {
        if node.text().is_some_and(|text| text.len() >= LIKE_A_KEY) {
            self.hide(node);
        }
    }

    /// Notes that the file holds a secret in plain sight under `key`.
    pub(crate) fn expose(&mut self, key: &str) {
        self.exposed.get_or_insert_with(|| key.to_owned());
    }

    /// The first key that holds a secret in plain sight.
    pub(crate) fn exposed(&self) -> Option<&str> {
        self.exposed.as_deref()
    }

    /// The file's text at `span`.
    pub(crate) fn raw(&self, span: Span) -> &'a str {
        self.text.get(span.start..span.end).unwrap_or_default()
    }

    /// The place of the `nth` `needle` inside `span`, from 0; `span` itself if there is none.
    pub(crate) fn within(&self, span: Span, needle: &str, nth: usize) -> Span {
        let found = self.raw(span).match_indices(needle).nth(nth);
        found.map_or(span, |(at, _)| {
            let start = span.start + at;
            Span::of(self.text, start..start + needle.len())
        })
    }

    /// All that was found: errors first, each kind in the file's order.
    pub(crate) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        let text = blotted(self.text, &self.secret);
        let source = Arc::new(Source {
            name: self.name.to_owned(),
            text,
        });
        self.found
            .sort_by_key(|one| (one.severity, one.span.map_or(usize::MAX, |span| span.start)));
        self.found
            .into_iter()
            .map(|one| Diagnostic {
                severity: one.severity,
                message: one.message,
                span: one.span,
                help: one.help,
                source: Arc::clone(&source),
            })
            .collect()
    }
}

/// `text` with stars in place of `secret`: as many as there were bytes, so that every span stays true.
fn blotted(text: &str, secret: &[Range<usize>]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in secret {
        for byte in bytes.get_mut(range.clone()).unwrap_or_default() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The name that is like `wrong`, if any is.
fn nearest<'n>(wrong: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let lower = wrong.to_lowercase();
    names
        .into_iter()
        .map(|name| {
            (
                strsim::normalized_damerau_levenshtein(&lower, &name.to_lowercase()),
                name,
            )
        })
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_proposed_only_when_it_is_near() {
        for (wrong, expected) in [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("fallbak", Some("fallback")),
            ("zebra", None),
            ("", None),
        ] {
            assert_eq!(nearest(wrong, ["listen", "fallback"]), expected, "{wrong}");
        }
    }

    #[test]
    fn blotting_keeps_every_byte_where_it_was() {
        assert_eq!(
            blotted("a: geheim-ü\nb: c", &[3..12, 90..95]),
            "a: *********\nb: c"
        );
    }
}
