//! The `model` field of a `multipart/form-data` body (RFC 7578), as audio and image calls send it.
//!
//! The body is walked once and not copied. Wherever another parser might read it differently, and so find
//! another model than the one that the key was checked for, it is refused.

use std::borrow::Cow;

use memchr::memmem;

use crate::envelope::{BodyError, check_model};
use crate::scan::Span;

/// The longest boundary that RFC 2046 allows, in bytes.
const LONGEST_BOUNDARY: usize = 70;

/// The most header bytes of one part.
const MOST_HEADERS: usize = 16 * 1024;

/// The model field's place in `body` and its text, or `None` when no part is named `model`.
///
/// Refused: another content type, a body that is not well-formed, a second `model`, and a name that no model has.
pub fn model(content_type: &str, body: &[u8]) -> Result<Option<(Span, String)>, BodyError> {
    let boundary = boundary(content_type)?;
    let mut found = None;
    for part in Parts::new(&boundary, body) {
        let part = part?;
        let headers =
            std::str::from_utf8(part.headers.of(body)).map_err(|_not_text| broken("a part's header"))?;
        if field_name(headers)? != "model" {
            continue;
        }
        if found.is_some() {
            return Err(BodyError::of_field("model", "The field 'model' is there twice."));
        }
        found = Some((part.content, model_text(part.content.of(body))?));
    }
    Ok(found)
}

fn model_text(content: &[u8]) -> Result<String, BodyError> {
    let text = std::str::from_utf8(content)
        .map_err(|_not_text| BodyError::of_field("model", "The field 'model' must be UTF-8 text."))?;
    check_model(text)?;
    Ok(text.to_owned())
}

fn broken(what: &str) -> BodyError {
    BodyError::of_body(format!(
        "The multipart body is not well-formed: {what} cannot be read."
    ))
}

/// The delimiter of the parts, from the content type.
fn boundary(content_type: &str) -> Result<String, BodyError> {
    let mut header = Header::new(content_type);
    if !header.value.eq_ignore_ascii_case("multipart/form-data") {
        return Err(BodyError::of_body(
            "The content type must be multipart/form-data.",
        ));
    }
    let boundary = header.only("boundary").ok_or_else(|| broken("its boundary"))?;
    let sound = !boundary.is_empty()
        && boundary.len() <= LONGEST_BOUNDARY
        && boundary
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if sound {
        Ok(boundary.into_owned())
    } else {
        Err(broken("its boundary"))
    }
}

/// The `name` in a part's one `content-disposition`.
fn field_name(headers: &str) -> Result<Cow<'_, str>, BodyError> {
    let unclear = || broken("the name of a part");
    let lines: Option<Vec<_>> = headers.split("\r\n").map(header_line).collect();
    let lines = lines.ok_or_else(unclear)?;
    let is_disposition = |line: &&(&str, &str)| line.0.eq_ignore_ascii_case("content-disposition");
    let mut dispositions = lines.iter().filter(is_disposition).map(|line| line.1);
    let (Some(value), None) = (dispositions.next(), dispositions.next()) else {
        return Err(unclear());
    };
    let mut header = Header::new(value);
    if !header.value.eq_ignore_ascii_case("form-data") {
        return Err(unclear());
    }
    header.only("name").ok_or_else(unclear)
}

/// The name and value of a header line. `None` for a folded line, one without a name, and one with a bare line
/// feed or the like in it, at which some parsers would split.
fn header_line(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let control = |char: char| char.is_control() && char != '\t';
    (!name.is_empty() && name.bytes().all(plain) && !value.contains(control)).then_some((name, value))
}

/// A header value and the parameters that follow it.
struct Header<'a> {
    value: &'a str,
    rest: &'a str,
}

impl<'a> Header<'a> {
    fn new(text: &'a str) -> Self {
        let end = text.find(';').unwrap_or(text.len());
        let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        Self {
            value: value.trim_matches([' ', '\t']),
            rest,
        }
    }

    /// The one parameter of that name; `None` if it is missing, is there twice or stands among broken ones.
    fn only(&mut self, name: &str) -> Option<Cow<'a, str>> {
        let mut found = None;
        while !self.rest.is_empty() {
            let (key, value) = self.param()?;
            if key.eq_ignore_ascii_case(name) && found.replace(value).is_some() {
                return None;
            }
        }
        found
    }

    /// Takes the next `; key=value` or `; key="value"` off the rest.
    fn param(&mut self) -> Option<(&'a str, Cow<'a, str>)> {
        let text = self.rest.strip_prefix(';')?.trim_start_matches([' ', '\t']);
        let (key, text) = text.split_once('=')?;
        let (value, rest) = if text.starts_with('"') {
            quoted(text)?
        } else {
            unquoted(text)?
        };
        self.rest = rest.trim_start_matches([' ', '\t']);
        let token = |text: &str| !text.is_empty() && !text.contains([' ', '\t', '"', ';']);
        token(key).then_some((key, value))
    }
}

