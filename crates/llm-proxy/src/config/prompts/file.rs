//! One prompt file: its bytes to front matter and text, each mistake with its own line.

use std::path::Path;

use super::{Reading, front, text};
use crate::config::diagnostic::Diagnostic;
use crate::config::fields::prompts::FRONT;
use crate::config::findings::Findings;
use crate::config::tree::{Node, Span};
use crate::config::types::Prompt;
use crate::config::view::View;
use crate::config::{decode, shape, source, vars, yaml};

/// The largest file that is read: what fits into no model's context is no prompt.
pub(super) const LARGEST: u64 = 256 << 10;

/// Reads a file. What is found in it goes to `found`.
pub(super) fn read(path: &Path, reading: &Reading<'_>, found: &mut Vec<Diagnostic>) -> Option<Prompt> {
    let name = path.display().to_string();
    let bytes = match source::bytes(path, LARGEST) {
        Ok(bytes) => bytes,
        Err(why) => {
            let mut findings = Findings::new(&name, "");
            findings.error_file(format!("cannot read the prompt: {why}"));
            found.extend(findings.into_diagnostics());
            return None;
        }
    };
    let (text, sound) = as_text(&bytes);
    let mut findings = Findings::new(&name, text);
    let prompt = if sound {
        prompt(path, text, reading, &mut findings)
    } else {
        let end = Span::of(text, text.len()..text.len());
        findings.error(end, "cannot read the prompt: from here on it is not UTF-8");
        None
    };
    found.extend(findings.into_diagnostics());
    prompt
}

/// The text as far as it is one, without the mark that some editors begin it with; and whether that is all of it.
fn as_text(bytes: &[u8]) -> (&str, bool) {
    let (text, sound) = match std::str::from_utf8(bytes) {
        Ok(text) => (text, true),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            (std::str::from_utf8(valid).unwrap_or_default(), false)
        }
    };
    (text.strip_prefix('\u{feff}').unwrap_or(text), sound)
}

fn prompt(path: &Path, text: &str, reading: &Reading<'_>, findings: &mut Findings<'_>) -> Option<Prompt> {
    let Some(parts) = front::parts(text) else {
        let first = Span::of(text, 0..3);
        let help = "without front matter, begin the file with something else".to_owned();
        findings.error_with(first, "the front matter has no end: a line `---`", Some(help));
        return None;
    };
    let front = match parts.front {
        Some(place) => Some(front(text.get(place)?, reading, findings)?),
        None => None,
    };
    let settings = decode::prompt(&View::new(&FRONT, front.as_ref()));
    let body = text.get(parts.body.clone())?;
    let place = text::Place::File {
        from: parts.body.start,
    };
    let template = text::template(body, place, &settings, reading, findings)?;
    Some(Prompt {
        file: Some(path.file_name()?.to_string_lossy().into_owned()),
        template,
        settings,
    })
}

/// The front matter, checked as the config is.
fn front(text: &str, reading: &Reading<'_>, findings: &mut Findings<'_>) -> Option<Node> {
    let mut node = yaml::read(text, "front matter", findings)?;
    vars::expand_node(&mut node, reading.world, findings);
    shape::check(&node, &FRONT, findings);
    reading.audience.check(&View::new(&FRONT, Some(&node)), findings);
    Some(node)
}
