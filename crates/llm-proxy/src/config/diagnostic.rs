//! What is wrong with a config file, said so that one look is enough: place, line, sentence, advice.

use std::fmt;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use super::tree::Span;

/// So many are shown; whoever has more than that has one mistake many times.
pub(crate) const SHOWN: usize = 100;
/// A line longer than this is not shown: it is not one that a person wrote.
const LINE_SHOWN: usize = 400;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, but its owner should know.
    Warning,
}

/// A file's name and text, the secrets in it blotted out.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One sentence, without a full stop.
    pub message: String,
    /// Where; none: the file as a whole.
    pub span: Option<Span>,
    /// What to do, where that is known (`did you mean ..?`).
    pub help: Option<String>,
    pub(crate) source: Arc<Source>,
}

impl Diagnostic {
    /// The look of rustc's messages: the sentence, then the place with its line. `colour`: with terminal colours.
    pub fn render(&self, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = level
            .primary_title(self.message.as_str())
            .elements(self.snippet());
        if self.span.is_none() {
            group = group.element(annotate_snippets::Origin::path(self.source.name.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        renderer.render(&[group])
    }

    /// The line with its marker. Only that line is handed over, so that a huge file costs nothing.
    fn snippet(&self) -> Option<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let span = self.span?;
        let (start, line) = line_at(&self.source.text, span.start);
        let line = if line.len() > LINE_SHOWN { "" } else { line };
        let from = line.floor_char_boundary(span.start.saturating_sub(start));
        let to = line.ceil_char_boundary(span.end.saturating_sub(start)).max(from);
        Some(
            Snippet::source(line)
                .line_start(span.line)
                .path(self.source.name.as_str())
                .annotation(AnnotationKind::Primary.span(from..to)),
        )
    }
}

/// One line for logs: `config.yaml:3:5: unknown key `lisen`; did you mean `listen`?`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source.name)?;
        if let Some(span) = self.span {
            write!(f, ":{}:{}", span.line, span.column)?;
        }
        write!(f, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// The line that byte `at` is in, without its end, and the byte that it begins at.
pub(crate) fn line_at(text: &str, at: usize) -> (usize, &str) {
    let head = text.get(..at).unwrap_or(text);
    let start = head.rfind('\n').map_or(0, |newline| newline + 1);
    let rest = text.get(start..).unwrap_or_default();
    (start, rest.lines().next().unwrap_or_default())
}

/// Why a file was refused: every error in it, and its warnings. Errors come first, each kind in the file's order.
#[derive(Clone, Debug)]
pub struct Report(pub Vec<Diagnostic>);

impl Report {
    /// A report of one error that concerns the file as a whole.
    pub(crate) fn of_file(name: &str, message: String) -> Self {
        let source = Arc::new(Source {
            name: name.to_owned(),
            text: String::new(),
        });
        Self(vec![Diagnostic {
            severity: Severity::Error,
            message,
            span: None,
            help: None,
            source,
        }])
    }

    /// All of them as [`Diagnostic::render`] shows one, with an empty line between.
    pub fn render(&self, colour: bool) -> String {
        let mut shown: Vec<String> = self.0.iter().take(SHOWN).map(|one| one.render(colour)).collect();
        if let Some(more) = self.0.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            shown.push(format!("... and {more} more"));
        }
        shown.join("\n\n")
    }
}

/// One line each, as [`Diagnostic`] shows itself.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().take(SHOWN).map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl std::error::Error for Report {}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnostic(text: &str, span: Span) -> Diagnostic {
        let source = Arc::new(Source {
            name: "config.yaml".to_owned(),
            text: text.to_owned(),
        });
        let help = Some("did you mean `listen`?".to_owned());
        Diagnostic {
            severity: Severity::Error,
            message: "unknown key `lisen`".to_owned(),
            span: Some(span),
            help,
            source,
        }
    }

    #[test]
    fn a_diagnostic_shows_place_line_sentence_and_advice() {
        let span = Span {
            start: 11,
            end: 16,
            line: 2,
            column: 1,
        };
        let one = diagnostic("watch: off\nlisen: x\n", span);
        assert_eq!(
            one.to_string(),
            "config.yaml:2:1: unknown key `lisen`; did you mean `listen`?"
        );
        assert_eq!(
            one.render(false),
            "error: unknown key `lisen`\n --> config.yaml:2:1\n  |\n2 | lisen: x\n  | ^^^^^\n  |\n  \
             = help: did you mean `listen`?"
        );
        assert!(one.render(true).contains('\u{1b}'), "colour only when asked");
    }

    #[test]
    fn a_span_past_the_end_or_inside_a_character_does_no_harm() {
        for span in [
            Span {
                start: 900,
                end: 950,
                line: 9,
                column: 1,
            },
            Span {
                start: 1,
                end: 2,
                line: 1,
                column: 1,
            },
        ] {
            assert!(diagnostic("äöü", span).render(false).contains("unknown key"));
        }
    }

    #[test]
    fn a_report_stops_at_a_hundred() {
        let one = diagnostic("x", Span::default());
        let report = Report(vec![one; 103]);
        assert!(report.render(false).ends_with("... and 3 more"));
    }
}