/// A bare value up to the next semicolon, and what follows.
fn unquoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let (value, rest) = text.split_at_checked(text.find(';').unwrap_or(text.len()))?;
    Some((Cow::Borrowed(value.trim_end_matches([' ', '\t'])), rest))
}

/// A quoted value, and what follows its closing quote. A backslash escapes the character after it.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.find(['"', '\\'])?;
    let (plain, rest) = text.split_at_checked(end)?;
    if let Some(rest) = rest.strip_prefix('"') {
        return Some((Cow::Borrowed(plain), rest));
    }
    let mut value = plain.to_owned();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some((Cow::Owned(value), chars.as_str())),
            '\\' => value.push(chars.next()?),
            char => value.push(char),
        }
    }
}

/// Where one part lies in the body.
struct Part {
    headers: Span,
    content: Span,
}

/// Walks the parts of a body. Stops for good after the closing delimiter or the first error.
struct Parts<'a> {
    body: &'a [u8],
    /// Finds CRLF, two dashes and the boundary: what ends a part.
    delimiter: memmem::Finder<'a>,
    boundary: &'a str,
    /// Just after the last delimiter; `None` when there is nothing more to give.
    at: Option<usize>,
    begun: bool,
}

impl<'a> Parts<'a> {
    fn new(boundary: &'a str, body: &'a [u8]) -> Self {
        let delimiter = memmem::Finder::new(&format!("\r\n--{boundary}")).into_owned();
        Self {
            body,
            delimiter,
            boundary,
            at: Some(0),
            begun: false,
        }
    }

    /// The first delimiter begins the body; an empty line may come before it, other text may not.
    fn first(&self) -> Result<usize, BodyError> {
        let rest = self.body.strip_prefix(b"\r\n").unwrap_or(self.body);
        let rest = rest
            .strip_prefix(b"--")
            .and_then(|rest| rest.strip_prefix(self.boundary.as_bytes()));
        rest.map(|rest| self.body.len() - rest.len())
            .ok_or_else(|| broken("its first delimiter"))
    }

    /// The part whose delimiter ends at `at`, and where the next delimiter ends. `None` when `at` ended the last.
    fn part(&self, at: usize) -> Result<Option<(Part, usize)>, BodyError> {
        let rest = self.body.get(at..).unwrap_or_default();
        if rest.starts_with(b"--") {
            return Ok(None);
        }
        let padding = rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count();
        if !rest.get(padding..).is_some_and(|rest| rest.starts_with(b"\r\n")) {
            return Err(broken("a delimiter"));
        }
        let start = at + padding + 2;
        let rest = self.body.get(start..).unwrap_or_default();
        let length = self
            .delimiter
            .find(rest)
            .ok_or_else(|| broken("the end of a part"))?;
        let end = start + length;
        let near = rest.get(..length.min(MOST_HEADERS)).unwrap_or_default();
        let headers_end = start + memmem::find(near, b"\r\n\r\n").ok_or_else(|| broken("a part's header"))?;
        let headers = Span {
            start,
            end: headers_end,
        };
        let content = Span {
            start: headers_end + 4,
            end,
        };
        let part = Part { headers, content };
        Ok(Some((part, end + self.delimiter.needle().len())))
    }
}

