//! A prompt's text as it stands in some file: parsed, and whatever is wrong or odd with it told at its place there.

use std::ops::Range;

use super::Reading;
use super::template::{self, Parsed, Template, Variable, Volatility};
use crate::config::findings::Findings;
use crate::config::names::Named;
use crate::config::tree::Span;
use crate::config::types::{PromptPosition, PromptSettings};

/// Where the text begins.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// In a file of its own, at that byte.
    File {
        /// The first byte.
        from: usize,
    },
    /// As a value of the config.
    Value(Span),
}

/// A text's template; none if there is an error in it.
pub(super) fn template(
    text: &str,
    place: Place,
    settings: &PromptSettings,
    reading: &Reading<'_>,
    findings: &mut Findings<'_>,
) -> Option<Template> {
    match template::parse(text, reading.world.env) {
        Ok(parsed) => {
            odd(text, place, &parsed, settings, findings);
            Some(parsed.template)
        }
        Err(wrong) => {
            for one in wrong {
                let unknown = one.unknown.as_deref();
                let meant = unknown.and_then(|name| findings.did_you_mean(name, template::names()));
                findings.error_with(
                    span(text, place, one.place, findings),
                    one.message,
                    one.help.or(meant),
                );
            }
            None
        }
    }
}

/// What a prompt that is in order should not be.
fn odd(text: &str, place: Place, parsed: &Parsed, settings: &PromptSettings, findings: &mut Findings<'_>) {
    if !settings.enabled {
        return;
    }
    if parsed.template.pieces().is_empty() {
        let whole = span(text, place, 0..0, findings);
        findings.warn(whole, "this prompt has no text, so nothing is put in");
    }
    if settings.position == PromptPosition::After {
        return;
    }
    for (name, variable) in Variable::all() {
        let mut uses = parsed.uses.iter().filter(|(used, _)| *used == variable);
        if variable.volatility() == Volatility::Always
            && let Some((_, at)) = uses.next()
        {
            let at = span(text, place, at.clone(), findings);
            let message =
                format!("`${{{name}}}` differs with every request, and what follows it is cached for none");
            let help = "each conversation keeps its first text, but no two share a cache: use `position: after`, or \
                        `${_DATE}`";
            findings.warn_with(at, message, help.to_owned());
        }
    }
}

/// The place in the file of a range of the text.
fn span(text: &str, place: Place, range: Range<usize>, findings: &Findings<'_>) -> Span {
    match place {
        Place::File { from } => Span::of(findings.text, from + range.start..from + range.end),
        Place::Value(span) => {
            // YAML folds, indents and escapes, so bytes do not count there, but how often it was there before does.
            let (head, needle) = (text.get(..range.start), text.get(range).unwrap_or_default());
            let before = head.unwrap_or_default().matches(needle).count();
            if needle.is_empty() {
                span
            } else {
                findings.within(span, needle, before)
            }
        }
    }
}