impl Iterator for Parts<'_> {
    type Item = Result<Part, BodyError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at.take()?;
        let at = if std::mem::replace(&mut self.begun, true) {
            Ok(at)
        } else {
            self.first()
        };
        match at.and_then(|at| self.part(at)) {
            Ok(next) => next.map(|(part, at)| {
                self.at = Some(at);
                Ok(part)
            }),
            Err(error) => Some(Err(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::model;

    const TYPE: &str = "multipart/form-data; boundary=XyZ";

    fn part(headers: &str, content: &str) -> String {
        format!("--XyZ\r\n{headers}\r\n\r\n{content}\r\n")
    }

    fn field(name: &str, content: &str) -> String {
        part(
            &format!("Content-Disposition: form-data; name=\"{name}\""),
            content,
        )
    }

    fn found(content_type: &str, body: &str) -> Result<Option<String>, Option<String>> {
        match model(content_type, body.as_bytes()) {
            Ok(Some((span, text))) => {
                assert_eq!(span.of(body.as_bytes()), text.as_bytes());
                Ok(Some(text))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(error.param),
        }
    }

    #[test]
    fn the_model_is_found_among_other_parts() {
        let file = part(
            "Content-Disposition: form-data; name=\"file\"; filename=\"a; name=\\\"model\\\".wav\"\r\nContent-Type: audio/wav",
            "RIFF\r\n--Xy\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nnot-this",
        );
        let body = format!(
            "{file}{}{}--XyZ--\r\n",
            field("model", "whisper-1"),
            field("prompt", "hi")
        );
        for content_type in [
            TYPE,
            "Multipart/Form-Data;boundary=\"XyZ\"",
            "multipart/form-data; charset=utf-8 ; BOUNDARY=XyZ ",
        ] {
            assert_eq!(
                found(content_type, &body),
                Ok(Some("whisper-1".to_owned())),
                "{content_type}"
            );
        }
        assert_eq!(
            found(TYPE, &format!("\r\n{body}")),
            Ok(Some("whisper-1".to_owned()))
        );
    }

    #[test]
    fn names_are_read_by_the_rules_of_header_parameters() {
        for (headers, is_model) in [
            ("content-disposition: form-data; name=model", true),
            ("CONTENT-DISPOSITION:form-data ; NAME=\"model\"", true),
            (
                "Content-Type: text/plain\r\nContent-Disposition: form-data; name=\"mod\\el\"",
                true,
            ),
            (
                "Content-Disposition: form-data; filename=\"x\"; name=\"model\"",
                true,
            ),
            ("Content-Disposition: form-data; name=\"Model\"", false),
            ("Content-Disposition: form-data; name=\"models\"", false),
        ] {
            let body = format!("{}--XyZ--", part(headers, "m"));
            assert_eq!(
                found(TYPE, &body),
                Ok(is_model.then(|| "m".to_owned())),
                "{headers}"
            );
        }
    }

    #[test]
    fn a_body_without_model_is_no_error() {
        assert_eq!(found(TYPE, &format!("{}--XyZ--", field("file", ""))), Ok(None));
        assert_eq!(found(TYPE, "--XyZ--\r\n"), Ok(None));
    }

    #[test]
    fn what_two_parsers_could_read_differently_is_refused() {
        let model = Some("model".to_owned());
        let name = |headers: &str| format!("{}--XyZ--", part(headers, "m"));
        for (body, param) in [
            (
                format!("{}{}--XyZ--", field("model", "a"), field("model", "b")),
                model.clone(),
            ),
            (format!("{}--XyZ--", field("model", "")), model.clone()),
            (format!("{}--XyZ--", field("model", "a\r\nb")), model.clone()),
            (format!("{}--XyZ--", field("model", &"m".repeat(257))), model),
            (String::new(), None),
            (format!("preamble\r\n{}--XyZ--", field("model", "a")), None),
            (field("model", "a"), None),
            (
                "--XyZ\nContent-Disposition: form-data; name=model\n\na\n--XyZ--".to_owned(),
                None,
            ),
            (format!("{}--XyZzy\r\n--XyZ--", field("model", "a")), None),
            (format!("--XyZ\r\nno end of headers{}", field("model", "a")), None),
            (name("Content-Type: text/plain"), None),
            (name("Content-Disposition: attachment; name=\"model\""), None),
            (name("Content-Disposition: form-data"), None),
            (
                name("Content-Disposition: form-data; name=\"a\"; name=\"model\""),
                None,
            ),
            (name("Content-Disposition: form-data; name=\"model"), None),
            (
                name("Content-Disposition: form-data; name=\"a\" name=\"model\""),
                None,
            ),
            (
                name("Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=model"),
                None,
            ),
            (
                name(&format!(
                    "X: {}\r\nContent-Disposition: form-data; name=a",
                    "x".repeat(17_000)
                )),
                None,
            ),
        ] {
            assert_eq!(found(TYPE, &body), Err(param), "{body:?}");
        }
    }

    #[test]
    fn the_content_type_must_name_one_sound_boundary() {
        let body = format!("{}--XyZ--", field("model", "a"));
        for content_type in [
            "application/json",
            "multipart/form-data",
            "multipart/mixed; boundary=XyZ",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"XyZ",
            "multipart/form-data; boundary=XyZ; boundary=abc",
            &format!("multipart/form-data; boundary={}", "b".repeat(71)),
        ] {
            assert_eq!(found(content_type, &body), Err(None), "{content_type}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_upset_it(pieces in prop::collection::vec(prop::sample::select(&[
            "--XyZ", "--", "\r\n", "Content-Disposition: form-data; name=", "model", "\"", ";", "\\", "\r\n\r\n", "é",
        ][..]), 0..30)) {
            let body = pieces.concat();
            if let Ok(Some((span, text))) = model(TYPE, body.as_bytes()) {
                prop_assert_eq!(span.of(body.as_bytes()), text.as_bytes());
            }
        }
    }
}
